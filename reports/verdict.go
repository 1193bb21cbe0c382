package reports

import (
	"fmt"
	"slices"
	"strings"

	"github.com/headroom-project/headroom/capacity"
	"github.com/headroom-project/headroom/loadgen"
	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/loadgen/search"
	"github.com/headroom-project/headroom/scenarios"
)

// spec is what the model is asked.
func (c *computation) spec() capacity.Spec {
	spec := capacity.Spec{
		Objectives: c.scenario.Objectives, Prices: c.scenario.Capacity.Prices, Past: c.past,
		ArrivalsSCV: c.scenario.Capacity.ArrivalsSCV, Seed: c.drill.Seed, MaxRPS: c.scenario.Safety.MaxRPS,
	}
	if d := c.scenario.Capacity.Demand; d != nil {
		spec.DemandRPS = d.Peak
	}
	return spec
}

// analyse asks the model for what the points support.
func (c *computation) analyse() {
	if !c.searched() {
		return
	}
	spec := c.spec()
	seen := capacity.Analyse(c.tellingPoints(), spec)
	withheld := c.withheld(&seen)
	for _, w := range seen.Warnings {
		if !slices.Contains(withheld, w) {
			c.warn(w)
		}
	}
	if x := seen.Capacity; x != nil {
		c.run.Capacity = &Capacity{
			RPS: estimate(x.Value), Bound: x.Bound, Confirmed: x.Confirmed, Method: x.Method, ConfirmedAtRPS: x.ConfirmedAtRPS,
			RefutedAtRPS: x.RefutedAtRPS, ContraryRPS: x.Contrary,
			Objective: c.objectiveText(x), Unidentified: x.Unidentified,
			ArrivalsSCV: x.Arrivals.Steps, ProductionSCV: x.Arrivals.Production,
		}
		for _, u := range x.Unforetold {
			c.run.Capacity.NotPredicted = append(c.run.Capacity.NotPredicted, u.Objective.String())
		}
		// Of other objectives the drill predicted nothing.
		if c.end != nil && c.end.PredictedRPS > 0 && !c.others {
			c.run.Capacity.Predicted = predictionOf(c.end)
		}
		c.foretell(&seen, spec)
	}
	if x := seen.Saturation; x != nil {
		c.run.Saturation = &Saturation{RPS: estimate(x.Value), Bottlenecks: []Bottleneck{}, Measured: x.Measured}
		for _, b := range x.Bottlenecks {
			c.run.Saturation.Bottlenecks = append(c.run.Saturation.Bottlenecks, Bottleneck(b))
		}
	}
	c.run.Contention = contentionOf(seen.Contention)
	if x := seen.Headroom; x != nil {
		now := estimate(x.Now)
		c.run.Headroom = &Headroom{DemandRPS: x.DemandRPS, Now: &now}
		c.ahead()
	}
	c.cost(seen.Cost)
}

// withheld are the doubts of figures that the report of a drill that broke off does not give.
func (c *computation) withheld(seen *capacity.Analysis) (doubts []string) {
	if !c.run.Unfinished() {
		return nil
	}
	if x := seen.Capacity; x != nil {
		doubts = append(doubts, x.Warnings...)
	}
	if x := seen.Saturation; x != nil {
		doubts = append(doubts, x.Warnings...)
	}
	return doubts
}

