package search

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/headroom-project/headroom/loadgen/observation"
)

// ceiling is the greatest load, in requests/s, that the bound of utilisation allows in a
// step that lasts so long, and the resource that sets it; +Inf if none does or there is no
// bound. The mean use is not what must stay below the bound, but the use of the step: the
// shorter it is, the more room chance takes.
func (s *Search) ceiling(run []observation.Point, lasts time.Duration) (load float64, resource string) {
	return s.ceilingOver(run, (lasts - Discard(lasts)).Seconds())
}

// ceilingOver is the same of so many seconds without the warm-up.
func (s *Search) ceilingOver(run []observation.Point, seconds float64) (load float64, resource string) {
	ratio := s.cfg.MaxUtilisation
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

// kept is a decision that keeps the bound of utilisation, whatever it was for. Without a
// warm-up the first step has nothing to go by.
func (s *Search) kept(run []observation.Point, d Decision) Decision {
	if d.Done || !(s.cfg.MaxUtilisation > 0) || len(run) == 0 {
		return d
	}
	bound, resource := s.ceiling(run, d.Step.Lasts)
	if d.Step.From <= bound {
		return d
	}
	if name, base := s.restsAbove(run); name != "" {
		why := fmt.Sprintf("%s is used at %.0f%% without load, so that no load keeps a bound of %g%%; hint: allow more, or bound the load (safety.max_rps) in its place",
			name, 100*base, 100*s.cfg.MaxUtilisation)
		return Decision{Done: true, Reason: why, Failed: why}
	}
	least := min(lowest, d.Step.From)
	if bound < 0.995*d.Step.From {
		d.Reason += fmt.Sprintf("; no more, as %s would go above the allowed utilisation", resource)
	}
	d.Step.From = max(roundDown(bound), least)
	d.Step.To = d.Step.From
	return d
}

// restsAbove returns a resource that is surely used above the bound without load, and how
// much of it is; an empty name if there is none. A warm-up and one step may both have been cold,
// which says something of bytes only: they stay.
func (s *Search) restsAbove(run []observation.Point) (name string, base float64) {
	for _, name := range resourceNames(run) {
		if len(offered(run)) < 2 && goesWithLoad(run, name) {
			continue
		}
		if x := useOf(run, name, s.cfg.MaxUtilisation); x.base > s.cfg.MaxUtilisation && len(x.others) > 0 {
			return name, x.base
		}
	}
	return "", 0
}

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
		c := min(useOf(points, name, ratio).ceiling(ratio, seconds), afterwards(points, name, ratio))
		if c < load {
			load, resource = c, name
		}
	}
	return load, resource
}

// afterwards is the greatest load after a step that used more than ratio of a resource: what
// uses it may have changed, or others use it, too, so that what earlier steps said is no longer
// so. +Inf if the newest step that was read used no more than that.
func afterwards(points []observation.Point, name string, ratio float64) float64 {
	for _, p := range slices.Backward(points) {
		u, read := p.Resources[name]
		// What the target used is a fact, though the generator was late.
		known := p.Valid || p.Short != "" && u.LimitBefore == 0
		if !read || !known || !(u.Limit > 0) || !(u.Used >= 0) || !(p.Offered > 0) {
			continue
		}
		if used := u.Used / u.Limit; used > ratio {
			return p.Offered * ratio / used
		}
		break
	}
	return math.Inf(1)
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
