package demo

import (
	"slices"
	"testing"
	"time"
)

func TestPauseIsNeverShort(t *testing.T) {
	for _, d := range []time.Duration{-time.Second, 0, time.Microsecond, 3 * time.Millisecond} {
		end := time.Now().Add(d)
		if pauseUntil(end); time.Now().Before(end) {
			t.Errorf("a pause of %v ended early", d)
		}
	}
}

// BenchmarkPause prints by how much the end of a write of the ledger is late, in the
// median, beside what a timer of the runtime would make of it in the same second.
func BenchmarkPause(b *testing.B) {
	const hold = 2500 * time.Microsecond
	sleep := func(until time.Time) { time.Sleep(time.Until(until)) }
	var late [2][]time.Duration
	for b.Loop() {
		for i, pause := range []func(time.Time){pauseUntil, sleep} {
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
