package demo

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// pauseUntil blocks a thread until t, and returns within microseconds of it on a machine that has
// a core to spare: it is woken sooner by early, and looks at the clock until then. A timer of the
// Go runtime would be late by up to a millisecond in a process with nothing else to do: it waits
// for events in whole milliseconds.
func pauseUntil(t time.Time, early time.Duration) {
	for d := time.Until(t) - early; d > 0; d = time.Until(t) - early {
		ts := unix.NsecToTimespec(int64(d))
		err := unix.ClockNanosleep(unix.CLOCK_MONOTONIC, 0, &ts, nil)
		// A signal, as the scheduler sends them, ends it early; the loop sleeps the rest.
		if err != nil && !errors.Is(err, unix.EINTR) {
			time.Sleep(time.Until(t)) // a sandbox without the call
			return
		}
	}
	for time.Now().Before(t) {
	}
}
