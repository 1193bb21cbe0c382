package capacity

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"

	"github.com/headroom-project/headroom/loadgen/observation"
)

// What the steps may show of a service that was not the same throughout. Each
// must be beyond chance and large enough to matter.
const (
	// chanceMix is the probability with which a mix that did not change is taken for
	// one that did.
	chanceMix = 1e-4
	// otherMix is the change of a request's share, of itself and of the whole, that
	// matters.
	otherMix, otherMixWhole = 0.25, 0.02
	// otherSize is the change of an answer's size, and otherResponse that of the
	// median response, that matters; a response also by some ms.
	otherSize, otherResponse, otherResponseMS = 0.2, 0.2, 0.5
	// certain is by how many standard errors two means must differ.
	certain = 4.0
	// later is how many seconds apart two steps of one load must be.
	later = 20.0
)

// pitfalls warns of what the laws take for granted and the steps contradict: that
// a request is the same request, of the same mix, at every load and time.
func (a *Analysis) pitfalls(all []series, fits []fit, sat *plateau) {
	steady := slices.DeleteFunc(slices.Clone(all), func(s series) bool {
		return !s.point.Valid || s.point.Cut != "" || s.point.ErrorRatio > 0.02 || sat != nil && s.load > nearly*sat.rate
	})
	slices.SortStableFunc(steady, func(x, y series) int { return compare(x.load, y.load) })
	for i := range fits {
		a.sameDemand(&fits[i], steady)
	}
	if !a.sameMix(all) {
		return // what follows would only say so again
	}
	a.sameAnswers(steady)
	a.warmed(steady)
	a.sameResponse(steady)
}

