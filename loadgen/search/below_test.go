package search

import (
	"testing"
	"time"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

// foresees predicts 1000/s from any steps that held, within a width, and asks for
// the load at index best.
type foresees struct {
	width float64
	best  int
	asked *[]float64
}

func (f foresees) Estimate(points []observation.Point) Estimate {
	e := Bracket(p99).Estimate(points)
	if e.Bound == Above {
		return Estimate{Value: 1000, Low: 1000 - f.width/2, High: 1000 + f.width/2, Bound: Above, Predicted: true}
	}
	return e
}

func (f foresees) Best(_ []observation.Point, loads []float64, _ float64) int {
	*f.asked = loads
	return f.best
}

// A search that may not go up to the crossing spends its budget where that is
// predicted best: at a low load once, then where the planner says, and never above
// its bound.
func TestSearchBelowTheCrossing(t *testing.T) {
	for _, c := range []struct {
		name  string
		width float64
		best  int
		steps int // refinements, at least
		at    float64
	}{
		{"wide", 300, 1, 4, 0.85}, {"the top", 300, 0, 4, 1}, {"cannot tell", 300, -1, 4, 1}, {"precise already", 5, 1, 1, restful},
	} {
		t.Run(c.name, func(t *testing.T) {
			var asked []float64
			s := New(Config{Objectives: p99, MaxUtilisation: 0.6, MaxRPS: 600, Estimator: foresees{c.width, c.best, &asked}})
			points, took, d := drill(t, s, target{limit: 1000, cores: 0.001})
			top, refined := 0.0, 0
			for _, p := range points[1:] {
				top = max(top, p.Offered)
				if p.Kind == scenarios.KindRefine {
					refined++
				}
			}
			if top > 600 || top < 510 {
				t.Errorf("offered up to %g/s, 600 would be 60%% in the mean", top)
			}
			if refined < c.steps || c.width < 20 && refined > c.steps {
				t.Errorf("%d refinements, want %d: %s", refined, c.steps, d.Reason)
			}
			end := last(points)
			if end.Kind != scenarios.KindConfirm {
				t.Errorf("ended with %s", end.Kind)
			}
			if p := points[len(points)-2]; p.Offered < (c.at-0.03)*top || p.Offered > (c.at+0.03)*top {
				t.Errorf("last refinement at %g/s, want %g of %g", p.Offered, c.at, top)
			}
			if took > DefaultBudget+5*time.Second {
				t.Errorf("took %v", took)
			}
			if d.Predicted == nil || !d.Predicted.Predicted {
				t.Errorf("ended without a prediction: %+v", d.Predicted)
			}
		})
	}
}
