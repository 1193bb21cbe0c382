package importer

import "math"

// coarse says that the log's times are whole seconds, as k6 writes them in CSV unless it
// is told otherwise. Of finer times one in a thousand at most is a whole second.
func (l *log) coarse() bool { return l.whole == len(l.hits) }

// spread moves the requests of a log in whole seconds to where in their second they may have
// been: one after the other, evenly, in the order of the file. All of them at one instant
// would be a burst that was not, and as each second would begin and end with nothing in
// flight, the queue could not be seen at all.
//
// How many requests are in a second is not changed, nor how long they lasted. The one that is
// the k-th of n in its second is put at its (k+u)/n, where u is another one in each second:
// with the same in all, a response shorter than 1/n would be found in flight at the end of a
// second never or always. In steps of the golden section u fills its interval evenly, so that
// what is in flight is right in the mean.
func (l *log) spread() {
	const second = 1_000_000
	// of is the second of a request's time in the file, but for the microsecond by which
	// times are rounded.
	of := func(h hit) int64 {
		if l.byEnd {
			return (h.end + second/2) / second
		}
		return (h.start + second/2) / second
	}
	counts, seen := map[int64]int{}, map[int64]int{}
	for _, h := range l.hits {
		counts[of(h)]++
	}
	for i := range l.hits {
		h := &l.hits[i]
		s := of(*h)
		_, phase := math.Modf(float64(s) * (math.Phi - 1))
		at := s*second + int64((float64(seen[s])+phase)*second/float64(counts[s]))
		seen[s]++
		lasted := h.end - h.start
		if h.start = at; l.byEnd {
			h.start -= lasted
		}
		h.end = h.start + lasted
	}
}

// spreading says what is not known of a log in whole seconds.
func (l *log) spreading() string {
	which := "began"
	if l.byEnd {
		which = "ended"
	}
	return "the log's times are whole seconds: requests were spread evenly over the second that they " + which + " in, and what was in flight at an instant is known roughly"
}
