package capacity

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// Without crosstalk the law of shared cores is that of Erlang.
func TestPresenceWithoutCrosstalk(t *testing.T) {
	t.Parallel()
	for _, cores := range []float64{1, 4, 32} {
		for _, rho := range []float64{0.1, 0.6, 0.95} {
			p := crosstalk{}.present(rho*cores, cores)
			want := 1 + erlangC(cores, rho)/(cores*(1-rho))
			if math.Abs(p.slow/want-1) > 1e-9 || math.Abs(p.busy/(rho*cores)-1) > 1e-9 || math.Abs(p.mean/(want*rho*cores)-1) > 1e-9 {
				t.Errorf("%g cores at %g: %+v, want slower by %g", cores, rho, p, want)
			}
		}
	}
}

// The use of cores with crosstalk grows faster than the load, to the limit where
// the law says that it is reached.
func TestLawOfCrosstalk(t *testing.T) {
	t.Parallel()
	l := line{base: 0.2, demand: 0.01, talk: crosstalk{0.02, 3e-4}, limit: 16}
	top := l.reaches(16)
	if plain := 15.8 / 0.01; top > 0.8*plain || top < 0.6*plain {
		t.Errorf("saturates at %g, %g without crosstalk", top, plain)
	}
	if u := l.at(0.9999 * top); u < 15.5 || u > 16 {
		t.Errorf("%g cores in use at the limit of 16", u)
	}
	last := 0.01
	for x := 0.1; x < 0.9; x += 0.1 {
		cost := (l.at(x*top) - 0.2) / (x * top)
		if cost < last {
			t.Errorf("a request costs %g at %g of the limit, %g below", cost, x, last)
		}
		last = cost
	}
	var us []use
	for x := 0.05; x < 0.6; x += 0.05 {
		us = append(us, use{load: x * top, used: l.at(x * top), weight: 7})
	}
	f, ok := fitUses(us, 16, "cores")
	if !ok || math.Abs(f.reaches(16)/top-1) > 0.02 {
		t.Errorf("fitted limit %g, want %g", f.reaches(16), top)
	}
}

// Requests that share a core and then queue for a lock: the 99th percentile of the
// law is held against a simulation.
func TestTwoResourcesInARow(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(7, 7))
	b := newBins(int(math.Log(100)/logBin)/coarse, int(math.Log(1e6)/logBin)/coarse)
	const work, hold = 0.004, 0.006
	core := latency{server: server{saturation: 1 / work, servers: 1, scv: 1}, station: station{shared: true}, bins: b}
	lock := latency{
		server:  server{saturation: 1 / hold, servers: 1, scv: 0.01},
		station: station{besides: &beside{latency: core}}, bins: b, base: make([]float64, len(b.middle)),
	}
	const n = 200_000
	for range n {
		v := rng.ExpFloat64() * work
		k := slices.IndexFunc(b.edges[1:], func(e float64) bool { return e > v })
		lock.base[max(k, 0)] += 1.0 / n
	}
	for _, load := range []float64{50, 100, 140} {
		times := tandem(rng, load, work, hold, n)
		slices.Sort(times)
		want, got := percentile(times, 0.99)-hold, lock.quantile(load, 0.99)
		if math.Abs(got/want-1) > 0.12 {
			t.Errorf("at %g/s: p99 %g s, simulated %g", load, got, want)
		}
	}
}

// tandem simulates one core that is shared evenly, and then a lock.
func tandem(rng *rand.Rand, load, work, hold float64, n int) []float64 {
	type job struct{ at, left float64 }
	var present []job
	var times []float64
	now, free := 0.0, 0.0
	for len(times) < n {
		next := rng.ExpFloat64() / load
		for len(present) > 0 {
			k := 0
			for i := range present {
				if present[i].left < present[k].left {
					k = i
				}
			}
			takes := present[k].left * float64(len(present))
			if takes > next {
				break
			}
			for i := range present {
				present[i].left -= takes / float64(len(present))
			}
			now, next = now+takes, next-takes
			free = max(free, now) + hold
			times = append(times, free-present[k].at)
			present = slices.Delete(present, k, k+1)
		}
		for i := range present {
			present[i].left -= next / float64(len(present))
		}
		now += next
		present = append(present, job{now, rng.ExpFloat64() * work})
	}
	return times
}
