package search

import (
	"math"
	"slices"
	"time"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

// rungs are the loads, as shares of the greatest allowed, that are weighed against
// one another when the crossing is to be predicted from below.
var rungs = []float64{1, 0.85, 0.7, 0.55, 0.4, 0.25}

// enough steps are made before a prediction is given up; the budget may end before.
const enough = 12

// longer is how many times as long a step is that is to go as high as a bound allows, as chance
// takes less room of it, and dearer how much higher it must go to be worth that.
const (
	longer = 2
	dearer = 1.05
)

// restful is the share of the greatest allowed load at which requests hardly wait.
const restful = 0.25

// below offers more steps to a search that may not go up to the crossing, as long
// as they make its prediction better: what a bound of utilisation turns out to allow
// above the loads so far, one at a low load, where the time that requests take without
// waiting is read, and then always the one that shrinks the variance of the prediction
// most. While nothing is predicted, it is the highest. ok is false if it is good enough, cannot be
// made, or the budget is needed for the confirmation.
func (s *Search) below(run []observation.Point, e Estimate, left time.Duration) (d Decision, ok bool) {
	if left-s.confirm-drain < s.step+drain {
		return Decision{}, false
	}
	top := 0.0
	for _, p := range Usable(run) {
		top = max(top, p.Offered)
	}
	vague := !e.Predicted || e.High-e.Low > precise*e.Value
	switch bound, _ := s.ceiling(run, s.step); {
	case bound < 0.99*top:
		top = bound // demand rose: what was offered before is more than is allowed
	case vague && !math.IsInf(bound, 1) && min(bound, s.cfg.MaxRPS) > roomy*top && top > 0.99*highest(run):
		// A bound begins low on purpose, as little is known. More steps told that more is
		// allowed, and nothing above was tried.
		lasts := s.step
		if bound > 0.97*approach*top {
			lasts = s.grow
		}
		return s.offer(scenarios.KindRefine, min(bound, s.cfg.MaxRPS, approach*top), lasts,
			"all objectives hold up to %.4g/s, and more steps say that more is allowed", top), true
	}
	bounded := s.cfg.MaxUtilisation > 0 || s.foresees() && s.cfg.MaxRPS != DefaultMaxRPS && top >= 0.99*s.cfg.MaxRPS
	if low := max(restful*top, lowest); (e.Predicted || bounded) && !rested(run, low) {
		return s.offer(scenarios.KindRefine, low, s.step,
			"all objectives hold up to %.4g/s; a low load shows what requests take without waiting", top), true
	}
	if !e.Predicted && bounded && len(Usable(run)) < enough {
		if long := min(longer*s.step, left-s.confirm-2*drain); long > s.step && !s.outlasted(run) {
			if bound, _ := s.ceiling(run, long); bound > dearer*top && bound < s.cfg.MaxRPS {
				return s.offer(scenarios.KindRefine, min(bound, approach*top), long,
					"all objectives hold up to %.4g/s, too far below what would break them; a longer step may go higher", top), true
			}
		}
		return s.offer(scenarios.KindRefine, max(top, lowest), s.step, "all objectives hold up to %.4g/s; more steps are needed for a prediction", top), true
	}
	if !e.Predicted || !vague {
		return Decision{}, false
	}
	load, why := top, "the greatest load allowed"
	if planner, can := s.cfg.Estimator.(Planner); can {
		loads := make([]float64, len(rungs))
		for i, share := range rungs {
			loads[i] = max(share*top, lowest)
		}
		if i := planner.Best(Usable(run), loads, s.step.Seconds()); i >= 0 && i < len(loads) {
			load, why = loads[i], "where a step narrows that most"
		}
	}
	return s.offer(scenarios.KindRefine, load, s.step,
		"the crossing is predicted between %.4g and %.4g/s; %s", e.Low, e.High, why), true
}

// outlasted says whether a refinement was made that was longer than most, or that was ended early:
// one is enough, as the highest of several ceilings is the one that chance made higher.
func (s *Search) outlasted(run []observation.Point) bool {
	return slices.ContainsFunc(run, func(p observation.Point) bool {
		return p.Kind == scenarios.KindRefine && (p.Short != "" || p.Discarded+p.Seconds > 1.2*s.step.Seconds())
	})
}

// foresees says whether a capacity above the loads that were offered can be predicted at all:
// not of a demand on the throughput.
func (s *Search) foresees() bool {
	_, can := s.cfg.Estimator.(Planner)
	return can && slices.ContainsFunc(s.cfg.Objectives, func(o scenarios.Objective) bool { return o.Metric != "throughput" })
}

// roomy is how much higher than the highest load the bound must be for a search to go
// higher once more: growth ends where it is closer.
const roomy = 1.1

// rested says whether a refinement was made at about that load.
func rested(run []observation.Point, load float64) bool {
	for _, p := range run {
		if p.Kind == scenarios.KindRefine && math.Abs(p.Offered-load) < 0.5*load {
			return true
		}
	}
	return false
}
