package reports

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/headroom-project/headroom/capacity/planning"
	"github.com/headroom-project/headroom/loadgen/search"
	"github.com/headroom-project/headroom/scenarios"
)

// PlanSchema is the name of the format of a plan in JSON.
const PlanSchema = "headroom.plan/v1"

// Planned is a plan, and what would be otherwise.
type Planned struct {
	Schema string `json:"schema"`
	// Source names the measurement, Objective what limits its capacity.
	Source    string `json:"source"`
	Objective string `json:"objective"`
	// Now is the day of the plan, YYYY-MM-DD.
	Now    string         `json:"now"`
	Plan   *planning.Plan `json:"plan"`
	WhatIf []WhatIf       `json:"what_if"`
}

// WhatIf is the plan under another assumption.
type WhatIf struct {
	// Name says which: "instance m5.large".
	Name string         `json:"name"`
	Plan *planning.Plan `json:"plan,omitempty"`
	// Error says why there is none.
	Error string `json:"error,omitempty"`
}

// ServiceOf is what a run found of one replica; ok is false if it found no
// capacity that a plan could rest on.
func ServiceOf(r *Run) (s planning.Service, ok bool) {
	x := r.Capacity
	if x == nil || x.Bound == "below" || !(x.RPS.Low > 0) {
		return s, false
	}
	s.Capacity = planning.Figure{Value: x.RPS.Value, Low: x.RPS.Low, High: x.RPS.High}
	s.Basis = basisOf(x.RPS)
	s.AtLeast, s.Predicted = x.Bound == "above", x.Bound == "predicted"
	s.Tail, s.Alone = tailOf(x.Objective), alone(r)
	s.BytesPerRequest, s.Requests = r.BytesPerRequest, mixOf(r)
	if r.Saturation != nil {
		for _, b := range r.Saturation.Bottlenecks {
			s.Limits = append(s.Limits, planning.Limit{Resource: b.Resource, Probability: b.Probability, RPS: b.RPS, Demand: b.PerRequest, Limit: b.Limit, Law: b.Law})
		}
	}
	for i := range r.Steps {
		s.VCPU = max(s.VCPU, r.Steps[i].Resources["cpu"].Limit)
		s.MemoryBytes = max(s.MemoryBytes, r.Steps[i].Resources["memory"].Limit)
	}
	return s, true
}

// alone is how long a request takes where it hardly waits, in s; 0 if that is not known.
func alone(r *Run) float64 {
	least := 0.0
	for i := range r.Steps {
		s := &r.Steps[i]
		if took := max(s.Response.Mean, s.Response.P50) / 1000; s.Valid && s.OK > 0 && took > 0 && (least == 0 || took < least) {
			least = took
		}
	}
	return least
}

// tailOf is the share of requests that may take longer than an objective on a quantile allows; 0
// of another.
func tailOf(objective string) float64 {
	o, err := scenarios.ParseObjective(objective)
	if err != nil {
		return 0
	}
	share, _ := search.Share(o.Metric)
	return share
}

func basisOf(e Estimate) planning.Basis {
	return planning.Basis{Method: e.Method, Confidence: e.Confidence, Warnings: e.Warnings}
}

// MarginalParts are what a million more requests cost where a replica has a load, by its
// parts (cpu, memory, egress); all in one, as "all", where a run has none. A run that was
// read from a file knows the load of its own cost only.
func MarginalParts(r *Run, each float64) (map[string]planning.Figure, planning.Basis) {
	if r.Cost == nil {
		return nil, planning.Basis{}
	}
	whole, known := r.Cost.PerMillion.Marginal, r.Cost.Parts
	if seen := r.Cost.seen; seen != nil && each > 0 {
		at := seen.OfReplica(each)
		whole, known = estimate(at.Marginal), estimates(at.Parts)
	}
	figure := func(e Estimate) planning.Figure {
		return planning.Figure{Value: e.Value, Low: e.Low, High: e.High}
	}
	if len(known) == 0 {
		return map[string]planning.Figure{"all": figure(whole)}, basisOf(whole)
	}
	parts := map[string]planning.Figure{}
	for name, e := range known {
		parts[name] = figure(e)
	}
	return parts, basisOf(whole)
}

// GoodShare is the share of what a replica is asked that it answers OK; 1 of a run without a
// cost, or that was read from a file.
func GoodShare(r *Run, each float64) float64 {
	if r.Cost == nil || r.Cost.seen == nil {
		return 1
	}
	return r.Cost.seen.Good(each)
}