// foretell adds what the model says of loads that were not offered, and holds what
// it would have said of the confirmation against what that showed.
func (c *computation) foretell(seen *capacity.Analysis, spec capacity.Spec) {
	x := c.run.Capacity
	if seen.Response == nil {
		return
	}
	if x.Bound == capacity.Predicted {
		x.Predicted = &Prediction{Value: x.RPS.Value, Low: x.RPS.Low, High: x.RPS.High, Confidence: x.RPS.Confidence}
		for i := 1; i <= curveSteps; i++ {
			rps := x.RPS.Value * float64(i) / curveSteps
			p := CurvePoint{RPS: rps, P50: seen.Response.Quantile(rps, 0.5), P99: seen.Response.Quantile(rps, 0.99)}
			if finite(p.P50) && finite(p.P99) {
				x.Curve = append(x.Curve, p)
			}
		}
	}
	points := c.tellingPoints()
	last := slices.IndexFunc(points, func(p observation.Point) bool {
		return p.Kind == scenarios.KindConfirm && p.Valid && p.Cut == "" && p.Short == ""
	})
	if last < 0 {
		return
	}
	before := capacity.Analyse(points[:last], spec)
	if before.Response == nil {
		return
	}
	confirm := &points[last]
	if p99 := before.Response.Quantile(confirm.Offered, 0.99); finite(p99) {
		x.Check = &Check{RPS: confirm.Offered, PredictedMS: p99, ObservedMS: confirm.Response.P99}
		low, high := before.Response.Between(confirm.Offered, 0.99)
		if finite(low) {
			x.Check.PredictedLow, x.Check.Confidence = low, before.Response.Confidence
		}
		if finite(high) { // else it has no upper end
			x.Check.PredictedHigh = high
		}
	}
}

// predictionOf is what a drill recorded of its estimate before the confirmation. Searches
// are steered by intervals of the default confidence.
func predictionOf(end *observation.EndRecord) *Prediction {
	p := &Prediction{Value: end.PredictedRPS}
	if end.PredictedHigh > end.PredictedLow {
		p.Low, p.High, p.Confidence = end.PredictedLow, end.PredictedHigh, capacity.DefaultConfidence
	}
	return p
}

// curveSteps is how many loads the predicted curve has.
const curveSteps = 20

// tellingPoints are those that the model reads. A drill that ended before any hit
// of its search did has only its warm-up to tell what the lowest load came to.
func (c *computation) tellingPoints() []observation.Point {
	for _, p := range c.load() {
		if p.OK+p.Failed > 0 {
			return c.points
		}
	}
	points := slices.Clone(c.points)
	for i := range points {
		if points[i].Kind == scenarios.KindWarmup {
			points[i].Kind = scenarios.KindSearch
		}
	}
	return points
}

func estimate(v capacity.Value) Estimate {
	return Estimate{Value: v.Value, Low: v.Low, High: v.High, Confidence: v.Confidence, Method: v.Method, Warnings: v.Warnings}
}

// objectiveText names the objective that limits the capacity; the first one stands for one
// that never broke. It is empty where none did and the target yet served no more, which is
// also what limits a prediction that names an objective of which no law speaks.
func (c *computation) objectiveText(x *capacity.Capacity) string {
	o := x.Objective
	if o.Metric == "" {
		if len(c.scenario.Objectives) == 0 || x.Bound == "" {
			return ""
		}
		o = c.scenario.Objectives[0]
	}
	if slices.ContainsFunc(x.Unforetold, func(u capacity.Unforetold) bool { return u.Objective == o }) {
		return ""
	}
	return o.String()
}

func (c *computation) searched() bool { return c.fit || c.scenario.Load.Search != nil }

// load returns the steps that count for the verdict: not the warm-up, and not those
// of another mix.
func (c *computation) load() []*observation.Point {
	var out []*observation.Point
	for i := range c.points {
		if judged(c.points[i].Kind) {
			out = append(out, &c.points[i])
		}
	}
	return out
}

// objectives says of each objective whether it held where it counts: at every
// step of a fixed load, at the highest confirmed (else highest passing) step of
// a search.
func (c *computation) objectives() {
	c.run.Objectives = []Objective{}
	at := c.load()
	if c.searched() {
		at = c.proof()
	}
	for _, o := range c.scenario.Objectives {
		x := Objective{Text: o.String(), Metric: o.Metric, Threshold: o.Value, Unit: o.Unit()}
		for _, p := range at {
			v, ok := p.Metric(o.Request, o.Metric)
			if !ok || !c.asks(p, o) || !p.Valid || p.OK+p.Failed == 0 {
				continue
			}
			held := o.Holds(v)
			if x.Met == nil || *x.Met && !held || *x.Met == held && worse(o, v, x.Observed) {
				x.Met, x.Observed = &held, v
			}
		}
		c.run.Objectives = append(c.run.Objectives, x)
	}
}

