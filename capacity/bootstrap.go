package capacity

import (
	"math"
	"math/rand/v2"
	"slices"
)

// replicate is one redrawing of a step: its seconds in blocks, and its load moved
// by what a step of that length cannot tell apart.
type replicate struct {
	load       float64
	seconds    float64
	ok, failed float64
	sum        float64
	slowest    float64
	bins       []float64 // reused from draw to draw
	// jitter is a standard normal draw, for figures that have no windows.
	jitter float64
}

// observed fills r with the step as it was.
func (s *series) observed(r *replicate) {
	s.begin(r)
	for i := range s.windows {
		r.add(&s.windows[i])
	}
	if len(s.windows) == 0 {
		r.ok = s.table.ok
		copy(r.bins, s.table.bins)
	}
}

func (s *series) begin(r *replicate) {
	width := len(s.table.bins)
	if len(s.windows) > 0 {
		width = len(s.windows[0].bins)
	}
	bins := slices.Grow(r.bins[:0], width)[:width]
	clear(bins)
	*r = replicate{load: s.load, seconds: s.seconds, bins: bins}
}

func (r *replicate) add(w *window) {
	r.ok += w.ok
	r.failed += w.failed
	r.sum += w.sum
	r.slowest = max(r.slowest, w.slowest)
	for i, n := range w.bins {
		r.bins[i] += n
	}
}

// draw fills r with a redrawn step. Blocks of consecutive seconds (circular;
// length about the cube root of the number of seconds, after Künsch 1989) keep
// the correlation that a queue has from one second to the next.
//
// The load is moved by sqrt(load/seconds): what a queue makes of the order of Poisson
// arrivals in a step of T seconds varies by about as much as if x/s came out as
// x +- sqrt(x/T), although their number is known. This is the variance between repeated steps
// by chance, which no resampling inside one step shows. Where steps at one load differ by
// more (see repeats.go), responses are moved by that.
func (s *series) draw(r *replicate, rng *rand.Rand) {
	s.begin(r)
	r.jitter = rng.NormFloat64()
	r.load = max(s.load+rng.NormFloat64()*s.spread(), 0.01*s.load)
	n := len(s.windows)
	if n == 0 {
		r.redrawn(&s.table, s.first, rng)
		return
	}
	block := max(1, int(math.Round(math.Cbrt(float64(n)))))
	for taken := 0; taken < n; {
		at := rng.IntN(n)
		for j := 0; j < block && taken < n; j++ {
			r.add(&s.windows[(at+j)%n])
			taken++
		}
	}
	if s.apart > 0 {
		r.stretch(math.Exp(s.apart * rng.NormFloat64()))
	}
}

// stretch lets every response take by times as long; bins are split in proportion.
func (r *replicate) stretch(by float64) {
	moved := make([]float64, len(r.bins))
	last := len(r.bins) - 1
	for i, n := range r.bins {
		at := min(max(float64(i)+math.Log(by)/logBin, 0), float64(last))
		k := min(int(at), max(last-1, 0))
		part := at - float64(k)
		moved[k] += n * (1 - part)
		if part > 0 {
			moved[k+1] += n * part
		}
	}
	copy(r.bins, moved)
	r.sum, r.slowest = by*r.sum, by*r.slowest
}

// spread is the standard deviation of the load that a step stands for.
func (s *series) spread() float64 {
	return math.Sqrt(s.load / max(s.seconds, 1))
}

// interval returns the percentile interval of values; values are sorted.
func interval(values []float64, confidence float64) (low, high float64) {
	if len(values) == 0 {
		return math.NaN(), math.NaN()
	}
	slices.Sort(values)
	return percentile(values, (1-confidence)/2), percentile(values, (1+confidence)/2)
}

// percentile interpolates in sorted values.
func percentile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	i := int(at)
	if i+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}

func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}
