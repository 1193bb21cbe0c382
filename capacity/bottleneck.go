package capacity

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/loadgen/search"
	"github.com/headroom-project/headroom/scenarios"
)

const (
	// apart is by how much a ceiling must lie above the measured saturation before
	// it no longer explains it.
	apart = 1.15
	// far is the ratio of ceiling to the highest load beyond which a resource was
	// not exercised enough to extrapolate.
	far = 20.0
	// slim is the probability below which something unmeasured is not listed
	// beside what was measured.
	slim = 0.05
	// sure is the probability below which a bottleneck is ambiguous.
	sure = 0.9
)

// measured is a saturation that was seen, with its draws.
type measured struct {
	rate, low, high float64
	method          string
	spread          float64
	// bound says that it was not seen, and that rate is only what it is no higher than.
	bound bool
}

// vague is the relative standard error of a measured saturation above which it
// cannot be held against a ceiling.
const vague = 0.08

// seen returns the saturation that the points show: the plateau or, where no resource with
// a limit was measured, where the objectives broke because a queue grew. Nil if neither was.
//
// Readings of a plateau that contradict each other, as those of a target whose
// cores were taken by others now and then, say how much it served and not where
// it saturates. Such a reading calls nothing a bottleneck.
func (a *Analysis) seen(sat *plateau, limited []fit, all []series) *measured {
	if sat := sat.firm(); sat != nil {
		low, high := sat.bounds()
		failed := below(all, sat)
		return &measured{rate: failed.asked(sat.rate), low: failed.asked(low), high: failed.asked(high), method: "throughput while a queue never emptied", spread: sat.spread}
	}
	if sat != nil {
		a.warn("what the target served under a backlog varied (%.4g/s, give or take %.2g), and says not where it saturates; hint: see what else used its cores", sat.rate, sat.spread)
	}
	c := a.Capacity
	if len(limited) > 0 || c == nil || c.Bound != "" || !(c.Value.Value > 0) || mostServed(all) > keptUp*c.Value.Value {
		return nil // responses were too long there, and the target served more than that
	}
	return &measured{rate: c.Value.Value, low: c.Low, high: c.High, method: "where the objectives break", spread: (c.High - c.Low) / 3.29}
}

// hiddenQueue asks the responses of all steps, those that broke an objective too, whether a
// queue that nothing measures explains them better than the nearest measured limit. It
// returns neither if it does not, or they say too little; and no place of it, but that it is
// there, if they do not say where it saturates.
func hiddenQueue(all []series, limited []fit, objectives []scenarios.Objective) (*prediction, *refusal) {
	x := newPredictor(all, limited, objectives, 0)
	list, b := stages(x.all, x.rows, x.ca2)
	if len(limited) == 0 || tooLittle(list) != "" {
		return nil, nil
	}
	_, unmeasured, hidden := x.models(list, b, quick)
	switch {
	case hidden <= slim:
		return nil, nil
	case x.growth(list, unmeasured[0]) < rejected:
		return nil, &refusal{hidden: hidden}
	}
	p := &prediction{hidden: hidden, queue: &unmeasured[0].latency}
	// It is above what was offered, and known as little further up.
	p.queueLow = min(highest(all), p.queue.saturation)
	p.queueHigh = 2*p.queue.saturation - p.queueLow
	return p, nil
}

// keptUp is how much more a target must have served than where its objectives broke,
// so that it was not saturated there: more than arrivals vary by.
const keptUp = 1.02

func mostServed(all []series) (most float64) {
	for i := range all {
		most = max(most, all[i].served(nil))
	}
	return most
}

