package reports

import (
	"fmt"

	"github.com/headroom-project/headroom/capacity"
	"github.com/headroom-project/headroom/scenarios"
)

// Figure is one of the few figures that a report begins with.
type Figure struct {
	Name  string
	Value string
	Unit  string
	// Notes qualify the value, the most important first.
	Notes []string
}

// figureless says that an invalid run has no numbers to give. One that only leaves open
// whether a demand is met has them.
func figureless(r *Run) bool {
	if r.Verdict != Invalid {
		return false
	}
	c, h := r.Capacity, r.Headroom
	if c == nil || h == nil || r.Ended != endedDone || !(h.DemandRPS >= c.RPS.Low) {
		return true
	}
	open := c.Bound == "above" || (c.Bound == "" || c.Bound == "predicted") && h.DemandRPS <= c.RPS.High
	return !open
}

// keyFigures are the answers to the questions that a drill is run for, as far
// as r has them.
func keyFigures(r *Run, dash string) []Figure {
	if figureless(r) || r.Ended == endedFailed {
		return nil
	}
	var out []Figure
	if r.Capacity != nil {
		out = append(out, capacityFigure(r.Capacity, mostOffered(r), dash))
	} else {
		out = append(out, loadFigures(r)...)
	}
	if r.Saturation != nil && len(r.Saturation.Bottlenecks) > 0 {
		out = append(out, bottleneckFigure(r.Saturation.Bottlenecks))
	}
	if r.Bounded != nil {
		out = append(out, boundedFigure(r.Bounded))
	}
	if r.Headroom != nil {
		out = append(out, headroomFigure(r.Headroom, r.Capacity, dash))
	}
	if r.Cost != nil {
		out = append(out, costFigure(r.Cost))
	}
	return out
}

// capacityFigure is the capacity; most is the highest load that was offered, in requests/s.
func capacityFigure(c *Capacity, most float64, dash string) Figure {
	f := Figure{Name: "Capacity", Value: perSecond(c.RPS.Value), Unit: "req/s"}
	switch c.Bound {
	case "above":
		f.Value = "≥ " + perSecond(bound(c.RPS.Low, c.RPS.Value))
		f.Notes = append(f.Notes, "every load offered met the objectives")
	case "below":
		f.Value = "< " + perSecond(bound(c.RPS.High, c.RPS.Value))
		f.Notes = append(f.Notes, "the lowest load offered missed an objective")
	default:
		switch {
		case c.Bound == "predicted" && most >= c.RPS.Value*alike:
			f.Notes = append(f.Notes, "predicted; the highest load that was offered, and held")
		case c.Bound == "predicted":
			f.Notes = append(f.Notes, "predicted, not offered")
		}
		if c.RPS.High > c.RPS.Low {
			f.Notes = append(f.Notes, perSecond(c.RPS.Low)+dash+perSecond(c.RPS.High)+confidence(c.RPS))
		}
	}
	switch {
	case c.Objective != "" && c.Bound != "above":
		f.Notes = append(f.Notes, "limited by "+spaced(c.Objective))
	case c.Objective == "" && (c.Bound == "" || c.Bound == "predicted"):
		f.Notes = append(f.Notes, "the target serves no more")
	}
	switch {
	case c.Confirmed && c.ConfirmedAtRPS > 0:
		f.Notes = append(f.Notes, "confirmed at "+perSecond(c.ConfirmedAtRPS)+" req/s")
	case c.Confirmed:
		f.Notes = append(f.Notes, "confirmed")
	case c.RefutedAtRPS > 0:
		f.Notes = append(f.Notes, "the confirmation at "+perSecond(c.RefutedAtRPS)+" broke")
	case c.Bound == "":
		f.Notes = append(f.Notes, "not confirmed")
	}
	switch {
	case c.Check != nil:
		f.Notes = append(f.Notes, fmt.Sprintf("p99 there predicted %s%s, observed %s", millis(c.Check.PredictedMS), c.Check.interval(dash), millis(c.Check.ObservedMS)))
	case c.Bound == "" && c.Predicted != nil && c.Predicted.Value > 0:
		p := c.Predicted
		f.Notes = append(f.Notes, "predicted "+perSecond(p.Value)+interval(Estimate{Low: p.Low, High: p.High}, dash)+" before that")
	}
	return f
}

func mostOffered(r *Run) (most float64) {
	for i := range r.Steps {
		if s := &r.Steps[i]; s.Kind != scenarios.KindWarmup && s.Valid {
			most = max(most, s.OfferedRPS)
		}
	}
	return most
}

// interval is that of the p99 that was predicted; empty if it is not known.
func (c *Check) interval(dash string) string {
	switch {
	case !(c.PredictedLow > 0):
		return ""
	case !(c.PredictedHigh > 0):
		return " (" + millis(c.PredictedLow) + " or more)"
	}
	return " (" + millis(c.PredictedLow) + dash + millis(c.PredictedHigh) + ")"
}

func confidence(e Estimate) string {
	if e.Confidence > 0 && e.Confidence < 1 {
		return ", " + percent(e.Confidence) + " interval"
	}
	return ""
}

