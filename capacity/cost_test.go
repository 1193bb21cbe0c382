package capacity

import (
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

var twoPrices = &scenarios.Prices{VCPUHour: 0.04, GBHour: 0.005}

// shopUse is two cores, of which a request takes 3.6 ms, and 4 GB: 0.10 an hour.
func shopUse(x float64) map[string]observation.Use {
	return map[string]observation.Use{
		"cpu":    {Used: 0.1 + 0.0036*x, Limit: 2, Unit: "cores"},
		"memory": {Used: 1e9, Limit: 4e9, Unit: "bytes"},
	}
}

// A cost is known at the demand and at the capacity, and for whoever knows a peak at that;
// what it was known at before comes first, and is the same.
func TestCostAtEachLoad(t *testing.T) {
	t.Parallel()
	points := ladder(400, shopUse, 50, 100, 200, 300, 350, 380, 500)
	a := Analyse(points, Spec{Objectives: p99, Prices: twoPrices, DemandRPS: 100})
	c := a.Cost
	if c == nil || len(c.At) != 2 || c.At[0].Load != AtNow || c.At[1].Load != AtCapacity {
		t.Fatalf("%+v", c)
	}
	if c.At[0].Loaded.Value != c.Loaded.Value || c.At[0].RPS != 100 || c.At[0].Replicas != 1 {
		t.Errorf("now: %+v", c.At[0])
	}
	x := a.Capacity
	at := c.At[1]
	if want := 0.1 / 0.0036 / x.Value.Value; at.RPS != x.Value.Value || math.Abs(at.Loaded.Value-want) > 1e-9 ||
		math.Abs(at.Loaded.Low-0.1/0.0036/x.High) > 1e-9 || math.Abs(at.Loaded.High-0.1/0.0036/x.Low) > 1e-9 {
		t.Errorf("at the capacity %+v: %+v, want %g", x.Value, at.Loaded, want)
	}
	if !(at.Idle.Value < c.Idle.Value) || math.Abs(at.Marginal.Value-c.Marginal.Value) > 1e-12 {
		t.Errorf("idle %g at the capacity and %g at 100/s", at.Idle.Value, c.Idle.Value)
	}
	// A peak of 1.5 capacities needs two replicas, each at three quarters.
	peak := c.AtLoad(AtPeak, Value{Value: 1.5 * x.Value.Value, Low: 1.2 * x.Value.Value, High: 1.9 * x.Value.Value})
	if want := 0.1 / 0.0036 / (0.75 * x.Value.Value); peak.Replicas != 2 || math.Abs(peak.Loaded.Value-want) > 1e-9 || !(peak.Loaded.Low < want && want < peak.Loaded.High) {
		t.Errorf("at the peak: %+v, want %g", peak, want)
	}
	if a := Analyse(points, Spec{Objectives: p99, Prices: twoPrices}); len(a.Cost.At) != 1 || a.Cost.At[0].Load != AtCapacity || a.Cost.AtRPS != x.Value.Value {
		t.Errorf("without a demand: %+v", a.Cost)
	}
}

// Those that are answered bear what fails on the way; failures at other loads are none of
// theirs, and neither is one in ten thousand.
func TestCostPerGoodRequest(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		fails func(load float64) float64
		good  float64 // of 200/s
	}{
		{"none", func(float64) float64 { return 0 }, 1},
		{"a tenth", func(float64) float64 { return 0.1 }, 0.9},
		{"above", func(load float64) float64 { return map[bool]float64{true: 0.2}[load > 250] }, 1},
	} {
		points := ladder(1e9, nil, 50, 100, 150, 200, 300, 350, 380)
		for i := range points {
			p := &points[i]
			p.ErrorRatio = c.fails(p.Offered)
			p.Throughput = p.Offered * (1 - p.ErrorRatio)
			p.OK, p.Failed = uint64(8*p.Throughput), uint64(8*(p.Offered-p.Throughput))
			p.Resources = shopUse(p.Throughput)
		}
		a := Analyse(points, Spec{Objectives: p99, Prices: twoPrices, DemandRPS: 200})
		if a.Cost == nil {
			t.Fatalf("%s: no cost: %q", c.name, a.Warnings)
		}
		// The use was made to go with what is answered, so that a good request takes as much.
		loaded, marginal := 0.1/0.0036/200/c.good, 0.04
		if x := a.Cost; math.Abs(x.Loaded.Value-loaded) > 1e-6 || math.Abs(x.Marginal.Value-marginal) > 0.01*marginal {
			t.Errorf("%s: loaded %g, marginal %g, want %g and %g", c.name, x.Loaded.Value, x.Marginal.Value, loaded, marginal)
		}
		if good := a.Cost.Good(200); math.Abs(good-c.good) > 1e-9 {
			t.Errorf("%s: %g are answered OK", c.name, good)
		}
		if said := strings.Contains(a.Cost.Loaded.Method, "10% of it fails"); said != (c.good < 1) {
			t.Errorf("%s: %q", c.name, a.Cost.Loaded.Method)
		}
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	f := failures(isotonic([]reading{{100, 0.02, 100}, {200, 0, 100}, {300, 0.01, 1000}, {400, 0.5, 1000}}))
	for _, c := range []struct{ load, want float64 }{{50, 0.01}, {250, 0.01}, {399, 0.01}, {400, 0.5}, {1e6, 0.5}} {
		if got := f.at(c.load); math.Abs(got.Value-c.want) > 1e-12 || got.Low > c.want || got.High < c.want {
			t.Errorf("at %g/s %+v fail, want %g", c.load, got, c.want)
		}
	}
	if got := (failures{}).at(1); got.Value != 0 || got.said() != "" {
		t.Errorf("nothing known, and %+v", got)
	}
	// Just above 400/s fewer are answered than at any other load in the interval.
	share, rate := f.answered(Value{Value: 380, Low: 350, High: 420})
	if rate.Low > 200 || rate.High < 395 || share.Low > 0.5 || math.Abs(rate.Value-380*0.99) > 1e-9 {
		t.Errorf("%+v, %+v/s", share, rate)
	}
}

// One more request takes what the use grows by at its load, not what it takes alone.
func TestMarginalCostOfACurvedDemand(t *testing.T) {
	t.Parallel()
	use := func(x float64) map[string]observation.Use {
		return map[string]observation.Use{"cpu": {Used: 0.05 + 0.001*x + 2e-6*x*x, Limit: 1, Unit: "cores"}}
	}
	points := ladder(1e9, use, 50, 80, 120, 160, 200, 240, 280, 320, 360, 400)
	cost := func(demand float64) *Cost {
		return Analyse(points, Spec{Objectives: p99, Prices: &scenarios.Prices{VCPUHour: 0.036}, DemandRPS: demand, Replicates: 40}).Cost
	}
	for _, load := range []float64{100, 200, 380} {
		c := cost(load)
		if c == nil {
			t.Fatal("no cost")
		}
		// 0.036 an hour are 10 for a million core-seconds.
		if want := 10 * (0.001 + 4e-6*load); math.Abs(c.Marginal.Value/want-1) > 0.05 || c.Marginal.Low > c.Marginal.Value || c.Marginal.High < c.Marginal.Value {
			t.Errorf("at %g/s a million more use %+v, want %g", load, c.Marginal, want)
		}
		if c.Marginal.Method != byDemand && c.Marginal.Method != bySlope || c.Parts["cpu"].Method != bySlope {
			t.Errorf("%q, %q", c.Marginal.Method, c.Parts["cpu"].Method)
		}
	}
}

// A cost goes by the law that the bottleneck has, also where that needed the responses: the
// use alone, of a few readings on eight cores, does not tell crosstalk from a straight line.
func TestCostGoesByTheLawOfTheBottleneck(t *testing.T) {
	t.Parallel()
	law := Law{Base: 0.1, Demand: 0.004, Serial: 0.02, Pairs: 0.002, Cores: 8}
	points := ladder(1e9, func(x float64) map[string]observation.Use {
		return map[string]observation.Use{"cpu": {Used: law.At(x), Limit: 8, Unit: "cores", Samples: 1}}
	}, 100, 200, 300, 400, 500, 600, 700, 800, 900, 1000, 1050)
	for i := range points {
		p := &points[i]
		mean := 1000 * crosstalk{law.Serial, law.Pairs}.present(law.Demand*p.Offered, law.Cores-law.Base).mean / p.Offered
		p.Response = observation.Quantiles{Mean: mean, P50: 0.7 * mean, P99: 4.6 * mean}
	}
	a := Analyse(points, Spec{Objectives: p99, Prices: &scenarios.Prices{VCPUHour: 0.036}, DemandRPS: 500, Replicates: 60})
	if a.Cost == nil || a.Saturation == nil {
		t.Fatalf("%+v", a)
	}
	own := a.Saturation.Bottlenecks[0].Law
	if !own.Curved() {
		t.Fatalf("no crosstalk in %+v", own)
	}
	for _, at := range a.Cost.At {
		want, real := 10*own.Slope(at.RPS), 10*law.Slope(at.RPS)
		// Its crosstalk is ten times the usual, which shows where it was read and is not
		// extrapolated.
		missed := at.Load == AtNow && (at.Marginal.Low > real || at.Marginal.High < real)
		if x := at.Marginal; math.Abs(x.Value/want-1) > 1e-6 || missed || x.High > 1.3*x.Low {
			t.Errorf("%s at %g/s: %+v, want %g by the law of the bottleneck; true is %g", at.Load, at.RPS, x, want, real)
		}
	}
}

// Cores that no reading shows to go with the load are left out of the marginal cost, which
// is said.
func TestMarginalCostWithoutCoresIsSaid(t *testing.T) {
	t.Parallel()
	i := 0
	points := ladder(1e9, func(x float64) map[string]observation.Use {
		i++
		return map[string]observation.Use{"cpu": {Used: 1 + 0.3*float64(i%3-1), Limit: 2, Unit: "cores"}}
	}, 50, 100, 200, 300, 350, 380)
	a := Analyse(points, Spec{Objectives: p99, Prices: twoPrices, DemandRPS: 100})
	if a.Cost == nil || !strings.Contains(strings.Join(a.Warnings, "\n"), "marginal cost leaves cpu out") || !strings.Contains(strings.Join(a.Cost.Marginal.Warnings, "\n"), "cpu out") {
		t.Errorf("%+v, %q", a.Cost, a.Warnings)
	}
	a = Analyse(ladder(400, shopUse, 50, 100, 200, 300, 350, 380), Spec{Objectives: p99, Prices: twoPrices, DemandRPS: 100})
	if all := strings.Join(a.Warnings, "\n"); strings.Contains(all, "out:") {
		t.Errorf("memory that rests is no doubt: %s", all)
	}
}

// Whatever the law: what is known of a cost lies in its interval, nothing idles less than
// not at all, and where a request takes no more than its share of the limit, it costs no
// more than its share of all.
func TestCostsHoldTogether(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := line{base: rapid.Float64Range(0, 0.5).Draw(t, "base"), demand: rapid.Float64Range(1e-4, 1e-2).Draw(t, "demand")}
		switch rapid.IntRange(0, 3).Draw(t, "shape") {
		case 1:
			l.bend = rapid.Float64Range(1e-8, 1e-5).Draw(t, "bend")
		case 2:
			l.pole = rapid.Float64Range(1e-6, 1e-3).Draw(t, "pole")
		case 3:
			l.limit, l.talk = 4, crosstalk{rapid.Float64Range(0.001, 0.1).Draw(t, "a"), rapid.Float64Range(0, 0.01).Draw(t, "b")}
		}
		f := fit{name: cpu, limit: 4, line: l, exercised: true}
		for _, k := range []float64{0.9, 1, 1.1} {
			d := l
			d.demand *= k
			f.draws = append(f.draws, d)
		}
		each := rapid.Float64Range(0.3, 1).Draw(t, "capacity") * l.reaches(4)
		p := &pricing{
			prices: scenarios.Prices{VCPUHour: 0.04}, confidence: 0.9, fits: []fit{f}, hourly: 0.16,
			egress: rapid.Float64Range(0, 1e-6).Draw(t, "egress"), capacity: &Capacity{Value: Value{Value: each, Low: 0.9 * each, High: 1.2 * each}},
			failed: isotonic([]reading{{0.2 * each, 0, 100}, {0.6 * each, rapid.Float64Range(0, 0.5).Draw(t, "failed"), 100}}),
		}
		load := rapid.Float64Range(0.05, 5).Draw(t, "load") * each
		c := &Cost{rule: p}
		for _, at := range []CostAt{c.AtLoad(AtPeak, Value{Value: load, Low: load * rapid.Float64Range(0.5, 1).Draw(t, "low"), High: load * rapid.Float64Range(1, 2).Draw(t, "high")}), c.AtLoad(AtCapacity, p.capacity.Value)} {
			for name, v := range map[string]Value{"marginal": at.Marginal, "loaded": at.Loaded, "idle": at.Idle, "cpu": at.Parts[cpu]} {
				if !(v.Low >= 0 && v.Low <= v.Value*(1+1e-9) && v.Value <= v.High*(1+1e-9)) || math.IsInf(v.High, 0) {
					t.Fatalf("%s at %g/s: %s %+v", at.Load, at.RPS, name, v)
				}
			}
			if steep := at.Marginal.Value > at.Loaded.Value; steep && at.Idle.Value != 0 || steep != (len(at.Idle.Warnings) > 0) {
				t.Fatalf("one more costs %g, each costs %g, and %+v idles", at.Marginal.Value, at.Loaded.Value, at.Idle)
			}
			if !l.curved() && at.Loaded.Value < at.Marginal.Value*(1-1e-9) {
				t.Fatalf("%+v costs less than one more does", at)
			}
		}
	})
}

