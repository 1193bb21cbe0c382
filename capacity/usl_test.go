package capacity

import (
	"math"
	"math/rand/v2"
	"testing"
)

// Published data: SPEC SDM91 on a SPARCcenter 2000 (Gunther, Guerrilla Capacity
// Planning, 2007; the data set specsdm91 of the R package usl), and the router of
// Cisco that the USL libraries of several languages test with.
var (
	specUsers   = []float64{1, 18, 36, 72, 108, 144, 216}
	specScripts = []float64{64.9, 995.9, 1652.4, 1853.2, 1828.9, 1775.0, 1702.2}

	ciscoRate = []float64{
		955.16, 1878.91, 2688.01, 3548.68, 4315.54, 5130.43, 5931.37, 6531.08, 7219.8, 7867.61, 8278.71, 8646.7,
		9047.84, 9426.55, 9645.37, 9897.24, 10097.6, 10240.5, 10532.39, 10798.52, 11151.43, 11518.63, 11806.0, 12089.37,
		12075.41, 12177.29, 12211.41, 12158.93, 12155.27, 12118.04, 12140.4, 12074.39,
	}
)

func TestPublishedScalability(t *testing.T) {
	t.Parallel()
	var ciscoThreads []float64
	for n := range ciscoRate {
		ciscoThreads = append(ciscoThreads, float64(n+1))
	}
	for _, c := range []struct {
		name               string
		n, x               []float64
		alpha, beta, gamma float64
		peak               float64
	}{
		{"SPEC SDM91", specUsers, specScripts, 0.027728, 0.00010437, 89.995, 96.5},
		{"Cisco", ciscoThreads, ciscoRate, 0.026716, 0.00076909, 995.65, 35.6},
	} {
		s, err := FitScalability(USL, Readings{Concurrency: c.n, Throughput: c.x})
		if err != nil {
			t.Fatal(err)
		}
		near := func(what string, got, want, within float64) {
			if math.Abs(got-want) > within*want {
				t.Errorf("%s: %s is %g, published is %g", c.name, what, got, want)
			}
		}
		near("alpha", s.Alpha, c.alpha, 1e-4)
		near("beta", s.Beta, c.beta, 1e-4)
		near("gamma", s.Gamma, c.gamma, 1e-4)
		if n, _, ok := s.Peak(); !ok || math.Abs(n-c.peak) > 0.01*c.peak {
			t.Errorf("%s: peak at %g (%t), want %g", c.name, n, ok, c.peak)
		}
		if best, err := BestScalability(Readings{Concurrency: c.n, Throughput: c.x}); err != nil || best.Name != USL {
			t.Errorf("%s: the best law is %q (%v), want usl", c.name, best.Name, err)
		}
	}
}

// Below 85% of a peak, throughputs alone do not tell where it is.
func TestNoPeakIsInvented(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 1))
	law := Scalability{Gamma: 100, Alpha: 0.02}
	var n, x []float64
	for i := 1.0; i <= 24; i++ {
		n, x = append(n, i), append(x, law.At(i)*(1+0.01*rng.NormFloat64()))
	}
	s, err := FitScalability(USL, Readings{Concurrency: n, Throughput: x})
	if err != nil {
		t.Fatal(err)
	}
	if p, _, ok := s.Peak(); ok {
		t.Errorf("a peak at %g in data that have none (beta %g, standard error %g)", p, s.Beta, s.SE[2])
	}
	if _, _, ok := (Scalability{Gamma: 1, Alpha: 0.1}).Peak(); ok {
		t.Error("a peak without crosstalk")
	}
}

// Latency is the inverse of At, by Little's law: N = X R(X), for any parameters and
// also for those at which the textbook form cancels.
func TestLatencyInvertsThroughput(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(2, 2))
	for range 5000 {
		s := Scalability{
			Gamma: math.Exp(10*rng.Float64() - 3), Alpha: rng.Float64() * rng.Float64(),
			Beta: math.Exp(-35 * rng.Float64()),
		}
		if rng.IntN(4) == 0 {
			s.Beta = 0
		}
		peak := 1e4
		if s.Beta > 0 {
			peak = math.Sqrt((1 - s.Alpha) / s.Beta)
		}
		n := math.Max(1e-3, min(peak, 1e4)*0.95*rng.Float64())
		x := s.At(n)
		if got := x * s.Latency(x); math.Abs(got-n) > 1e-6*n {
			t.Fatalf("%+v at N = %g: X R(X) = %g", s, n, got)
		}
	}
	if r := (Scalability{Gamma: 100, Alpha: 0.1, Beta: 0.01}).Latency(1e6); !math.IsInf(r, 1) {
		t.Errorf("a latency of %g beyond the peak", r)
	}
}

func TestScalabilityOfBadData(t *testing.T) {
	t.Parallel()
	nan := math.NaN()
	for name, c := range map[string][2][]float64{
		"nothing": {nil, nil}, "two": {{1, 2}, {1, 2}}, "one load": {{4, 4, 4, 4}, {1, 2, 1, 2}},
		"NaN": {{1, nan, 3}, {1, 2, nan}}, "negative": {{-1, -2, -3}, {1, 2, 3}},
	} {
		if s, err := FitScalability(USL, Readings{Concurrency: c[0], Throughput: c[1]}); err == nil {
			t.Errorf("%s: %+v out of nothing", name, s)
		}
	}
	if _, err := FitScalability("cubic", Readings{Concurrency: specUsers, Throughput: specScripts}); err == nil {
		t.Error("a law of any name")
	}
	falls, err := FitScalability(USL, Readings{Concurrency: []float64{1, 2, 3, 4}, Throughput: []float64{100, 90, 80, 70}})
	if err != nil || falls.Alpha < 0 || falls.Alpha > 1 || falls.Beta < 0 {
		t.Errorf("throughput that falls: %+v, %v", falls, err)
	}
}
