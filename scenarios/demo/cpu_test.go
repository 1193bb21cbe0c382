package demo

import (
	"math"
	"testing"
	"time"
)

func TestMeterCorrection(t *testing.T) {
	const unit, perRound = time.Millisecond, 500. // 2000 rounds
	for _, tt := range []struct {
		name         string
		rounds, want int64
		perUnit      time.Duration // as measured
	}{
		{"right", 1900, 1900, unit},
		{"too dear by 100 us: half of the 200 rounds", 2000, 1900, 1100 * time.Microsecond},
		{"too cheap", 1000, 1500, 500 * time.Microsecond},
		{"not below a tenth", 2000, 200, time.Second},
		{"not above half more", 2900, 3000, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := &meter{unit: unit, perRound: perRound}
			m.rounds.Store(tt.rounds)
			if got := m.corrected(100*tt.perUnit, 100); got != tt.want {
				t.Errorf("corrected to %d rounds, want %d", got, tt.want)
			}
		})
	}
}

// What a unit costs is what was asked for, other CPU time included that is spent
// on every unit. CPU time is compared, not wall time, and corrected against
// itself, so that a busy machine does not matter.
func TestMeterConverges(t *testing.T) {
	const unit, batch = time.Millisecond, 500
	m, err := newMeter(unit, 1, computePrices)
	if err != nil {
		t.Fatal(err)
	}
	overhead := int(float64(200*time.Microsecond) / m.perRound)
	var ratio float64
	var sink uint64
	for range 5 {
		took, err := cpuOf(func() {
			for n := range uint64(batch) {
				m.do(1, n)
				sink += computePrices(overhead, n)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		if ratio = float64(took) / batch / float64(unit); math.Abs(ratio-1) < 0.02 {
			return
		}
	}
	t.Errorf("a unit costs %.3f of what it is to cost (%x)", ratio, sink)
}

func TestMeterIgnoresStaleWindows(t *testing.T) {
	m := &meter{unit: time.Millisecond, perRound: 500}
	m.rounds.Store(1234)
	now := time.Now()
	m.settle(now) // the zero window is as stale as can be
	m.units.Add(10 * settleUnits)
	m.settle(now.Add(settleStale))
	if got := m.rounds.Load(); got != 1234 {
		t.Errorf("rounds are %d after a window that was mostly idle", got)
	}
}
