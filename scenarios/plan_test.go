package scenarios

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func genStep(maxHits float64) *rapid.Generator[Step] {
	return rapid.Custom(func(t *rapid.T) Step {
		lasts := time.Duration(rapid.Int64Range(1e6, 100e9).Draw(t, "lasts"))
		top := maxHits / lasts.Seconds()
		s := Step{Index: rapid.IntRange(0, 9).Draw(t, "index"), Held: rapid.IntRange(0, 2).Draw(t, "held"), Lasts: lasts, First: rapid.Uint64Range(0, 1e9).Draw(t, "first")}
		s.From = rapid.Float64Range(0, top).Draw(t, "from")
		s.To = s.From
		if rapid.Bool().Draw(t, "ramp") {
			s.To = rapid.Float64Range(0, top).Draw(t, "to")
		}
		return s
	})
}

func genPlan() *rapid.Generator[*Plan] {
	return rapid.Custom(func(t *rapid.T) *Plan {
		p := &Plan{Seed: rapid.Uint64().Draw(t, "seed"), Arrivals: rapid.SampledFrom([]Arrivals{Poisson, Constant}).Draw(t, "arrivals")}
		p.Weights = rapid.SliceOfN(rapid.Float64Range(0.01, 10), 1, 5).Draw(t, "weights")
		return p
	})
}

// The slices of a step add up to the step: no hit is lost, none comes twice,
// each slice is in order, and the whole does not depend on how it is sliced.
func TestSlicesAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, step := genPlan().Draw(t, "plan"), genStep(300).Draw(t, "step")
		checkSlices(t, p, step)
	})
}

func checkSlices(t *rapid.T, p *Plan, step Step) {
	whole := slices.Collect(p.Slice(0, 1).Hits(step))
	if uint64(len(whole)) != p.Count(step) {
		t.Fatalf("%d hits, Count says %d", len(whole), p.Count(step))
	}
	n := rapid.IntRange(1, 7).Draw(t, "n")
	merged := make([]Hit, 0, len(whole))
	for i := range n {
		part := slices.Collect(p.Slice(i, n).Hits(step))
		if !slices.IsSortedFunc(part, func(a, b Hit) int { return int(a.At - b.At) }) {
			t.Fatalf("slice %d of %d is not in order", i, n)
		}
		if share := (len(whole) + n - 1 - i) / n; len(part) != share {
			t.Fatalf("slice %d of %d has %d of %d hits", i, n, len(part), len(whole))
		}
		merged = append(merged, part...)
	}
	slices.SortFunc(merged, func(a, b Hit) int { return int(a.N) - int(b.N) })
	if !slices.Equal(merged, whole) {
		t.Fatalf("%d slices differ from the whole", n)
	}
	for k, h := range whole {
		if h.N != step.First+uint64(k) || h.Step != step.Index || h.At < 0 || h.At >= step.Lasts || h.Request < 0 || h.Request >= len(p.Weights) {
			t.Fatalf("hit %d is %+v", k, h)
		}
	}
}

// Merged over slices, constant arrivals lie one gap apart to the rounding of a
// nanosecond, and the first comes half a gap in.
func TestConstantGaps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.Float64Range(0.1, 1e5).Draw(t, "rate")
		step := Step{From: rate, To: rate, Lasts: time.Duration(200 / rate * 1e9)}
		p := &Plan{Arrivals: Constant, Weights: []float64{1}}
		n := rapid.IntRange(1, 9).Draw(t, "n")
		var at []time.Duration
		for i := range n {
			for h := range p.Slice(i, n).Hits(step) {
				at = append(at, h.At)
			}
		}
		slices.Sort(at)
		if len(at) < 199 || len(at) > 200 {
			t.Fatalf("%d hits, want 200", len(at))
		}
		for k, got := range at {
			if want := (float64(k) + 0.5) / rate * 1e9; math.Abs(float64(got)-want) > 1 {
				t.Fatalf("hit %d at %v, want %v", k, got, time.Duration(want))
			}
		}
	})
}