// loadFigures are for a drill that did not search: what one load was like.
func loadFigures(r *Run) []Figure {
	s := reference(r)
	if s == nil {
		return nil
	}
	load := Figure{Name: "Served", Value: perSecond(s.ThroughputRPS), Unit: "req/s", Notes: []string{"of " + perSecond(s.OfferedRPS) + " req/s offered"}}
	if s.Users > 0 {
		load.Notes = []string{"with " + plural(s.Users, "user")}
	}
	if s.OK+s.Failed == 0 {
		return []Figure{load}
	}
	return []Figure{
		load,
		{Name: "Response p99", Value: quantile(s.Response.P99, s), Notes: []string{"p50 " + quantile(s.Response.P50, s)}},
		{Name: "Errors", Value: percent(s.ErrorRatio), Notes: errorList(s.Errors)},
	}
}

func bottleneckFigure(all []Bottleneck) Figure {
	first := all[0]
	f := Figure{Name: "First to give out", Value: resourceName(first.Resource)}
	if first.Probability < ambiguousBelow && len(all) > 1 {
		f.Value = "ambiguous"
		f.Notes = []string{candidate(first), candidate(all[1])}
		return f
	}
	if first.RPS > 0 {
		s := "at " + perSecond(first.RPS) + " req/s"
		if first.Probability > 0 && first.Probability <= 1 {
			s += ", " + percent(first.Probability) + " sure"
		}
		f.Notes = append(f.Notes, s)
	}
	if len(all) > 1 && all[1].RPS > 0 {
		f.Notes = append(f.Notes, "then "+resourceName(all[1].Resource)+" at "+perSecond(all[1].RPS))
	}
	return f
}

func headroomFigure(h *Headroom, c *Capacity, dash string) Figure {
	atLeast, bound := false, ""
	switch {
	case c != nil && c.Bound == "above":
		atLeast, bound = true, "≥ "
	case c != nil && c.Bound == "below":
		bound = "≤ "
	}
	f := Figure{Name: "Headroom", Value: none, Notes: []string{"at a demand of " + perSecond(h.DemandRPS) + " req/s"}}
	if h.Now != nil {
		f.Value = bound + percent(h.Now.Value)
		if h.Now.High > h.Now.Low {
			f.Notes = append([]string{percent(h.Now.Low) + " to " + percent(h.Now.High)}, f.Notes...)
		}
	}
	if h.AtForecastPeak != nil {
		f.Notes = append(f.Notes, percent(h.AtForecastPeak.Value)+" at the forecast peak")
	}
	if h.ExhaustedOn == "" && len(h.ExhaustedBetween) == 2 {
		f.Notes = append(f.Notes, "may be used up from "+clean(h.ExhaustedBetween[0])+" on")
	}
	if h.ExhaustedOn != "" {
		day := "used up on " + clean(h.ExhaustedOn)
		switch {
		case atLeast:
			day += " at the earliest"
		case len(h.ExhaustedBetween) == 2 && h.ExhaustedBetween[0] != h.ExhaustedBetween[1]:
			day += " (" + clean(h.ExhaustedBetween[0]) + " to " + orElse(clean(h.ExhaustedBetween[1]), "later than is looked ahead") + ")"
		}
		f.Notes = append(f.Notes, day)
	}
	return f
}

// bottleneckLine says what is known of one bottleneck.
func bottleneckLine(b Bottleneck) string {
	s := resourceName(b.Resource)
	if b.RPS > 0 {
		s += " at " + perSecond(b.RPS) + " req/s"
	}
	if b.Probability > 0 && b.Probability <= 1 {
		s += " (" + percent(b.Probability) + ")"
	}
	if b.PerRequest > 0 {
		s += ", " + demand(b)
	}
	if b.AfterFixRPS > 0 {
		s += ", without it " + perSecond(b.AfterFixRPS) + " req/s"
	}
	return s
}

// demand writes what one request takes of a resource. A demand in
// resource-seconds is a time during which one unit of it is taken; of what has another
// unit, or none that is known, it is an amount for each request/s.
func demand(b Bottleneck) string {
	each, takes, holds := "each request/s", "each request takes", "each request holds"
	if b.Law != nil && b.Law.Curved() { // at a higher load it takes more
		each, takes, holds = "the first request/s", "a request that is alone takes", "a request that is alone holds"
	}
	took := nanos(b.PerRequest * 1e9)
	switch unit := clean(b.Unit); unit {
	case "cores":
		return fmt.Sprintf("%s a core for %s", takes, took)
	case "slots":
		return fmt.Sprintf("%s a slot for %s", takes, took)
	case capacity.ShareHeld:
		return fmt.Sprintf("%s it for %s", holds, took)
	case "ratio":
		return fmt.Sprintf("%s it for %s", takes, took)
	case "bytes":
		return fmt.Sprintf("%s for %s", binary(b.PerRequest), each)
	case "bytes/s":
		return fmt.Sprintf("%s/s for %s", binary(b.PerRequest), each)
	default:
		return fmt.Sprintf("%.3g %s for %s", b.PerRequest, orElse(unit, "of it"), each)
	}
}
