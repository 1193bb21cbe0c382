package reports

import (
	"fmt"
	"slices"
	"strings"

	"github.com/headroom-project/headroom/scenarios"
)

// ambiguousBelow is the probability under which the first bottleneck is not
// named as the one: the resources that may be it are.
const ambiguousBelow = 0.9

// unmeasured is the name of a bottleneck that no measured resource shows.
const unmeasured = "unmeasured"

// Ways in which a drill ended, as in Run.Ended.
const (
	endedDone        = "done"
	endedGuard       = "guard"
	endedInterrupted = "interrupted"
	endedFailed      = "failed"
	endedCutOff      = "cut-off"
)

// Sentence is the verdict in words: how the drill ended if it did not run its
// course, what the target carries, and what gives out first. It is one line of
// plain text; strings of the Run are cleaned of control characters, not escaped.
func Sentence(r *Run) string { return sentence(r, "-") }

// sentence is Sentence with the dash of intervals given: "-" where ASCII is
// expected, "–" where typography counts.
func sentence(r *Run, dash string) string {
	if r.Ended == endedFailed {
		return "Could not run: " + sentenceCase(detail(r, "the reason was not recorded"))
	}
	parts := []string{endedSentence(r)}
	switch {
	case r.Verdict == Invalid:
		if why := firstReason(r); why == "" || why != clean(r.EndedDetail) {
			parts = append(parts, "Cannot tell: "+sentenceCase(orElse(why, "the measurement is not valid")))
		}
	case r.Capacity != nil:
		parts = append(parts, capacitySentence(r, dash), bottleneckSentence(r))
	case r.Ended == endedGuard:
		// A load that had to be stopped meets nothing, whatever its figures were.
	default:
		parts = append(parts, fixedSentence(r), bottleneckSentence(r))
	}
	parts = slices.DeleteFunc(parts, func(s string) bool { return s == "" })
	return strings.Join(parts, " ")
}

// endedSentence says why a drill did not run its course; empty if it did.
func endedSentence(r *Run) string {
	after := lasting(r.DurationS)
	switch r.Ended {
	case endedGuard:
		return withDetail("A guard ended the drill after "+after, r.EndedDetail)
	case endedInterrupted:
		return withDetail("Interrupted after "+after, r.EndedDetail)
	case endedCutOff:
		return withDetail("The record breaks off after "+after, r.EndedDetail)
	}
	return ""
}

func withDetail(s, detail string) string {
	if detail = clean(detail); detail != "" {
		s += ": " + detail
	}
	return sentenceCase(s)
}

// short says that the capacity is below the demand; empty if it is not.
func short(r *Run) string {
	if r.Verdict != Fail {
		return ""
	}
	if r.Headroom != nil && r.Headroom.DemandRPS > r.Capacity.RPS.Value {
		return ", short of the demand of " + perSecond(r.Headroom.DemandRPS) + " req/s"
	}
	for _, o := range r.Objectives {
		if o.Metric == "throughput" && o.Threshold > r.Capacity.RPS.Value {
			return ", short of " + spaced(o.Text)
		}
	}
	return ""
}

func capacitySentence(r *Run, dash string) string {
	c := r.Capacity
	held, plural := objectives(r)
	first := orElse(spaced(c.Objective), held)
	switch c.Bound {
	case "below":
		return fmt.Sprintf("Capacity is below %s req/s: %s did not hold at the lowest load offered.", perSecond(bound(c.RPS.High, c.RPS.Value)), first)
	case "above":
		return fmt.Sprintf("Capacity is at least %s req/s: %s held at every load offered.", perSecond(bound(c.RPS.Low, c.RPS.Value)), held)
	}
	if c.Bound == "predicted" {
		s := "Predicted to meet " + held + " up to " + perSecond(c.RPS.Value) + " req/s" + interval(c.RPS, dash)
		if c.ConfirmedAtRPS > 0 {
			s += ", confirmed up to " + perSecond(c.ConfirmedAtRPS)
		}
		return s + short(r) + "."
	}
	verb := "Meets "
	if plural {
		verb = "Meets all "
	}
	s := verb + held + " up to " + perSecond(c.RPS.Value) + " req/s" + interval(c.RPS, dash)
	if c.RefutedAtRPS > 0 {
		s += ", but the confirmation at " + perSecond(c.RefutedAtRPS) + " broke: plan with " + lower(c)
	}
	return s + short(r) + "."
}

// lower is the load to plan with where the confirmation of the value broke.
func lower(c *Capacity) string {
	if low := perSecond(c.RPS.Low); low != perSecond(c.RefutedAtRPS) {
		return low
	}
	return "less"
}

// objectives names the objectives, or their number (then true) if a sentence
// could not hold them.
func objectives(r *Run) (string, bool) {
	texts := make([]string, 0, len(r.Objectives))
	for _, o := range r.Objectives {
		// A throughput that is more than the capacity is met nowhere up to it.
		if c := r.Capacity; o.Metric != "throughput" || c == nil || o.Threshold <= c.RPS.Value {
			texts = append(texts, spaced(o.Text))
		}
	}
	switch {
	case len(texts) == 0 && r.Capacity != nil && r.Capacity.Objective != "":
		return spaced(r.Capacity.Objective), false
	case len(texts) == 0:
		return "its objectives", false
	case len(texts) > 2:
		return fmt.Sprintf("%d objectives", len(texts)), true
	}
	return joined(texts), false
}