// A constant ramp's k-th hit lies where the integrated rate is k + 1/2.
func TestConstantRamp(t *testing.T) {
	p := &Plan{Arrivals: Constant, Weights: []float64{1}}
	for _, r := range [][2]float64{{0, 100}, {100, 0}, {10, 500}, {500, 10}, {100, 100.0001}} {
		step := Step{From: r[0], To: r[1], Lasts: 10 * time.Second}
		k := 0.0
		for h := range p.Slice(0, 1).Hits(step) {
			s := h.At.Seconds()
			if mass := r[0]*s + (r[1]-r[0])*s*s/20; math.Abs(mass-k-0.5) > 1e-5 {
				t.Fatalf("ramp %v: integrated rate at hit %v is %v", r, k, mass)
			}
			k++
		}
		if want := (r[0] + r[1]) * 5; math.Abs(k-want) > 1 {
			t.Errorf("ramp %v: %v hits, want %v", r, k, want)
		}
	}
}

// The number of Poisson hits is the integrated rate, and one that is no whole number is
// rounded so that it is right in the mean: seeded, bounds of five standard errors.
func TestPoissonCounts(t *testing.T) {
	const runs = 20_000
	for _, c := range []struct {
		step Step
		flow int // requests of a pass, which are the arrivals
	}{
		{Step{From: 0.25, To: 0.25, Lasts: time.Second}, 0}, {Step{From: 3, To: 3, Lasts: 1100 * time.Millisecond}, 0},
		{Step{From: 200, To: 200, Lasts: time.Second}, 0}, {Step{From: 0, To: 100.7, Lasts: 2 * time.Second}, 0},
		{Step{From: 5000, To: 5000, Lasts: time.Minute}, 0}, {Step{From: 50, To: 50, Lasts: time.Second}, 3},
		{Step{From: 7, To: 7, Lasts: 500 * time.Millisecond, Held: 2}, 0},
	} {
		step := c.step
		mean := (step.From + step.To) / 2 * step.Lasts.Seconds() / float64(max(c.flow, 1))
		sum := 0.0
		for seed := range uint64(runs) {
			p := &Plan{Seed: seed, Arrivals: Poisson, Flow: c.flow}
			a := p.newArrivals(step)
			n := float64(a.n)
			if n != math.Floor(mean) && n != math.Ceil(mean) {
				t.Fatalf("%v hits, want %v", n, mean)
			}
			sum += n - mean
		}
		if got := sum / runs; math.Abs(got) > 5*0.5/math.Sqrt(runs) {
			t.Errorf("mean %v: off by %v", mean, got)
		}
	}
}

// Counts of the same span of many steps vary as they do where the number of the step is
// known: binomially, with n f (1 - f) for a share f of it. That is nearly their mean where the
// span is short, as in a Poisson process. Seeded: 20,000 steps, five standard errors.
func TestPoissonSpansVary(t *testing.T) {
	const runs, n = 20_000, 200.0
	step := Step{From: 50, To: 50, Lasts: 4 * time.Second}
	for _, share := range []float64{0.02, 0.5} {
		until := time.Duration(share * float64(step.Lasts))
		var sum, squares float64
		for seed := range uint64(runs) {
			p := &Plan{Seed: seed, Arrivals: Poisson, Weights: []float64{1}}
			k := -n * share
			for h := range p.Slice(0, 1).Hits(step) {
				if h.At >= until {
					break
				}
				k++
			}
			sum, squares = sum+k, squares+k*k
		}
		want := n * share * (1 - share)
		if got := sum / runs; math.Abs(got) > 5*math.Sqrt(want/runs) {
			t.Errorf("%v of a step: mean off by %v", share, got)
		}
		if got := squares / runs; math.Abs(got-want) > 5*math.Sqrt((want+2*want*want)/runs) {
			t.Errorf("%v of a step: variance %v, want %v", share, got, want)
		}
	}
}

