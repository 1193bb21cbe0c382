package search

import (
	"fmt"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

// Cut says whether the running step is certain to break an objective, from its
// figures so far (p, warm-up left out) and the number of hits that the whole
// step plans. It counts hits that ended, so it never cuts a step that could
// still hold: p99 of 2400 hits is broken by the 25th slow one, whatever the
// rest will be.
func (s *Search) Cut(p observation.Point, planned uint64) (reason string, cut bool) {
	if p.Kind == scenarios.KindWarmup || planned == 0 {
		return "", false
	}
	for _, o := range s.cfg.Objectives {
		f, windows := figures(p, o)
		if f == nil || o.Request != "" {
			continue // how many hits of one request are planned is not known here
		}
		if bad, allowed := certain(*f, windows, o, planned); float64(bad) > allowed {
			return fmt.Sprintf("%s %s %g can no longer hold: %d of %d hits broke it and %d may",
				o.Metric, o.Op, o.Value, bad, planned, uint64(allowed)), true
		}
	}
	return "", false
}

// certain returns how many hits broke the objective so far, and how many may in
// the whole step.
func certain(f observation.Figures, windows []observation.Second, o scenarios.Objective, planned uint64) (bad uint64, allowed float64) {
	if share, ok := shares[o.Metric]; ok {
		return slower(windows, f, o.Value), share * float64(planned)
	}
	switch o.Metric {
	case "errors":
		return f.Failed, o.Value * float64(planned)
	case "max":
		return slower(windows, f, o.Value), 0
	}
	return 0, 0
}