// The more a replica is asked, the less each request costs with all that is allocated, and
// the more, or as much, one more uses.
func TestCostsGoWithTheLoad(t *testing.T) {
	t.Parallel()
	for name, l := range map[string]line{
		"straight": {base: 0.1, demand: 0.004}, "bent": {base: 0.1, demand: 0.002, bend: 2e-6}, "poled": {base: 0.1, demand: 0.002, pole: 5e-4},
		"with crosstalk": {base: 0.1, demand: 0.004, limit: 4, talk: crosstalk{0.03, 0.001}},
	} {
		f := fit{name: cpu, limit: 4, line: l, exercised: true, draws: []line{l}}
		c := &Cost{rule: &pricing{prices: scenarios.Prices{VCPUHour: 0.04}, confidence: 0.9, fits: []fit{f}, hourly: 0.16}}
		var last CostAt
		for k := 1; k <= 20; k++ {
			load := l.reaches(4) * float64(k) / 20
			at := c.AtLoad(AtNow, Value{Value: load, Low: load, High: load})
			if k > 1 && (at.Loaded.Value >= last.Loaded.Value || at.Marginal.Value < last.Marginal.Value*(1-1e-9) || at.Idle.Value > last.Idle.Value) {
				t.Errorf("%s: %+v at %g/s after %+v", name, at, load, last)
			}
			if rises := at.Marginal.Value > last.Marginal.Value*(1+1e-6); k > 1 && rises == (name == "straight") {
				t.Errorf("%s: one more uses %g at %g/s, after %g", name, at.Marginal.Value, load, last.Marginal.Value)
			}
			last = at
		}
	}
}

// The load of each of the replicas lies between these, and comes as near to them as can be,
// for whichever load in the interval.
func TestLoadOfEachReplica(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		low := rapid.Float64Range(1, 1000).Draw(t, "low")
		high := low * rapid.Float64Range(1, 3).Draw(t, "high")
		capacity := rapid.Float64Range(5, 2000).Draw(t, "capacity")
		least, most := math.Inf(1), 0.0
		for i := range 20001 {
			x := low + (high-low)*float64(i)/20000
			each := x / carriers(x, capacity)
			least, most = min(least, each), max(most, each)
		}
		if got := leastEach(low, high, capacity); got > least*(1+1e-6) || got < least*0.99 {
			t.Fatalf("least %g, want %g", got, least)
		}
		if got := mostEach(low, high, capacity); got < most*(1-1e-6) || got > most*1.01 {
			t.Fatalf("most %g, want %g", got, most)
		}
	})
}
