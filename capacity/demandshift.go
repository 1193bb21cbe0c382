package capacity

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/gonum/stat/distuv"
)

const (
	// otherDemand is the change of what a request takes that matters, and otherCalls
	// that of the calls it makes.
	otherDemand, otherCalls = 0.08, 0.04
	// fewShifts is how many readings tell one form from another.
	fewShifts = 6
)

// callUnits are units of what counts calls to something behind the target.
var callUnits = []string{"requests/s", "calls/s", "queries/s", "hits/s"}

// calls says that a resource counts calls to something behind the target, by its
// unit or, where a table has none, by its name.
func (f *fit) calls() bool {
	if slices.Contains(callUnits, f.unit) {
		return true
	}
	return (f.unit == "" || f.unit == "1/s") && slices.ContainsFunc([]string{"calls", "queries", "requests", "hits", "retries"}, func(s string) bool { return strings.Contains(f.name, s) })
}

// sameDemand warns where what a request takes of a resource is not one figure. The
// rise that the resource law uses is said as it is; what no law uses, a demand that
// falls or changes at once, is looked for.
func (a *Analysis) sameDemand(f *fit, steady []series) {
	us, _, _ := uses(f.name, steady, nil)
	if len(us) == 0 {
		return
	}
	low, top := us[0].load, us[0].load
	for _, u := range us {
		low, top = min(low, u.load), max(top, u.load)
	}
	top = min(top, ofCeiling*f.reaches(f.limit)) // beyond it the law says nothing of a request
	switch {
	case f.calls():
		a.moreCalls(f, us)
	case f.limit > 0 && f.peak < slightly:
		// What hardly any of is used bounds nothing, however it changes.
	case !f.exercised && f.unit != "bytes" && f.unit != "count" && falls(us, f.limit):
		a.warn("less of %s is used at a higher load (%.3g at %.4g/s, %.3g at %.4g/s), which no law has: something else used it at the lower loads, or it is not read of what serves; hint: see what ran beside it", f.name, usedAt(us, low), low, usedAt(us, highestUse(us)), highestUse(us))
	case !f.exercised || !(f.limit > 0) && f.name != cpu:
		return
	case f.curved():
		a.warn("a request takes more of %s at a higher load (%.3g at rest, %.3g at %.4g/s): frequency, shared caches, garbage collection or contention", f.name, f.demandAt(0.01*top), f.demandAt(top), top)
	case f.drifted:
		a.warn("what a request takes of %s changed with the time, by %+.0f%% in 100 s: the figures are of the end of the drill", f.name, 10000*f.drift)
	case f.unit == "bytes" || f.unit == "count":
		// What requests in flight hold grows with their number, not with the load.
	default:
		if s, ok := shiftOf(us, f.line, otherDemand); ok {
			a.warn("besides %.3g at rest, a request took %.3g of %s %s and %.3g %s: %s; the laws take it to be one figure, %.3g", s.rest, s.before, f.name, s.from, s.after, s.to, s.cause(), f.demand)
		}
	}
}

const (
	// ofCeiling is the share of the load at its limit up to which a demand is quoted.
	ofCeiling = 0.99
	// slightly is the share of its limit below which a use does not matter.
	slightly = 0.02
	// less is the share of its greatest use, and ofLimit that of its limit, by which a use
	// must fall to matter.
	less, ofLimit = 0.2, 0.05
)

// falls says that a use falls as the load rises: by so much that it matters, and beyond
// chance (Student's t of the slope).
func falls(us []use, limit float64) bool {
	n := float64(len(us))
	if n < fewShifts {
		return false
	}
	var x, y, xx, xy, yy float64
	low, top, most := math.Inf(1), 0.0, 0.0
	for _, u := range us {
		x, y = x+u.load/n, y+u.used/n
		low, top, most = min(low, u.load), max(top, u.load), max(most, u.used)
	}
	for _, u := range us {
		xx, xy, yy = xx+(u.load-x)*(u.load-x), xy+(u.load-x)*(u.used-y), yy+(u.used-y)*(u.used-y)
	}
	slope := xy / xx
	drop := -slope * (top - low)
	if !(drop > less*most) || limit > 0 && drop < ofLimit*limit {
		return false
	}
	rest := max(yy-slope*xy, 1e-12*yy)
	t := -slope / math.Sqrt(rest/(n-2)/xx)
	return t > distuv.StudentsT{Sigma: 1, Nu: n - 2}.Quantile(1-chanceTerm)
}

func highestUse(us []use) (top float64) {
	for _, u := range us {
		top = max(top, u.load)
	}
	return top
}

// usedAt is the mean use at a load.
func usedAt(us []use, load float64) float64 {
	sum, n := 0.0, 0.0
	for _, u := range us {
		if u.load == load {
			sum, n = sum+u.used, n+1
		}
	}
	return sum / n
}

