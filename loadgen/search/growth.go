package search

import (
	"math"
	"strings"
	"time"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

const (
	factor   = 2.0 // of one growth step to the next
	halvings = 5   // below From, before the search gives up
	lowest   = 1.0 // requests/s
)

// growth returns the next growth step; growing is false when growth has ended
// and the crossing, if there is one, is bracketed.
func (s *Search) growth(run []observation.Point, left time.Duration) (d Decision, growing bool) {
	last := run[len(run)-1]
	if !usable(last) {
		// A neighbour may have taken the generator's core for a moment.
		if !s.repeated(run) && left > 2*s.grow+s.confirm+drain {
			return s.offer(scenarios.KindSearch, last.Offered, s.grow, "once more, as the step was invalid: %s", why(last)), true
		}
		if len(Usable(run)) == 0 {
			return done(nil, "the step at %g/s is invalid: %s", last.Offered, why(last)), true
		}
		return Decision{}, false
	}
	outcome := Judge(last, s.cfg.Objectives)
	if outcome == Doubtful && !s.repeated(run) && left > 2*s.grow+s.confirm+drain {
		return s.offer(scenarios.KindSearch, last.Offered, 2*s.grow,
			"again for longer: too few hits to tell a broken objective from chance"), true
	}
	if outcome == Met {
		return s.up(run, last, left)
	}
	return s.down(run, last)
}

func (s *Search) up(run []observation.Point, last observation.Point, left time.Duration) (Decision, bool) {
	for _, p := range run {
		if p.Offered > 1.01*last.Offered {
			return Decision{}, false // came down to here: bracketed
		}
	}
	if last.Offered >= 0.999*s.cfg.MaxRPS || left < s.grow+s.confirm+2*drain {
		return Decision{}, false
	}
	if why := s.unbounded(run); why != "" {
		return Decision{Done: true, Reason: why, Failed: why}, true
	}
	next := min(factor*last.Offered, s.cfg.MaxRPS)
	if bound, _ := s.ceiling(run, s.grow); bound < next {
		return s.upToBound(run, last, next, left)
	}
	return s.offer(scenarios.KindSearch, next, s.grow, "the objectives held at %g/s", last.Offered), true
}

// upToBound offers what the bound of utilisation allows: from afar in two short steps, as what
// is extrapolated may be wrong, and from nearer for longer, as more is then allowed. growing
// is false if that is hardly more than was offered.
func (s *Search) upToBound(run []observation.Point, last observation.Point, next float64, left time.Duration) (Decision, bool) {
	lasts := max(s.step, s.grow)
	if left < lasts+s.confirm+2*drain {
		lasts = s.grow
	}
	bound, resource := s.ceiling(run, lasts)
	load := min(bound, next)
	switch {
	case bound < 1.1*last.Offered:
		return Decision{}, false
	case load > approach*last.Offered:
		near, _ := s.ceiling(run, s.grow)
		load, lasts = max(math.Sqrt(load*last.Offered), min(near, approach*last.Offered)), s.grow
	case load > 0.97*approach*last.Offered:
		lasts = s.grow
	}
	return s.offer(scenarios.KindSearch, load, lasts, "the objectives held at %g/s; %s comes near its bound", last.Offered, resource), true
}

func (s *Search) down(run []observation.Point, last observation.Point) (Decision, bool) {
	tried := 0
	for _, p := range run {
		if p.Offered < 0.99*last.Offered {
			return Decision{}, false // a lower load was offered before: bracketed
		}
		if p.Offered < 0.99*s.cfg.Load.From {
			tried++
		}
	}
	next := last.Offered / factor
	if next < lowest || tried >= halvings {
		e := s.cfg.Estimator.Estimate(Usable(run))
		return done(&e, "no load down to %g/s met the objectives", last.Offered), true
	}
	return s.offer(scenarios.KindSearch, next, s.grow, "the objectives broke at %g/s, the lowest so far", last.Offered), true
}

// repeated says whether the last load was offered twice in a row, or nearly so as a bound of
// utilisation came down meanwhile.
func (s *Search) repeated(run []observation.Point) bool {
	n := len(run)
	if n < 2 {
		return false
	}
	before, last := run[n-2].Offered, run[n-1].Offered
	return before == last || s.cfg.MaxUtilisation > 0 && last < before && last >= alikeLoads*before
}

func why(p observation.Point) string {
	if len(p.WhyInvalid) == 0 {
		return "nothing was observed"
	}
	return strings.Join(p.WhyInvalid, ", ")
}
