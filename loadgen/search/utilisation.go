package search

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/headroom-project/headroom/loadgen/observation"
)

// utilisationMargin is by how much the demand may be greater above the loads that were
// offered than below.
const utilisationMargin = 0.05

// ceiling is the greatest load, in requests/s, that the bound of utilisation allows in a
// step that lasts so long, and the resource that sets it; +Inf if none does or there is no
// bound. The mean use is not what must stay below the bound, but the use of the step: the
// shorter it is, the more room chance takes.
func (s *Search) ceiling(run []observation.Point, lasts time.Duration) (load float64, resource string) {
	ratio, seconds := s.cfg.MaxUtilisation, (lasts - Discard(lasts)).Seconds()
	load, resource = ceiling(run, ratio, seconds)
	b, can := s.cfg.Estimator.(Bounder)
	if !can || !(ratio > 0) {
		return load, resource
	}
	x, name := b.Ceiling(run, ratio)
	if !math.IsInf(x, 1) && x > 0 {
		lower := x / (1 + unlucky*spread(x*seconds)) // as many hits as there will be
		x, name = b.Ceiling(run, ratio/(1+unlucky*spread(lower*seconds)))
	}
	if x < load {
		load, resource = x, name
	}
	return load, resource
}

// unlucky is how many standard deviations a step's use may lie above its mean: one step
// in a hundred does more.
const unlucky = 2.33

// spread is the standard deviation of what the hits of a step use, n of them in the mean, as
// a ratio of its mean. A sum of independent pieces of work whose number has a Poisson law
// varies by sqrt((1 + c^2)/n), c being the coefficient of variation of one (the law of total
// variance); here c = 1, that of exponential work.
func spread(n float64) float64 { return math.Sqrt(2 / n) }

// blindSteps is in how many steps a resource must have been read: a source may need
// one to begin with.
const blindSteps = 3

// unbounded says why the bound of utilisation would hold nothing, or "": who asked for it
// relies on it.
func (s *Search) unbounded(run []observation.Point) string {
	if s.cfg.MaxUtilisation <= 0 || len(run) < blindSteps || slices.ContainsFunc(resourceNames(run), func(name string) bool { return goesWithLoad(run, name) }) {
		return ""
	}
	if load, _ := s.ceiling(run, s.step); !math.IsInf(load, 1) {
		return ""
	}
	return fmt.Sprintf("nothing was read from the target in %d steps that goes with the load and has a limit, up to %g/s, so that a bound of %g%% holds nothing; hint: name the target under resources, or bound the load (safety.max_rps) in its place",
		len(run), highest(run), 100*s.cfg.MaxUtilisation)
}

// goesWithLoad says whether a resource is one that requests use while they are served. Bytes
// of memory or of a disk may stay what they are: then they bound nothing.
func goesWithLoad(run []observation.Point, name string) bool {
	return slices.ContainsFunc(run, func(p observation.Point) bool {
		u, read := p.Resources[name]
		return read && u.Unit != "bytes"
	})
}

func highest(run []observation.Point) (top float64) {
	for _, p := range run {
		top = max(top, p.Offered)
	}
	return top
}

// ceiling returns the greatest load, in requests/s, at which no limited resource goes above
// ratio of its limit in a step of so many seconds, chance allowed for, and the resource that
// sets it; +Inf if none does.
func ceiling(points []observation.Point, ratio, seconds float64) (load float64, resource string) {
	load = math.Inf(1)
	if ratio <= 0 {
		return load, ""
	}
	for _, name := range resourceNames(points) {
		if c := ceilingOf(levelsOf(points, name), ratio, seconds); c < load {
			load, resource = c, name
		}
	}
	return load, resource
}

// OfGenerator says whether a resource is the load generator's own: its limit
// says nothing about the target.
func OfGenerator(resource string) bool {
	return strings.HasPrefix(resource, "generator.")
}

