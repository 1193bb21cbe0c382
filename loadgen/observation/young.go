package observation

// young is what came of the latest windows of a step. To merge a window walks through
// all buckets of the sum that it is merged into, and with thousands of workers a sum has
// many times as many as a window: so some windows are merged with each other first.
type young struct {
	tallies map[place]*Tally
	windows int
}

// place is where a tally belongs: a request name of a cell, which is or is not kept.
type place struct {
	cell *cell
	name string
	kept bool
}

// batch is how many windows are merged with each other before they are merged into the
// sums: their buckets are then some thousand, about as many as those of a sum.
const batch = 16

// grow adds a window to a cell; kept says that it is part of the step's figures.
func (s *stepSum) grow(c *cell, w *Window, kept bool) {
	c.counts.add(w)
	if s.young.tallies == nil {
		s.young.tallies = map[place]*Tally{}
	}
	for name, t := range w.Requests {
		at := place{c, name, kept}
		sum := s.young.tallies[at]
		if sum == nil {
			sum = NewTally()
			s.young.tallies[at] = sum
		}
		sum.Merge(t)
	}
	if s.young.windows++; s.young.windows >= batch {
		s.settle()
	}
}

// settle merges what is young into the sums. Whoever reads them, or moves cells, calls
// it first.
func (s *stepSum) settle() {
	for at, t := range s.young.tallies {
		at.cell.split(at.name).Merge(t)
		if at.cell.requests != nil {
			at.cell.tally.Merge(t)
		}
		if at.kept {
			s.request(at.name).Merge(t)
		}
	}
	clear(s.young.tallies)
	s.young.windows = 0
}

// request is the sum of a request name over what is kept of the step.
func (s *stepSum) request(name string) *Tally {
	sum := s.requests[name]
	if sum == nil {
		sum = NewTally()
		s.requests[name] = sum
	}
	return sum
}
