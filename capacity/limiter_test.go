package capacity

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

// limited answers Poisson arrivals behind a limiter of rate/s with a burst, each after
// 10 to 14 ms besides, and returns their instants and responses in s.
func limited(load, rate, burst, seconds float64, rng *rand.Rand) (at, took []float64) {
	next := math.Inf(-1)
	for t := rng.ExpFloat64() / load; t < seconds; t += rng.ExpFloat64() / load {
		next = max(next, t-(burst-1)/rate)
		through := max(t, next)
		next += 1 / rate
		at, took = append(at, t), append(took, through-t+0.010+0.004*rng.Float64())
	}
	return at, took
}

// The law of a limiter is that of a simulated one: how many wait to 0.02, and how many
// wait longer than two more requests take to 0.03, over 100,000 Poisson arrivals.
func TestWaitAtLimiterAgainstSimulation(t *testing.T) {
	t.Parallel()
	for _, burst := range []float64{1, 2, 3.5, 12} {
		for _, rho := range []float64{0.4, 0.7, 0.9} {
			rng := rand.New(rand.NewPCG(5, uint64(10*burst)))
			_, took := limited(rho, 1, burst, 1e5/rho, rng)
			waited, long := 0.0, 0.0
			for _, r := range took {
				if r > 0.015 {
					waited += 1 / float64(len(took))
				}
				if r > 2.015 {
					long += 1 / float64(len(took))
				}
			}
			w := server{saturation: 1, servers: burst}.metered(rho, 1)
			if math.Abs(w.chance-waited) > 0.02 || math.Abs(w.tail(2)-long) > 0.03 {
				t.Errorf("burst %g at %g: %.3f wait and %.3f longer than 2, simulated %.3f and %.3f", burst, rho, w.chance, w.tail(2), waited, long)
			}
		}
	}
}

// stepsBehind are steps up to 60% of a limiter of 500/s that nothing measures, beside
// cores of which at most a tenth is used.
func stepsBehind(burst float64, seed uint64) []observation.Point {
	rng := rand.New(rand.NewPCG(seed, 8))
	var points []observation.Point
	for i, load := range []float64{50, 100, 150, 200, 250, 300, 300, 300} {
		const seconds = 10
		p := observation.Point{Step: i, Kind: scenarios.KindSearch, Offered: load, Seconds: seconds, Valid: true}
		for s := range seconds {
			p.Windows = append(p.Windows, observation.Second{Second: s, Width: 1, At: float64(12*i + s), Tally: observation.NewTally()})
		}
		all := observation.NewTally()
		at, took := limited(load, 500, burst, seconds, rng)
		for k := range at {
			w := &p.Windows[int(at[k])]
			w.Planned++
			for _, tally := range []*observation.Tally{w.Tally, all} {
				tally.Add(time.Duration(took[k]*1e9), time.Duration(took[k]*1e9), 0, "")
			}
		}
		p.Sent, p.OK, p.Throughput, p.Response = all.OK, all.OK, load, observation.QuantilesOf(all.Response)
		p.Resources = map[string]observation.Use{"cpu": {Used: 0.001 * load * (1 + 0.01*rng.NormFloat64()), Limit: 4, Unit: "cores", Samples: seconds}}
		points = append(points, p)
	}
	return points
}

// breaksAt is the load at which more than one in a hundred requests take longer than so
// many seconds behind a limiter of 500/s, in runs of 100,000.
func breaksAt(burst, longest float64) float64 {
	return rises(500, func(load float64) bool {
		_, took := limited(load, 500, burst, 1e5/load, rand.New(rand.NewPCG(4, 4)))
		over := 0.0
		for _, r := range took {
			if r > longest {
				over++
			}
		}
		return over > 0.01*float64(len(took))
	})
}

// From 60% of it a limiter shows as long as its burst is small, and where it breaks the
// objective is found. A large burst lets all through there, and the answer is that the
// steps do not tell: no number of what was not seen.
func TestLimiterThatShowsAndOneThatDoesNot(t *testing.T) {
	t.Parallel()
	spec := Spec{Objectives: []scenarios.Objective{{Metric: "p99", Op: "<", Value: 25}}, Seed: 1}
	for _, burst := range []float64{1, 2, 4} {
		a, truth := Analyse(stepsBehind(burst, 1), spec), breaksAt(burst, 0.025)
		if c := a.Capacity; c.Bound != Predicted || math.Abs(c.Value.Value/truth-1) > 0.08 {
			t.Errorf("burst %g: capacity %q %.4g, want %.4g within 8%%: %v", burst, c.Bound, c.Value.Value, truth, a.Warnings)
		}
		if b := a.Saturation.Bottlenecks[0]; b.Resource != Unmeasured || b.Probability < sure {
			t.Errorf("burst %g: first to give out is %s with %.2f", burst, b.Resource, b.Probability)
		}
	}
	for _, burst := range []float64{6, 20} {
		a := Analyse(stepsBehind(burst, 1), spec)
		if c := a.Capacity; c.Bound != Above || !strings.Contains(fmt.Sprint(a.Warnings), "not identifiable") {
			t.Errorf("burst %g: capacity %q %.4g: %v", burst, c.Bound, c.Value.Value, a.Warnings)
		}
		if b := a.Saturation.Bottlenecks[0]; b.Resource != Unmeasured {
			t.Errorf("burst %g: %s is called", burst, b.Resource)
		} else if b.RPS != 0 {
			t.Errorf("burst %g: something that was not seen gives out at %.4g/s", burst, b.RPS)
		}
	}
}
