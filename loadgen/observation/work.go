package observation

import "time"

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

// busiest returns the share of the time that the busiest worker's engine was at
// work, and the share for which its thread had a core; 0 if it is not known.
func (s *stepSum) busiest() (busy, given float64) {
	for _, x := range s.works {
		if b := float64(x.busy) / float64(max(x.over, 1)); b > busy {
			busy, given = b, float64(x.cpu)/float64(max(x.over, 1))
		}
	}
	return busy, given
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
