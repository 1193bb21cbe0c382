package scaleout

import (
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/headroom-project/headroom/capacity"
)

func of(g, a, b float64) law { return law{capacity.Scalability{Gamma: g, Alpha: a, Beta: b}} }

// The SPEC SDM91 figures of an SGI Origin (Gunther, Guerrilla Capacity Planning,
// table 5.1): a published fit with other weights is near a = 0.028, b = 0.0001.
func TestSpecSDM91(t *testing.T) {
	var counts []Count
	for _, x := range [][2]float64{{1, 64.9}, {18, 995.9}, {36, 1652.4}, {72, 1853.2}, {108, 1828.9}, {144, 1775}, {216, 1702.2}} {
		counts = append(counts, Count{int(x[0]), x[1], 0.97 * x[1], 1.03 * x[1]})
	}
	f, err := Analyse(counts, Config{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	if f.Law.Name != "USL" || f.PeakAt < 70 || f.PeakAt > 130 {
		t.Errorf("%+v, peak at %d; the greatest was measured at 72", f.Law, f.PeakAt)
	}
}

// Whatever the law, counts without noise give it back.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := of(rapid.Float64Range(1, 1e4).Draw(t, "g"), rapid.Float64Range(0, 1).Draw(t, "a"), rapid.Float64Range(0, 0.05).Draw(t, "b"))
		var counts []Count
		for _, n := range []int{1, 2, 4, 8, 16} {
			x := want.At(float64(n))
			counts = append(counts, Count{n, x, x, x})
		}
		got := solve(counts, capacity.USL)
		if math.Abs(got.Gamma-want.Gamma) > 1e-6*want.Gamma || math.Abs(got.Alpha-want.Alpha) > 1e-6 || math.Abs(got.Beta-want.Beta) > 1e-6 {
			t.Fatalf("%+v, want %+v", got, want)
		}
	})
}

