package capacity

import (
	"encoding/binary"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

func TestDegenerateInput(t *testing.T) {
	t.Parallel()
	nan := math.NaN()
	invalid := ladder(400, nil, 50, 100)
	for i := range invalid {
		invalid[i].Valid = false
	}
	for name, points := range map[string][]observation.Point{
		"none":       nil,
		"invalid":    invalid,
		"no load":    {{Valid: true}},
		"NaN load":   {{Valid: true, Offered: nan}},
		"warm-up":    {{Valid: true, Offered: 50, Kind: scenarios.KindWarmup}},
		"no tallies": {{Valid: true, Offered: 50, Windows: []observation.Second{{}, {}}}},
	} {
		t.Run(name, func(t *testing.T) {
			a := Analyse(points, Spec{Objectives: p99, Prices: &scenarios.Prices{VCPUHour: 1}, DemandRPS: 10})
			if len(a.Warnings) == 0 {
				t.Error("no warning")
			}
			if c := a.Capacity; c != nil && c.Bound == "" {
				t.Errorf("a capacity of %g out of nothing", c.Value.Value)
			}
		})
	}
}

func TestUnbracketed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		loads []float64
		top   float64
		bound string
		value float64
	}{
		{"one that held", []float64{50}, 400, Above, 50},
		{"one that broke", []float64{50}, 10, Below, 50},
		{"all held", []float64{50, 100, 200}, 400, Above, 200},
		{"the same load again", []float64{50, 50, 50}, 400, Above, 50},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := Analyse(ladder(c.top, nil, c.loads...), Spec{Objectives: p99})
			if a.Capacity == nil || a.Capacity.Bound != c.bound || math.Abs(a.Capacity.Value.Value-c.value) > 1e-9 {
				t.Errorf("got %+v", a.Capacity)
			}
			if c.bound == Below && a.Capacity.Low != 0 {
				t.Errorf("low is %g, want 0", a.Capacity.Low)
			}
		})
	}
}

// A confirmation that was ended early, as it used too much, confirms nothing.
func TestAShortConfirmationConfirmsNothing(t *testing.T) {
	t.Parallel()
	points := ladder(400, nil, 50, 100, 200, 250, 240)
	for i := 3; i < 5; i++ {
		points[i].Kind = scenarios.KindConfirm
	}
	points[3].Short = "cpu is used at 70%, above the allowed 60%"
	if c := Analyse(points, Spec{Objectives: p99}).Capacity; c == nil || !c.Confirmed || c.ConfirmedAtRPS != 240 {
		t.Errorf("got %+v, want 240/s confirmed", c)
	}
	if c := Analyse(points[:4], Spec{Objectives: p99}).Capacity; c == nil || c.Confirmed {
		t.Errorf("got %+v, want nothing confirmed", c)
	}
}

func TestObjectivesOfEveryKind(t *testing.T) {
	t.Parallel()
	points := ladder(400, nil, 50, 100, 200, 300, 390, 420, 500)
	for i := range points {
		p := &points[i]
		f := p.Figures
		p.Requests = map[string]observation.Figures{"buy": f}
		if p.Offered > 300 {
			p.ErrorRatio, p.Failed = 0.1, uint64(0.1*float64(p.Sent))
		}
	}
	for _, c := range []struct {
		o         scenarios.Objective
		low, high float64
	}{
		{scenarios.Objective{Metric: "p99", Op: "<", Value: 150}, 375, 420},
		{scenarios.Objective{Request: "buy", Metric: "p99", Op: "<", Value: 150}, 375, 420},
		{scenarios.Objective{Metric: "mean", Op: "<", Value: 100}, 375, 420},
		{scenarios.Objective{Metric: "max", Op: "<=", Value: 100}, 375, 420},
		{scenarios.Objective{Metric: "errors", Op: "<", Value: 0.01}, 300, 390},
	} {
		a := Analyse(points, Spec{Objectives: []scenarios.Objective{c.o}})
		k := a.Capacity
		if k == nil || k.Bound != "" || k.Value.Value < c.low-1 || k.Value.Value > c.high+1 {
			t.Errorf("%+v: %+v", c.o, k)
		} else if k.Objective != c.o {
			t.Errorf("%+v: says %+v broke", c.o, k.Objective)
		}
	}
}

