package capacity

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/headroom-project/headroom/loadgen/observation"
)

// lockSteps are steps of a lock that saturates at 400/s, taken times by each request and
// held for times whose squared coefficient of variation is scv. What the profiles say of
// each has the error of a count.
func lockSteps(times, scv float64, rng *rand.Rand, loads ...float64) []observation.Point {
	var points []observation.Point
	for i, x := range loads {
		u := x / 400
		const seconds = 8
		n := times * x * u * seconds
		n += math.Sqrt(n*(1+u)/(1-u)) * rng.NormFloat64()
		each := (1 + scv) / 400 / times / (2 * (1 - u)) // E[S^2]/(2 E[S] (1-U))
		each *= 1 + math.Sqrt((1+scv)*(1+u)/(1-u)/n)*rng.NormFloat64()
		p := step(x, seconds, 5)
		p.Step = i
		p.Locks = []observation.LockWait{{Function: "main.hold", Contentions: n / seconds, Seconds: n * each / seconds}}
		points = append(points, p)
	}
	return points
}

// step is a valid one that served what it offered, of a table.
func step(load, seconds, p99 float64) observation.Point {
	p := observation.Point{Offered: load, Seconds: seconds, Valid: true}
	p.Throughput, p.OK = load, uint64(load*seconds)
	p.Response = observation.Quantiles{Mean: p99 / 3, P50: p99 / 3, P90: p99 / 2, P95: p99 / 1.5, P99: p99, P999: p99, Max: p99}
	return p
}

// Where a request takes a lock is told by how the waits grow: the profile has no count of
// acquisitions.
func TestLockIsTakenSeveralTimes(t *testing.T) {
	loads := []float64{40, 60, 80, 120, 160, 200, 240, 240, 60, 240}
	for _, times := range []float64{0.3, 0.5, 1, 2, 3, 5} {
		for _, scv := range []float64{0, 1, 3} {
			t.Run(fmt.Sprintf("%g times, scv %g", times, scv), func(t *testing.T) {
				rng := rand.New(rand.NewPCG(3, uint64(10*times)))
				var squares float64
				for range 40 {
					all := digest(lockSteps(times, scv, rng, loads...))
					fits := fitLocks(all, 100, rng)
					if len(fits) != 1 {
						t.Fatalf("%d locks fitted", len(fits))
					}
					off := math.Log(fits[0].ceiling(-1) / 400)
					squares += off * off / 40
					// The counts of all steps err by 3% together.
					if math.Abs(off) > 3.5*math.Hypot(fits[0].doubt(), 0.03) {
						t.Errorf("ceiling %.4g, truth 400, with a doubt of %.2g, as if it was taken %.3g times", fits[0].ceiling(-1), fits[0].doubt(), fits[0].times)
					}
				}
				if rms := math.Sqrt(squares); rms > 0.2 || times == 1 && rms > 0.04 {
					t.Errorf("off by %.2g%%, root mean square", 100*rms)
				}
			})
		}
	}
}