// saturation fills in Saturation.
func (a *Analysis) saturation(all []series, fits, limited []fit, sat *plateau, p *prediction, no *refusal, spec Spec, source *rand.Rand) {
	m := a.seen(sat, limited, all)
	if c := a.Capacity; m == nil && p == nil && c != nil && c.Bound == "" {
		p, no = hiddenQueue(all, limited, spec.Objectives)
	}
	if m == nil && len(limited) == 0 && p == nil {
		if outdone(fits, all) != "" {
			return // which the audit says
		}
		a.warn("no saturation: the target was not seen saturated, and no resource with a known limit grew with the load")
		return
	}
	other := unexplained(all)
	share, lows := contest(limited, m, spec.Replicates, source)
	if m == nil && p != nil && p.hidden > slim {
		m, other = p.blame(share, other)
		defer func() { a.Saturation.Measured = false }()
	}
	if low, top := lowest(limited), highest(all); m == nil && p == nil && (low > furthest*top || no != nil && no.hidden > 0.5) {
		m, other = unexercised(share, low, top, no, other)
		defer func() { a.Saturation.Measured = false }()
	}
	list := rank(limited, m, share, other, spec.Confidence)
	s := &Saturation{Bottlenecks: list, Measured: m != nil}
	if m != nil {
		s.Value = Value{Value: m.rate, Low: m.low, High: m.high, Method: m.method}
	} else {
		low, high := interval(lows, spec.Confidence)
		for i := range limited {
			low = limited[i].rising(low)
		}
		first := &list[0]
		if first.Low > 0 && first.High > 0 && first.Probability >= sure {
			low, high = first.Low, first.High // it is the same figure
		}
		s.Value = Value{Value: first.RPS, Low: min(low, first.RPS), High: max(high, first.RPS), Method: byResourceLaw}
		s.doubtExtrapolation(all)
	}
	s.Confidence = spec.Confidence
	if first := list[0]; first.Probability < sure {
		s.warn("the bottleneck is ambiguous: %s with probability %.2f", first.Resource, first.Probability)
	}
	if name, peak := atLimit(all, limited); list[0].Resource == Unmeasured && name != "" {
		s.warn("%s was used at %.0f%% of its limit, and no more of it the higher the load: whether it is what gives out is not known; hint: see what uses it without load", name, 100*peak)
	} else if list[0].Resource == Unmeasured {
		s.warn("no measured resource is near its limit at saturation; hint: look at what lies behind the target, or expose its pools and limiters")
	}
	a.Saturation = s
	a.Warnings = append(a.Warnings, s.Warnings...)
}

// nearLimit is the share of its limit from which a resource is at it.
const nearLimit = 0.9

// atLimit is the resource that was used most of those at their limit whose use did not grow
// with the load, with that share; empty if there is none. Memory may be full of caches.
func atLimit(all []series, limited []fit) (name string, peak float64) {
	for i := range all {
		for resource, u := range all[i].point.Resources {
			share := u.Used / u.Limit
			if !(u.Limit > 0) || !(share >= nearLimit) || u.Unit == "bytes" || slices.ContainsFunc(limited, func(f fit) bool { return f.name == resource }) {
				continue
			}
			if share > peak || share == peak && resource < name {
				name, peak = resource, share
			}
		}
	}
	return name, peak
}

func (s *Saturation) warn(format string, args ...any) {
	s.Warnings = append(s.Warnings, fmt.Sprintf(format, args...))
}

// unexercised makes room for what nothing measured: where the nearest limit lies
// far above every load, something else may well come before it. So it does where
// responses grow as behind a queue, although they do not say where that ends.
func unexercised(share []float64, low, top float64, no *refusal, other Bottleneck) (*measured, Bottleneck) {
	unseen := 0.5
	other.Evidence = fmt.Sprintf("the nearest limit that is measured is %.2g times as far as the highest load, %.4g/s: what lies between was not seen", low/top, top)
	if no != nil && no.hidden > unseen {
		unseen = no.hidden
		other.Evidence = fmt.Sprintf("responses grow with the load as behind a queue that nothing measures, too little up to %.4g/s to say where it saturates", top)
	}
	for i := range share {
		share[i] *= 1 - unseen
	}
	share[len(share)-1] = unseen
	return &measured{rate: low, low: top, high: low, method: "resource law, as an upper bound", spread: (low - top) / 3.29, bound: true}, other
}

// lowest is the least ceiling.
func lowest(limited []fit) float64 {
	low := math.Inf(1)
	for i := range limited {
		low = min(low, limited[i].ceiling(-1))
	}
	return low
}

// highest is the highest load.
func highest(all []series) (top float64) {
	for i := range all {
		top = max(top, all[i].load)
	}
	return top
}

func (s *Saturation) doubtExtrapolation(all []series) {
	top := highest(all)
	if s.Value.Value > 2*top {
		s.warn("saturation is extrapolated to %.1f times the highest load offered", s.Value.Value/top)
	}
}

// candidates are the resources that can give out: with a limit, and with a use
// that grows with the load.
func candidates(fits []fit, all []series, sat *plateau) []fit {
	top, failed := highest(all), below(all, sat)
	var limited []fit
	for _, f := range fits {
		f.failed = failed
		if f.limit > 0 && f.exercised && f.ceiling(-1) < far*top && !f.outdone(all) && !f.overreaches() {
			limited = append(limited, f)
		}
	}
	return limited
}

// hardly is the share of its limit below which nothing follows from a rising demand: a pole
// reaches any limit soon, ten times and a thousand times what was used at about the same load.
const hardly = 0.1

// overreaches says that a law has a rising demand and was seen far below its limit alone.
func (f *fit) overreaches() bool {
	return f.peak < hardly && (f.line.bend != 0 || f.line.pole != 0)
}

// outdone says that more was served than the ceiling of the law, beyond doubt.
func (f *fit) outdone(all []series) bool {
	return f.limit > 0 && f.exercised && f.reaches(f.limit) < mostServed(all) && overLimit(f.name, all) != ""
}

