package capacity

import (
	"math"
	"strings"
	"testing"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

func cores(perRequest, limit float64) func(float64) map[string]observation.Use {
	return func(x float64) map[string]observation.Use {
		return map[string]observation.Use{"cpu": {Used: 0.05 + perRequest*x, Limit: limit, Unit: "cores"}}
	}
}

// What the points do not tell is said, and no number is made up.
func TestWhatIsNotIdentifiable(t *testing.T) {
	t.Parallel()
	edit := func(points []observation.Point, change func(i int, p *observation.Point)) []observation.Point {
		for i := range points {
			change(i, &points[i])
		}
		return points
	}
	loads := []float64{50, 100, 150, 200, 240}
	for _, c := range []struct {
		name   string
		points []observation.Point
		says   string // in a warning
	}{
		{"one point", ladder(1e9, cores(0.0025, 1), 50), "practically one load"},
		{"one load", ladder(1e9, cores(0.0025, 1), 50, 50, 50, 50), "practically one load"},
		{"two points", ladder(1e9, nil, 50, 100), "run a step above"},
		{"two points of a table", edit(ladder(1e9, cores(0.0025, 1), 100, 200), func(i int, p *observation.Point) {
			p.Response.P99 *= 1 + 0.3*float64(i)
		}), "run a step above"},
		{"no resource, flat responses", ladder(1e9, nil, loads...), "run a step above"},
		{"no limit", ladder(1e9, cores(0.0025, 0), loads...), "run a step above"},
		{"a limit far away", ladder(1e9, cores(0.0025, 8), loads...), "by no more than 2 times at once"},
		{"a limit out of sight", ladder(1e9, cores(0.0025, 32), loads...), "run a step above"},
		{"use that falls", ladder(1e9, cores(-0.0001, 1), loads...), "run a step above"},
		{"use that is not a number", ladder(1e9, cores(math.NaN(), 1), loads...), "run a step above"},
		{"negative use", ladder(1e9, cores(-1, 1), loads...), "run a step above"},
		{"responses that are not numbers", edit(ladder(1e9, cores(0.0025, 1), loads...), func(_ int, p *observation.Point) {
			p.Response = observation.Quantiles{Mean: math.NaN(), P50: math.NaN(), P99: math.NaN()}
		}), ""},
		{"responses that are negative", edit(ladder(1e9, cores(0.0025, 1), loads...), func(_ int, p *observation.Point) {
			p.Response = observation.Quantiles{Mean: -1, P50: -1, P90: -2, P99: -5, Max: -6}
		}), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := Analyse(c.points, Spec{Objectives: p99})
			if k := a.Capacity; k != nil && (k.Bound == "" || k.Bound == Predicted) {
				t.Errorf("a capacity of %g (%s) out of nothing: %v", k.Value.Value, k.Bound, a.Warnings)
			}
			if all := strings.Join(a.Warnings, "\n"); !strings.Contains(all, c.says) || len(a.Warnings) == 0 {
				t.Errorf("warnings %q do not say %q", all, c.says)
			}
			_ = Estimator(p99, 1).Estimate(c.points)
		})
	}
}

// A table whose lower rows alone fit no law is still weighed by all of them, and no
// hint names a load that is no number.
func TestLawsThatLowerRowsDoNotTell(t *testing.T) {
	t.Parallel()
	points := ladder(1e9, nil, 200, 380, 560, 650)
	for i, x := range [][2]float64{{7, 3}, {11, 4}, {30, 6}, {90, 20}} {
		p := &points[i]
		p.Seconds, p.OK, p.Sent = 20, uint64(20*p.Offered), uint64(20*p.Offered)
		p.Response = observation.Quantiles{P99: x[0], P50: x[1]}
	}
	a := Analyse(points, Spec{Objectives: []scenarios.Objective{{Metric: "p99", Op: "<", Value: 9000}}})
	if k := a.Capacity; k == nil || k.Bound != Predicted || strings.Contains(strings.Join(a.Warnings, "\n"), "NaN") {
		t.Errorf("%+v: %q", a.Capacity, a.Warnings)
	}
}

// Where an objective breaks, and the target goes on to serve eight times as much, is no
// saturation.
func TestBrokenObjectiveIsNoSaturation(t *testing.T) {
	t.Parallel()
	points := ladder(1e9, nil, 40, 80, 160, 320)
	for i := range points[1:] {
		points[i+1].Response.P99 = 200
	}
	a := Analyse(points, Spec{Objectives: p99})
	if k := a.Capacity; k == nil || k.Bound != "" || k.Value.Value > 160 {
		t.Errorf("capacity %+v", a.Capacity)
	}
	if a.Saturation != nil || !strings.Contains(strings.Join(a.Warnings, "\n"), "no saturation") {
		t.Errorf("saturation %+v: %q", a.Saturation, a.Warnings)
	}
}

