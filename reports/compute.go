package reports

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/headroom-project/headroom/capacity"
	"github.com/headroom-project/headroom/capacity/forecast"
	"github.com/headroom-project/headroom/loadgen"
	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

// CutOff is how a drill ended whose journal has no end: the process was killed.
const CutOff = "cut-off"

// ErrEmpty is returned for a folder in which no drill has begun.
var ErrEmpty = errors.New("the bundle holds no drill")

// Compute makes run.json from the evidence alone. It is a pure function of the
// files, so that anyone who has a bundle comes to the same figures. Evidence of a
// drill that was cut off gives a run as far as it got.
func Compute(e *observation.Evidence) (*Run, error) { return ComputeFor(e, Question{}) }

// ComputeFor is Compute with other questions than the drill was run for.
func ComputeFor(e *observation.Evidence, q Question) (*Run, error) {
	c, err := begin(e, q)
	if err != nil {
		return nil, err
	}
	c.judge()
	c.steps()
	c.totals()
	c.timeline()
	c.profiles()
	c.doubts()
	c.analyse()
	c.bounded()
	c.demand()
	c.profiling()
	c.attribute()
	c.objectives()
	c.verdict()
	c.absentProfiles()
	c.missing()
	c.method()
	return &c.run, nil
}

// begin starts a computation with what scenario and journal say.
func begin(e *observation.Evidence, q Question) (*computation, error) {
	s, err := scenarios.Load(observation.ScenarioFile, e.Scenario, scenarios.LoadOptions{})
	if err != nil {
		return nil, fmt.Errorf("compute run: %w", err)
	}
	c := &computation{evidence: e, scenario: q.about(s), reducer: e.Reduce(), fit: q.Fit, past: q.Past, now: q.Now}
	if err := c.journal(); err != nil {
		return nil, err
	}
	c.recorded(s.Objectives)
	return c, nil
}

// computation fills a Run part by part; each part reads only those before it.
type computation struct {
	evidence *observation.Evidence
	scenario *scenarios.Scenario
	reducer  *observation.Reducer

	run    Run
	fleet  []observation.FleetRecord
	drill  observation.DrillRecord
	end    *observation.EndRecord
	points []observation.Point // judged
	// fit asks for the capacity of a fixed load too.
	fit bool
	// past are scores of earlier drills of the target.
	past []capacity.Score
	// now is the day from which demand grows; zero for that of the drill.
	now time.Time
	// outlook says in a sentence how the demand to come was found.
	outlook string
	// peak is the highest load of production that is ahead; nil if it is not known.
	peak  *forecast.Figure
	split *halvesOf
	// others says that the objectives are not those that the drill searched for.
	others bool
	// absent are the captures that the bundle does not hold.
	absent []string
}

func (c *computation) journal() error {
	c.run = Run{Schema: Schema, Reasons: []string{}, Warnings: []string{}, Method: []string{}, Ended: CutOff}
	begun := false
	for _, x := range c.evidence.Journal {
		switch {
		case x.Drill != nil:
			c.drill, begun = *x.Drill, true
		case x.End != nil:
			c.end = x.End
			c.run.Ended, c.run.EndedDetail = x.End.How, x.End.Detail
		case x.Kind == observation.EntryWarning:
			c.warn(x.Text)
		case x.Fleet != nil:
			c.fleet = append(c.fleet, *x.Fleet)
		}
		c.run.DurationS = max(c.run.DurationS, milliseconds(x.At))
	}
	if !begun {
		return fmt.Errorf("compute run: %s: %w", c.evidence.Dir, ErrEmpty)
	}
	c.run.ID, c.run.Name, c.run.Target = c.drill.ID, c.drill.Name, c.drill.Target
	c.run.Started = c.drill.Started.UTC().Format(time.RFC3339)
	c.run.Environment = maps.Clone(c.drill.Environment)
	if c.run.Environment == nil {
		c.run.Environment = map[string]any{}
	}
	c.run.Environment["workers"] = c.drill.Workers
	// As text: not every JSON reader keeps 64-bit integers.
	c.run.Environment["seed"] = fmt.Sprint(c.drill.Seed)
	c.tellOfFleet()
	for _, d := range c.evidence.Damage {
		c.warn(d)
	}
	for _, w := range c.scenario.Warnings() {
		c.warn(w)
	}
	return nil
}

// milliseconds is a time in seconds, cut to whole milliseconds.
func milliseconds(d time.Duration) float64 { return float64(d.Milliseconds()) / 1000 }

// warn adds a warning once.
func (c *computation) warn(text string) {
	if !slices.Contains(c.run.Warnings, text) {
		c.run.Warnings = append(c.run.Warnings, text)
	}
}

