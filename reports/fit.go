package reports

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/headroom-project/headroom/capacity"
	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/loadgen/search"
	"github.com/headroom-project/headroom/scenarios"
)

// Question replaces what a scenario asks. The zero Question changes nothing.
type Question struct {
	// Objectives replace the scenario's, if there are any.
	Objectives []scenarios.Objective
	// Demand and Prices replace the scenario's unless nil.
	Demand *scenarios.Demand
	Prices *scenarios.Prices
	// ArrivalsSCV replaces the scenario's unless 0.
	ArrivalsSCV float64
	// Fit asks for the capacity of a fixed load too.
	Fit bool
	// Past are scores of earlier drills of the target (Backtest), by which the
	// interval of a prediction is calibrated besides.
	Past []capacity.Score
	// Now is the day from which demand grows; zero for the day of the drill.
	Now time.Time
}

// about returns the scenario with the question's changes; s is not changed.
func (q Question) about(s *scenarios.Scenario) *scenarios.Scenario {
	out := *s
	if len(q.Objectives) > 0 {
		out.Objectives = q.Objectives
	}
	if q.Demand != nil {
		out.Capacity.Demand = q.Demand
	}
	if q.Prices != nil {
		out.Capacity.Prices = q.Prices
	}
	if q.ArrivalsSCV > 0 {
		out.Capacity.ArrivalsSCV = q.ArrivalsSCV
	}
	return &out
}

// Measured are the points of somebody's measurement, with no evidence behind them.
type Measured struct {
	// Name and Source say what it is and where it came from.
	Name, Source string
	// Started is in RFC 3339, empty if it is not known.
	Started string
	// Points are not changed. Their Valid and WhyInvalid are taken as they are.
	Points []observation.Point
	// Method says in sentences how the points came about, and Warnings what they
	// lack.
	Method, Warnings []string
	// Seed of the bootstrap.
	Seed uint64
}

// Fit makes a Run of points: the same figures, in the same words, as of a drill,
// as far as the points support them. What they do not support is a reason of an
// invalid verdict, which says what would make them.
func Fit(m Measured, q Question) *Run {
	c := &computation{
		scenario: q.about(&scenarios.Scenario{Name: m.Name}), reducer: observation.NewReducer(), points: slices.Clone(m.Points), fit: true, past: q.Past, now: q.Now,
		drill: observation.DrillRecord{Seed: m.Seed}, end: &observation.EndRecord{How: observation.EndDone},
	}
	c.run = Run{
		Schema: Schema, ID: m.Name, Name: m.Name, Target: m.Source, Started: m.Started, Ended: observation.EndDone,
		Reasons: []string{}, Warnings: []string{}, Method: slices.Clone(m.Method),
		Environment: map[string]any{"source": m.Source, "seed": fmt.Sprint(m.Seed)},
		Timeline:    []Tick{},
	}
	for _, w := range m.Warnings {
		c.warn(w)
	}
	c.steps()
	c.sum()
	c.doubts()
	c.analyse()
	c.attribute()
	c.objectives()
	c.verdict()
	c.unidentified()
	if c.run.Capacity != nil {
		c.run.Method = append(c.run.Method, "Capacity: "+c.run.Capacity.Method+".")
	}
	if c.outlook != "" {
		c.run.Method = append(c.run.Method, c.outlook)
	}
	return &c.run
}

// sum adds the steps up, for want of counts of the whole.
func (c *computation) sum() {
	t := &c.run.Totals
	for _, p := range c.points {
		t.Sent, t.OK, t.Failed, t.Dropped = t.Sent+p.Sent, t.OK+p.OK, t.Failed+p.Failed, t.Dropped+p.Dropped
		c.run.DurationS += p.Seconds
	}
	t.Planned = t.OK + t.Failed + t.Dropped
	c.answers()
}

// unidentified turns a capacity that is bounded on one side only into an invalid
// verdict, with what to run, unless the bound answers for a demand.
func (c *computation) unidentified() {
	if c.run.Headroom != nil && c.run.Verdict != Invalid {
		return
	}
	low, high, distinct := c.span()
	x := c.run.Capacity
	switch {
	case x != nil && len(x.ContraryRPS) > 0:
		c.unknown(c.contradiction(x))
	case distinct == 0:
		c.unknown("no point says anything of a load")
	case x != nil && x.Bound == capacity.Above && distinct == 1:
		c.unknown(fmt.Sprintf("all points are at %.4g req/s, where %s; run steps above it, such as %.4g req/s", high, c.holding(), 2*high))
	case x != nil && x.Bound == capacity.Above:
		c.unknown(fmt.Sprintf("%s at every load, so that the capacity is at least %.4g req/s; run a step above %.4g req/s", c.holding(), x.RPS.Low, high))
	case x == nil && c.run.Totals.OK == 0 && c.run.Totals.Failed > 0:
		c.unknown("every hit failed, and a target that answers nothing has no capacity")
	case x == nil && len(c.scenario.Objectives) > 0:
		c.unknown("no point says whether " + c.holding())
	case x != nil && x.Bound == capacity.Below:
		// That it is below is an answer; which is not known.
		c.run.Reasons = append(c.run.Reasons, fmt.Sprintf("run a step below %.4g req/s to learn where %s", low, c.holding()))
	}
}

// holding says of the objectives that they hold.
func (c *computation) holding() string {
	objectives := make([]string, 0, len(c.scenario.Objectives))
	for _, o := range c.scenario.Objectives {
		objectives = append(objectives, o.String())
	}
	if len(objectives) == 1 {
		return objectives[0] + " holds"
	}
	return joined(objectives) + " hold"
}

func (c *computation) unknown(why string) {
	c.run.Verdict = Invalid
	c.run.Reasons = []string{"not identifiable from this data: " + why}
	c.invalidSteps()
}

// span is the range of the loads that say something, and how many there are that
// differ by more than a hundredth.
func (c *computation) span() (low, high float64, distinct int) {
	var loads []float64
	for _, p := range search.Usable(c.points) {
		loads = append(loads, p.Offered)
	}
	if len(loads) == 0 {
		return 0, 0, 0
	}
	slices.Sort(loads)
	last := math.Inf(-1)
	for _, x := range loads {
		if x > 1.01*last {
			distinct++
			last = x
		}
	}
	return loads[0], loads[len(loads)-1], distinct
}

// Points returns the points of a bundle, judged.
func Points(e *observation.Evidence, q Question) ([]observation.Point, error) {
	s, err := scenarios.Load(observation.ScenarioFile, e.Scenario, scenarios.LoadOptions{})
	if err != nil {
		return nil, fmt.Errorf("read points: %w", err)
	}
	c := &computation{scenario: q.about(s), reducer: e.Reduce()}
	c.judge()
	out := make([]observation.Point, 0, len(c.points))
	for _, p := range c.load() {
		out = append(out, *p)
	}
	return out, nil
}
