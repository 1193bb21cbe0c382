package search

import (
	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

// Bounds of an estimate whose crossing is not bracketed.
const (
	// Above says that every step held: the capacity is at least Low.
	Above = "above"
	// Below says that no step held: the capacity is at most High.
	Below = "below"
)

// Estimate is where the objectives break, in requests/s.
type Estimate struct {
	// Value is the best guess inside the interval [Low, High].
	Value, Low, High float64
	// Bound is empty if the crossing lies between steps that held and steps that
	// broke, else Above or Below.
	Bound string
	// Predicted says, with Bound Above, that Value, Low and High are where laws put
	// the crossing, above every load that was offered.
	Predicted bool
}

// Estimator sees the crossing of the objectives in points.
type Estimator interface {
	// Estimate returns the crossing as seen from the points so far, in any order.
	// It must not keep or change them, and must be a pure function of them. It is
	// called once for each decision, and may take some tens of milliseconds.
	Estimate(points []observation.Point) Estimate
}

// Planner is an Estimator that also knows which step would tell it most.
type Planner interface {
	Estimator
	// Best returns the index of the load in requests/s that, if it is offered for
	// so many seconds, shrinks the variance of the estimate most; -1 if it cannot
	// tell. It keeps the promises of Estimate.
	Best(points []observation.Point, loads []float64, seconds float64) int
}

// Bounder is an Estimator that also sees resources whose use no source reads, such as
// locks.
type Bounder interface {
	Estimator
	// Ceiling returns the greatest load in requests/s at which none of those is
	// predicted to be used for more than ratio of its limit, and the one that sets it;
	// +Inf if none does. It keeps the promises of Estimate.
	Ceiling(points []observation.Point, ratio float64) (load float64, resource string)
}

// Bracket is the simplest Estimator: the crossing lies half way between the
// highest load that held and the lowest above it that broke.
type Bracket []scenarios.Objective

// Estimate returns the bracket of the crossing.
func (b Bracket) Estimate(points []observation.Point) Estimate {
	var held, broke float64
	for _, p := range points {
		if usable(p) && Judge(p, b) == Met {
			held = max(held, p.Offered)
		}
	}
	for _, p := range points {
		if usable(p) && Judge(p, b) != Met && p.Offered > held && (broke == 0 || p.Offered < broke) {
			broke = p.Offered
		}
	}
	switch {
	case held == 0 && broke == 0:
		return Estimate{Bound: Below}
	case broke == 0:
		return Estimate{Value: held, Low: held, High: held, Bound: Above}
	case held == 0:
		return Estimate{Value: broke, High: broke, Bound: Below}
	}
	return Estimate{Value: (held + broke) / 2, Low: held, High: broke}
}
