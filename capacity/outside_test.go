package capacity

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/headroom-project/headroom/scenarios"
)

// The distribution has the mean and the variance that it is asked for, and a known value.
func TestInverseGaussian(t *testing.T) {
	t.Parallel()
	for _, scv := range []float64{0.002, 0.04, 0.3, 1, 2} {
		var mean, square float64
		const step = 1e-3
		for x := step / 2; x < 80; x += step {
			above := 1 - inverseGaussian(x, scv)
			mean, square = mean+step*above, square+2*step*x*above
		}
		if math.Abs(mean-1) > 2e-3 || math.Abs(square-1-scv) > 1e-2*(1+scv) {
			t.Errorf("scv %g: mean %.4f, mean square %.4f", scv, mean, square)
		}
	}
	if p := inverseGaussian(1, 1); math.Abs(p-(0.5+math.Exp(2)*math.Erfc(math.Sqrt2)/2)) > 1e-12 {
		t.Errorf("%g of them are below the mean", p)
	}
	// Where the second term is nearly 0 times infinity, it goes on as it was.
	for _, scv := range []float64{0.00443, 0.00445} {
		a, b := inverseGaussian(1, scv), inverseGaussian(1.0001, scv)
		if !(a > 0.5 && a < 0.52 && b > a && b < a+1e-2) {
			t.Errorf("scv %g: %g, %g", scv, a, b)
		}
	}
}

// fewHeavy is work of which a few requests are ten times as much as the others.
func fewHeavy(rng *rand.Rand) float64 {
	work := 0.0025 / 1.54 // the mean of all is 2.5 ms
	if rng.IntN(100) < 6 {
		work *= 10
	}
	return work
}

func exponentialWork(rng *rand.Rand) float64 { return 0.0025 * rng.ExpFloat64() }

// mixed are responses of one core, in order or shared; the rest, log-normal, comes on top
// of the work and of the waiting for it.
func mixed(rng *rand.Rand, draw func(*rand.Rand) float64, load float64, n int, shared bool) (responses, works, rests []float64) {
	const rest, scv = 0.01, 0.2
	sigma := math.Sqrt(math.Log1p(scv))
	type job struct {
		at, left float64
		i        int
	}
	var present []job
	now, free := 0.0, 0.0
	responses = make([]float64, n)
	for i := range n {
		next := rng.ExpFloat64() / load
		work := draw(rng)
		works = append(works, work)
		rests = append(rests, rest*math.Exp(sigma*rng.NormFloat64()-sigma*sigma/2))
		for shared && len(present) > 0 {
			k := 0
			for i := range present {
				if present[i].left < present[k].left {
					k = i
				}
			}
			each := min(present[k].left, next/float64(len(present)))
			for i := range present {
				present[i].left -= each
			}
			now, next = now+each*float64(len(present)), next-each*float64(len(present))
			if present[k].left > 0 {
				break
			}
			responses[present[k].i] = now - present[k].at + rests[present[k].i]
			present = slices.Delete(present, k, k+1)
		}
		now += next
		free = max(free, now) + work
		responses[i] = free - now + rests[i]
		if shared {
			present = append(present, job{now, work, i})
		}
	}
	done := n - 2*len(present) // the last are not answered yet
	return responses[:done], works[:done], rests[:done]
}

// stagesOfCore are the stages of a drill up to 60% of the 400/s that saturate the core;
// most of it is at its highest load.
func stagesOfCore(rng *rand.Rand, draw func(*rand.Rand) float64, shared bool) ([]stage, bins) {
	b := newBins(int(math.Log(1000)/logBin)/coarse, int(math.Log(1e6)/logBin)/coarse)
	var list []stage
	for _, s := range []struct {
		load float64
		n    int
	}{{40, 600}, {100, 800}, {240, 15000}} {
		g := stage{load: s.load, seconds: float64(s.n) / s.load, ca2: 1, counts: make([]float64, len(b.middle))}
		responses, _, _ := mixed(rng, draw, s.load, s.n, shared)
		for _, r := range responses {
			g.counts[b.at(r)]++
			g.total++
		}
		list = append(list, g)
	}
	return list, b
}