// A target that turns away what it cannot serve answers the rest fast: that its p99 holds
// past saturation must not lift the loads below, where it broke.
func TestTurnedAwayHoldsNothing(t *testing.T) {
	t.Parallel()
	analyse := func(p99s ...float64) Analysis {
		points := ladder(90, nil, 30, 60, 90, 120, 150)
		for i, v := range p99s {
			p := &points[i]
			served := min(p.Offered, 80)
			p.Seconds, p.Sent, p.OK = 20, uint64(20*p.Offered), uint64(20*served)
			p.Failed, p.Throughput = p.Sent-p.OK, served
			p.ErrorRatio = float64(p.Failed) / float64(p.Sent)
			p.Response = observation.Quantiles{Mean: 10, P50: 8, P90: 15, P99: v}
		}
		a := Analyse(points, Spec{Objectives: p99})
		if all := strings.Join(a.Warnings, "\n"); !strings.Contains(all, "47% of the hits at 150/s failed") {
			t.Errorf("%q do not say how many failed", all)
		}
		return a
	}
	if k := analyse(240, 260, 120, 40, 40).Capacity; k == nil || k.Bound != Below {
		t.Errorf("broken from 30/s: %+v, want below it", k)
	}
	if k := analyse(40, 42, 60, 41, 40).Capacity; k == nil || k.Bound != "" || k.Objective.Metric != "" || k.Value.Value > 81 || k.Value.Value < 75 {
		t.Errorf("saturated at 80/s with every p99 held: %+v", k)
	}
	if k := analyse(40, 42, 300, 41, 40).Capacity; k == nil || k.Bound != "" || k.Value.Value > 81 {
		t.Errorf("broken where the target saturates at 80/s: %+v", k)
	}
}

// Where a request plainly takes more of the cores at a higher load, the interval holds what
// comes if that goes on, crosstalk or not.
func TestDemandThatRises(t *testing.T) {
	t.Parallel()
	use := func(x float64) float64 { return 0.1 + 0.002*x + 1e-6*x*x }
	points := ladder(1e9, func(x float64) map[string]observation.Use {
		return map[string]observation.Use{"cpu": {Used: use(x), Limit: 2, Unit: "cores"}}
	}, 50, 100, 150, 200, 250, 300, 350, 400, 450)
	for i := range points {
		x := points[i].Offered
		queue := markov{2, 1 / (0.002 + 1e-6*x)}
		points[i].Response = observation.Quantiles{P50: 1000 * queue.quantile(x, 0.5), P95: 1000 * queue.quantile(x, 0.95), P99: 1000 * queue.quantile(x, 0.99)}
		points[i].Seconds = 60
		points[i].OK = uint64(60 * x)
	}
	const truth = 702.9 // 0.1 + 0.002 x + 1e-6 x^2 = 2
	k := Analyse(points, Spec{Objectives: []scenarios.Objective{{Metric: "p99", Op: "<", Value: 2000}}}).Capacity
	if k == nil || k.Bound != Predicted || k.Low > truth || k.High < truth {
		t.Errorf("%+v does not hold %g", k, truth)
	}
}

// One cold row at a low load does not decide what a table says of higher ones.
func TestColdRowIsLeftOut(t *testing.T) {
	t.Parallel()
	warm := ladder(1e9, cores(0.0025, 1), 50, 100, 150, 200, 240)
	for i := range warm {
		rho := warm[i].Offered / 400
		warm[i].Response = observation.Quantiles{P50: 2.5 / (1 - rho), P99: 11.5 / (1 - rho)}
	}
	cold := warm[0]
	cold.Response = observation.Quantiles{P50: 60, P99: 480}
	want := Analyse(warm, Spec{Objectives: p99})
	got := Analyse(append([]observation.Point{cold}, warm...), Spec{Objectives: p99})
	if want.Capacity == nil || want.Capacity.Bound != Predicted || got.Capacity == nil || got.Capacity.Value.Value != want.Capacity.Value.Value {
		t.Errorf("with a cold row %+v, without %+v", got.Capacity, want.Capacity)
	}
	if all := strings.Join(got.Warnings, "\n"); !strings.Contains(all, "a row at 50/s was slower") {
		t.Errorf("%q do not name the row", all)
	}
	if all := strings.Join(want.Warnings, "\n"); strings.Contains(all, "slower") {
		t.Errorf("%q of rows that are alike", all)
	}
}

