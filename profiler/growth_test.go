package profiler

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// sampled is what a CPU profiler at 100 Hz says of one function at several loads,
// when a request costs cost(load) ms of it and each load is profiled for seconds.
func sampled(rnd *rand.Rand, rates []float64, seconds float64, cost func(rps float64) float64) (Demand, []Load) {
	const period = 1e7 // ns
	d := Demand{Type: "cpu"}
	f := FunctionDemand{Name: "work"}
	var loads []Load
	requests := 0.0
	for i, rps := range rates {
		r := rps * seconds
		n := float64(poisson(rnd, r*cost(rps)*1e6/period))
		at := PerRequest{i, rps, Amount{n * period / r, n * period * period / (r * r)}, n}
		d.Totals, f.At = append(d.Totals, at), append(f.At, at)
		f.Own = sum(f.Own, Amount{n * period, n * period * period})
		f.Samples += n
		requests += r
		loads = append(loads, Load{Step: i, RPS: rps, Requests: r, Seconds: seconds})
	}
	f.Own = f.Own.times(1 / requests)
	d.Functions = []FunctionDemand{f}
	return d, loads
}

// A function that costs the same at every load is said to grow in at most 5% of
// drills, also where the lightest load gave a handful of samples, and one that
// doubles is found in most. 2,000 drills each: the standard error of 5% is 0.5%.
func TestGrowthIsToldFromChance(t *testing.T) {
	const drills = 2000
	for _, rates := range [][]float64{{65, 97, 210, 336, 380}, {50, 100, 200, 400}, {20, 400, 410, 420, 430, 440}} {
		t.Run(fmt.Sprint(rates), func(t *testing.T) {
			rnd := map[string]*rand.Rand{"constant": rand.New(rand.NewPCG(2026, 1)), "doubling": rand.New(rand.NewPCG(2026, 2))}
			named := map[string]int{}
			for range drills {
				for name, growth := range map[string]float64{"constant": 0, "doubling": 1.0 / 400} {
					d, loads := sampled(rnd[name], rates, 2, func(rps float64) float64 { return 1.4 * (1 + growth*rps) })
					d.grow(loads)
					if d.Functions[0].Growing {
						named[name]++
					}
				}
			}
			t.Logf("named: %v of %d", named, drills)
			if share := float64(named["constant"]) / drills; share > falseShare+3*math.Sqrt(falseShare/drills) {
				t.Errorf("a constant cost was said to grow in %.1f%% of the drills", 100*share)
			}
			if named["doubling"] <= named["constant"] {
				t.Errorf("a doubling cost is not found: %v", named)
			}
		})
	}
}