// Gaps of Poisson arrivals are exponential, and after the time of a ramp is
// rescaled by its integrated rate so are its gaps: a Kolmogorov-Smirnov test
// at a level of 1e-4 (critical value 2.23/sqrt(n)), seeded. The serial
// correlation of gaps is below five standard errors.
func TestPoissonGapsAreExponential(t *testing.T) {
	for _, step := range []Step{
		{From: 1000, To: 1000, Lasts: 20 * time.Second},
		{From: 0, To: 2000, Lasts: 20 * time.Second},
		{From: 2000, To: 100, Lasts: 20 * time.Second},
	} {
		name := fmt.Sprintf("%v to %v", step.From, step.To)
		checkExponential(t, name, step, func(at time.Duration) float64 {
			s := at.Seconds()
			return step.From*s + (step.To-step.From)*s*s/2/step.Lasts.Seconds()
		})
	}
}

// checkExponential tests the gaps of a step's arrivals in the time that is
// rescaled by its integrated rate.
func checkExponential(t *testing.T, name string, step Step, mass func(time.Duration) float64) {
	t.Helper()
	p := &Plan{Seed: 7, Arrivals: Poisson, Weights: []float64{1}}
	var gaps []float64
	last := 0.0
	for h := range p.Slice(0, 1).Hits(step) {
		m := mass(h.At)
		gaps = append(gaps, m-last)
		last = m
	}
	n := float64(len(gaps))
	var serial float64
	for i := 1; i < len(gaps); i++ {
		serial += (gaps[i] - 1) * (gaps[i-1] - 1) / n
	}
	if limit := 5 / math.Sqrt(n); math.Abs(serial) > limit {
		t.Errorf("%s: serial correlation %v, limit %v", name, serial, limit)
	}
	slices.Sort(gaps)
	var distance float64
	for i, g := range gaps {
		cdf := -math.Expm1(-g)
		distance = max(distance, math.Abs(cdf-float64(i)/n), math.Abs(cdf-float64(i+1)/n))
	}
	if limit := 2.23 / math.Sqrt(n); distance > limit {
		t.Errorf("%s: distance %v from exponential, limit %v", name, distance, limit)
	}
}

// Requests are chosen by weight: 200,000 draws, five standard errors, seeded.
func TestRequestChoice(t *testing.T) {
	p := &Plan{Seed: 3, Arrivals: Constant, Weights: []float64{9, 1, 0.5}}
	step := Step{From: 200_000, To: 200_000, Lasts: time.Second}
	counts := make([]float64, 3)
	for h := range p.Slice(0, 1).Hits(step) {
		counts[h.Request]++
	}
	for i, w := range p.Weights {
		share := w / 10.5
		if limit := 5 * math.Sqrt(200_000*share*(1-share)); math.Abs(counts[i]-200_000*share) > limit {
			t.Errorf("request %d: %v hits, want %v", i, counts[i], 200_000*share)
		}
	}
}

func TestClosedSteps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := genPlan().Draw(t, "plan")
		step := Step{Users: rapid.IntRange(1, 100).Draw(t, "users"), First: 17, Lasts: time.Second}
		n := rapid.IntRange(1, 9).Draw(t, "n")
		users, seen := 0, map[uint64]bool{}
		for i := range n {
			s := p.Slice(i, n)
			users += s.Users(step)
			for range s.Hits(step) {
				t.Fatal("a closed step has hits")
			}
			for k := range uint64(20) {
				h := s.Draw(step, k)
				if seen[h.N] || h.N != 17+k*uint64(n)+uint64(i) || h.Request >= len(p.Weights) {
					t.Fatalf("draw %d of slice %d is %+v", k, i, h)
				}
				seen[h.N] = true
			}
		}
		if users != step.Users {
			t.Fatalf("%d users, want %d", users, step.Users)
		}
	})
}