// outdone is a resource of whose law that is so; empty if there is none.
func outdone(fits []fit, all []series) string {
	for i := range fits {
		if fits[i].outdone(all) {
			return fits[i].name
		}
	}
	return ""
}

// askew is the standard error of the log of a ceiling that no reading shows: the law
// is nearly that of the resource, and limits that close are not told apart.
const askew = 0.025

// contest counts, over the replicates, how often each resource gives out first;
// the last count is for something unmeasured. lows are the lowest ceilings.
func contest(limited []fit, m *measured, replicates int, source *rand.Rand) (share []float64, lows []float64) {
	share = make([]float64, len(limited)+1)
	for r := range replicates {
		first, low := len(limited), math.Inf(1)
		for i, f := range limited {
			if c := f.ceiling(r) * math.Exp(askew*source.NormFloat64()); c < low {
				first, low = i, c
			}
		}
		if !math.IsInf(low, 1) {
			lows = append(lows, low)
		}
		// A resource that was read at its limit explains the saturation by itself.
		if m != nil && low > apart*(m.rate+source.NormFloat64()*m.spread) &&
			(first == len(limited) || limited[first].peak < 0.95) {
			first = len(limited)
		}
		share[first] += 1 / float64(replicates)
	}
	return share, lows
}

// rank orders the bottlenecks by probability, then by ceiling.
func rank(limited []fit, m *measured, share []float64, other Bottleneck, confidence float64) []Bottleneck {
	var list []Bottleneck
	for i, f := range limited {
		ceiling, o := f.ceiling(-1), f.offered()
		list = append(list, Bottleneck{
			Resource: f.name, Probability: share[i], RPS: ceiling,
			PerRequest: o.demand, Unit: f.unit, Limit: f.limit, Peak: f.peak, Law: lawOf(o.line),
			Evidence: o.evidence(),
		})
		b := &list[len(list)-1]
		b.Low, b.High = spanOf(ceiling, len(f.draws), f.ceiling, confidence)
		b.Low = f.rising(b.Low)
		b.Method = byResourceLaw
	}
	if p := share[len(limited)]; (p >= slim || len(limited) == 0) && m != nil {
		if other.Probability = p; !m.bound {
			other.RPS, other.Low, other.High, other.Method = m.rate, m.low, m.high, m.method
		}
		list = append(list, other)
	}
	slices.SortStableFunc(list, func(a, b Bottleneck) int {
		if a.Probability != b.Probability {
			return compare(b.Probability, a.Probability)
		}
		return compare(a.RPS, b.RPS)
	})
	list = merged(list)
	for i := range list {
		list[i].repaired(limited, confidence)
	}
	return list
}

// rising is the low end of the interval of a ceiling: what makes requests dearer on cores may
// go on up to the limit, or not.
func (f *fit) rising(low float64) float64 {
	if f.rises == nil {
		return low
	}
	if x := f.failed.asked(f.rises.reaches(f.limit)); x > 0 && x < low {
		return x
	}
	return low
}

// offered is the fit with the law of what is offered rather than answered OK, by the share
// that is at its limit.
func (f fit) offered() fit {
	served := f.reaches(f.limit)
	asked := f.failed.asked(served)
	if !(asked > served) || math.IsInf(asked, 0) {
		return f
	}
	good := served / asked
	f.demand, f.bend, f.pole = f.demand*good, f.bend*good*good, f.pole*good
	return f
}

func (f *fit) evidence() string {
	text := fmt.Sprintf("%s at rest, %s, limit %s; %.0f%% of it was the most seen",
		f.amount(f.resting(), f.unit), f.each(), f.amount(f.limit, ""), 100*f.peak)
	if f.lock != "" && f.times != 1 {
		text += fmt.Sprintf("; by how long is waited for it, a request takes it about %.2g times", f.times)
	}
	return text
}

// amount is a use in words, with its unit.
func (f *fit) amount(v float64, unit string) string {
	switch {
	case f.unit == "bytes":
		return bytesText(v)
	case unit == ShareHeld:
		return fmt.Sprintf("held for %.3g of the time", v)
	}
	return strings.TrimSpace(fmt.Sprintf("%.3g %s", v, unit))
}

// bytesText writes bytes in the unit that fits them.
func bytesText(v float64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	i := 0
	for math.Abs(v) >= 1023.5 && i < len(units)-1 {
		v, i = v/1024, i+1
	}
	return fmt.Sprintf("%s %s", strconv.FormatFloat(v, 'g', 4, 64), units[i])
}

