//go:build !linux

package demo

import "time"

// pauseUntil returns at t or, where the timers are coarse, some time after it.
func pauseUntil(t time.Time, _ time.Duration) { time.Sleep(time.Until(t)) }
