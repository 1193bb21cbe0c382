package capacity

import (
	"cmp"
	"math"
	"slices"
)

// coarse is how many bins of a series make one of the latency law: 8% wide.
const coarse = 4

// latency is the latency law: what a request takes without any waiting, as a
// histogram that is measured and belongs to no family, and the wait on top of it.
//
//	P(R > t) = sum over bins b of base(b) P(W > t - b)
type latency struct {
	server
	// shared says that all who are present share the cores, and rest is the part of
	// the time without waiting, in seconds, that is no work for them.
	shared bool
	rest   float64
	bins   bins
	base   []float64 // adds up to 1
	// fit is the log likelihood of the steps, in units of its dispersion.
	fit float64
}

// bins are log-spaced bins of time. edges has one entry more than middle; both
// are in seconds.
type bins struct {
	edges, middle []float64
}

func newBins(low, high int) bins {
	var b bins
	for i := low; i <= high+1; i++ {
		b.edges = append(b.edges, math.Exp(float64(i*coarse)*logBin)/1e6)
	}
	for i := range b.edges[1:] {
		b.middle = append(b.middle, math.Sqrt(b.edges[i]*b.edges[i+1]))
	}
	return b
}

// stage is what was seen of the responses at one load.
type stage struct {
	load    float64
	seconds float64
	ca2     float64 // of the arrivals
	counts  []float64
	total   float64
}

// spread returns the cell probabilities of the responses at the stage's load, and
// is the forward half of the fit; into is reused.
func (l *latency) spread(load, ca2 float64, into []float64) []float64 {
	into = slices.Grow(into[:0], len(l.base))[:len(l.base)]
	if l.shared {
		l.stretched(load, into)
		return into
	}
	w := l.waiting(load, ca2)
	late := 0.0 // mass of earlier bins that is still waiting at the bin's begin
	for k, p := range l.base {
		width := l.bins.edges[k+1] - l.bins.edges[k]
		stays := math.Exp(-w.decay * width)
		moves := p * w.tail(l.bins.edges[k+1]-l.bins.middle[k])
		into[k] = late*(1-stays) + p - moves
		late = late*stays + moves
	}
	return into
}

// credit returns, for each bin of the base, how much of what was seen it explains:
// the backward half. seen is the ratio of counts to expectation.
func (l *latency) credit(load, ca2 float64, seen, into []float64) []float64 {
	into = slices.Grow(into[:0], len(l.base))[:len(l.base)]
	if l.shared {
		l.stretchedCredit(load, seen, into)
		return into
	}
	w := l.waiting(load, ca2)
	later := 0.0
	for j := len(l.base) - 1; j >= 0; j-- {
		leaves := w.tail(l.bins.edges[j+1] - l.bins.middle[j])
		into[j] = (1-leaves)*seen[j] + leaves*later
		stays := math.Exp(-w.decay * (l.bins.edges[j+1] - l.bins.edges[j]))
		later = (1-stays)*seen[j] + stays*later
	}
	return into
}

// tail is the share of requests that take longer than t seconds at a load.
func (l *latency) tail(load, t float64) float64 {
	w := l.waiting(load, 1)
	others := l.crowd(load)
	sum := 0.0
	for j, p := range l.base {
		if p == 0 {
			continue
		}
		switch b := l.bins.middle[j]; {
		case l.bins.edges[j] >= t:
			sum += p
		case l.shared:
			sum += p * others.stretch(l.work(b)).tail(t-b)
		case l.bins.edges[j+1] > t: // spread over its bin
			above := (l.bins.edges[j+1] - t) / (l.bins.edges[j+1] - l.bins.edges[j])
			sum += p * (above + (1-above)*w.tail((t-l.bins.edges[j])/2))
		default:
			sum += p * w.tail(t-b)
		}
	}
	return sum
}

// mean is the mean response in seconds at a load.
func (l *latency) mean(load float64) float64 {
	sum := 0.0
	for j, p := range l.base {
		sum += p * l.bins.middle[j]
	}
	if l.shared {
		work := 0.0
		for j, p := range l.base {
			work += p * l.work(l.bins.middle[j])
		}
		return sum + work*l.crowd(load).mean
	}
	return sum + l.waiting(load, 1).mean()
}

// quantile is the response in seconds that a share q of the requests stay below.
func (l *latency) quantile(load, q float64) float64 {
	low, high := l.bins.edges[0], l.bins.edges[len(l.base)]
	for l.tail(load, high) > 1-q && high < 1e6 {
		high *= 2
	}
	for range 40 {
		if middle := math.Sqrt(low * high); l.tail(load, middle) > 1-q {
			low = middle
		} else {
			high = middle
		}
	}
	return math.Sqrt(low * high)
}

// stages gathers what steps show of the responses, steps of practically one load
// together. draws[i] is step i as it was or redrawn; ca2 that of the arrivals.
func stages(all []series, draws []replicate, ca2 float64) (list []stage, b bins) {
	low, high := filled(all)
	if low > high {
		return nil, bins{}
	}
	for i := range all {
		s := &all[i]
		if s.point.Valid && s.point.Cut == "" && draws[i].ok >= 20 {
			list = put(list, s, &draws[i], low, high-low+1)
		}
	}
	for i := range list {
		list[i].ca2 = ca2
	}
	slices.SortFunc(list, func(a, b stage) int { return cmp.Compare(a.load, b.load) })
	return list, newBins(low, high)
}

// filled are the first and the last coarse bin that any step fills.
func filled(all []series) (low, high int) {
	low = math.MaxInt
	for i := range all {
		windows := all[i].windows
		if len(windows) == 0 {
			windows = []window{all[i].table}
		}
		for _, w := range windows {
			for k, n := range w.bins {
				if n > 0 {
					low, high = min(low, (all[i].first+k)/coarse), max(high, (all[i].first+k)/coarse)
				}
			}
		}
	}
	return low, high
}

// alike is the relative distance of loads whose steps make one stage.
const alike = 0.06

func put(list []stage, s *series, r *replicate, low, width int) []stage {
	at := slices.IndexFunc(list, func(g stage) bool { return math.Abs(g.load-s.load) < alike*s.load })
	if at < 0 {
		list = append(list, stage{counts: make([]float64, width)})
		at = len(list) - 1
	}
	g := &list[at]
	for k, c := range r.bins {
		if c > 0 {
			g.counts[(s.first+k)/coarse-low] += c
			g.total += c
		}
	}
	g.load = (g.load*g.seconds + s.load*s.seconds) / (g.seconds + s.seconds)
	g.seconds += s.seconds
	return list
}
