package capacity

import (
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

// ladder returns valid points without windows at the given loads; throughput is
// clipped at top, and use sets the resources by the load that was served.
func ladder(top float64, use func(served float64) map[string]observation.Use, loads ...float64) []observation.Point {
	var points []observation.Point
	for i, x := range loads {
		p := observation.Point{Step: i, Kind: scenarios.KindSearch, Offered: x, Seconds: 8, Valid: true}
		p.Throughput = min(x, top)
		p.Sent, p.OK = uint64(8*x), uint64(8*x)
		p.Response = observation.Quantiles{Mean: 5, P50: 4, P90: 8, P95: 9, P99: 10, P999: 12, Max: 20}
		if x > top {
			p.Response = observation.Quantiles{Mean: 900, P50: 900, P90: 1500, P95: 1700, P99: 1900, P999: 1990, Max: 2000}
		}
		if use != nil {
			p.Resources = use(p.Throughput)
		}
		points = append(points, p)
	}
	return points
}

var p99 = []scenarios.Objective{{Metric: "p99", Op: "<", Value: 150}}

func TestTheilSenRecoversALine(t *testing.T) {
	t.Parallel()
	us := []use{{load: 50, used: 0.35}, {load: 100, used: 0.6}, {load: 200, used: 1.1}, {load: 300, used: 9}, {load: 400, used: 2.1}}
	l, ok := theilSen(us) // one reading in five is wild
	if !ok || math.Abs(l.demand-0.005) > 1e-9 || math.Abs(l.base-0.1) > 1e-9 {
		t.Errorf("got %+v %t, want 0.1 + 0.005 x", l, ok)
	}
	if _, ok := theilSen([]use{{load: 50, used: 1}, {load: 50, used: 2}}); ok {
		t.Error("a line through one load was fitted")
	}
}

func TestBottlenecks(t *testing.T) {
	t.Parallel()
	loads := []float64{50, 100, 200, 300, 350, 380, 500}
	rng := rand.New(rand.NewPCG(1, 1))
	noise := func(x float64) float64 { return x * (1 + 0.01*rng.NormFloat64()) }
	cpu := func(perRequest, limit float64) func(float64) observation.Use {
		return func(x float64) observation.Use {
			return observation.Use{Used: noise(0.05 + perRequest*x), Limit: limit, Unit: "cores"}
		}
	}
	pool := func(x float64) observation.Use {
		return observation.Use{Used: noise(0.01 * x), Limit: 4, Unit: "slots"}
	}
	flat := func(x float64) observation.Use {
		return observation.Use{Used: 2e8 * (1 + 0.02*rng.NormFloat64()), Limit: 2.1e8, Unit: "bytes"}
	}
	for _, c := range []struct {
		name        string
		resources   map[string]func(float64) observation.Use
		waits       map[int][]observation.LockWait
		first, next string
		after       float64
	}{
		{"pool then cpu", map[string]func(float64) observation.Use{"pool.shop": pool, "cpu": cpu(0.003, 2), "memory": flat}, nil, "pool.shop", "cpu", 650},
		{"cpu", map[string]func(float64) observation.Use{"cpu": cpu(0.005, 2), "memory": flat}, nil, "cpu", "", 0},
		{"unmeasured", map[string]func(float64) observation.Use{"cpu": cpu(0.001, 2), "memory": flat}, nil, Unmeasured, "cpu", 1950},
		{"nothing at all", nil, nil, Unmeasured, "", 0},
		{"lock", map[string]func(float64) observation.Use{"cpu": cpu(0.001, 2)},
			map[int][]observation.LockWait{0: {{Function: "main.hold", Seconds: 0.01}}, 6: {{Function: "main.other", Seconds: 0.1}, {Function: "main.hold", Seconds: 380}}}, "lock: main.hold", "cpu", 1950},
		{"a lock that explains nothing", map[string]func(float64) observation.Use{"cpu": cpu(0.001, 2)},
			map[int][]observation.LockWait{0: {{Function: "main.hold", Seconds: 0.01}}, 6: {{Function: "main.hold", Seconds: 0.1}}}, Unmeasured, "cpu", 1950},
	} {
		t.Run(c.name, func(t *testing.T) {
			points := ladder(400, func(x float64) map[string]observation.Use {
				m := map[string]observation.Use{"goroutines": {Used: x, Unit: "count"}} // no limit
				for _, name := range slices.Sorted(maps.Keys(c.resources)) {            // each draws from one source
					m[name] = c.resources[name](x)
				}
				return m
			}, loads...)
			for i := range points {
				points[i].Locks = c.waits[points[i].Step]
			}
			s := Analyse(points, Spec{Objectives: p99}).Saturation
			if s == nil {
				t.Fatal("no saturation")
			}
			b := s.Bottlenecks[0]
			if b.Resource != c.first || b.Probability < 0.9 || math.Abs(b.RPS-400) > 20 {
				t.Errorf("first is %+v, want %s at 400", b, c.first)
			}
			if math.Abs(b.AfterFixRPS-c.after) > 0.06*c.after {
				t.Errorf("after the fix %g, want %g", b.AfterFixRPS, c.after)
			}
			if !(b.Low < 400 && b.High > 400) || b.Method == "" {
				t.Errorf("first at %g-%g (%s), which misses 400", b.Low, b.High, b.Method)
			}
			if c.after > 0 && !(b.AfterFixLow < c.after && b.AfterFixHigh > c.after) || c.after == 0 && b.AfterFixHigh != 0 {
				t.Errorf("after the fix %g-%g, want about %g", b.AfterFixLow, b.AfterFixHigh, c.after)
			}
			if c.next != "" && (len(s.Bottlenecks) < 2 || s.Bottlenecks[1].Resource != c.next) {
				t.Errorf("next is %+v, want %s", s.Bottlenecks[1:], c.next)
			}
			if s.Low > 400 || s.High < 400 {
				t.Errorf("saturation %g-%g misses 400", s.Low, s.High)
			}
		})
	}
}

func TestBottleneckIsPredictedBelowSaturation(t *testing.T) {
	t.Parallel()
	points := ladder(1e9, func(x float64) map[string]observation.Use {
		return map[string]observation.Use{
			"cpu": {Used: 0.1 + 0.0019*x, Limit: 2, Unit: "cores"}, "pool": {Used: 0.004 * x, Limit: 4, Unit: "slots"},
		}
	}, 50, 100, 200, 400, 600)
	a := Analyse(points, Spec{Objectives: p99})
	if c := a.Capacity; c == nil || c.Bound != Predicted || c.Value.Value < 900 || c.Value.Value > 1000 || c.High < 950 {
		t.Errorf("capacity %+v, want one predicted a little below 1000", a.Capacity)
	}
	s := a.Saturation
	if s == nil || s.Measured || math.Abs(s.Value.Value-1000) > 1 {
		t.Errorf("saturation %+v, want 1000 by the resource law", s)
	}
}

func TestTwinBottlenecksAreAmbiguous(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(2, 2))
	points := ladder(400, func(x float64) map[string]observation.Use {
		m := map[string]observation.Use{}
		for _, name := range []string{"a", "b"} {
			m[name] = observation.Use{Used: 0.01 * x * (1 + 0.03*rng.NormFloat64()), Limit: 4, Unit: "slots"}
		}
		return m
	}, 50, 100, 200, 300, 350, 380)
	a := Analyse(points, Spec{Objectives: p99})
	if a.Saturation.Bottlenecks[0].Probability < 0.9 && !strings.Contains(strings.Join(a.Warnings, "\n"), "ambiguous") {
		t.Errorf("no warning: %v", a.Warnings)
	}
	if p := a.Saturation.Bottlenecks[1].Probability; p == 0 {
		t.Error("the twin was never first")
	}
}

