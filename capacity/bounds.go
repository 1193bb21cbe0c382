package capacity

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/loadgen/search"
)

const (
	// asideOf is the share by which a step may exceed a bound besides chance: the
	// population is sampled, and a demand is a straight line through a few readings.
	asideOf, asideOfDemand = 0.15, 0.2
	// boundSpread is how many standard errors chance is given.
	boundSpread = 4.0
	// otherSteps is how many readings of other steps must tell of a demand, and beyondOthers
	// how far above them a step may lie to be held against it.
	otherSteps, beyondOthers = 4, 2.1
	// otherLimit is by how much a limit must differ between steps to be another one.
	otherLimit = 0.05
)

// Bounds says which steps served more than a measurement that is right can have, or were of
// a target that was not of one size: see Analysis.bounds. Analyse says so too.
func Bounds(points []observation.Point) []string {
	var a Analysis
	a.bounds(digest(points))
	return a.Warnings
}

// bounds holds what each step served against the asymptotic bounds of a closed system
// (Denning and Buzen 1978),
//
//	X <= min(L/D, N/(R0 + Z))
//
// with D the demand on a resource and L its limit, N the number of users or of requests in
// flight, R0 the time of a request that waits for nothing, and Z the time for which a user
// thinks. They hold whatever the target is like, so that a step above one contradicts the
// rest of the measurement. The worst step is named.
func (a *Analysis) bounds(all []series) {
	if why := overAsked(all); why != "" {
		a.warn("%s", why)
	}
	for _, name := range resourceNames(all) {
		if why := resized(name, all); why != "" {
			a.warn("%s", why)
		} else if why := overLimit(name, all); why != "" {
			a.warn("%s", why)
		}
	}
}

