package capacity

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"
)

// ggc answers n Poisson arrivals at a load with servers in order, and returns the
// quantile q of their responses in s, the first tenth left out.
func ggc(load float64, servers, n int, q float64, service func(*rand.Rand) float64, rng *rand.Rand) float64 {
	return gigc(load, servers, n, q, func(rng *rand.Rand) float64 { return rng.ExpFloat64() }, service, rng)
}

// gigc is ggc for times between arrivals that are drawn, with a mean of 1.
func gigc(load float64, servers, n int, q float64, between, service func(*rand.Rand) float64, rng *rand.Rand) float64 {
	free := make([]float64, servers)
	at := 0.0
	responses := make([]float64, 0, n)
	for i := range n {
		at += between(rng) / load
		first := 0
		for k := range free {
			if free[k] < free[first] {
				first = k
			}
		}
		free[first] = max(at, free[first]) + service(rng)
		if i >= n/10 {
			responses = append(responses, free[first]-at)
		}
	}
	slices.Sort(responses)
	return responses[int(q*float64(len(responses)-1))]
}

// services are of mean 1 s.
var services = []struct {
	name string
	draw func(*rand.Rand) float64
}{
	{"exponential", func(rng *rand.Rand) float64 { return rng.ExpFloat64() }},
	{"bimodal, scv 3.6", func(rng *rand.Rand) float64 {
		if rng.Float64() < 0.05 {
			return 9.5
		}
		return 0.5526
	}},
	{"lognormal, scv 4", func(rng *rand.Rand) float64 { return lognormal(4, rng) }},
	{"lognormal, scv 10", func(rng *rand.Rand) float64 { return lognormal(10, rng) }},
	{"Pareto, 2.5", func(rng *rand.Rand) float64 { return 0.6 * math.Pow(1-rng.Float64(), -1/2.5) }},
}

func lognormal(scv float64, rng *rand.Rand) float64 {
	s := math.Sqrt(math.Log(1 + scv))
	return math.Exp(s*rng.NormFloat64() - s*s/2)
}

// exactly is the latency law of servers whose service is known: its histogram and
// its variability.
func exactly(servers int, service func(*rand.Rand) float64) *latency {
	rng := rand.New(rand.NewPCG(3, 3))
	const n = 200_000
	l := &latency{bins: newBins(binOf(1e6*1e-3)/coarse, binOf(1e6*1e3)/coarse)}
	l.base = make([]float64, len(l.bins.middle))
	mean, squares := 0.0, 0.0
	for range n {
		v := service(rng)
		mean, squares = mean+v/n, squares+v*v/n
		k, _ := slices.BinarySearch(l.bins.edges, v)
		l.base[min(max(k-1, 0), len(l.base)-1)] += 1.0 / n
	}
	l.server = server{saturation: float64(servers) / mean, servers: float64(servers), scv: squares/(mean*mean) - 1}
	return l
}

// What the closed form costs against a simulation of the same queue, everything else
// being known: the error of the load at which p99 crosses what it is at 85%
// utilisation. A simulation of 100,000 arrivals has an error of its own, which is
// printed beside it. The bounds are what was found, and a little more.
func TestClosedFormAgainstSimulation(t *testing.T) {
	t.Parallel()
	bounds := map[string]float64{"exponential": 0.02, "bimodal, scv 3.6": 0.06, "lognormal, scv 4": 0.06, "lognormal, scv 10": 0.12, "Pareto, 2.5": 0.12}
	for _, s := range services {
		for _, c := range []int{1, 2, 4} {
			t.Run(fmt.Sprintf("%s, %d", s.name, c), func(t *testing.T) {
				l := exactly(c, s.draw)
				truth := 0.85 * l.saturation
				target := ggc(truth, c, 400_000, 0.99, s.draw, rand.New(rand.NewPCG(1, uint64(c))))
				closed := rises(0.999*l.saturation, func(x float64) bool { return l.tail(x, target) > 0.01 })
				low, high := 0.5*l.saturation, 0.97*l.saturation
				for range 10 {
					x := (low + high) / 2
					if ggc(x, c, 100_000, 0.99, s.draw, rand.New(rand.NewPCG(2, uint64(c)))) > target {
						high = x
					} else {
						low = x
					}
				}
				e, es := closed/truth-1, low/truth-1
				t.Logf("closed form %+.1f%%, simulation %+.1f%%", 100*e, 100*es)
				if math.Abs(e) > bounds[s.name] {
					t.Errorf("closed form is off by %+.1f%%", 100*e)
				}
			})
		}
	}
}

// A capacity that is predicted for bursty arrivals, or for an even pace, is where a simulation
// of them has it, everything else being known. The bounds are what was found, and a little more.
func TestPredictedForOtherArrivals(t *testing.T) {
	t.Parallel()
	exponential := services[0].draw
	for _, ca2 := range []float64{0.05, 3, 8} {
		for _, c := range []int{1, 4} {
			t.Run(fmt.Sprintf("ca2 %g, %d", ca2, c), func(t *testing.T) {
				between := distuv.Gamma{Alpha: 1 / ca2, Beta: 1 / ca2}
				l := exactly(c, exponential)
				truth := 0.75 * l.saturation
				rng := rand.New(rand.NewPCG(1, uint64(c)))
				between.Src = rng
				target := gigc(truth, c, 400_000, 0.99, func(*rand.Rand) float64 { return between.Rand() }, exponential, rng)
				crossing := func(ahead float64) float64 {
					l.ahead = ahead
					return rises(0.999*l.saturation, func(x float64) bool { return l.tail(x, target) > 0.01 })
				}
				e, poisson := crossing(ca2)/truth-1, crossing(0)/truth-1
				t.Logf("off by %+.1f%%; for Poisson arrivals it would be %+.1f%%", 100*e, 100*poisson)
				if math.Abs(e) > 0.05 || math.Abs(e) > math.Abs(poisson) {
					t.Errorf("off by %+.1f%%; for Poisson arrivals %+.1f%%", 100*e, 100*poisson)
				}
			})
		}
	}
}
