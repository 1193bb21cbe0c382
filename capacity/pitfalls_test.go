package capacity

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

// service is what a request meets, as a function of the load and of the time in
// seconds of the drill.
type service struct {
	cpu      func(load, at float64) float64 // core-seconds
	calls    func(load, at float64) float64 // to something behind it
	response func(load, at float64) float64 // ms, the median
	bytes    func(load, at float64) float64
	buys     func(load, at float64) float64 // share of the hits
}

func always(v float64) func(_, _ float64) float64 { return func(_, _ float64) float64 { return v } }

// steady is a service for which a request is the same request throughout.
func steady() service {
	return service{cpu: always(0.002), calls: always(1.2), response: always(12), bytes: always(4000), buys: always(0.1)}
}

// drilled makes the points of a drill of 10 s a step: Poisson counts, responses
// spread by half, resources that are read to 1.5% in each second.
func (s service) drilled(rng *rand.Rand, loads ...float64) []observation.Point {
	var points []observation.Point
	for i, load := range loads {
		p := observation.Point{
			Step: i, Kind: scenarios.KindSearch, Offered: load, Seconds: 10, Valid: true,
			Requests: map[string]observation.Figures{},
		}
		all, counts := observation.NewHistogram(), map[string]uint64{}
		for k := range 10 {
			at := float64(12*i + k)
			w := observation.Second{Second: k, Width: 1, At: at, Tally: &observation.Tally{Response: observation.NewHistogram()}}
			for t := rng.ExpFloat64() / load; t < 1; t += rng.ExpFloat64() / load {
				name := "browse"
				if rng.Float64() < s.buys(load, at) {
					name = "buy"
				}
				d := time.Duration(s.response(load, at) * (0.6 + 0.8*rng.Float64()) * 1e6)
				w.Planned++
				w.Tally.OK++
				_ = w.Tally.Response.RecordValue(d.Microseconds())
				w.Tally.BytesIn += uint64(s.bytes(load, at) * (0.5 + rng.Float64()))
				counts[name]++
			}
			all.Merge(w.Tally.Response)
			p.OK += w.Tally.OK
			p.Windows = append(p.Windows, w)
		}
		p.Sent, p.Throughput, p.Response = p.OK, float64(p.OK)/10, observation.QuantilesOf(all)
		for name, n := range counts {
			p.Requests[name] = observation.Figures{OK: n}
		}
		read := func(value, limit float64, unit string) observation.Use {
			return observation.Use{Used: value * p.Throughput * (1 + 0.015*rng.NormFloat64()/3), Limit: limit, Unit: unit, Samples: 10}
		}
		middle := float64(12*i + 5)
		p.Resources = map[string]observation.Use{
			"cpu": read(s.cpu(load, middle), 2, "cores"), "inventory": read(s.calls(load, middle), 0, "calls/s"),
		}
		points = append(points, p)
	}
	return points
}

func warned(points []observation.Point, seed uint64, what string) bool {
	a := Analyse(points, Spec{Seed: seed, Replicates: 20})
	return strings.Contains(strings.Join(a.Warnings, "\n"), what)
}

// pitfallWarnings are words of the warnings, of which a steady service gets none.
var pitfallWarnings = []string{"the mix changed", "for each request", "of cpu", "an answer was", "got faster", "answered differently"}

var pitfallLoads = []float64{50, 100, 200, 300, 400, 300, 200, 350, 100}

// Of 100 drills of services that stay the same, at most 4 get any such warning.
func TestSteadyServiceHasNoPitfalls(t *testing.T) {
	t.Parallel()
	wrong := 0
	for seed := range uint64(100) {
		points := steady().drilled(rand.New(rand.NewPCG(seed, 5)), pitfallLoads...)
		for _, w := range pitfallWarnings {
			if warned(points, seed, w) {
				wrong++
				t.Logf("seed %d: %q", seed, w)
			}
		}
	}
	if wrong > 4 {
		t.Errorf("%d warnings in 100 drills", wrong)
	}
}

