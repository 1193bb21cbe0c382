package capacity

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// A small pool that is read at an instant once a second scatters too much for its
// slope to be beyond doubt; that some slots are taken when requests come, and none
// without, is law enough. Of 50 pools of three slots at most 2 are left out, and the
// median ceiling is within 5%.
func TestSmallPoolReadAtAnInstant(t *testing.T) {
	t.Parallel()
	const saturation, slots = 400.0, 3
	rng := rand.New(rand.NewPCG(31, 1))
	var ceilings []float64
	for range 50 {
		var us []use
		for load := 40.0; load <= 240; load += 20 {
			taken := 0.0
			for range 7 { // binomial: each slot is taken or not
				for range slots {
					if rng.Float64() < load/saturation {
						taken++
					}
				}
			}
			us = append(us, use{load: load, used: taken / 7, weight: 7, slots: true})
		}
		if f, ok := fitUses(us, slots, "slots"); ok && f.exercised {
			ceilings = append(ceilings, f.reaches(slots))
		}
	}
	slices.Sort(ceilings)
	if len(ceilings) < 48 || math.Abs(percentile(ceilings, 0.5)/saturation-1) > 0.05 {
		t.Errorf("%d of 50 pools show a limit; the median is %g, want %g", len(ceilings), percentile(ceilings, 0.5), saturation)
	}
	var still []use
	for load := 40.0; load <= 240; load += 20 {
		still = append(still, use{load: load, used: 2, weight: 7, slots: true})
	}
	if f, ok := fitUses(still, slots, "slots"); ok && f.exercised {
		t.Errorf("slots that stay taken have a limit at %g/s", f.reaches(slots))
	}
}

// Requests use a core for 4 ms and then take 120 ms elsewhere, both exponential: a
// long response is no sign of much work, and sharing the core adds little to it. The
// law is within 5% of a simulation; taken for work, the long responses would be
// longer by half and more.
func TestWorkThatResponsesDoNotShow(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(32, 1))
	const work, elsewhere = 0.004, 0.12
	b := newBins(int(math.Log(1000)/logBin)/coarse, int(math.Log(4e6)/logBin)/coarse)
	responses := func(load float64, n int) stage {
		g := stage{load: load, counts: make([]float64, len(b.middle)), total: float64(n)}
		for _, v := range tandem(rng, load, work, 0, n) {
			v += rng.ExpFloat64() * elsewhere
			k := slices.IndexFunc(b.edges[1:], func(e float64) bool { return e > v })
			g.counts[max(k, 0)]++
		}
		return g
	}
	rest := responses(2.5, 100_000)
	l := latency{server: server{saturation: 1 / work, servers: 1, scv: 1}, station: station{shared: true}, bins: b}
	if _, known := l.worked(rest, b, work); known || l.each != work {
		t.Fatalf("work of %g s is seen in responses of %g s", l.each, elsewhere)
	}
	for _, n := range rest.counts {
		l.base = append(l.base, n/rest.total)
	}
	for _, rho := range []float64{0.5, 0.8, 0.9} {
		busy := responses(rho/work, 100_000)
		want := 1000 * percentileOf(busy, b, 0.99)
		if got := 1000 * l.quantile(rho/work, 0.99); math.Abs(got/want-1) > 0.05 {
			t.Errorf("at %g of the limit: p99 %.1f ms, simulated %.1f", rho, got, want)
		}
	}
}

func percentileOf(g stage, b bins, q float64) float64 {
	above := (1 - q) * g.total
	for k := len(g.counts) - 1; k >= 0; k-- {
		if above -= g.counts[k]; above < 0 {
			return b.middle[k]
		}
	}
	return 0
}

// The responses are asked for the saturation that the readings leave open.
func TestWhichOfTwoLimitsIsFitted(t *testing.T) {
	t.Parallel()
	known := func(name string, ceiling, doubt float64) fit {
		return fit{name: name, limit: 1, line: line{demand: 1 / ceiling}, doubted: doubt}
	}
	memory := known("memory", 390, 0.2)
	memory.unit = "bytes"
	for _, c := range []struct {
		limited []fit
		want    string
	}{
		{[]fit{known("cpu", 400, 0.005), known("pool", 410, 0.05)}, "pool"},
		{[]fit{known("pool", 380, 0.05), known("cpu", 400, 0.005)}, "pool"},
		{[]fit{known("cpu", 400, 0.005), known("pool", 500, 0.05)}, "cpu"},
		{[]fit{known("cpu", 400, 0.05), known("pool", 410, 0.005)}, "cpu"},
		{[]fit{memory, known("cpu", 400, 0.005), known("pool", 800, 0.05)}, "cpu"},
	} {
		p := &predictor{limited: c.limited, top: 200}
		if got := p.limited[p.fittedOf(p.nearest(-1))].name; got != c.want {
			t.Errorf("of %+v %s is fitted, want %s", c.limited, got, c.want)
		}
		// Its ceiling is in the law already, and no bound besides.
		p.main = p.fittedOf(p.nearest(-1))
		law := fitted{measured: true}
		if limit, own := p.limit(&law, -1), p.limited[p.main].ceiling(-1); math.Abs(limit-own) < 1e-9 {
			t.Errorf("%s is bounded by its own ceiling", c.want)
		}
	}
}
