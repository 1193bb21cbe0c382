package demo

import (
	"container/list"
	"context"
	"sync"
	"time"
)

const (
	// downstreamBurst is how many calls the downstream takes at once after a pause.
	downstreamBurst = 4
	// downstreamLatency is how long it takes to answer one; it limits nothing.
	downstreamLatency = 5 * time.Millisecond
)

// downstream is a service that takes a fixed rate of calls, as a token bucket
// that callers wait at in the order of arrival. No metric shows it: all that can
// be seen from outside is that responses take longer while nothing is busy.
type downstream struct {
	every time.Duration // time between two tokens

	mu sync.Mutex
	// full is the instant at which the bucket would be full again (the
	// theoretical arrival time of the generic cell rate algorithm, ITU-T I.371).
	full    time.Time
	waiting *list.List // of chan struct{}; the front's owner waits for the next token
}

func newDownstream(every time.Duration) *downstream {
	return &downstream{every: every, waiting: list.New()}
}

// call waits for a token, then for the answer. It fails with the error of ctx.
func (d *downstream) call(ctx context.Context) error {
	if err := d.takeToken(ctx, time.Now()); err != nil {
		return err
	}
	return sleepUntil(ctx, time.Now().Add(downstreamLatency))
}

// takeToken waits to be the first in the queue and then for the next token.
func (d *downstream) takeToken(ctx context.Context, arrived time.Time) error {
	d.mu.Lock()
	turn := make(chan struct{})
	place := d.waiting.PushBack(turn)
	if d.waiting.Front() == place {
		close(turn)
	}
	d.mu.Unlock()
	defer d.leave(place)

	select {
	case <-turn:
	case <-ctx.Done():
		return ctx.Err()
	}
	at := d.nextToken(arrived)
	if err := sleepUntil(ctx, at); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.full.Before(at) {
		d.full = at
	}
	d.full = d.full.Add(d.every)
	return nil
}

// nextToken is the planned instant of the next token for a caller that arrived
// at the given time. Only the first in the queue asks.
func (d *downstream) nextToken(arrived time.Time) time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	free := d.full.Add(-(downstreamBurst - 1) * d.every)
	return begins(arrived, free, time.Now())
}

// leave takes a caller out of the queue, with a token or without, and tells the
// one that is first now.
func (d *downstream) leave(place *list.Element) {
	d.mu.Lock()
	defer d.mu.Unlock()
	first := d.waiting.Front() == place
	d.waiting.Remove(place)
	if next := d.waiting.Front(); first && next != nil {
		close(next.Value.(chan struct{}))
	}
}
