package capacity_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/headroom-project/headroom/capacity"
	"github.com/headroom-project/headroom/capacity/scoreboard"
	"github.com/headroom-project/headroom/loadgen/search"
	"github.com/headroom-project/headroom/scenarios"
)

func below(metric string, value float64) scenarios.Objective {
	return scenarios.Objective{Metric: metric, Op: "<", Value: value}
}

// score sums up the drills of one case.
type score struct {
	drills, near, within, covered, confirmed int
	width, sum, squares                      float64
	slowest                                  float64 // s
}

func (s score) String() string {
	n := float64(s.drills)
	m := s.sum / n
	return fmt.Sprintf("near %d (10%%: %d) covered %d confirmed %d of %d; value %.1f sd %.1f; width %.1f%%; slowest drill %.1f s",
		s.near, s.within, s.covered, s.confirmed, s.drills, m, math.Sqrt(max(s.squares/n-m*m, 0)), 100*s.width/n, s.slowest)
}

// known is a case of which the answer is known.
type known struct {
	system     func() system
	objectives []scenarios.Objective
	truth      float64
	// warm says that steps have no warm-up.
	warm bool
}

// score drills n times with seeds of their own. A drill is near if its value is
// within 5% of the truth, and covered if its interval contains it.
func (k known) score(t *testing.T, n int) score {
	t.Helper()
	var got score
	for seed := range n {
		d := &drill{
			system: k.system(), rng: rand.New(rand.NewPCG(uint64(seed), 1)), warm: k.warm,
			search: search.New(search.Config{Objectives: k.objectives, Estimator: capacity.Estimator(k.objectives, 1)}),
		}
		d.run()
		got.drills++
		got.slowest = max(got.slowest, d.clock)
		a := capacity.Analyse(d.points, capacity.Spec{Objectives: k.objectives, Seed: uint64(seed), Replicates: 200})
		if a.Capacity == nil {
			t.Logf("seed %d: no capacity: %v\n%s", seed, a.Warnings, d.describe())
			continue
		}
		if c := a.Capacity; c.Bound == "" && c.Value.Value < c.ConfirmedAtRPS {
			t.Errorf("seed %d: %.1f (%.1f-%.1f), but %.1f was confirmed", seed, c.Value.Value, c.Low, c.High, c.ConfirmedAtRPS)
		}
		if !got.add(a.Capacity, k.truth) && testing.Verbose() {
			c := a.Capacity
			t.Logf("seed %d: %.1f (%.1f-%.1f) %s\n%s", seed, c.Value.Value, c.Low, c.High, c.Bound, d.describe())
		}
	}
	t.Log(got)
	return got
}

func (s *score) add(c *capacity.Capacity, truth float64) (good bool) {
	v := c.Value.Value
	near, covered := math.Abs(v-truth) <= 0.05*truth, c.Low <= truth && truth <= c.High
	s.near += btoi(near)
	s.within += btoi(math.Abs(v-truth) <= 0.1*truth)
	s.covered += btoi(covered)
	s.confirmed += btoi(c.Confirmed)
	s.width += (c.High - c.Low) / v
	s.sum += v
	s.squares += v * v
	return near && covered
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// longRun returns the load at which p99 of an endless step is ms, by bisection
// over steps of n hits.
func longRun(make func() system, ms float64, n int) float64 {
	low, high := 0.0, make().limit()
	for range 14 {
		load := (low + high) / 2
		s, rng := make(), rand.New(rand.NewPCG(7, 7))
		slow, at := 0, 0.0
		for range n {
			at += rng.ExpFloat64() / load
			if s.answer(at, rng)+scoreboard.Network(rng)-at > ms/1000 {
				slow++
			}
		}
		if float64(slow) > 0.01*float64(n) {
			high = load
		} else {
			low = load
		}
	}
	return (low + high) / 2
}

var patient = []scenarios.Objective{below("p99", 150), below("errors", 0.01)}

// drills is how many to simulate: fewer when testing is to be short.
func drills(n int) int {
	if testing.Short() {
		n /= 5
	}
	return max(n/slow, 5)
}

// In 99 drills of 100 the value is within 5% of an exact limit and the interval
// contains it; one drill may be wrong where fewer than 100 are run. Seeds are
// fixed, so the test does not flake; with other seeds and a true rate of 99.5%,
// each target would fail in 8% of runs.
func TestKnownLimits(t *testing.T) {
	t.Parallel()
	for name, k := range map[string]known{
		"pool":       {func() system { return pool(400) }, patient, 400, false},
		"lock":       {func() system { return lock(400) }, patient, 400, false},
		"downstream": {func() system { return downstream(400) }, patient, 400, false},
	} {
		t.Run(name, func(t *testing.T) {
			got := k.score(t, drills(200))
			if wrong := got.drills / 100; got.drills-got.near > wrong || got.drills-got.covered > wrong {
				t.Errorf("more than 1%% of the drills are wrong: %v", got)
			}
			if width := got.width / float64(got.drills); width > 0.10 {
				t.Errorf("intervals are %.1f%% wide on average, want at most 10%%", 100*width)
			}
			if got.slowest > 120 {
				t.Errorf("a drill took %.0f s", got.slowest)
			}
		})
	}
}

// Elsewhere the truth is where an endless step would break. Steps of seconds meet
// more than that close to saturation, so this is what intervals are worst at; the
// shares below are what they reach, less three standard errors.
func TestLongRunCrossing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name      string
		system    func() system
		ms        float64
		near, cov float64 // share of the drills within 10% of the truth, and covered
		drills    int
	}{
		{"pool 400", func() system { return pool(400) }, 150, 1, 0.85, 40},
		{"lock 80", func() system { return lock(80) }, 150, 0.75, 0.85, 40},
		{"pool 80", func() system { return pool(80) }, 150, 0.55, 0.65, 40},
		{"pool 790", func() system { return pool(790) }, 150, 1, 0.85, 20},
		{"pool 1500", func() system { return pool(1500) }, 150, 1, 0.8, 10},
		{"downstream 6000", func() system { return downstream(6000) }, 150, 1, 0.8, 5},
		{"lock 37", func() system { return lock(37) }, 500, 0.8, 0.85, 40},
		{"memoryless 400", func() system { return memoryless(400) }, 150, 0.9, 0.65, 40},
		{"two-point service 400", func() system { return bimodal(400) }, 150, 0.75, 0.4, 40},
		{"objective near the service time", func() system { return pool(400) }, 15, 0.85, 0.75, 40},
		{"objective at twice the service", func() system { return memoryless(400) }, 60, 0.85, 0.7, 40},
	} {
		t.Run(c.name, func(t *testing.T) {
			truth := longRun(c.system, c.ms, 400000/slow)
			t.Logf("limit %.0f, in the long run %.1f", c.system().limit(), truth)
			got := known{c.system, []scenarios.Objective{below("p99", c.ms)}, truth, false}.score(t, drills(c.drills))
			if slow > 1 || testing.Short() {
				return // too few drills for shares
			}
			n := float64(got.drills)
			if float64(got.within) < c.near*n || float64(got.covered) < c.cov*n {
				t.Errorf("%d within 10%% and %d covered, want %.0f and %.0f of %.0f", got.within, got.covered, c.near*n, c.cov*n, n)
			}
			if got.slowest > 120 {
				t.Errorf("a drill took %.0f s", got.slowest)
			}
		})
	}
}