// PlanJSON writes a plan as JSON.
func PlanJSON(w io.Writer, p *Planned) error { return writeJSON(w, p, "plan") }

// PlanText writes a plan for a terminal.
func PlanText(w io.Writer, p *Planned, opt TextOptions) error {
	if opt.Width <= 0 {
		opt.Width = 80
	}
	t := &terminal{opt: opt}
	for i, l := range wrap(planSentence(p), opt.Width) {
		if i == 0 {
			l = t.paint(l, bold)
		}
		fmt.Fprintln(t, l)
	}
	fmt.Fprintln(t, t.paint(clean(p.Source)+" · "+clean(p.Now), faint))
	t.pairs(planFigures(p.Plan))
	t.months(p.Plan)
	t.whatIfs(p)
	t.autoscaler(p.Plan.Autoscaler)
	t.list("Warnings", cleaned(p.Plan.Warnings))
	if _, err := io.WriteString(w, t.String()); err != nil {
		return fmt.Errorf("write plan: %w", err)
	}
	return nil
}

func planSentence(p *Planned) string {
	x := p.Plan
	s := fmt.Sprintf("%s carry a peak of %s req/s", plural(x.Replicas, "replica"), perSecond(x.PeakRPS))
	if x.Replicas == 1 {
		s = fmt.Sprintf("1 replica carries a peak of %s req/s", perSecond(x.PeakRPS))
	}
	if p.Objective != "" {
		s += " with " + spaced(clean(p.Objective))
	}
	if x.Replicas > x.Carrying {
		s += fmt.Sprintf(", and still do after the loss (%d alone would carry it)", x.Carrying)
	}
	return s + "."
}

// planFigures are the answers, name and value.
func planFigures(x *planning.Plan) [][2]string {
	out := [][2]string{
		{"Per replica", fmt.Sprintf("%s req/s (%s-%s); planned with the low end", perSecond(x.PerReplica.Value), perSecond(x.PerReplica.Low), perSecond(x.PerReplica.High))},
		{"Replicas", fmt.Sprintf("%d (%d if the capacity is at its high end)", x.Replicas, x.Between[0])},
		{"Used at the peak", fmt.Sprintf("%s of that, %s after the loss", percent(x.Utilisation), percent(x.UtilisationAfter))},
	}
	if x.Replicas == x.Carrying { // nothing may be lost
		out[2][1] = fmt.Sprintf("%s of that", percent(x.Utilisation))
	}
	if x.Replicas == x.Between[0] {
		out[1][1] = fmt.Sprint(x.Replicas)
	}
	if c := x.Cost; c != nil {
		out = append(out,
			[2]string{"Cost per million", spread(c.PerMillion.Figure) + " " + clean(c.Currency) + " at the peak" + marginal(c)},
			[2]string{"Cost per month", perMonth(c)})
	}
	if x.ExhaustedOn != "" {
		out = append(out, [2]string{"Used up on", usedUpOn(x)})
	}
	return out
}

// perMonth is the cost of a month; what answers cost is known of one that is all peak.
func perMonth(c *planning.Cost) string {
	currency := " " + clean(c.Currency)
	s := spread(c.PerMonth.Figure) + currency + " for replicas that run all month"
	if c.EgressPerMonth > 0 {
		s = fmt.Sprintf("at most %s%s: %s; egress is %s if the load were the peak all month", money(c.MonthAtMost.Value, ""), currency, s, money(c.EgressPerMonth, ""))
	}
	return s
}

// usedUpOn is the day, and by which end of the capacity.
func usedUpOn(x *planning.Plan) string {
	day := x.ExhaustedOn
	if x.Today > 0 { // not of those planned
		day += fmt.Sprintf(" for the %d of today", x.Today)
	}
	if len(x.ExhaustedBetween) != 2 || x.ExhaustedBetween[1] == x.ExhaustedOn {
		return day
	}
	expected := orElse(x.ExhaustedExpectedOn, "later than a century")
	return fmt.Sprintf("%s by the low end of the capacity, as planned with (%s by its value, %s by its high end)", day, expected, x.ExhaustedBetween[1])
}

func spread(f planning.Figure) string {
	s := money(f.Value, "")
	if f.High > f.Low {
		s += " (" + money(f.Low, "") + " to " + money(f.High, "") + ")"
	}
	return s
}

func marginal(c *planning.Cost) string {
	if c.Marginal == nil || !(c.Marginal.Value > 0) {
		return ""
	}
	return "; a million more use " + spread(c.Marginal.Figure)
}

