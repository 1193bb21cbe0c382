package capacity_test

import (
	"math/rand/v2"
	"testing"

	"github.com/headroom-project/headroom/capacity"
	"github.com/headroom-project/headroom/scenarios"
)

// The p99 of a step at a load that was seen lies in its interval: of 20 drills at two loads
// at least 32 of 40 hold it (fewer by chance in one of a hundred if 90% do), and none is as
// wide as a factor of two.
func TestResponsesOfOtherStepsAreInTheirInterval(t *testing.T) {
	t.Parallel()
	within, wide := 0, 0
	objectives := []scenarios.Objective{{Metric: "p99", Op: "<", Value: 100}}
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 17))
		a := capacity.Analyse(shop{}.drilled([]float64{60, 100, 140, 180, 220, 220}, false, rng), capacity.Spec{Objectives: objectives, Seed: seed, Replicates: 24})
		if a.Response == nil {
			t.Fatalf("seed %d: %q", seed, a.Warnings)
		}
		for _, p := range (shop{}).drilled([]float64{160, 230}, false, rng) {
			low, high := a.Response.Between(p.Offered, 0.99)
			if low <= p.Response.P99 && p.Response.P99 <= high {
				within++
			} else {
				t.Logf("seed %d: at %.4g %.4g ms, not in %.4g-%.4g", seed, p.Offered, p.Response.P99, low, high)
			}
			if high > 2*low {
				wide++
			}
		}
	}
	if within < 32 || wide > 0 {
		t.Errorf("%d of 40 are in their interval; %d are wide", within, wide)
	}
}
