package capacity

import (
	"math"
	"strings"
	"testing"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

// rowsOf are the rows of a table: what so many cores are used at each load, by used, and
// the responses of a queue of exponential work at them.
func rowsOf(loads []float64, cores float64, used func(float64) float64) []observation.Point {
	queue := markov{math.Ceil(cores), 200}
	var points []observation.Point
	for i, x := range loads {
		p := observation.Point{Step: i, Kind: scenarios.KindLoad, Valid: true, Offered: x, Seconds: 60}
		p.Throughput, p.OK, p.Sent = x, uint64(60*x), uint64(60*x)
		p.Response.P50, p.Response.P99 = 1000*queue.quantile(x, 0.5), 1000*queue.quantile(x, 0.99)
		p.Resources = map[string]observation.Use{cpu: {Used: used(x), Limit: cores, Unit: "cores", Samples: 1}}
		points = append(points, p)
	}
	return points
}

func evenly(low, top float64, n int) (loads []float64) {
	for i := range n {
		loads = append(loads, low+(top-low)*float64(i)/float64(n-1))
	}
	return loads
}

// Cores that cost more at a higher load than crosstalk says reach their limit where the law
// of what was read does, of whatever number they are: 2 as 1.9.
func TestRisingUseOfManyCores(t *testing.T) {
	t.Parallel()
	pole := func(x float64) float64 { return 0.1 + 0.003*x/(1-0.0015*x) }
	bend := func(x float64) float64 { return 0.1 + 0.002*x + 8e-6*x*x }
	for name, c := range map[string]struct {
		used  func(float64) float64
		cores float64
		rows  int
		top   float64
		full  float64 // where all cores are used
	}{
		"a pole, 1.9 cores":              {pole, 1.9, 7, 280, 315.8},
		"a pole, 2 cores":                {pole, 2, 7, 280, 324.8},
		"a pole, 2 cores, 6 rows":        {pole, 2, 6, 280, 324.8},
		"a pole, 2 cores, 20 rows":       {pole, 2, 20, 280, 324.8},
		"a pole, 2 cores, to their end":  {pole, 2, 8, 324, 324.8},
		"a bend, 1.9 cores":              {bend, 1.9, 7, 280, 365},
		"a bend, 2 cores":                {bend, 2, 7, 280, 378},
		"a bend, 2 cores, 12 rows":       {bend, 2, 12, 280, 378},
		"none, 2 cores":                  {func(x float64) float64 { return 0.1 + 0.005*x }, 2, 7, 280, 380},
		"none, 8 cores, with some error": {func(x float64) float64 { return 0.1 + 0.005*x*(1+0.004*math.Sin(x)) }, 8, 12, 1000, 1580},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := Analyse(rowsOf(evenly(40, c.top, c.rows), c.cores, c.used), Spec{Prices: &scenarios.Prices{VCPUHour: 0.04}, DemandRPS: 250})
			b := a.Saturation.Bottlenecks[0]
			if b.Resource != cpu || math.Abs(b.RPS/c.full-1) > 0.02 || b.Low > c.full || b.High < c.full {
				t.Errorf("%s gives out at %.4g (%.4g-%.4g), want %.4g", b.Resource, b.RPS, b.Low, b.High, c.full)
			}
			slope := (c.used(251) - c.used(249)) / 2 * 0.04 * million / secondsPerHour
			if m := a.Cost.At[0].Marginal.Value; c.full < 1000 && math.Abs(m/slope-1) > 0.05 {
				t.Errorf("a million more requests cost %.4g, want %.4g", m, slope)
			}
		})
	}
}

// A predicted capacity is no higher than where the resource gives out.
func TestPredictionEndsAtTheCeiling(t *testing.T) {
	t.Parallel()
	for _, cores := range []float64{1.6, 1.9, 2} {
		points := rowsOf(evenly(40, 280, 7), cores, func(x float64) float64 { return 0.1 + 0.003*x/(1-0.0015*x) })
		a := Analyse(points, Spec{Objectives: []scenarios.Objective{{Metric: "p99", Op: "<", Value: 2000}}})
		if c, b := a.Capacity, a.Saturation.Bottlenecks[0]; c.Bound != Predicted || c.Value.Value > b.RPS {
			t.Errorf("%g cores: capacity %q %.4g, and %s gives out at %.4g", cores, c.Bound, c.Value.Value, b.Resource, b.RPS)
		}
	}
}

// Tables of cores with crosstalk, exact and with beliefs that are far from it.
func TestTablesOfCrosstalk(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		talk       crosstalk
		cores      float64
		share      float64 // of the saturation, up to which rows go
		rows       int
		withinHalf float64
	}{
		"4 cores":              {crosstalk{0.1, 0.005}, 4, 0.7, 10, 0.03},
		"4 cores, much":        {crosstalk{0.2, 0.01}, 4, 0.8, 12, 0.03},
		"8 cores":              {crosstalk{0.03, 0.0002}, 8, 0.8, 12, 0.03},
		"8 cores, more of it":  {crosstalk{0.05, 0.001}, 8, 0.8, 12, 0.03},
		"8 cores, little seen": {crosstalk{0.05, 0.001}, 8, 0.6, 8, 0.05},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const work = 0.005
			full := c.talk.speed(c.cores, c.cores) / work
			points := rowsOf(evenly(0.08*full, c.share*full, c.rows), c.cores, func(x float64) float64 {
				return 0.1 + c.talk.present(work*x, c.cores).busy*(1+0.003*math.Sin(x))
			})
			a := Analyse(points, Spec{})
			b := a.Saturation.Bottlenecks[0]
			if math.Abs(b.RPS/full-1) > c.withinHalf || b.Low > full || b.High < full {
				t.Errorf("%s gives out at %.4g (%.4g-%.4g), want %.4g", b.Resource, b.RPS, b.Low, b.High, full)
			}
			if a.Saturation.Low > full {
				t.Errorf("saturation %.4g (%.4g-%.4g), want %.4g", a.Saturation.Value.Value, a.Saturation.Low, a.Saturation.High, full)
			}
			if all := strings.Join(a.Warnings, "\n"); strings.Contains(all, "one figure") {
				t.Errorf("the law bends, and yet: %s", all)
			}
		})
	}
}
