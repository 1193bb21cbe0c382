package scenarios

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
)

// shapes are the kinds of load that can stand alone and in a sequence.
type shapes struct {
	constant *ConstantLoad
	steps    *StepsLoad
	ramp     *RampLoad
	spike    *SpikeLoad
	sine     *SineLoad
	replay   *ReplayLoad
	closed   *ClosedLoad
}

func (l *LoadSpec) shapes() shapes {
	return shapes{l.Constant, l.Steps, l.Ramp, l.Spike, l.Sine, l.Replay, l.Closed}
}

func (p *SequencePart) shapes() shapes {
	return shapes{p.Constant, p.Steps, p.Ramp, p.Spike, p.Sine, p.Replay, p.Closed}
}

// closed says whether all of the load is virtual users.
func (l *LoadSpec) closed() bool {
	return l.Closed != nil || len(l.Sequence) > 0 &&
		!slices.ContainsFunc(l.Sequence, func(p SequencePart) bool { return p.Closed == nil })
}

// loadKinds are the keys of a load of which there must be one; partKinds are
// those of a part of a sequence.
func loadKinds() []string { return append(append([]string{"search"}, partKinds()...), "sequence") }

func partKinds() []string {
	var kinds []string
	for _, f := range fieldsOf(reflect.TypeFor[SequencePart]()) {
		if f.typ.Kind() == reflect.Pointer {
			kinds = append(kinds, f.key)
		}
	}
	return kinds
}

// oneKind complains unless exactly one of the kinds is set in v, which lies at
// path.
func (c *complaints) oneKind(path string, v reflect.Value, known []string) {
	var kinds []string
	for _, f := range fieldsOf(v.Type()) {
		if slices.Contains(known, f.key) && (!v.Field(f.index).IsZero() || c.given(join(path, f.key))) {
			kinds = append(kinds, f.key)
		}
	}
	switch {
	case len(kinds) == 0 && !c.broken[path+".*"]:
		c.quote(path, "", path+" says no kind", "add one of "+strings.Join(known, ", ")+", such as "+known[0]+": "+example(known[0]))
	case len(kinds) > 1:
		c.quote(path+"."+kinds[1], "", path+" has more than one kind: "+strings.Join(kinds, ", "),
			"keep one; --set "+path+"."+kinds[0]+"= removes one")
	}
}

func example(kind string) string {
	if kind == "search" {
		return "{}"
	}
	return "{rate: 100, duration: 10s}"
}

func (s *Scenario) checkLoad(c *complaints) {
	l := &s.Load
	c.oneKind("load", reflect.ValueOf(*l), loadKinds())
	c.warmup("load.warmup", l.Warmup, l.closed())
	s.checkArrivals(c)
	s.checkSearch(c)
	s.checkShapes(c, l.shapes(), "load")
	if l.Sequence == nil && !c.given("load.sequence") {
		return
	}
	if len(l.Sequence) == 0 {
		c.quote("load.sequence", "", "load.sequence is empty", "write it like [{constant: {rate: 100, duration: 10s}}, {ramp: ...}]")
	}
	for i := range l.Sequence {
		part, path := &l.Sequence[i], fmt.Sprintf("load.sequence[%d]", i)
		c.oneKind(path, reflect.ValueOf(*part), partKinds())
		c.warmup(path+".warmup", part.Warmup, part.Closed != nil)
		s.checkShapes(c, part.shapes(), path)
		if part.Closed != nil && !l.closed() {
			c.quote(path+".closed", "", path+" is closed, but other parts are not", "users wait for answers and arrivals do not: make two drills of them")
		}
	}
}

func (c *complaints) warmup(path string, lasts Duration, closed bool) {
	if lasts < 0 || time.Duration(lasts) > maxDuration {
		c.quoteIfNew(path, lasts.String(), path+" must not be negative", "0s is no warm-up")
	}
	if lasts > 0 && closed {
		c.quoteIfNew(path, lasts.String(), "a closed load has no warm-up step", "remove "+path)
	}
}

func (s *Scenario) checkArrivals(c *complaints) {
	l := &s.Load
	switch {
	case l.Arrivals != Poisson && l.Arrivals != Constant && l.Arrivals != Trace:
		c.quoteIfNew("load.arrivals", string(l.Arrivals), "load.arrivals must be poisson, constant or trace", "")
	case l.Replay != nil && l.Arrivals != Trace:
		c.quoteIfNew("load.arrivals", string(l.Arrivals), "load.arrivals must be trace: a replay has the arrivals of its recording", "remove load.arrivals")
	case l.Replay == nil && l.Arrivals == Trace && !c.broken["load.replay"]:
		c.quoteIfNew("load.arrivals", string(l.Arrivals), "load.arrivals can be trace for load.replay only", "use poisson or constant")
	}
}

