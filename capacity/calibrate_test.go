package capacity

import (
	"math"
	"slices"
	"testing"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

// What past predictions of the target were off by outweighs what those of other
// systems were; scores of another kind, or that are no numbers, do not count.
func TestPastScoresCalibrate(t *testing.T) {
	t.Parallel()
	const kind = restsOnOrder
	scores := func(kind string, value float64) []Score {
		return slices.Repeat([]Score{{Kind: kind, Value: value}}, 12)
	}
	shipped := widening(kind, 1.6, 0.9, nil)
	for _, c := range []struct {
		name string
		past []Score
		want func(k float64) bool
	}{
		{"worse than elsewhere", scores(kind, 4*shipped), func(k float64) bool { return math.Abs(k/shipped-4) < 1e-9 }},
		{"better than elsewhere", scores(kind, 0.01), func(k float64) bool { return k < shipped }},
		{"another kind", scores(restsOnQueue, 9), func(k float64) bool { return k == shipped }},
		{"no numbers", []Score{{Kind: kind, Value: math.NaN()}, {Kind: kind, Value: math.Inf(1)}, {Kind: kind, Value: -1}}, func(k float64) bool { return k == shipped }},
	} {
		t.Run(c.name, func(t *testing.T) {
			if k := widening(kind, 1.6, 0.9, c.past); !c.want(k) {
				t.Errorf("intervals are widened by %.3g, by %.3g as shipped", k, shipped)
			}
		})
	}
}

// A real drill that reached its limit is predicted from its lower steps, and
// scored. What was measured must not leak into the prediction: hidden steps may
// say anything.
func TestBacktestOfARealDrill(t *testing.T) {
	t.Parallel()
	points := recorded(t, "pool")
	spec := Spec{Objectives: []scenarios.Objective{{Metric: "p99", Op: "<", Value: 100}}, Seed: 1}
	scores, no := Backtest(points, spec, 0.6, 0.9)
	if len(scores) == 0 || no != nil {
		t.Fatalf("no score: %+v", no)
	}
	for _, s := range scores {
		t.Logf("%+v", s)
		if s.Kind == "" || !(s.Value >= 0) || s.Value > 20 {
			t.Errorf("score %+v", s)
		}
	}
}

// A drill that scores nothing says why in a field.
func TestBacktestSaysWhyItHasNoScores(t *testing.T) {
	t.Parallel()
	points := recorded(t, "pool")
	objective := func(ms float64) []scenarios.Objective {
		return []scenarios.Objective{{Metric: "p99", Op: "<", Value: ms}}
	}
	low := slices.DeleteFunc(slices.Clone(points), func(p observation.Point) bool { return p.Offered > 250 })
	for _, c := range []struct {
		name       string
		points     []observation.Point
		objectives []scenarios.Objective
		share      float64
		want       string
	}{
		{"no step", nil, objective(100), 0.6, NoCapacity},
		{"no objective", points, nil, 0.6, NoCapacity},
		{"held throughout", low, objective(100), 0.6, NoLimit},
		{"broke throughout", points, objective(1), 0.6, BrokeAtOnce},
		{"nothing below", points, objective(100), 0.01, NothingBelow},
		{"too little below", points, objective(100), 0.28, NotPredicted},
	} {
		t.Run(c.name, func(t *testing.T) {
			scores, no := Backtest(c.points, Spec{Objectives: c.objectives, Seed: 1}, c.share)
			if len(scores) != 0 || no == nil || no.Reason != c.want {
				t.Fatalf("scores %v, %+v; want %q", scores, no, c.want)
			}
			if reached := c.want == NothingBelow || c.want == NotPredicted; reached != (no.Observed > 0) || reached != (no.UpTo > 0) {
				t.Errorf("%+v", no)
			}
			if (no.Steps > 0) != (c.want == NotPredicted) || (no.Why != "") != (c.want == NotPredicted) {
				t.Errorf("%+v", no)
			}
		})
	}
}

// Why a capacity is only bounded below is in a field, as the objectives of which no law
// speaks are: no text has to be read for it.
func TestReasonsAreInFields(t *testing.T) {
	t.Parallel()
	points := recorded(t, "pool")
	upTo := func(rps float64) []observation.Point {
		return slices.DeleteFunc(slices.Clone(points), func(p observation.Point) bool { return p.Offered > rps })
	}
	p99 := scenarios.Objective{Metric: "p99", Op: "<", Value: 100}
	errors := scenarios.Objective{Metric: "errors", Op: "<", Value: 0.001}
	c := Analyse(upTo(110), Spec{Objectives: []scenarios.Objective{p99}, Seed: 1}).Capacity
	if c == nil || c.Bound != Above || c.Unidentified == "" {
		t.Errorf("from two steps: %+v", c)
	}
	c = Analyse(upTo(250), Spec{Objectives: []scenarios.Objective{p99, errors}, Seed: 1}).Capacity
	if c == nil || c.Bound != Predicted || c.Unidentified != "" || len(c.Unforetold) != 1 || c.Unforetold[0].Objective != errors {
		t.Fatalf("from below the limit: %+v", c)
	}
	if !slices.Contains(c.Warnings, c.Unforetold[0].String()) {
		t.Errorf("%q is not among the warnings %q", c.Unforetold[0], c.Warnings)
	}
}

// Only the lower half of an interval that rests on many cores is wider.
func TestManyCoresMayDisturbEachOther(t *testing.T) {
	t.Parallel()
	p := prediction{value: 100, low: 95, high: 106, reach: 1.6, kind: restsOnSharing}
	few, many := p, p
	many.manyCores = true
	few.calibrate(0.9, nil)
	many.calibrate(0.9, nil)
	below := math.Log(many.value/many.low) / math.Log(few.value/few.low)
	if math.Abs(below-disturbedBy) > 1e-9 || many.high != few.high {
		t.Errorf("%.4g-%.4g and with many cores %.4g-%.4g", few.low, few.high, many.low, many.high)
	}
}

// The more the work of requests varies, the wider the interval, without a step anywhere.
func TestUnevenWorkWidens(t *testing.T) {
	t.Parallel()
	width := func(varies float64) float64 {
		p := prediction{value: 100, low: 95, high: 106, reach: 1.6, kind: restsOnSharing, varies: varies}
		p.calibrate(0.9, nil)
		return math.Log(p.high / p.low)
	}
	for last, v := width(0.1), 0.2; v < 20; v *= 1.1 {
		now := width(v)
		if now < last || now > 1.1*last {
			t.Errorf("at %.3g the width goes from %.4g to %.4g", v, last, now)
		}
		last = now
	}
	if width(8) < 1.2*width(1) || width(0.1) != width(1) {
		t.Errorf("widths %.4g, %.4g and %.4g at 0.1, 1 and 8", width(0.1), width(1), width(8))
	}
}

// What a table is calibrated as is what it is, and each kind has scores of its own.
func TestEachKindHasScores(t *testing.T) {
	t.Parallel()
	pooled, _ := shipped("none of them", false)
	for _, kind := range []string{restsOnOrder, restsOnSlots, restsOnSharing, restsOnTwo, restsOnLock, restsOnMemory, restsOnCurve, restsOnDrift, restsOnQueue} {
		p := prediction{kind: kind}
		if p.class() != kind {
			t.Errorf("%s is calibrated as %s", kind, p.class())
		}
		p.imagined = true
		if want := map[bool]string{true: restsOnGrowth, false: restsOnTable}[kind == restsOnQueue]; p.class() != want {
			t.Errorf("a table of %s is calibrated as %s", kind, p.class())
		}
		for _, class := range []string{kind, p.class()} {
			if scores, n := shipped(class, false); slices.Equal(scores, pooled) || n == 0 {
				t.Errorf("%s has no scores of its own", class)
			}
		}
	}
}

// What the law of a response may be off by is the interval of the capacity, seen from the
// other axis: at the high end of the capacity the least is what the objective allows.
func TestResponsesHaveTheIntervalOfTheCapacity(t *testing.T) {
	t.Parallel()
	points := slices.DeleteFunc(recorded(t, "pool"), func(p observation.Point) bool { return p.Offered > 250 })
	a := Analyse(points, Spec{Objectives: []scenarios.Objective{{Metric: "p99", Op: "<", Value: 100}}, Seed: 1})
	if a.Response == nil || a.Capacity.Bound != Predicted || a.Response.Confidence != DefaultConfidence {
		t.Fatalf("%+v, %+v", a.Capacity, a.Response)
	}
	c := a.Capacity
	for _, rps := range []float64{100, 250, 0.95 * c.Value.Value, c.Value.Value} {
		low, high := a.Response.shifted(rps, 0.99)
		if at := a.Response.Quantile(rps, 0.99); !(low > 0 && low <= at && at <= high) {
			t.Errorf("at %.4g: %.4g ms between %.4g and %.4g", rps, at, low, high)
		}
	}
	if low, _ := a.Response.shifted(c.High, 0.99); math.Abs(low/100-1) > 0.1 {
		t.Errorf("at the high end of the capacity at least %.4g ms, want what is allowed, 100", low)
	}
	for rps, r := range map[float64]*Response{100: {}, c.Value.Value: a.Response} {
		if low, high := r.Between(rps, 0.99); !math.IsNaN(low) || !math.IsNaN(high) {
			t.Errorf("without steps at %.4g: %g to %g", rps, low, high)
		}
	}
}
