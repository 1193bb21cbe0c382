package reports

import (
	"strings"
	"testing"

	points "github.com/headroom-project/headroom/capacity/table"
	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

func TestThrottlingNamesTheLowestLoad(t *testing.T) {
	point := func(step int, load, throttled float64) observation.Point {
		return observation.Point{Step: step, Offered: load, Valid: true, Resources: map[string]observation.Use{
			"cpu": {Used: 0.4, Limit: 0.5, Unit: "cores"}, "cpu.throttled": {Used: throttled, Unit: "cores"},
		}}
	}
	tests := []struct {
		name   string
		points []observation.Point
		want   string
	}{
		{"none", []observation.Point{point(0, 100, 0.01)}, ""},
		{"lowest", []observation.Point{point(0, 100, 0.01), point(1, 400, 0.2), point(2, 300, 0.1)}, "from 300 req/s on"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := &computation{scenario: &scenarios.Scenario{}, points: test.points, reducer: observation.NewReducer()}
			c.doubts()
			got := strings.Join(c.run.Warnings, "\n")
			if got == "" != (test.want == "") || !strings.Contains(got, test.want) {
				t.Errorf("warnings %q, want %q", got, test.want)
			}
		})
	}
}

// A table that shows throttling says so as a drill does, under the name that a drill's
// points have when they are written as a table.
func TestFitOfATableWarnsOfThrottling(t *testing.T) {
	x, err := points.Read("t.csv", strings.NewReader("offered_rps,throughput_rps,p99_ms,seconds,cpu_used,cpu_limit,cpu.throttled_used\n"+
		"50,50,6,10,0.15,0.5,0\n100,100,7,10,0.25,0.5,0.01\n150,150,30,10,0.37,0.5,0.09\n200,190,90,10,0.49,0.5,0.4\n"))
	if err != nil {
		t.Fatal(err)
	}
	q := Question{Objectives: []scenarios.Objective{{Metric: "p99", Op: "<", Value: 50}}}
	r := Fit(Measured{Name: "t", Source: "t.csv", Points: x.Points, Seed: 1}, q)
	if all := strings.Join(r.Warnings, "\n"); !strings.Contains(all, "throttled by its CPU quota from 150 req/s on: 0.09 cores more were asked for than it got") {
		t.Errorf("warnings %q", all)
	}
}

// The bounds of a closed system are held against a fixed load too, which no model is asked of.
func TestFixedLoadIsHeldAgainstItsBounds(t *testing.T) {
	for _, test := range []struct {
		users int
		want  bool
	}{{10, false}, {2, true}} { // 100/s of 50 ms keep 5 users busy
		p := observation.Point{Kind: scenarios.KindLoad, Offered: 100, Seconds: 20, Users: test.users, Valid: true}
		p.OK, p.Sent, p.Throughput, p.Response = 2000, 2000, 100, observation.Quantiles{Mean: 50, P50: 50, P99: 60}
		c := &computation{scenario: &scenarios.Scenario{}, points: []observation.Point{p}, reducer: observation.NewReducer()}
		c.doubts()
		if got := strings.Contains(strings.Join(c.run.Warnings, "\n"), "no more than 40/s can have been"); got != test.want {
			t.Errorf("%d users: %q", test.users, c.run.Warnings)
		}
	}
}