// pairs writes names and values in two columns.
func (t *terminal) pairs(list [][2]string) {
	width := 0
	for _, p := range list {
		width = max(width, len(p[0]))
	}
	t.WriteByte('\n')
	for _, p := range list {
		for i, l := range wrap(p[1], t.opt.Width-width-2) {
			name := ""
			if i == 0 {
				name = p[0]
			}
			fmt.Fprintf(t, "%-*s  %s\n", width, name, l)
		}
	}
}

// monthly heads a column of costs of a month, egress and all.
func monthly(x *planning.Plan) string {
	if c := x.Cost; c != nil && c.EgressPerMonth > 0 {
		return "per month, at most"
	}
	return "per month"
}

func (t *terminal) months(x *planning.Plan) {
	if len(x.Months) == 0 {
		return
	}
	fmt.Fprintf(t, "\n%s\n", t.paint("month    peak req/s  replicas  "+monthly(x), faint))
	for i, m := range x.Months {
		if i%3 != 0 {
			continue // a quarter is enough for a terminal; JSON has them all
		}
		cost := none
		if m.PerMonth+m.EgressPerMonth > 0 {
			cost = money(m.PerMonth+m.EgressPerMonth, "")
		}
		fmt.Fprintf(t, "%s  %10s  %8d  %9s\n", m.Month, perSecond(m.PeakRPS), m.Replicas, cost)
	}
}

func (t *terminal) whatIfs(p *Planned) {
	if len(p.WhatIf) == 0 {
		return
	}
	width := len("as measured")
	for _, x := range p.WhatIf {
		width = max(width, len(clean(x.Name)))
	}
	width = min(width, 44)
	mixed := slices.ContainsFunc(p.WhatIf, func(x WhatIf) bool {
		return x.Plan != nil && x.Plan.Cost != nil && p.Plan.Cost != nil && x.Plan.Cost.Currency != p.Plan.Cost.Currency
	})
	month := monthly(p.Plan)
	fmt.Fprintf(t, "\n%s\n", t.paint(fmt.Sprintf("%-*s  req/s each  replicas  per million  %s", width, "what if", month), faint))
	for _, x := range append([]WhatIf{{Name: "as measured", Plan: p.Plan}}, p.WhatIf...) {
		name := shortened(clean(x.Name), width)
		if x.Plan == nil {
			fmt.Fprintf(t, "%-*s  %s\n", width, name, clean(x.Error))
			continue
		}
		million, cost := none, none
		if c := x.Plan.Cost; c != nil {
			million, cost = money(c.PerMillion.Value, ""), money(c.MonthAtMost.Value, "")
			if mixed {
				cost += " " + clean(c.Currency)
			}
		}
		fmt.Fprintf(t, "%-*s  %10s  %8d  %11s  %9s\n", width, name, perSecond(x.Plan.PerReplica.Low), x.Plan.Replicas, million, cost)
	}
	seen := map[string]bool{}
	for _, w := range p.Plan.Warnings {
		seen[w] = true
	}
	var notes []string
	for _, x := range p.WhatIf {
		if x.Plan == nil {
			continue
		}
		for _, w := range x.Plan.Warnings {
			if !seen[w] {
				seen[w] = true
				notes = append(notes, clean(x.Name)+": "+clean(w))
			}
		}
	}
	t.list("What is assumed", notes)
}

func shortened(s string, width int) string {
	if r := []rune(s); len(r) > width {
		return string(r[:width-1]) + "…"
	}
	return s
}

func (t *terminal) autoscaler(a *planning.Autoscaler) {
	if a == nil {
		return
	}
	at := perSecond(a.RPS) + " req/s of a replica"
	if a.Utilisation > 0 {
		at = percent(a.Utilisation) + " of a replica's cores, or " + at
	}
	at = "scale out at " + at
	if a.Min == a.Max {
		at = "none"
	}
	fmt.Fprintf(t, "\n%s\n", t.paint("Autoscaler: "+at, bold))
	for _, manifest := range []string{a.HPA, a.KEDA} {
		if manifest != "" {
			fmt.Fprintf(t, "\n%s", indented(manifest))
		}
	}
	t.list("About the autoscaler", cleaned(a.Warnings))
}

func indented(s string) string {
	return "  " + strings.ReplaceAll(strings.TrimSuffix(s, "\n"), "\n", "\n  ") + "\n"
}