// The bound of utilisation keeps a lock below its share from the first steps of a search
// on, when too few waits were counted to fit a law.
func TestLockCeilingIsSafe(t *testing.T) {
	for _, times := range []float64{1, 2, 4} {
		rng := rand.New(rand.NewPCG(7, uint64(times)))
		for _, loads := range [][]float64{{100}, {50, 100}, {50, 100, 200}, {50, 100, 200, 60, 220}} {
			over, low := 0, 0.0
			for range 200 {
				x, name := lockCeiling(lockSteps(times, 0.5, rng, loads...), 0.6)
				if name != "lock: main.hold" {
					t.Fatalf("%v: bound by %q", loads, name)
				}
				if x > 1.05*240 {
					over++
				}
				low += x / 240 / 200
			}
			if over > 4 {
				t.Errorf("%g times, after %v: %d of 200 bounds are more than 5%% too high", times, loads, over)
			}
			if times == 1 && low < 0.75 {
				t.Errorf("after %v: the bound is %.2g of the right one in the mean", loads, low)
			}
		}
	}
	if x, name := lockCeiling([]observation.Point{step(100, 8, 5)}, 0.6); !math.IsInf(x, 1) || name != "" {
		t.Errorf("no lock: %g by %q", x, name)
	}
	// Few waits make the next step a smaller one; steps in which others were waited for, and this
	// one not, let it go.
	for _, c := range []struct {
		waits, seconds float64 // of the first step, for how long each
		quiet          []float64
		from, to       float64
	}{
		{1, 0.001, nil, 100, 600},
		{1, 0.05, nil, 70, 70},
		{3, 0.5, nil, 70, 70},
		{4, 0.5, nil, 1, 40},
		{12, 0.5, nil, 1, 25},
		{1, 0.05, []float64{100, 200, 400}, 1200, 6000},
	} {
		p := step(50, 8, 5)
		p.LockSeconds = 8
		p.Locks = []observation.LockWait{{Function: "main.hold", Contentions: c.waits / 8, Seconds: c.waits * c.seconds / 8}}
		points := []observation.Point{p}
		for _, load := range c.quiet {
			p := step(load, 8, 5)
			p.LockSeconds = 8
			p.Locks = []observation.LockWait{{Function: "main.other", Contentions: 1.0 / 8, Seconds: 1e-6}}
			points = append(points, p)
		}
		if x, name := lockCeiling(points, 0.6); x < c.from || x > c.to || name != "lock: main.hold" {
			t.Errorf("%g waits of %g s, then %v: %g by %q, want %g to %g", c.waits, c.seconds, c.quiet, x, name, c.from, c.to)
		}
	}
	contended := lockSteps(1, 1, rand.New(rand.NewPCG(7, 7)), 100, 200, 240)
	if x, _ := lockCeiling(contended, 0.6); math.IsInf(x, 1) {
		t.Error("a lock bounds nothing")
	}
	for i := range contended {
		for k := range contended[i].Locks {
			contended[i].Locks[k].Function = "runtime.unlock"
		}
	}
	if x, name := lockCeiling(contended, 0.6); !math.IsInf(x, 1) || name != "" {
		t.Errorf("the locks of the runtime, together: %g by %q", x, name)
	}
}

// A lock that few requests take is bound by how many wait at once, of which its counts say
// little.
func TestLockOfFewRequestsIsBound(t *testing.T) {
	for _, times := range []float64{0.02, 0.05, 0.1, 0.3} {
		rng := rand.New(rand.NewPCG(9, uint64(100*times)))
		for _, loads := range [][]float64{{50, 100, 200}, {50, 100, 200, 60, 220}} {
			var bounds []float64
			for range 200 {
				x, _ := lockCeiling(lockSteps(times, 1, rng, loads...), 0.6)
				bounds = append(bounds, x/240)
			}
			slices.Sort(bounds)
			// What so few waits tell errs by a third and more.
			if median := bounds[100]; median > 1.1 || bounds[180] > 2 && times > 0.02 {
				t.Errorf("%g times, after %v: the median bound is %.2f of the right one, the 90th percentile %.2f", times, loads, median, bounds[180])
			}
		}
	}
}

// Half of the requests take a lock that is held evenly as one that all take is held unevenly: until
// many waits were counted, how long they are counts too. A lock that is held for long now and then
// is not kept low for good by that.
func TestLockOfHalfTheRequestsIsBound(t *testing.T) {
	for _, c := range []struct {
		times, scv float64
		loads      []float64
		from, to   float64 // of the right bound, the median
	}{
		{0.5, 0.5, []float64{50, 100, 120}, 0.5, 1.25},
		{0.5, 1, []float64{50, 100, 120, 140}, 0.5, 1.1},
		{1, 0, []float64{50, 100, 120, 140}, 0.8, 1},
		{1, 1, []float64{50, 100, 120, 140}, 0.7, 1},
		{1, 6, []float64{50, 100, 140, 200, 200}, 0.75, 1},
	} {
		rng := rand.New(rand.NewPCG(10, uint64(10*c.times)))
		var bounds []float64
		for range 200 {
			x, _ := lockCeiling(lockSteps(c.times, c.scv, rng, c.loads...), 0.6)
			bounds = append(bounds, x/240)
		}
		slices.Sort(bounds)
		if median := bounds[100]; median < c.from || median > c.to {
			t.Errorf("%+v: the median bound is %.2f of the right one", c, median)
		}
	}
}

// A profile of one wait in a hundred counts it a hundred times, which is not as much evidence
// as a hundred waits.
func TestSampledLocks(t *testing.T) {
	for n, want := range map[float64]float64{1: 1, 5: 5, 100: 100} {
		points := make([]observation.Point, 6)
		for i := range points {
			points[i] = step(100, 8, 5)
			points[i].LockSeconds = 3
			points[i].Locks = []observation.LockWait{{Function: "f", Seconds: 1, Contentions: n * float64(7+3*i+i*i) / 3}}
		}
		if got := everyNth(digest(points)); got != want {
			t.Errorf("one in %g is taken for one in %g", n, got)
		}
	}
}
