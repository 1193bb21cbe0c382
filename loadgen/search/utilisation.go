package search

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/headroom-project/headroom/loadgen/observation"
)

// utilisationMargin is by how much the demand may be underestimated.
const utilisationMargin = 0.05

// ceiling is the greatest load, in requests/s, that the bound of utilisation allows, and
// the resource that sets it; +Inf if none does or there is no bound.
func (s *Search) ceiling(run []observation.Point) (load float64, resource string) {
	ratio := s.cfg.MaxUtilisation
	load, resource = ceiling(run, ratio)
	if b, can := s.cfg.Estimator.(Bounder); can && ratio > 0 {
		if x, name := b.Ceiling(run, ratio); x < load {
			load, resource = x, name
		}
	}
	return load, resource
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
	if load, _ := s.ceiling(run); !math.IsInf(load, 1) {
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

// inferred says that a bound of utilisation holds for a resource that no source reads.
func (s *Search) inferred(run []observation.Point) bool {
	b, can := s.cfg.Estimator.(Bounder)
	if !can || s.cfg.MaxUtilisation <= 0 {
		return false
	}
	load, _ := b.Ceiling(run, s.cfg.MaxUtilisation)
	return !math.IsInf(load, 1)
}

// ceiling returns the greatest load, in requests/s, at which no limited resource
// is predicted to go above ratio of its limit, and the resource that sets it;
// +Inf if none does. The law is linear in the served load, as in capacity, with
// the steepest chord through the newest point: where demand rises with load, the
// newest chord is the one that counts.
func ceiling(points []observation.Point, ratio float64) (load float64, resource string) {
	load = math.Inf(1)
	if ratio <= 0 {
		return load, ""
	}
	for _, name := range resourceNames(points) {
		if c := ceilingOf(points, name, ratio); c < load {
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

func ceilingOf(points []observation.Point, name string, ratio float64) float64 {
	type reading struct{ load, used float64 } // used as a ratio of the limit
	var all []reading
	for _, p := range points {
		u, ok := p.Resources[name]
		if ok && p.Valid && u.Limit > 0 && p.Throughput > 0 && !math.IsNaN(u.Used) {
			all = append(all, reading{p.Throughput, u.Used / u.Limit})
		}
	}
	if len(all) == 0 {
		return math.Inf(1)
	}
	last := slices.MaxFunc(all, func(a, b reading) int {
		if a.load < b.load {
			return -1
		}
		return 1
	})
	// One point cannot tell base load from demand: all of it counts as demand,
	// which errs on the safe side for the first doubling or two.
	slope := 0.0
	if len(all) == 1 {
		slope = last.used / last.load
	}
	for _, r := range all {
		if r.load < 0.95*last.load {
			slope = max(slope, (last.used-r.used)/(last.load-r.load))
		}
	}
	room := ratio - last.used
	if room <= 0 {
		return last.load * ratio / last.used
	}
	if slope <= 0 {
		return math.Inf(1)
	}
	return last.load + room/(slope*(1+utilisationMargin))
}
