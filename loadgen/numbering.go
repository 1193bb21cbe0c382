package loadgen

import (
	"time"

	"github.com/headroom-project/headroom/scenarios"
)

// numbering gives the hits of a drill their numbers, each its own. An open step is
// given as many as its plan has: where it is cut, or the load is held until the next
// one, some are left unused. In a flow the hits of a plan are what begins a pass.
//
// A closed step takes what it comes to. Its slices number their hits in turn, so that
// the numbers reach as far as those of the slice that sends most, times the slices.
type numbering struct {
	next uint64 // this number and those above are free, but for a closed step's
	// slices is into how many parts the plan is divided at most.
	slices int
	last   scenarios.Step
	// counted is by worker how many hits of the last step were planned, if it is closed.
	counted map[string]uint64
	// unsure says that a worker was lost in it, of which nobody knows how far it came.
	unsure bool
}

// mostSlices keeps the numbers in 64 bits, however often shares are divided.
const mostSlices = 1 << 24

// first returns the number of the first hit of a step and sets count aside for it. A
// closed step begins and ends with nothing else on its way.
func (n *numbering) first(step scenarios.Step, count uint64) uint64 {
	n.next += n.taken()
	first := n.next
	n.next += count
	n.last, n.counted, n.unsure = step, map[string]uint64{}, false
	return first
}

// taken is how many numbers the last step has taken that were not set aside for it.
func (n *numbering) taken() uint64 {
	switch {
	case n.last.Users == 0:
		return 0
	case n.unsure:
		return n.bound(n.last.Lasts)
	}
	most := uint64(0)
	for _, k := range n.counted {
		most = max(most, k)
	}
	if n.slices > 1 {
		// Which of the hits that users were given last were still planned is not known.
		most += uint64(n.last.Users)
	}
	return most * uint64(max(n.slices, 1))
}

// bound is more than a closed step can have taken.
func (n *numbering) bound(lasts time.Duration) uint64 {
	return scenarios.MostDrawn(lasts) * uint64(max(n.slices, 1))
}

// planned takes in how many hits a worker has planned.
func (n *numbering) planned(worker string, hits uint64) {
	if n.last.Users > 0 {
		n.counted[worker] += hits
	}
}

// lost says that a worker was lost; divided, that its share was divided among others.
func (n *numbering) lost()             { n.unsure = true }
func (n *numbering) divided(among int) { n.slices = min(max(n.slices, 1)*max(among, 1), mostSlices) }