// The rows of memory that goes with the load, and not with what is in flight, had no
// failures where so few places would have made many: it is held against its limit alone.
func TestMemoryThatIsKept(t *testing.T) {
	t.Parallel()
	points := ladder(1e9, func(x float64) map[string]observation.Use {
		return map[string]observation.Use{
			"memory": {Used: 1e9 + 2e7*x, Limit: 8e9, Unit: "bytes"}, "cpu": {Used: 0.01 * x, Limit: 8, Unit: "cores"},
		}
	}, 40, 80, 120, 160, 200, 240)
	for i := range points {
		p := &points[i]
		p.Seconds, p.OK, p.Sent = 60, uint64(60*p.Offered), uint64(60*p.Offered)
		p.Response, p.InFlight = observation.Quantiles{Mean: 10, P50: 7, P95: 30, P99: 46}, p.Offered*0.01
	}
	a := Analyse(points, Spec{Objectives: append([]scenarios.Objective{{Metric: "errors", Op: "<", Value: 0.01}}, p99...)})
	if k := a.Capacity; k == nil || k.Bound != Predicted || math.Abs(k.Value.Value-350) > 10 || k.Low < 240 {
		t.Errorf("%+v, want about 350", k)
	}
}

// Steps that broke below a capacity are named, as those above it held.
func TestStepsAgainstTheCapacity(t *testing.T) {
	t.Parallel()
	warned := func(p99s ...float64) string {
		points := ladder(1e9, nil, 50, 100, 200, 300, 400)
		for i, v := range p99s {
			points[i].Response.P99 = v
		}
		a := Analyse(points, Spec{Objectives: p99})
		if k := a.Capacity; k == nil || k.Bound != "" {
			t.Fatalf("%+v, want a capacity that was measured", k)
		}
		return strings.Join(a.Warnings, "\n")
	}
	if all := warned(180, 60, 50, 60, 400); !strings.Contains(all, "(at 50/s)") {
		t.Errorf("%q do not name the step at 50/s", all)
	}
	if all := warned(50, 50, 50, 60, 400); strings.Contains(all, "below the capacity") {
		t.Errorf("%q, of steps that agree", all)
	}
}

// A mean that is too long well below saturation says nothing of what saturates: the cores
// that were seen to be used do.
func TestBrokenObjectiveBlamesNothingUnmeasured(t *testing.T) {
	t.Parallel()
	queue := markov{4, 100}
	var points []observation.Point
	for i := range 30 {
		x := 12 * float64(i+1)
		p := observation.Point{Step: i, Kind: scenarios.KindLoad, Valid: true, Offered: x, Seconds: 60}
		p.Throughput, p.OK, p.Sent = x, uint64(60*x), uint64(60*x)
		p.Response.Mean = 1000 * (0.01 + erlangC(4, x/400)/(400-x))
		p.Response.P50, p.Response.P99 = 1000*queue.quantile(x, 0.5), 1000*queue.quantile(x, 0.99)
		p.Resources = map[string]observation.Use{"cpu": {Used: x / 100, Limit: 4, Unit: "cores"}}
		points = append(points, p)
	}
	for _, o := range []scenarios.Objective{{Metric: "mean", Op: "<", Value: 16}, {Metric: "p99", Op: "<", Value: 90}} {
		a := Analyse(points, Spec{Objectives: []scenarios.Objective{o}})
		if k := a.Capacity; k == nil || k.Bound != "" {
			t.Errorf("%s: %+v, want a capacity that was measured", o, k)
		}
		if s := a.Saturation; s == nil || s.Measured || s.Bottlenecks[0].Resource != "cpu" || s.Bottlenecks[0].Probability < sure || math.Abs(s.Value.Value-400) > 8 {
			t.Errorf("%s: %+v, want cpu at 400", o, s)
		}
	}
}

func TestOddInputStaysANumber(t *testing.T) {
	t.Parallel()
	loads := []float64{50, 100, 150, 200, 240}
	over := ladder(1e9, cores(0.006, 1), loads...) // used 1.5 cores of one
	a := Analyse(over, Spec{Objectives: p99})
	if k := a.Capacity; k == nil || k.Bound == "" || k.Value.Value < 200 {
		t.Errorf("use above its limit: %+v, want at least what held", k)
	}
	down := ladder(1e9, cores(0.0025, 1), 240, 200, 150, 100, 50)
	if k := Analyse(down, Spec{Objectives: p99}).Capacity; k == nil || k.Bound != Predicted || math.Abs(k.Value.Value-375) > 20 {
		t.Errorf("points from the top down: %+v, want about 375", k)
	}
	for name, o := range map[string]scenarios.Objective{
		"one that no step meets": {Metric: "p99", Op: "<", Value: 0.001},
		"one of a request":       {Request: "buy", Metric: "p99", Op: "<", Value: 150},
		"a throughput":           {Metric: "throughput", Op: ">=", Value: 100},
		"one that all meet":      {Metric: "max", Op: "<", Value: 1e9},
	} {
		a := Analyse(down, Spec{Objectives: []scenarios.Objective{o}})
		if k := a.Capacity; k != nil && (math.IsNaN(k.Value.Value) || math.IsInf(k.Value.Value, 0) || k.Value.Value > 450) {
			t.Errorf("%s: %+v", name, k)
		}
	}
}