func TestCost(t *testing.T) {
	t.Parallel()
	points := ladder(400, func(x float64) map[string]observation.Use {
		return map[string]observation.Use{
			"cpu":    {Used: 0.1 + 0.0036*x, Limit: 2, Unit: "cores"},
			"memory": {Used: 1e9, Limit: 4e9, Unit: "bytes"},
		}
	}, 50, 100, 200, 300, 350, 380, 500)
	prices := &scenarios.Prices{VCPUHour: 0.04, GBHour: 0.005}
	a := Analyse(points, Spec{Objectives: p99, Prices: prices, DemandRPS: 100})
	c := a.Cost
	if c == nil || c.Currency != "USD" || c.AtRPS != 100 {
		t.Fatalf("cost %+v", c)
	}
	// 0.0036 core-seconds at 0.04 an hour: 0.04 for a million. Two cores and 4 GB
	// cost 0.10 an hour, which is 360,000 requests at 100/s.
	if math.Abs(c.Marginal.Value-0.04) > 1e-6 || math.Abs(c.Loaded.Value-0.1/0.36) > 1e-9 || math.Abs(c.Idle.Value-(0.1/0.36-0.04)) > 1e-6 {
		t.Errorf("marginal %g loaded %g idle %g", c.Marginal.Value, c.Loaded.Value, c.Idle.Value)
	}
	h := a.Headroom
	if h == nil || math.Abs(h.Now.Value-(1-100/a.Capacity.Value.Value)) > 1e-12 || h.Now.Low > h.Now.Value || h.Now.High < h.Now.Value {
		t.Errorf("headroom %+v", h)
	}
}

