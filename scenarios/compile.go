package scenarios

import (
	"fmt"
	"slices"
	"time"
)

// Compile is CompileWith for a scenario whose load names no file: a replay is
// refused.
func Compile(s *Scenario) (*Plan, error) { return CompileWith(s, Inputs{}) }

// CompileWith turns a scenario, as Load returns it, into a plan. It is a pure
// function of the scenario and of the recordings that it replays, which are read
// through in.Open. A scenario whose seed is 0 is compiled with seed 0, so a
// drill that is to draw a seed sets s.Load.Seed before, which also brings it
// into the evidence.
//
// A ramp is one step whose From and To differ, spike, sine and replay are one
// step with a Shape, steps are a step each, and a search is a warm-up only, since
// its steps are chosen as results come in. An open load begins with a warm-up
// step at its lowest rate; a tenth of its highest if the lowest is 0. The error
// is a *Problems.
func CompileWith(s *Scenario, in Inputs) (*Plan, error) {
	c := newComplaints("")
	s.checkLoad(c)
	requests, at := s.Target.mix()
	if len(requests) == 0 {
		c.quote("target.requests", "", "target.requests is empty", "load the scenario with Load or Validate it, which fill in the defaults")
	}
	p := &Plan{Name: s.Name, Seed: s.Load.Seed, Arrivals: s.Load.Arrivals, Flow: len(s.Target.Flow)}
	for i, r := range requests {
		if len(s.Target.Flow) > 0 {
			r.Weight = 1 // all of a flow are sent as often as each other
		}
		c.positive(indexed(at, i)+".weight", r.Weight, 1e9)
		p.Weights = append(p.Weights, r.Weight)
		p.Names = append(p.Names, r.Name)
	}
	if err := problemsOf(c.list); err != nil {
		return nil, err
	}
	files := &replays{complaints: c, plan: p, in: in, maxRPS: s.Safety.MaxRPS, known: map[string]int{}}
	p.addLoad(&s.Load, files)
	if err := problemsOf(c.list); err != nil {
		return nil, err
	}
	var first uint64
	for i := range p.Steps {
		p.Steps[i].Index, p.Steps[i].First = i, first
		first += p.Count(p.Steps[i])
	}
	return p, nil
}

func (p *Plan) addLoad(l *LoadSpec, files *replays) {
	if l.Search != nil {
		search := *l.Search
		p.Search = &search
		p.warmup(l.Warmup, search.From, search.To)
	}
	p.addSteps(l.shapes(), l.Warmup, files, "load")
	for i := range l.Sequence {
		part := &l.Sequence[i]
		warmup := part.Warmup
		if i == 0 && warmup == 0 {
			warmup = l.Warmup
		}
		p.addSteps(part.shapes(), warmup, files, fmt.Sprintf("load.sequence[%d]", i))
	}
}

// warmup adds a step at the lowest rate.
func (p *Plan) warmup(lasts Duration, lowest, highest float64) {
	if lowest == 0 {
		lowest = highest / 10
	}
	if lasts > 0 {
		p.Steps = append(p.Steps, Step{Kind: KindWarmup, From: lowest, To: lowest, Lasts: time.Duration(lasts)})
	}
}

// addSteps adds what one kind of load offers, its warm-up first.
func (p *Plan) addSteps(l shapes, warmup Duration, files *replays, path string) {
	add := func(s Step) {
		s.Kind = KindLoad
		p.Steps = append(p.Steps, s)
	}
	line := func(from, to float64, lasts Duration) { add(Step{From: from, To: to, Lasts: time.Duration(lasts)}) }
	shaped := func(mass float64, lasts time.Duration, shape Shape) {
		mean := mass / lasts.Seconds()
		add(Step{From: mean, To: mean, Lasts: lasts, Shape: &shape})
	}
	switch {
	case l.constant != nil:
		p.warmup(warmup, l.constant.Rate, l.constant.Rate)
		line(l.constant.Rate, l.constant.Rate, l.constant.Duration)
	case l.steps != nil:
		p.warmup(warmup, slices.Min(l.steps.Rates), slices.Max(l.steps.Rates))
		for _, r := range l.steps.Rates {
			line(r, r, l.steps.Duration)
		}
	case l.ramp != nil:
		p.warmup(warmup, min(l.ramp.From, l.ramp.To), max(l.ramp.From, l.ramp.To))
		line(l.ramp.From, l.ramp.To, l.ramp.Duration)
	case l.spike != nil:
		p.warmup(warmup, l.spike.Base, l.spike.Peak)
		pieces := l.spike.pieces()
		shaped(massOf(pieces), time.Duration(l.spike.Duration), Shape{Pieces: pieces})
	case l.sine != nil:
		p.warmup(warmup, l.sine.Mean-l.sine.Amplitude, l.sine.Mean+l.sine.Amplitude)
		lasts := time.Duration(l.sine.Duration)
		sine := SineShape{Mean: l.sine.Mean, Amplitude: l.sine.Amplitude, Period: time.Duration(l.sine.Period)}
		shaped(newWave(&sine).mass(lasts.Seconds()), lasts, Shape{Sine: &sine})
	case l.replay != nil:
		i, ok := files.read(l.replay, path+".replay")
		if !ok {
			return
		}
		lasts, n := p.Traces[i].length(l.replay.Speed), float64(p.Traces[i].Len())
		p.warmup(warmup, n/lasts.Seconds(), n/lasts.Seconds())
		shaped(n, lasts, Shape{Trace: &TraceShape{Trace: i, Speed: l.replay.Speed}})
	case l.closed != nil:
		add(Step{Users: l.closed.Users, Think: time.Duration(l.closed.Think), Lasts: time.Duration(l.closed.Duration)})
	}
}

// pieces are the base, the peak and the base again, those of no length left out.
func (l *SpikeLoad) pieces() []Piece {
	rest := l.Duration - l.At - l.Lasts
	all := []Piece{
		{l.Base, l.Base, time.Duration(l.At)},
		{l.Peak, l.Peak, time.Duration(l.Lasts)},
		{l.Base, l.Base, time.Duration(rest)},
	}
	return slices.DeleteFunc(all, func(p Piece) bool { return p.Lasts <= 0 })
}