func core(list []stage, b bins) (know belief, how station) {
	know = believe(400, 0.01, 1, 0.15)
	how.shared = true
	if scv, known := how.worked(quietest(list), b, 0.0025); known {
		know.mean[2], know.sd[2] = math.Log(scv), 0.5
	}
	return know, how
}

// What is work of a response, and what sharing makes of it further up, is held against a
// simulation: a fifth of a response is work, and what varies is mostly the rest. That all
// that is above a constant is work, as the law would have it without telling them apart,
// is far off.
func TestWorkIsToldFromTheRest(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(12, 9))
	list, b := stagesOfCore(rng, fewHeavy, true)
	know, how := core(list, b)
	apart := fitShared(list, b, know, how, 0.0025, thorough)
	how.each = 0
	constant := fitLatency(list, b, know, how, nil, thorough)

	_, works, rests := mixed(rng, fewHeavy, 1, 200_000, true)
	for _, t0 := range []float64{0.008, 0.012, 0.027} {
		k := b.at(t0)
		var sum, n float64
		for i, w := range works {
			if b.at(w+rests[i]) == k {
				sum, n = sum+w, n+1
			}
		}
		if got, _ := apart.work(b.middle[k]); math.Abs(got/(sum/n)-1) > 0.3 {
			t.Errorf("of %g ms are %.3g ms work, simulated %.3g", 1000*t0, 1000*got, 1000*sum/n)
		}
	}
	responses, _, _ := mixed(rng, fewHeavy, 300, 400_000, true)
	slices.Sort(responses)
	want := percentile(responses, 0.99)
	off := apart.quantile(300, 0.99)/want - 1
	bad := constant.quantile(300, 0.99)/want - 1
	t.Logf("p99 at 75%%: %.4g s, told apart %+.1f%%, not told apart %+.1f%%", want, 100*off, 100*bad)
	if math.Abs(off) > 0.1 {
		t.Errorf("p99 is off by %.1f%%", 100*off)
	}
	if math.Abs(bad) < 2*math.Abs(off) {
		t.Errorf("a constant rest is as good: off by %.1f%%", 100*bad)
	}
}

// Cores that are shared and cores that serve in order are told apart where most of a
// response is no work for them.
func TestSharingIsToldFromOrder(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		draw   func(*rand.Rand) float64
		shared bool
	}{
		{"exponential, shared", exponentialWork, true},
		{"exponential, in order", exponentialWork, false},
		{"few heavy, shared", fewHeavy, true},
		{"few heavy, in order", fewHeavy, false},
	} {
		right := 0.0
		const seeds = 6
		for seed := range uint64(seeds) {
			list, b := stagesOfCore(rand.New(rand.NewPCG(seed, 2)), c.draw, c.shared)
			know, how := core(list, b)
			sharing := fitShared(list, b, know, how, 0.0025, thorough)
			ordered := fitLatency(list, b, know, station{}, nil, thorough)
			for _, law := range stacked(list, b, thorough, &ordered, &sharing) {
				if law.shared == c.shared {
					right += law.weight / seeds
				}
			}
		}
		t.Logf("%s: weight %.2f", c.name, right)
		if right < 0.6 {
			t.Errorf("%s: the right law has a weight of %.2f", c.name, right)
		}
	}
}

// The two halves of a fit belong together: what a histogram becomes, weighed by what was
// seen, is the histogram weighed by its credit.
func TestCreditIsSpreadBackwards(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(4, 4))
	b := newBins(150, 190)
	besides := &beside{latency: latency{server: server{500, 3, 1}, bins: b}}
	for _, c := range []struct {
		name string
		station
	}{
		{"in order", station{}},
		{"in order, behind another", station{besides: besides}},
		{"shared", station{shared: true, rest: 0.001}},
		{"shared, before another", station{shared: true, besides: besides}},
		{"shared, work alone", station{shared: true, outside: newOutside(0.004, 0.2, b)}},
		{"shared, work alone, before another", station{shared: true, outside: newOutside(0.004, 0.2, b), besides: besides}},
	} {
		l := latency{server: server{400, 2, 0.7}, station: c.station, bins: b}
		base, seen := make([]float64, len(l.inner().middle)), make([]float64, len(b.middle))
		for j := range base {
			base[j] = rng.Float64()
		}
		for k := range seen {
			seen[k] = rng.Float64()
		}
		var k kernel
		var memory between
		l.prepare(250, 1, &k)
		forward, whole, total := 0.0, 0.0, 0.0
		for i, p := range k.spread(base, l.shared, len(seen), &memory, nil) {
			forward += p * seen[i]
			whole += p
		}
		backward := 0.0
		for j, p := range k.credit(seen, l.shared, len(base), &memory, nil) {
			backward += p * base[j]
			total += base[j]
		}
		if math.Abs(forward/backward-1) > 1e-9 {
			t.Errorf("%s: %g forwards, %g backwards", c.name, forward, backward)
		}
		// What waits beyond the last bin is lost in order; sharing keeps it in the last.
		if whole > total*(1+1e-9) || whole < 0.8*total || l.shared && l.besides == nil && math.Abs(whole/total-1) > 1e-9 {
			t.Errorf("%s: %g of %g requests are left", c.name, whole, total)
		}
	}
}

