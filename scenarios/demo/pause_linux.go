package demo

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// pauseUntil blocks a thread until t, and returns about a tenth of a millisecond after
// it. A timer of the Go runtime would be late by up to a millisecond in a process with
// nothing else to do: it waits for events in whole milliseconds.
func pauseUntil(t time.Time) {
	for d := time.Until(t); d > 0; d = time.Until(t) {
		ts := unix.NsecToTimespec(int64(d))
		err := unix.ClockNanosleep(unix.CLOCK_MONOTONIC, 0, &ts, nil)
		// A signal, as the scheduler sends them, ends it early; the loop sleeps the rest.
		if err != nil && !errors.Is(err, unix.EINTR) {
			time.Sleep(time.Until(t)) // a sandbox without the call
			return
		}
	}
}
