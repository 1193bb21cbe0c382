package capacity

import (
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat"

	"github.com/headroom-project/headroom/loadgen/search"
)

// law is how something grows with the served load.
type law interface {
	// at returns the value at a load in requests/s.
	at(load float64) float64
	// reaches returns the load at which the value is limit, +Inf if it never is.
	reaches(limit float64) float64
}

// line is the utilisation law U = base + demand*X and, where the points ask for
// it, a demand that rises with the load:
//
//	U = base + demand*X/(1 - pole*X) + bend*X^2
//
// The pole is what the Universal Scalability Law says of busy servers if their
// contention is that of one queue (N = X(1-a)/(g-aX)); the bend stands for any
// other cause. One of them is 0. On several cores it is crosstalk among the requests
// that are served at once, up to the limit, unless the readings contradict that.
type line struct {
	base, demand, bend, pole float64
	talk                     crosstalk
	limit                    float64 // of cores; 0 for other resources
	// precise is by how many times less, as a ratio of variances, the readings of cores are
	// known to scatter than was to be expected; 0 if that is not known.
	precise float64
}

var _ law = line{}

func (l line) at(load float64) float64 {
	if !l.talk.none() {
		return l.base + l.talk.present(l.demand*load, l.limit-l.base).busy
	}
	rest := 1 - l.pole*load
	if rest <= 0 {
		return math.Inf(1)
	}
	return l.base + l.demand*load/rest + l.bend*load*load
}

func (l line) reaches(limit float64) float64 {
	room := limit - l.base
	switch {
	case !(l.demand > 0):
		return math.Inf(1)
	case room <= 0:
		return 0
	case !l.talk.none():
		return l.talk.speed(room, room) / l.demand
	case l.pole > 0:
		return room / (l.demand + room*l.pole)
	case l.bend > 0: // the form that does not cancel for a small bend
		return 2 * room / (l.demand + math.Sqrt(l.demand*l.demand+4*l.bend*room))
	}
	return room / l.demand
}

// curved says that a request costs more at a higher load.
func (l line) curved() bool { return l.bend > 0 || l.pole > 0 || !l.talk.none() }

// fit is the law of one resource, with its replicates.
type fit struct {
	name, unit string
	limit      float64
	line
	// exercised says that the use grew with the load beyond doubt.
	exercised bool
	// drift is by how much the demand grew in a second of the drill, as a ratio of
	// the demand at its end, which is the one that the line has.
	drift float64
	// drifted says that the drift is beyond doubt.
	drifted bool
	// scv is the squared coefficient of variation of the time for which a lock is
	// held, 0 if unknown.
	scv float64
	// lock is the function that holds the lock whose use this is, if it is one.
	lock string
	// times is how often a request takes it; 1 unless the waits contradict that.
	times float64
	// peak is the greatest use as a ratio of the limit, 0 without a limit.
	peak  float64
	shape shape
	// gain is by how much crosstalk explains the readings better than a straight
	// line; first is the robust line that refining began with.
	gain     float64
	first    line
	readings []use
	// rises is a law by which a request costs more at a higher load, whatever the reason,
	// where the readings of cores show that beyond chance; else nil.
	rises *line
	// doubted is the standard error of the log of the ceiling, if draws do not tell.
	doubted float64
	// draws are refits over resampled points.
	draws []line
	// failed is what of a load is not answered OK: the law is of what is, and a ceiling of
	// what is offered.
	failed failures
}

