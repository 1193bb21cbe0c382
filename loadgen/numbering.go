package loadgen

import "github.com/headroom-project/headroom/scenarios"

// numbering gives the hits of a drill their numbers, step by step.
type numbering struct {
	last    *scenarios.Step // the step before
	flows   uint64          // of the steps before it
	planned uint64          // hits, when it began
}

// first is the number of the first hit of a step that begins when so many hits
// have been planned. In a flow the hits of a step's plan are what begins a pass:
// they are numbered without gaps, so that a feed is used row by row. How many
// begin in a closed step is known to be no more than the requests in it.
func (n *numbering) first(plan *scenarios.Plan, step scenarios.Step, planned uint64) uint64 {
	if plan.Flow == 0 {
		return planned
	}
	switch {
	case n.last == nil:
	case n.last.Users > 0:
		n.flows += planned - n.planned
	default:
		n.flows += plan.Count(*n.last)
	}
	n.last, n.planned = &step, planned
	return n.flows
}