// sameMix reports whether each request had the same share of every step, by the
// chi-squared test of homogeneity (Pearson 1900).
func (a *Analysis) sameMix(all []series) bool {
	var names []string
	var steps []*observation.Point
	for i := range all {
		p := all[i].point
		if len(p.Requests) == 0 || p.OK+p.Failed < 100 {
			continue
		}
		steps = append(steps, p)
		for name := range p.Requests {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	if len(steps) < 2 || len(names) < 2 || len(names) > 100 {
		return true
	}
	slices.Sort(names)
	chi, free, worst := 0.0, 0.0, shift{}
	for _, name := range names {
		x, s := homogeneity(name, steps)
		chi, free = chi+x, free+float64(len(steps)-1)
		if s.size() > worst.size() {
			worst = s
		}
	}
	free *= float64(len(names)-1) / float64(len(names))
	if chi < (distuv.ChiSquared{K: free}).Quantile(1-chanceMix) || worst.what == "" {
		return true
	}
	a.warn("the mix changed between steps: %s was %s of the hits at %.4g/s and %s at %.4g/s, so that demands and capacity are of no one mix; hint: keep the weights, or fit the steps of one mix",
		worst.what, percent(worst.before), worst.from, percent(worst.after), worst.to)
	return false
}

// shift is a figure that was before at the load from, and after at the load to.
type shift struct {
	what                    string
	before, after, from, to float64
}

func (s shift) size() float64 { return math.Abs(s.after - s.before) }

// homogeneity is a request's part of the chi-squared statistic, and how its share
// differs most; what is empty where that does not matter.
func homogeneity(name string, steps []*observation.Point) (chi float64, worst shift) {
	var hits, total float64
	for _, p := range steps {
		f := p.Requests[name]
		hits, total = hits+float64(f.OK+f.Failed), total+float64(p.OK+p.Failed)
	}
	share := hits / total
	low, high := shift{before: math.Inf(1)}, shift{before: math.Inf(-1)}
	for _, p := range steps {
		f, n := p.Requests[name], float64(p.OK+p.Failed)
		seen, expected := float64(f.OK+f.Failed), share*n
		if expected > 0 {
			chi += (seen - expected) * (seen - expected) / expected
		}
		if s := seen / n; s < low.before {
			low = shift{before: s, from: p.Offered}
		}
		if s := seen / n; s > high.before {
			high = shift{before: s, from: p.Offered}
		}
	}
	if high.before-low.before < max(otherMix*share, otherMixWhole) {
		return chi, shift{}
	}
	if low.from > high.from {
		low, high = high, low
	}
	return chi, shift{what: fmt.Sprintf("%q", name), before: low.before, after: high.before, from: low.from, to: high.from}
}

// of is the mean over the seconds of a step of what value gives, with its standard
// error; ok is false with too few seconds.
func (s *series) of(value func(*window) float64) (mean, error float64, ok bool) {
	values := make([]float64, 0, len(s.windows))
	for i := range s.windows {
		if v := value(&s.windows[i]); !math.IsNaN(v) {
			values = append(values, v)
		}
	}
	if len(values) < 3 {
		return 0, 0, false
	}
	mean, sd := stat.MeanStdDev(values, nil)
	return mean, sd / math.Sqrt(float64(len(values))), true
}

// typical is the median response in ms, as its seconds have it; that of a table has the
// error of a quantile.
func (s *series) typical() (ms, error float64, ok bool) {
	if len(s.windows) == 0 {
		ms = s.point.Response.P50
		n := max(float64(s.point.OK+s.point.Failed), s.point.Throughput*max(s.seconds, 1))
		return ms, ms * quantileError(s.point.Response, "p50", n), ms > 0
	}
	return s.of(func(w *window) float64 { return quantile(w.bins, s.first, 0.5) })
}

func apartBy(one, oneError, other, otherError float64) bool {
	return math.Abs(one-other) > certain*math.Hypot(oneError, otherError)
}

// sameAnswers compares the size of answers at the lowest load and at the highest.
func (a *Analysis) sameAnswers(steady []series) {
	if len(steady) < 2 {
		return
	}
	low, high := &steady[0], &steady[len(steady)-1]
	size := func(s *series) (mean, error float64, ok bool) {
		var sizes []float64
		for _, w := range s.point.Windows {
			if w.Tally != nil && w.Tally.Ended() > 0 {
				sizes = append(sizes, float64(w.Tally.BytesIn)/float64(w.Tally.Ended()))
			}
		}
		if len(sizes) < 3 {
			return 0, 0, false
		}
		mean, sd := stat.MeanStdDev(sizes, nil)
		return mean, sd / math.Sqrt(float64(len(sizes))), true
	}
	before, e1, ok1 := size(low)
	after, e2, ok2 := size(high)
	if ok1 && ok2 && before > 0 && math.Abs(after/before-1) > otherSize && apartBy(before, e1, after, e2) {
		a.warn("an answer was %.4g bytes at %.4g/s and %.4g at %.4g/s: what was served is not the same (a cache, degraded answers, other data), and neither is what it takes", before, low.load, after, high.load)
	}
}

// warmed says where responses get faster with the load.
func (a *Analysis) warmed(steady []series) {
	if len(steady) < 2 {
		return
	}
	low := &steady[0]
	before, e1, ok := low.typical()
	if !ok {
		return
	}
	for i := len(steady) - 1; i > 0; i-- {
		s := &steady[i]
		after, e2, ok := s.typical()
		if ok && s.load > 1.5*low.load && after < (1-otherResponse)*before && before-after > otherResponseMS && apartBy(before, e1, after, e2) {
			a.warn("responses got faster with the load (median %.3g ms at %.4g/s, %.3g ms at %.4g/s): caches, connections or code were cold in the lower steps, which then say little of a busy service; hint: a longer warm-up",
				before, low.load, after, s.load)
			return
		}
	}
}

// sameResponse compares steps of one load that were offered at different times,
// well below the highest, where the length of a queue is not what differs.
func (a *Analysis) sameResponse(steady []series) {
	if len(steady) == 0 {
		return
	}
	top := steady[len(steady)-1].load
	for i := range steady {
		for j := range steady {
			one, two := &steady[i], &steady[j]
			table := len(one.windows) == 0 && len(two.windows) == 0 // which has no times
			if !table && two.at()-one.at() < later || table && one.point.Step >= two.point.Step || one.load > 0.8*top || math.Abs(one.load/two.load-1) > alike {
				continue
			}
			before, e1, ok1 := one.typical()
			after, e2, ok2 := two.typical()
			if ok1 && ok2 && math.Abs(after/before-1) > otherResponse && math.Abs(after-before) > otherResponseMS && apartBy(before, e1, after, e2) {
				if table {
					a.warn("rows of one load differ: a median of %.3g ms at %.4g/s and %.3g ms at %.4g/s: the target, its data or its neighbours changed between them, and the figures are of no one state; hint: fit the rows of one state", before, one.point.Offered, after, two.point.Offered)
					return
				}
				a.warn("the same load was answered differently later: median %.3g ms at %.0f s, %.3g ms at %.0f s, both at %.4g/s: a cache, its data or its neighbours changed, and the figures are of no one state",
					before, one.at(), after, two.at(), one.load)
				return
			}
		}
	}
}
