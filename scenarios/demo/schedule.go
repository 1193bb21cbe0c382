package demo

import (
	"context"
	"math"
	"time"
)

// maxCatchUp bounds how far a schedule may lie behind the clock. Ordinary
// lateness of timers and of the machine is made up for; a process that was
// stopped for seconds does not work off its queue in an instant.
const maxCatchUp = 250 * time.Millisecond

// begins is the planned begin of a visit: the visitor has arrived and what it
// waits for is planned to be free. now is when the visit was really granted,
// which is never earlier and often a little later.
func begins(arrived, free, now time.Time) time.Time {
	start := arrived
	if free.After(start) {
		start = free
	}
	if behind := now.Add(-maxCatchUp); behind.After(start) {
		start = behind
	}
	return start
}

// sleepUntil returns nil at t or soon after, or the error of ctx if it ends first.
func sleepUntil(ctx context.Context, t time.Time) error {
	d := time.Until(t)
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// seconds converts a number of seconds to a duration, to the nearest nanosecond.
func seconds(s float64) time.Duration {
	return time.Duration(math.Round(s * float64(time.Second)))
}
