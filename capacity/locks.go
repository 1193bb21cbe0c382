package capacity

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"gonum.org/v1/gonum/stat"

	"github.com/headroom-project/headroom/loadgen/observation"
)

// A lock does not show in CPU. Two figures of a mutex profile show how near it is
// to its limit, which is one holder all the time. With k the times that a request takes
// it, E[S] for how long each time, and U = X*k*E[S] the share of the time it is held:
//
//   - of k*X acquisitions a share U has to wait (arrivals see time averages; Wolff 1982);
//   - the mean wait of those is E[S^2]/(2 E[S] (1 - U)) (Pollaczek and Khinchine), so
//     that it grows as 1/(1 - U), whatever k is.

// fitLocks fits the use of each lock that the mutex profiles show.
func fitLocks(all []series, replicates int, source *rand.Rand) []fit {
	var fits []fit
	for _, name := range locksOf(all) {
		k, doubt := acquisitions(balanced(contentions(name, all)))
		us := heldShares(name, k, all)
		if len(us) < 3 {
			us, k, doubt = heldByWaits(name, all), 1, 0 // which says it of the lock, whoever takes it
		}
		f, ok := fitUses(us, 1, "")
		if !ok || !f.exercised || f.peak < 0.02 {
			continue
		}
		// No request means no holder: through the origin, unless that is far off.
		f.name, f.unit, f.lock = "lock: "+short(name), ShareHeld, name
		f.scv = f.unevenness(all)
		f.resample(us, replicates, source)
		f.times = k
		if doubt > 0 {
			f.scale(doubt, source)
		}
		fits = append(fits, f)
	}
	return fits
}

// scale lets the draws of the law err by a factor, whose log has this standard error.
func (f *fit) scale(doubt float64, source *rand.Rand) {
	for i := range f.draws {
		by := math.Exp(doubt * source.NormFloat64())
		f.draws[i].base, f.draws[i].demand, f.draws[i].bend = by*f.draws[i].base, by*f.draws[i].demand, by*f.draws[i].bend
	}
}

// mostLocks bounds how many locks are fitted.
const mostLocks = 100

// locksOf are the functions that held a contended lock, those that were waited for most
// first. Those of Go's runtime are left out: runtime.unlock stands for all of its locks, of the
// scheduler, the allocator, the collector and the profiler, which nobody holds together.
func locksOf(all []series) []string {
	var names []string
	waited := map[string]float64{}
	for i := range all {
		for _, w := range all[i].point.Locks {
			if strings.HasPrefix(w.Function, "runtime.") {
				continue
			}
			if _, known := waited[w.Function]; !known {
				names = append(names, w.Function)
			}
			waited[w.Function] += w.Seconds * all[i].profiled()
		}
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(waited[b], waited[a]), cmp.Compare(a, b)) })
	return names[:min(len(names), mostLocks)]
}

// profiled is for how many seconds what is known of locks was seen.
func (s *series) profiled() float64 {
	if over := s.point.LockSeconds; over > 0 && over <= longestStep {
		return over
	}
	return max(s.seconds, 1)
}

// ended is how many hits ended in a second, failed ones too: they may have held a lock.
func (s *series) ended() float64 {
	var n float64
	for _, w := range s.windows {
		n += w.ended()
	}
	if n > 0 && s.seconds > 0 {
		return min(n/s.seconds, s.load)
	}
	if good := 1 - s.point.ErrorRatio; good > 0 && good < 1 {
		return min(s.served(nil)/good, s.load)
	}
	return s.served(nil)
}

// contended is what one step says of a lock: how often in a second it was waited for
// while load was served, and for how long in all; over so many seconds, in which so many
// waits were counted. full says that the step did not serve what it was offered.
type contended struct {
	load, count, wait, seconds, events float64
	full                               bool
}

// contentions are the steps in which the lock was waited for.
func contentions(function string, all []series) []contended {
	var list []contended
	each := everyNth(all)
	for i := range all {
		s := &all[i]
		w := named(s.point.Locks, function)
		load := s.ended()
		if !s.point.Valid || !(load > 0) || !(w.Contentions > 0) || !(w.Seconds > 0) || math.IsInf(w.Contentions, 0) || math.IsInf(w.Seconds, 0) {
			continue
		}
		list = append(list, contended{
			load: load, count: w.Contentions, wait: w.Seconds, seconds: s.profiled(), events: w.Contentions * s.profiled() / each,
			full: s.point.Cut != "" || load < inBalance*s.load,
		})
	}
	return list
}

