package table

import (
	"fmt"
	"maps"
	"math"
	"slices"
)

// examine looks for figures that contradict each other: most often a unit was
// mixed up.
func examine(rows []row, p *Problems, t *Table) {
	for i := range rows {
		x := &rows[i]
		x.served(p)
		x.ordered(p)
		x.little(p)
		x.limits(p)
		x.cores(p)
	}
	mixed(rows, p)
	perMinute(rows, p)
	otherPeriods(rows, p)
	perCent(rows, p, t)
	if len(p.List) > 0 {
		return
	}
	allAnswers(rows, p, t)
	fast := len(rows) > 0
	for _, x := range rows {
		fast = fast && x.has[p99Column] && x.Response.P99 < 1
	}
	if fast {
		t.Warnings = append(t.Warnings, fmt.Sprintf("%s: every p99_ms is below 1 ms (the first is %g); if these are seconds, multiply them by 1000", p.Name, rows[0].Response.P99))
	}
	for _, x := range rows {
		if u := x.Resources["cpu"]; max(u.Used, u.Limit) > manyCores {
			t.Warnings = append(t.Warnings, fmt.Sprintf("%s: cpu is %g cores; if these are millicores, divide by 1000", p.Name, max(u.Used, u.Limit)))
			break
		}
	}
	if !rows[0].has["seconds"] {
		t.Warnings = append(t.Warnings, p.Name+": without a column seconds the sampling error of a row is not known: intervals are as for steps of one second")
	}
}

// served compares what was served with what was offered. Poisson arrivals vary
// by sqrt(n); beyond five deviations and a fifth it is another unit.
func (x *row) served(p *Problems) {
	slack := 5 * math.Sqrt(x.Offered/max(x.Seconds, 1))
	if x.Throughput <= 1.2*x.Offered+slack {
		return
	}
	hint := "offered_rps is what was sent, throughput_rps what was answered OK, both per second"
	switch ratio := x.Throughput / x.Offered; {
	case near(ratio, 60):
		hint = "throughput_rps looks like requests per minute: divide it by 60"
	case near(ratio, 1000):
		hint = "offered_rps looks like thousands of requests per second: multiply it by 1000"
	}
	p.Add(x.line, 0, hint, "more is served (%g/s) than offered (%g/s)", x.Throughput, x.Offered)
}

// allAnswers finds a throughput that counts failed hits as well, as some tools give it:
// with those that failed, more would have been answered than was sent. Then it is taken
// for what it is in all rows.
func allAnswers(rows []row, p *Problems, t *Table) {
	at := slices.IndexFunc(rows, func(x row) bool {
		slack := 5 * math.Sqrt(x.Offered/max(x.Seconds, 1))
		return x.has["error_ratio"] && x.Throughput > (1.1*x.Offered+slack)*(1-x.ErrorRatio) && x.Throughput > 0.02*x.Offered
	})
	if at < 0 {
		return
	}
	x := rows[at]
	t.Warnings = append(t.Warnings, fmt.Sprintf("%s: throughput_rps counts failed hits too (line %d: %g/s are answered of %g/s, and %g%% fail); what is left without them was taken for it, in all rows", p.Name, x.line, x.Throughput, x.Offered, 100*x.ErrorRatio))
	for i := range rows {
		rows[i].Throughput *= 1 - rows[i].ErrorRatio
	}
}

// perMinute finds rates by the minute, by Little's law in every row.
func perMinute(rows []row, p *Problems) {
	var told []*row
	for i := range rows {
		x := &rows[i]
		if !x.has["in_flight"] || !x.has["mean_ms"] || x.InFlight <= 0 {
			continue
		}
		if !near(x.Throughput*x.Response.Mean/1000/x.InFlight, 60) {
			return
		}
		told = append(told, x)
	}
	if len(told) < 2 {
		return
	}
	x := told[0]
	p.Add(x.line, 0, "offered_rps and throughput_rps look like requests per minute: divide them by 60",
		"at %g/s, answers of %g ms make %.3g in flight (Little's law), and in_flight is %g", x.Throughput, x.Response.Mean, x.Throughput*x.Response.Mean/1000, x.InFlight)
}

// otherPeriods finds loads by the minute beside answers by the second: in every row the same
// small part is answered, as no target that saturates does, and next to nothing fails.
func otherPeriods(rows []row, p *Problems) {
	for i := range rows {
		x := &rows[i]
		ratio := x.Offered / x.Throughput
		if !(ratio > 54 && ratio < 66) || x.ErrorRatio > 0.5 {
			return
		}
	}
	if len(rows) < 2 {
		return
	}
	x := rows[0]
	p.Add(x.line, 0, "offered_rps looks like requests per minute: divide it by 60",
		"a sixtieth of what is offered is served in every row (%g/s of %g/s here)", x.Throughput, x.Offered)
}

// perCent finds cores that are per cent of a machine, or thousandths of a core: a limit of 100
// or more, and more cores in use than there are requests to use them.
func perCent(rows []row, p *Problems, t *Table) {
	idle, all := 0, 0
	var first *row
	for i := range rows {
		x := &rows[i]
		u, ok := x.Resources["cpu"]
		if !ok || u.Limit == 0 {
			continue
		}
		if u.Limit < 100 {
			return
		}
		// Hardly any mean is above a p99.
		present := x.Throughput * x.Response.P99 / 1000
		if x.has["mean_ms"] {
			present = x.Throughput * x.Response.Mean / 1000
		}
		if all++; present > 0 && u.Used > 3*(present+1) {
			if idle++; first == nil {
				first = x
			}
		}
	}
	const hint = "if these are per cent of the machine, multiply both by its cores and divide by 100"
	switch {
	case all == 0:
	case idle > 0 && 2*idle >= all:
		how := hint
		if u := first.Resources["cpu"]; u.Limit >= 250 {
			how = "if these are millicores, divide both by 1000"
		}
		p.Add(first.line, 0, "cpu is in cores: "+how, "cpu_used is %g cores of %g, for the few requests that are in flight", first.Resources["cpu"].Used, first.Resources["cpu"].Limit)
	case first == nil && rows[0].Resources["cpu"].Limit != 100:
	default:
		t.Warnings = append(t.Warnings, fmt.Sprintf("%s: cpu_limit is 100 cores; %s", p.Name, hint))
	}
}

