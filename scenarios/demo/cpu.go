package demo

import (
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// settleEvery is how often the work is corrected at most, settleUnits from
	// how many units at least. A window that grows older than settleStale is
	// thrown away: too much of it is background, too little is requests.
	settleEvery = 250 * time.Millisecond
	settleUnits = 50
	settleStale = 5 * time.Second
	// settleGain is the part of an error that one correction takes away.
	settleGain = 0.5

	// servingCost is a first guess at the CPU time that net/http takes for a
	// request: it was seen between 0.1 ms at saturation and 0.5 ms nearly idle.
	servingCost = 250 * time.Microsecond

	calibrations     = 5
	calibrationTakes = 4 * time.Millisecond
)

// work is a piece of computation in rounds of about half a microsecond each.
type work func(rounds int, seed uint64) uint64

// meter makes each unit of work cost a given CPU time of the process, with all
// that serving it costs included. A core does not run at one speed (its clock,
// its sibling, its cache) and net/http has a share that depends on the load, so
// the number of rounds is corrected all the time: the process's CPU time over a
// window, divided by the units served in it, is held against what a unit is to
// cost.
type meter struct {
	unit     time.Duration // what one unit is to cost
	perRound float64       // ns of CPU, as calibrated
	run      work

	rounds atomic.Int64 // of one unit
	units  atomic.Int64 // served so far

	mu     sync.Mutex
	window window
}

// window is the begin of the period that the next correction is made from.
type window struct {
	at    time.Time
	cpu   time.Duration
	units int64
}

// newMeter calibrates, which takes some 20 ms of CPU. A request is so many units
// in the mean.
func newMeter(unit time.Duration, perRequest float64, run work) (*meter, error) {
	m := &meter{unit: unit, run: run, perRound: math.Inf(1)}
	rounds := 1000
	for range calibrations {
		took, err := cpuOf(func() { run(rounds, 1) })
		if err != nil {
			return nil, fmt.Errorf("demo: calibrate CPU work: %w", err)
		}
		took = max(took, 1)
		// The fastest is the one that was disturbed least.
		m.perRound = math.Min(m.perRound, float64(took)/float64(rounds))
		rounds = max(1000, int(float64(calibrationTakes)/m.perRound))
	}
	m.rounds.Store(m.clamp((float64(unit) - float64(servingCost)/perRequest) / m.perRound))
	return m, nil
}

// cpuOf is the CPU time that the process uses while f runs. A platform whose
// clock is coarser than f counts by wall time instead.
func cpuOf(f func()) (time.Duration, error) {
	began := time.Now()
	before, err := processCPU()
	if err != nil {
		return 0, err
	}
	f()
	after, err := processCPU()
	if err != nil {
		return 0, err
	}
	if after <= before {
		return time.Since(began), nil
	}
	return after - before, nil
}

// do serves a number of units.
func (m *meter) do(units int, seed uint64) uint64 {
	result := m.run(units*int(m.rounds.Load()), seed)
	m.units.Add(int64(units))
	m.settle(time.Now())
	return result
}

// settle corrects the rounds once a window is complete.
func (m *meter) settle(now time.Time) {
	if !m.mu.TryLock() {
		return // another request is at it
	}
	defer m.mu.Unlock()
	age, units := now.Sub(m.window.at), m.units.Load()-m.window.units
	if age < settleEvery || units < settleUnits && age < settleStale {
		return
	}
	cpu, err := processCPU()
	if err != nil {
		return // it worked at calibration; keep the rounds as they are
	}
	if units >= settleUnits && age < settleStale {
		m.rounds.Store(m.corrected(cpu-m.window.cpu, units))
	}
	m.window = window{at: now, cpu: cpu, units: m.units.Load()}
}

// corrected is the number of rounds after cpu was used for so many units.
func (m *meter) corrected(cpu time.Duration, units int64) int64 {
	excess := float64(cpu)/float64(units) - float64(m.unit)
	return m.clamp(float64(m.rounds.Load()) - settleGain*excess/m.perRound)
}

// clamp keeps the rounds within what calibration makes plausible, so that a
// moment of other activity in the process cannot turn the target into another.
func (m *meter) clamp(rounds float64) int64 {
	most := float64(m.unit) / m.perRound
	return int64(math.Round(min(max(rounds, 0.1*most), 1.5*most)))
}

// computePrices is the work of LimitCPU.
//
//go:noinline
func computePrices(rounds int, seed uint64) uint64 {
	x := seed | 1
	for range rounds {
		for range 256 { // xorshift64, Marsaglia 2003
			x ^= x << 13
			x ^= x >> 7
			x ^= x << 17
		}
	}
	return x
}

// renderRecommendations is the work of LimitShop. It is computePrices under
// another name, which is what a profile shows.
//
//go:noinline
func renderRecommendations(rounds int, seed uint64) uint64 {
	x := seed | 1
	for range rounds {
		for range 256 {
			x ^= x << 13
			x ^= x >> 7
			x ^= x << 17
		}
	}
	return x
}
