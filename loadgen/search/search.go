package search

import (
	"fmt"
	"math"
	"time"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

// Defaults of a search.
const (
	DefaultFrom   = 50.0 // requests/s
	DefaultStep   = 8 * time.Second
	DefaultBudget = 110 * time.Second
	DefaultMaxRPS = 10000.0
)

// What a step costs beyond the time for which it offers load.
const (
	settle = 500 * time.Millisecond // between two steps
	drain  = 2 * time.Second        // after a step that may have overloaded the target
)

// precise is the relative width of an estimate that needs no more refinement.
const precise = 0.02

// Config says what is searched and within what bounds.
type Config struct {
	// Load is the search as written; zero fields take the defaults above.
	Load scenarios.SearchLoad
	// Objectives must hold at the capacity. Without any, growth goes up to MaxRPS.
	Objectives []scenarios.Objective
	// MaxRPS is never exceeded, whatever Load.To says; 0 is DefaultMaxRPS.
	MaxRPS float64
	// MaxUtilisation is the ratio of its limit above which no step may take a resource of
	// the target, chance allowed for; 0 is no such bound.
	MaxUtilisation float64
	// Estimator sees the crossing; nil is Bracket.
	Estimator Estimator
}

// Search is a search's policy. It has no state but its Config, and is safe for
// concurrent use if its Estimator is.
type Search struct {
	cfg Config
	// grow is how long a growth step lasts, confirm a confirmation.
	grow, confirm time.Duration
	step, budget  time.Duration
}

// Decision is what to do next.
type Decision struct {
	// Done ends the search; Step is then empty.
	Done bool
	// Step is the step to run: Kind, From, To and Lasts. The caller numbers it.
	Step scenarios.Step
	// Reason says why, in words for the report.
	Reason string
	// Failed says, with Done, why the search cannot be made as it was asked for; empty if
	// it can.
	Failed string
	// Predicted is the estimate that a confirmation step is to prove, and with
	// Done the last one.
	Predicted *Estimate
}

// New returns the policy for a search, defaults filled in. Impossible values
// are taken as absent: the scenario is validated where it is loaded.
func New(cfg Config) *Search {
	if !(cfg.MaxRPS > 0) {
		cfg.MaxRPS = DefaultMaxRPS
	}
	if cfg.Load.To > 0 {
		cfg.MaxRPS = min(cfg.MaxRPS, cfg.Load.To)
	}
	if !(cfg.Load.From > 0) {
		cfg.Load.From = DefaultFrom
	}
	cfg.Load.From = min(cfg.Load.From, cfg.MaxRPS)
	if cfg.Estimator == nil {
		cfg.Estimator = Bracket(cfg.Objectives)
	}
	s := &Search{cfg: cfg, step: time.Duration(cfg.Load.Step), budget: time.Duration(cfg.Load.Budget)}
	if s.budget <= 0 {
		s.budget = DefaultBudget
	}
	if s.step <= 0 {
		s.step = min(DefaultStep, s.budget/8)
	}
	s.grow = min(3*time.Second, max(time.Second, s.budget/30))
	s.confirm = min(2*s.step, 20*time.Second)
	s.confirm = max(s.confirm, min(s.step, s.budget/5))
	return s
}

// Next returns what to do after points (in the order of their steps, the warm-up
// may be among them), elapsed after the drill began.
func (s *Search) Next(points []observation.Point, elapsed time.Duration) Decision {
	run := offered(points)
	read := run
	if len(run) < 2 { // the warm-up is all there is to go by, or half of it
		read = points
	}
	return s.kept(read, s.choose(run, s.budget-elapsed))
}

func (s *Search) choose(run []observation.Point, left time.Duration) Decision {
	if len(run) == 0 {
		return s.offer(scenarios.KindSearch, s.cfg.Load.From, s.grow, "the lowest load")
	}
	if last := run[len(run)-1]; last.Kind == scenarios.KindConfirm {
		return s.afterConfirm(run, left)
	}
	if last := run[len(run)-1]; last.Kind == scenarios.KindSearch {
		if d, growing := s.growth(run, left); growing {
			return d
		}
	}
	return s.refine(run, left)
}

// offered leaves out the warm-up, and what has another mix.
func offered(points []observation.Point) []observation.Point {
	var run []observation.Point
	for _, p := range points {
		if p.Kind != scenarios.KindWarmup && p.Kind != scenarios.KindAttribute {
			run = append(run, p)
		}
	}
	return run
}

// usable says whether a point says anything about the target. A step in which the
// generator was late says nothing, unless it was cut and even the latest hits
// were late by a trifle of what the median waited: it is overload then, whoever
// measures it.
func usable(p observation.Point) bool {
	if !(p.Offered > 0) || math.IsInf(p.Offered, 0) {
		return false
	}
	return p.Valid || p.Cut != "" && p.SendLag.P99 <= 0.1*p.Response.P50 && p.OK+p.Failed > 0
}

// Usable returns the points that say something about the target.
func Usable(points []observation.Point) []observation.Point {
	var use []observation.Point
	for _, p := range offered(points) {
		if usable(p) {
			use = append(use, p)
		}
	}
	return use
}

func (s *Search) offer(kind string, load float64, lasts time.Duration, format string, args ...any) Decision {
	if load = min(load, s.cfg.MaxRPS); load < s.cfg.MaxRPS { // which is offered as it was written
		load = min(round(load), s.cfg.MaxRPS)
	}
	return Decision{
		Step:   scenarios.Step{Kind: kind, From: load, To: load, Lasts: lasts},
		Reason: fmt.Sprintf(format, args...),
	}
}

func done(e *Estimate, format string, args ...any) Decision {
	return Decision{Done: true, Reason: fmt.Sprintf(format, args...), Predicted: e}
}

// Discard is the rule for warm-up: the first fifth of a step, at least a second
// and at most three, is kept out of the figures; nothing of a step shorter than
// two seconds. What is left is what the step says.
func Discard(lasts time.Duration) time.Duration {
	d := min(max(lasts/5, time.Second), 3*time.Second)
	// Windows are whole seconds, so that the cut is, too.
	d = d.Round(time.Second)
	if d > lasts/2 {
		return 0
	}
	return d
}

// round keeps loads readable, to a quarter of a percent or better.
func round(load float64) float64 { return math.Floor(load*units(load)+0.5) / units(load) }

// roundDown is the same of a load that may not be exceeded.
func roundDown(load float64) float64 { return math.Floor(load*units(load)) / units(load) }

// units is how many there are in 1/s of what a load is a multiple of.
func units(load float64) float64 {
	units := 1.0
	for units*load < 200 && units < 1e3 {
		units *= 10
	}
	return units
}
