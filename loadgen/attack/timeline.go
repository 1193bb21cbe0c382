package attack

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/headroom-project/headroom/scenarios"
)

// order is a step that is to be offered from an instant on.
type order struct {
	step scenarios.Step
	at   time.Duration
	// hold says that the step only bridges the time until the next order begins;
	// began is then when the step that it goes on with did.
	hold  bool
	began time.Duration
}

// timeline knows when each hit is due. It is fed with orders while it runs, so
// that one attack lasts a whole drill. To vegeta it is the pacer.
type timeline struct {
	slice  scenarios.Slice
	now    func() time.Duration
	hits   *inflight
	book   *ledger
	limit  int // connections
	orders orders

	// version changes with everything that the lock guards.
	version  atomic.Uint64
	mu       sync.Mutex
	queue    []order
	cut      map[int]time.Duration // steps that were cut, and when
	finished bool
	killed   bool
	idle     bool
	// notify tells the driver that something above changed; it must not block.
	notify func()
	// poke tells the recorder that the worker has fallen idle.
	poke func()

	// Below is the driver's own.
	cur    *order
	begun  bool
	base   time.Duration // begin of the step, which a hold goes on with
	step   int           // of base
	floor  int           // the first second that a hold of the step may book under
	hit    scenarios.Hit // the next hit of the current order
	more   bool          // there is one
	cursor *scenarios.Cursor
	count  uint64 // hits of a closed step so far
	known  known
	spare  *hit // hits to use again
	spares int  // how many

	// Below is the pacer's.
	seq   uint64
	wake  chan struct{}
	timer *time.Timer
}

// known is what was last read under the lock, for a step.
type known struct {
	version uint64
	step    int
	cut     time.Duration
	isCut   bool
	killed  bool
	next    time.Duration // when the next order begins
	follows bool          // there is one, or there will be none
}

func newTimeline(slice scenarios.Slice, now func() time.Duration, hits *inflight, book *ledger, limit int) *timeline {
	t := &timeline{slice: slice, now: now, hits: hits, book: book, limit: limit, step: -1, poke: func() {},
		cut: map[int]time.Duration{}, wake: make(chan struct{}, 1), idle: true, timer: time.NewTimer(time.Hour)}
	t.version.Store(1)
	t.timer.Stop()
	t.notify = func() {
		select {
		case t.wake <- struct{}{}:
		default:
		}
	}
	return t
}

// change applies f under the lock and wakes the driver.
func (t *timeline) change(f func()) {
	t.mu.Lock()
	f()
	t.version.Add(1)
	notify := t.notify
	t.mu.Unlock()
	notify()
}

// setNotify says how the driver is woken, and wakes it at once, since something
// may have changed before.
func (t *timeline) setNotify(f func()) { t.change(func() { t.notify = f }) }

func (t *timeline) offer(o order) {
	t.change(func() { t.queue = append(t.queue, o); t.idle = false })
}

func (t *timeline) cutStep(step int) {
	at := t.now()
	t.change(func() {
		if _, done := t.cut[step]; !done {
			t.cut[step] = at
		}
	})
}

func (t *timeline) finish() { t.change(func() { t.finished = true }) }
func (t *timeline) kill()   { t.change(func() { t.killed = true }) }

// isIdle reports that nothing is being offered.
func (t *timeline) isIdle() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.idle
}

// Rate is part of vegeta's Pacer; it is used for display only, by vegeta's own
// command.
func (t *timeline) Rate(time.Duration) float64 { return 0 }

// Pace is part of vegeta's Pacer. It returns when the next hit is due, and so
// does the waiting itself: vegeta's could not be interrupted.
func (t *timeline) Pace(time.Duration, uint64) (time.Duration, bool) {
	for {
		h, at, what := t.advance(t.now())
		switch what {
		case over:
			return 0, true
		case unordered:
			<-t.wake
		case later:
			t.timer.Reset(max(at-t.now(), 0))
			select {
			case <-t.timer.C:
			case <-t.wake:
				t.timer.Stop()
			}
		case due:
			h.seq = t.seq
			t.seq++
			if !h.closed {
				t.orders.number(h)
				if t.limit > 0 && t.hits.len() >= t.limit {
					t.book.waited(h)
				}
			}
			t.hits.put(h)
			return 0, false
		}
	}
}

// outlook is what a timeline has to say at an instant.
type outlook int

const (
	due       outlook = iota // a hit is due now
	later                    // nothing before a known instant, unless notified
	unordered                // nothing until notified
	over                     // nothing any more
)

