package demo

import (
	"time"

	"golang.org/x/sys/unix"
)

// pauseUntil blocks a thread until t, and returns some ten microseconds after it. A
// timer of the Go runtime would be late by up to a millisecond in a process with
// nothing else to do: it waits for events in whole milliseconds.
func pauseUntil(t time.Time) {
	for d := time.Until(t); d > 0; d = time.Until(t) {
		ts := unix.NsecToTimespec(int64(d))
		// A signal, as the scheduler sends them, ends it early; the loop sleeps the rest.
		_ = unix.ClockNanosleep(unix.CLOCK_MONOTONIC, 0, &ts, nil)
	}
}
