package capacity_test

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/headroom-project/headroom/capacity"
	"github.com/headroom-project/headroom/capacity/scoreboard"
	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

// shop has four slots for two requests: nine in ten browse for 8 ms in the mean,
// one buys for 28 ms, so that it saturates at 400/s. aside says that who buys goes
// elsewhere, and waits for nobody.
type shop struct{ aside bool }

const shopSaturation = 400.0

// hits answers Poisson arrivals of some seconds in order of arrival.
func (s shop) hits(load, seconds float64, rng *rand.Rand) (planned, ends []float64, buys []bool) {
	free := [4]float64{}
	for at := rng.ExpFloat64() / load; at < seconds; at += rng.ExpFloat64() / load {
		buy := rng.Float64() < 0.1
		hold := 0.008 * rng.ExpFloat64()
		if buy {
			hold = 0.020 + 0.008*rng.ExpFloat64()
		}
		end := at + hold
		if !buy || !s.aside {
			first := 0
			for i := range free {
				if free[i] < free[first] {
					first = i
				}
			}
			end = max(at, free[first]) + hold
			free[first] = end
		}
		planned, ends, buys = append(planned, at), append(ends, end), append(buys, buy)
	}
	return planned, ends, buys
}

// drilled offers loads for 16 s each, and counts each request by its name. tables
// says that only the figures of a table are left.
func (s shop) drilled(loads []float64, tables bool, rng *rand.Rand) []observation.Point {
	var points []observation.Point
	for i, load := range loads {
		planned, ends, buys := s.hits(load, 16, rng)
		o := scoreboard.Outcome{
			Step: scenarios.Step{Kind: scenarios.KindSearch, From: load, To: load, Lasts: 16 * time.Second}, Index: i, Clock: 20 * float64(i), Planned: planned, Ends: ends,
		}
		p := o.Point(16, math.Inf(1))
		p.Tallies = map[string]*observation.Tally{"browse": observation.NewTally(), "buy": observation.NewTally()}
		for k := range planned {
			name := "browse"
			if buys[k] {
				name = "buy"
			}
			d := time.Duration((ends[k] - planned[k]) * 1e9)
			p.Tallies[name].Add(d, d, 0, "")
		}
		p.Requests = map[string]observation.Figures{}
		for name, t := range p.Tallies {
			p.Requests[name] = observation.Figures{OK: t.OK, Throughput: float64(t.OK) / 16, Response: observation.QuantilesOf(t.Response)}
		}
		used := 4 * load / shopSaturation * (1 + 0.01*rng.NormFloat64())
		if s.aside {
			used = 4 * load * 0.0072 / 4
		}
		p.Resources = map[string]observation.Use{"pool.shop": {Used: used, Limit: 4, Unit: "slots", Samples: 16}}
		if tables {
			p.Windows, p.Flow, p.Tallies = nil, nil, nil
		}
		points = append(points, p)
	}
	return points
}

// crossing is the load at which the p99 of who buys reaches ms, in a run of 200,000
// requests at each load of a bisection.
func (s shop) crossing(ms float64) float64 {
	low, high := 0.3*shopSaturation, 0.995*shopSaturation
	for range 14 {
		load := (low + high) / 2
		planned, ends, buys := s.hits(load, 200000/load, rand.New(rand.NewPCG(9, 9)))
		h := observation.NewHistogram()
		for k := range planned {
			if buys[k] {
				_ = h.RecordValue(int64((ends[k] - planned[k]) * 1e6))
			}
		}
		if observation.QuantilesOf(h).P99 < ms {
			low = load
		} else {
			high = load
		}
	}
	return low
}

var onBuying = scenarios.Objective{Request: "buy", Metric: "p99", Op: "<", Value: 100}

// An objective on one request is predicted from 60% of the limit: 10 drills with
// seeds of their own. The median is within 8%, and of the intervals, which are made
// for 90%, at least 7 hold the truth (fewer by chance in one of a hundred).
func TestObjectiveOnOneRequestIsPredicted(t *testing.T) {
	t.Parallel()
	loads := []float64{40, 80, 120, 160, 200, 240}
	truth := shop{}.crossing(onBuying.Value)
	t.Logf("the truth is %.1f/s", truth)
	for name, tables := range map[string]bool{"counted": false, "from a table": true} {
		t.Run(name, func(t *testing.T) {
			near, covered := 0, 0
			for seed := range uint64(10) {
				a := capacity.Analyse(shop{}.drilled(loads, tables, rand.New(rand.NewPCG(seed, 3))),
					capacity.Spec{Objectives: []scenarios.Objective{onBuying}, Seed: seed, Replicates: 24})
				c := a.Capacity
				if c == nil || c.Bound != capacity.Predicted {
					t.Fatalf("seed %d: %+v %q", seed, c, a.Warnings)
				}
				if c.Objective != onBuying {
					t.Errorf("seed %d: %s breaks first", seed, c.Objective)
				}
				near += btoi(math.Abs(c.Value.Value/truth-1) < 0.08)
				covered += btoi(c.Low <= truth && truth <= c.High)
				t.Logf("seed %d: %.1f (%.1f-%.1f)", seed, c.Value.Value, c.Low, c.High)
			}
			if near < 5 || covered < 7 {
				t.Errorf("%d of 10 within 8%% of %.1f, %d covered", near, truth, covered)
			}
		})
	}
}

// A request that does not go where the others wait is not predicted to wait.
func TestRequestThatWaitsForNobody(t *testing.T) {
	t.Parallel()
	s := shop{aside: true}
	points := s.drilled([]float64{100, 200, 300, 400, 460}, false, rand.New(rand.NewPCG(4, 4)))
	a := capacity.Analyse(points, capacity.Spec{Objectives: []scenarios.Objective{onBuying}, Seed: 1, Replicates: 24})
	saturation := 4 / 0.0072
	if c := a.Capacity; c == nil || c.Bound != capacity.Predicted || c.Value.Value < 0.93*saturation {
		t.Errorf("%+v %q, want about the saturation of the others, %.0f/s", c, a.Warnings, saturation)
	}
}

// What no law speaks of is said.
func TestWhatIsNotPredictedIsSaid(t *testing.T) {
	t.Parallel()
	points := shop{}.drilled([]float64{40, 80, 120, 160, 200, 240}, false, rand.New(rand.NewPCG(5, 5)))
	for _, o := range []scenarios.Objective{
		{Request: "refund", Metric: "p99", Op: "<", Value: 100}, {Metric: "errors", Op: "<", Value: 0.001}, {Metric: "throughput", Op: ">", Value: 20},
	} {
		a := capacity.Analyse(points, capacity.Spec{Objectives: []scenarios.Objective{below("p99", 100), o}, Seed: 1, Replicates: 40})
		if a.Capacity == nil || a.Capacity.Bound != capacity.Predicted || !strings.Contains(strings.Join(a.Capacity.Warnings, "\n"), o.String()+" is not predicted: ") {
			t.Errorf("%s: %+v", o, a.Capacity)
		}
	}
	a := capacity.Analyse(points, capacity.Spec{Objectives: []scenarios.Objective{onBuying}, Seed: 1, Replicates: 40})
	if strings.Contains(strings.Join(a.Warnings, "\n"), "not predicted") {
		t.Errorf("%q", a.Warnings)
	}
}
