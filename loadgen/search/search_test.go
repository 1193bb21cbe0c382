package search

import (
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

var p99 = []scenarios.Objective{{Metric: "p99", Op: "<", Value: 150}}

// target answers a step without chance: fast up to its limit, slow above it.
type target struct {
	limit   float64
	invalid float64    // the generator cannot keep up from here on; 0 never
	cores   float64    // used for each request/s, of 1
	base    float64    // cores used without load
	memory  float64    // a ratio of its limit, whatever the load
	rng     *rand.Rand // draws arrivals and work of random use; nil for the mean of both
}

func (x target) point(i int, s scenarios.Step) observation.Point {
	n := uint64(s.From * s.Lasts.Seconds())
	p := observation.Point{Step: i, Kind: s.Kind, Offered: s.From, Seconds: s.Lasts.Seconds(), Valid: true}
	p.Throughput, p.OK, p.Sent = min(s.From, x.limit), n, n
	p.Response = observation.Quantiles{Mean: 5, P50: 5, P90: 6, P95: 7, P99: 10, P999: 20, Max: 30}
	if s.From > x.limit {
		p.Response = observation.Quantiles{Mean: 500, P50: 500, P90: 900, P95: 950, P99: 990, P999: 999, Max: 1000}
		p.Cut = "p99"
	}
	if x.cores > 0 {
		p.Resources = map[string]observation.Use{
			"cpu":           {Used: x.base + x.cores*p.Throughput, Limit: 1, Unit: "cores"},
			"generator.cpu": {Used: 1, Limit: 1, Unit: "cores"},
		}
	}
	if x.memory > 0 && x.cores > 0 {
		p.Resources["memory"] = observation.Use{Used: x.memory, Limit: 1, Unit: "bytes"}
	}
	if x.rng != nil {
		seconds := (s.Lasts - Discard(s.Lasts)).Seconds()
		n, work := 0, 0.0
		for range int(s.From*s.Lasts.Seconds() + x.rng.Float64()) {
			if x.rng.Float64() < seconds/s.Lasts.Seconds() {
				n, work = n+1, work+x.cores*x.uneven()
			}
		}
		p.Seconds, p.Throughput = seconds, float64(n)/seconds
		p.Resources["cpu"] = observation.Use{Used: work / seconds, Limit: 1, Unit: "cores"}
	}
	if x.invalid > 0 && s.From >= x.invalid {
		p.Valid, p.Cut, p.WhyInvalid = false, "", []string{"send lag"}
		p.Response.P50, p.SendLag.P50, p.SendLag.P99 = 500, 490, 499
	}
	return p
}

// uneven is lognormal work with a mean of 1 and the coefficient of variation that is allowed for.
func (x target) uneven() float64 {
	variance := math.Log(1 + uneven*uneven)
	return math.Exp(math.Sqrt(variance)*x.rng.NormFloat64() - variance/2)
}

// drill runs a search to its end and returns its points, its clock and its last
// decision. An overloaded step costs the whole time that the budget assumes.
func drill(t *testing.T, s *Search, x target) ([]observation.Point, time.Duration, Decision) {
	t.Helper()
	clock := 3*time.Second + settle
	points := []observation.Point{{Kind: scenarios.KindWarmup, Offered: 50, Valid: true}}
	for range 60 {
		d := s.Next(points, clock)
		if !reflect.DeepEqual(d, s.Next(points, clock)) {
			t.Fatal("the same arguments gave another decision")
		}
		if d.Done {
			return points, clock, d
		}
		if d.Step.From != d.Step.To || d.Step.From <= 0 || d.Step.Lasts <= 0 || d.Reason == "" {
			t.Fatalf("impossible decision %+v", d)
		}
		points = append(points, x.point(len(points), d.Step))
		clock += d.Step.Lasts + settle
		if d.Step.From > x.limit {
			clock += drain - settle
		}
	}
	t.Fatal("the search does not end")
	return nil, 0, Decision{}
}

func last(points []observation.Point) observation.Point { return points[len(points)-1] }

func TestFindsTheLimitWithinTheBudget(t *testing.T) {
	for _, limit := range []float64{3, 20, 49, 51, 80, 399, 400, 401, 1500, 6000, 9999} {
		s := New(Config{Objectives: p99})
		points, clock, d := drill(t, s, target{limit: limit})
		if clock > DefaultBudget {
			t.Errorf("%g: the drill took %v", limit, clock)
		}
		if d.Predicted == nil || d.Predicted.Bound != "" || math.Abs(d.Predicted.Value-limit) > 0.05*limit {
			t.Errorf("%g: predicted %+v (%s)", limit, d.Predicted, d.Reason)
		}
		if l := last(points); l.Kind != scenarios.KindConfirm || Judge(l, p99) != Met {
			t.Errorf("%g: not confirmed: %s at %g", limit, l.Kind, l.Offered)
		}
	}
}

func TestBudgetsAreKept(t *testing.T) {
	for _, budget := range []time.Duration{20 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute} {
		for _, limit := range []float64{10, 130, 700, 1e9} {
			s := New(Config{Objectives: p99, Load: scenarios.SearchLoad{Budget: scenarios.Duration(budget)}})
			if _, clock, _ := drill(t, s, target{limit: limit}); clock > budget+drain+s.grow {
				t.Errorf("budget %v, limit %g: took %v", budget, limit, clock)
			}
		}
	}
}

func TestGrowthGoesUpToTheGreatestLoadAllowed(t *testing.T) {
	for _, c := range []struct {
		cfg Config
		top float64
	}{
		{Config{Objectives: p99}, DefaultMaxRPS},
		{Config{Objectives: p99, MaxRPS: 700}, 700},
		{Config{Objectives: p99, MaxRPS: 700, Load: scenarios.SearchLoad{To: 300}}, 300},
		{Config{Objectives: p99, MaxRPS: 20}, 20},
		{Config{Objectives: p99, MaxRPS: 241.38}, 241.38},
		{Config{Objectives: p99, MaxRPS: 1498.9}, 1498.9},
		{Config{MaxRPS: 200}, 200},
	} {
		points, _, d := drill(t, New(c.cfg), target{limit: 1e9})
		top := 0.0
		for _, p := range points[1:] {
			top = max(top, p.Offered)
		}
		if top != c.top || d.Predicted == nil || d.Predicted.Bound != Above {
			t.Errorf("%+v: went up to %g, %+v", c.cfg, top, d)
		}
		if last(points).Kind != scenarios.KindConfirm {
			t.Errorf("%+v: not confirmed", c.cfg)
		}
		for i, p := range points[2:] {
			if p.Kind == scenarios.KindSearch && p.Offered <= points[i+1].Offered {
				t.Errorf("%+v: %g/s after %g/s is no growth", c.cfg, p.Offered, points[i+1].Offered)
			}
		}
	}
}

func TestNothingHolds(t *testing.T) {
	points, _, d := drill(t, New(Config{Objectives: p99}), target{limit: 0})
	if d.Predicted == nil || d.Predicted.Bound != Below {
		t.Errorf("got %+v", d)
	}
	if l := last(points).Offered; l >= DefaultFrom || l < lowest {
		t.Errorf("went down to %g", l)
	}
}

func TestUtilisationIsNeverExceeded(t *testing.T) {
	for _, base := range []float64{0, 0.1, 0.3} {
		s := New(Config{Objectives: p99, MaxUtilisation: 0.6})
		points, _, d := drill(t, s, target{limit: 1e9, cores: 0.001, base: base})
		for _, p := range points[1:] {
			if u := p.Resources["cpu"].Used; u > 0.6 {
				t.Errorf("base %g: %g cores of 0.6 allowed at %g/s", base, u, p.Offered)
			}
		}
		if got := last(points).Offered; got < 0.75*(0.6-base)/0.001 {
			t.Errorf("base %g: stopped already at %g (%s)", base, got, d.Reason)
		}
	}
}

// Counts of random arrivals vary, and so does what each takes: a step may use more than its
// mean, and no more than the bound. Seeded; work is as uneven as is allowed for, so that of steps
// at the bound one in three hundred is above it, and few steps are at the bound.
func TestUtilisationOfRandomArrivals(t *testing.T) {
	const searches, allowed = 200, 0.6
	steps, above, most := 0, 0, 0.0
	for seed := range uint64(searches) {
		rng := rand.New(rand.NewPCG(seed, 1))
		mean := 0.0002 * math.Exp(3*rng.Float64()) // core-seconds of a request: up to 150 to 3000/s
		s := New(Config{Objectives: p99, MaxUtilisation: allowed})
		points, _, d := drill(t, s, target{limit: 1e9, cores: mean, rng: rng})
		top := 0.0
		for _, p := range points[1:] {
			u := p.Resources["cpu"].Used
			steps, top, most = steps+1, max(top, p.Offered), max(most, u)
			if u > allowed {
				above++
			}
		}
		if top < 0.7*allowed/mean {
			t.Errorf("seed %d: stopped already at %g/s of %g (%s)", seed, top, allowed/mean, d.Reason)
		}
	}
	t.Logf("%d of %d steps of %d searches were above, the most used was %.3f", above, steps, searches, most)
	if above > steps/500 || most > allowed+0.03 {
		t.Errorf("%d of %d steps were above %g, the most at %g", above, steps, allowed, most)
	}
}

func TestSlowGeneratorEndsGrowth(t *testing.T) {
	points, _, d := drill(t, New(Config{Objectives: p99}), target{limit: 1e9, invalid: 800})
	if l := last(points); l.Kind != scenarios.KindConfirm || l.Offered != 400 {
		t.Errorf("ended with %s at %g: %s", l.Kind, l.Offered, d.Reason)
	}
	_, _, d = drill(t, New(Config{Objectives: p99}), target{limit: 1e9, invalid: 1})
	if !d.Done || d.Predicted != nil || !strings.Contains(d.Reason, "send lag") {
		t.Errorf("got %+v", d)
	}
}

func TestConfirmationThatBreaksIsRepeatedLower(t *testing.T) {
	s := New(Config{Objectives: p99})
	good := target{limit: 1e9}
	points := []observation.Point{
		good.point(0, scenarios.Step{Kind: scenarios.KindSearch, From: 200, Lasts: s.grow}),
		target{limit: 300}.point(1, scenarios.Step{Kind: scenarios.KindSearch, From: 400, Lasts: s.grow}),
		good.point(2, scenarios.Step{Kind: scenarios.KindRefine, From: 390, Lasts: s.step}),
		target{limit: 300}.point(3, scenarios.Step{Kind: scenarios.KindConfirm, From: 395, Lasts: s.confirm}),
	}
	d := s.Next(points, 70*time.Second)
	if d.Done || d.Step.Kind != scenarios.KindConfirm || d.Step.From >= 395 || d.Step.From < 360 {
		t.Errorf("got %+v", d)
	}
	if d := s.Next(points, 109*time.Second); !d.Done {
		t.Errorf("confirms with no time left: %+v", d)
	}
}

func TestUnluckyStepIsRepeatedOnce(t *testing.T) {
	s := New(Config{Objectives: p99})
	p := target{limit: 1e9}.point(0, scenarios.Step{Kind: scenarios.KindSearch, From: 50, Lasts: s.grow})
	p.Response.P99 = 200
	p.Windows = []observation.Second{second(0, 148, 2)}
	d := s.Next([]observation.Point{p}, 7*time.Second)
	if d.Step.From != 50 || d.Step.Lasts != 2*s.grow {
		t.Errorf("got %+v, want 50/s again for longer", d)
	}
	d = s.Next([]observation.Point{p, p}, 14*time.Second)
	if d.Step.From != 25 {
		t.Errorf("got %+v, want 25/s", d)
	}
	p.Windows = []observation.Second{second(0, 130, 20)}
	if d = s.Next([]observation.Point{p}, 7*time.Second); d.Step.From != 25 {
		t.Errorf("got %+v: twenty slow hits are no accident", d)
	}
}

// second is a window of fast hits, of 1 ms, and slow ones, of 400 ms.
func second(at int, fast, slow int) observation.Second {
	tally := observation.NewTally()
	for range fast {
		tally.Add(time.Millisecond, time.Millisecond, 0, "")
	}
	for range slow {
		tally.Add(400*time.Millisecond, 400*time.Millisecond, 0, "")
	}
	return observation.Second{Second: at, Width: 1, Planned: uint64(fast + slow), Tally: tally}
}

func TestCut(t *testing.T) {
	errors := scenarios.Objective{Metric: "errors", Op: "<", Value: 0.01}
	waiting := second(0, 10, 0)
	waiting.Planned = 800
	for _, c := range []struct {
		name    string
		o       scenarios.Objective
		p       observation.Point
		planned uint64
		cut     bool
	}{
		{"all fast", p99[0], observation.Point{Offered: 800, Windows: []observation.Second{second(0, 800, 0)}}, 2400, false},
		{"as many slow as may be", p99[0], observation.Point{Offered: 800, Windows: []observation.Second{second(0, 776, 24)}}, 2400, false},
		{"far more", p99[0], observation.Point{Offered: 800, Windows: []observation.Second{second(0, 600, 200)}}, 2400, true},
		{"two of 150", p99[0], observation.Point{Offered: 50, Windows: []observation.Second{second(0, 48, 2)}}, 150, false},
		{"not ended in time", p99[0], observation.Point{Offered: 800, Windows: []observation.Second{waiting}}, 2400, true},
		{"no windows, all slow", p99[0], observation.Point{Figures: observation.Figures{OK: 800, Response: observation.Quantiles{P50: 200}}}, 2400, true},
		{"failures", errors, observation.Point{Figures: observation.Figures{OK: 700, Failed: 100}}, 2400, true},
		{"few failures", errors, observation.Point{Figures: observation.Figures{OK: 790, Failed: 10}}, 2400, false},
		{"warm-up", errors, observation.Point{Kind: scenarios.KindWarmup, Figures: observation.Figures{Failed: 100}}, 150, false},
		{"nothing yet", p99[0], observation.Point{Offered: 800}, 2400, false},
	} {
		reason, cut := New(Config{Objectives: []scenarios.Objective{c.o}}).Cut(c.p, c.planned)
		if cut != c.cut || cut != (reason != "") {
			t.Errorf("%s: cut %t (%q), want %t", c.name, cut, reason, c.cut)
		}
	}
}

// Values from the binomial distribution, by exact summation.
func TestTail(t *testing.T) {
	for _, c := range []struct {
		n, k    uint64
		p, want float64
	}{
		{150, 0, 0.01, 1}, {150, 1, 0.01, 1 - math.Pow(0.99, 150)}, {2, 2, 0.5, 0.25},
		{10, 3, 0.5, 0.9453125}, {10, 8, 0.5, 0.0546875}, {3, 4, 0.5, 0},
	} {
		if got := tail(c.n, c.k, c.p); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("tail(%d, %d, %g) = %g, want %g", c.n, c.k, c.p, got, c.want)
		}
	}
}

