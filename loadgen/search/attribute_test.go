package search

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

// attributed runs a search on a target that holds up to 400/s; a step that is
// tilted towards the third request breaks above 60/s, and is cut.
func attributed(t *testing.T, cfg Config) (steps []scenarios.Step, reasons []string) {
	t.Helper()
	a := NewAttribute(cfg, []string{"browse", "search", "buy"}, []float64{8, 1, 1})
	var points []observation.Point
	elapsed := time.Duration(0)
	for i := range 60 {
		d := a.Next(points, elapsed)
		if d.Done {
			return steps, reasons
		}
		d.Step.Index = i
		steps, reasons = append(steps, d.Step), append(reasons, d.Reason)
		n := uint64(d.Step.From * d.Step.Lasts.Seconds())
		p := observation.Point{Step: i, Kind: d.Step.Kind, Offered: d.Step.From, Seconds: d.Step.Lasts.Seconds(), Valid: true}
		p.OK, p.Throughput, p.Response = n, d.Step.From, observation.Quantiles{P50: 5, P99: 9}
		p.Resources = map[string]observation.Use{"cpu": {Used: 0.1 + 0.002*d.Step.From, Limit: 1}}
		if d.Step.From > 400 {
			p.Response = observation.Quantiles{P50: 900, P90: 900, P95: 900, P99: 900}
		}
		if d.Step.Mix != nil && slices.Max(d.Step.Mix) == d.Step.Mix[2] && d.Step.From > 60 {
			if i%2 == 0 { // it broke, or used too much
				p.Short = "cpu"
			} else {
				p.Cut, p.Response = "broken", observation.Quantiles{P50: 900, P90: 900, P95: 900, P99: 900}
			}
		}
		points = append(points, p)
		elapsed += d.Step.Lasts + time.Second
	}
	t.Fatal("the search does not end")
	return nil, nil
}

// After the search, each request has two steps with a mix of its own, at half of
// what held; one that breaks is repeated at half the load, twice at most.
func TestAttributeVariesTheMix(t *testing.T) {
	objectives := []scenarios.Objective{{Metric: "p99", Op: "<", Value: 50}}
	steps, reasons := attributed(t, Config{Load: scenarios.SearchLoad{From: 50, To: 2000}, Objectives: objectives})
	tilted := map[int][]float64{}
	for i, s := range steps {
		if s.Kind != scenarios.KindAttribute {
			if len(tilted) > 0 || s.Mix != nil {
				t.Errorf("step %d is of the search, after the mix was varied or with a mix of its own", i)
			}
			continue
		}
		sum := 0.0
		for _, w := range s.Mix {
			sum += w
		}
		if math.Abs(sum-1) > 1e-9 {
			t.Errorf("step %d: the mix adds up to %g", i, sum)
		}
		for k, usual := range []float64{0.8, 0.1, 0.1} {
			if math.Abs(s.Mix[k]-(0.5*usual+0.5)) < 1e-9 {
				tilted[k] = append(tilted[k], s.From)
			}
		}
		if s.From > 205 {
			t.Errorf("step %d offers %g/s, more than half of what held: %s", i, s.From, reasons[i])
		}
	}
	if len(tilted[0]) != 2 || len(tilted[1]) != 2 || len(tilted[2]) != 6 || tilted[2][2] > tilted[2][0]/3.9 {
		t.Errorf("loads by request: %v", tilted)
	}
}

// With a bound on utilisation, a tilt cannot exceed it, even if all of what is
// used is the request's.
func TestAttributeKeepsTheBound(t *testing.T) {
	objectives := []scenarios.Objective{{Metric: "p99", Op: "<", Value: 50}}
	steps, _ := attributed(t, Config{Load: scenarios.SearchLoad{From: 50, To: 2000}, Objectives: objectives, MaxUtilisation: 0.6})
	varied := 0
	for _, s := range steps {
		if s.Kind != scenarios.KindAttribute {
			continue
		}
		varied++
		for k, usual := range []float64{0.8, 0.1, 0.1} {
			if rate := s.From * s.Mix[k]; s.Mix[k] > 0.5 && rate*0.002/usual+0.1 > 0.6 {
				t.Errorf("%g/s of request %d may use %.2f", rate, k, rate*0.002/usual+0.1)
			}
		}
	}
	if varied == 0 {
		t.Error("the mix was not varied")
	}
}
