package loadgen

// numbering gives the hits of a drill their numbers, each its own. An open step is
// given as many as its plan has: where it is cut, or the load is held until the next
// one, some are left unused. In a flow the hits of a plan are what begins a pass.
type numbering struct {
	next    uint64 // this number and those above are free, but for a closed step's
	closed  bool   // the last step was a closed one
	planned uint64 // hits, when it began
}

// first returns the number of the first hit of a step and sets count aside for it.
// A closed step takes as many as it comes to, of which planned tells, the number of
// hits planned so far: it begins and ends with nothing else on its way.
func (n *numbering) first(count uint64, closed bool, planned uint64) uint64 {
	if n.closed {
		n.next += planned - n.planned
	}
	first := n.next
	n.next += count
	n.closed, n.planned = closed, planned
	return first
}