// 200 services with a shared part and capacities measured to 3%: the law's own
// capacity of twice what was drilled lies in the 90% interval in 90% of them, less
// what 200 trials vary by (three standard errors are 6%).
func TestIntervalsCover(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	covered := 0
	for range 200 {
		want := of(400, 0.1*rng.Float64(), 0.003*rng.Float64())
		var counts []Count
		for _, n := range []int{1, 2, 4, 8} {
			x := want.At(float64(n)) * math.Exp(0.03*rng.NormFloat64())
			counts = append(counts, Count{n, x, x * math.Exp(-1.645*0.03), x * math.Exp(1.645*0.03)})
		}
		f, err := Analyse(counts, Config{Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range f.Rows {
			if r.Replicas == 16 && r.RPS.Low <= want.At(16) && want.At(16) <= r.RPS.High {
				covered++
			}
		}
	}
	t.Logf("covered %d of 200", covered)
	if covered < 168 {
		t.Errorf("%d of 200 covered, want at least 168", covered)
	}
}

func TestPaysUpTo(t *testing.T) {
	l := of(100, 0.1, 0.01)
	var counts []Count
	for _, n := range []int{1, 2, 4, 6, 8} {
		x := l.At(float64(n))
		counts = append(counts, Count{n, x, 0.99 * x, 1.01 * x})
	}
	f, err := Analyse(counts, Config{Seed: 1, Peak: 300})
	if err != nil {
		t.Fatal(err)
	}
	want := 1
	for l.gain(want+1) >= 50 {
		want++
	}
	if f.PaysUpTo != want || !f.Bounded || f.Between[0] > want || f.Between[1] < want {
		t.Errorf("pays up to %d (%v), want %d", f.PaysUpTo, f.Between, want)
	}
	if f.PeakAt != 9 { // sqrt(0.9/0.01) = 9.5
		if f.PeakAt != 10 {
			t.Errorf("peak at %d, want 9 or 10", f.PeakAt)
		}
	}
	if f.ForPeak == 0 || l.At(float64(f.ForPeak)) < 300 {
		t.Errorf("%d replicas for 300/s", f.ForPeak)
	}
	if f, _ := Analyse(counts, Config{Seed: 1, Peak: 1e6}); f.ForPeak != 0 {
		t.Errorf("%d replicas for a million", f.ForPeak)
	}
}

func TestWhatSaysNothing(t *testing.T) {
	for name, counts := range map[string][]Count{
		"none": nil, "one": {{1, 10, 9, 11}}, "the same count": {{2, 10, 9, 11}, {2, 12, 9, 13}},
	} {
		if f, err := Analyse(counts, Config{}); !errors.Is(err, ErrFew) {
			t.Errorf("%s: %+v %v", name, f, err)
		}
	}
	for name, x := range map[string]Count{"NaN": {1, math.NaN(), 1, 2}, "no interval": {1, 10, 0, 11}, "none of it": {0, 10, 9, 11}, "too many": {1e6, 10, 9, 11}} {
		if f, err := Analyse([]Count{x, {2, 20, 19, 21}}, Config{}); err == nil {
			t.Errorf("%s: %+v", name, f)
		}
	}
	// Two counts do not show a peak, and more than linear is not believed.
	f, err := Analyse([]Count{{1, 10, 9.9, 10.1}, {2, 25, 24, 26}}, Config{Seed: 1})
	if err != nil || f.Law.Alpha.Value != 0 || f.PeakAt != 0 || len(f.Warnings) < 2 {
		t.Errorf("%+v %v", f, err)
	}
}

// A drill that lies off the curve of all others is named, and leaves room for itself.
func TestDrillThatLiesApart(t *testing.T) {
	law := capacity.Scalability{Gamma: 300, Alpha: 0.03, Beta: 0.0005}
	var good, bad []Count
	for _, n := range []int{1, 2, 3, 4, 8} {
		x := law.At(float64(n))
		good = append(good, Count{n, x, 0.98 * x, 1.02 * x})
		if n == 3 {
			x /= 2
		}
		bad = append(bad, Count{n, x, 0.98 * x, 1.02 * x})
	}
	f, err := Analyse(good, Config{Seed: 1})
	if err != nil || strings.Contains(strings.Join(f.Warnings, "\n"), "one curve") {
		t.Fatalf("%+v %v", f, err)
	}
	narrow := f.Law.Gamma.High - f.Law.Gamma.Low
	f, err = Analyse(bad, Config{Seed: 1})
	if err != nil || !strings.Contains(strings.Join(f.Warnings, "\n"), "without that of 3 (") {
		t.Errorf("%q %v", f.Warnings, err)
	}
	if g := f.Law.Gamma; g.High-g.Low < 5*narrow || g.Low > 300 || g.High < 300 {
		t.Errorf("one carries %+v, want room for 300", g)
	}
}

// How well the drills show the count from which more carry less is part of it: closely where
// they are exact and go there, and hardly where neither is so.
func TestPeakHasAnInterval(t *testing.T) {
	l := of(100, 0.05, 0.01) // sqrt(0.95/0.01) = 9.7
	for _, c := range []struct {
		off     float64
		drilled []int
		close   bool
	}{{0.01, []int{1, 2, 4, 8, 12, 16}, true}, {0.03, []int{1, 2, 4, 6, 8}, false}} {
		var counts []Count
		for _, n := range c.drilled {
			x := l.At(float64(n))
			counts = append(counts, Count{n, x, x * (1 - c.off), x * (1 + c.off)})
		}
		f, err := Analyse(counts, Config{Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		if f.PeakAt == 0 {
			t.Logf("%g: no peak: %+v", c.off, f.Law.Beta)
			if c.close || f.PeakBetween != nil || f.PeakSure != 0 {
				t.Errorf("%+v", f)
			}
			continue
		}
		low, high := f.PeakBetween[0], f.PeakBetween[1]
		if low > f.PeakAt || high > 0 && high < f.PeakAt || f.PeakSure < 0.9 || f.PeakSure > 1+1e-9 {
			t.Errorf("%g: %d, between %d and %d, %g sure", c.off, f.PeakAt, low, high, f.PeakSure)
		}
		if narrow := high > 0 && float64(high) < 1.5*float64(low); narrow != c.close {
			t.Errorf("%g: between %d and %d", c.off, low, high)
		}
		if warned := strings.Contains(strings.Join(f.Warnings, "\n"), "no drill went to"); warned == c.close {
			t.Errorf("%g: %q", c.off, f.Warnings)
		}
	}
}