// queued returns a step of whole seconds in which responses begin at 5 ms and
// grow by grow ms each second, and its drain.
func queued(load float64, seconds int, grow float64) observation.Point {
	p := observation.Point{Kind: scenarios.KindSearch, Offered: load, Seconds: float64(seconds), Valid: true}
	all := observation.NewTally()
	for s := range seconds {
		tally := observation.NewTally()
		for i := range int(load) {
			at := float64(s) + float64(i)/load
			d := time.Duration((5 + grow*at) * float64(time.Millisecond))
			tally.Add(d, d, 0, "")
		}
		all.Merge(tally)
		p.Windows = append(p.Windows, observation.Second{Second: s, Planned: tally.OK, Tally: tally})
	}
	p.OK, p.Sent, p.Throughput = all.OK, all.OK, load/(1+grow/1000)
	p.Flow = drained(load, float64(seconds), grow)
	ms := func(q float64) float64 { return float64(all.Response.ValueAtPercentile(q)) / 1000 }
	p.Response = observation.Quantiles{Mean: all.Response.Mean() / 1000, P50: ms(50), P90: ms(90), P95: ms(95), P99: ms(99), P999: ms(99.9), Max: ms(100)}
	return p
}

// drained is the flow of a queued step: hits leave at load/(1+grow) each second
// until the last has left.
func drained(load, seconds, grow float64) []observation.Flow {
	rate := load / (1 + grow/1000)
	last := 0.005 + seconds*(1+grow/1000)
	left := func(at float64) float64 { return min(max(rate*(at-0.005), 0), load*seconds) }
	var flow []observation.Flow
	for k := 0.0; k < last; k++ {
		to := min(k+1, last)
		f := observation.Flow{From: k, To: to, OK: uint64(left(to)) - uint64(left(k))}
		f.InFlight = int(load*min(to, seconds)) - int(left(to))
		flow = append(flow, f)
	}
	return flow
}

// At 800/s a target that serves 400/s falls behind by a second each second, and
// every hit is answered in the end: counts say 800/s, their ends say 400/s.
func TestPlateauIsReadFromEndsNotCounts(t *testing.T) {
	t.Parallel()
	for _, seconds := range []int{2, 3, 4} {
		sat := saturated(digest([]observation.Point{queued(50, 3, 0), queued(800, seconds, 1000)}))
		if sat == nil {
			t.Fatalf("%d s: no plateau", seconds)
		}
		if low, high := sat.bounds(); math.Abs(sat.rate-400) > 6 || low > 400 || high < 400 {
			t.Errorf("%d s: %g (%g-%g), want 400", seconds, sat.rate, low, high)
		}
	}
	if sat := saturated(digest([]observation.Point{queued(50, 3, 0), queued(200, 8, 0)})); sat != nil {
		t.Errorf("a plateau of %g without a queue", sat.rate)
	}
}

func TestAnalyseIsReproducibleAndLeavesPointsAlone(t *testing.T) {
	t.Parallel()
	points := []observation.Point{queued(50, 3, 0), queued(200, 3, 0), queued(380, 8, 5), queued(800, 1, 1000)}
	a, b := Analyse(points, Spec{Objectives: p99, Seed: 3}), Analyse(points, Spec{Objectives: p99, Seed: 3})
	if !reflect.DeepEqual(a, b) {
		t.Error("two analyses of the same points differ")
	}
	if points[0].Offered != 50 || points[3].Offered != 800 {
		t.Error("points were changed")
	}
}

func TestIsotonicNeverFalls(t *testing.T) {
	t.Parallel()
	knots := isotonic([]reading{{3, 1, 1}, {1, 2, 1}, {2, -1, 2}, {2, 0, 1}, {5, 0.5, 1}})
	for i := 1; i < len(knots); i++ {
		if knots[i].margin < knots[i-1].margin || knots[i].low <= knots[i-1].high {
			t.Errorf("%v", knots)
		}
	}
}

