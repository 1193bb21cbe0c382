package search

import (
	"math"
	"time"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

// refine offers the load at which the crossing is seen, as long as there is time
// for a confirmation afterwards, and then confirms.
func (s *Search) refine(run []observation.Point, left time.Duration) Decision {
	use := Usable(run)
	if len(use) == 0 {
		return done(nil, "no valid step")
	}
	e := s.cfg.Estimator.Estimate(use)
	if e.Bound != "" || !(e.Value > 0) {
		return s.confirmBound(run, e, left)
	}
	// The second confirmation is kept in reserve: about one in two is needed, as
	// the found load is the one at which the objective is as likely to break.
	reserve := 2 * (s.confirm + drain)
	if e.High-e.Low > precise*e.Value && left-reserve >= s.step+drain {
		return s.narrow(run, use, e)
	}
	return s.confirmAt(run, e, e.Value, left)
}

const (
	// wide is the ratio of the ends of a bracket that is first cut in two.
	wide = 1.2
	// climb is the greatest rise above a load that held clearly again and again.
	climb = 1.2
)

// lower is the least share of a load at which a confirmation did not go well at which it is made
// once more.
const lower = 0.95

// narrow chooses the load of a refinement: the place where the crossing is seen,
// but first a load inside a wide bracket, which the curves and the resource laws
// are read from too, and never a third step at a load that holds clearly.
func (s *Search) narrow(run, use []observation.Point, e Estimate) Decision {
	held, broke := s.bracket(use)
	if load, lasts, ok := s.between(use, e, held, broke); ok {
		return s.offer(scenarios.KindRefine, s.allowed(run, load, lasts), lasts,
			"between %.4g/s, which held, and %.4g/s, which did not", held, broke)
	}
	load := s.allowed(run, e.Value, s.step)
	if held > 0 && load <= (1+alike)*held && s.often(use, load) >= 2 {
		up := min(climb*held, math.Sqrt(held*broke))
		if e.High > (1+alike)*held {
			up = min(up, e.High) // else the steps contradict the estimate
		}
		if up = s.allowed(run, up, s.step); up > (1+alike/4)*held {
			return s.offer(scenarios.KindRefine, up, s.step, "higher, as %.4g/s holds clearly", held)
		}
	}
	return s.offer(scenarios.KindRefine, load, s.step,
		"the crossing is seen between %.4g and %.4g/s", e.Low, e.High)
}

// between returns the load and length of the first refinement of a wide bracket:
// its geometric mean or, where the crossing is seen well below that, a load a
// little below the crossing, for half as long.
func (s *Search) between(use []observation.Point, e Estimate, held, broke float64) (load float64, lasts time.Duration, ok bool) {
	for _, p := range use {
		if p.Kind == scenarios.KindRefine {
			return 0, 0, false
		}
	}
	if held == 0 || math.IsInf(broke, 1) || broke < wide*held {
		return 0, 0, false
	}
	if mean := math.Sqrt(held * broke); mean < e.High {
		return mean, s.step, true
	}
	load = 0.85 * e.Value
	for _, p := range use {
		if math.Abs(p.Offered-load) < 0.1*load {
			return 0, 0, false
		}
	}
	return load, max(s.step/2, min(s.step, s.grow)), true
}

// allowed keeps a load of a step that lasts so long below the ceiling of utilisation.
func (s *Search) allowed(run []observation.Point, load float64, lasts time.Duration) float64 {
	bound, _ := s.ceiling(run, lasts)
	return max(lowest, min(load, bound, s.cfg.MaxRPS))
}

// confirmBound ends a search that found no crossing: what held is offered again.
func (s *Search) confirmBound(run []observation.Point, e Estimate, left time.Duration) Decision {
	last, top := run[len(run)-1], 0.0
	if e.Bound != Above {
		return done(&e, "no load met the objectives")
	}
	held := 0.0
	for _, p := range Usable(run) {
		top = max(top, p.Offered)
		if Judge(p, s.cfg.Objectives) == Met {
			held = max(held, p.Offered)
		}
	}
	if held == 0 {
		return done(&e, "no load met the objectives")
	}
	if d, ok := s.below(run, e, left); ok {
		return d
	}
	d := s.confirmAt(run, e, held, left)
	switch bound, resource := s.ceiling(run, s.confirm); {
	case !usable(last):
		d.Reason = "growth ended at an invalid step (" + why(last) + "); " + d.Reason
	case bound < 1.1*top:
		d.Reason = resource + " would go above the allowed utilisation; " + d.Reason
	case top >= 0.999*s.cfg.MaxRPS:
		d.Reason = "the objectives hold at the greatest load allowed; " + d.Reason
	}
	return d
}

func (s *Search) confirmAt(run []observation.Point, e Estimate, load float64, left time.Duration) Decision {
	lasts := min(s.confirm, left-drain)
	if lasts < min(s.confirm, s.step)/2 || lasts < time.Second {
		return done(&e, "the budget allows no confirmation")
	}
	d := s.offer(scenarios.KindConfirm, s.allowed(run, load, lasts), lasts, "the capacity as estimated, offered again for longer")
	d.Predicted = &e
	return d
}

// afterConfirm ends the search, or confirms once more at a lower load.
func (s *Search) afterConfirm(run []observation.Point, left time.Duration) Decision {
	use := Usable(run)
	if len(use) == 0 {
		return done(nil, "no valid step")
	}
	last := run[len(run)-1]
	e := s.cfg.Estimator.Estimate(use)
	if !usable(last) {
		if !s.repeated(run) && left >= s.step+drain+settle {
			d := s.confirmAt(run, e, last.Offered, left-settle)
			d.Reason = "once more, as the confirmation was invalid: " + why(last)
			return d
		}
		return done(&e, "the confirmation at %g/s is invalid: %s", last.Offered, why(last))
	}
	outcome := Judge(last, s.cfg.Objectives)
	if outcome == Met && last.Short == "" {
		return done(&e, "confirmed at %g/s", last.Offered)
	}
	confirmations := 0
	for _, p := range run {
		if p.Kind == scenarios.KindConfirm {
			confirmations++
		}
	}
	switch again := confirmations < 2 && left >= s.step+drain+settle; {
	case last.Short == "" || outcome == Broken:
	case !again:
		return done(&e, "the confirmation at %g/s was ended early: %s", last.Offered, last.Short)
	default:
		d := s.confirmAt(run, e, lower*last.Offered, left-settle)
		if !d.Done {
			d.Reason = "the confirmation used more than is allowed; once more at a lower load"
		}
		return d
	}
	if confirmations > 1 || e.Bound == Below || left < s.step+drain+settle {
		return done(&e, "the objectives broke in the confirmation at %g/s", last.Offered)
	}
	load := min(0.985*last.Offered, max(e.Low, lower*last.Offered))
	d := s.confirmAt(run, e, load, left-settle)
	if !d.Done {
		d.Reason = "the confirmation broke; once more at a lower load"
	}
	return d
}
