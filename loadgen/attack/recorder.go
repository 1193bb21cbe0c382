package attack

import (
	"sync"
	"time"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

// cellKey names the second of a step for which hits were planned.
type cellKey struct{ step, second int }

// cell is a window that is being filled.
type cell struct {
	planned, sent, followed, dropped, waited uint64
	requests                                 []*observation.Tally // by request, nil if none ended
}

// recorder sums up hits into windows and emits them at each second of the step,
// and as soon as the worker falls idle. Late hits go to the second that they were
// planned in, so that memory depends on how late they are, not on how long the
// drill is.
type recorder struct {
	worker string
	names  []string
	emit   func(*observation.Window)
	now    func() time.Duration
	wakeup chan struct{}

	mu    sync.Mutex
	cells map[cellKey]*cell
	step  int
	base  time.Duration // begin of the current step
	ends  time.Duration // its end
	last  time.Duration // when windows were last closed
	shut  []*observation.Window
	seq   uint64
}

func newRecorder(worker string, names []string, now func() time.Duration, emit func(*observation.Window)) *recorder {
	return &recorder{worker: worker, names: names, emit: emit, now: now,
		wakeup: make(chan struct{}, 1), cells: map[cellKey]*cell{}}
}

// poke makes the emitter look at the state anew.
func (r *recorder) poke() {
	select {
	case r.wakeup <- struct{}{}:
	default:
	}
}

// cell returns the open cell; the caller holds the lock.
func (r *recorder) cell(step, second int) *cell {
	k := cellKey{step, second}
	c := r.cells[k]
	if c == nil {
		c = &cell{requests: make([]*observation.Tally, len(r.names))}
		r.cells[k] = c
	}
	return c
}

func (r *recorder) planned(h *hit) {
	r.mu.Lock()
	r.cell(h.Step, h.second).planned++
	r.mu.Unlock()
}

func (r *recorder) dropped(h *hit) {
	r.mu.Lock()
	r.cell(h.Step, h.second).dropped++
	r.mu.Unlock()
}

func (r *recorder) waited(h *hit) {
	r.mu.Lock()
	r.cell(h.Step, h.second).waited++
	r.mu.Unlock()
}

// ended books a hit that has ended.
func (r *recorder) ended(h *hit) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.cell(h.Step, h.second)
	if h.closed {
		c.planned++
	}
	if h.wrote {
		c.sent++
	}
	c.followed += h.followed
	t := c.requests[h.Request]
	if t == nil {
		t = observation.NewTally()
		c.requests[h.Request] = t
	}
	t.Add(h.done-h.due, h.done-h.sent, h.sent-h.due, h.class)
	t.BytesIn += h.in
	t.BytesOut += h.out
}

// begin closes what is open and starts the seconds anew at the step's begin.
func (r *recorder) begin(step scenarios.Step, at time.Duration) {
	r.mu.Lock()
	r.close(at, 0, false)
	r.step, r.base, r.ends = step.Index, at, at+step.Lasts
	r.mu.Unlock()
	r.poke()
}

// boundary returns when the open windows are to be closed.
func (r *recorder) boundary() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	next := r.base + ((r.last-r.base)/time.Second+1)*time.Second
	if r.last < r.base {
		next = r.base + time.Second
	}
	if r.last < r.ends && r.ends < next {
		next = r.ends
	}
	return next
}

// close turns the open cells into windows; the caller holds the lock.
func (r *recorder) close(at time.Duration, inFlight int, idle bool) {
	if len(r.cells) == 0 {
		r.cells[cellKey{r.step, max(0, int((r.last-r.base)/time.Second))}] = &cell{}
	}
	for k, c := range r.cells {
		r.seq++
		w := &observation.Window{
			Worker: r.worker, Seq: r.seq, Step: k.step, Second: k.second, At: at, Over: max(at-r.last, 0),
			Planned: c.planned, Sent: c.sent, Followed: c.followed, Dropped: c.dropped, Waited: c.waited, InFlight: inFlight,
		}
		for i, t := range c.requests {
			if t != nil {
				if w.Requests == nil {
					w.Requests = map[string]*observation.Tally{}
				}
				w.Requests[r.names[i]] = t
			}
		}
		r.shut = append(r.shut, w)
	}
	last := r.shut[len(r.shut)-1]
	last.Last, last.Idle = true, idle
	clear(r.cells)
	r.last = at
}

// flush closes and emits what is open. It is called from one goroutine.
func (r *recorder) flush(inFlight int, idle bool) {
	r.mu.Lock()
	r.close(r.now(), inFlight, idle)
	out := r.shut
	r.shut = nil
	r.mu.Unlock()
	for _, w := range out {
		r.emit(w)
	}
}

// run emits until stop is closed; state tells what is in flight and whether the
// worker is idle.
func (r *recorder) run(stop <-chan struct{}, state func() (inFlight int, idle bool)) {
	timer := time.NewTimer(time.Second)
	defer timer.Stop()
	wasIdle := true
	for {
		timer.Reset(max(r.boundary()-r.now(), 0))
		select {
		case <-stop:
			return
		case <-timer.C:
			n, idle := state()
			r.flush(n, idle)
			wasIdle = idle
		case <-r.wakeup:
			n, idle := state()
			if idle && !wasIdle {
				r.flush(n, idle)
			}
			wasIdle = idle
		}
	}
}