func TestCompile(t *testing.T) {
	type want struct {
		kind     string
		from, to float64
		seconds  float64
		users    int
	}
	tests := []struct {
		load  string
		steps []want
	}{
		{"{search: {from: 20, to: 80}}", []want{{KindWarmup, 20, 20, 3, 0}}},
		{"{search: {}, warmup: 0s}", nil},
		{"{constant: {rate: 5, duration: 2s}, warmup: 1s}", []want{{KindWarmup, 5, 5, 1, 0}, {KindLoad, 5, 5, 2, 0}}},
		{"{steps: {rates: [9, 4, 6], duration: 2s}}", []want{{KindWarmup, 4, 4, 3, 0}, {KindLoad, 9, 9, 2, 0}, {KindLoad, 4, 4, 2, 0}, {KindLoad, 6, 6, 2, 0}}},
		{"{ramp: {from: 0, to: 50, duration: 2s}}", []want{{KindWarmup, 5, 5, 3, 0}, {KindLoad, 0, 50, 2, 0}}},
		{"{ramp: {from: 50, to: 20, duration: 2s}}", []want{{KindWarmup, 20, 20, 3, 0}, {KindLoad, 50, 20, 2, 0}}},
		{"{spike: {base: 0, peak: 50, at: 1s, lasts: 1s, duration: 5s}}", []want{{KindWarmup, 5, 5, 3, 0}, {KindLoad, 10, 10, 5, 0}}},
		{"{sine: {mean: 20, amplitude: 5, period: 1s, duration: 2s}, warmup: 1s}", []want{{KindWarmup, 15, 15, 1, 0}, {KindLoad, 20, 20, 2, 0}}},
		{"{sequence: [{constant: {rate: 5, duration: 2s}}, {warmup: 1s, steps: {rates: [7, 6], duration: 1s}}, {ramp: {from: 1, to: 2, duration: 1s}}]}",
			[]want{{KindWarmup, 5, 5, 3, 0}, {KindLoad, 5, 5, 2, 0}, {KindWarmup, 6, 6, 1, 0}, {KindLoad, 7, 7, 1, 0}, {KindLoad, 6, 6, 1, 0}, {KindLoad, 1, 2, 1, 0}}},
		{"{sequence: [{closed: {users: 3, duration: 2s}}, {closed: {users: 5, duration: 1s}}]}", []want{{KindLoad, 0, 0, 2, 3}, {KindLoad, 0, 0, 1, 5}}},
		{"{closed: {users: 8, think: 1s, duration: 2s}}", []want{{KindLoad, 0, 0, 2, 8}}},
	}
	for _, tt := range tests {
		s := mustLoad(t, "version: 1\ntarget: {url: 'http://127.0.0.1'}\nload: "+tt.load)
		s.Load.Seed = 5
		p, err := Compile(s)
		if err != nil {
			t.Fatal(err)
		}
		var got []want
		var first uint64
		for i, st := range p.Steps {
			if st.Index != i || st.First != first {
				t.Errorf("%s: step %d is %+v, first should be %d", tt.load, i, st, first)
			}
			first += p.Count(st)
			got = append(got, want{st.Kind, st.From, st.To, st.Lasts.Seconds(), st.Users})
		}
		if !slices.Equal(got, tt.steps) {
			t.Errorf("%s: got %v, want %v", tt.load, got, tt.steps)
		}
		if (p.Search != nil) != (s.Load.Search != nil) || p.Seed != 5 || p.Names[0] != "/" {
			t.Errorf("%s: plan is %+v", tt.load, p)
		}
	}
	if _, err := Compile(&Scenario{}); err == nil {
		t.Error("the empty scenario was compiled")
	}
}

