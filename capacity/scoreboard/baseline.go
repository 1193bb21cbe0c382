package scoreboard

import (
	"math"

	"gonum.org/v1/gonum/stat"

	"github.com/headroom-project/headroom/capacity"
	"github.com/headroom-project/headroom/loadgen/observation"
)

// curve predicts a p99 in ms at a load, and the load at which it reaches one.
type curve interface {
	at(load float64) float64
	reaches(ms float64) float64
}

// line is a straight line through the p99 of the steps.
type line struct{ base, slope float64 }

func newLine(points []observation.Point) line {
	var x, y, w []float64
	for _, p := range points {
		x, y, w = append(x, p.Offered), append(y, p.Response.P99), append(w, p.Seconds)
	}
	base, slope := stat.LinearRegression(x, y, w, false)
	return line{base, slope}
}

func (l line) at(load float64) float64 { return l.base + l.slope*load }

func (l line) reaches(ms float64) float64 {
	if !(l.slope > 0) {
		return math.Inf(1)
	}
	return (ms - l.base) / l.slope
}

// plainUSL is the Universal Scalability Law of throughput over concurrency, as it
// is commonly used: its latency, times the ratio of p99 to mean that the steps show.
type plainUSL struct {
	law   capacity.Scalability
	ratio float64
}

func newPlainUSL(points []observation.Point) (plainUSL, bool) {
	var n, x []float64
	u := plainUSL{}
	top := 0.0
	for _, p := range points {
		n, x = append(n, p.InFlight), append(x, p.Throughput)
		if p.Offered >= top && p.Response.Mean > 0 {
			top, u.ratio = p.Offered, p.Response.P99/p.Response.Mean
		}
	}
	var err error
	u.law, err = capacity.FitScalability(capacity.USL, capacity.Readings{Concurrency: n, Throughput: x})
	return u, err == nil
}

func (u plainUSL) at(load float64) float64 { return 1000 * u.ratio * u.law.Latency(load) }

func (u plainUSL) reaches(ms float64) float64 {
	low, high := 0.0, 1e6
	for range 60 {
		if middle := (low + high) / 2; u.at(middle) < ms {
			low = middle
		} else {
			high = middle
		}
	}
	return low
}
