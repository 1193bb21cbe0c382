package capacity

import (
	"math"
	"math/rand/v2"

	"github.com/headroom-project/headroom/loadgen/observation"
)

// imagined is the histogram of a point that has no windows: its quantiles, joined
// by straight lines over the log of the time. It is all that the table of another
// tool holds, and enough for the latency law; its tail is less sure than a
// measured one.
func imagined(p *observation.Point) (w window, first int) {
	known := knots(p.Response)
	hits := min(float64(p.OK+p.Failed), 1e7)
	if hits == 0 {
		hits = min(p.Throughput*max(p.Seconds, 1), 1e7)
	}
	if len(known) < 2 || !(hits >= 1) {
		return window{}, 0
	}
	low, high := binOf(1000*known[0].ms), binOf(1000*known[len(known)-1].ms)
	w.bins = make([]float64, high-low+1)
	for i := 1; i < len(known); i++ {
		a, b := known[i-1], known[i]
		from, to := binOf(1000*a.ms), binOf(1000*b.ms)
		for k := from; k <= to; k++ {
			w.bins[k-low] += hits * (b.share - a.share) / float64(to-from+1)
		}
	}
	w.ok = hits
	return w, low
}

// knot is a quantile: share of the hits that took at most so many ms.
type knot struct{ share, ms float64 }

// knots are the quantiles that are given and rise, with an end on each side.
func knots(q observation.Quantiles) []knot {
	p50 := q.P50
	switch {
	case p50 > 0:
	case q.Mean > 0:
		p50 = 0.8 * q.Mean
	default:
		p50 = q.P99 / 3 // only a p99 is known: a shape as common as any
	}
	if q.P99 > 0 {
		p50 = min(p50, q.P99)
	}
	given := []knot{{0.5, p50}, {0.9, q.P90}, {0.95, q.P95}, {0.99, q.P99}, {0.999, q.P999}, {1, q.Max}}
	var known []knot
	for _, k := range given {
		if sound := k.ms > 1e-3 && k.ms < 1e9; sound && (len(known) == 0 || k.ms >= known[len(known)-1].ms) {
			known = append(known, k)
		}
	}
	if len(known) == 0 || known[0].share != 0.5 {
		return nil
	}
	if last := known[len(known)-1]; last.share < 1 {
		known = append(known, knot{1, last.ms * math.Sqrt(last.ms/known[0].ms)})
	}
	return append([]knot{{0, known[0].ms / math.Sqrt(max(known[1].ms/known[0].ms, 1.05))}}, known...)
}

// redrawn fills a replicate's bins with counts that vary as such counts do.
func (r *replicate) redrawn(w *window, rng *rand.Rand) {
	r.ok = w.ok
	for i, n := range w.bins {
		r.bins[i] = max(n+math.Sqrt(overdispersion*n)*rng.NormFloat64(), 0)
	}
}
