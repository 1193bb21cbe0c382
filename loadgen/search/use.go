package search

import (
	"cmp"
	"math"
	"slices"

	"github.com/headroom-project/headroom/loadgen/observation"
)

const (
	// unlucky is how many standard deviations a step's use may lie above its mean: one step
	// in three hundred of those at the bound does more.
	unlucky = 2.7
	// uneven is the coefficient of variation of what requests take of a resource, at the least:
	// more than the 1 of exponential work, as a few take most where requests differ.
	uneven = 1.5
	// uncounted is the greatest share of a step that is its warm-up. The number of hits of a
	// step is planned, so that the variance of the number in the rest of it is that share of
	// what a Poisson law has.
	uncounted = 0.5
	// bend is by how much more than by a straight line use may rise above the loads that were
	// offered, as a share of that rise, for each time that the load goes up by itself.
	bend = 0.5
	// approach is the greatest ratio by which a step is higher than all before it where it
	// comes near a bound, or rests on a base load that one chord tells of: what is
	// extrapolated further may be wrong.
	approach = 1.4
	// manyCores are so many that requests on them can slow one another down a lot, and idle is
	// the share of them up to which they do not, and readings say little.
	manyCores = 4
	idle      = 0.02
	// full is the share of a limit from which on what is used cannot vary.
	full = 0.9
	// overloaded is the ratio of what was served to what was offered below which a step tells
	// of use by what it used above a bound only: what was not served took something, too.
	overloaded = 0.9
	// apart is the ratio of two loads above which the chord between them says little.
	apart = 0.8
	// alikeLoads is the ratio of two offered loads above which their steps are one level.
	alikeLoads = 0.93
	// fewHits is how many hits are counted at least: the use of fewer is no normal variable.
	fewHits = 20.0
)

// level is the use of a resource at one load, over all steps there.
type level struct {
	step          int
	offered, load float64 // requests/s, planned and served
	used          float64 // a ratio of the limit
	seconds       float64
	// looks is how many slots were found taken or not, over all readings of a gauge; 0 for
	// what is no gauge of slots.
	looks float64
	// variance is that of the use over one second, by so many readings; 0 if not known.
	variance float64
	readings int
}

// scatter is how much what hits use was read to vary; 0 if that is not known.
type scatter struct {
	// hit is the variance that each adds to the use over one second, in the square of a ratio of
	// the limit, and ratio the same as a ratio of the square of what each uses: where one takes
	// more at a higher load, the latter says more, and beside a base load the former.
	hit, ratio float64
}

// use is how the use of a resource goes with the load.
type use struct {
	levels []level // the highest load last
	// others are those below the top that are far enough away for a chord, the one of the
	// first step not among them if there are more: it may have been cold.
	others []level
	// base is what is surely used without load: it does not vary with the hits.
	base float64
	// sure says that it was told by more than one step.
	sure bool
	// by is how much each hit adds to the variance of what is used, as it was read.
	by scatter
	// many says that it is of many cores.
	many bool
}

// useOf returns the use of a resource as points have it, as a ratio of the limit that it has
// now. Steps at alike loads are one level: together they leave less to chance. Where the last
// two of them used more than all of them did, demand may be rising, and they count.
func useOf(points []observation.Point, name string, ratio float64) use {
	var x use
	var all []level
	limit, newest, bytes := 0.0, -1, false
	for _, p := range points {
		u, ok := p.Resources[name]
		if !ok || !p.Valid || !(u.Limit > 0) || !(p.Throughput > 0) || !(p.Seconds > 0) || !(u.Used >= 0) {
			continue
		}
		l := levelOf(p, u)
		if p.Step > newest {
			newest, limit = p.Step, u.Limit
			x.many = u.Unit == "cores" && u.Limit >= manyCores
		}
		bytes = u.Unit == "bytes"
		all = append(all, l)
	}
	for k := range all {
		all[k].used /= limit
		all[k].variance /= limit * limit
	}
	if served := slices.DeleteFunc(slices.Clone(all), func(l level) bool { return l.load < overloaded*l.offered && l.used < ratio }); len(served) > 0 {
		all = served
	}
	x.by = scatterOf(all)
	slices.SortFunc(all, func(a, b level) int { return cmp.Or(cmp.Compare(b.offered, a.offered), cmp.Compare(b.step, a.step)) })
	for len(all) > 0 {
		n := 1
		for n < len(all) && all[n].offered >= alikeLoads*all[0].offered {
			n++
		}
		x.levels = append(x.levels, together(all[:n]))
		all = all[n:]
	}
	// Of two that served the same, the one that used more counts.
	slices.SortFunc(x.levels, func(a, b level) int { return cmp.Compare(a.load, b.load) })
	for k := len(x.levels) - 1; k > 0; k-- {
		if a, b := x.levels[k-1], x.levels[k]; b.load < 1.01*a.load {
			if b.used > a.used {
				x.levels[k-1] = b
			}
			x.levels = slices.Delete(x.levels, k, k+1)
		}
	}
	x.rest(bytes)
	return x
}

