package capacity

import (
	"math"
	"slices"
	"testing"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

// What past predictions of the target were off by outweighs what those of other
// systems were; scores of another kind, or that are no numbers, do not count.
func TestPastScoresCalibrate(t *testing.T) {
	const kind = restsOnOrder
	scores := func(kind string, value float64) []Score {
		return slices.Repeat([]Score{{Kind: kind, Value: value}}, 12)
	}
	shipped := widening(kind, 1.6, 0.9, nil)
	for _, c := range []struct {
		name string
		past []Score
		want func(k float64) bool
	}{
		{"worse than elsewhere", scores(kind, 4*shipped), func(k float64) bool { return math.Abs(k/shipped-4) < 1e-9 }},
		{"better than elsewhere", scores(kind, 0.01), func(k float64) bool { return k < shipped }},
		{"another kind", scores(restsOnQueue, 9), func(k float64) bool { return k == shipped }},
		{"no numbers", []Score{{Kind: kind, Value: math.NaN()}, {Kind: kind, Value: math.Inf(1)}, {Kind: kind, Value: -1}}, func(k float64) bool { return k == shipped }},
	} {
		t.Run(c.name, func(t *testing.T) {
			if k := widening(kind, 1.6, 0.9, c.past); !c.want(k) {
				t.Errorf("intervals are widened by %.3g, by %.3g as shipped", k, shipped)
			}
		})
	}
}

// A real drill that reached its limit is predicted from its lower steps, and
// scored. What was measured must not leak into the prediction: hidden steps may
// say anything.
func TestBacktestOfARealDrill(t *testing.T) {
	points := recorded(t, "pool")
	spec := Spec{Objectives: []scenarios.Objective{{Metric: "p99", Op: "<", Value: 100}}, Seed: 1}
	scores := Backtest(points, spec, 0.6, 0.9)
	if len(scores) == 0 {
		t.Fatal("no score")
	}
	for _, s := range scores {
		t.Logf("%+v", s)
		if s.Kind == "" || !(s.Value >= 0) || s.Value > 20 {
			t.Errorf("score %+v", s)
		}
	}
	low := slices.Clone(points)
	low = slices.DeleteFunc(low, func(p observation.Point) bool { return p.Offered > 250 })
	if scores := Backtest(low, spec, 0.6); len(scores) != 0 {
		t.Errorf("a drill that reached no limit has scores: %v", scores)
	}
}
