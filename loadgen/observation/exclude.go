package observation

import "time"

// Exclude keeps the hits that are planned in a span of drill time out of the
// figures, in whole seconds of the step that they belong to, as a warm-up is. They
// still count in the totals. It may be called before and after the windows came.
func (r *Reducer) Exclude(from, until time.Duration) {
	if until <= from {
		return
	}
	r.out = append(r.out, span{from, until})
	for _, s := range r.steps {
		if s.begun {
			r.mark(s)
		}
	}
}

// mark finds the seconds of a step that are excluded, and takes them out of what
// was merged.
func (r *Reducer) mark(s *stepSum) {
	seconds := int((s.rec.Lasts + time.Second - 1) / time.Second)
	changed := false
	for _, x := range r.out {
		first := max(int((x.from-s.rec.Start)/time.Second), 0)
		for k := first; k < seconds && x.overlaps(s.second(k)); k++ {
			if !s.out[k] {
				s.out[k] = true
				changed = true
			}
		}
	}
	if !changed {
		return
	}
	s.settle()
	for i, c := range s.cells {
		if !r.excluded(s, i*s.width, s.width) {
			continue
		}
		delete(s.cells, i)
		if w := s.warm[i*s.width]; w == nil {
			s.warm[i*s.width] = c
		} else {
			w.sum(&c.counts)
			w.merge(c)
		}
	}
	s.rebuild()
}

// second bounds one second of the step in drill time; the last may be cut short.
func (s *stepSum) second(k int) (from, until time.Duration) {
	from = s.rec.Start + time.Duration(k)*time.Second
	return from, min(from+time.Second, s.rec.Start+s.rec.Lasts)
}

// excluded says whether any of some seconds of a step is kept out of the figures.
func (r *Reducer) excluded(s *stepSum, second, width int) bool {
	if len(s.out) == 0 {
		return false
	}
	for k := range width {
		if s.out[second+k] {
			return true
		}
	}
	return false
}

// rebuild sums up the cells that are left.
func (s *stepSum) rebuild() {
	s.requests, s.kept = map[string]*Tally{}, counts{}
	for _, c := range s.cells {
		s.kept.sum(&c.counts)
		c.byName(func(name string, t *Tally) { s.request(name).Merge(t) })
	}
}

func (c *counts) sum(o *counts) {
	c.planned += o.planned
	c.sent += o.sent
	c.ok += o.ok
	c.failed += o.failed
	c.dropped += o.dropped
	c.waited += o.waited
}
