package capacity

import (
	"fmt"

	"github.com/headroom-project/headroom/scenarios"
)

// Defaults of a Spec.
const (
	DefaultConfidence = 0.90
	DefaultReplicates = 400
)

// Spec says what is asked of the points.
type Spec struct {
	// Objectives must all hold at the capacity.
	Objectives []scenarios.Objective
	// DemandRPS is the peak load of production, in requests/s; 0 if not known.
	DemandRPS float64
	// Prices are what resources cost; nil for no cost.
	Prices *scenarios.Prices
	// Confidence of the intervals, 0 < c < 1; 0 is DefaultConfidence.
	Confidence float64
	// Replicates of the bootstrap; 0 is DefaultReplicates, at most 10000.
	Replicates int
	// Seed of the bootstrap: equal points, Spec and Seed give equal figures.
	Seed uint64
	// ArrivalsSCV is the squared coefficient of variation of the times between arrivals in
	// production, which capacity and responses are predicted for; 0 is that of Poisson
	// arrivals, 1.
	ArrivalsSCV float64
	// MaxRPS is the greatest load that was allowed, 0 if not known. It only
	// serves to say why a capacity is bounded below alone.
	MaxRPS float64
	// Past are scores of earlier drills of the target (Backtest), by which the
	// intervals of predictions are calibrated besides those that are shipped.
	Past []Score
}

// Analysis is all that the points support. A part that they do not support is
// nil, and Warnings say why.
type Analysis struct {
	Capacity   *Capacity
	Saturation *Saturation
	Headroom   *Headroom
	Cost       *Cost
	Contention *Contention
	Warnings   []string
	// prediction is what Capacity is, if its bound is Predicted.
	prediction *prediction
	// Response says how long requests take at loads that were not offered; nil if
	// the steps do not tell.
	Response *Response
}

// Value is an estimate with its interval.
type Value struct {
	Value, Low, High float64
	// Confidence of the interval [Low, High], 0..1.
	Confidence float64
	// Method says in a few words how it was found.
	Method   string
	Warnings []string
}

// Bounds of a capacity whose crossing was not bracketed.
const (
	Above = "above"
	Below = "below"
	// Predicted is the bound of a capacity that lies above every load offered:
	// all of them held, and the laws say where the objectives break.
	Predicted = "predicted"
)

// Capacity is the highest load that meets every objective.
type Capacity struct {
	// Value is in requests/s.
	Value
	// Objective is the one that breaks first, as written in a scenario; empty if
	// none broke.
	Objective scenarios.Objective
	// Bound is empty for a crossing that was measured, Above if every step met
	// the objectives (the capacity is at least Low), Below if none did (it is at
	// most High), Predicted if every step met them and the laws say where they break.
	Bound string
	// Confirmed says that a confirmation step met every objective.
	Confirmed bool
	// ConfirmedAtRPS is the highest load that was confirmed, 0 if none was.
	ConfirmedAtRPS float64
	// RefutedAtRPS is the lowest load whose confirmation broke an objective where the value
	// is that load: what held below it and above puts the crossing no lower. 0 else.
	RefutedAtRPS float64
	// Contrary are the loads of steps that broke an objective beyond chance, lowest first,
	// where the bound is Above: others at the same load or above it held.
	Contrary []float64
	// Arrivals are how the steps' arrivals varied, and those that a prediction is for.
	Arrivals Arrivals
	// Unidentified says why the steps do not tell where the objectives break although all
	// of them held, and which step would tell; empty if they do tell.
	Unidentified string
	// Unforetold are the objectives of which no law speaks, so that a capacity with the
	// bound Predicted is not about them.
	Unforetold []Unforetold
}

// Arrivals are squared coefficients of variation of the times between arrivals: 1 for
// Poisson arrivals, 0 for an even pace, more than 1 for bursts.
type Arrivals struct {
	// Steps is that of the steps, 0 if it is not known; Production that of the arrivals for
	// which responses are predicted.
	Steps, Production float64
}

// Unforetold is an objective that is not predicted, and why.
type Unforetold struct {
	Objective scenarios.Objective
	Why       string
}

// String is the warning of it.
func (u Unforetold) String() string {
	return fmt.Sprintf("%s is not predicted: %s", u.Objective, u.Why)
}

// Saturation is the load at which the first resource gives out.
type Saturation struct {
	// Value is in requests/s.
	Value
	// Bottlenecks are ordered: the first to give out first.
	Bottlenecks []Bottleneck
	// Measured says that the target was seen saturated; else the value is where
	// the resource law puts it.
	Measured bool
}

// Unmeasured is the name of a bottleneck that no measured resource explains:
// something behind the target, a limiter, an accept queue.
const Unmeasured = "unmeasured"

// ShareHeld is the unit of a lock's use: requests hold it for a share of the time.
const ShareHeld = "share of the time held"

// Bottleneck is a resource that limits the target.
type Bottleneck struct {
	// Resource is its name, Unmeasured, or "lock: <function>".
	Resource string
	// Probability that it is the first to give out, over the replicates.
	Probability float64
	// Low and High are the interval of RPS, AfterFixLow and AfterFixHigh that of
	// AfterFixRPS, with the Confidence of the Saturation. An end that is not known is 0.
	Low, High                 float64
	AfterFixLow, AfterFixHigh float64
	// Method says in a few words how RPS was found; AfterFixRPS is of the resource law.
	Method string
	// RPS is the offered load at which it reaches its limit, of which a part may fail; 0 if not
	// known. PerRequest and Law are of such a load.
	RPS float64
	// AfterFixRPS is the saturation once it is out of the way; 0 if not known.
	AfterFixRPS float64
	// PerRequest is its demand: Unit-seconds for one request, where that is alone if Law
	// is curved; 0 if not known.
	PerRequest float64
	Unit       string
	Limit      float64
	// Peak is the most of it that was seen used, as a ratio of Limit; 0 if not known.
	Peak float64
	// Evidence says in a sentence what shows it.
	Evidence string
	// Law is how its use grows with the load; nil if not known.
	Law *Law
}

// Headroom is (capacity - demand) / capacity.
type Headroom struct {
	DemandRPS float64
	// Now is a ratio; negative if the demand exceeds the capacity.
	Now Value
}

// Cost is what a million good requests cost, in Currency.
type Cost struct {
	Currency string
	// Marginal is what one million more would use, Loaded what they cost with all
	// that is allocated at AtRPS, Idle the difference. The Method of Marginal and Idle is
	// NotKnown where no use of what has a price was seen to grow with the load.
	Marginal, Loaded, Idle Value
	// Parts are what Marginal consists of: "cpu", "memory", "egress", as far as they
	// have a price and are known.
	Parts map[string]Value
	// AtRPS is the load at which they hold: the demand, or without one the capacity.
	AtRPS float64
	// At has the cost at each load that is known, that of AtRPS first. AtLoad prices
	// another one.
	At   []CostAt
	rule *pricing
}

// Loads that a cost is known at.
const (
	// AtNow is the demand, AtPeak the highest load that is forecast.
	AtNow      = "now"
	AtPeak     = "peak"
	AtCapacity = "capacity"
)

// CostAt is what a million good requests cost at a load.
type CostAt struct {
	// Load is AtNow, AtPeak or AtCapacity.
	Load string
	// RPS is the load in requests/s, and Replicas how many carry it.
	RPS      float64
	Replicas int
	// As of Cost.
	Marginal, Loaded, Idle Value
	Parts                  map[string]Value
}
