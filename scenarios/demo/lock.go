package demo

import (
	"context"
	"sync"
	"time"
)

// ledger is written by one request at a time, under a mutex like any other, so
// that a mutex profile shows the wait. It takes 1/hold writes per second.
type ledger struct {
	hold time.Duration
	// pause returns at a time, or as soon after it as it can.
	pause func(until time.Time)

	mu   sync.Mutex
	free time.Time // planned end of the last write; guarded by mu
}

// late is a bit more than a woken thread is late by. What is late makes the time for which the
// lock is held longer while nobody waits, and not where the schedule makes up for it, so that the
// same lock would seem to be held longer at a low load than at its limit. A thread that looks at
// the clock takes a core: for a tenth of the time at most.
const late = 150 * time.Microsecond

func newLedger(hold time.Duration) *ledger {
	early := min(late, hold/10)
	return &ledger{hold: hold, pause: func(until time.Time) { pauseUntil(until, early) }}
}

// write writes one entry. Nobody can leave the queue of a mutex, so a request
// whose client is gone still waits its turn, but then takes no time of others.
func (l *ledger) write(ctx context.Context) error {
	arrived := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	l.free = begins(arrived, l.free, time.Now()).Add(l.hold)
	l.pause(l.free)
	return nil
}