// advance returns the next hit if it is due, or until when there is nothing to
// do. It never blocks. In a closed step it hands out a hit at every call: it is
// for the driver to call it only when a virtual user is free.
func (t *timeline) advance(now time.Duration) (h *hit, at time.Duration, what outlook) {
	for {
		if t.cur == nil {
			if what, ok := t.take(); !ok {
				return nil, 0, what
			}
		}
		o := t.cur
		k := t.look(o.step.Index)
		end, bounded := o.at+o.step.Lasts, false
		if k.isCut && k.cut < end {
			end, bounded = k.cut, true
		}
		if o.hold && k.follows && k.next < end {
			end, bounded = k.next, true
		}
		switch {
		case k.killed:
			t.close()
			return nil, 0, over
		case !t.begun && now < o.at && now < end:
			return nil, min(o.at, end), later
		case !t.begun:
			t.open()
		}
		if o.step.Users > 0 {
			if now >= end {
				t.close()
				continue
			}
			return t.closedHit(end), 0, due
		}
		if !t.more || bounded && end <= o.at+t.hit.At {
			if now < end {
				return nil, end, later
			}
			t.close()
			continue
		}
		if at := o.at + t.hit.At; at > now {
			return nil, at, later
		}
		h := t.openHit()
		// A hit that came due before the cut, behind a queue of late ones, is not
		// sent any more; it was planned, and says so as dropped.
		if k.isCut && k.cut < now {
			t.book.dropped(h)
			t.recycle(h)
			continue
		}
		return h, 0, due
	}
}

// take makes the next order the current one; without one, it says what is to come.
func (t *timeline) take() (outlook, bool) {
	t.mu.Lock()
	what, ok := over, false
	switch {
	case t.killed, len(t.queue) == 0 && t.finished:
		t.idle = true
	case len(t.queue) > 0:
		o := t.queue[0]
		t.queue = t.queue[1:]
		t.cur, t.begun, t.count, ok = &o, false, 0, true
		t.version.Add(1)
	default:
		t.idle, what = true, unordered
	}
	t.mu.Unlock()
	if !ok {
		t.poke()
	}
	return what, ok
}

// open begins the current order.
func (t *timeline) open() {
	t.begun = true
	o := t.cur
	if o.step.Index != t.step {
		t.step, t.base, t.floor = o.step.Index, o.at, 0
		if o.hold {
			t.base, t.floor = o.began, beyond(o) // this attack was not there for the step itself
		}
		t.book.begin(beginning{step: t.step, at: o.at, ends: o.at + o.step.Lasts, floor: t.floor})
	}
	if o.hold {
		t.floor = beyond(o)
	}
	t.cursor = t.slice.Cursor(o.step)
	t.hit, t.more = t.cursor.Next()
}

// beyond is the first second that begins behind the step that a hold goes on with.
func beyond(o *order) int { return int((o.at - o.began + time.Second - 1) / time.Second) }

// close ends the current order.
func (t *timeline) close() { t.cur, t.cursor, t.more, t.begun = nil, nil, false, false }

// fresh returns a hit, one of before if there is one.
func (t *timeline) fresh() *hit {
	h := t.spare
	if h == nil {
		return &hit{orders: &t.orders}
	}
	t.spare = h.free
	t.spares--
	*h = hit{orders: &t.orders}
	return h
}

// recycle takes back a hit that nobody holds any more. Only the driver calls it.
func (t *timeline) recycle(h *hit) {
	if t.spares < maxSpares {
		h.free, t.spare = t.spare, h
		t.spares++
	}
}

// maxSpares bounds the hits that are kept to be used again: a stall has thousands in
// flight, which are given back behind it.
const maxSpares = 1024

// openHit makes the hit that is due.
func (t *timeline) openHit() *hit {
	h := t.fresh()
	h.Hit = t.hit
	h.due, h.until = t.cur.at+h.At, t.cur.at+t.cur.step.Lasts
	h.At = h.due - t.base
	h.floor = t.floor
	h.second = max(int(h.At/time.Second), h.floor)
	t.book.planned(h)
	t.hit, t.more = t.cursor.Next()
	return h
}

// closedHit makes a hit for the virtual user that is free next. Whether it is
// sent, and when, shows when it is taken.
func (t *timeline) closedHit(end time.Duration) *hit {
	h := t.fresh()
	h.Hit, h.closed, h.until, h.pause = t.slice.Draw(t.cur.step, t.count), true, end, t.cur.step.Think
	if t.count >= uint64(t.slice.Users(t.cur.step)) {
		h.think = t.cur.step.Think
	}
	h.At = t.cur.at // the begin of the step; the sender makes it an offset
	t.count++
	return h
}

// plan sets the planned instant of a closed hit; false means that its step is over.
func (h *hit) plan(now time.Duration) bool {
	if now >= h.until {
		return false
	}
	begin := h.At
	h.due = now
	h.orders.number(h)
	h.At = h.due - begin
	h.second = max(int(h.At/time.Second), h.floor)
	return true
}

// look returns what is known of a step. It takes the lock only if something has
// changed since it last did.
func (t *timeline) look(step int) known {
	v := t.version.Load()
	if t.known.version == v && t.known.step == step {
		return t.known
	}
	t.mu.Lock()
	k := known{version: t.version.Load(), step: step, killed: t.killed, follows: t.finished}
	k.cut, k.isCut = t.cut[step]
	for i, o := range t.queue {
		// A hold that is queued gives way to a step behind it, and to its release, as the
		// present one does.
		if i == 0 || (!o.hold || o.step.Lasts == 0) && o.at < k.next {
			k.next, k.follows = o.at, true
		}
	}
	t.mu.Unlock()
	t.known = k
	return k
}

// state returns when a step was cut, and whether everything was killed. Any
// goroutine may call it.
func (t *timeline) state(step int) (cut time.Duration, isCut, killed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	cut, isCut = t.cut[step]
	return cut, isCut, t.killed
}
