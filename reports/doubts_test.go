package reports

import (
	"strings"
	"testing"

	"github.com/headroom-project/headroom/loadgen/observation"
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
			c := &computation{points: test.points, reducer: observation.NewReducer()}
			c.doubts()
			got := strings.Join(c.run.Warnings, "\n")
			if got == "" != (test.want == "") || !strings.Contains(got, test.want) {
				t.Errorf("warnings %q, want %q", got, test.want)
			}
		})
	}
}
