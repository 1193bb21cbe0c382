package capacity

import (
	"math"
	"math/rand/v2"
	"slices"
)

// A lock does not show in CPU. Two figures of a mutex profile show how near it is
// to its limit, which is one holder all the time:
//
//   - the share of acquisitions that had to wait is how much of the time it is
//     held, X*E[S] (arrivals see time averages; Wolff 1982);
//   - the mean wait is X*E[S^2]/(2(1 - X*E[S])) (Pollaczek and Khinchine), so that
//     X over the wait falls in a straight line and is 0 at 1/E[S].

// fitLocks fits the use of each lock that the mutex profiles show.
func fitLocks(all []series, waits map[int][]LockWait, replicates int, source *rand.Rand) []fit {
	var names []string
	for i := range all {
		for _, w := range waits[all[i].point.Step] {
			if !slices.Contains(names, w.Function) {
				names = append(names, w.Function)
			}
		}
	}
	slices.Sort(names)
	var fits []fit
	for _, name := range names[:min(len(names), 100)] {
		us := heldShares(name, all, waits)
		if len(us) < 3 {
			us = heldByWaits(name, all, waits)
		}
		f, ok := fitUses(us, 1, "")
		if !ok || !f.exercised || f.peak < 0.02 {
			continue
		}
		// No request means no holder: through the origin, unless that is far off.
		f.name, f.unit, f.lock = "lock: "+short(name), "share of the time held", name
		f.scv = f.unevenness(all, waits)
		f.resample(us, replicates, source)
		fits = append(fits, f)
	}
	return fits
}

// unevenness is the squared coefficient of variation of the times for which a lock
// is held, from how long was waited for it in all: with U the share of the time for
// which it is held, U^2 (1 + scv)/(2(1 - U)) waits at once (Pollaczek and
// Khinchine), however often a request takes it. 0 if the profiles do not tell.
func (f *fit) unevenness(all []series, waits map[int][]LockWait) float64 {
	var waited, even float64
	for i := range all {
		s := &all[i]
		w := named(waits[s.point.Step], f.lock)
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

// heldShares are the shares of the time for which the lock was held, from how many
// acquisitions had to wait. A request is taken to acquire it once, as the profile has no
// count of those that did not wait: of k acquisitions k times as many wait.
func heldShares(function string, all []series, waits map[int][]LockWait) []use {
	var us []use
	for i := range all {
		s := &all[i]
		w := named(waits[s.point.Step], function)
		load := s.served(nil)
		if !s.point.Valid || !(w.Contentions > 0) || !(load > 0) || math.IsInf(w.Contentions, 0) {
			continue
		}
		// A count of n waits errs by sqrt(n).
		us = append(us, use{load: load, used: min(w.Contentions/load, 1), weight: max(w.Contentions*s.seconds, 1), at: s.at(), counted: true})
	}
	return us
}

// heldByWaits are the shares by the mean waits: the line of X over the wait gives
// E[S], and each step then its share.
func heldByWaits(function string, all []series, waits map[int][]LockWait) []use {
	var inverse []use
	for i := range all {
		s := &all[i]
		w := named(waits[s.point.Step], function)
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
