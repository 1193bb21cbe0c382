package scenarios

import (
	"encoding/json"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// genShaped draws a step of up to about maxHits with pieces or a sine.
func genShaped(maxHits float64) *rapid.Generator[Step] {
	return rapid.Custom(func(t *rapid.T) Step {
		s := Step{Index: rapid.IntRange(0, 9).Draw(t, "index"), First: rapid.Uint64Range(0, 1e9).Draw(t, "first")}
		lasts := rapid.Int64Range(1e6, 100e9)
		if rapid.Bool().Draw(t, "sine") {
			s.Lasts = time.Duration(lasts.Draw(t, "lasts"))
			mean := rapid.Float64Range(0.01, maxHits/2).Draw(t, "hits") / s.Lasts.Seconds()
			w := &SineShape{Mean: mean, Amplitude: mean * rapid.Float64Range(0.01, 1).Draw(t, "amplitude"), Period: time.Duration(lasts.Draw(t, "period"))}
			s.Shape = &Shape{Sine: w}
			s.From = newWave(w).mass(s.Lasts.Seconds()) / s.Lasts.Seconds()
		} else {
			s.Shape = &Shape{}
			n := rapid.IntRange(1, 4).Draw(t, "pieces")
			for range n {
				p := Piece{Lasts: time.Duration(lasts.Draw(t, "lasts"))}
				top := maxHits / float64(n) / p.Lasts.Seconds()
				p.From = rapid.Float64Range(0, top).Draw(t, "from")
				p.To = rapid.SampledFrom([]float64{p.From, 0, top}).Draw(t, "to")
				s.Shape.Pieces = append(s.Shape.Pieces, p)
				s.Lasts += p.Lasts
			}
			s.From = massOf(s.Shape.Pieces) / s.Lasts.Seconds()
		}
		s.To = s.From
		return s
	})
}

// integrated is the integral of Step.Rate up to an instant, by Simpson's rule
// between the places where the rate has a corner: it knows nothing of the
// inverses.
func integrated(s Step, to time.Duration) float64 {
	var corners []time.Duration
	end := time.Duration(0)
	for _, p := range s.Shape.Pieces {
		end += p.Lasts
		corners = append(corners, end)
	}
	if w := s.Shape.Sine; w != nil {
		for at := w.Period / 8; at < to && len(corners) < 1e6; at += w.Period / 8 {
			corners = append(corners, at)
		}
	}
	sum, from := 0.0, time.Duration(0)
	for _, c := range append(corners, to) {
		if c = min(c, to); c > from {
			const n = 16
			h := float64(c-from) / n
			for i := range n + 1 {
				weight := []float64{2, 4}[i%2]
				if i == 0 || i == n {
					weight = 1
				}
				// A nanosecond inside, where the rate jumps at the end.
				at := from + time.Duration(h*float64(i))
				sum += weight * s.Rate(min(at, c-1)) * h / 3 / 1e9
			}
			from = c
		}
	}
	return sum
}

// The slices of a shaped step add up to the step, as those of a line do.
func TestShapedSlicesAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, step := genPlan().Draw(t, "plan"), genShaped(300).Draw(t, "step")
		checkSlices(t, p, step)
	})
}

// A shape survives JSON, and the hits of what comes back are the same.
func TestShapesAreJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, step := genPlan().Draw(t, "plan"), genShaped(100).Draw(t, "step")
		text, err := json.Marshal(step)
		if err != nil {
			t.Fatal(err)
		}
		var back Step
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatal(err)
		}
		a, b := slices.Collect(p.Slice(0, 1).Hits(step)), slices.Collect(p.Slice(0, 1).Hits(back))
		if !slices.Equal(a, b) {
			t.Fatalf("%s has other hits", text)
		}
	})
}

// Constant arrivals lie where the integrated rate is k + 1/2: to a nanosecond,
// or where the rate is so high that a nanosecond is more, to that.
func TestShapedConstantArrivals(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		step := genShaped(50).Draw(t, "step")
		if w := step.Shape.Sine; w != nil && step.Lasts/w.Period > 1000 {
			t.Skip("the reference integral would take too long")
		}
		p := &Plan{Arrivals: Constant, Weights: []float64{1}}
		k := 0.0
		for h := range p.Slice(0, 1).Hits(step) {
			got := integrated(step, h.At)
			// A rounded instant is off by a nanosecond of the rate, at most of the
			// highest; where the rate is near 0 the mass says little about time.
			slack := 2e-9*step.Rate(h.At) + 1e-6*(1+k)
			if math.Abs(got-k-0.5) > slack && h.At < step.Lasts-1 {
				t.Fatalf("hit %v lies at %v, integrated rate %v", k, h.At, got)
			}
			k++
		}
		if mass := step.From * step.Lasts.Seconds(); math.Abs(k-mass) > 0.5+1e-6 {
			t.Fatalf("%v hits of %v", k, mass)
		}
	})
}

