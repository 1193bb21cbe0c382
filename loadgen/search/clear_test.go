package search

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

// step is a valid step with a p99 in ms, of 1000 hits.
func step(kind string, load, ms float64) observation.Point {
	p := observation.Point{Kind: kind, Offered: load, Seconds: 6, Valid: true}
	p.OK, p.Sent, p.Throughput = 1000, 1000, load
	p.Response = observation.Quantiles{Mean: ms, P50: ms, P90: ms, P95: ms, P99: ms, P999: ms, Max: ms}
	return p
}

func TestHeld(t *testing.T) {
	const refine, confirm = scenarios.KindRefine, scenarios.KindConfirm
	for _, c := range []struct {
		name          string
		points        []observation.Point
		held, refuted float64
	}{
		{"nothing", nil, 0, 0},
		{"once clearly", []observation.Point{step(refine, 380, 70)}, 0, 0},
		{"twice clearly", []observation.Point{step(refine, 380, 70), step(refine, 390, 60)}, 380, 0},
		{"twice, barely", []observation.Point{step(refine, 380, 149), step(refine, 390, 149)}, 0, 0},
		{"a lower one broke", []observation.Point{step(refine, 380, 70), step(refine, 390, 60), step(refine, 370, 500)}, 0, 0},
		{"confirmed, barely", []observation.Point{step(refine, 380, 500), step(confirm, 385, 149)}, 385, 0},
		{"confirmed lower", []observation.Point{step(confirm, 390, 500), step(confirm, 375, 100)}, 375, 390},
		{"confirmed above one that broke", []observation.Point{step(confirm, 390, 100), step(confirm, 375, 500)}, 0, 375},
	} {
		if got := Held(c.points, p99); got != c.held {
			t.Errorf("%s: %g held, want %g", c.name, got, c.held)
		}
		if got := Refuted(c.points, p99); got != c.refuted {
			t.Errorf("%s: %g refuted, want %g", c.name, got, c.refuted)
		}
	}
}

// A step for which the generator was late says nothing, even if it was cut.
func TestLateGeneratorIsNoEvidence(t *testing.T) {
	late := step(scenarios.KindSearch, 400, 200)
	late.Valid, late.Cut, late.SendLag.P50, late.SendLag.P99 = false, "p99", 1, 45
	overloaded := step(scenarios.KindSearch, 800, 1500)
	overloaded.Valid, overloaded.Cut, overloaded.SendLag.P99 = false, "p99", 45
	if use := Usable([]observation.Point{late, overloaded}); len(use) != 1 || use[0].Offered != 800 {
		t.Errorf("usable: %+v", use)
	}
	confirmed := step(scenarios.KindConfirm, 400, 70)
	confirmed.Valid = false
	if Held([]observation.Point{confirmed}, p99) != 0 || Clearly(confirmed, p99) {
		t.Error("an invalid confirmation counts as held")
	}
}

// low is an estimator that is wrong: it sees the crossing at a load that holds.
type low float64

func (l low) Estimate([]observation.Point) Estimate {
	return Estimate{Value: float64(l), Low: 0.97 * float64(l), High: 1.03 * float64(l)}
}

func TestMovesUpWhereItHoldsClearly(t *testing.T) {
	for _, limit := range []float64{450, 500, 600, 750} {
		points, _, _ := drill(t, New(Config{Objectives: p99, Estimator: low(380)}), target{limit: limit})
		alikes, top := 0, 0.0
		for i, p := range points[1:] {
			if Judge(p, p99) == Met {
				top = max(top, p.Offered)
			}
			if p.Kind != scenarios.KindRefine {
				continue
			}
			alikes = 0
			for _, q := range points[1 : i+2] {
				if math.Abs(p.Offered-q.Offered) <= alike*p.Offered && Clearly(q, p99) {
					alikes++
				}
			}
			if alikes > 2 {
				t.Errorf("limit %g: refined a third time at %g/s, which holds clearly", limit, p.Offered)
			}
		}
		if top < 0.9*limit {
			t.Errorf("limit %g: never offered more than %g/s that held", limit, top)
		}
	}
}

// The curve between the last load that held and the first that broke gets a point
// before refinement settles at the crossing.
func TestFirstRefinementIsApart(t *testing.T) {
	for _, limit := range []float64{210, 290, 380} {
		points, _, _ := drill(t, New(Config{Objectives: p99}), target{limit: limit})
		for i, p := range points {
			if p.Kind == scenarios.KindRefine {
				if want := math.Sqrt(200 * 400); math.Abs(p.Offered-want) > 0.01*want {
					t.Errorf("limit %g: refined first at %g, want %g (step %d)", limit, p.Offered, want, i)
				}
				break
			}
		}
	}
	seen := []observation.Point{step(scenarios.KindSearch, 200, 20), step(scenarios.KindSearch, 400, 60), step(scenarios.KindSearch, 800, 2000)}
	s := New(Config{Objectives: p99, Estimator: low(400)})
	if d := s.Next(seen, 20*time.Second); d.Step.From != 340 || d.Step.Lasts != DefaultStep/2 {
		t.Errorf("crossing near the lower end: %+v, want 340/s for half a step", d.Step)
	}
}

func TestInvalidStepIsRepeatedOnce(t *testing.T) {
	s := New(Config{Objectives: p99})
	bad := step(scenarios.KindSearch, 100, 10)
	bad.Valid, bad.WhyInvalid = false, []string{"send lag"}
	seen := []observation.Point{step(scenarios.KindSearch, 50, 10), bad}
	if d := s.Next(seen, 10*time.Second); d.Step.From != 100 || d.Step.Kind != scenarios.KindSearch || !strings.Contains(d.Reason, "send lag") {
		t.Errorf("growth: %+v, want 100/s once more", d)
	}
	if d := s.Next(append(seen, bad), 14*time.Second); d.Step.From == 100 {
		t.Errorf("growth: %+v, a third time", d)
	}
	bad.Kind = scenarios.KindConfirm
	seen = []observation.Point{step(scenarios.KindSearch, 100, 10), step(scenarios.KindSearch, 200, 2000), bad}
	if d := s.Next(seen, 70*time.Second); d.Done || d.Step.From != 100 || d.Step.Kind != scenarios.KindConfirm {
		t.Errorf("confirmation: %+v, want 100/s once more", d)
	}
	if d := s.Next(append(seen, bad), 80*time.Second); !d.Done || !strings.Contains(d.Reason, "invalid") {
		t.Errorf("confirmation: %+v, a third time", d)
	}
}

func TestReasonOfACutIsReadable(t *testing.T) {
	p := observation.Point{Offered: 800, Windows: []observation.Second{second(0, 600, 200)}}
	reason, _ := New(Config{Objectives: p99}).Cut(p, 2400)
	if want := "p99 < 150ms can no longer hold: 200 of 2400 hits broke it, and 24 may"; reason != want {
		t.Errorf("got %q, want %q", reason, want)
	}
}
