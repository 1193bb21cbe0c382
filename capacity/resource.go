package capacity

import (
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat"

	"github.com/headroom-project/headroom/loadgen/search"
)

// law is how something grows with the served load; the seam for laws that are not
// straight lines (demand that rises with load, Universal Scalability Law).
type law interface {
	// at returns the value at a load in requests/s.
	at(load float64) float64
	// reaches returns the load at which the value is limit, +Inf if it never is.
	reaches(limit float64) float64
}

// line is the utilisation law U = base + demand*X.
type line struct{ base, demand float64 }

var _ law = line{}

func (l line) at(load float64) float64 { return l.base + l.demand*load }

func (l line) reaches(limit float64) float64 {
	if !(l.demand > 0) {
		return math.Inf(1)
	}
	return max((limit-l.base)/l.demand, 0)
}

// fit is the law of one resource, with its replicates.
type fit struct {
	name, unit string
	limit      float64
	line
	// exercised says that the use grew with the load beyond doubt.
	exercised bool
	// peak is the greatest use as a ratio of the limit, 0 without a limit.
	peak float64
	// draws are refits over resampled points.
	draws []line
}

// use is one reading of a resource: what was used while load was served.
type use struct{ load, used float64 }

// fitResources fits the resource law to every resource that the points have,
// sorted by name. Steps past saturation count with the load that was served: the
// rate of the plateau.
func fitResources(all []series, sat *plateau, replicates int, source *rand.Rand) []fit {
	var names []string
	for _, s := range all {
		for name := range s.point.Resources {
			if !search.OfGenerator(name) && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	var fits []fit
	for _, name := range names {
		if f, ok := fitResource(name, all, sat); ok {
			fits = append(fits, f.resample(all, sat, replicates, source))
		}
	}
	return fits
}

func uses(name string, all []series, sat *plateau) (us []use, limit float64, unit string) {
	for i := range all {
		u, ok := all[i].point.Resources[name]
		if !ok || !(u.Used >= 0) || math.IsInf(u.Used, 0) {
			continue
		}
		us = append(us, use{all[i].served(sat), u.Used})
		unit = u.Unit
		if u.Limit > 0 && !math.IsInf(u.Limit, 0) {
			limit = u.Limit
		}
	}
	return us, limit, unit
}

// served is the load that the step served while it was offered.
func (s *series) served(sat *plateau) float64 {
	load := s.load
	if x := s.point.Throughput; x >= lowestLoad {
		load = min(load, x)
	}
	if sat != nil {
		load = min(load, sat.rate)
	}
	return load
}

func fitResource(name string, all []series, sat *plateau) (fit, bool) {
	us, limit, unit := uses(name, all, sat)
	l, ok := theilSen(us)
	if !ok {
		return fit{}, false
	}
	f := fit{name: name, unit: unit, limit: limit, line: l}
	f.exercised = significant(us, l)
	if limit > 0 {
		for _, u := range us {
			f.peak = max(f.peak, u.used/limit)
		}
	}
	return f, true
}

// resample refits over points drawn with replacement.
func (f fit) resample(all []series, sat *plateau, replicates int, source *rand.Rand) fit {
	us, _, _ := uses(f.name, all, sat)
	drawn := make([]use, len(us))
	for range replicates {
		for i := range drawn {
			drawn[i] = us[source.IntN(len(us))]
		}
		l, ok := theilSen(drawn)
		if !ok {
			l = f.line // all draws fell on one load
		}
		f.draws = append(f.draws, l)
	}
	return f
}

// theilSen is the median of the slopes between all pairs of readings, with the
// median intercept (Sen 1968). Up to 29% of the readings may be wild. Pairs are
// weighted by the distance of their loads, so that close pairs, whose slopes are
// mostly noise, count little (Jaeckel 1972).
func theilSen(us []use) (line, bool) {
	var slopes, weights []float64
	for i, a := range us {
		for _, b := range us[i+1:] {
			if d := math.Abs(b.load - a.load); d > 1e-6*(a.load+b.load) {
				slopes = append(slopes, (b.used-a.used)/(b.load-a.load))
				weights = append(weights, d)
			}
		}
	}
	if len(slopes) == 0 {
		return line{}, false
	}
	stat.SortWeighted(slopes, weights)
	l := line{demand: stat.Quantile(0.5, stat.Empirical, slopes, weights)}
	bases := make([]float64, len(us))
	for i, u := range us {
		bases[i] = u.used - l.demand*u.load
	}
	slices.Sort(bases)
	l.base = percentile(bases, 0.5)
	return l, !math.IsNaN(l.demand) && !math.IsInf(l.demand, 0) && !math.IsNaN(l.base) && !math.IsInf(l.base, 0)
}

// significant says whether use grows with load: the slope is four standard errors
// above 0, with the scatter taken from the median deviation, and the line
// explains most of what varies. Memory that creeps up with time does neither.
func significant(us []use, l line) bool {
	if len(us) < 3 || !(l.demand > 0) {
		return false
	}
	deviations := make([]float64, len(us))
	loads := make([]float64, len(us))
	for i, u := range us {
		deviations[i], loads[i] = math.Abs(u.used-l.at(u.load)), u.load
	}
	slices.Sort(deviations)
	scatter := 1.4826 * percentile(deviations, 0.5)
	_, sd := stat.MeanStdDev(loads, nil)
	if !(sd > 0) {
		return false
	}
	slope := scatter / (sd * math.Sqrt(float64(len(us)-1)))
	return l.demand > 4*slope && l.demand*sd > 2*scatter
}