func (s *Scenario) checkSearch(c *complaints) {
	l := s.Load.Search
	if l == nil {
		return
	}
	c.rate("load.search.from", l.From, s, false)
	c.rate("load.search.to", l.To, s, false)
	if l.From >= l.To && l.To > 0 {
		path := "load.search.from"
		if !c.given(path) {
			path = "load.search.to"
		}
		c.add(path, fmt.Sprintf("load.search.from (%s) must be below load.search.to (%s)", number(l.From), number(l.To)), "")
	}
	c.lasts("load.search.step", l.Step)
	c.lasts("load.search.budget", l.Budget)
	if l.Step > 0 && l.Budget > 0 && l.Budget < 3*l.Step {
		path := "load.search.budget"
		if !c.given(path) {
			path = "load.search.step"
		}
		c.add(path, fmt.Sprintf("load.search.budget (%s) has no room for three steps of %s", l.Budget, l.Step), "raise the budget or shorten the step")
	}
}

// checkShapes checks what is set of l, which lies at path.
func (s *Scenario) checkShapes(c *complaints, l shapes, path string) {
	if l := l.constant; l != nil {
		c.rate(path+".constant.rate", l.Rate, s, false)
		c.lasts(path+".constant.duration", l.Duration)
	}
	if l := l.steps; l != nil {
		if len(l.Rates) == 0 {
			c.quote(path+".steps.rates", "", path+".steps.rates is empty", "write them like [100, 200, 400]")
		}
		for i, r := range l.Rates {
			c.rate(fmt.Sprintf("%s.steps.rates[%d]", path, i), r, s, false)
		}
		c.lasts(path+".steps.duration", l.Duration)
	}
	if l := l.ramp; l != nil {
		c.rate(path+".ramp.from", l.From, s, true)
		c.rate(path+".ramp.to", l.To, s, true)
		if l.From == l.To {
			c.add(path+".ramp.to", fmt.Sprintf("%s.ramp goes from %s to %s", path, number(l.From), number(l.To)), "a load that stays is constant: {rate: ..., duration: ...}")
		}
		c.lasts(path+".ramp.duration", l.Duration)
	}
	if l := l.closed; l != nil {
		c.positive(path+".closed.users", float64(l.Users), maxUsers)
		if l.Think != 0 || c.given(path+".closed.think") {
			c.notNegative(path+".closed.think", time.Duration(l.Think).Seconds(), maxDuration.Seconds())
		}
		c.lasts(path+".closed.duration", l.Duration)
	}
	if l.spike != nil {
		s.checkSpike(c, l.spike, path+".spike")
	}
	if l.sine != nil {
		s.checkSine(c, l.sine, path+".sine")
	}
	if l := l.replay; l != nil {
		if l.File == "" {
			c.quote(path+".replay.file", "", path+".replay.file is empty", "name an access log, a .csv or a .har")
		}
		if !(l.Speed >= 0.001) || l.Speed > 1000 {
			c.quoteIfNew(path+".replay.speed", number(l.Speed), path+".replay.speed must be from 0.001 to 1000", "2 offers twice the load in half the time")
		}
	}
}

func (s *Scenario) checkSpike(c *complaints, l *SpikeLoad, path string) {
	c.rate(path+".base", l.Base, s, true)
	c.rate(path+".peak", l.Peak, s, false)
	if l.Peak <= l.Base && l.Peak > 0 {
		c.add(path+".peak", fmt.Sprintf("%s.peak (%s) must be above base (%s)", path, number(l.Peak), number(l.Base)), "")
	}
	if l.At < 0 || time.Duration(l.At) > maxDuration {
		c.quoteIfNew(path+".at", l.At.String(), fmt.Sprintf("%s.at must be from 0s to %s", path, Duration(maxDuration)), "")
	}
	c.lasts(path+".lasts", l.Lasts)
	c.lasts(path+".duration", l.Duration)
	if end := l.At + l.Lasts; l.At >= 0 && l.Lasts > 0 && l.Duration > 0 && end > l.Duration {
		c.add(path+".duration", fmt.Sprintf("%s ends at %s, after its duration", path, end), "raise the duration to leave time to recover")
	}
}

func (s *Scenario) checkSine(c *complaints, l *SineLoad, path string) {
	c.rate(path+".mean", l.Mean, s, false)
	c.positive(path+".amplitude", l.Amplitude, maxRate)
	if l.Amplitude > l.Mean && l.Mean > 0 {
		c.add(path+".amplitude", fmt.Sprintf("%s.amplitude (%s) must not be above mean (%s): no load is negative", path, number(l.Amplitude), number(l.Mean)), "")
	} else if l.Amplitude > 0 && l.Mean+l.Amplitude > s.Safety.MaxRPS && l.Mean <= s.Safety.MaxRPS && !c.broken["safety.max_rps"] {
		c.add(path+".amplitude", fmt.Sprintf("%s peaks at %s, above safety.max_rps, which is %s", path, number(l.Mean+l.Amplitude), number(s.Safety.MaxRPS)),
			"raise safety.max_rps if the target may be given that much")
	}
	c.lasts(path+".period", l.Period)
	if l.Period > 0 && time.Duration(l.Period) < time.Millisecond {
		c.add(path+".period", path+".period is below 1ms", "")
	}
	c.lasts(path+".duration", l.Duration)
}