// balanced are those whose waits are of a queue that is in balance.
func balanced(list []contended) []contended {
	return slices.DeleteFunc(slices.Clone(list), func(c contended) bool { return c.full })
}

// everyNth is how many waits one in a profile stands for: a Go runtime that samples one of n
// counts it n times, so that all counts are multiples of n.
func everyNth(all []series) float64 {
	var common, counts int64
	for i := range all {
		if all[i].point.LockSeconds <= 0 {
			return 1
		}
		for _, w := range all[i].point.Locks {
			n := w.Contentions * all[i].profiled()
			if !(n < 1e12) || math.Abs(n-math.Round(n)) > 0.01 {
				return 1
			}
			if k := int64(math.Round(n)); k > 0 {
				counts++
				for common, k = k, common; k != 0; {
					common, k = k, common%k
				}
			}
		}
	}
	if counts < enoughSampled {
		return 1
	}
	return max(float64(common), 1)
}

const (
	// inBalance is the share of what is offered that a step must serve for its waits to be
	// those of a queue that is in balance.
	inBalance = 0.95
	// enoughSampled is how many counts must have a common divisor for it to be no chance.
	enoughSampled = 4
	// enoughWaits is how many waits there must be in all for their growth to be read.
	enoughWaits = 50.0
	// manyWaits are so many that their growth tells how often a request takes the lock.
	manyWaits = 1000.0
	// mostTimes bounds how often a request takes a lock.
	mostTimes = 50.0
	// once is the probability, beforehand, that a request takes a lock once. Other numbers
	// have the rest, with this standard deviation of their log.
	once      = 0.95
	timesVary = 1.2
	// unlike is by how much, as a ratio, acquisitions may err besides: those of one request
	// come soon after one another, and not as those of many (simulated: scoreboard-locks).
	unlike = 0.11
	// plain is the probability from which on it is taken for certain.
	plain = 0.9
)

// acquisitions is how often a request takes a lock, and the standard error of its log.
// The profile counts those who had to wait alone, k^2 E[S] X^2 in a second, which says
// k times as much of the time it is held where a request takes it k times. The waits
// tell: those who wait do so for E[S^2]/(2 E[S]) at rest, and for 1/(1 - U) times as long
// under load. A request is taken to take a lock once, as nearly all do, as far as that
// does not contradict it.
func acquisitions(list []contended) (k, doubt float64) {
	rate, waits, top := pooled(list)
	if waits < enoughWaits {
		return 1, 0
	}
	var logs, weights []float64
	if least := rate * top * 1.02; least < 1 {
		logs, weights = append(logs, 0), append(weights, math.Log(once)+explained(list, rate, 1))
	}
	const step = 0.02
	for g := math.Log(max(rate*top*1.02, 1/mostTimes)); g < math.Log(mostTimes); g += step {
		z := g / timesVary
		density := math.Exp(-z*z/2) / (timesVary * math.Sqrt(2*math.Pi))
		logs = append(logs, g)
		weights = append(weights, math.Log((1-once)*density*step)+explained(list, rate/math.Exp(g), math.Exp(g)))
	}
	if len(logs) == 0 {
		return 1, 0
	}
	normalise(weights)
	if logs[0] == 0 && weights[0] >= plain {
		return 1, 0
	}
	mean, variance := stat.PopMeanVariance(logs, weights)
	return math.Exp(mean), math.Hypot(math.Sqrt(variance), unlike)
}

// normalise makes probabilities of log weights.
func normalise(weights []float64) {
	most := slices.Max(weights)
	sum := 0.0
	for i, w := range weights {
		weights[i] = math.Exp(w - most)
		sum += weights[i]
	}
	for i := range weights {
		weights[i] /= sum
	}
}

// pooled is by how much the share of requests that wait grows with each request/s, the
// number of waits, and the highest load.
func pooled(list []contended) (rate, waits, top float64) {
	var count, squares float64
	for _, c := range list {
		count += c.count * c.seconds
		squares += c.load * c.load * c.seconds
		waits += c.events
		top = max(top, c.load)
	}
	return count / max(squares, 1e-300), waits, top
}