// scatterOf is by how much each hit adds to the variance of the use over one second, over all
// steps: with X hits in it, each of which takes D in the mean with a coefficient of variation of
// c, that is X D^2 (1 + c^2) if they come as a Poisson process (the law of total variance). What a
// target does besides counts as if it were of the hits. The first step may have been cold, and
// counts if there is no other; what is full cannot vary.
func scatterOf(steps []level) scatter {
	told := slices.DeleteFunc(slices.Clone(steps), func(l level) bool { return l.readings < 2 || l.used > full || !(l.load > 0) })
	if len(told) == 0 {
		return scatter{}
	}
	first := slices.MinFunc(told, func(a, b level) int { return cmp.Compare(a.step, b.step) }).step
	if warm := slices.DeleteFunc(slices.Clone(told), func(l level) bool { return l.step == first }); len(warm) > 0 {
		told = warm
	}
	var varied, hits, squares, readings float64
	for _, l := range told {
		df := float64(l.readings - 1)
		varied, hits, squares, readings = varied+df*l.variance, hits+df*l.load, squares+df*l.used*l.used/l.load, readings+df
	}
	varied *= 1 + math.Sqrt(2/readings) // one standard error more, as of normal readings
	return scatter{varied / hits, varied / max(squares, 1e-300)}
}

// of is the standard deviation of the mean use over n hits at a load, if it is so much.
func (s scatter) of(used, load, n float64) float64 {
	return math.Sqrt(max(load*load*s.hit, used*used*s.ratio) / n)
}

// levelOf is the level of one step, its use in the unit of the resource.
func levelOf(p observation.Point, u observation.Use) level {
	l := level{step: p.Step, offered: p.Offered, load: p.Throughput, used: u.Used, seconds: p.Seconds}
	if u.Unit == "slots" && !u.Summed {
		l.looks = u.Limit * float64(max(u.Samples, 1))
	}
	if u.Unit != "bytes" {
		l.variance, l.readings = u.Variance, u.Apart
	}
	return l
}

// together is the level of all of some steps.
func together(steps []level) level {
	m := mean(steps)
	m.offered = steps[0].offered
	slices.SortFunc(steps, func(a, b level) int { return cmp.Compare(b.step, a.step) })
	m.step = steps[0].step
	newest := mean(steps[:min(len(steps), 2)])
	m.used = max(m.used, newest.used*m.load/newest.load)
	return m
}

func mean(steps []level) (m level) {
	for _, l := range steps {
		m.load += l.load * l.seconds
		m.used += l.used * l.seconds
		m.seconds += l.seconds
		m.looks += l.looks
	}
	m.load, m.used = m.load/m.seconds, m.used/m.seconds
	return m
}

// rest finds what is surely used without load. Of one level that is not known. Its bytes are
// taken to rest, as most of a memory does: their mean errs on the safe side enough.
func (x *use) rest(bytes bool) {
	if len(x.levels) == 0 {
		return
	}
	top := x.levels[len(x.levels)-1]
	for _, o := range x.levels[:len(x.levels)-1] {
		if o.load <= apart*top.load {
			x.others = append(x.others, o)
		}
	}
	if len(x.others) > 1 {
		first := slices.MinFunc(x.others, func(a, b level) int { return cmp.Compare(a.step, b.step) })
		x.others = slices.DeleteFunc(x.others, func(o level) bool { return o.step == first.step })
		x.sure = true
	}
	if len(x.others) > 0 || bytes {
		x.base = top.used
	}
	for _, o := range x.others {
		x.base = min(x.base, o.rest(top, x.by))
	}
}

// rest is what is surely used without load, by a level and one of a higher load: the least of
// which the one would not use more than expected by the other, but for chance.
func (l level) rest(top level, by scatter) float64 {
	const steps = 200
	for k := range steps {
		base := l.used * float64(k) / steps
		share := l.load / top.load
		expected := l
		expected.used = base + max(top.used-base, 0)*share
		if l.used <= expected.used+unlucky*math.Hypot(expected.chance(base, by), top.chance(base, by)*share) {
			return base
		}
	}
	return l.used
}

// chance is the standard deviation of what was read, base aside, which is the same for all
// hits: of the work of the hits and, of a gauge, of what it finds where the number in use has
// a Poisson law (of none that were found, one might have been).
func (l level) chance(base float64, by scatter) float64 {
	used := max(l.used-base, 0)
	n := max(l.load*l.seconds, fewHits)
	work := max(used*uneven/math.Sqrt(n), by.of(l.used, l.load, n))
	if l.looks == 0 {
		return work
	}
	return math.Hypot(work, math.Sqrt(used*l.looks+1)/l.looks)
}

