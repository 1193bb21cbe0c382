package scoreboard

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"gonum.org/v1/gonum/stat"

	"github.com/headroom-project/headroom/capacity"
	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/loadgen/search"
	"github.com/headroom-project/headroom/scenarios"
)

// Drill is what a simulated drill leaves behind.
type Drill struct {
	Points []observation.Point
	// Clock is how long it took, in s.
	Clock float64
	Final search.Decision
	// Used is the most that each step really used of anything that is measured, as a ratio
	// of its limit: as it was, not as it was read.
	Used []float64
}

// worthEnding is how much of a step, in s, a controller wants left to end it early.
const worthEnding = 1.5

// Pauses of a drill, in s: the warm-up at its begin, and between two steps.
const (
	warmup = 3.5
	pause  = 0.3
)

// Drill searches below a share of the saturation: loads above are never offered.
func (s *System) Drill(share float64, seed uint64) Drill {
	return s.search(0, share*s.Saturation, seed)
}

// Bounded searches as an operator does who allows a share of utilisation, and does not
// know which load that is.
func (s *System) Bounded(share float64, seed uint64) Drill { return s.search(share, 0, seed) }

func (s *System) search(share, most float64, seed uint64) Drill {
	src := rand.NewPCG(seed, 11)
	policy := search.New(search.Config{
		Objectives: s.Objectives, MaxUtilisation: share, MaxRPS: most,
		Estimator: capacity.Estimator(s.Objectives, seed),
	})
	d := Drill{Clock: warmup}
	var warm []observation.Point // it says something to a search with a bound of utilisation only
	if share > 0 {
		step := scenarios.Step{Kind: scenarios.KindWarmup, From: search.DefaultFrom, Lasts: 3 * time.Second}
		p, _, _ := s.offer(step, 0, 0, policy.Above, rand.NewPCG(seed, 12))
		warm = append(warm, p)
	}
	for range 100 {
		d.Final = policy.Next(slices.Concat(warm, d.Points), time.Duration(d.Clock*float64(time.Second)))
		if d.Final.Done {
			return d
		}
		p, used, drained := s.offer(d.Final.Step, len(d.Points), d.Clock, policy.Above, src)
		d.Points, d.Used = append(d.Points, p), append(d.Used, used)
		d.Clock += drained + pause
	}
	panic("the search does not end")
}

// offer runs one step, and returns its point, the most that it used of anything, and how
// long it took to the last answer. A step that is seen above what it may use ends then.
func (s *System) offer(step scenarios.Step, index int, clock float64, above func(observation.Point, float64) (string, bool), src *rand.PCG) (p observation.Point, used, drained float64) {
	rng := rand.New(src)
	lasts := step.Lasts.Seconds()
	planned := poisson(step.From, lasts, rng)
	works := s.draw(len(planned), rng)
	x, short := s.pass(step, index, clock, planned, works), ""
	for k := x.Discard + 1; lasts-float64(k) >= worthEnding; k++ {
		told := *src // what is read then is no part of what is read in the end
		p := x.Point(float64(k), float64(k))
		p.Resources = s.resources(x, k, rand.New(&told))
		why, is := above(p, lasts-float64(x.Discard))
		if !is {
			continue
		}
		short = why
		lasts = float64(k)
		offered, _ := slices.BinarySearch(planned, lasts)
		for i := range works {
			works[i] = works[i][:offered]
		}
		x = s.pass(step, index, clock, planned[:offered], works)
		break
	}
	p = x.Point(lasts, math.Inf(1))
	p.Flow = x.Flow(lasts)
	p.Short = short
	p.Resources = s.resources(x, int(lasts), rng)
	p.Locks, p.LockSeconds = s.profile(x.meters, x.Discard, int(lasts), index, rng)
	return p, s.used(x.meters, x.Discard, int(lasts)), x.Last(lasts)
}

// passed is what became of a step, and what its parts did.
type passed struct {
	Outcome
	meters []*meter
}