// asks says whether a step says anything of an objective. A load that is offered on purpose
// is to be served as asked; those of a search begin below what is asked for.
func (c *computation) asks(p *observation.Point, o scenarios.Objective) bool {
	return !c.searched() || search.Asks(*p, o)
}

func worse(o scenarios.Objective, a, b float64) bool {
	if strings.HasPrefix(o.Op, "<") {
		return a > b
	}
	return a < b
}

// proof is the step of a search that shows that the capacity is met.
func (c *computation) proof() []*observation.Point {
	var best *observation.Point
	for _, p := range c.load() {
		if _, met := c.broken(p); !met || !p.Valid || p.Cut != "" {
			continue
		}
		if best == nil || rank(p) > rank(best) || rank(p) == rank(best) && p.Offered > best.Offered {
			best = p
		}
	}
	if best == nil {
		// None held: the lowest load is the one that shows by how much.
		for _, p := range c.load() {
			if p.Valid && (best == nil || p.Offered < best.Offered) {
				best = p
			}
		}
	}
	if best == nil {
		return nil
	}
	return []*observation.Point{best}
}

func rank(p *observation.Point) int {
	if p.Kind == scenarios.KindConfirm && p.Short == "" {
		return 1
	}
	return 0
}

func (c *computation) verdict() {
	verdict, reason := c.decide()
	c.run.Verdict = verdict
	c.run.NoGround = c.noGround()
	if reason != "" {
		c.run.Reasons = append(c.run.Reasons, reason)
	}
	c.invalidSteps()
}

// invalidSteps gives a reason for each step that says nothing of the target.
func (c *computation) invalidSteps() {
	for _, p := range c.load() {
		if !p.Valid && p.Cut == "" {
			c.run.Reasons = append(c.run.Reasons, fmt.Sprintf("step %d is invalid: %s", p.Step, strings.Join(p.WhyInvalid, "; ")))
		}
	}
}

// decide returns the verdict and why. What ended the drill early comes first: a
// drill that was not finished proves nothing.
func (c *computation) decide() (verdict, reason string) {
	switch {
	case c.end == nil:
		return Invalid, "the drill was cut off: its journal has no end"
	case c.end.How == observation.EndInterrupted:
		return Invalid, "the drill was interrupted before it was done"
	case c.end.How == observation.EndFailed:
		return Invalid, "the drill could not go on: " + c.end.Detail
	case c.end.How == observation.EndGuard:
		return Fail, "a guard ended the drill: " + c.end.Detail
	case c.torn() != "":
		return Invalid, damaged + c.torn()
	case c.searched():
		return c.decideSearch()
	}
	return c.decideLoad()
}

func (c *computation) decideLoad() (verdict, reason string) {
	steps := c.load()
	if len(steps) == 0 {
		return Invalid, "no step was run"
	}
	for _, p := range steps {
		if !p.Valid {
			return Invalid, "a step is invalid, so that its figures say nothing of the target"
		}
	}
	for _, p := range steps {
		if o, met := c.brokenForSure(p); !met {
			v, _ := p.Metric(o.Request, o.Metric)
			return Fail, fmt.Sprintf("%s does not hold at %s: it was %s", o, c.offered(p), valueText(o, v))
		}
	}
	for _, p := range steps {
		if p.ErrorRatio > 0.5 && !slices.ContainsFunc(c.scenario.Objectives, func(o scenarios.Objective) bool { return o.Metric == "errors" }) {
			return Fail, fmt.Sprintf("%.0f%% of the hits failed at %s, so that their times mean little", 100*p.ErrorRatio, c.offered(p))
		}
	}
	for _, p := range steps {
		for _, o := range c.scenario.Objectives {
			if n, need := ended(p, o), loadgen.Needed(o); n < need {
				return Invalid, fmt.Sprintf("%s at %s: too few hits, %d where it needs %d; run longer or at a higher rate", o.Metric, c.offered(p), n, need)
			}
		}
	}
	if len(c.scenario.Objectives) == 0 {
		return Pass, "no objective was set"
	}
	return Pass, "every objective holds at the load offered"
}