// The cost of having chosen is that of the mean of all: what the best explains as well as
// any costs what it was believed less than all together.
func TestChosenIsTheMeanOfAll(t *testing.T) {
	t.Parallel()
	alike := make([]float64, len(scatters))
	if c := chosen(alike, 2); math.Abs(c) > 1e-12 {
		t.Errorf("of laws that are all alike, one costs %g more", c)
	}
	fits := []float64{-100, -99, -98, -95, -99, -200}
	var sum, belief float64
	for i, scv := range scatters {
		w := math.Exp(-doubted(scv))
		sum, belief = sum+w*math.Exp(fits[i]), belief+w
	}
	for one := range fits[:5] {
		if cost := -fits[one] + chosen(fits, one); math.Abs(cost+math.Log(sum/belief)) > 1e-9 {
			t.Errorf("with %d chosen all cost %g, their mean %g", one, cost, -math.Log(sum/belief))
		}
	}
}

// Low loads are put together until there are enough responses; a high one is not.
func TestQuietestIsOfLowLoads(t *testing.T) {
	t.Parallel()
	at := func(load, n float64) stage { return stage{load: load, counts: []float64{n}, total: n} }
	for _, c := range []struct {
		list  []stage
		total float64
	}{
		{[]stage{at(50, 500), at(60, 500), at(400, 9000)}, 500},
		{[]stage{at(50, 100), at(60, 200), at(100, 200), at(400, 9000)}, 500},
		{[]stage{at(50, 100), at(300, 800), at(400, 9000)}, 100},
		{[]stage{at(50, 100)}, 100},
	} {
		if g := quietest(c.list); g.total != c.total || g.counts[0] != c.total || c.list[0].total != c.list[0].counts[0] {
			t.Errorf("%v: %v", c.list, g)
		}
	}
}

// What a bin of the time without waiting does to the crossing is what moving it a little
// does.
func TestGradientOfTheCrossing(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 8))
	list, b := stagesOfCore(rng, exponentialWork, true)
	know, how := core(list, b)
	for _, o := range []scenarios.Objective{
		{Metric: "p99", Op: "<", Value: 60}, {Metric: "mean", Op: "<", Value: 18},
	} {
		f := fitShared(list, b, know, how, 0.0025, quick)
		p := &predictor{objectives: []scenarios.Objective{o}, ca2: 1, top: 240}
		d := design{p: p, f: &f, list: list, nearest: -1}
		g := d.gradient()
		at, _ := p.crossing(&f, -1)
		most := 0.0
		for j := range f.base {
			most = max(most, math.Abs(g.AtVec(3+j)))
		}
		if most < 1e-3 {
			t.Fatalf("%v: no bin counts for anything at %g", o, at)
		}
		for j, share := range f.base {
			const by = 0.02
			moved := f
			moved.base = slices.Clone(f.base)
			for k := range moved.base { // as a softmax
				moved.base[k] /= 1 + share*(math.Exp(by)-1)
			}
			moved.base[j] *= math.Exp(by)
			x, _ := p.crossing(&moved, -1)
			if want := math.Log(x/at) / by; math.Abs(g.AtVec(3+j)-want) > 0.1*most {
				t.Errorf("%v: bin %d moves the crossing by %.4g, not %.4g", o, j, want, g.AtVec(3+j))
			}
		}
	}
}
