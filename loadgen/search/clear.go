package search

import (
	"math"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

const (
	// room is the share of a threshold below which an objective holds clearly.
	room = 0.75
	// alike is the relative distance of two loads that are practically the same.
	alike = 0.02
)

// Clearly says whether every objective of a usable step held with room to spare:
// what limits from above stayed below three quarters of its threshold.
func Clearly(p observation.Point, objectives []scenarios.Objective) bool {
	if !usable(p) || p.Cut != "" {
		return false
	}
	for _, o := range objectives {
		if o.Metric != "throughput" {
			o.Value *= room
		}
		if judge(p, o) != Met {
			return false
		}
	}
	return true
}

// Held returns the highest load, in requests/s, that is known to hold: one that
// was confirmed, or that at least two steps at or above it held clearly while none
// at or below it broke. 0 if there is none. A confirmation is the longer test and
// counts against shorter steps, but not against another confirmation.
func Held(points []observation.Point, objectives []scenarios.Objective) float64 {
	broke, refuted := math.Inf(1), Refuted(points, objectives)
	for _, p := range points {
		if usable(p) && Judge(p, objectives) == Broken {
			broke = min(broke, p.Offered)
		}
	}
	var top, second, confirmed float64 // of the loads that held clearly
	for _, p := range points {
		if !usable(p) || p.Cut != "" {
			continue
		}
		if p.Kind == scenarios.KindConfirm && p.Short == "" && (refuted == 0 || p.Offered < refuted) && Judge(p, objectives) == Met {
			confirmed = max(confirmed, p.Offered)
		}
		if p.Offered < broke && p.Offered > second && Clearly(p, objectives) {
			second = p.Offered
			if second > top {
				top, second = second, top
			}
		}
	}
	return max(confirmed, second)
}

// Refuted returns the lowest load, in requests/s, whose confirmation broke; 0 if
// none did.
func Refuted(points []observation.Point, objectives []scenarios.Objective) float64 {
	lowest := 0.0
	for _, p := range points {
		broke := p.Kind == scenarios.KindConfirm && usable(p) && Judge(p, objectives) == Broken
		if broke && (lowest == 0 || p.Offered < lowest) {
			lowest = p.Offered
		}
	}
	return lowest
}

// bracket returns the highest load that held clearly and the lowest above it that
// did not hold; +Inf if none did not.
func (s *Search) bracket(use []observation.Point) (held, broke float64) {
	broke = math.Inf(1)
	lowest := math.Inf(1) // that broke beyond doubt
	for _, p := range use {
		if Judge(p, s.cfg.Objectives) == Broken {
			lowest = min(lowest, p.Offered)
		}
	}
	for _, p := range use {
		if p.Offered < lowest && Clearly(p, s.cfg.Objectives) {
			held = max(held, p.Offered)
		}
	}
	for _, p := range use {
		if p.Offered > held && Judge(p, s.cfg.Objectives) != Met {
			broke = min(broke, p.Offered)
		}
	}
	return held, broke
}

// often counts the steps that held clearly at practically one load.
func (s *Search) often(use []observation.Point, load float64) (n int) {
	for _, p := range use {
		if math.Abs(p.Offered-load) <= alike*load && Clearly(p, s.cfg.Objectives) {
			n++
		}
	}
	return n
}
