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
		x.limits(rows, p)
		x.cores(p)
	}
	mixed(rows, p)
	perMinute(rows, p)
	otherPeriods(rows, p)
	partsOfCores(rows, p, t)
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
		if u := x.Resources["cpu"]; max(u.Used, u.Limit) >= manyCores {
			t.Warnings = append(t.Warnings, fmt.Sprintf("%s: cpu is %g cores; if these are millicores, divide by 1000", p.Name, max(u.Used, u.Limit)))
			break
		}
	}
	microseconds(rows, p, t)
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

// partsOfCores finds cores that are per cent, or thousandths of a core: a hundred or more, and
// more of them in use than there are requests to use them.
func partsOfCores(rows []row, p *Problems, t *Table) {
	all, idle, percent, hundred := 0, 0, false, false
	var first *row
	for i := range rows {
		x := &rows[i]
		u, ok := x.Resources["cpu"]
		if !ok {
			continue
		}
		if u.Limit > 0 && u.Limit < 100 {
			return
		}
		all++
		hundred = hundred || u.Limit == 100
		if present := x.present(); present > 0 && u.Used > 3*(present+1) {
			idle++
			// A request is busy on one core at a time, as a rule.
			percent = percent || u.Used/100 < 1.5*present
			if first == nil && max(u.Used, u.Limit) >= 100 {
				first = x
			}
		}
	}
	switch {
	case first != nil && 2*idle >= all:
		text, hint := first.otherUnit(percent)
		p.Add(first.line, 0, "cpu is in cores: "+hint, "%s, and %.3g requests are in flight to use them", text, first.present())
	case hundred:
		t.Warnings = append(t.Warnings, fmt.Sprintf("%s: cpu_limit is 100 cores; %s", p.Name, ofMachine))
	}
}

const ofMachine = "if these are per cent of the machine, multiply both by its cores and divide by 100"

// otherUnit says what a row has of cpu, and of which unit it may be.
func (x *row) otherUnit(percent bool) (text, hint string) {
	u, both := x.Resources["cpu"], "both"
	text = fmt.Sprintf("cpu_used is %g cores of %g", u.Used, u.Limit)
	if u.Limit == 0 {
		text, both = fmt.Sprintf("cpu_used is %g cores", u.Used), "it"
	}
	hint = fmt.Sprintf("if these are millicores, divide %s by 1000", both)
	switch {
	case percent && u.Limit == 100:
		return text, ofMachine + "; " + hint
	case percent:
		return text, hint + "; if per cent of a core, by 100"
	}
	return text, hint
}

// present is how many requests were in flight, at most; 0 if that is not known.
func (x *row) present() float64 {
	// Hardly any mean is above a p99.
	ms := x.Response.P99
	if x.has["mean_ms"] {
		ms = x.Response.Mean
	}
	return max(x.InFlight, x.Throughput*ms/1000) // Little's law
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

func (x *row) limits(rows []row, p *Problems) {
	for _, name := range slices.Sorted(maps.Keys(x.Resources)) {
		u := x.Resources[name]
		if u.Limit <= 0 {
			continue
		}
		if u.Used > beyond*u.Limit {
			hint := "both are in the same unit: cores for cpu, bytes for memory"
			switch {
			case name != "cpu" || u.Used/u.Limit <= 20:
			case allCPU(rows, 100):
				hint = "cpu_used looks like per cent of a core: divide it by 100; if these are millicores, by 1000"
			case allCPU(rows, 1000):
				hint = "cpu_used looks like millicores: divide it by 1000"
			}
			p.Add(x.line, 0, hint, "%s_used (%g) is above %s_limit (%g)", name, u.Used, name, u.Limit)
		}
		if name == "memory" && u.Limit < 1e5 {
			p.Add(x.line, 0, fmt.Sprintf("memory is in bytes: if this is in GiB, write %.0f", u.Limit*(1<<30)), "memory_limit is %g bytes", u.Limit)
		}
	}
}

// allCPU says that the cores in use are within their limits in all rows if divided by so much.
func allCPU(rows []row, by float64) bool {
	return !slices.ContainsFunc(rows, func(o row) bool {
		u := o.Resources["cpu"]
		return u.Limit > 0 && u.Used/by > beyond*u.Limit
	})
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

// microseconds warns of responses that are too long for what is told besides. It may be so: a
// target that waits for another one uses little cpu in a long time.
func microseconds(rows []row, p *Problems, t *Table) {
	const hint = "if these are microseconds, divide them by 1000"
	if len(rows) < 2 {
		return
	}
	x := &rows[0]
	switch {
	case every(rows, (*row).outlasts):
		t.Warnings = append(t.Warnings, fmt.Sprintf("%s: every p99_ms is longer than its step, in which nearly all was answered (line %d: %g s in a step of %g s); %s", p.Name, x.line, x.Response.P99/1000, x.Seconds, hint))
	case every(rows, (*row).thousandfold) && !every(rows, (*row).idles):
		u := x.Resources["cpu"]
		t.Warnings = append(t.Warnings, fmt.Sprintf("%s: a thousandth of mean_ms is what requests need of the cpu and wait for it, in every row (line %d: %.3g ms of cpu, and mean_ms is %g); %s", p.Name, x.line, 1000*u.Used/x.Throughput, x.Response.Mean, hint))
	}
}

func every(rows []row, is func(*row) bool) bool {
	return !slices.ContainsFunc(rows, func(x row) bool { return !is(&x) })
}

// outlasts says that a response in a hundred takes longer than the step, and yet hardly any
// of its answers is missing.
func (x *row) outlasts() bool {
	return x.has["seconds"] && x.Response.P99 > 1000*x.Seconds && x.Throughput > 0.95*x.Offered*(1-x.ErrorRatio)
}

// thousandfold says that the mean response is a thousand times what the cpu explains: the cpu
// time of a request is its use over the throughput (the utilization law, Denning and Buzen
// 1978), and waiting for the cores lengthens it to at most 1/(1-use) of that, if they are one
// and service times are exponential (M/M/1).
func (x *row) thousandfold() bool {
	u := x.Resources["cpu"]
	if !x.has["mean_ms"] || !(u.Limit > 0) || !(u.Used > 0) || !(x.Throughput > 0) {
		return false
	}
	needs, busy := 1000*u.Used/x.Throughput, min(u.Used/u.Limit, 0.95)
	ratio := x.Response.Mean / 1000 / needs
	return x.Response.Mean >= 1000 && ratio > 0.8 && ratio < 1.3/(1-busy)
}

// idles says that the cpu is used too little for waiting for it to show.
func (x *row) idles() bool { u := x.Resources["cpu"]; return u.Used < 0.3*u.Limit }

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