func TestSecondsForMillisecondsAreNamed(t *testing.T) {
	t.Parallel()
	points := ladder(1e9, nil, 50, 100, 200)
	for i := range points {
		p := &points[i]
		p.InFlight = p.Throughput * 0.005
		p.Response.Mean = 0.005
	}
	if a := Analyse(points, Spec{Objectives: p99}); !strings.Contains(strings.Join(a.Warnings, "\n"), "seconds, perhaps") {
		t.Errorf("warnings: %q", a.Warnings)
	}
	nano := ladder(1e9, cores(2.5e6, 1e9), 50, 100, 150, 200, 240)
	if a := Analyse(nano, Spec{Objectives: p99}); !strings.Contains(strings.Join(a.Warnings, "\n"), "nanocores") {
		t.Errorf("warnings: %q", a.Warnings)
	}
	points[1].Response.Mean = 50
	if a := Analyse(points[1:2], Spec{Objectives: p99}); !strings.Contains(strings.Join(a.Warnings, "\n"), "Little's law") {
		t.Errorf("warnings: %q", a.Warnings)
	}
}

func TestWarmUpIsCut(t *testing.T) {
	t.Parallel()
	warm := make([]float64, 60)
	for i := range warm {
		warm[i] = 10 + 0.1*float64(i%3)
		if i < 10 {
			warm[i] = 40
		}
	}
	if got := mser(warm); got != 10 {
		t.Errorf("%d seconds are cut, want 10", got)
	}
	windows := make([]window, len(warm))
	for i, v := range warm {
		windows[i] = window{ok: 1, sum: v}
	}
	if got := settled(windows); got != 10 {
		t.Errorf("%d windows are cut, want 10", got)
	}
	for i := range windows {
		windows[i].sum = float64(i) // a queue that grows is no warm-up
	}
	if got := settled(windows); got != 0 {
		t.Errorf("%d windows of a growing queue are cut", got)
	}
}

// Bursts of production break an objective earlier than the Poisson arrivals of the steps; how
// much earlier is that of a queue of which all is known (M/M/1 at 500/s, p99 < 60 ms, and
// GI/M/1 with the same service).
func TestBurstyProduction(t *testing.T) {
	var points []observation.Point
	for i, load := range []float64{50, 100, 150, 200, 250, 300} {
		p := observation.Point{Step: i, Offered: load, Seconds: 60, Valid: true}
		p.Throughput = load
		at := func(q float64) float64 { return -1000 * math.Log(1-q) / (500 - load) }
		p.Response = observation.Quantiles{Mean: 1000 / (500 - load), P50: at(0.5), P90: at(0.9), P95: at(0.95), P99: at(0.99), P999: at(0.999)}
		p.Resources = map[string]observation.Use{"pool.db": {Used: load / 500, Limit: 1, Unit: "slots"}}
		points = append(points, p)
	}
	slo := []scenarios.Objective{{Metric: "p99", Op: "<", Value: 60}}
	poisson := Analyse(points, Spec{Objectives: slo}).Capacity
	bursty := Analyse(points, Spec{Objectives: slo, ArrivalsSCV: 4}).Capacity
	if poisson == nil || bursty == nil || poisson.Bound != Predicted || bursty.Bound != Predicted {
		t.Fatalf("%+v, %+v", poisson, bursty)
	}
	// The decay of the responses of GI/M/1 is what exceeds 60 ms with 1%, as of M/M/1.
	s := server{saturation: 500, servers: 1, scv: 1}
	truth := rises(499, func(x float64) bool { return math.Exp(-0.06*s.decay(x, 4)) > 0.01 })
	if math.Abs(bursty.Value.Value/truth-1) > 0.05 || !(bursty.Value.Value < 0.95*poisson.Value.Value) || bursty.Arrivals.Production != 4 {
		t.Errorf("for bursts %.4g, truth %.4g; for Poisson %.4g", bursty.Value.Value, truth, poisson.Value.Value)
	}
	if !strings.Contains(bursty.Method, "variation of 4") {
		t.Errorf("method %q", bursty.Method)
	}
}