// ended is the number of hits that an objective speaks of.
func ended(p *observation.Point, o scenarios.Objective) uint64 {
	if o.Request == "" {
		return p.OK + p.Failed
	}
	f := p.Requests[o.Request]
	return f.OK + f.Failed
}

// brokenForSure returns the first objective that does not hold at p and has the
// hits to say so.
func (c *computation) brokenForSure(p *observation.Point) (scenarios.Objective, bool) {
	for _, o := range c.scenario.Objectives {
		if v, ok := p.Metric(o.Request, o.Metric); ended(p, o) >= loadgen.Needed(o) && (!ok || !o.Holds(v)) {
			return o, false
		}
	}
	return scenarios.Objective{}, true
}

func (c *computation) offered(p *observation.Point) string {
	if rec, _, _ := c.reducer.Record(p.Step); rec.Users > 0 {
		return fmt.Sprintf("%d users", rec.Users)
	}
	return fmt.Sprintf("%.4g req/s", p.Offered)
}

func valueText(o scenarios.Objective, v float64) string {
	switch o.Unit() {
	case scenarios.UnitMillis:
		return fmt.Sprintf("%.4g ms", v)
	case scenarios.UnitRatio:
		return fmt.Sprintf("%.3g%%", v*100)
	}
	return fmt.Sprintf("%.4g req/s", v)
}

// unserved says why the capacity falls short of what an objective on the throughput asks
// for, or may: no load below that serves it, and the loads above do not meet the rest.
func (c *computation) unserved(x *Capacity) (verdict, reason string) {
	for _, o := range c.scenario.Objectives {
		if o.Metric != "throughput" || o.Request != "" || o.Op != ">" && o.Op != ">=" {
			continue
		}
		switch {
		case x.Confirmed && x.ConfirmedAtRPS >= o.Value, x.RPS.Low >= o.Value:
		case x.Bound == capacity.Above:
			return Invalid, fmt.Sprintf("%s was not asked of the target, which was offered %.4g req/s at most; run a step above %.4g", o, x.RPS.Low, o.Value)
		case x.RPS.High < o.Value:
			return Fail, fmt.Sprintf("%s holds at no load: the capacity is below that", o)
		default:
			return Invalid, fmt.Sprintf("%s lies inside the interval of the capacity, %.4g to %.4g req/s; run longer steps near it", o, x.RPS.Low, x.RPS.High)
		}
	}
	return "", ""
}

// noGround says why nothing may rest on the capacity, whatever the verdict says of a demand and
// however the drill ended; empty if it may.
func (c *computation) noGround() string {
	if torn := c.torn(); torn != "" {
		return damaged + torn
	}
	if few := c.fewHits(); few != "" {
		return few
	}
	if x := c.run.Capacity; x != nil && len(x.ContraryRPS) > 0 {
		return c.contradiction(x)
	}
	return ""
}

// damaged begins what is said of evidence that is not whole.
const damaged = "the evidence is damaged: "

// fewHits says of a table that none of its steps has the hits that an objective needs; empty if
// one has, or if they are not known, as of a table of rates.
func (c *computation) fewHits() string {
	if c.evidence != nil {
		return ""
	}
	for _, o := range c.scenario.Objectives {
		var most uint64
		for _, p := range c.load() {
			if p.Seconds > 0 {
				most = max(most, ended(p, o))
			}
		}
		if need := loadgen.Needed(o); most > 0 && most < need {
			return fmt.Sprintf("%s: too few hits, %d at most where it needs %d; run longer steps", o.Metric, most, need)
		}
	}
	return ""
}

