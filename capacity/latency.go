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
	station
	bins bins
	base []float64 // adds up to 1
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
	// groups are what is known of the counts where they are of tables.
	groups []group
}

// group is how many responses lie between two places, in bins and parts of them, of so many
// in its row of the table.
type group struct{ from, to, n, of float64 }

// likelihood is the log likelihood of what was seen, where so much is expected in each
// bin. Of grouped responses only the sum over each group counts.
func (g *stage) likelihood(expected []float64) (sum float64) {
	if len(g.groups) == 0 {
		for k, n := range g.counts {
			if n > 0 {
				sum += n * math.Log(max(expected[k], 1e-9))
			}
		}
		return sum
	}
	for _, x := range g.groups {
		sum += x.n * math.Log(max(x.within(expected), 1e-9))
	}
	return sum
}

// ratios are those of what was seen in each bin to what is expected there. A group is
// spread over its bins as is expected (Dempster, Laird and Rubin 1977, on grouped data).
func (g *stage) ratios(expected, into []float64) {
	if len(g.groups) == 0 {
		for k, n := range g.counts {
			into[k] = n / max(expected[k], 1e-9)
		}
		return
	}
	clear(into)
	for _, x := range g.groups {
		ratio := x.n / max(x.within(expected), 1e-9)
		x.each(len(into), func(k int, part float64) { into[k] += part * ratio })
	}
}

// each tells which part of each bin is in the group.
func (x group) each(n int, tell func(bin int, part float64)) {
	for k := int(x.from); k < n && float64(k) < x.to; k++ {
		tell(k, min(x.to, float64(k+1))-max(x.from, float64(k)))
	}
}

// within is the sum over the group of what is in each bin.
func (x group) within(bins []float64) (sum float64) {
	x.each(len(bins), func(k int, part float64) { sum += part * bins[k] })
	return sum
}

// saturated is the log likelihood by a law that is right about every figure, and of how
// many figures. Of each row but one, a figure follows from the others.
func (g *stage) saturated() (sum, figures float64) {
	add := func(n, of float64) {
		if n > 0 {
			sum, figures = sum+n*math.Log(n/of), figures+1
		}
	}
	if len(g.groups) == 0 {
		for _, n := range g.counts {
			add(n, g.total)
		}
		return sum, figures
	}
	figures = 1
	for _, x := range g.groups {
		if x.from == 0 {
			figures--
		}
		add(x.n, x.of)
	}
	return sum, figures
}

// spread returns the cell probabilities of the responses at a load; into is reused.
func (l *latency) spread(load, ca2 float64, into []float64) []float64 {
	var k kernel
	var memory between
	l.prepare(load, ca2, &k)
	return k.spread(l.base, l.shared, len(l.bins.middle), &memory, into)
}

// inner are the bins of the base.
func (l *latency) inner() bins {
	if l.outside != nil {
		return l.outside.work
	}
	return l.bins
}

// tail is the share of requests that take longer than t seconds at a load.
func (l *latency) tail(load, t float64) float64 {
	if l.besides != nil {
		base, b, w := l.behind(load)
		return w.over(base, b, t)
	}
	if !l.shared {
		return l.waiting(load, l.foreseen()).over(l.base, l.bins, t)
	}
	others := l.crowd(load).of(l.foreseen())
	sum := 0.0
	for j, p := range l.base {
		switch b := l.bins.middle[j]; {
		case p == 0:
		case l.bins.edges[j] >= t:
			sum += p
		default:
			sum += p * l.added(others, b).tail(t-b)
		}
	}
	return sum
}

// over is the share that takes longer than t seconds with the wait on top.
func (w waiting) over(base []float64, b bins, t float64) float64 {
	sum := 0.0
	for j, p := range base {
		switch {
		case p == 0:
		case b.edges[j] >= t:
			sum += p
		case b.edges[j+1] > t: // spread over its bin
			above := (b.edges[j+1] - t) / (b.edges[j+1] - b.edges[j])
			sum += p * (above + (1-above)*w.tail((t-b.edges[j])/2))
		default:
			sum += p * w.tail(t-b.middle[j])
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
	sum += l.delay(load, l.base)
	if l.besides != nil {
		sum += l.besides.delay(load, l.base)
	}
	return sum
}

// delay is the mean of what the station adds to requests.
func (l *latency) delay(load float64, base []float64) float64 {
	if !l.shared {
		return l.waiting(load, l.foreseen()).mean()
	}
	work := 0.0
	for j, p := range base {
		w, _ := l.work(l.bins.middle[j])
		work += p * w
	}
	return work * l.crowd(load).of(l.foreseen()).mean
}

// quantile is the response in seconds that a share q of the requests stay below.
func (l *latency) quantile(load, q float64) float64 {
	low, high := l.bins.edges[0], l.bins.edges[len(l.bins.middle)]
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

const (
	// quietEnough is how many responses show what requests take without waiting.
	quietEnough = 400
	// quietShare is the share of the highest load up to which a load is a low one.
	quietShare = 0.4
)

// quietest is what was seen at the lowest load, and at other low ones above it until there
// are enough responses.
func quietest(list []stage) stage {
	g := stage{load: list[0].load, ca2: list[0].ca2, counts: slices.Clone(list[0].counts), total: list[0].total}
	for _, next := range list[1:] {
		if g.total >= quietEnough || next.load > quietShare*list[len(list)-1].load {
			break
		}
		for k, n := range next.counts {
			g.counts[k] += n
		}
		g.total += next.total
	}
	return g
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
			g.counts[min(max((s.first+k)/coarse-low, 0), width-1)] += c // a redrawn step may reach beyond
			g.total += c
		}
	}
	if len(s.windows) == 0 {
		g.groups = append(g.groups, s.table.grouped(r.bins, s.first, low, width)...)
	}
	g.load = (g.load*g.seconds + s.load*s.seconds) / (g.seconds + s.seconds)
	g.seconds += s.seconds
	return list
}
