package capacity_test

import (
	"container/heap"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/headroom-project/headroom/capacity/scoreboard"
	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/loadgen/search"
	"github.com/headroom-project/headroom/scenarios"
)

// A system is a target whose limit is known exactly. It gets the planned instant
// of a hit, in seconds, and returns when it is answered. Instants never fall.
type system interface {
	answer(at float64, rng *rand.Rand) float64
	// limit is the true saturation in requests/s.
	limit() float64
}

// slots is G/G/c in order of arrival: a pool, or a lock with one slot.
type slots struct {
	free    slotHeap
	service func(*rand.Rand) float64
	rate    float64
}

type slotHeap []float64

func (h slotHeap) Len() int           { return len(h) }
func (h slotHeap) Less(i, j int) bool { return h[i] < h[j] }
func (h slotHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *slotHeap) Push(x any)        { *h = append(*h, x.(float64)) }
func (h *slotHeap) Pop() any          { panic("slots are never removed") }

func newSlots(c int, rate float64, service func(*rand.Rand) float64) *slots {
	return &slots{free: make(slotHeap, c), service: service, rate: rate}
}

func (s *slots) limit() float64 { return s.rate }

func (s *slots) answer(at float64, rng *rand.Rand) float64 {
	end := max(at, s.free[0]) + s.service(rng)
	s.free[0] = end
	heap.Fix(&s.free, 0)
	return end
}

func fixed(hold float64) func(*rand.Rand) float64 {
	return func(*rand.Rand) float64 { return hold }
}

func pool(rate float64) system { return newSlots(4, rate, fixed(4/rate)) }
func lock(rate float64) system { return newSlots(1, rate, fixed(1/rate)) }

// memoryless is M/M/4.
func memoryless(rate float64) system {
	return newSlots(4, rate, func(rng *rand.Rand) float64 { return rng.ExpFloat64() * 4 / rate })
}

// bimodal serves nine hits in ten fast and one eleven times slower.
func bimodal(rate float64) system {
	return newSlots(4, rate, func(rng *rand.Rand) float64 {
		if rng.Float64() < 0.1 {
			return 4 / rate * 5.5
		}
		return 4 / rate * 0.5
	})
}

// bucket lets a rate through, with a small burst, in order.
type bucket struct{ rate, burst, next float64 }

func (b *bucket) limit() float64 { return b.rate }

func (b *bucket) answer(at float64, _ *rand.Rand) float64 {
	b.next = max(b.next, at-b.burst/b.rate) + 1/b.rate
	return max(at, b.next)
}

func downstream(rate float64) system { return &bucket{rate: rate, burst: 5} }

// drill is a simulated drill: a search against a system, with its clock.
type drill struct {
	system system
	search *search.Search
	rng    *rand.Rand
	warm   bool // steps have no warm-up
	points []observation.Point
	clock  float64 // s
	final  search.Decision
}

// run drills until the search is done.
func (d *drill) run() {
	d.clock = 3.5 // the warm-up step
	for range 100 {
		next := d.search.Next(d.points, time.Duration(d.clock*float64(time.Second)))
		d.final = next
		if next.Done {
			return
		}
		p, drained := d.offer(next.Step, len(d.points))
		d.points = append(d.points, p)
		d.clock += drained + 0.3
	}
	panic("the search does not end")
}

// discard is the controller's rule for the seconds left out as warm-up.
func (d *drill) discard(step scenarios.Step) int {
	if d.warm {
		return 0
	}
	return int(search.Discard(step.Lasts).Seconds())
}

// offer runs one step and returns its point and how long it took to the last
// answer. It asks the search for a cut at each second, with what was answered.
func (d *drill) offer(step scenarios.Step, index int) (observation.Point, float64) {
	lasts := step.Lasts.Seconds()
	hits := make([]float64, int(step.From*lasts+d.rng.Float64())) // as many as a drill plans
	for i := range hits {
		hits[i] = lasts * d.rng.Float64()
	}
	slices.Sort(hits)
	ends := make([]float64, len(hits))
	for i, at := range hits {
		ends[i] = d.system.answer(d.clock+at, d.rng) - d.clock + scoreboard.Network(d.rng)
	}
	o := scoreboard.Outcome{Step: step, Index: index, Clock: d.clock, Discard: d.discard(step), Planned: hits, Ends: ends}
	stop, cut := lasts, ""
	for now := 1.0; now < lasts; now++ {
		if reason, yes := d.search.Cut(o.Point(now, now), uint64(step.From*(lasts-float64(o.Discard)))); yes {
			stop, cut = now, reason
			break
		}
	}
	p := o.Point(stop, math.Inf(1))
	p.Cut, p.Flow = cut, o.Flow(stop)
	if cut != "" {
		d.forget()
	}
	return p, o.Last(stop)
}

// forget empties the system after a cut: what was planned later never came.
func (d *drill) forget() {
	switch s := d.system.(type) {
	case *slots:
		clear(s.free)
	case *bucket:
		s.next = 0
	}
}

// describe prints the steps of a drill, for a failing test.
func (d *drill) describe() string {
	s := ""
	for _, p := range d.points {
		s += fmt.Sprintf("%-8s %7.1f/s %4.1fs p99 %8.2f ms n=%d cut=%t\n", p.Kind, p.Offered, p.Seconds, p.Response.P99, p.OK, p.Cut != "")
	}
	return s + d.final.Reason
}
