package capacity

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// The use at the load at which so much is used is so much, whatever the law; one more
// request takes no less than one that is alone, and no less than one at a lower load.
func TestLawReachesWhatItUses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := Law{Base: rapid.Float64Range(0, 0.5).Draw(t, "base"), Demand: rapid.Float64Range(1e-4, 1e-2).Draw(t, "demand")}
		switch rapid.IntRange(0, 3).Draw(t, "shape") {
		case 1:
			l.Bend = rapid.Float64Range(1e-8, 1e-5).Draw(t, "bend")
		case 2:
			l.Pole = rapid.Float64Range(1e-6, 1e-3).Draw(t, "pole")
		case 3:
			l.Serial, l.Pairs, l.Cores = rapid.Float64Range(0.001, 0.1).Draw(t, "a"), rapid.Float64Range(0, 0.01).Draw(t, "b"), 4
		}
		use := l.Base + rapid.Float64Range(0.01, 1).Draw(t, "share")*(4-l.Base)
		load := l.Reaches(use)
		if got := l.At(load); math.Abs(got-use) > 1e-6*use {
			t.Fatalf("%+v: %g is used at %g/s, and %g there", l, use, load, got)
		}
		last := l.Demand * (1 - 1e-6)
		for k := 1.0; k <= 10; k++ {
			s := l.Slope(load * k / 10)
			if !(s >= last*(1-1e-6)) {
				t.Fatalf("%+v: one more takes %g at %g/s, and %g below", l, s, load*k/10, last)
			}
			last = s
		}
		if slow := l.Slowed(2, 1); math.Abs(slow.At(load/2)-l.At(load)) > 1e-6*use || l.Slowed(2, 3).Base != 3*l.Base {
			t.Fatalf("%+v if all takes twice as long: %g at half the load, %g before", l, slow.At(load/2), l.At(load))
		}
	})
}

// The number of requests present is of an exponential family in the log of the work (its
// weights are work^n over a product of speeds), so that the busy cores grow with the work
// by their covariance with that number, over the work.
func TestSlopeOfCrosstalkIsACovariance(t *testing.T) {
	t.Parallel()
	l := Law{Base: 0.2, Demand: 0.01, Serial: 0.03, Pairs: 0.002, Cores: 4.2}
	for _, load := range []float64{10, 100, 200, 300} {
		talk, work := crosstalk{l.Serial, l.Pairs}, l.Demand*load
		weight, sum, n1, b1, nb := 1.0, 0.0, 0.0, 0.0, 0.0
		for n := 0.0; n < 5000; n++ {
			busy := min(n, 4)
			sum, n1, b1, nb = sum+weight, n1+weight*n, b1+weight*busy, nb+weight*n*busy
			weight *= work / talk.speed(n+1, 4)
		}
		want := l.Demand * (nb/sum - n1*b1/sum/sum) / work
		if got := l.Slope(load); math.Abs(got/want-1) > 1e-5 {
			t.Errorf("at %g/s one more takes %g, want %g", load, got, want)
		}
	}
}