// resourceNames are the resources of the target that have a limit, sorted.
func resourceNames(all []series) []string {
	names := map[string]bool{}
	for i := range all {
		for name, u := range all[i].point.Resources {
			if u.Limit > 0 && !math.IsInf(u.Limit, 0) && !search.OfGenerator(name) {
				names[name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// overAsked finds the step that was answered the most above what so many users, or so many in
// flight, can have asked for; empty if there is none. R0 is the least mean response of all
// steps: no step makes requests faster than they are when nothing is in their way.
func overAsked(all []series) string {
	rest, at := math.Inf(1), 0.0
	for i := range all {
		if r := leastMean(all[i].point.Response) / 1000; r > 0 && r < rest {
			rest, at = r, all[i].load
		}
	}
	text, worst := "", 1.0
	for i := range all {
		s := &all[i]
		p := s.point
		many, who, room := float64(p.Users), fmt.Sprintf("%d users", p.Users), 0.0
		if p.Users == 0 {
			many, who, room = p.InFlight, fmt.Sprintf("%.4g in flight", p.InFlight), 0.5 // it is rounded
			if len(p.Flow) > 0 || len(p.Windows) > 0 || s.little() != "" {
				continue // Little's law says it of them, and more closely
			}
		}
		if !(many > 0) || !p.Valid || p.Cut != "" || math.IsInf(rest, 0) {
			continue
		}
		bound := many / (rest + p.Think)
		// A user may have asked once before the step's first second that counts.
		allowed := ((1+asideOf)*many+room)/(rest+p.Think) + many/s.seconds + boundSpread*math.Sqrt(bound/s.seconds)
		if p.Throughput/allowed <= worst {
			continue
		}
		worst = p.Throughput / allowed
		text = fmt.Sprintf("%.4g/s were answered with %s, and no more than %.4g/s can have been: a request takes %.3g ms at the least (at %.4g/s)%s; hits are counted twice, or a response time leaves out a wait",
			p.Throughput, who, bound, 1000*rest, at, thinking(p.Think))
	}
	return text
}

func thinking(seconds float64) string {
	if !(seconds > 0) {
		return ""
	}
	return fmt.Sprintf(", and a user thinks for %.3g s", seconds)
}

// leastMean is the mean in ms or, where only quantiles are known, what it cannot be below:
// of the requests between two quantiles each takes at least as long as the lower one.
func leastMean(q observation.Quantiles) float64 {
	if q.Mean > 0 {
		return q.Mean
	}
	least, share, ms := 0.0, 0.0, 0.0
	for _, k := range []struct{ share, ms float64 }{{0.5, q.P50}, {0.9, q.P90}, {0.95, q.P95}, {0.99, q.P99}} {
		if k.ms > 0 {
			least, share, ms = least+(k.share-share)*ms, k.share, k.ms
		}
	}
	return least + (1-share)*ms
}

// resized says that the limit of a resource was not the same in all steps; empty if it was.
// Inside a step, that makes the step invalid.
func resized(name string, all []series) string {
	first, before := -1, 0.0
	for i := range all {
		limit := all[i].point.Resources[name].Limit
		switch {
		case !(limit > 0) || math.IsInf(limit, 0):
		case first < 0:
			first, before = i, limit
		case math.Abs(limit/before-1) > otherLimit:
			return fmt.Sprintf("the limit of %s was %.4g at %.4g/s and %.4g at %.4g/s: the target was given more or less between these steps (an autoscaler, another instance), and what is said of its ceilings is of one of them; hint: hold its size, or fit the steps of one size",
				name, before, all[first].point.Offered, limit, all[i].point.Offered)
		}
	}
	return ""
}

// overLimit finds the step that served the most above what the demand that the other steps
// show leaves possible; empty if there is none. What goes with the number in flight rather
// than with the load (bytes, counts) has no such bound.
func overLimit(name string, all []series) string {
	text, worst := "", 1.0
	for i := range all {
		p := all[i].point
		u, ok := p.Resources[name]
		if !ok || !(u.Limit > 0) || u.Unit == "bytes" || u.Unit == "count" || !(p.Throughput > 0) {
			continue
		}
		l, error, ok := demandOfOthers(name, all, i)
		if !ok {
			continue
		}
		allowed := (1+asideOfDemand)*u.Limit + boundSpread*error + boundSpread*l.demand*math.Sqrt(p.Throughput/all[i].seconds)
		if ratio := l.at(p.Throughput) / allowed; ratio > worst {
			worst = ratio
			text = fmt.Sprintf("%.4g/s were answered, and no more than %.4g/s can have been: by the other steps a request takes %.3g of %s, whose limit is %.4g; the limit is another one, not all of the use was read, or requests take less at this load",
				p.Throughput, l.reaches(u.Limit), l.demand, name, u.Limit)
		}
	}
	return text
}

// demandOfOthers is the resource law without step i, and its standard error there. Steps that
// were not served, and loads far below i, tell nothing of it.
func demandOfOthers(name string, all []series, i int) (l line, error float64, ok bool) {
	var us []use
	low, top := math.Inf(1), 0.0
	for k := range all {
		s := &all[k]
		u, known := s.point.Resources[name]
		if k == i || !known || !(u.Used >= 0) || math.IsInf(u.Used, 0) || s.point.ErrorRatio > turningAway || s.point.Throughput < keptPace*s.load {
			continue
		}
		us = append(us, use{load: s.served(nil), used: u.Used, slots: u.Unit == "slots"})
		low, top = min(low, s.load), max(top, s.load)
	}
	if len(us) < otherSteps || all[i].point.Throughput > beyondOthers*top {
		return line{}, 0, false
	}
	if l, ok = theilSen(us); !ok || !significant(us, l) {
		return line{}, 0, false
	}
	deviations := make([]float64, len(us))
	for k, u := range us {
		deviations[k] = math.Abs(u.used - l.at(u.load))
	}
	slices.Sort(deviations)
	lever := max(all[i].point.Throughput/(top-low), 1)
	return l, 1.4826 * percentile(deviations, 0.5) * lever, true
}
