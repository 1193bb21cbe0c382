package capacity

import (
	"math"
	"slices"
)

// outside is the part of a response that is no work for the cores that are shared: the
// way there and back, and what else the target does or waits for. It does not depend on
// the work of a request, and is inverse Gaussian: like what delays add up to, it has a
// least value in practice and a long end. With it the histogram of a law is that of the
// work alone, over bins of its own: a response that is long because of something else is
// not taken for one with much work, which others slow down most.
//
// A law with it is only fitted, to make out the parts of a response; one that predicts has
// those instead (see parted), and the histogram of the whole.
type outside struct {
	mean, scv float64 // mean in s, squared coefficient of variation
	work      bins    // those of the histogram
	ends      []end
}

// end is where requests of one bin of work end up among the cells.
type end struct {
	first  int
	shares []float64
}

const (
	// lightest is how many bins the work may be below the shortest response: all that
	// is less than a seventh of it is one.
	lightest = 25
	// within is how many places a bin stands for.
	within = 3
)

// newOutside is that part, over bins of the responses.
func newOutside(mean, scv float64, cells bins) *outside {
	o := &outside{mean: mean, scv: scv, work: cells.lower(lightest)}
	o.ends = o.endsOver(cells)
	return o
}

// endsOver works out where requests of each bin of work end up among cells.
func (o *outside) endsOver(cells bins) []end {
	law, work := newSpreading(o.mean, o.scv), o.work
	ends := make([]end, len(work.middle))
	n := len(cells.middle)
	below := make([]float64, n+1)
	for j := range ends {
		clear(below)
		for i := range within {
			at := work.edges[j] * math.Pow(work.edges[j+1]/work.edges[j], (float64(i)+0.5)/within)
			for k := 1; k < n; k++ {
				below[k] += law.below(cells.edges[k]-at) / within
			}
		}
		below[n] = 1
		first, last := 0, n
		for first < n-1 && below[first+1] < 1e-9 {
			first++
		}
		for last > first+1 && below[last-1] > 1-1e-9 {
			last--
		}
		shares := make([]float64, last-first)
		for k := range shares {
			shares[k] = below[first+k+1] - below[first+k]
		}
		shares[0] += below[first]
		ends[j] = end{first, shares}
	}
	return ends
}

// spreading is the distribution of the part, tabled: its exact form is slow.
type spreading struct {
	mean  float64
	table []float64 // at multiples of mean/fine; nil for a constant
}

const fine = 64

func newSpreading(mean, scv float64) spreading {
	s := spreading{mean: mean}
	if !(mean > 0) || scv < 1e-4 {
		return s
	}
	for x := 0.0; ; x += 1.0 / fine {
		p := inverseGaussian(x, scv)
		s.table = append(s.table, p)
		if p > 1-1e-7 || x > 60 {
			return s
		}
	}
}

// inverseGaussian is the probability of at most x for a mean of 1 and a squared
// coefficient of variation of scv (Schroedinger 1915; Tweedie 1957).
func inverseGaussian(x, scv float64) float64 {
	if !(x > 0) {
		return 0
	}
	root := math.Sqrt(1 / (scv * x))
	less, more := root*(x-1), root*(x+1)
	second := 0.0
	if more < 30 {
		second = math.Exp(2/scv + math.Log(math.Erfc(more/math.Sqrt2)/2))
	} else {
		// Erfc by the first terms of its continued fraction.
		second = math.Exp(2/scv-more*more/2) / (math.Sqrt(2*math.Pi) * (more + 1/more))
	}
	return min(math.Erfc(-less/math.Sqrt2)/2+second, 1)
}

// below is the probability of at most t seconds.
func (s spreading) below(t float64) float64 {
	if s.table == nil {
		if t >= s.mean {
			return 1
		}
		return 0
	}
	x := t / s.mean * fine
	i := int(x)
	switch {
	case !(x > 0):
		return 0
	case i+1 >= len(s.table):
		return 1
	}
	return s.table[i] + (x-float64(i))*(s.table[i+1]-s.table[i])
}