// each is what a request takes, in words: one more at the limit too, if that is more than
// where a request is alone.
func (f *fit) each() string {
	if !f.curved() {
		return f.amount(f.demand, "") + " for each request/s"
	}
	return fmt.Sprintf("%s for the first request/s and %s for one more at the limit", f.amount(f.demand, ""), f.amount(f.slopeOf(f.line, f.reaches(f.limit)), ""))
}

// resting is what is used without load: nothing rather than the noise of a fit.
func (f *fit) resting() float64 {
	if f.base < 1e-6*f.limit {
		return 0
	}
	return f.base
}

// merged adds up the entries of one name: a lock is found by its use and by who
// waited for it.
func merged(list []Bottleneck) []Bottleneck {
	var out []Bottleneck
	for _, b := range list {
		if i := slices.IndexFunc(out, func(o Bottleneck) bool { return o.Resource == b.Resource }); i >= 0 {
			out[i].Probability += b.Probability
			continue
		}
		out = append(out, b)
	}
	return out
}

func compare(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// byResourceLaw is the method of a ceiling.
const byResourceLaw = "resource law"

// spanOf is the interval of a ceiling, of which at gives that of each of so many
// replicates. What the law is off by that no reading shows (askew) is as much again as a
// normal error, so that the two add up as variances do. An end is 0 where it is not known:
// a resource that gives out in some replicates only has no high end.
func spanOf(value float64, replicates int, at func(r int) float64, confidence float64) (low, high float64) {
	if !(value > 0) {
		return 0, 0
	}
	draws := make([]float64, 0, replicates)
	for r := range replicates {
		draws = append(draws, at(r))
	}
	from, to := interval(draws, confidence)
	besides := askew * distuv.UnitNormal.Quantile((1+confidence)/2)
	end := func(x, sign float64) float64 {
		if !(x > 0) || math.IsInf(x, 0) || math.IsNaN(x) {
			return 0
		}
		return value * math.Exp(sign*math.Hypot(math.Log(x/value), besides))
	}
	return end(min(from, value), -1), end(max(to, value), 1)
}

// repaired fills in the saturation once b is out of the way: the next ceiling of a
// measured resource, in each replicate whichever that is. What is unmeasured was inferred
// from the saturation that is gone then.
func (b *Bottleneck) repaired(limited []fit, confidence float64) {
	next := func(r int) float64 {
		low := math.Inf(1)
		for i := range limited {
			if limited[i].name != b.Resource {
				low = min(low, limited[i].ceiling(r))
			}
		}
		return low
	}
	after := next(-1)
	if math.IsInf(after, 1) {
		return
	}
	replicates := 0
	for i := range limited {
		replicates = max(replicates, len(limited[i].draws))
	}
	b.AfterFixRPS = after
	b.AfterFixLow, b.AfterFixHigh = spanOf(after, replicates, next, confidence)
}

// unexplained names what gives out when no measured resource does: the lock that
// the waiting is for, if the mutex profiles show one, else Unmeasured.
func unexplained(all []series) Bottleneck {
	b := Bottleneck{Resource: Unmeasured, Evidence: "the target saturates while every measured resource has room"}
	if !slices.ContainsFunc(all, func(s series) bool { return len(s.point.Resources) > 0 }) {
		b.Evidence = "the target saturates, and no resource of it was measured"
	}
	top, rest := -1, -1
	for i, s := range all {
		if len(s.point.Locks) == 0 || !(s.served(nil) > 0) {
			continue
		}
		if top < 0 || s.load > all[top].load {
			top = i
		}
		if rest < 0 || s.load < all[rest].load {
			rest = i
		}
	}
	if top < 0 || top == rest {
		return b
	}
	growth := (search.Observed(all[top].point.Figures, "mean") - search.Observed(all[rest].point.Figures, "mean")) / 1000
	for _, w := range all[top].point.Locks {
		grown := perRequest(w, &all[top]) - perRequest(named(all[rest].point.Locks, w.Function), &all[rest])
		if growth > 0 && grown > 0.5*growth {
			b.Resource = "lock: " + short(w.Function)
			b.Evidence = fmt.Sprintf("waiting for it grew by %.3g ms for each request, of %.3g ms by which the mean response grew", 1000*grown, 1000*growth)
			growth = 2 * grown // only a lock with more waiting may take its place
		}
	}
	return b
}

// short leaves the folders of its package out of a function's name.
func short(function string) string {
	end := len(function)
	if i := strings.IndexAny(function, "(["); i >= 0 {
		end = i
	}
	return function[strings.LastIndexByte(function[:end], '/')+1:]
}

func perRequest(w observation.LockWait, s *series) float64 {
	if math.IsNaN(w.Seconds) {
		return 0
	}
	return w.Seconds / s.served(nil)
}

func named(waits []observation.LockWait, function string) observation.LockWait {
	for _, w := range waits {
		if w.Function == function {
			return w
		}
	}
	return observation.LockWait{}
}
