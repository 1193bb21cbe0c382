package search

import (
	"fmt"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

// Cut says whether the running step is certain to break an objective, from its
// figures so far (p, warm-up left out) and the number of hits that the whole
// step plans. It counts hits that ended and broke the objective; once a target
// that meets it would show so many in the whole step less than once in a hundred
// times, the rest of the step has nothing to add. A step that could still hold
// is never cut, and neither is one that two unlucky hits of 150 would break.
func (s *Search) Cut(p observation.Point, planned uint64) (reason string, cut bool) {
	if p.Kind == scenarios.KindWarmup || planned == 0 {
		return "", false
	}
	for _, o := range s.cfg.Objectives {
		if o.Request != "" {
			continue // how many hits of one request are planned is not known here
		}
		bad, share, ok := broke(p, o)
		if !ok || float64(bad) <= share*float64(planned) || significance(planned, bad, share) != Broken {
			continue
		}
		return fmt.Sprintf("%s can no longer hold: %d of %d hits broke it, and %d may",
			o, bad, planned, uint64(share*float64(planned))), true
	}
	return "", false
}

// broke returns how many hits broke the objective so far, and the share of a
// step's hits that may; ok is false for objectives that no count of hits breaks.
func broke(p observation.Point, o scenarios.Objective) (bad uint64, share float64, ok bool) {
	if share, ok = shares[o.Metric]; ok {
		return slower(p.Windows, p.Figures, o.Value) + overdue(p, o.Value), share, true
	}
	switch o.Metric {
	case "errors":
		return p.Failed, o.Value, true
	case "max":
		return slower(p.Windows, p.Figures, o.Value) + overdue(p, o.Value), 0, true
	}
	return 0, 0, false
}

// overdue counts hits that were planned more than ms ago and have not ended: in a
// queue that grows they are slow for certain long before they are recorded.
func overdue(p observation.Point, ms float64) uint64 {
	if len(p.Windows) == 0 {
		return 0
	}
	last := p.Windows[len(p.Windows)-1]
	now := float64(last.Second)
	if width := float64(max(last.Width, 1)); float64(last.Planned) > 0.5*p.Offered*width {
		now += width // else it has just begun
	}
	sum := 0.0
	for _, w := range p.Windows {
		if w.Tally == nil {
			continue
		}
		share := min(max((now-ms/1000-float64(w.Second))/float64(max(w.Width, 1)), 0), 1)
		due := float64(w.Planned)*share - float64(w.Dropped) - float64(w.Tally.Ended())
		sum += max(due, 0)
	}
	return uint64(sum)
}