// use is one reading of a resource: what was used while load was served.
type use struct {
	load, used float64
	// weight is how many readings it is the mean of, and at when it was taken, in
	// seconds of the drill.
	weight, at float64
	stay       float64 // mean response in s
	flight     float64 // mean number of requests in flight
	// slots says that it is a number of slots, which a gauge reads at an instant.
	slots bool
	// counted says that it comes from so many events as weight says.
	counted bool
	// lone says that it is of a table, and a mean of nobody knows how many readings.
	lone bool
}

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
		us, limit, unit := uses(name, all, sat)
		if f, ok := fitUses(us, limit, unit); ok {
			f.name, f.unit = name, unit
			f.resample(us, replicates, source)
			fits = append(fits, f)
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
		weight := float64(u.Samples)
		if weight <= 0 {
			weight = min(max(all[i].seconds, 1), 1000)
		}
		us = append(us, use{load: all[i].served(sat), used: u.Used, weight: weight, at: all[i].at(), stay: all[i].stay(), flight: all[i].flight(), slots: u.Unit == "slots", lone: len(all[i].point.Windows) == 0 && u.Samples <= 1})
		unit = u.Unit
		if u.Limit > 0 && !math.IsInf(u.Limit, 0) {
			limit = u.Limit
		}
	}
	if unit == "bytes" {
		us = asKept(us)
	}
	return us, limit, unit
}

// asKept moves each load by asInFlight, but where memory clearly goes with the load
// itself: what requests keep after they were answered (sessions, caches) is there
// however long they took.
func asKept(us []use) []use {
	flying := asInFlight(us)
	if besideLine(us) < keptAfter*besideLine(flying) {
		return us
	}
	return flying
}

// keptAfter is by how much less readings must scatter over the load than over the
// number in flight for memory to be kept by what was answered.
const keptAfter = 0.67

// besideLine is the mean distance of readings from the robust line through them.
func besideLine(us []use) float64 {
	l, ok := theilSen(us)
	if !ok {
		return math.Inf(1)
	}
	sum, weight := 0.0, 0.0
	for _, u := range us {
		sum, weight = sum+u.weight*math.Abs(u.used-l.at(u.load)), weight+u.weight
	}
	return sum / weight
}

// asInFlight moves each load by how many more or fewer requests were in flight
// than usual at such a load. Memory goes with their number, X*R (Little's law),
// which chance moves from step to step, and which was observed: what is left to
// scatter are the readings.
func asInFlight(us []use) []use {
	var w, x, y, xx, xy float64
	for _, u := range us {
		if !(u.stay > 0) || !(u.flight > 0) {
			return us
		}
		n := u.load * u.weight
		w, x, y, xx, xy = w+n, x+n*u.load, y+n*u.stay, xx+n*u.load*u.load, xy+n*u.load*u.stay
	}
	slope := 0.0
	if det := w*xx - x*x; det > 1e-9*w*xx {
		slope = (w*xy - x*y) / det
	}
	moved := slices.Clone(us)
	for i, u := range us {
		if usual := (y-slope*x)/w + slope*u.load; usual > 0 {
			moved[i].load *= min(max(u.flight/u.load/usual, 0.5), 2)
		}
	}
	return moved
}

// slow is the response in s above which a step does not fill at once.
const slow = 0.25

// flight is the mean number of requests in flight while the readings were taken, 0
// if unknown: as counted each second where they stay long, so that they are fewer
// while a step fills, else by Little's law, which chance moves less than a count.
func (s *series) flight() float64 {
	p := s.point
	stay := s.stay()
	sum, n := 0.0, 0.0
	for _, f := range p.Flow {
		if f.From >= p.Discarded-1.1 && f.To <= p.Discarded+p.Seconds+0.1 {
			part := 1.0
			if f.From < p.Discarded-0.1 || f.To > p.Discarded+p.Seconds-0.1 {
				part = 0.5 // trapezoidal rule
			}
			sum, n = sum+part*float64(f.InFlight), n+part
		}
	}
	if stay > slow && n >= 2 {
		return sum / n
	}
	return s.load * stay
}

// stay is the mean response in s of what was answered in the step, 0 if unknown.
func (s *series) stay() float64 {
	var sum, n float64
	for _, w := range s.windows {
		sum, n = sum+w.sum, n+w.ended()
	}
	if n == 0 {
		return s.point.Response.Mean / 1000
	}
	return sum / n / 1000
}

