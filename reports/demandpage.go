package reports

import "strings"

// demandSection is what the page says of what a request takes.
type demandSection struct {
	Summary string
	Tables  []*table
	// Cost says what it cost to find that out.
	Cost string
}

// mostPageRows bounds the functions of one table of the page.
const mostPageRows = 12

func demandOf(r *Run) *demandSection {
	if r.Demand == nil {
		return nil
	}
	s := &demandSection{Summary: strings.TrimSuffix(clean(r.Demand.Summary), ".")}
	for _, p := range r.Demand.Profiles {
		if len(p.Functions) > 0 {
			s.Tables = append(s.Tables, demandTable(p))
		}
	}
	if len(s.Tables) > 0 {
		s.Tables[0].Open = true
	}
	if len(r.Demand.Waits) > 0 {
		s.Tables = append(s.Tables, waitTable(r.Demand.Waits, whereAdded(r)))
	}
	if gc := r.Demand.GCPerMillion; gc > 0 && finite(gc) {
		s.Cost = "Garbage is collected " + perSecond(gc) + " times for a million requests. "
	}
	if r.Profiling != nil {
		s.Cost += profilingSentence(r.Profiling)
	}
	if s.Summary == "" && len(s.Tables) == 0 {
		return nil
	}
	return s
}

func demandTable(p ProfileDemand) *table {
	t := &table{
		Caption: kindName(p.Kind) + " per request: " + scaled(p.PerRequest, p.Unit) + " ± " + scaled(p.Error, p.Unit) + exactly(p),
		Head:    []string{"Function", "Share", "Per request", "±", "With its calls", "At the lowest load", "At the highest"},
	}
	for i, f := range p.Functions[:min(len(p.Functions), mostPageRows)] {
		if i > 0 && f.Share < leastTextShare && !f.Growing {
			continue
		}
		low, high := none, none
		if n := len(f.Steps); n > 1 {
			low, high = scaled(f.Steps[0].PerRequest, p.Unit), scaled(f.Steps[n-1].PerRequest, p.Unit)
		}
		row := tableRow{Cells: []string{orElse(shortName(f.Name), none), percent(f.Share), scaled(f.PerRequest, p.Unit), scaled(f.Error, p.Unit), scaled(f.Cum, p.Unit), low, high}}
		if f.Growing && p.Kind != "lock_wait" {
			row.Notes = []string{"grows with the load"}
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// exactly is the figure of counters beside that of samples.
func exactly(p ProfileDemand) string {
	if !(p.Exact > 0) {
		return ""
	}
	return "; by exact counters " + scaled(p.Exact, p.Unit)
}

func waitTable(waits []WaitDemand, where string) *table {
	t := &table{Caption: "Where requests wait for one another", Head: []string{"Function", "Kind", "Adds " + where, "Saturates at, req/s", "At the lowest load", "At the highest"}}
	for _, w := range waits[:min(len(waits), mostPageRows)] {
		low, high, at := none, none, none
		if n := len(w.Steps); n > 1 {
			low, high = nanos(w.Steps[0].PerRequest), nanos(w.Steps[n-1].PerRequest)
		}
		if w.Saturates != nil {
			at = perSecond(w.Saturates.Value) + interval(*w.Saturates, "–")
		}
		t.Rows = append(t.Rows, tableRow{Cells: []string{orElse(shortName(w.Function), none), clean(w.Kind), millis(w.AddsMS), at, low, high}})
	}
	return t
}
