package profiler

import (
	"math"
	"slices"
)

// tails is the two-sided probability of a Student's t at least as large, with so
// many degrees of freedom (Abramowitz and Stegun, 26.7.3 and 26.7.4); with none,
// of a normal variable.
func tails(t float64, degrees int) float64 {
	t = math.Abs(t)
	switch {
	case math.IsNaN(t):
		return 1
	case degrees <= 0 || degrees > 200:
		return math.Erfc(t / math.Sqrt2)
	}
	theta := math.Atan(t / math.Sqrt(float64(degrees)))
	sin, cos := math.Sincos(theta)
	sum, term := 0.0, 1.0
	if degrees%2 == 1 {
		term = cos
	}
	for k := 1 + degrees%2; k < degrees; k += 2 {
		sum += term
		term *= cos * cos * float64(k) / float64(k+1)
	}
	inside := sin * sum
	if degrees%2 == 1 {
		inside = 2 / math.Pi * (theta + sin*sum)
	}
	return min(max(1-inside, 0), 1)
}

// quantileT is the t that is exceeded, on both sides together, with probability
// p.
func quantileT(p float64, degrees int) float64 {
	low, high := 0.0, 1e4
	for range 100 {
		if middle := (low + high) / 2; tails(middle, degrees) > p {
			low = middle
		} else {
			high = middle
		}
	}
	return (low + high) / 2
}

// discoveries says which of the hypotheses with these probabilities are rejected
// so that of those in the mean a share of at most q is so by chance (Benjamini and
// Hochberg 1995).
func discoveries(p []float64, q float64) []bool {
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		switch {
		case p[a] < p[b]:
			return -1
		case p[a] > p[b]:
			return 1
		}
		return a - b
	})
	out := make([]bool, len(p))
	for k := len(order); k > 0; k-- {
		if p[order[k-1]] <= q*float64(k)/float64(len(p)) {
			for _, i := range order[:k] {
				out[i] = true
			}
			break
		}
	}
	return out
}

// line is a straight line fitted by weighted least squares.
type line struct {
	intercept, slope float64
	// Variances and covariance of the two.
	interceptVar, slopeVar, covariance float64
	// degrees of freedom of the variances if they were widened by how far the
	// points lie from the line, 0 if they are as the weights have it.
	degrees int
}

// fitLine fits y = intercept + slope*x to points whose variances are known. If the
// points lie farther from the line than chance allows, the variances of the result
// are widened by as much (Birge 1932). It fails with fewer than three points, or
// if all have the same x.
func fitLine(x, y, variance []float64) (line, bool) {
	var w, wx, wy float64
	for i := range x {
		w += 1 / variance[i]
		wx += x[i] / variance[i]
		wy += y[i] / variance[i]
	}
	mean := wx / w
	var sxx, sxy float64
	for i := range x {
		sxx += (x[i] - mean) * (x[i] - mean) / variance[i]
		sxy += (x[i] - mean) * y[i] / variance[i]
	}
	if len(x) < 3 || !(sxx > 0) || math.IsInf(sxx, 0) {
		return line{}, false
	}
	l := line{slope: sxy / sxx, slopeVar: 1 / sxx}
	l.intercept = wy/w - l.slope*mean
	l.interceptVar = 1/w + mean*mean/sxx
	l.covariance = -mean / sxx
	chi := 0.0
	for i := range x {
		d := y[i] - l.intercept - l.slope*x[i]
		chi += d * d / variance[i]
	}
	// Farther than chance allows: beyond two standard deviations of chi squared.
	if free := float64(len(x) - 2); chi > free+2*math.Sqrt(2*free) {
		wider := chi / free
		l.degrees = len(x) - 2
		l.slopeVar *= wider
		l.interceptVar *= wider
		l.covariance *= wider
	}
	return l, true
}

// chance is the probability of a slope as large if there were none.
func (l line) chance() float64 { return tails(l.slope/math.Sqrt(l.slopeVar), l.degrees) }
