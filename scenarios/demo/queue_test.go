package demo

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// queues are the limits that callers wait at in order, as functions, each with
// a capacity of 400/s. Time is simulated, so that the figures are exact.
func queues() map[string]func() func(context.Context) error {
	return map[string]func() func(context.Context) error{
		LimitPool: func() func(context.Context) error {
			slots, hold := poolSize(400)
			p := newPool("p", slots)
			return func(ctx context.Context) error { return p.visit(ctx, hold) }
		},
		LimitDownstream: func() func(context.Context) error {
			d := newDownstream(seconds(1. / 400))
			return func(ctx context.Context) error { return d.call(ctx) }
		},
	}
}

func TestQueueServesExactlyItsCapacity(t *testing.T) {
	for name, build := range queues() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				visit, began := build(), time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				var served int
				var mu sync.Mutex
				var callers sync.WaitGroup
				for range 16 {
					callers.Go(func() {
						for visit(ctx) == nil {
							mu.Lock()
							served++
							mu.Unlock()
						}
					})
				}
				callers.Wait()
				elapsed := time.Since(began).Seconds()
				// The burst of the downstream and the visits cut off at the end.
				if want := 400 * elapsed; float64(served) < want-5 || float64(served) > want+5 {
					t.Errorf("served %d in %gs, want %g within 5", served, elapsed, want)
				}
			})
		})
	}
}

func TestQueueServesInOrderOfArrival(t *testing.T) {
	for name, build := range queues() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const callers = 200
				visit := build()
				var order, want []int
				var mu sync.Mutex
				var all sync.WaitGroup
				for i := range callers {
					leaves := i%7 == 3 && i > 20
					if !leaves {
						want = append(want, i)
					}
					all.Go(func() {
						ctx, cancel := context.WithCancel(t.Context())
						defer cancel()
						if leaves { // from anywhere in the queue
							time.AfterFunc(time.Duration(i%5)*10*time.Millisecond, cancel)
						}
						if visit(ctx) == nil {
							mu.Lock()
							order = append(order, i)
							mu.Unlock()
						}
					})
					time.Sleep(100 * time.Microsecond)
				}
				all.Wait()
				if !slices.Equal(order, want) {
					t.Errorf("served in the order\n%v, want\n%v", order, want)
				}
			})
		})
	}
}

// Callers who leave must not take capacity with them.
func TestQueueLosesNothingToThoseWhoLeave(t *testing.T) {
	for name, build := range queues() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				visit := build()
				gone, cancel := context.WithCancel(t.Context())
				var leavers sync.WaitGroup
				for range 1000 {
					leavers.Go(func() { _ = visit(gone) })
				}
				synctest.Wait()
				cancel()
				leavers.Wait()

				began := time.Now()
				var stayers sync.WaitGroup
				for range 400 {
					stayers.Go(func() {
						if err := visit(t.Context()); err != nil {
							t.Error(err)
						}
					})
				}
				stayers.Wait()
				if took := time.Since(began); took > 1010*time.Millisecond {
					t.Errorf("400 visits took %v, want 1s", took)
				}
			})
		})
	}
}

func TestPoolFigures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool("p", 2)
		began := time.Now()
		var all sync.WaitGroup
		for range 5 {
			all.Go(func() { _ = p.visit(t.Context(), 10*time.Millisecond) })
		}
		ms := time.Millisecond
		for _, want := range []poolStats{ // after 5, 15, 25, 35 ms
			{slots: 2, held: 2, busy: 10 * ms},
			{slots: 2, held: 2, busy: 30 * ms, waits: 2, waited: 20 * ms},
			{slots: 2, held: 1, busy: 45 * ms, waits: 3, waited: 40 * ms},
			{slots: 2, held: 0, busy: 50 * ms, waits: 3, waited: 40 * ms},
		} {
			time.Sleep(5 * ms)
			synctest.Wait()
			if got := p.read(time.Now()); got != want {
				t.Errorf("after %v: %+v, want %+v", time.Since(began), got, want)
			}
			time.Sleep(5 * ms)
		}
		all.Wait()
	})
}

// A visitor who leaves in the instant in which a slot is granted returns it.
func TestPoolLeaveRacesGrant(t *testing.T) {
	p := newPool("p", 1)
	for range 2000 {
		ctx, cancel := context.WithCancel(t.Context())
		var pair sync.WaitGroup
		pair.Go(func() { _ = p.visit(ctx, 0) })
		pair.Go(func() { _ = p.visit(ctx, 0) })
		pair.Go(cancel)
		pair.Wait()
	}
	if s := p.read(time.Now()); s.held != 0 || len(p.free) != 1 {
		t.Errorf("the slot is lost: %+v, %d free", s, len(p.free))
	}
}

func TestPoolSize(t *testing.T) {
	for _, capacity := range []float64{1, 3, 49, 50, 51, 333.3, 400, 2500, highestCapacity} {
		slots, hold := poolSize(capacity)
		if got := float64(slots) / hold.Seconds(); got < capacity*0.9999 || got > capacity*1.0001 {
			t.Errorf("%g/s: %d slots held for %v serve %g/s", capacity, slots, hold, got)
		}
		if capacity >= 50 && (hold < 6*time.Millisecond || hold > 20*time.Millisecond) {
			t.Errorf("%g/s: hold %v is far from 10 ms", capacity, hold)
		}
	}
}
