package scoreboard

import (
	"container/heap"
	"math"
	"math/rand/v2"
)

// hit is one request on its way through a system; times are in seconds.
type hit struct {
	planned, at float64 // at is when it reaches the next station
	id          int32
	failed      bool
}

// station is one thing that a request passes.
type station interface {
	// pass moves at of each hit, in order of arrival, to when the station is done
	// with it. work is the demand of each hit by id, in seconds.
	pass(hits []hit, work []float64, m *meter)
}

// meter sums up what a station was used for, by second.
type meter struct {
	busy []float64 // server-seconds
	held []float64 // servers in use at the middle of the second
	// waited sums the waiting of hits that began to wait in the second, and
	// contended counts those that had to.
	waited, contended []float64
}

func (m *meter) grow(second int) {
	for len(m.busy) <= second {
		m.busy, m.held = append(m.busy, 0), append(m.held, 0)
		m.waited, m.contended = append(m.waited, 0), append(m.contended, 0)
	}
}

// use books n servers from one instant to another.
func (m *meter) use(from, to, n float64) {
	if m == nil || !(to > from) || n <= 0 {
		return
	}
	m.grow(int(to))
	for k := int(from); k <= int(to); k++ {
		begin, end := max(from, float64(k)), min(to, float64(k+1))
		if end > begin {
			m.busy[k] += n * (end - begin)
		}
		if middle := float64(k) + 0.5; from <= middle && middle < to {
			m.held[k] += n
		}
	}
}

func (m *meter) wait(at, waited float64) {
	if m == nil || waited <= 1e-9 {
		return
	}
	m.grow(int(at))
	m.waited[int(at)] += waited
	m.contended[int(at)]++
}

// queue serves in order of arrival with a number of servers.
type queue int

func (q queue) pass(hits []hit, work []float64, m *meter) {
	free := make(instants, q)
	for i := range hits {
		h := &hits[i]
		begin := max(h.at, free[0])
		m.wait(h.at, begin-h.at)
		h.at = begin + work[h.id]
		m.use(begin, h.at, 1)
		free[0] = h.at
		free.down()
	}
}

// lock is held by one at a time, in order of arrival. A hit takes it so often, each time for
// an equal part of its work, and does something else for gap seconds in between. Where
// times is below 1, so many of the hits take it, and each does the work of those that do not.
type lock struct{ times, gap float64 }

// visit is when a hit wants the lock, and how often it will yet want it after.
type visit struct {
	at   float64
	hit  int
	left int
}

// visits is a heap by time.
type visits []visit

func (v visits) Len() int           { return len(v) }
func (v visits) Less(i, k int) bool { return v[i].at < v[k].at }
func (v visits) Swap(i, k int)      { v[i], v[k] = v[k], v[i] }
func (v *visits) Push(x any)        { *v = append(*v, x.(visit)) }
func (v *visits) Pop() any {
	last := (*v)[len(*v)-1]
	*v = (*v)[:len(*v)-1]
	return last
}

func (l lock) pass(hits []hit, work []float64, m *meter) {
	var next visits
	for i, h := range hits {
		if n := l.visits(h.id); n > 0 {
			next = append(next, visit{at: h.at, hit: i, left: n})
		}
	}
	heap.Init(&next)
	for free := 0.0; len(next) > 0; {
		v := heap.Pop(&next).(visit)
		h := &hits[v.hit]
		begin := max(v.at, free)
		m.wait(v.at, begin-v.at)
		free = begin + work[h.id]/l.times
		m.use(begin, free, 1)
		if h.at = free; v.left > 1 {
			heap.Push(&next, visit{at: free + l.gap, hit: v.hit, left: v.left - 1})
		}
	}
}

// visits is how often a hit takes the lock.
func (l lock) visits(id int32) int {
	if l.times >= 1 {
		return int(l.times)
	}
	if rand.New(rand.NewPCG(uint64(id), 23)).Float64() < l.times {
		return 1
	}
	return 0
}

// instants is a heap of the times at which servers become free.
type instants []float64