func (s *System) pass(step scenarios.Step, index int, clock float64, planned []float64, works [][]float64) passed {
	meters := make([]*meter, len(s.parts))
	for k := range meters {
		meters[k] = &meter{}
	}
	o := Outcome{Step: step, Index: index, Clock: clock, Discard: int(search.Discard(step.Lasts).Seconds())}
	o.Planned, o.Ends = planned, make([]float64, len(planned))
	o.Failed = make([]bool, len(planned))
	for _, h := range s.run(planned, works, clock, meters) {
		o.Ends[h.id], o.Failed[h.id] = h.at, h.failed
	}
	return passed{Outcome: o, meters: meters}
}

// resources is what was read of a step in its seconds before to that count.
func (s *System) resources(x passed, to int, rng *rand.Rand) map[string]observation.Use {
	all := map[string]observation.Use{}
	for _, i := range s.meters {
		all[i.resource] = i.read(x.meters[i.part], s.heap(x.meters), x.Discard, to, rng)
	}
	return all
}

// used is the most that was used of a resource that is read, or of a lock, without the errors
// of reading it.
func (s *System) used(meters []*meter, from, to int) (most float64) {
	still := rand.New(rand.NewPCG(0, 0)) // times no noise
	for _, x := range s.meters {
		x.gauge, x.noise, x.wander = false, 0, 0
		u := x.read(meters[x.part], s.heap(meters), from, to, still)
		most = max(most, u.Used/u.Limit)
	}
	for k := range s.parts {
		if !s.isLock(k) || to <= from {
			continue
		}
		meters[k].grow(to)
		held := 0.0
		for _, busy := range meters[k].busy[from:to] {
			held += busy
		}
		most = max(most, held/float64(to-from))
	}
	return most
}

// isLock says whether a part is a lock, which a mutex profile shows.
func (s *System) isLock(k int) bool {
	q, ordered := s.parts[k].station.(queue)
	_, locked := s.parts[k].station.(lock)
	return locked || ordered && q == 1 && s.Bottleneck == lockName
}

// read samples the resource each second of a step that counts.
func (x *instrument) read(m *meter, heap []float64, from, to int, rng *rand.Rand) observation.Use {
	m.grow(to)
	var readings []float64
	for k := from; k < to; k++ {
		used := m.busy[k]
		if x.gauge {
			used = m.held[k]
		}
		used = x.each * used
		if x.collect > 0 {
			used *= 1 + x.collect*heap[min(k, len(heap)-1)]
		}
		readings = append(readings, (used+x.base)*(1+x.noise*rng.NormFloat64()))
	}
	u := observation.Use{Limit: x.limit, Unit: x.unit, Samples: len(readings), Summed: !x.gauge}
	if len(readings) > 0 {
		u.Used = max(stat.Mean(readings, nil)*(1+x.wander*rng.NormFloat64()), 0)
	}
	if u.Summed && len(readings) > 1 {
		u.Variance, u.Apart = stat.Variance(readings, nil), len(readings)
	}
	return u
}

// heap is live/(limit-live) of the memory in each second, what a collector's work
// goes with; nil if the system has no memory to run out of.
func (s *System) heap(meters []*meter) []float64 {
	for _, x := range s.meters {
		if x.resource != "memory" || x.each == 0 {
			continue
		}
		var live []float64
		for _, held := range meters[x.part].busy {
			used := x.base + x.each*held
			live = append(live, used/max(x.limit-used, 0.02*x.limit))
		}
		return append(live, 0)
	}
	return []float64{0}
}

