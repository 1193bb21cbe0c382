package capacity

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// Formulae that are exact: M/M/c, M/D/1 (decay of the root of rho(e^y-1) = y).
func TestQueueingFormulae(t *testing.T) {
	t.Parallel()
	for _, c := range []float64{1, 2, 7, 50} {
		for _, rho := range []float64{0.1, 0.5, 0.9, 0.99} {
			s := server{saturation: 100, servers: c, scv: 1}
			if got, want := s.decay(100*rho, 1), 100*(1-rho); math.Abs(got-want) > 1e-6*want {
				t.Errorf("M/M/%g at %g: decay %g, want %g", c, rho, got, want)
			}
		}
	}
	for _, rho := range []float64{0.05, 0.3, 0.6, 0.95} {
		y := server{saturation: 1, servers: 1, scv: 0}.decay(rho, 1)
		if d := rho*math.Expm1(y) - y; math.Abs(d) > 1e-6*y {
			t.Errorf("M/D/1 at %g: decay %g is no root", rho, y)
		}
	}
}

// waits simulates a queue of c servers in order of arrival and returns the chance to
// wait and the waits, sorted. The mean service is 1.
func waits(c int, rho, ca2, scv float64, n int) (chance float64, list []float64) {
	rng := rand.New(rand.NewPCG(9, 9))
	free, at, variance := make([]float64, c), 0.0, math.Log1p(scv)
	for range n {
		if gap := 1 / (rho * float64(c)); ca2 == 0 {
			at += gap
		} else {
			at += gap * rng.ExpFloat64()
		}
		k := 0
		for i := range free {
			if free[i] < free[k] {
				k = i
			}
		}
		begin := max(at, free[k])
		free[k] = begin + math.Exp(-variance/2+math.Sqrt(variance)*rng.NormFloat64())
		list = append(list, begin-at)
		if begin > at {
			chance += 1 / float64(n)
		}
	}
	slices.Sort(list)
	return chance, list
}

// The closed form is close enough to G/G/c, simulated, to stand for it: the p99 of
// the response (wait and mean service) is within 12% for Poisson arrivals and within
// 25% for even ones, whose waits are a third to two thirds of those.
func TestWaitingAgainstSimulation(t *testing.T) {
	t.Parallel()
	for _, ca2 := range []float64{1, 0} {
		for _, c := range []int{1, 4, 16} {
			for _, scv := range []float64{0.3, 1} {
				for _, rho := range []float64{0.5, 0.7, 0.85} {
					name := fmt.Sprintf("ca2 %g, %d servers, scv %g, rho %g", ca2, c, scv, rho)
					chance, list := waits(c, rho, ca2, scv, 200_000)
					w := server{saturation: float64(c), servers: float64(c), scv: scv}.waiting(rho*float64(c), ca2)
					p99 := max(math.Log(w.chance/0.01)/w.decay, 0)
					within := map[float64]float64{1: 0.12, 0: 0.25}[ca2]
					if want := list[len(list)*99/100]; math.Abs(p99-want) > within*(want+1) {
						t.Errorf("%s: p99 of the wait %.3f, simulated %.3f", name, p99, want)
					}
					if math.Abs(w.chance-chance) > map[float64]float64{1: 0.03, 0: 0.2}[ca2] {
						t.Errorf("%s: chance %.3f, simulated %.3f", name, w.chance, chance)
					}
				}
			}
		}
	}
}
