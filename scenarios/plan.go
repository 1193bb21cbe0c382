package scenarios

import (
	"iter"
	"time"
)

// Kinds of a step.
const (
	KindWarmup  = "warmup"
	KindSearch  = "search"
	KindRefine  = "refine"
	KindConfirm = "confirm"
	KindLoad    = "load"
	// KindAttribute varies the mix, so that use can be attributed to requests. It
	// says nothing of the capacity.
	KindAttribute = "attribute"
)

// Step is a period of one offered load inside a plan.
type Step struct {
	Index int    `json:"index"`
	Kind  string `json:"kind"`
	// From and To are the offered loads in requests/s at its begin and end; they
	// differ in a ramp only. Of a step with a Shape both are the mean.
	From  float64       `json:"from"`
	To    float64       `json:"to"`
	Lasts time.Duration `json:"lasts"`
	// Users is the number of virtual users of a closed step, with Think between
	// two requests of one; From and To are then 0.
	Users int           `json:"users,omitempty"`
	Think time.Duration `json:"think,omitempty"`
	// First is the number of hits planned before this step, so that each hit of
	// a drill has a number of its own.
	First uint64 `json:"first"`
	// Mix holds weights for the requests that replace the plan's, in their order;
	// nil for the plan's own.
	Mix []float64 `json:"mix,omitempty"`
	// Shape is set if the load is no straight line from From to To.
	Shape *Shape `json:"shape,omitempty"`
	// Held numbers the pieces, from 1, by which the load of this step is held after
	// it, and is 0 for the step itself: each draws arrivals of its own.
	Held int `json:"held,omitempty"`
}

// Hit is one planned request, or what begins a flow.
type Hit struct {
	// N numbers the hits of the whole drill, over all slices, from 0. The requests
	// of a flow share the number of the hit that began it.
	N    uint64
	Step int
	// At is its planned instant, from the begin of the step.
	At time.Duration
	// Request indexes the scenario's requests.
	Request int
}

// Plan is a scenario compiled into an exact schedule. It is a pure function of
// the scenario and its seed.
type Plan struct {
	Name     string
	Seed     uint64
	Arrivals Arrivals
	// Weights are the requests' weights, in order.
	Weights []float64
	// Names are the requests' names, in order.
	Names []string
	// Flow is how many requests a flow has; 0 if the requests are a mix. The hits
	// of a plan then are what begins a flow, and come at 1/Flow of the offered
	// rate, which counts requests.
	Flow int
	// Steps is what a fixed load offers; a search has its warm-up only, and the
	// controller adds steps as it learns.
	Steps []Step
	// Search is set when the load is a search, defaults filled in.
	Search *SearchLoad
	// Traces are the recordings that steps replay.
	Traces []Recording
}

// Slice is worker Index's part of a plan, of Of workers.
type Slice struct {
	Plan  *Plan
	Index int
	Of    int
	// Late leaves out hits that came due before the slice was handed out.
	Late Late
}

// Late says that a slice begins in the midst of a step: the hits of the step with
// this number and this first hit that are planned before From, from the step's
// begin, are left out. Of a closed step, the numbers are left out that another may
// have used by then. The zero value leaves out none.
type Late struct {
	Step  int
	First uint64
	From  time.Duration
}

// Slice is worker i's part of the plan, of n workers; 0 <= i < n.
func (p *Plan) Slice(i, n int) Slice { return Slice{Plan: p, Index: i, Of: n} }

// Count is the exact number of hits of an open step, over all slices; 0 for a
// closed step. It costs no more than one hit, so a controller that adds a step
// after another sets First to the other's First plus its Count.
func (p *Plan) Count(step Step) uint64 {
	a := p.newArrivals(step)
	return a.n
}

// Hits yields this slice's hits of an open step in the order of their instants:
// every Of-th hit of the step, beginning with the Index-th. The same step
// yields the same hits each time. A closed step yields none.
func (s Slice) Hits(step Step) iter.Seq[Hit] {
	return func(yield func(Hit) bool) {
		c := s.Cursor(step)
		for h, ok := c.Next(); ok; h, ok = c.Next() {
			if !yield(h) {
				return
			}
		}
	}
}

// Cursor walks through the hits of a step without a goroutine or an allocation
// for each. It is not safe for concurrent use.
type Cursor struct {
	slice    Slice
	step     Step
	arrivals arrivals
	draw     chooser
	k, mine  uint64 // hits of all slices so far; the next of this one
}

// Cursor stands before the first of the hits that Hits yields.
func (s Slice) Cursor(step Step) *Cursor {
	return &Cursor{slice: s, step: step, arrivals: s.Plan.newArrivals(step), draw: newChooser(s.Plan, step), mine: uint64(s.Index)}
}

// Next returns the next hit; false if there is none.
func (c *Cursor) Next() (Hit, bool) {
	for c.k < c.arrivals.n {
		k, at := c.k, c.arrivals.next()
		c.k++
		if k != c.mine {
			continue
		}
		c.mine += uint64(c.slice.Of)
		if late := c.slice.Late; c.step.Index == late.Step && c.step.First == late.First && at < late.From {
			continue
		}
		n := c.step.First + k
		return Hit{N: n, Step: c.step.Index, At: at, Request: c.draw.choose(n)}, true
	}
	return Hit{}, false
}

// Users is this slice's share of a closed step's users; the shares add up.
func (s Slice) Users(step Step) int {
	users := step.Users / s.Of
	if s.Index < step.Users%s.Of {
		users++
	}
	return users
}

// Draw is the n-th hit, from 0, that this slice sends in a closed step. Its At
// is 0: when it is sent depends on the responses. Its N is its own over all
// slices, though the numbers have gaps where slices send unequally many.
func (s Slice) Draw(step Step, n uint64) Hit {
	if late := s.Late; late.From > 0 && step.Index == late.Step && step.First == late.First {
		n += MostDrawn(late.From)
	}
	number := step.First + n*uint64(s.Of) + uint64(s.Index)
	draw := newChooser(s.Plan, step)
	return Hit{N: number, Step: step.Index, Request: draw.choose(number)}
}

// MostDrawn is more than a slice can send of a closed step in a time: a million hits
// a second, and those that its users begin with.
func MostDrawn(in time.Duration) uint64 {
	return uint64(max(in, 0).Seconds()*1e6) + maxUsers
}

// chooser draws requests by weight from a hash of (seed, step, number of the
// hit), so that the choice does not depend on the slicing.
type chooser struct {
	key     uint64
	weights []float64
	total   float64
}

func newChooser(p *Plan, step Step) chooser {
	c := chooser{key: hash(p.Seed, uint64(step.Index), 'r'), weights: p.Weights}
	if len(step.Mix) == len(p.Weights) {
		c.weights = step.Mix
	}
	if p.Flow > 0 {
		c.weights = nil // a flow begins with its first request
	}
	for _, w := range c.weights {
		c.total += w
	}
	return c
}

func (c *chooser) choose(n uint64) int {
	if len(c.weights) < 2 {
		return 0
	}
	u := unit(mix(c.key+n*golden)) * c.total
	for i, w := range c.weights {
		if u -= w; u < 0 {
			return i
		}
	}
	return len(c.weights) - 1
}