// TestMemoryGoesWithWhatKeepsIt: with the requests in flight, whose number differs from
// what is usual at a load, or with those that were answered a while ago, where the
// responses are short and differ for reasons of their own.
func TestMemoryGoesWithWhatKeepsIt(t *testing.T) {
	t.Parallel()
	loads := []float64{25, 50, 100, 190, 235, 60, 230, 220}
	stays := []float64{0.7, 1.4, 0.8, 1.9, 2.2, 0.6, 0.9, 1.2} // relative to the mean
	for _, x := range []struct {
		name     string
		stay     float64
		inFlight bool
	}{{"in flight", 0.5, true}, {"for 2 s after", 0.0005, false}} {
		t.Run(x.name, func(t *testing.T) {
			var us []use
			for i, load := range loads {
				flight := load * x.stay * stays[i]
				kept := load
				if x.inFlight {
					kept = flight / x.stay
				}
				us = append(us, use{load: load, used: (3e7 + 4e5*kept) * (1 + 0.01*float64(i%3-1)), weight: 8, stay: x.stay, flight: flight})
			}
			l, ok := theilSen(asKept(us))
			if !ok || math.Abs(l.demand/4e5-1) > 0.05 || math.Abs(l.base/3e7-1) > 0.1 {
				t.Errorf("%.4g bytes and %.4g for each request/s, want 3e7 and 4e5", l.base, l.demand)
			}
		})
	}
}

// A load that one replica does not carry costs as much as those that do.
func TestCostOfMoreThanOneReplica(t *testing.T) {
	t.Parallel()
	points := ladder(400, cores(0.0025, 1), 50, 100, 150, 200, 250, 300, 350, 390)
	cost := func(demand float64) *Cost {
		return Analyse(points, Spec{Objectives: p99, Prices: &scenarios.Prices{VCPUHour: 0.04}, DemandRPS: demand, Replicates: 20}).Cost
	}
	one, many := cost(200), cost(4000)
	if one == nil || many == nil {
		t.Fatal("no cost")
	}
	if many.Loaded.Value < many.Marginal.Value || many.Loaded.Low > many.Loaded.Value || many.Loaded.High < many.Loaded.Value || many.Loaded.Low == many.Loaded.High {
		t.Errorf("at 4000/s a million costs %+v, of which %+v marginal", many.Loaded, many.Marginal)
	}
	if !strings.Contains(strings.Join(many.Loaded.Warnings, "\n"), "more than one replica") || one.Loaded.Low != one.Loaded.High {
		t.Errorf("%+v %+v", one.Loaded, many.Loaded.Warnings)
	}
}

// A robust line through thousands of readings takes some of their pairs.
func TestRobustLineOfManyReadings(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 3))
	var us []use
	for i := range 5000 {
		load := float64(10 + i%97)
		us = append(us, use{load: load, used: 0.3 + 0.01*load + 0.05*rng.NormFloat64(), weight: 1})
	}
	l, ok := theilSen(us)
	if !ok || math.Abs(l.demand/0.01-1) > 0.05 || math.Abs(l.base/0.3-1) > 0.05 {
		t.Errorf("%+v", l)
	}
}

// A resource that gives out in some replicates only has no high end, one with a few that
// are far off an interval that is not symmetric, and what no reading shows widens both.
func TestIntervalOfACeiling(t *testing.T) {
	t.Parallel()
	at := func(values ...float64) func(int) float64 {
		return func(r int) float64 { return values[r%len(values)] }
	}
	for _, c := range []struct {
		name      string
		value     float64
		at        func(int) float64
		low, high [2]float64
	}{
		{"exact readings", 100, at(100), [2]float64{95, 97}, [2]float64{103, 105}},
		{"scattered", 100, at(80, 100, 150), [2]float64{78, 80}, [2]float64{150, 153}},
		{"mostly without a limit", 100, at(90, math.Inf(1)), [2]float64{88, 90}, [2]float64{0, 0}},
		{"at its limit without load", 0, at(0, 10), [2]float64{0, 0}, [2]float64{0, 0}},
	} {
		low, high := spanOf(c.value, 300, c.at, 0.9)
		if low < c.low[0] || low > c.low[1] || high < c.high[0] || high > c.high[1] {
			t.Errorf("%s: %.4g-%.4g, want an end in %v and one in %v", c.name, low, high, c.low, c.high)
		}
	}
	if low, high := spanOf(100, 0, at(1), 0.9); low != 0 || high != 0 {
		t.Errorf("without replicates: %g-%g", low, high)
	}
}
