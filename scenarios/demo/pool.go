package demo

import (
	"container/list"
	"context"
	"sync"
	"time"
)

// pool is a set of slots, each held by one visitor at a time, granted in the
// order of arrival. With a hold time h it serves slots/h visits per second while
// there is a queue, exactly: see begins.
type pool struct {
	name string

	mu      sync.Mutex
	slots   []slot
	free    []int      // indexes of slots that nobody holds
	waiting *list.List // of *waiter, the first to arrive in front
	stats   poolStats
}

// slot is one of a pool's slots and the visit that holds it, or held it last.
type slot struct {
	held       bool
	start, end time.Time // as planned
}

// waiter is a visitor in the queue.
type waiter struct {
	arrived time.Time
	hold    time.Duration
	granted chan int // receives the slot; has room for one
}

// poolStats is what a pool tells of itself.
type poolStats struct {
	slots, held int
	// busy is slot-seconds held, by plan: at saturation it grows by slots each second.
	busy time.Duration
	// waits counts visits that did not begin on arrival, waited the time they lost.
	waits  int
	waited time.Duration
}

func newPool(name string, slots int) *pool {
	p := &pool{name: name, slots: make([]slot, slots), waiting: list.New()}
	for i := range slots {
		p.free = append(p.free, i)
	}
	return p
}

// poolSize splits a capacity into slots and a mean hold time near 10 ms, such
// that slots/hold is the capacity.
func poolSize(capacityRPS float64) (slots int, hold time.Duration) {
	slots = max(1, int(capacityRPS*0.010+0.5))
	return slots, seconds(float64(slots) / capacityRPS)
}

// visit takes a slot in turn, holds it and returns it. It fails with the error
// of ctx, having left the queue or returned the slot early.
func (p *pool) visit(ctx context.Context, hold time.Duration) error {
	i, err := p.acquire(ctx, hold)
	if err != nil {
		return err
	}
	defer p.release(i)
	return sleepUntil(ctx, p.plannedEnd(i))
}

func (p *pool) plannedEnd(i int) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.slots[i].end
}

// acquire waits for a slot.
func (p *pool) acquire(ctx context.Context, hold time.Duration) (int, error) {
	p.mu.Lock()
	w := &waiter{arrived: time.Now(), hold: hold, granted: make(chan int, 1)}
	if n := len(p.free); n > 0 {
		i := p.free[n-1]
		p.free = p.free[:n-1]
		p.grant(i, w, w.arrived)
		p.mu.Unlock()
		return i, nil
	}
	place := p.waiting.PushBack(w)
	p.mu.Unlock()

	select {
	case i := <-w.granted:
		return i, nil
	case <-ctx.Done():
		p.leave(place, w)
		return 0, ctx.Err()
	}
}

// leave takes a waiter out of the queue, or gives back the slot that it was
// granted in the same instant.
func (p *pool) leave(place *list.Element, w *waiter) {
	p.mu.Lock()
	p.waiting.Remove(place)
	p.mu.Unlock()
	select {
	case i := <-w.granted:
		p.release(i)
	default:
	}
}

// grant plans a visit of w in slot i. p.mu is held.
func (p *pool) grant(i int, w *waiter, now time.Time) {
	s := &p.slots[i]
	s.held = true
	s.start = begins(w.arrived, s.end, now)
	s.end = s.start.Add(w.hold)
	if d := s.start.Sub(w.arrived); d > 0 {
		p.stats.waits++
		p.stats.waited += d
	}
}

// release ends the visit in slot i and grants the slot to the next in the queue.
func (p *pool) release(i int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	s := &p.slots[i]
	if now.Before(s.end) {
		s.end = now // the visitor left early
	}
	p.stats.busy += s.end.Sub(s.start)
	s.held = false
	front := p.waiting.Front()
	if front == nil {
		p.free = append(p.free, i)
		return
	}
	w := p.waiting.Remove(front).(*waiter)
	p.grant(i, w, now)
	w.granted <- i
}

// read returns the pool's figures as of now.
func (p *pool) read(now time.Time) poolStats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.stats
	s.slots = len(p.slots)
	for i := range p.slots {
		v := &p.slots[i]
		if !v.held {
			continue
		}
		s.held++
		s.busy += max(0, min(v.end.Sub(v.start), now.Sub(v.start)))
	}
	return s
}