// added returns the cells of requests whose work, slowed down, is from.
func added(ends []end, from, into []float64) {
	clear(into)
	for j, p := range from {
		if p == 0 {
			continue
		}
		for k, share := range ends[j].shares {
			into[ends[j].first+k] += p * share
		}
	}
}

// addedCredit is added backwards.
func addedCredit(ends []end, seen, into []float64) {
	for j := range into {
		sum := 0.0
		for k, share := range ends[j].shares {
			sum += share * seen[ends[j].first+k]
		}
		into[j] = sum
	}
}

// lower has n more bins at the bottom.
func (b bins) lower(n int) bins {
	width := math.Exp(-coarse * logBin)
	w := bins{make([]float64, 0, n+len(b.edges)), make([]float64, 0, n+len(b.middle))}
	for i := n; i > 0; i-- {
		e := b.edges[0] * math.Pow(width, float64(i))
		w.edges, w.middle = append(w.edges, e), append(w.middle, e/math.Sqrt(width))
	}
	w.edges, w.middle = append(w.edges, b.edges...), append(w.middle, b.middle...)
	return w
}

// scatters are the variabilities that the part outside of the work is tried with.
var scatters = []float64{0, 0.05, 0.1, 0.2, 0.4, 0.8}

const (
	// seenWork is the share of a response below which its work does not show.
	seenWork = 0.1
	// sharpening is for how many rounds the histogram of the work is made out for each
	// variability of the rest, before they are compared.
	sharpening = 40
)

// fitShared fits the law of shared cores, with what is outside of the work as the
// responses show it best.
func fitShared(list []stage, b bins, know belief, how station, service float64, work effort) fitted {
	response, quiet := 0.0, quietest(list)
	for k, n := range quiet.counts {
		response += n * b.middle[k] / quiet.total
	}
	if service < seenWork*response {
		return fitLatency(list, b, know, how, nil, work)
	}
	how.each = 0
	var best fitted
	at := 0
	fits := make([]float64, len(scatters))
	for i, scv := range scatters {
		f := split(list, b, know, how, service, scv)
		fits[i] = f.fit
		if f.cost = doubted(scv) - f.fit; i == 0 || f.cost < best.cost {
			best, at = f, i
		}
	}
	best = fitLatency(list, b, best.know, best.station, &best, work)
	best.cost += chosen(fits, at)
	return best
}

// split is the law of shared cores with the variability given of what is outside of the
// work.
func split(list []stage, b bins, know belief, how station, service, scv float64) fitted {
	how.parts = nil
	apart := fitted{at: know.mean}
	apart.server, apart.bins, apart.station = serverAt(know.mean), b, how
	apart.outside = how.outsideOf(list, b, know, service, scv)
	apart.sharpen(list)
	f := fitted{at: know.mean, know: know}
	f.know.mean[2], f.know.sd[2] = math.Log(apart.varied()), variesBy
	f.at[2] = f.know.mean[2]
	f.server, f.bins, f.station = serverAt(f.at), b, how
	f.parts = apart.parted()
	f.parts.service, f.parts.scv = service, scv
	f.base = f.restful(list)
	scratch := newScratch(len(f.base), len(b.middle))
	for range sharpening / 4 {
		f.base = f.expect(list, f.base, scratch)
	}
	return fitLatency(list, b, f.know, f.station, &f, brief)
}

// brief is the effort that a law is worth of several of which one is chosen.
var brief = effort{rounds: 1, steps: 24, expectations: 2}

// variesBy is the standard deviation of the log of the variability of the work, as the
// responses show it.
const variesBy = 0.5

// varied is the squared coefficient of variation of the work, where that is the base.
func (l *latency) varied() float64 {
	var mean, square float64
	for j, p := range l.base {
		w := l.outside.work.middle[j]
		mean, square = mean+p*w, square+p*w*w
	}
	return min(max(square/(mean*mean)-1, 0.03), 12)
}