// explained is the log likelihood of the mean waits where each request takes the lock k
// times and holds it for so many seconds in all: but for 1/(1 - U) they are alike, half of
// E[S^2]/E[S]. How uneven the times are for which a lock is held is known roughly, and no
// square is less than that of the mean.
func explained(list []contended, held, k float64) float64 {
	var sum, weight, logs float64
	rest := make([]float64, len(list))
	variances := make([]float64, len(list))
	for i, c := range list {
		u := min(held*c.load, mostHeld)
		rest[i] = math.Log(c.wait/c.count) + math.Log(1-u)
		// Waits come in busy periods, which last as 1/(1 - U).
		variances[i] = 2*(1+u)/(1-u)/max(c.count*c.seconds, 1) + 0.05*0.05
		sum, weight = sum+rest[i]/variances[i], weight+1/variances[i]
		logs += math.Log(variances[i])
	}
	logs += math.Log(weight)
	for i := range list {
		d := rest[i] - sum/weight
		logs += d * d / variances[i]
	}
	uneven := sum/weight - math.Log(held/k/2) // log of 1 + scv
	usual := usualUneven
	if k > 1 {
		usual += clumped * min(k-1, 1)
	}
	d := uneven - usual
	spread := unevenVary*unevenVary + 1/weight
	logs += d*d/spread + math.Log(spread)
	if uneven < 0 {
		logs += uneven * uneven / (1/weight + 0.05*0.05)
	}
	return -logs / 2
}

// clumped is by how much longer, in its log, those wait who take a lock several times one
// soon after the other: who meets one of them meets the next too (simulated:
// scoreboard-locks).
const clumped = 0.3

// usualUneven is about the log of one and the squared coefficient of variation of the times
// for which locks are held, which are between the same for all and exponential as a rule,
// and unevenVary how much it varies.
const (
	usualUneven = 0.5
	unevenVary  = 0.5
)

// mostHeld bounds the share of the time in a formula that has no end at 1.
const mostHeld = 0.97

// unevenness is the squared coefficient of variation of the times for which a lock
// is held, from how long was waited for it in all: with U the share of the time for
// which it is held, U^2 (1 + scv)/(2(1 - U)) waits at once (Pollaczek and
// Khinchine), however often a request takes it. 0 if the profiles do not tell.
func (f *fit) unevenness(all []series) float64 {
	var waited, even float64
	for i := range all {
		s := &all[i]
		w := named(s.point.Locks, f.lock)
		held := f.at(s.served(nil))
		if !s.point.Valid || !(w.Seconds > 0) || math.IsInf(w.Seconds, 0) || !(held > 0) || held > 0.95 {
			continue
		}
		waited += w.Seconds * s.seconds
		even += held * held / (2 * (1 - held)) * s.seconds
	}
	if !(even > 0) {
		return 0
	}
	return min(max(waited/even-1, 0.02), 10)
}

// heldShares are the shares of the time for which the lock was held, from how many of
// the k acquisitions of each request had to wait.
func heldShares(function string, k float64, all []series) []use {
	var us []use
	for i := range all {
		s := &all[i]
		w := named(s.point.Locks, function)
		load := s.served(nil)
		if !s.point.Valid || !(w.Contentions > 0) || !(load > 0) || math.IsInf(w.Contentions, 0) {
			continue
		}
		// A count of n waits errs by sqrt(n).
		us = append(us, use{load: load, used: min(w.Contentions/(k*load), 1), weight: max(w.Contentions*s.profiled(), 1), at: s.at(), counted: true})
	}
	return us
}

// heldByWaits are the shares by the mean waits, where the profiles do not count them: the
// line of X over the wait gives E[S], and each step then its share.
func heldByWaits(function string, all []series) []use {
	var inverse []use
	for i := range all {
		s := &all[i]
		w := named(s.point.Locks, function)
		load := s.served(nil)
		if !s.point.Valid || !(w.Seconds > 0) || !(load > 0) || math.IsInf(w.Seconds, 0) {
			continue
		}
		inverse = append(inverse, use{load: load, used: load * load / w.Seconds, weight: s.seconds, at: s.at()})
	}
	if len(inverse) < 3 {
		return nil
	}
	l, ok := theilSen(inverse)
	if !ok || !(l.base > 0) || !(l.demand < 0) {
		return nil
	}
	saturation := -l.base / l.demand
	us := make([]use, 0, len(inverse))
	for _, v := range inverse {
		share := 1 - v.used/l.base
		if share > 0 && share < 1 && v.load < saturation {
			us = append(us, use{load: v.load, used: share, weight: v.weight, at: v.at})
		}
	}
	return us
}