func interval(e Estimate, dash string) string {
	if !finite(e.Low) || !finite(e.High) || e.High <= e.Low {
		return ""
	}
	return " (" + perSecond(e.Low) + dash + perSecond(e.High) + ")"
}

func bottleneckSentence(r *Run) string {
	if r.Saturation == nil || len(r.Saturation.Bottlenecks) == 0 {
		return ""
	}
	all := r.Saturation.Bottlenecks
	first := all[0]
	if first.Probability < ambiguousBelow && len(all) > 1 {
		return fmt.Sprintf("First to give out: ambiguous, %s or %s.", candidate(first), candidate(all[1]))
	}
	s := "First to give out: " + resourceName(first.Resource)
	if first.Probability > 0 && first.Probability <= 1 {
		s += " (" + percent(first.Probability) + ")"
	}
	if first.RPS > 0 {
		s += ", at " + perSecond(first.RPS) + " req/s"
	}
	switch {
	case len(all) > 1 && all[1].RPS > 0:
		s += "; then " + resourceName(all[1].Resource) + " at " + perSecond(all[1].RPS)
	case first.AfterFixRPS > 0:
		s += "; without it " + perSecond(first.AfterFixRPS)
	}
	return s + "."
}

func candidate(b Bottleneck) string {
	s := resourceName(b.Resource) + " (" + percent(b.Probability) + ")"
	if b.RPS > 0 {
		s += " at " + perSecond(b.RPS) + " req/s"
	}
	return s
}

func resourceName(name string) string {
	if name == unmeasured {
		return "something unmeasured"
	}
	return orElse(clean(name), "an unnamed resource")
}

// fixedSentence says whether the objectives held at the load that was asked for.
func fixedSentence(r *Run) string {
	at := loadOffered(r)
	if at == "" {
		return "No load was measured."
	}
	var held, broke, open []string
	for _, o := range r.Objectives {
		switch {
		case o.Met == nil:
			open = append(open, spaced(o.Text))
		case *o.Met:
			held = append(held, spaced(o.Text))
		default:
			broke = append(broke, spaced(o.Text)+" ("+observed(o)+")")
		}
	}
	switch {
	case len(broke) > 0 && len(held) > 0:
		return fmt.Sprintf("Misses %s at %s; %s held.", joined(broke), at, joined(held))
	case len(broke) > 0:
		return fmt.Sprintf("Misses %s at %s.", joined(broke), at)
	case len(open) > 0:
		return fmt.Sprintf("Cannot tell whether %s held at %s.", joined(open), at)
	case len(held) > 0:
		return fmt.Sprintf("Meets %s at %s.", joined(held), at)
	}
	s := reference(r)
	return fmt.Sprintf("At %s: %s req/s served, p99 %s, %s errors. No objective was set.",
		at, perSecond(s.ThroughputRPS), millis(s.Response.P99), percent(s.ErrorRatio))
}

// observed writes what was seen of an objective's metric.
func observed(o Objective) string {
	switch o.Unit {
	case "ms":
		return millis(o.Observed)
	case "ratio":
		return percent(o.Observed)
	case "rps":
		return perSecond(o.Observed) + " req/s"
	}
	return perSecond(o.Observed)
}

// loadOffered names the load of a run that did not search: a rate, the highest
// of several, or a number of users. It is empty if nothing was offered.
func loadOffered(r *Run) string {
	var top *Step
	several := false
	for i := range r.Steps {
		s := &r.Steps[i]
		if s.Kind == scenarios.KindWarmup {
			continue
		}
		if top != nil && (s.OfferedRPS != top.OfferedRPS || s.Users != top.Users) {
			several = true
		}
		if top == nil || s.OfferedRPS > top.OfferedRPS || s.Users > top.Users {
			top = s
		}
	}
	if top == nil {
		return ""
	}
	at := perSecond(top.OfferedRPS) + " req/s"
	if top.Users > 0 {
		at = fmt.Sprintf("%s (%s req/s)", plural(top.Users, "user"), perSecond(top.ThroughputRPS))
	}
	if several {
		return "up to " + at
	}
	return at
}

// reference is the step that single figures are quoted from: the confirmation,
// else the highest valid step that met the objectives, else the highest valid
// one, else the last. nil if there is no step but a warm-up.
func reference(r *Run) *Step {
	var confirmed, met, valid, last *Step
	higher := func(than *Step, s *Step) bool { return than == nil || s.OfferedRPS >= than.OfferedRPS }
	for i := range r.Steps {
		s := &r.Steps[i]
		if s.Kind == scenarios.KindWarmup {
			continue
		}
		last = s
		if !s.Valid {
			continue
		}
		if higher(valid, s) {
			valid = s
		}
		if s.Met == nil || !*s.Met {
			continue
		}
		if higher(met, s) {
			met = s
		}
		if s.Kind == scenarios.KindConfirm && s.Short == "" && higher(confirmed, s) {
			confirmed = s
		}
	}
	order := []*Step{confirmed, met, valid, last}
	if r.Capacity == nil {
		order = []*Step{valid, last}
	}
	for _, s := range order {
		if s != nil {
			return s
		}
	}
	return nil
}

func firstReason(r *Run) string {
	if len(r.Reasons) == 0 {
		return ""
	}
	return clean(r.Reasons[0])
}

func detail(r *Run, otherwise string) string {
	return orElse(clean(r.EndedDetail), orElse(firstReason(r), otherwise))
}

// bound prefers the side of the interval that was measured.
func bound(side, value float64) float64 {
	if side > 0 {
		return side
	}
	return value
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