// spread is the standard deviation of what the hits of a step use, n of them in the mean, as
// a ratio of its mean: that of a sum of independent pieces of work whose number varies too
// (the law of total variance). Of flows it is the number of passes that does, which is more of
// it; work that is less uneven than is allowed for makes room for that.
func spread(n float64) float64 {
	return math.Sqrt((uncounted + uneven*uneven) / max(n, fewHits))
}

// most is the use of a step at a load, for so many seconds, that hardly any exceeds: its
// mean, and what chance does to the step and did to what was read.
//
// Between levels the mean is read off them. Above the highest it goes by the lower of two
// lines through it: that of no use without load, which errs on the safe side, and, a little
// way up, the best known of the chords to the levels below, which tells demand from base load
// (a step may have been cold, which looks like one). What rises bends upwards, the more the
// further it is drawn: cores that wait for one another, a collector, a cache that is too small.
// It is no lower than the mean by any chord: where demand rises with the load, the newest is
// the one that counts.
func (x use) most(load, seconds float64) float64 {
	n := max(load*seconds, fewHits)
	step := func(mean float64) float64 { return max(max(mean-x.base, 0)*spread(n), x.by.of(mean, load, n)) }
	top := x.levels[len(x.levels)-1]
	if load <= top.load {
		mean, read := x.between(load)
		return mean + unlucky*math.Hypot(step(mean), read)
	}
	bent := 1 + bend*(load/top.load-1)
	mean := top.used + top.used*(load/top.load-1)*bent
	most := mean + unlucky*math.Hypot(step(mean), top.chance(x.base, x.by)*load/top.load)
	rising, best := 0.0, math.Inf(1)
	var chord float64
	for _, o := range x.others {
		far := (load - top.load) / (top.load - o.load)
		rise := far * (top.used - o.used)
		mean := max(top.used+max(rise, rise*bent), x.crowded(load, o, top))
		if read := math.Hypot((1+far)*top.chance(x.base, x.by), far*o.chance(x.base, x.by)); read < best {
			best, chord = read, mean+unlucky*math.Hypot(step(mean), read)
		}
		rising = max(rising, mean+unlucky*x.elasticity(mean, load, top)*step(mean))
	}
	reach := approach
	if x.sure {
		reach = factor
	}
	if len(x.others) > 0 && load <= reach*max(top.load, top.offered) {
		most = min(most, chord)
	}
	return max(most, rising)
}

// crowded is the use at a load above top where requests that are served at once slow one
// another down, by what they took at two levels: what a whole resource would serve of them in a
// second falls with the load, by a straight line as of the contention of the Universal Scalability
// Law (N. J. Gunther, 2007), and the more the further it is drawn, as of its coherency; up to twice
// what the load alone says. 0 of what has few cores, or uses next to none.
func (x use) crowded(load float64, below, top level) float64 {
	if !x.many || below.used-x.base < idle || top.used-x.base < idle {
		return 0
	}
	before, now := below.load/(below.used-x.base), top.load/(top.used-x.base)
	alone := x.base + load/now
	at := now - max(before-now, 0)*load/top.load*(load-top.load)/(top.load-below.load)
	if at <= now/2 {
		return 2 * alone
	}
	return x.base + load/at
}

// elasticity is by how much more, as a ratio, the use of many cores varies than the work that
// comes: as steeply as it rises to a load above top. 1 to 2.
func (x use) elasticity(mean, load float64, top level) float64 {
	if !x.many || !(top.used > idle) {
		return 1
	}
	return min(max(math.Log(mean/top.used)/math.Log(load/top.load), 1), 2)
}

// between is the mean use at a load below the highest level, and the standard deviation of
// what it was read from.
func (x use) between(load float64) (mean, read float64) {
	k := slices.IndexFunc(x.levels, func(l level) bool { return l.load >= load })
	above := x.levels[max(k, 0)]
	if k <= 0 { // below the lowest level
		rest := min(x.base, above.used)
		return rest + (above.used-rest)*load/above.load, above.chance(x.base, x.by) * load / above.load
	}
	below := x.levels[k-1]
	far := (load - below.load) / (above.load - below.load)
	return below.used + far*(above.used-below.used), math.Hypot(far*above.chance(x.base, x.by), (1-far)*below.chance(x.base, x.by))
}

// ceiling is the greatest load whose use stays below ratio in a step of so many seconds; +Inf
// if any does, and 0 if none does.
func (x use) ceiling(ratio, seconds float64) float64 {
	if len(x.levels) == 0 {
		return math.Inf(1)
	}
	// From above in steps of 5%, as chance makes the curve no monotone one.
	const steps = 300
	top := x.levels[len(x.levels)-1].load
	at := func(k int) float64 { return 1e3 * top * math.Pow(0.95, float64(k)) }
	for k := range steps {
		if x.most(at(k), seconds) > ratio {
			continue
		}
		if k == 0 {
			return math.Inf(1)
		}
		low, high := at(k), at(k-1)
		for range 30 {
			if middle := (low + high) / 2; x.most(middle, seconds) <= ratio {
				low = middle
			} else {
				high = middle
			}
		}
		return low
	}
	return 0
}
