package capacity_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/headroom-project/headroom/capacity"
	"github.com/headroom-project/headroom/loadgen/search"
	"github.com/headroom-project/headroom/scenarios"
)

func below(metric string, value float64) scenarios.Objective {
	return scenarios.Objective{Metric: metric, Op: "<", Value: value}
}

type tallyOf struct {
	n, near, covered, confirmed int
	width, sum, squares         float64
	slowest                     float64
}

func runDrills(t *testing.T, n int, discard int, make func() system, objectives []scenarios.Objective, truth float64) tallyOf {
	t.Helper()
	var got tallyOf
	for seed := range n {
		target := make()
		d := &drill{
			system: target, rng: rand.New(rand.NewPCG(uint64(seed), 1)), discard: discard,
			search: search.New(search.Config{Objectives: objectives, Estimator: capacity.Estimator(objectives, 1)}),
		}
		d.run()
		a := capacity.Analyse(d.points, capacity.Spec{Objectives: objectives, Seed: uint64(seed), Replicates: 200})
		got.n++
		got.slowest = max(got.slowest, d.clock)
		c := a.Capacity
		if c == nil {
			t.Logf("seed %d: no capacity: %v\n%s", seed, a.Warnings, d.describe())
			continue
		}
		near, covered := math.Abs(c.Value.Value-truth) <= 0.05*truth, c.Low <= truth && truth <= c.High
		if near {
			got.near++
		}
		if covered {
			got.covered++
		}
		if c.Confirmed {
			got.confirmed++
		}
		got.width += (c.High - c.Low) / c.Value.Value
		got.sum += c.Value.Value
		got.squares += c.Value.Value * c.Value.Value
		if testing.Verbose() && (!near || !covered) {
			t.Logf("seed %d: %.1f (%.1f-%.1f) %s\n%s", seed, c.Value.Value, c.Low, c.High, c.Bound, d.describe())
		}
	}
	f := float64(got.n)
	m := got.sum / f
	t.Logf("near %d covered %d confirmed %d of %d; value %.1f sd %.1f; width %.1f%%; slowest drill %.1f s",
		got.near, got.covered, got.confirmed, got.n, m, math.Sqrt(max(got.squares/f-m*m, 0)), 100*got.width/f, got.slowest)
	return got
}

func TestKnownLimits(t *testing.T) {
	objectives := []scenarios.Objective{below("p99", 150), below("errors", 0.01)}
	for name, make := range map[string]func() system{
		"pool":       func() system { return pool(400) },
		"lock":       func() system { return lock(400) },
		"downstream": func() system { return downstream(400) },
	} {
		t.Run(name, func(t *testing.T) {
			got := runDrills(t, 60, 0, make, objectives, 400)
			if got.near < got.n*99/100 || got.covered < got.n*99/100 {
				t.Errorf("%+v", got)
			}
		})
	}
}