// FuzzAnalyse feeds arbitrary points: no panic, and no capacity that is not a
// number or lies outside its interval.
func FuzzAnalyse(f *testing.F) {
	f.Add([]byte{})
	f.Add(make([]byte, 24*4))
	seed := []byte{}
	for _, v := range []float64{50, 50, 10, 400, 400, 120, 800, 400, 900, math.Inf(1), math.NaN(), -1} {
		seed = binary.LittleEndian.AppendUint64(seed, math.Float64bits(v))
	}
	f.Add(seed)
	nanocores := []byte{}
	for i := range 6 { // a sum over cores must not be one over as many of these
		load := 50 * float64(i+1)
		for _, v := range []float64{load, 10, load, 5, 8, 0, 5e6 * load, 4e9} {
			nanocores = binary.LittleEndian.AppendUint64(nanocores, math.Float64bits(v))
		}
	}
	f.Add(nanocores)
	f.Fuzz(func(t *testing.T, data []byte) {
		number := func() float64 {
			if len(data) < 8 {
				return 0
			}
			v := math.Float64frombits(binary.LittleEndian.Uint64(data))
			data = data[8:]
			return v
		}
		var points []observation.Point
		for len(data) >= 8 && len(points) < 12 {
			flags := data[0]
			p := observation.Point{Step: len(points), Valid: flags&1 == 0, Offered: number(), Seconds: number()}
			if flags&2 != 0 {
				p.Cut = "cut"
			}
			p.Throughput, p.Response.P50, p.Response.P99, p.ErrorRatio = number(), number(), number(), number()
			p.OK = uint64(flags)
			p.Resources = map[string]observation.Use{"cpu": {Used: number(), Limit: number(), Unit: "cores"}}
			if flags&4 != 0 {
				tally := observation.NewTally()
				tally.Add(time.Duration(flags)*time.Millisecond, 0, 0, "")
				p.Windows = []observation.Second{{Second: int(flags), Planned: uint64(flags), Tally: tally}, {}}
			}
			if p.Locks = []observation.LockWait{{Function: "f", Seconds: number(), Contentions: number()}}; flags&8 != 0 {
				p.Locks = []observation.LockWait{{Function: "f", Seconds: 1}}
			}
			points = append(points, p)
		}
		a := Analyse(points, Spec{
			Objectives: append(p99, scenarios.Objective{Metric: "errors", Op: "<", Value: 0.01}),
			Prices:     &scenarios.Prices{VCPUHour: 0.04}, DemandRPS: 10, Replicates: 20,
		})
		if c := a.Capacity; c != nil && !(c.Low <= c.Value.Value && c.Value.Value <= c.High) {
			t.Errorf("capacity %g outside %g-%g", c.Value.Value, c.Low, c.High)
		}
		if h := a.Headroom; h != nil && math.IsNaN(h.Now.Value) {
			t.Errorf("headroom %+v", h)
		}
		_ = Estimator(p99, 1).Estimate(points)
	})
}

func BenchmarkEstimate(b *testing.B) {
	var points []observation.Point
	for i := range 15 {
		points = append(points, queued(100+50*float64(i), 20, float64(i*i)))
	}
	e := Estimator(p99, 1)
	for b.Loop() {
		e.Estimate(points)
	}
}

func BenchmarkAnalyse(b *testing.B) {
	var points []observation.Point
	for i := range 15 {
		points = append(points, queued(100+50*float64(i), 20, float64(i*i)))
	}
	for b.Loop() {
		Analyse(points, Spec{Objectives: p99})
	}
}

// TestAStepThatWasCutStandsAtWhatItOffered: what broke it may have come in its discarded
// begin. Of 400/s, 368/s arrived in the one second that is left; steps of 4 s in which as many
// and more arrived held, and yet the objective was broken.
func TestAStepThatWasCutStandsAtWhatItOffered(t *testing.T) {
	t.Parallel()
	points := ladder(1e9, nil, 50, 100, 200, 283, 356, 369, 376)
	cut := ladder(1e9, nil, 368)[0]
	cut.Step, cut.Offered, cut.Seconds, cut.Sent, cut.OK = 7, 400, 1, 368, 368
	cut.Cut = "p99 < 150ms can no longer hold"
	cut.Response = observation.Quantiles{Mean: 80, P50: 70, P90: 150, P95: 165, P99: 180, P999: 190, Max: 200}
	all := digest(append(points, cut))
	rows := make([]replicate, len(all))
	for i := range all {
		all[i].observed(&rows[i])
	}
	rows[7].load = 368
	c := found{broken: true} // and no saturation was seen
	at, bound, _ := c.weakest(all, rows, p99, func() float64 { return math.NaN() })
	if bound != "" || at < 376 || at > 400 {
		t.Errorf("%q %.4g, want a crossing between 376 and 400", bound, at)
	}
}

// TestTheLongestOfAFewMakesNoCrossing: of 95 responses at the lowest load one is longer than
// the objective, and p99 is met. Higher loads hold too. The p99 that is interpolated for
// replicates lies in the bin of the longest, but no step broke anything.
func TestTheLongestOfAFewMakesNoCrossing(t *testing.T) {
	t.Parallel()
	points := []observation.Point{queued(50, 2, 0), queued(74, 2, 0), queued(15, 6, 0)}
	low := &points[2]
	for i := range points {
		points[i].Step = i
	}
	tally := low.Windows[3].Tally
	long := 400 * time.Millisecond
	tally.Add(long, long, 0, "")
	low.Windows[3].Planned++
	low.OK, low.Sent = low.OK+1, low.Sent+1
	low.Response.Max = 400
	a := Analyse(points, Spec{Objectives: []scenarios.Objective{{Metric: "p99", Op: "<", Value: 6}}})
	if a.Capacity == nil || a.Capacity.Bound != Above || a.Capacity.Value.Value < 70 {
		t.Errorf("%+v", a.Capacity)
	}
}
