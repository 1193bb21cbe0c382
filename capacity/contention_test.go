package capacity

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

// crowdedTable is what a tool reports of a service that follows a law, each
// throughput off by one in a hundred.
func crowdedTable(x func(n float64) float64, noise float64, rng *rand.Rand, crowds ...float64) []observation.Point {
	var points []observation.Point
	for i, n := range crowds {
		served := x(n) * (1 + noise*rng.NormFloat64())
		ms := 1000 * n / served
		points = append(points, observation.Point{
			Step: i, Kind: scenarios.KindLoad, Offered: served, Seconds: 10, Valid: true, InFlight: n,
			Figures: observation.Figures{Throughput: served, OK: uint64(10 * served), Response: observation.Quantiles{Mean: ms, P50: ms, P99: 2 * ms}},
		})
	}
	return points
}

var crowdSizes = []float64{0.8, 1.5, 3, 5, 8, 12, 17, 23, 30, 40}

// Of 200 services with noise of 1%, the 90% intervals of sigma and of kappa hold the
// truth in at least 168 (three standard errors below nine in ten).
func TestContentionCovers(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(21, 1))
	var sigma, kappa, found int
	for range 200 {
		law := Scalability{Gamma: 50, Alpha: 0.005 + 0.1*rng.Float64(), Beta: 0.002 * rng.Float64()}
		c := Analyse(crowdedTable(law.At, 0.01, rng, crowdSizes...), Spec{Seed: 1}).Contention
		if c == nil {
			continue
		}
		found++
		sigma += holds(c.Sigma, law.Alpha)
		kappa += holds(c.Kappa, law.Beta)
	}
	t.Logf("of %d: sigma in %d, kappa in %d", found, sigma, kappa)
	if found < 195 || sigma < 168 || kappa < 168 {
		t.Errorf("of %d: sigma in %d, kappa in %d", found, sigma, kappa)
	}
}

// A coefficient that is nothing, or too little to be seen, is pressed against 0 in
// most fits. Its interval then begins there and has an end: of 200 services with noise
// of 1% it holds the truth in at least 168, and is never 0 to 0.
func TestContentionAtItsBound(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(23, 1))
	var pressed, found, sigma, kappa int
	for i := range 200 {
		law := Scalability{Gamma: 50}
		if i%2 == 0 {
			law.Alpha = 0.06
		}
		if i%4 < 2 {
			law.Beta = 1e-5
		}
		c := Analyse(crowdedTable(law.At, 0.01, rng, crowdSizes...), Spec{Seed: 1}).Contention
		if c == nil {
			continue
		}
		found++
		for _, v := range []Value{c.Sigma, c.Kappa} {
			if v.Value == 0 {
				pressed++
			}
			if v.Low < 0 || !(v.High > 0) {
				t.Fatalf("%+v at its bound: %g to %g", law, v.Low, v.High)
			}
		}
		sigma += holds(c.Sigma, law.Alpha)
		kappa += holds(c.Kappa, law.Beta)
	}
	t.Logf("of %d: sigma in %d, kappa in %d; %d times at 0", found, sigma, kappa, pressed)
	if found < 195 || sigma < 168 || kappa < 168 || pressed < 100 {
		t.Errorf("of %d: sigma in %d, kappa in %d; %d times at 0", found, sigma, kappa, pressed)
	}
}

func holds(v Value, truth float64) int {
	if v.Low <= truth && truth <= v.High {
		return 1
	}
	return 0
}

// The law is the one that the data ask for; each row in at least 18 of 20 draws.
func TestContentionNamesTheLaw(t *testing.T) {
	t.Parallel()
	queue := func(n float64) float64 { // M/D/1, of 400/s
		low, high := 0.0, 1.0
		for range 60 {
			if rho := (low + high) / 2; rho+rho*rho/(2*(1-rho)) < n {
				low = rho
			} else {
				high = rho
			}
		}
		return 400 * low
	}
	for _, c := range []struct {
		name   string
		x      func(float64) float64
		crowds []float64
		right  func(*Contention) bool
	}{
		{"linear", Scalability{Gamma: 50}.At, crowdSizes, func(c *Contention) bool {
			return c != nil && c.Law == Linear && c.Sigma.Value == 0 && c.Sigma.High < 0.01 && c.PeakInFlight == 0
		}},
		{"contention alone", Scalability{Gamma: 50, Alpha: 0.06}.At, crowdSizes, func(c *Contention) bool { return c != nil && c.Sigma.Low > 0 && c.PeakInFlight == 0 }},
		{"a peak that was passed", Scalability{Gamma: 50, Alpha: 0.03, Beta: 0.003}.At, crowdSizes, func(c *Contention) bool {
			return c != nil && c.Law == USL && math.Abs(c.PeakInFlight/math.Sqrt(0.97/0.003)-1) < 0.15
		}},
		{"a peak further on", Scalability{Gamma: 50, Alpha: 0.03, Beta: 0.0003}.At, crowdSizes, func(c *Contention) bool { return c != nil && c.PeakInFlight == 0 }},
		{"a queue", queue, []float64{0.1, 0.3, 0.6, 1, 1.5, 2.5, 4, 6, 8}, func(c *Contention) bool { return c == nil || c.PeakInFlight == 0 && c.Sigma.Value > 0.3 }},
		{"hardly any in flight", Scalability{Gamma: 50, Alpha: 0.06}.At, []float64{0.1, 0.2, 0.4, 0.7, 1, 1.5}, func(c *Contention) bool { return c == nil }},
		{"one crowd", Scalability{Gamma: 50, Alpha: 0.06}.At, []float64{7, 7.1, 7.2, 7.3, 7.1, 7}, func(c *Contention) bool { return c == nil }},
		{"no law", func(n float64) float64 { return 50 * n * (1 + 0.4*math.Sin(n)) }, crowdSizes, func(c *Contention) bool { return c == nil }},
	} {
		t.Run(c.name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(22, 1))
			right, last := 0, ""
			for range 20 {
				got := Analyse(crowdedTable(c.x, 0.01, rng, c.crowds...), Spec{Seed: 1}).Contention
				if c.right(got) {
					right++
				} else if got != nil {
					last = fmt.Sprintf("%+v", *got)
				}
			}
			if right < 18 {
				t.Errorf("right in %d of 20; such as %s", right, last)
			}
		})
	}
}

// The published data give their peak, and words that say so.
func TestContentionOfPublishedData(t *testing.T) {
	t.Parallel()
	at := func(n float64) float64 {
		for i := range specUsers {
			if specUsers[i] == n {
				return specScripts[i]
			}
		}
		return 0
	}
	c := Analyse(crowdedTable(at, 0, rand.New(rand.NewPCG(1, 1)), specUsers...), Spec{Seed: 1}).Contention
	if c == nil || c.Law != USL || math.Abs(c.PeakInFlight-96.5) > 10 {
		t.Fatalf("%+v, want a peak near 96 users", c)
	}
	t.Log(c.Meaning)
}