// The hits of a seed are part of what a bundle can be recomputed from: a change
// of these numbers is a change of every recorded drill.
func TestHitsAreStable(t *testing.T) {
	p := &Plan{Seed: 1, Arrivals: Poisson, Weights: []float64{1, 1}}
	step := Step{Index: 2, From: 100, To: 200, Lasts: time.Second, First: 10}
	var got []Hit
	for h := range p.Slice(0, 1).Hits(step) {
		if got = append(got, h); len(got) == 3 {
			break
		}
	}
	for i := range got {
		got[i].At = got[i].At.Round(time.Microsecond)
	}
	want := []Hit{{N: 10, Step: 2, At: 78 * time.Microsecond, Request: 1},
		{N: 11, Step: 2, At: 9697 * time.Microsecond, Request: 1}, {N: 12, Step: 2, At: 23698 * time.Microsecond}}
	if p.Count(step) != 150 || !slices.Equal(got, want) {
		t.Errorf("%d hits, the first %#v", p.Count(step), got)
	}
}

func BenchmarkHits(b *testing.B) {
	for _, arrivals := range []Arrivals{Poisson, Constant} {
		for name, step := range map[string]Step{
			"flat": {From: 1e6, To: 1e6, Lasts: time.Hour},
			"ramp": {From: 0, To: 1e6, Lasts: time.Hour},
		} {
			b.Run(string(arrivals)+"/"+name, func(b *testing.B) {
				p := &Plan{Seed: 1, Arrivals: arrivals, Weights: []float64{8, 1, 1}}
				n := 0
				for range p.Slice(0, 1).Hits(step) {
					if n++; n == b.N {
						break
					}
				}
			})
		}
	}
}

// A flow begins at a share of the offered rate, which counts requests, at exactly
// the same instants on all slices; every hit begins it with its first request.
func TestFlowsArriveAtTheirShareOfTheRate(t *testing.T) {
	s := mustLoad(t, `version: 1
target: {url: "http://127.0.0.1:1", flow: [{name: a, get: /a}, {name: b, get: /b}, {name: c, get: /c}]}
load: {arrivals: constant, warmup: 0s, sequence: [
  {constant: {rate: 300, duration: 2s}},
  {spike: {base: 30, peak: 300, at: 1s, lasts: 1s, duration: 3s}},
  {sine: {mean: 300, amplitude: 150, period: 2s, duration: 2s}}]}
`)
	p, err := Compile(s)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []uint64{200, 120, 200} {
		step := p.Steps[i]
		if n := p.Count(step); n != want {
			t.Errorf("step %d begins %d flows, want %d", i, n, want)
		}
		seen := map[uint64]bool{}
		for slice := range 3 {
			for h := range p.Slice(slice, 3).Hits(step) {
				if h.Request != 0 || seen[h.N] {
					t.Fatalf("hit %+v", h)
				}
				seen[h.N] = true
			}
		}
		if uint64(len(seen)) != want {
			t.Errorf("step %d: the slices have %d flows, want %d", i, len(seen), want)
		}
	}
	if p.Steps[0].From != 300 {
		t.Errorf("the offered load is %g, want 300 requests/s", p.Steps[0].From)
	}
	closed := Step{Users: 3}
	if h := p.Slice(1, 2).Draw(closed, 4); h.Request != 0 || h.N != 9 {
		t.Errorf("closed hit %+v", h)
	}
}

// Every third arrival of a recording begins a flow of three.
func TestFlowsReplayTheirShareOfARecording(t *testing.T) {
	p := &Plan{Flow: 3, Traces: []Recording{{offsets: []time.Duration{0, 1, 2, 3, 4, 5, 6}}}}
	step := Step{Lasts: 10, Shape: &Shape{Trace: &TraceShape{Speed: 1}}}
	var at []time.Duration
	for h := range p.Slice(0, 1).Hits(step) {
		at = append(at, h.At)
	}
	if fmt.Sprint(at) != "[0s 3ns 6ns]" {
		t.Errorf("flows begin at %v", at)
	}
}
