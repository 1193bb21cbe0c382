package scenarios

import (
	"fmt"
	"slices"
	"time"
)

// Compile turns a scenario, as Load returns it, into a plan. It is pure: a
// scenario whose seed is 0 is compiled with seed 0, so a drill that is to draw a
// seed sets s.Load.Seed before, which also brings it into the evidence.
//
// A ramp is one step whose From and To differ, steps are a step each, and a
// search is a warm-up only, since its steps are chosen as results come in. An
// open load begins with a warm-up step at its lowest rate; a tenth of its
// highest if the lowest is 0. The error is a *Problems.
func Compile(s *Scenario) (*Plan, error) {
	c := newComplaints("")
	s.checkLoad(c)
	if len(s.Target.Requests) == 0 {
		c.quote("target.requests", "", "target.requests is empty", "load the scenario with Load or Validate it, which fill in the defaults")
	}
	for i, r := range s.Target.Requests {
		c.positive(fmt.Sprintf("target.requests[%d].weight", i), r.Weight, 1e9)
	}
	if err := problemsOf(c.list); err != nil {
		return nil, err
	}
	p := &Plan{Name: s.Name, Seed: s.Load.Seed, Arrivals: s.Load.Arrivals}
	for _, r := range s.Target.Requests {
		p.Weights = append(p.Weights, r.Weight)
		p.Names = append(p.Names, r.Name)
	}
	p.addSteps(&s.Load)
	var first uint64
	for i := range p.Steps {
		p.Steps[i].Index, p.Steps[i].First = i, first
		first += p.Count(p.Steps[i])
	}
	return p, nil
}

func (p *Plan) addSteps(l *LoadSpec) {
	warmup := func(lowest, highest float64) {
		if lowest == 0 {
			lowest = highest / 10
		}
		if l.Warmup > 0 {
			p.Steps = append(p.Steps, Step{Kind: KindWarmup, From: lowest, To: lowest, Lasts: time.Duration(l.Warmup)})
		}
	}
	add := func(from, to float64, lasts Duration) {
		p.Steps = append(p.Steps, Step{Kind: KindLoad, From: from, To: to, Lasts: time.Duration(lasts)})
	}
	switch {
	case l.Search != nil:
		search := *l.Search
		p.Search = &search
		warmup(search.From, search.To)
	case l.Constant != nil:
		warmup(l.Constant.Rate, l.Constant.Rate)
		add(l.Constant.Rate, l.Constant.Rate, l.Constant.Duration)
	case l.Steps != nil:
		warmup(slices.Min(l.Steps.Rates), slices.Max(l.Steps.Rates))
		for _, r := range l.Steps.Rates {
			add(r, r, l.Steps.Duration)
		}
	case l.Ramp != nil:
		warmup(min(l.Ramp.From, l.Ramp.To), max(l.Ramp.From, l.Ramp.To))
		add(l.Ramp.From, l.Ramp.To, l.Ramp.Duration)
	case l.Closed != nil:
		p.Steps = append(p.Steps, Step{Kind: KindLoad, Users: l.Closed.Users,
			Think: time.Duration(l.Closed.Think), Lasts: time.Duration(l.Closed.Duration)})
	}
}