// lockCeiling is the load up to which no lock is likely to be held for more than a share
// of the time, and the lock that sets it; +Inf if none does. From the first step on, as
// far as those who waited can be counted, and to the safe side: it goes by some standard
// errors more than is counted.
func lockCeiling(points []observation.Point, ratio float64) (load float64, resource string) {
	all := digest(points)
	load = math.Inf(1)
	for _, name := range locksOf(all) {
		list := contentions(name, all)
		rate, waits, _ := pooled(list)
		if waits < fewestWaits {
			continue
		}
		k, doubt := acquisitions(balanced(list))
		held := rate / k * math.Exp(safeTimes*doubt)
		switch { // of a lock that few requests take, little is counted
		case waits < enoughWaits:
			held = max(held, heldByLength(list, evenHolds))
		case waits < manyWaits:
			held = max(held, heldByLength(list, unevenHolds))
		}
		held *= waitedIn(name, all)
		x := ratio / (held * likelyWaits(waits) / waits)
		if waits < someWaits {
			x = max(x, climb*highest(all))
		}
		if x < load {
			load, resource = x, "lock: "+short(name)
		}
	}
	return load, resource
}

// waitedIn is the share of what was seen of a lock in which it was waited for, each step
// counting as the square of its load, as waits go with that. A step whose profile shows other
// locks alone says that this one was not waited for; one without any may have had no profile.
func waitedIn(function string, all []series) float64 {
	var waited, seen float64
	for i := range all {
		s := &all[i]
		load := s.ended()
		exposed := load * load * s.profiled()
		switch w := named(s.point.Locks, function); {
		case !s.point.Valid || !(load > 0):
		case w.Contentions > 0 && w.Seconds > 0:
			waited, seen = waited+exposed, seen+exposed
		case s.point.LockSeconds > 0:
			seen += exposed
		}
	}
	if !(waited > 0) {
		return 1
	}
	return waited / seen
}

// likelyWaits is how many waits there may have been to expect where so many were counted: the
// upper end of the score interval of a Poisson mean (C. R. Rao, 1948).
func likelyWaits(n float64) float64 {
	const z = safeWaits
	return n + z*z/2 + z*math.Sqrt(n+z*z/4)
}

// safeTimes and safeWaits are how many standard errors a bound allows for, of how often a
// request takes the lock and of how many waited.
const safeTimes, safeWaits = 2, 2.5

// heldByLength is for how long each request holds the lock in all, by how many wait at once,
// U^2 (1 + scv)/(2(1 - U)) (Pollaczek and Khinchine), however many requests take it.
func heldByLength(list []contended, even float64) float64 {
	var held, squares float64
	for _, c := range list {
		q := 2 * c.wait / even
		u := q / 2 * (math.Sqrt(1+4/q) - 1) // the root of U^2 + q U - q, in a form that does not cancel
		held, squares = held+u*c.load*c.seconds, squares+c.load*c.load*c.seconds
	}
	return held / max(squares, 1e-300)
}

// evenHolds is one and the squared coefficient of variation of the times for which a lock is
// held, towards even ones: less makes a bound lower. Where enough waits were counted it is
// unevenHolds, towards uneven ones, as the count then says most, and all where there were many.
const evenHolds, unevenHolds = 1.3, 2.2

const (
	// fewestWaits is how many waits there must be for a lock to bound a load: one, which may be
	// eight by other luck, and the bound goes by that. Counts are told as rates, and are not
	// whole to the last bit.
	fewestWaits = 0.5
	// someWaits is how many there must be for the bound to be as low as they say. Fewer may be
	// of a cold start: the bound is then never below climb times the highest load.
	someWaits = 3.5
	// climb is by how much a search goes up at a time while a lock has few waits; the search
	// nears any bound by as much.
	climb = 1.4
)