// FuzzNext replays arbitrary drills: no panic, no impossible step, and an end.
func FuzzNext(f *testing.F) {
	f.Add(uint16(400), uint16(0), uint8(110), []byte{})
	f.Add(uint16(5), uint16(80), uint8(20), []byte{1, 2, 4})
	f.Fuzz(func(t *testing.T, limit, invalid uint16, budget uint8, odd []byte) {
		s := New(Config{
			Objectives: p99, MaxUtilisation: float64(budget%5) / 4,
			Load: scenarios.SearchLoad{Budget: scenarios.Duration(time.Duration(budget) * time.Second)},
		})
		x := target{limit: float64(limit), invalid: float64(invalid), cores: 0.001}
		var points []observation.Point
		clock := time.Duration(0)
		for range 80 {
			d := s.Next(points, clock)
			if d.Done {
				return
			}
			if bound, _ := s.ceiling(offered(points), d.Step.Lasts); s.cfg.MaxUtilisation > 0 && len(points) > 0 && d.Step.From > max(bound, lowest) {
				t.Fatalf("offers %g/s, and the bound allows %g", d.Step.From, bound)
			}
			if !(d.Step.From > 0 && d.Step.From <= DefaultMaxRPS) || d.Step.Lasts <= 0 {
				t.Fatalf("impossible step %+v", d)
			}
			p := x.point(len(points), d.Step)
			if n := len(points); n < len(odd) {
				p.Valid = odd[n]&1 == 0
				if odd[n]&2 != 0 {
					p.Response.P99 = math.NaN()
				}
				if odd[n]&4 != 0 {
					p.OK = 0
				}
			}
			points = append(points, p)
			clock += d.Step.Lasts + settle
		}
		t.Fatal("the search does not end")
	})
}

