package attack

import (
	"sync"
	"time"

	"github.com/headroom-project/headroom/scenarios"
)

// hit is one planned hit on its way. It is written by the timeline, then by the
// vegeta worker that sends it, then read by the collector: never by two at once.
type hit struct {
	scenarios.Hit
	seq    uint64
	second int
	floor  int           // the first second that it may be booked under
	due    time.Duration // planned instant, in drill time
	until  time.Duration // the end of its step: a virtual user does not ask after it
	think  time.Duration // closed loop: wait before sending
	pause  time.Duration // closed loop: wait between the requests of a flow
	closed bool          // closed loop: due is set when it is sent
	void   bool          // closed loop: it came too late, and was never planned

	sent, done time.Duration // drill time
	wrote      bool          // the request was written to a connection
	followed   uint64        // requests written because of redirects
	class      string        // error class, empty if OK
	url        string        // that was asked for, where raw results need it
	status     int           // of the answer
	lack       lack
	in, out    uint64        // body bytes
	order      uint64        // in which hits are sent, from 0 without gaps
	stamp      time.Duration // due, but not before that of the hit with the order before
	orders     *orders
	free       *hit // in a list of hits to use again
}

// orders numbers hits as they are sent, in the order of their planned instants:
// vegeta's plot wants its results numbered so.
type orders struct {
	mu   sync.Mutex
	n    uint64
	last time.Duration
}

// number gives the hit the next number. The planned instant of a virtual user's is
// not before that of the one before, even if two ask at the same time. That of an
// arrival stays as planned; only its stamp is put in order, behind what users asked
// for while it was late.
func (o *orders) number(h *hit) {
	o.mu.Lock()
	defer o.mu.Unlock()
	h.order = o.n
	o.n++
	h.stamp = max(h.due, o.last)
	if h.closed {
		h.due = h.stamp
	}
	o.last = h.stamp
}

// inflight holds the hits between timeline and collector by vegeta's sequence
// number, which is how the transport and the results name them.
type inflight struct {
	mu    sync.Mutex
	slots []*hit // length is a power of two; seq modulo length
	n     int
}

func newInflight() *inflight { return &inflight{slots: make([]*hit, 1024)} }

func (f *inflight) put(h *hit) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for f.slots[h.seq&uint64(len(f.slots)-1)] != nil {
		wide := make([]*hit, 2*len(f.slots))
		for _, x := range f.slots {
			if x != nil {
				wide[x.seq&uint64(len(wide)-1)] = x
			}
		}
		f.slots = wide
	}
	f.slots[h.seq&uint64(len(f.slots)-1)] = h
	f.n++
}

func (f *inflight) get(seq uint64) *hit {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.slots[seq&uint64(len(f.slots)-1)]
}

func (f *inflight) take(seq uint64) *hit {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := seq & uint64(len(f.slots)-1)
	h := f.slots[i]
	if h != nil {
		f.slots[i] = nil
		f.n--
	}
	return h
}

// rest returns the hits that never ended.
func (f *inflight) rest() []*hit {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []*hit
	for i, h := range f.slots {
		if h != nil {
			out = append(out, h)
			f.slots[i] = nil
		}
	}
	f.n = 0
	return out
}

func (f *inflight) len() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.n
}