// profile is the mutex profile of half of the seconds that count, the first or the second
// as a profiler alternates, and of how many, if a part is a lock. It is of a sample of what
// happened, so that it has a sampling error.
func (s *System) profile(meters []*meter, from, to, index int, rng *rand.Rand) (list []observation.LockWait, seconds float64) {
	for k := range s.parts {
		if !s.isLock(k) {
			continue
		}
		m := meters[k]
		m.grow(to)
		half := max((to-from+1)/2, 1)
		if index%2 == 1 {
			from = max(to-half, 0)
		}
		var waited, contended float64
		for second := from; second < from+half; second++ {
			waited, contended = waited+m.waited[second], contended+m.contended[second]
		}
		over := float64(half)
		error := 1 + 0.3*rng.NormFloat64()/math.Sqrt(contended+1)
		return []observation.LockWait{{Function: lockFunction, Seconds: waited * error / over, Contentions: contended * error / over}}, over
	}
	return nil, 0
}

// Outcome is what became of the hits of one step; times are in s from its begin.
type Outcome struct {
	Step          scenarios.Step
	Index         int
	Clock         float64
	Discard       int
	Planned, Ends []float64
	Failed        []bool // nil if none did
}

// Last is when the last hit planned before stop was answered.
func (o *Outcome) Last(stop float64) float64 {
	last := stop
	for i, at := range o.Planned {
		if at < stop {
			last = max(last, o.Ends[i])
		}
	}
	return last
}

// Flow is what a worker reports of the hits planned before stop: it closes a
// second at each whole one of the step, drain included, and at the last answer.
func (o *Outcome) Flow(stop float64) []observation.Flow {
	last := o.Last(stop)
	seconds := int(math.Ceil(last))
	f := make([]observation.Flow, seconds)
	for k := range f {
		f[k].From, f[k].To = float64(k), min(float64(k+1), last)
	}
	for i, at := range o.Planned {
		if at >= stop {
			continue
		}
		end := min(int(o.Ends[i]), seconds-1)
		if o.failed(i) {
			f[end].Failed++
		} else {
			f[end].OK++
		}
		for k := int(at); k < end; k++ {
			f[k].InFlight++
		}
	}
	return f
}

func (o *Outcome) failed(i int) bool { return o.Failed != nil && o.Failed[i] }

// Point reduces the hits planned before stop that were answered before now.
func (o *Outcome) Point(stop, now float64) observation.Point {
	n := int(math.Ceil(stop)) - o.Discard
	p := observation.Point{
		Step: o.Index, Kind: o.Step.Kind, Offered: o.Step.From, Seconds: stop - float64(o.Discard), Discarded: float64(o.Discard),
	}
	if n <= 0 {
		p.Seconds = 0
		return p
	}
	p.Valid = true
	for s := range n {
		p.Windows = append(p.Windows, observation.Second{
			Second: s + o.Discard, Width: 1, At: o.Clock + float64(s+o.Discard),
			Tally: &observation.Tally{Response: observation.NewHistogram()},
		})
	}
	served, flight := 0.0, 0.0
	for i, at := range o.Planned {
		s := int(at) - o.Discard
		if at >= stop || s < 0 {
			continue
		}
		w := &p.Windows[s]
		w.Planned++
		if o.Ends[i] <= stop && !o.failed(i) {
			served++
		}
		if o.Ends[i] > now {
			continue
		}
		if o.failed(i) {
			w.Tally.Failed++
		} else {
			w.Tally.OK++
		}
		flight += o.Ends[i] - at
		_ = w.Tally.Response.RecordValue(int64((o.Ends[i] - at) * 1e6))
	}
	sum(&p)
	p.Throughput, p.InFlight = served/p.Seconds, flight/p.Seconds
	return p
}

// sum fills in the figures of a point from its windows.
func sum(p *observation.Point) {
	all := observation.NewTally()
	for _, w := range p.Windows {
		all.OK, all.Failed = all.OK+w.Tally.OK, all.Failed+w.Tally.Failed
		all.Response.Merge(w.Tally.Response)
	}
	p.Sent, p.OK, p.Failed = all.OK+all.Failed, all.OK, all.Failed
	if p.Sent > 0 {
		p.ErrorRatio = float64(p.Failed) / float64(p.Sent)
	}
	p.Response = observation.QuantilesOf(all.Response)
}