// moreCalls warns of calls to something behind the target that grow faster than
// what is served: retries do, and each makes the overload that it answers worse.
func (a *Analysis) moreCalls(f *fit, us []use) {
	if s, ok := shiftOf(us, f.line, otherCalls); ok && s.after > s.before {
		a.warn("%s: %.3g for each request %s, %.3g %s: retries, or a cache that answers less; beyond the loads that were offered they may grow further, and the capacity with them be lower", f.name, s.before, s.from, s.after, s.to)
	}
}

// otherwise is what a request took before and after something changed.
type otherwise struct {
	before, after float64
	from, to      string
	rest          float64 // what is used without a request
	// withLoad says that it goes with the load, together that it goes as well with
	// the time, as both grew together.
	withLoad, together bool
}

func (o *otherwise) cause() string {
	switch {
	case o.together:
		return "it changed with the load or with the time, which grew together: a cache that warmed or no longer fits, batching, or the clock of the cores"
	case o.withLoad && o.after < o.before:
		return "batching, caches that more requests share, or the clock of the cores"
	case o.withLoad:
		return "a cache that no longer fits, garbage collection or contention"
	}
	return "a cache that warmed or no longer fits, other data, or another release"
}

// shiftOf looks for a demand that changes with the load, or at an instant: the form
// that explains the readings best, if two terms do not explain them and chance does
// not either (Student's t of the third term; Bonferroni over the instants).
func shiftOf(us []use, l line, matters float64) (found otherwise, ok bool) {
	if len(us) < fewShifts || us[0].slots {
		return otherwise{}, false
	}
	most := 0.0
	for _, u := range us {
		most = max(most, u.used)
	}
	w := make([]float64, len(us))
	for i, u := range us {
		w[i] = 1 / max(scatter(u, l, most), 1e-300)
	}
	plain := squares(us, w, func(u use) []float64 { return []float64{1, u.load} })
	load, loadMisfit, loadOK := withLoad(us, w)
	if loadOK = loadOK && better(plain, loadMisfit, len(us), chanceTerm) && load.matters(matters); loadOK {
		found, ok = load, true
	}
	at, atMisfit, tried := atOnce(us, w)
	if tried > 0 && better(plain, atMisfit, len(us), chanceTerm/float64(tried)) && at.matters(matters) {
		switch {
		case !ok || atMisfit < loadMisfit/2:
			found, ok = at, true
		case atMisfit < 2*loadMisfit:
			found.together = true
		}
	}
	return found, ok
}

func (o *otherwise) matters(share float64) bool {
	return o.before > 0 && o.after > 0 && math.Abs(o.after/o.before-1) >= share
}

// squares is the weighted sum of squared distances of the best fit, +Inf if there
// is none.
func squares(us []use, w []float64, terms func(use) []float64) float64 {
	c, ok := leastSquares(us, w, terms)
	if !ok {
		return math.Inf(1)
	}
	return squaresOf(us, w, terms, c)
}

func squaresOf(us []use, w []float64, terms func(use) []float64, c []float64) float64 {
	sum := 0.0
	for i, u := range us {
		d := u.used
		for k, v := range terms(u) {
			d -= c[k] * v
		}
		sum += w[i] * d * d
	}
	return sum
}

// withLoad fits a demand that changes with the load.
func withLoad(us []use, w []float64) (o otherwise, misfit float64, ok bool) {
	terms := func(u use) []float64 { return []float64{1, u.load, u.load * u.load} }
	c, ok := leastSquares(us, w, terms)
	if !ok {
		return o, math.Inf(1), false
	}
	low, top := us[0].load, us[0].load
	for _, u := range us {
		low, top = min(low, u.load), max(top, u.load)
	}
	return otherwise{
		rest: c[0], before: c[1] + c[2]*low, after: c[1] + c[2]*top, from: fmt.Sprintf("at %.4g/s", low), to: fmt.Sprintf("at %.4g/s", top), withLoad: true,
	}, squaresOf(us, w, terms, c), true
}

// atOnce fits a demand that changes between two readings, at each instant between
// them; tried is at how many.
func atOnce(us []use, w []float64) (best otherwise, least float64, tried int) {
	times := make([]float64, 0, len(us))
	for _, u := range us {
		times = append(times, u.at)
	}
	slices.Sort(times)
	least = math.Inf(1)
	for k := 2; k+2 <= len(times); k++ {
		if times[k] <= times[k-1] {
			continue // a table has no times
		}
		edge := (times[k] + times[k-1]) / 2
		terms := func(u use) []float64 {
			if u.at > edge {
				return []float64{1, u.load, u.load}
			}
			return []float64{1, u.load, 0}
		}
		c, ok := leastSquares(us, w, terms)
		if !ok {
			continue
		}
		tried++
		if m := squaresOf(us, w, terms, c); m < least {
			least = m
			best = otherwise{rest: c[0], before: c[1], after: c[1] + c[2], from: fmt.Sprintf("until %.0f s", edge), to: "after"}
		}
	}
	return best, least, tried
}