func near(ratio, factor float64) bool { return ratio > factor/1.3 && ratio < factor*1.3 }

// ordered compares the quantiles with each other.
func (x *row) ordered(p *Problems) {
	q := x.Response
	last, name := 0.0, ""
	for _, f := range []struct {
		name  string
		value float64
	}{{"p50_ms", q.P50}, {"p90_ms", q.P90}, {"p95_ms", q.P95}, {"p99_ms", q.P99}, {"p999_ms", q.P999}, {"max_ms", q.Max}} {
		if !x.has[f.name] {
			continue
		}
		if f.value < last {
			hint := "a higher quantile is never below a lower one"
			if f.value > 0 && last/f.value >= 20 {
				hint = fmt.Sprintf("%s looks like seconds: multiply it by 1000", f.name)
			}
			p.Add(x.line, 0, hint, "%s (%g) is below %s (%g)", f.name, f.value, name, last)
			return
		}
		last, name = f.value, f.name
	}
	if x.has["mean_ms"] && x.has["max_ms"] && q.Mean > q.Max {
		p.Add(x.line, 0, "", "mean_ms (%g) is above max_ms (%g)", q.Mean, q.Max)
	}
}

// little holds the mean response time against Little's law, N = X R: a factor of
// a thousand is a unit. Other disagreements are left alone, since in_flight may
// have been sampled.
func (x *row) little(p *Problems) {
	if !x.has["in_flight"] || x.InFlight <= 0 || x.Throughput <= 0 {
		return
	}
	column, ms := "mean_ms", x.Response.Mean
	if !x.has[column] {
		column, ms = "p50_ms", x.Response.P50
	}
	if !x.has[column] || ms <= 0 {
		return
	}
	expected := 1000 * x.InFlight / x.Throughput // ms
	hint := ""
	switch ratio := expected / ms; {
	case ratio > 1000/4.0 && ratio < 1000*4:
		hint = fmt.Sprintf("%s looks like seconds: multiply it by 1000", column)
	case ratio > 1/4000.0 && ratio < 4/1000.0:
		hint = fmt.Sprintf("%s looks like microseconds: divide it by 1000", column)
	default:
		return
	}
	p.Add(x.line, 0, hint, "%g in flight at %g/s take about %.3g ms each (Little's law), but %s is %g", x.InFlight, x.Throughput, expected, column, ms)
}

// beyond is how far above its limit a use may have been measured.
const beyond = 1.05

func (x *row) limits(p *Problems) {
	for _, name := range slices.Sorted(maps.Keys(x.Resources)) {
		u := x.Resources[name]
		if u.Limit <= 0 {
			continue
		}
		if u.Used > beyond*u.Limit {
			hint := "both are in the same unit: cores for cpu, bytes for memory"
			if name == "cpu" && u.Used/u.Limit > 20 {
				hint = "cpu_used looks like per cent of a core: divide it by 100"
			}
			p.Add(x.line, 0, hint, "%s_used (%g) is above %s_limit (%g)", name, u.Used, name, u.Limit)
		}
		if name == "memory" && u.Limit < 1e5 {
			p.Add(x.line, 0, fmt.Sprintf("memory is in bytes: if this is in GiB, write %.0f", u.Limit*(1<<30)), "memory_limit is %g bytes", u.Limit)
		}
	}
}

// Cores beyond which a figure is of another unit: no machine has a hundred thousand,
// and hardly any a thousand.
const (
	impossibleCores = 1e5
	manyCores       = 1000
)

// cores finds cores that are counted in parts of a core.
func (x *row) cores(p *Problems) {
	u, ok := x.Resources["cpu"]
	if !ok || max(u.Used, u.Limit) < impossibleCores {
		return
	}
	name, value := "cpu_limit", u.Limit
	if !(u.Limit >= impossibleCores) {
		name, value = "cpu_used", u.Used
	}
	hint := "cpu is in cores, not microcores: divide by 1e6"
	if value >= 1e7 {
		hint = "cpu is in cores, not nanocores: divide by 1e9"
	}
	p.Add(x.line, 0, hint, "%s is %g cores", name, value)
}

// mixed finds rows in seconds among rows in milliseconds: a p99 that falls by
// about a thousand while the load rises.
func mixed(rows []row, p *Problems) {
	for i := 1; i < len(rows); i++ {
		a, b := &rows[i-1], &rows[i]
		x, y := a.Response.P99, b.Response.P99
		if x <= 0 || y <= 0 {
			continue
		}
		switch {
		case x/y > 300 && x/y < 3000 && b.Offered > 1.05*a.Offered:
			p.Add(b.line, 0, "p99_ms looks like seconds in this row: multiply it by 1000",
				"p99_ms falls from %g to %g although the load rises", x, y)
		case y/x > 300 && y/x < 3000 && b.Offered < 0.95*a.Offered:
			p.Add(a.line, 0, "p99_ms looks like seconds in this row: multiply it by 1000",
				"p99_ms rises from %g to %g although the load falls", x, y)
		}
	}
}