func resourceNames(points []observation.Point) []string {
	var names []string
	for _, p := range points {
		for name, use := range p.Resources {
			if use.Limit > 0 && !OfGenerator(name) && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return names
}

// level is the use of a resource at one load, over all steps there.
type level struct {
	step       int
	load, used float64 // requests/s served, and a ratio of the limit
	seconds    float64
	// looks is how many servers were looked at, and found busy or not, over all readings of
	// a gauge; 0 for what is summed up meanwhile.
	looks float64
}

func (l level) hits() float64 { return l.load * l.seconds }

// levelsOf returns the levels of a resource, the highest load last. Steps at alike loads are
// one level: together they leave less to chance. Where the last two of them used more than
// all of them did, demand may be rising, and they count.
func levelsOf(points []observation.Point, name string) []level {
	var all []level
	for _, p := range points {
		u, ok := p.Resources[name]
		if ok && p.Valid && u.Limit > 0 && p.Throughput > 0 && p.Seconds > 0 && !math.IsNaN(u.Used) {
			l := level{step: p.Step, load: p.Throughput, used: u.Used / u.Limit, seconds: p.Seconds}
			if u.Unit == "slots" {
				l.looks = u.Limit * float64(max(u.Samples, 1))
			}
			all = append(all, l)
		}
	}
	slices.SortFunc(all, func(a, b level) int { return cmp.Compare(a.load, b.load) })
	var levels []level
	for len(all) > 0 {
		n := 1
		for n < len(all) && 0.9*all[n].load <= all[0].load {
			n++
		}
		alike := all[:n]
		all = all[n:]
		l := mean(alike)
		slices.SortFunc(alike, func(a, b level) int { return cmp.Compare(b.step, a.step) })
		newest := mean(alike[:min(n, 2)])
		l.used = max(l.used, newest.used*l.load/newest.load)
		levels = append(levels, l)
	}
	return levels
}

// mean is the level of all of some steps.
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

// chance is the standard deviation of what was read, base aside, which is the same for all
// hits: of the work of the hits and, of a gauge, of what it finds where the number in use has
// a Poisson law.
func (l level) chance(base float64) float64 {
	used := max(l.used-base, 0)
	work := used * math.Sqrt(1/l.hits())
	if l.looks == 0 {
		return work
	}
	return math.Hypot(work, math.Sqrt(used/l.looks))
}

// apart is the ratio of two loads above which the chord between them says little.
const apart = 0.8

// ceilingOf is the greatest load whose use stays below ratio in a step of so many seconds;
// +Inf if any does. The law is linear in the served load, as in capacity, through the
// highest level and
//
//   - no use without load, of which one level says nothing: all that is used counts as demand,
//     which errs on the safe side;
//   - or each other level, whose chord tells demand from base load, as far as chance allows;
//   - but is no lower than any of these chords: where demand rises with load, the newest is
//     the one that counts.
func ceilingOf(levels []level, ratio, seconds float64) float64 {
	if len(levels) == 0 {
		return math.Inf(1)
	}
	top, others := levels[len(levels)-1], levels[:len(levels)-1]
	base := 0.0 // what is surely used without load: it does not vary with the hits
	others = slices.DeleteFunc(slices.Clone(others), func(o level) bool { return o.load > apart*top.load })
	for _, o := range others {
		far := top.load / (top.load - o.load)
		chance := math.Hypot((far-1)*top.chance(0), far*o.chance(0))
		base = max(base, top.used-far*(top.used-o.used)-unlucky*chance)
	}
	at := func(load float64) float64 {
		chance := func(mean float64) float64 { return max(mean-base, 0) * spread(load*seconds) }
		mean := top.used * load / top.load
		use := mean + unlucky*math.Hypot(chance(mean), top.chance(base)*load/top.load)
		rising := 0.0
		for _, o := range others {
			far := (load - top.load) / (top.load - o.load)
			slope := top.used - o.used
			mean := top.used + far*slope
			use = min(use, mean+unlucky*math.Hypot(chance(mean), math.Hypot((1+far)*top.chance(base), far*o.chance(base))))
			if load > top.load {
				mean += utilisationMargin * max(far*slope, 0)
				rising = max(rising, mean+unlucky*chance(mean))
			}
		}
		return max(use, rising)
	}
	low, high := 0.0, 1e3*top.load
	if at(high) <= ratio {
		return math.Inf(1)
	}
	for range 60 {
		if middle := (low + high) / 2; at(middle) <= ratio {
			low = middle
		} else {
			high = middle
		}
	}
	return low
}