// A bound that nothing can hold ends the search, while the load is still low.
func TestBoundThatHoldsNothing(t *testing.T) {
	points, _, d := drill(t, New(Config{Objectives: p99, MaxUtilisation: 0.6}), target{limit: 1e9})
	if d.Failed == "" || !strings.Contains(d.Failed, "hint:") || len(offered(points)) != blindSteps {
		t.Errorf("after %d steps: %+v", len(offered(points)), d)
	}
	if _, _, d = drill(t, New(Config{Objectives: p99}), target{limit: 1e9}); d.Failed != "" {
		t.Errorf("no bound was asked for: %+v", d)
	}
}

// locked knows of a lock that is held all the time at 1000/s.
type locked struct{ Bracket }

func (locked) Ceiling(_ []observation.Point, ratio float64) (float64, string) {
	return 1000 * ratio, "lock: f"
}

// A lock bounds the load as cores do, though no source reads its use.
func TestLockBoundsTheLoad(t *testing.T) {
	points, _, d := drill(t, New(Config{Objectives: p99, MaxUtilisation: 0.6, Estimator: locked{p99}}), target{limit: 1e9})
	for _, p := range points {
		if p.Offered > 600 {
			t.Errorf("%g/s offered", p.Offered)
		}
	}
	if l := last(points); d.Failed != "" || l.Offered < 0.87*600 || l.Offered > 0.97*600 {
		t.Errorf("ended at %g/s: %+v", l.Offered, d)
	}
}