func (c *computation) judge() {
	c.points = c.reducer.Points()
	for i := range c.points {
		loadgen.Judge(&c.points[i], c.scenario.Objectives)
	}
}

func (c *computation) steps() {
	c.run.Steps = []Step{}
	for i := range c.points {
		p := &c.points[i]
		rec, _, captures := c.reducer.Record(p.Step)
		step := Step{
			Index: p.Step, Kind: p.Kind, Reason: rec.Reason, OfferedRPS: p.Offered, ThroughputRPS: p.Throughput, Users: rec.Users,
			Seconds: p.Seconds, DiscardedS: p.Discarded, Sent: p.Sent, OK: p.OK, Failed: p.Failed, Dropped: p.Dropped,
			Response: p.Response, Service: p.Service, SendLag: p.SendLag, ErrorRatio: p.ErrorRatio, Errors: p.Errors,
			InFlight: p.InFlight, Busy: p.Busy, Valid: p.Valid, WhyInvalid: p.WhyInvalid, Cut: p.Cut, Short: p.Short,
			Resources: p.Resources, Requests: p.Requests, Captures: []CaptureRef{},
		}
		for _, x := range captures {
			if x.Type == observation.CountersType {
				continue
			}
			step.Captures = append(step.Captures, CaptureRef{Type: x.Type, File: x.File, Samples: x.Samples, Error: x.Error, Note: x.Note})
		}
		step.ProfiledS = profiledSeconds(p)
		slices.SortStableFunc(step.Captures, func(a, b CaptureRef) int { return cmp.Compare(a.Type, b.Type) })
		if judged(p.Kind) && p.OK+p.Failed > 0 && len(c.scenario.Objectives) > 0 {
			_, met := c.broken(p)
			step.Met = &met
		}
		c.run.Steps = append(c.run.Steps, step)
	}
}

// judged says whether objectives are held against steps of a kind.
func judged(kind string) bool {
	return kind != scenarios.KindWarmup && kind != scenarios.KindAttribute
}

// broken returns the first objective that does not hold at p, and whether all do.
func (c *computation) broken(p *observation.Point) (scenarios.Objective, bool) {
	for _, o := range c.scenario.Objectives {
		if v, ok := p.Metric(o.Request, o.Metric); c.asks(p, o) && (!ok || !o.Holds(v)) {
			return o, false
		}
	}
	return scenarios.Objective{}, true
}

func (c *computation) totals() {
	t := &c.run.Totals
	t.Planned, t.Sent, t.OK, t.Failed, t.Dropped, t.Errors = c.reducer.Totals()
	t.Followed = c.reducer.Followed()
	if lost := c.lost(); lost != 0 {
		c.warn(fmt.Sprintf("%d planned hits have no outcome in the evidence: it was cut off before they ended", lost))
	}
	c.answers()
}

// lost is how many planned hits have no outcome in the evidence.
func (c *computation) lost() int64 {
	t := &c.run.Totals
	return int64(t.Planned) - int64(t.OK+t.Failed+t.Dropped)
}

// answers takes the mean size of an answer.
func (c *computation) answers() {
	var bytes, hits float64
	for i := range c.points {
		for _, w := range c.points[i].Windows {
			bytes, hits = bytes+float64(w.Tally.BytesIn), hits+float64(w.Tally.Ended())
		}
	}
	c.run.BytesPerRequest = bytes / max(hits, 1)
}

// maxWidth bounds the seconds of one cell, in steps of up to a month.
const maxWidth = 1 << 16

// timeline has a tick for each second in which a step was offered.
func (c *computation) timeline() {
	c.run.Timeline = []Tick{}
	for i := range c.points {
		p := &c.points[i]
		rec, _, _ := c.reducer.Record(p.Step)
		served := c.reducer.Served(p.Step)
		for _, s := range c.reducer.AllSeconds(p.Step) {
			if s.Tally.Ended() == 0 && s.Planned == 0 {
				continue
			}
			q := observation.QuantilesOf(s.Tally.Response)
			tick := Tick{
				T: s.At, Step: p.Step, Offered: float64(s.Planned) / float64(s.Width), P50: q.P50, P99: q.P99,
				InFlight:  int(q.Mean / 1000 * float64(s.Tally.Ended()) / float64(s.Width)),
				Discarded: time.Duration(s.Second)*time.Second < rec.Discard, Profiled: s.Profiled,
			}
			for k := range min(s.Width, maxWidth) {
				tick.Throughput += float64(served[s.Second+k]) / float64(s.Width)
			}
			if n := s.Tally.Ended(); n > 0 {
				tick.Errors = float64(s.Tally.Failed) / float64(n)
			}
			c.run.Timeline = append(c.run.Timeline, tick)
		}
	}
}
