package attack

import (
	"iter"
	"sync"
	"time"

	"github.com/headroom-project/headroom/scenarios"
)

// order is a step that is to be offered from an instant on.
type order struct {
	step scenarios.Step
	at   time.Duration
}

// timeline is the pacer: it lets vegeta send each hit at its planned instant. It
// is fed with orders while it runs, so that one attack lasts a whole drill.
type timeline struct {
	slice scenarios.Slice
	now   func() time.Duration
	hits  *inflight
	rec   *recorder
	limit int // connections

	mu       sync.Mutex
	queue    []order
	cut      map[int]time.Duration // steps that were cut, and when
	finished bool
	killed   bool
	idle     bool
	wake     chan struct{} // something above changed

	// Below is the pacer goroutine's own.
	cur   *order
	next  func() (scenarios.Hit, bool)
	stop  func()
	seq   uint64
	count uint64 // hits of a closed step so far
	timer *time.Timer
}

func newTimeline(slice scenarios.Slice, now func() time.Duration, hits *inflight, rec *recorder, limit int) *timeline {
	t := &timeline{slice: slice, now: now, hits: hits, rec: rec, limit: limit,
		cut: map[int]time.Duration{}, wake: make(chan struct{}, 1), idle: true, timer: time.NewTimer(time.Hour)}
	t.timer.Stop()
	return t
}

// change applies f under the lock and wakes the pacer.
func (t *timeline) change(f func()) {
	t.mu.Lock()
	f()
	t.mu.Unlock()
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

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
		if t.cur == nil && !t.begin() {
			return 0, true
		}
		h := t.step()
		if h == nil {
			if t.isKilled() {
				return 0, true
			}
			continue
		}
		h.seq = t.seq
		t.seq++
		if t.limit > 0 && t.hits.len() >= t.limit && !h.closed {
			t.rec.waited(h)
		}
		t.hits.put(h)
		return 0, false
	}
}

// begin waits for the next order and its instant; false means that there is none.
func (t *timeline) begin() bool {
	for {
		t.mu.Lock()
		if t.killed || len(t.queue) == 0 && t.finished {
			t.idle = true
			t.mu.Unlock()
			t.rec.poke()
			return false
		}
		if len(t.queue) > 0 {
			o := t.queue[0]
			t.queue = t.queue[1:]
			t.mu.Unlock()
			t.cur = &o
			break
		}
		t.idle = true
		t.mu.Unlock()
		t.rec.poke()
		<-t.wake
	}
	t.count = 0
	t.next, t.stop = iter.Pull(t.slice.Hits(t.cur.step))
	t.waitUntil(t.cur.at, t.cur.step.Index)
	t.rec.begin(t.cur.step, t.cur.at)
	return true
}

// end closes the current order at its end, or at the instant it was cut.
func (t *timeline) end() {
	t.stop()
	t.waitUntil(t.cur.at+t.cur.step.Lasts, t.cur.step.Index)
	t.cur = nil
}

// step waits for the next hit of the current order; nil means that the order is
// over.
func (t *timeline) step() *hit {
	if t.cur.step.Users > 0 {
		return t.closedHit()
	}
	planned, ok := t.next()
	if !ok {
		t.end()
		return nil
	}
	due := t.cur.at + planned.At
	if !t.waitUntil(due, planned.Step) {
		t.end()
		return nil
	}
	h := &hit{Hit: planned, due: due, second: int(planned.At / time.Second)}
	t.rec.planned(h)
	// A hit that came due before the cut, behind a queue of late ones, is not
	// sent any more; it was planned, and says so as dropped.
	if at, cut := t.cutAt(planned.Step); cut && at < t.now() {
		t.rec.dropped(h)
		return nil
	}
	return h
}

// closedHit makes a hit for the virtual user that is free next. Whether it is
// sent, and when, shows when a worker takes it.
func (t *timeline) closedHit() *hit {
	end := t.cur.at + t.cur.step.Lasts
	if at, cut := t.cutAt(t.cur.step.Index); cut {
		end = min(end, at)
	}
	if t.now() >= end || t.isKilled() {
		t.end()
		return nil
	}
	h := &hit{Hit: t.slice.Draw(t.cur.step, t.count), closed: true, until: end}
	if t.count >= uint64(t.slice.Users(t.cur.step)) {
		h.think = t.cur.step.Think
	}
	h.At = t.cur.at // the begin of the step; the transport makes it an offset
	t.count++
	return h
}

func (t *timeline) cutAt(step int) (time.Duration, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	at, ok := t.cut[step]
	return at, ok
}

func (t *timeline) isKilled() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.killed
}

// waitUntil returns true at the instant, or false as soon as the step is cut
// before it or everything is killed.
func (t *timeline) waitUntil(at time.Duration, step int) bool {
	for {
		if t.isKilled() {
			return false
		}
		if cut, ok := t.cutAt(step); ok && cut < at {
			return false
		}
		wait := at - t.now()
		if wait <= 0 {
			return true
		}
		t.timer.Reset(wait)
		select {
		case <-t.timer.C:
		case <-t.wake:
			t.timer.Stop()
		}
	}
}