// After their time is rescaled by the integrated rate, Poisson arrivals of a
// spike and a sine have exponential gaps without serial correlation, and their
// number is the integrated rate. The levels are those of the tests of lines:
// Kolmogorov-Smirnov at 1e-4, five standard errors; seeded.
func TestShapedPoissonArrivals(t *testing.T) {
	spike := SpikeLoad{Base: 200, Peak: 3000, At: 4e9, Lasts: 3e9, Duration: 20e9}
	sine := &SineShape{Mean: 800, Amplitude: 800, Period: 7 * time.Second}
	for name, step := range map[string]Step{
		"spike": {Lasts: 20 * time.Second, Shape: &Shape{Pieces: spike.pieces()}},
		"sine":  {Lasts: 20 * time.Second, Shape: &Shape{Sine: sine}},
	} {
		c := newCurve(step)
		step.From, step.To = c.mass/20, c.mass/20
		mass := func(at time.Duration) float64 {
			if name == "sine" {
				return newWave(sine).mass(at.Seconds())
			}
			return integrated(step, at)
		}
		checkExponential(t, name, step, mass)
		for seed := range uint64(100) {
			if n := float64((&Plan{Seed: seed, Arrivals: Poisson}).Count(step)); math.Abs(n-c.mass) >= 1 {
				t.Errorf("%s: %v hits of %v", name, n, c.mass)
			}
		}
	}
}

// A spike has its arrivals where it says: those within it are Poisson with its
// peak, those outside with its base (six standard deviations, seeded).
func TestSpikeIsWhereItSays(t *testing.T) {
	s := mustLoad(t, "version: 1\ntarget: {url: 'http://127.0.0.1'}\nload: {warmup: 0s, seed: 5, spike: {base: 100, peak: 2000, at: 5s, lasts: 2s, duration: 12s}}")
	p, err := Compile(s)
	if err != nil {
		t.Fatal(err)
	}
	in, out := 0.0, 0.0
	for h := range p.Slice(0, 1).Hits(p.Steps[0]) {
		if h.At >= 5*time.Second && h.At < 7*time.Second {
			in++
		} else {
			out++
		}
	}
	if math.Abs(in-4000) > 6*math.Sqrt(4000) || math.Abs(out-1000) > 6*math.Sqrt(1000) {
		t.Errorf("%v hits in the spike, want 4000; %v outside, want 1000", in, out)
	}
	if got := p.Steps[0].From * 12; math.Abs(got-5000) > 1e-6 {
		t.Errorf("the step's mean stands for %v hits", got)
	}
}

func TestStepRate(t *testing.T) {
	spike := SpikeLoad{Base: 1, Peak: 9, At: 2e9, Lasts: 1e9, Duration: 4e9}
	for _, tt := range []struct {
		step Step
		at   time.Duration
		want float64
	}{
		{Step{From: 10, To: 30, Lasts: 2 * time.Second}, time.Second, 20},
		{Step{Shape: &Shape{Pieces: spike.pieces()}}, time.Second, 1},
		{Step{Shape: &Shape{Pieces: spike.pieces()}}, 2500 * time.Millisecond, 9},
		{Step{Shape: &Shape{Pieces: spike.pieces()}}, 3500 * time.Millisecond, 1},
		{Step{Shape: &Shape{Sine: &SineShape{Mean: 5, Amplitude: 3, Period: 4 * time.Second}}}, time.Second, 8},
		{Step{From: 7, To: 7, Shape: &Shape{Trace: &TraceShape{}}}, time.Second, 7},
	} {
		if got := tt.step.Rate(tt.at); math.Abs(got-tt.want) > 1e-9 {
			t.Errorf("%+v at %v: %v, want %v", tt.step, tt.at, got, tt.want)
		}
	}
}

func BenchmarkShapes(b *testing.B) {
	spike := SpikeLoad{Base: 1e5, Peak: 1e6, At: 1e12, Lasts: 1e12, Duration: 3.6e12}
	for name, shape := range map[string]*Shape{
		"spike": {Pieces: spike.pieces()},
		"sine":  {Sine: &SineShape{Mean: 5e5, Amplitude: 5e5, Period: time.Hour}},
	} {
		b.Run(name, func(b *testing.B) {
			p := &Plan{Seed: 1, Arrivals: Poisson, Weights: []float64{1}}
			n := 0
			for range p.Slice(0, 1).Hits(Step{From: 5e5, To: 5e5, Lasts: time.Hour, Shape: shape}) {
				if n++; n == b.N {
					break
				}
			}
		})
	}
}
