package capacity

import (
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/headroom-project/headroom/loadgen/observation"
)

// imagined is the histogram of a point that has no windows: its quantiles, joined as those
// of log-normal times are. It is all that the table of another tool holds. Only how many
// hits lie between the quantiles that are known is evidence; where they lie there is a
// first guess, which the laws replace by their own.
func imagined(p *observation.Point) (w window, first int) {
	known := knots(p.Response)
	hits := min(float64(p.OK+p.Failed), 1e7)
	if hits == 0 {
		hits = min(p.Throughput*max(p.Seconds, 1), 1e7)
	}
	if len(known) < 2 || !(hits >= 1) {
		return window{}, 0
	}
	first = binOf(1000 * known[0].ms)
	w.bins = make([]float64, binOf(1000*known[len(known)-1].ms)-first+1)
	w.ok, w.cuts = hits, []cut{}
	for i := 1; i < len(known); i++ {
		a, b := known[i-1], known[i]
		join(a, b, first, hits, w.bins)
		at := binAt(1000 * b.ms)
		switch last := len(w.cuts) - 1; {
		case !b.given:
		case last >= 0 && at <= w.cuts[last].at+1: // too near for a group between them
			w.cuts[last].share = b.share
		default:
			w.cuts = append(w.cuts, cut{at, b.share})
		}
	}
	return w, first
}

// join puts the hits between two knots into bins, of which the first is so many: the
// logarithm of the time is a straight line over the quantile of the normal distribution.
func join(a, b knot, first int, hits float64, bins []float64) {
	from, to := binAt(1000*a.ms)-float64(first), binAt(1000*b.ms)-float64(first)
	low, high := a.normal(), b.normal()
	before := a.share
	for k := min(int(from), len(bins)-1); k < len(bins); k++ {
		if !(float64(k+1) < to) {
			bins[k] += hits * (b.share - before)
			return
		}
		share := distuv.UnitNormal.CDF(low + (high-low)*(float64(k+1)-from)/(to-from))
		share = min(max(share, before), b.share)
		bins[k] += hits * (share - before)
		before = share
	}
}

// parts are the stretches of bins between the quantiles that are known, of which the first
// bin is so many, with the hits that their share is of.
func (w *window) parts(first int) []group {
	var out []group
	var from, share float64
	for _, c := range append(slices.Clone(w.cuts), cut{math.Inf(1), 1}) {
		to := min(max(c.at-float64(first), 0), float64(len(w.bins)))
		out = append(out, group{from: from, to: to, n: w.ok * (c.share - share), of: w.ok})
		from, share = to, c.share
	}
	return out
}

// grouped are the counts between the quantiles that are known, in bins of the latency law
// from low on, of which there are width. bins are those of w, of which the first is so many,
// or redrawn: a group has as many more or fewer hits as these have.
func (w *window) grouped(bins []float64, first, low, width int) []group {
	if w.cuts == nil {
		return nil
	}
	out := w.parts(first)
	sum, from := 0.0, 0.0
	for i := range out {
		x := &out[i]
		if was := x.within(w.bins); was > 0 {
			x.n *= x.within(bins) / was
		}
		sum += x.n
		to := float64(width)
		if i < len(w.cuts) {
			to = min(max(w.cuts[i].at/coarse-float64(low), from), to)
		}
		x.from, x.to, from = from, to, to
	}
	for i := range out {
		out[i].of = sum
	}
	return out
}

// knot is a quantile: share of the hits that took at most so many ms. It is given, or a
// guess.
type knot struct {
	share, ms float64
	given     bool
}

// utmost is the quantile of the normal distribution at which a histogram that is imagined
// ends: one of 3,000 hits lies beyond.
const utmost = 3.4

func (k knot) normal() float64 {
	return min(max(distuv.UnitNormal.Quantile(k.share), -utmost), utmost)
}

// slope is the standard deviation of the logarithm of a log-normal time with both knots.
func slope(a, b knot) float64 {
	return max(math.Log(b.ms/a.ms)/(b.normal()-a.normal()), 0.01)
}

// knots are the quantiles that are given and rise, with an end on each side.
func knots(q observation.Quantiles) []knot {
	var known []knot
	for _, k := range []knot{
		{0.5, median(q), q.P50 > 0}, {0.9, q.P90, true}, {0.95, q.P95, true}, {0.99, q.P99, true}, {0.999, q.P999, true}, {1, q.Max, false},
	} {
		if sound := k.ms > 1e-3 && k.ms < 1e9; sound && (len(known) == 0 || k.ms >= known[len(known)-1].ms) {
			known = append(known, k)
		}
	}
	if len(known) == 0 || known[0].share != 0.5 {
		return nil
	}
	low, high := 0.1, 0.1
	if n := len(known); n > 1 {
		low, high = slope(known[0], known[1]), slope(known[n-2], known[n-1])
	}
	if last := known[len(known)-1]; last.share < 1 {
		known = append(known, knot{share: 1, ms: last.ms * math.Exp(high*(utmost-last.normal()))})
	}
	return append([]knot{{ms: known[0].ms * math.Exp(-low*utmost)}}, known...)
}

// median is the p50, or one that goes with the mean and p99 if times are log-normal.
func median(q observation.Quantiles) float64 {
	const p99 = 2.326 // as a quantile of the normal distribution
	switch {
	case q.P50 > 0:
		return q.P50
	case q.Mean > 0 && q.P99 > q.Mean && math.Log(q.P99/q.Mean) < p99*p99/2:
		s := p99 - math.Sqrt(p99*p99-2*math.Log(q.P99/q.Mean))
		return q.P99 * math.Exp(-p99*s)
	case q.Mean > 0 && q.P99 > 0:
		return min(0.8*q.Mean, q.P99)
	case q.Mean > 0:
		return 0.8 * q.Mean
	}
	return q.P99 / 3 // only a p99 is known: a shape as common as any
}

// redrawn fills a replicate's bins with counts that vary as such counts do: of a table,
// those of each group, of which the bins are only imagined.
func (r *replicate) redrawn(w *window, first int, rng *rand.Rand) {
	r.ok = w.ok
	if w.cuts == nil {
		for i, n := range w.bins {
			r.bins[i] = max(n+math.Sqrt(overdispersion*n)*rng.NormFloat64(), 0)
		}
		return
	}
	for _, x := range w.parts(first) {
		ratio := 1.0
		if x.n > 0 { // its mean is n and its variance that of such counts
			ratio = distuv.Gamma{Alpha: x.n / overdispersion, Beta: 1 / overdispersion, Src: rng}.Rand() / x.n
		}
		x.each(len(r.bins), func(k int, part float64) { r.bins[k] += part * ratio * w.bins[k] })
	}
}
