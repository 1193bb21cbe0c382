package observation

import (
	"cmp"
	"slices"
	"time"
)

// work is how much of the time a worker's engine was busy.
type work struct{ busy, cpu, over time.Duration }

// work books how busy the worker was, if the window says so and lies wholly in
// what is kept of the step.
func (s *stepSum) work(w *Window) {
	from, to := s.rec.Start+s.rec.Discard-slack, s.rec.Start+s.rec.Lasts+slack
	if w.Busy <= 0 || w.At-w.Over < from || w.At > to {
		return
	}
	if s.works == nil {
		s.works = map[string]*work{}
	}
	x := s.works[w.Worker]
	if x == nil {
		x = &work{}
		s.works[w.Worker] = x
	}
	x.busy, x.cpu, x.over = x.busy+w.Busy, x.cpu+w.CPU, x.over+w.Over
}

// busiest returns the name of the busiest worker, the share of the time that its engine
// was at work, and the share for which its thread had a core; 0 if it is not known.
func (s *stepSum) busiest() (name string, busy, given float64) {
	for w, x := range s.works {
		if b := float64(x.busy) / float64(max(x.over, 1)); b > busy || b == busy && w < name {
			name, busy, given = w, b, float64(x.cpu)/float64(max(x.over, 1))
		}
	}
	return name, busy, given
}

// WorkerLag is how late a worker sent.
type WorkerLag struct {
	Worker string
	// Millis is the mean of its windows' 99th percentiles of the send lag, in ms, each
	// with the weight of its hits.
	Millis float64
}

// lagging is the sum that a WorkerLag is the mean of.
type lagging struct{ sum, hits float64 }

// unnoticed is a send lag that needs no closer look.
const unnoticed = time.Millisecond

// lag books how late a worker sent the hits of a window.
func (s *stepSum) lag(w *Window) {
	if s.lags == nil {
		s.lags = map[string]*lagging{}
	}
	x := s.lags[w.Worker]
	if x == nil {
		x = &lagging{}
		s.lags[w.Worker] = x
	}
	for _, t := range w.Requests {
		n := float64(t.Ended())
		x.hits += n
		if t.SendLag.Max() > unnoticed.Microseconds() {
			x.sum += n * float64(t.SendLag.ValueAtPercentile(99)) / 1000
		}
	}
}

// MaxLags bounds the workers whose lag a point tells of.
const MaxLags = 4

// latest returns how many workers had hits in the step, and those that sent latest.
func (s *stepSum) latest() (workers int, lags []WorkerLag) {
	for name, x := range s.lags {
		if x.hits > 0 {
			workers++
			if x.sum > 0 {
				lags = append(lags, WorkerLag{name, x.sum / x.hits})
			}
		}
	}
	slices.SortFunc(lags, func(a, b WorkerLag) int {
		return cmp.Or(cmp.Compare(b.Millis, a.Millis), cmp.Compare(a.Worker, b.Worker))
	})
	return workers, lags[:min(len(lags), MaxLags)]
}

// lack adds what connections could not be opened for.
func (s *stepSum) lack(w *Window) {
	for name, n := range w.Lacked {
		if s.lacked == nil {
			s.lacked = map[string]uint64{}
		}
		s.lacked[name] += n
	}
}
