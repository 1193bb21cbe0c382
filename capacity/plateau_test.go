package capacity

import (
	"math"
	"testing"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

// flowing gives p a flow of whole seconds: hits that ended in each, and in flight
// at its end.
func flowing(p observation.Point, ended, inFlight []int) observation.Point {
	p.Flow, p.Throughput = nil, 0
	for i, n := range ended {
		p.Flow = append(p.Flow, observation.Flow{From: float64(i), To: float64(i + 1), OK: uint64(n), InFlight: inFlight[i]})
		if float64(i) < p.Seconds {
			p.Throughput += float64(n) / p.Seconds
		}
	}
	return p
}

func TestOnlySecondsWithABacklogCount(t *testing.T) {
	t.Parallel()
	light := queued(50, 3, 0)
	for _, c := range []struct {
		name            string
		ended, inFlight []int
		want            float64 // 0 for none
	}{
		{"no backlog", []int{390, 400, 395, 398}, []int{3, 10, 8, 0}, 0},
		{"a backlog at one end", []int{390, 400, 395, 398}, []int{3, 100, 8, 0}, 0},
		{"a second with a backlog at both", []int{390, 401, 350, 398}, []int{100, 120, 8, 0}, 401},
		{"drain included", []int{390, 398, 402, 400}, []int{400, 800, 400, 100}, 400},
		{"the last second, emptied", []int{390, 300, 200, 400}, []int{3, 10, 400, 0}, 400},
	} {
		sat := saturated(digest([]observation.Point{light, flowing(queued(420, 3, 0), c.ended, c.inFlight)}))
		switch {
		case c.want == 0 && sat != nil:
			t.Errorf("%s: %g, want none", c.name, sat.rate)
		case c.want > 0 && (sat == nil || math.Abs(sat.rate-c.want) > 1):
			t.Errorf("%s: %+v, want %g", c.name, sat, c.want)
		}
	}
}

// A second in which the target was held up by something else reads low; what it
// served without a queue in a whole step it can serve.
func TestPlateauIsNoLessThanWhatWasServed(t *testing.T) {
	t.Parallel()
	slow := flowing(queued(420, 2, 0), []int{300, 270, 268}, []int{200, 400, 300})
	quick := flowing(queued(390, 6, 0), []int{388, 392, 390, 390, 391, 389}, []int{1, 2, 1, 2, 1, 0})
	sat := saturated(digest([]observation.Point{queued(50, 3, 0), slow, quick}))
	if sat == nil || sat.rate < 385 || sat.cap() < 389 || sat.falls {
		t.Errorf("%+v, want at least 390", sat)
	}
	if _, high := sat.bounds(); high < 400 {
		t.Errorf("up to %g: readings that contradict each other must widen the bounds", high)
	}
}

func TestThroughputThatFallsUnderOverload(t *testing.T) {
	t.Parallel()
	at := func(load float64, rate int) observation.Point {
		return flowing(queued(load, 3, 0), []int{rate, rate, rate, rate}, []int{200, 400, 600, 300})
	}
	light := queued(50, 3, 0)
	sat := saturated(digest([]observation.Point{light, at(450, 400), at(900, 250)}))
	if sat == nil || !sat.falls || math.Abs(sat.rate-400) > 1 {
		t.Errorf("%+v, want 400 and falling", sat)
	}
	sat = saturated(digest([]observation.Point{light, at(450, 250), at(900, 400)}))
	if sat == nil || sat.falls || math.Abs(sat.rate-400) > 1 {
		t.Errorf("%+v, want 400 and not falling: it served more when offered more", sat)
	}
}

// Without an effect on the verdict, something unmeasured is not worth a line.
func TestSlimChanceOfSomethingUnmeasuredIsNotListed(t *testing.T) {
	t.Parallel()
	limited := []fit{{name: "cpu", unit: "cores", limit: 1, line: line{demand: 0.0025}}}
	m := &measured{rate: 400, spread: 4}
	other := Bottleneck{Resource: Unmeasured}
	if list := rank(limited, m, []float64{0.96, 0.04}, other, 0.9); len(list) != 1 || list[0].Resource != "cpu" {
		t.Errorf("4%%: %+v", list)
	}
	if list := rank(limited, m, []float64{0.94, 0.06}, other, 0.9); len(list) != 2 || list[1].AfterFixRPS != 400 || list[0].AfterFixRPS != 0 {
		t.Errorf("6%%: %+v", list)
	}
}

// With other programs on the cores a drill of a server read plateaus that
// contradicted each other; their mean of 799/s, which could have been anything up
// to 1662/s, made "unmeasured" of a limit that was its CPU.
func TestVaryingThroughputBlamesNothingUnmeasured(t *testing.T) {
	t.Parallel()
	cpu := func(served float64) map[string]observation.Use {
		return map[string]observation.Use{"cpu": {Used: 0.02 + 0.00093*served, Limit: 1, Unit: "cores", Samples: 8}}
	}
	points := []observation.Point{queued(50, 3, 0), queued(100, 3, 0), queued(200, 3, 0), queued(400, 3, 0)}
	points = append(points,
		flowing(queued(900, 4, 0), []int{880, 500, 520, 890}, []int{30, 400, 700, 600}),
		flowing(queued(1000, 4, 0), []int{980, 1010, 700, 640}, []int{30, 200, 500, 800}),
		flowing(queued(950, 4, 0), []int{940, 610, 960, 930}, []int{20, 400, 350, 20}))
	for i := range points {
		points[i].Step, points[i].Resources = i, cpu(points[i].Throughput)
	}
	sat := saturated(digest(points))
	if sat == nil || sat.firm() != nil {
		t.Fatalf("the plateau is %+v: these readings were to contradict each other", sat)
	}
	s := Analyse(points, Spec{Objectives: p99, Seed: 1}).Saturation
	if s == nil || s.Measured || s.Bottlenecks[0].Resource != "cpu" || s.Bottlenecks[0].Probability < sure {
		t.Fatalf("%+v, want cpu", s)
	}
	const truth = 0.98 / 0.00093
	if math.Abs(s.Value.Value-truth) > 0.01*truth {
		t.Errorf("saturation %g (%g-%g), want %g", s.Value.Value, s.Low, s.High, truth)
	}
}

// A table of a target that serves less the more it is overloaded: it carries no more than it was
// seen to serve. Users who wait for answers offer what is served, past its peak too.
func TestTableOfAnOverload(t *testing.T) {
	t.Parallel()
	law := func(n float64) float64 { return 100 * n / (1 + 0.05*(n-1) + 0.0005*n*(n-1)) }
	var users, open []observation.Point
	for i, n := range []float64{1, 2, 4, 8, 16, 32, 44, 64, 96} {
		x := law(n)
		p := step(x, 60, 4.6*1000*n/x)
		p.Step, p.InFlight = i, n
		users = append(users, p)
		if n >= 44 {
			p.Offered = []float64{1100, 1150, 1200}[i-6]
		}
		open = append(open, p)
	}
	for _, c := range []struct {
		name   string
		points []observation.Point
		slo    float64 // ms
		truth  float64
	}{
		{"users, p99 < 100 ms", users, 100, 942},
		{"users, p99 < 150 ms", users, 150, 1061},
		{"users, p99 < 1 s", users, 1000, 1074},
		{"open, p99 < 100 ms", open, 100, 942},
		{"open, p99 < 1 s", open, 1000, 1074},
	} {
		a := Analyse(c.points, Spec{Objectives: []scenarios.Objective{{Metric: "p99", Op: "<", Value: c.slo}}, Seed: 1})
		x := a.Capacity
		if x == nil || x.Bound != "" || math.Abs(x.Value.Value/c.truth-1) > 0.04 || x.Low > c.truth || x.High < c.truth || x.High > 1100 {
			t.Errorf("%s: %+v, want %g", c.name, x, c.truth)
		}
	}
}

// One row that had a bad moment makes no users of loads that were offered.
func TestBadMomentIsNoOverload(t *testing.T) {
	t.Parallel()
	var points []observation.Point
	for i, x := range []float64{100, 200, 300, 400, 500} {
		p := step(x, 60, 15)
		p.Step, p.InFlight = i, x/100
		if x == 300 {
			p = step(x, 60, 45)
			p.Step, p.InFlight = i, 12
		}
		points = append(points, p)
	}
	a := Analyse(points, Spec{Objectives: []scenarios.Objective{{Metric: "p99", Op: "<", Value: 50}}, Seed: 1})
	if a.Capacity == nil || a.Capacity.Bound != Above || a.Capacity.Value.Value != 500 {
		t.Errorf("%+v, want at least 500", a.Capacity)
	}
}

// A short step that few hits arrive in served less than was planned, and not less than the
// target can.
func TestPlateauOfATableIsNoChance(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		seconds float64
		seen    bool
	}{{4, false}, {600, true}} {
		p := observation.Point{Offered: 50, Seconds: c.seconds, Figures: observation.Figures{Throughput: 45}}
		s := series{point: &p, load: 50, seconds: c.seconds}
		if got := len(s.tablePlateau(nil)) > 0; got != c.seen {
			t.Errorf("45 of 50/s served over %g s: saturated %v", c.seconds, got)
		}
	}
}