// down restores the heap after its first element grew.
func (f instants) down() {
	i := 0
	for {
		child := 2*i + 1
		if child >= len(f) {
			return
		}
		if child+1 < len(f) && f[child+1] < f[child] {
			child++
		}
		if f[i] <= f[child] {
			return
		}
		f[i], f[child] = f[child], f[i]
		i = child
	}
}

// delay takes its time for everyone at once.
type delay struct{}

func (delay) pass(hits []hit, work []float64, m *meter) {
	for i := range hits {
		begin := hits[i].at
		hits[i].at += work[hits[i].id]
		m.use(begin, hits[i].at, 1)
	}
}

// bucket lets a rate (hits/s) through in order, and a burst after a pause.
type bucket struct{ rate, burst float64 }

func (b bucket) pass(hits []hit, _ []float64, _ *meter) {
	next := math.Inf(-1)
	for i := range hits {
		at := hits[i].at
		next = max(next, at-(b.burst-1)/b.rate)
		hits[i].at = max(at, next)
		next += 1 / b.rate
	}
}

// places refuses who finds all of them taken: Erlang's loss system.
type places int

func (p places) pass(hits []hit, work []float64, m *meter) {
	var taken releases
	for i := range hits {
		h := &hits[i]
		for len(taken) > 0 && taken[0] <= h.at {
			heap.Pop(&taken)
		}
		if len(taken) >= int(p) {
			h.failed = true
			continue
		}
		begin := h.at
		h.at += work[h.id]
		m.use(begin, h.at, 1)
		heap.Push(&taken, h.at)
	}
}

type releases []float64

func (r releases) Len() int           { return len(r) }
func (r releases) Less(i, j int) bool { return r[i] < r[j] }
func (r releases) Swap(i, j int)      { r[i], r[j] = r[j], r[i] }
func (r *releases) Push(x any)        { *r = append(*r, x.(float64)) }
func (r *releases) Pop() any {
	old := *r
	last := old[len(old)-1]
	*r = old[:len(old)-1]
	return last
}

// sharing serves all at once, each as fast as the others: egalitarian processor
// sharing. speed[n] is what n of them get done together in a second (the last
// entry stands for more), and cores how many cores are busy with it at most.
type sharing struct {
	cores int
	speed []float64
}

// plain is sharing without loss: n requests use n cores, as far as there are.
func plain(cores int) sharing {
	s := sharing{cores: cores, speed: make([]float64, cores+1)}
	for n := range s.speed {
		s.speed[n] = float64(n)
	}
	return s
}

func (s sharing) rate(n int) float64 { return s.speed[min(n, len(s.speed)-1)] }

func (s sharing) pass(hits []hit, work []float64, m *meter) {
	var active jobs
	now, done := 0.0, 0.0 // done: work that each present job got so far, in virtual time
	until := func(at float64) {
		for len(active) > 0 {
			n := len(active)
			each := s.rate(n) / float64(n)
			end := now + (active[0].end-done)/each
			busy := float64(min(n, s.cores))
			if end > at {
				done += (at - now) * each
				m.use(now, at, busy)
				break
			}
			m.use(now, end, busy)
			hits[active[0].index].at, done, now = end, active[0].end, end
			heap.Pop(&active)
		}
		now = at
	}
	for i := range hits {
		until(hits[i].at)
		heap.Push(&active, job{done + work[hits[i].id], i})
	}
	until(math.Inf(1))
}

// job is a hit that is being served: it ends when each present one has got end.
type job struct {
	end   float64
	index int
}

type jobs []job

func (j jobs) Len() int           { return len(j) }
func (j jobs) Less(a, b int) bool { return j[a].end < j[b].end }
func (j jobs) Swap(a, b int)      { j[a], j[b] = j[b], j[a] }
func (j *jobs) Push(x any)        { *j = append(*j, x.(job)) }
func (j *jobs) Pop() any {
	old := *j
	last := old[len(old)-1]
	*j = old[:len(old)-1]
	return last
}