// contradiction says of steps that held and broke an objective where the load does not tell why.
func (c *computation) contradiction(x *Capacity) string {
	var held, broke []string
	name := func(to *[]string, p *observation.Point) {
		if at := c.offered(p); !slices.Contains(*to, at) {
			*to = append(*to, at)
		}
	}
	var missed scenarios.Objective
	for _, p := range c.load() {
		switch o, met := c.broken(p); {
		case !p.Valid || p.Cut != "":
		case met && p.Offered > alike*x.ContraryRPS[0]:
			name(&held, p)
		case !met && slices.Contains(x.ContraryRPS, p.Offered):
			missed = o
			name(&broke, p)
		}
	}
	return fmt.Sprintf("the steps contradict each other: %s broke at %s and held at %s; offer these loads again, after a longer warm-up", missed, joined(broke), joined(held))
}

// coveredBelow says that a step held at the demand or above it, and below all that broke.
func (c *computation) coveredBelow(x *Capacity) bool {
	return c.run.Headroom != nil && slices.ContainsFunc(c.load(), func(p *observation.Point) bool {
		_, met := c.broken(p)
		return met && p.Valid && p.Cut == "" && p.Offered >= c.run.Headroom.DemandRPS && p.Offered < alike*x.ContraryRPS[0]
	})
}

// alike is the share of a load from which another one is taken for the same.
const alike = 0.99

func (c *computation) decideSearch() (verdict, reason string) {
	valid := 0
	for _, p := range c.load() {
		if p.Valid {
			valid++
		}
	}
	x := c.run.Capacity
	switch {
	case valid == 0:
		return Invalid, "no step of the search is valid"
	case x == nil:
		return Invalid, "the steps do not show a capacity"
	case c.fewHits() != "":
		return Invalid, c.fewHits()
	case x.Bound == capacity.Below:
		return Fail, fmt.Sprintf("capacity is below %.4g req/s, the lowest load that was offered", x.RPS.High)
	}
	if len(x.ContraryRPS) > 0 && !c.coveredBelow(x) {
		return Invalid, c.contradiction(x)
	}
	if verdict, reason := c.unserved(x); verdict != "" {
		return verdict, reason
	}
	if c.run.Headroom == nil {
		if x.Bound == capacity.Predicted {
			return Pass, "a capacity was predicted, and no demand was set to hold it against"
		}
		return Pass, "a capacity was found, and no demand was set to hold it against"
	}
	demand := c.run.Headroom.DemandRPS
	what := "the capacity"
	if x.Bound == capacity.Predicted {
		what = "the predicted capacity"
	}
	switch {
	case x.Confirmed && x.ConfirmedAtRPS >= demand:
		return Pass, fmt.Sprintf("the capacity covers the demand of %.4g req/s", demand)
	case x.RPS.Low >= demand:
		return Pass, fmt.Sprintf("%s covers the demand of %.4g req/s", what, demand)
	case x.Bound != capacity.Above && x.RPS.High < demand:
		return Fail, fmt.Sprintf("%s is below the demand of %.4g req/s", what, demand)
	}
	switch x.Bound {
	case capacity.Above:
		return Invalid, fmt.Sprintf("the demand of %.4g req/s lies above what was offered, %.4g req/s; run a step at the demand", demand, x.RPS.Low)
	case capacity.Predicted:
		return Invalid, fmt.Sprintf("the demand of %.4g req/s lies inside the interval of %s, %.4g to %.4g req/s; run a step at the demand", demand, what, x.RPS.Low, x.RPS.High)
	}
	return Invalid, fmt.Sprintf("the demand of %.4g req/s lies inside the interval of %s, %.4g to %.4g req/s; run longer steps near the demand", demand, what, x.RPS.Low, x.RPS.High)
}
