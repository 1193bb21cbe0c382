package attack

import (
	"slices"
	"time"

	"github.com/headroom-project/headroom/loadgen/observation"
)

// cellKey names the second of a step for which hits were planned.
type cellKey struct{ step, second int }

// cell is a window that is being filled.
type cell struct {
	planned, sent, followed, dropped, waited uint64
	lacks                                    [lacks]uint64
	requests                                 []*observation.Tally // by request, nil if none ended
}

// recorder sums up what a ledger holds into windows and emits them at each second
// of the step, and as soon as the worker falls idle. Late hits go to the second
// that they were planned in, so that memory depends on how late they are, not on
// how long the drill is. All of it but poke belongs to one goroutine.
type recorder struct {
	worker string
	names  []string
	emit   func(*observation.Window)
	now    func() time.Duration
	ledger *ledger
	raw    *Raw // takes every hit, if it is set
	wakeup chan struct{}

	cells map[cellKey]*cell
	step  int
	base  time.Duration   // begin of the current step
	floor int             // its first second
	looks []time.Duration // when windows are to be closed besides, in order
	last  time.Duration   // when windows were last closed
	seq   uint64
	later []*block // were booked after the driver's last telling
}

func newRecorder(cfg Config, l *ledger) *recorder {
	return &recorder{worker: cfg.Worker, names: cfg.Slice.Plan.Names, emit: cfg.Emit, now: cfg.Now, ledger: l, raw: cfg.Raw,
		wakeup: make(chan struct{}, 1), cells: map[cellKey]*cell{}}
}

// poke makes the recorder look at the state anew. Any goroutine may call it.
func (r *recorder) poke() {
	select {
	case r.wakeup <- struct{}{}:
	default:
	}
}

// cell returns the open cell.
func (r *recorder) cell(k cellKey) *cell {
	c := r.cells[k]
	if c == nil {
		c = &cell{requests: make([]*observation.Tally, len(r.names))}
		r.cells[k] = c
	}
	return c
}

// absorb sums up a block, and gives it back.
func (r *recorder) absorb(b *block) {
	for i := range b.counts {
		c := r.cell(b.counts[i].cellKey)
		c.planned += b.counts[i].planned
		c.dropped += b.counts[i].dropped
		c.waited += b.counts[i].waited
	}
	var key cellKey
	var c *cell
	for i := range b.ends {
		e := &b.ends[i]
		if k := (cellKey{int(e.step), int(e.second)}); c == nil || k != key {
			key, c = k, r.cell(k)
		}
		c.add(e)
	}
	if r.raw != nil {
		r.raw.add(b.ends, b.urls)
	}
	if b.begins != nil {
		r.begin(*b.begins)
	}
	r.ledger.give(b)
}

// add sums up a hit that has ended.
func (c *cell) add(e *entry) {
	if e.closed {
		c.planned++
	}
	if e.wrote {
		c.sent++
	}
	c.followed += uint64(e.followed)
	if e.lack != lackNone {
		c.lacks[e.lack]++
	}
	t := c.requests[e.request]
	if t == nil {
		t = observation.NewTally()
		c.requests[e.request] = t
	}
	t.Add(e.done-e.due, e.done-e.sent, e.sent-e.due, e.class)
	t.BytesIn += e.in
	t.BytesOut += e.out
}

// tails are when windows are closed after the end of a step, so that what became
// of its last hits is soon known.
var tails = []time.Duration{0, 120 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond}

// begin closes what is open and starts the seconds anew at the step's begin.
func (r *recorder) begin(b beginning) {
	if len(r.cells) > 0 {
		r.close(telling{at: b.at})
	}
	r.last = max(r.last, b.at)
	r.step, r.base, r.floor = b.step, b.at, b.floor
	for _, d := range tails {
		r.looks = append(r.looks, b.ends+d)
	}
	slices.Sort(r.looks)
}

// boundary returns when the open windows are to be closed.
func (r *recorder) boundary() time.Duration {
	next := r.base + ((r.last-r.base)/time.Second+1)*time.Second
	if r.last < r.base {
		next = r.base + time.Second
	}
	for len(r.looks) > 0 && r.looks[0] <= r.last {
		r.looks = r.looks[1:]
	}
	if len(r.looks) > 0 {
		next = min(next, r.looks[0])
	}
	return next
}

// close emits the open cells as windows.
func (r *recorder) close(t telling) {
	if len(r.cells) == 0 {
		r.cells[cellKey{r.step, max(r.floor, int((r.last-r.base)/time.Second))}] = &cell{}
	}
	left := len(r.cells)
	for k, c := range r.cells {
		r.seq++
		left--
		w := &observation.Window{
			Worker: r.worker, Seq: r.seq, Step: k.step, Second: k.second, At: t.at, Over: max(t.at-r.last, 0),
			Planned: c.planned, Sent: c.sent, Followed: c.followed, Dropped: c.dropped, Waited: c.waited, InFlight: t.inFlight,
			Lacked: lacked(c.lacks),
		}
		for i, tally := range c.requests {
			if tally != nil {
				if w.Requests == nil {
					w.Requests = map[string]*observation.Tally{}
				}
				w.Requests[r.names[i]] = tally
			}
		}
		if left == 0 {
			w.Last, w.Idle, w.Busy, w.CPU = true, t.idle, t.busy, t.cpu
		}
		r.emit(w)
	}
	clear(r.cells)
	r.last = t.at
}

// flush has the driver hand over its book, and closes what is open.
func (r *recorder) flush(stop <-chan struct{}, state func() (inFlight int, idle bool)) (idle bool) {
	t := telling{}
	if r.ledger.shared {
		// In this order: who is idle has booked everything.
		t.inFlight, t.idle = state()
	} else if !r.ledger.ask(stop) {
		return false
	}
	blocks := r.blocks()
	t.at = r.now()
	for i, b := range blocks {
		told := b.told
		r.absorb(b)
		if told != nil {
			t, r.later = *told, slices.Clone(blocks[i+1:])
			break
		}
	}
	r.close(t)
	return t.idle
}

// blocks returns what is to be absorbed, in order.
func (r *recorder) blocks() []*block {
	out := append(r.later, r.ledger.take()...)
	r.later = nil
	return out
}

// finish emits what was booked last, once the driver has ended.
func (r *recorder) finish() {
	for _, b := range append(r.blocks(), r.ledger.cur) {
		r.absorb(b)
	}
	r.close(telling{at: r.now(), idle: true})
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
		case <-r.ledger.filled:
			for _, b := range r.blocks() {
				r.absorb(b)
			}
		case <-timer.C:
			wasIdle = r.flush(stop, state)
		case <-r.wakeup:
			if _, idle := state(); idle && !wasIdle {
				wasIdle = r.flush(stop, state)
			} else {
				wasIdle = idle
			}
		}
	}
}
