package pyroscope

import (
	"slices"
	"time"
)

// span is when a step was offered, in drill time.
type span struct {
	step     int
	from, to time.Duration
	open     bool // to is not known yet
}

// steps are the spans of a drill, in order. The caller guards them.
type steps struct{ list []span }

// begin notes that a step begins; one that is open ends.
func (s *steps) begin(step int, at time.Duration) {
	if n := len(s.list); n > 0 && s.list[n-1].open {
		s.end(s.list[n-1].step, at)
	}
	s.list = append(s.list, span{step: step, from: at, open: true})
}

func (s *steps) end(step int, at time.Duration) (ended span, ok bool) {
	for i := range s.list {
		if x := &s.list[i]; x.step == step && x.open {
			x.open, x.to = false, at
			return *x, true
		}
	}
	return span{}, false
}

// of is the step that holds most of the time between from and to, and the share
// that lies in it: 0 if there is none. An instant lies in a step or does not.
func (s *steps) of(from, to, now time.Duration) (step int, share float64) {
	step = -1
	for _, x := range slices.Backward(s.list) {
		end := x.to
		if x.open {
			end = now
		}
		if from == to {
			if x.from <= from && from <= end {
				return x.step, 1
			}
			continue
		}
		inside := float64(min(to, end)-max(from, x.from)) / float64(to-from)
		if inside > share {
			step, share = x.step, inside
		}
	}
	return step, share
}

// last is the end of the last step; 0 if there was none, ok is false while one
// is open.
func (s *steps) last() (at time.Duration, ok bool) {
	if len(s.list) == 0 {
		return 0, true
	}
	x := s.list[len(s.list)-1]
	return x.to, !x.open
}