// chosen is what it costs that one variability was chosen to suit the responses: minus
// the log of what all of them make of the responses in the mean, over what that one does.
func chosen(fits []float64, one int) float64 {
	most := slices.Max(fits)
	var sum, belief float64
	for i, scv := range scatters {
		w := math.Exp(-doubted(scv))
		sum, belief = sum+w*math.Exp(fits[i]-most), belief+w
	}
	return fits[one] - most - math.Log(sum/belief)
}

// doubted is minus the log of how likely a variability of what is outside of the work is
// beforehand: about a quarter, give or take a factor of three.
func doubted(scv float64) float64 {
	z := math.Log(max(scv, 0.02)/0.25) / math.Log(3)
	return z * z / 2
}

// sharpen makes out the histogram of a law whose server is known.
func (f *fitted) sharpen(list []stage) {
	f.base = f.restful(list)
	scratch := newScratch(len(f.base), len(f.bins.middle))
	for range sharpening {
		f.base = f.expect(list, f.base, scratch)
	}
	f.fit = f.likelihood(list, f.base, scratch)
}

// parted is how much of a response is work: of each bin of the time without waiting the
// mean, and its squared coefficient of variation, by Bayes' rule.
type parted struct {
	bins         bins
	mean, varies []float64
	// service is the mean work in s, and scv the variability of the rest, by which it was
	// made out.
	service, scv float64
}

// parted says of each bin of the time without waiting how much of it is work.
func (l *latency) parted() *parted {
	n := len(l.bins.middle)
	p := &parted{bins: l.bins, mean: make([]float64, n), varies: make([]float64, n)}
	mass, squares := make([]float64, n), make([]float64, n)
	for j, share := range l.base {
		w := l.outside.work.middle[j]
		for i, to := range l.outside.ends[j].shares {
			k := l.outside.ends[j].first + i
			mass[k] += share * to
			p.mean[k] += share * to * w
			squares[k] += share * to * w * w
		}
	}
	for k := range mass {
		if !(mass[k] > 1e-12) {
			p.mean[k], p.varies[k] = max(l.bins.middle[k]-l.outside.mean, 0), 0
			continue
		}
		p.mean[k] = min(p.mean[k]/mass[k], l.bins.middle[k])
		p.varies[k] = max(squares[k]/mass[k]/(p.mean[k]*p.mean[k])-1, 0)
	}
	return p
}

// at is the mean work, in s, of requests that take so long without waiting, and its
// squared coefficient of variation.
func (p *parted) at(base float64) (mean, varies float64) {
	k := p.bins.at(base)
	if top := p.bins.middle[k]; base > p.bins.edges[k+1] { // longer than any that was seen
		return p.mean[k] + base - top, p.varies[k]
	}
	return p.mean[k], p.varies[k]
}

// outsideOf is what is outside of the work of requests, as the responses show it in the
// mean, with a variability.
func (s station) outsideOf(list []stage, b bins, know belief, service, scv float64) *outside {
	s.outside = nil
	l := latency{server: serverAt(know.mean), station: s, bins: b}
	return newOutside(l.outsideMean(list, service), scv, b)
}

// outsideMean is the mean of that part, as the responses of all loads show it: what they
// are in the mean above the work of a request, in s on one core, and what sharing adds to
// it. The higher the load, the more the law of sharing may be off, by slack of the whole.
func (l *latency) outsideMean(list []stage, service float64) float64 {
	const slack = 0.03
	var sum, weight float64
	for _, g := range list {
		if !(g.total > 0) {
			continue
		}
		var mean, square float64
		for k, n := range g.counts {
			mean += n * l.bins.middle[k] / g.total
			square += n * l.bins.middle[k] * l.bins.middle[k] / g.total
		}
		used := service * (1 + l.crowd(g.load).mean)
		if l.besides != nil {
			used += l.besides.delay(g.load, nil)
		}
		w := 1 / ((square-mean*mean)/g.total + slack*slack*used*used + 1e-18)
		sum, weight = sum+w*(mean-used), weight+w
	}
	if !(weight > 0) {
		return 0
	}
	return max(sum/weight, 0)
}