// at is the middle of the step, in seconds of the drill; 0 for a table.
func (s *series) at() float64 {
	if len(s.point.Windows) == 0 {
		return 0
	}
	return s.point.Windows[0].At + s.seconds/2
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

// fitUses fits a line through the readings, or one that rises if it predicts
// better, or one whose demand drifts with the time.
func fitUses(us []use, limit float64, unit string) (fit, bool) {
	l, ok := theilSen(us)
	if !ok {
		return fit{}, false
	}
	if unit == "cores" && limit >= fewestCores {
		l.limit = limit
	}
	f := fit{limit: limit, line: l}
	f.exercised = significant(us, l)
	if !f.exercised {
		if o, ok := proportional(us); ok {
			l, f.line, f.exercised = o, o, true
		}
	}
	if limit > 0 {
		for _, u := range us {
			f.peak = max(f.peak, u.used/limit)
		}
	}
	if f.exercised {
		if l.limit > 0 {
			f.shape, f.gain, l.precise = chooseOfCores(us, l)
		} else {
			f.shape = chooseShape(us, l)
		}
		if l.limit > 0 && f.shape != drifting && firmly(us, l, bent) {
			rises, _ := refine(us, l, bent)
			f.rises = &rises
		}
		f.first, f.readings = l, us
		f.line, f.drift = refine(us, l, f.shape)
		f.drifted = f.drift != 0 && drifts(us, l, plainDrift)
	}
	return f, true
}

// fewestCores is how many there must be for requests on them to disturb each other.
const fewestCores = 2

// resample refits over readings that are redrawn: each keeps its load, and its
// distance from the law changes sign or not (wild bootstrap; Wu 1986), so that the
// design of the drill stays what it was and noisy readings stay noisy.
func (f *fit) resample(us []use, replicates int, source *rand.Rand) {
	f.draws = make([]line, 0, replicates)
	drawn := slices.Clone(us)
	inflate := math.Sqrt(float64(len(us)) / max(float64(len(us)-f.shape.terms()), 1))
	for range replicates {
		for i, u := range us {
			expected := f.at(u.load) * f.aged(u, us)
			error := (u.used - expected) * inflate
			if source.IntN(2) == 0 {
				error = -error
			}
			drawn[i].used = max(expected+error, 0)
		}
		l := f.line
		if f.exercised {
			l, _ = refine(drawn, f.line, f.shape)
		} else if t, ok := theilSen(drawn); ok {
			l = t
		}
		f.draws = append(f.draws, l)
	}
}

// theilSen is the median of the slopes between all pairs of readings, with the
// median intercept (Sen 1968). Up to 29% of the readings may be wild. Pairs are
// weighted by the distance of their loads, so that close pairs, whose slopes are
// mostly noise, count little (Jaeckel 1972).
func theilSen(us []use) (line, bool) {
	var slopes, weights []float64
	// Of thousands of readings some pairs of each do (Theil's incomplete method).
	stride := max(len(us)*len(us)/2/mostPairs, 1)
	for i, a := range us {
		for j := i + stride; j < len(us); j += stride {
			b := us[j]
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

// mostPairs bounds the work of a robust line: of 280 readings and fewer each pair counts.
const mostPairs = 40_000

// proportional is the law through the origin of slots that are read at an instant:
// a few readings of a small pool scatter too much to show a slope, but not too much
// to show that some are taken, which none are without requests. ok is false where
// the readings say otherwise, as of slots that stay taken.
func proportional(us []use) (l line, ok bool) {
	if len(us) < 3 || !us[0].slots {
		return line{}, false
	}
	var load, used float64
	for _, u := range us {
		load, used = load+u.weight*u.load, used+u.weight*u.used
	}
	if !(used > sureSlots) || !(load > 0) {
		return line{}, false
	}
	l = line{demand: used / load}
	w := weights(us, l)
	c, ok := leastSquares(us, w, func(u use) []float64 { return []float64{1, u.load} })
	if !ok {
		return line{}, false
	}
	least := misfitBy(us, line{base: c[0], demand: c[1]}, 0, w)
	return l, misfitBy(us, l, 0, w)-least <= plainly*dispersed(least, len(us)-2)
}

// sureSlots is how many slots must have been found taken, summed over all readings,
// for their mean to be known to a fifth.
const sureSlots = 25.0

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
	// A gauge of slots that is read at an instant scatters widely around its law.
	return l.demand > 4*slope && (us[0].slots || l.demand*sd > 2*scatter)
}