// Each pitfall is found in at least 19 of 20 drills.
func TestPitfallsAreFound(t *testing.T) {
	t.Parallel()
	grows := func(from, to float64) func(load, _ float64) float64 {
		return func(load, _ float64) float64 { return from + (to-from)*load/400 }
	}
	for _, c := range []struct {
		name   string
		change func(*service)
		loads  []float64
		want   string
	}{
		{"a cache that more requests share", func(s *service) { s.cpu = grows(0.0026, 0.0018) }, pitfallLoads, " of cpu at "},
		{"a cache that no longer fits", func(s *service) { s.cpu = grows(0.0018, 0.0026) }, pitfallLoads, "more of cpu at a higher load"},
		{"a cache that warmed at once", func(s *service) {
			s.cpu = func(_, at float64) float64 {
				if at < 50 {
					return 0.0026
				}
				return 0.002
			}
		}, pitfallLoads, " of cpu until "},
		{"retries", func(s *service) { s.calls = grows(1.1, 1.5) }, pitfallLoads, "inventory: "},
		{"a mix that drifts", func(s *service) { s.buys = grows(0.05, 0.2) }, pitfallLoads, `the mix changed between steps: "buy" was`},
		{"answers that shrink", func(s *service) { s.bytes = grows(4000, 1500) }, pitfallLoads, "an answer was"},
		{"a cold begin", func(s *service) { s.response = grows(14, 7) }, pitfallLoads, "responses got faster with the load"},
		{"a cache that was emptied", func(s *service) {
			s.response = func(_, at float64) float64 {
				if at > 70 {
					return 18
				}
				return 12
			}
		}, pitfallLoads, "the same load was answered differently later"},
	} {
		t.Run(c.name, func(t *testing.T) {
			found := 0
			for seed := range uint64(20) {
				s := steady()
				c.change(&s)
				points := s.drilled(rand.New(rand.NewPCG(seed, 6)), c.loads...)
				if warned(points, seed, c.want) {
					found++
				} else if testing.Verbose() {
					t.Logf("seed %d: %q", seed, Analyse(points, Spec{Seed: seed, Replicates: 20}).Warnings)
				}
			}
			if found < 19 {
				t.Errorf("found in %d of 20", found)
			}
		})
	}
}

// TestATableWithoutResources: its limit is read from how quantiles grow alone, which may be
// as behind a queue with exponential service, or in a straight line, as behind none. The
// interval holds the load at which p99 gets to 200 ms in both.
func TestATableWithoutResources(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		name  string
		p99   func(load float64) float64 // ms
		truth float64
	}{
		{"straight", func(load float64) float64 { return 0.6*load - 10 }, 350},
		{"a queue", func(load float64) float64 { return 4605 / (380 - load) }, 357},
	} {
		t.Run(x.name, func(t *testing.T) {
			var points []observation.Point
			for i, load := range []float64{100, 150, 200, 250, 300} {
				p := observation.Point{Step: i, Kind: scenarios.KindLoad, Offered: load, Seconds: 60, Valid: true}
				p.Throughput, p.Sent, p.OK = load, uint64(60*load), uint64(60*load)
				tail := x.p99(load)
				p.Response = observation.Quantiles{P50: 0.15 * tail, P90: 0.5 * tail, P99: tail}
				points = append(points, p)
			}
			a := Analyse(points, Spec{Objectives: []scenarios.Objective{{Metric: "p99", Op: "<", Value: 200}}, Seed: 1})
			v := a.Capacity.Value
			t.Logf("%v %.4g (%.4g-%.4g)", a.Capacity.Bound, v.Value, v.Low, v.High)
			if a.Capacity.Bound != Predicted || v.Low > x.truth || v.High < x.truth {
				t.Errorf("%v %.4g (%.4g-%.4g), want %.4g in it", a.Capacity.Bound, v.Value, v.Low, v.High, x.truth)
			}
		})
	}
}

// Rows of a table at one load that differ beyond chance are of two states of the target.
func TestRowsOfOneLoadThatDiffer(t *testing.T) {
	t.Parallel()
	for _, slower := range []float64{1, 1.04, 1.5} {
		points := ladder(1e9, cores(0.0025, 1), 50, 100, 150, 200, 50, 100, 150)
		for i := range points {
			points[i].Step, points[i].Windows, points[i].Flow = i, nil, nil
			if i > 3 {
				points[i].Response.P50 *= slower
			}
		}
		a := Analyse(points, Spec{Objectives: p99})
		if said := strings.Contains(strings.Join(a.Warnings, "\n"), "rows of one load differ"); said != (slower > 1.2) {
			t.Errorf("medians %g times as long: warned %v: %q", slower, said, a.Warnings)
		}
	}
}
