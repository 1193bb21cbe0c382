package search

import (
	"fmt"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

// clearly is by how many standard deviations of what chance makes of a step's use so far it
// must be above a bound for the step to end.
const clearly = 1.0

// longEnough is for how many seconds, and in how many readings, a use must have been seen: one
// may be a moment of something else.
const longEnough = 2

// Above says whether the running step uses more of a resource than the bound of utilisation
// allows, from its figures so far (p, warm-up left out) and for how many seconds, without the
// warm-up, it is to last: clearly so far, and in the whole step even if the rest of it used no
// more than a step at its ceiling does in the mean. Whatever passes for a moment is no reason.
// It is no sign of a broken objective: what was offered until then counts, and the steps that
// follow are lower. What is read after a step only, as locks are, ends none, and bytes do not: a
// heap that is collected is above its mean for half of the time.
func (s *Search) Above(p observation.Point, whole float64) (reason string, above bool) {
	bound := s.cfg.MaxUtilisation
	if !(bound > 0) || p.Kind == scenarios.KindWarmup || !(p.Seconds >= longEnough) {
		return "", false
	}
	left := max(whole-p.Seconds, 0)
	n := max(p.Offered*whole, fewHits)
	for _, name := range resourceNames([]observation.Point{p}) {
		u := p.Resources[name]
		if !(u.Used > 0) || u.Samples < longEnough || u.Unit == "bytes" {
			continue
		}
		l := levelOf(p, u)
		l.used, l.variance = l.used/u.Limit, l.variance/(u.Limit*u.Limit)
		l.load = max(l.load, float64(p.OK+p.Failed)/p.Seconds) // what failed took something, too
		by := scatterOf([]level{l})
		rest := max(min(bound/(1+unlucky*spread(n)), bound-unlucky*by.of(bound, p.Offered, n)), 0)
		inAll := (l.used*p.Seconds + rest*left) / (p.Seconds + left)
		if l.used-clearly*l.chance(0, by) > bound && inAll > bound {
			return fmt.Sprintf("%s is used at %.0f%%, above the allowed %g%%", name, 100*l.used, 100*bound), true
		}
	}
	return "", false
}
