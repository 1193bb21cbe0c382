package demo

import (
	"runtime"
	"slices"
	"testing"
	"time"
)

func TestPauseIsNeverShort(t *testing.T) {
	for _, d := range []time.Duration{-time.Second, 0, time.Microsecond, 3 * time.Millisecond} {
		end := time.Now().Add(d)
		if pauseUntil(end, late); time.Now().Before(end) {
			t.Errorf("a pause of %v ended early", d)
		}
	}
}

// A lock is held for as long as it says, as far as that can be: what it is late by is less than
// what a timer of the runtime would be, side by side.
func TestPauseIsHardlyLate(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("a timer of the runtime is all there is")
	}
	const hold = 2500 * time.Microsecond
	held := newLedger(hold).pause
	var late [2][]time.Duration
	for range 40 {
		for i, pause := range []func(time.Time){held, func(until time.Time) { time.Sleep(time.Until(until)) }} {
			end := time.Now().Add(hold)
			pause(end)
			late[i] = append(late[i], time.Since(end))
		}
	}
	slices.Sort(late[0])
	slices.Sort(late[1])
	if got, timer := late[0][20], late[1][20]; got > timer/2 {
		t.Errorf("late by %v in the median, a timer by %v", got, timer)
	}
}

// BenchmarkPause prints by how much the end of a write of the ledger is late, in the
// median, beside what a timer of the runtime would make of it in the same second.
func BenchmarkPause(b *testing.B) {
	const hold = 2500 * time.Microsecond
	held := newLedger(hold).pause
	sleep := func(until time.Time) { time.Sleep(time.Until(until)) }
	var late [2][]time.Duration
	for b.Loop() {
		for i, pause := range []func(time.Time){held, sleep} {
			end := time.Now().Add(hold)
			pause(end)
			late[i] = append(late[i], time.Since(end))
		}
	}
	median := func(d []time.Duration) float64 {
		slices.Sort(d)
		return float64(d[len(d)/2].Microseconds())
	}
	b.ReportMetric(median(late[0]), "us-late")
	b.ReportMetric(median(late[1]), "us-late-by-timer")
}
