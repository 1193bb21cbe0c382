package scenarios

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Units of a metric.
const (
	UnitMillis = "ms"
	UnitRatio  = "ratio"
	UnitRPS    = "rps"
)

const (
	metricErrors     = "errors"
	metricThroughput = "throughput"
	// targetPrefix begins the metric of a guard on a resource of the target.
	targetPrefix = "target."
)

func metrics() []string {
	return []string{"p50", "p90", "p95", "p99", "p999", "mean", "max", metricErrors, metricThroughput}
}

// ParseObjective reads `p99 < 50ms`, `errors < 0.1%`, `browse.p99 < 20ms` or
// `throughput > 100`. An objective bounds response times and errors from above
// and throughput from below; anything else is an error, since it would make a
// slow service pass.
func ParseObjective(text string) (Objective, error) {
	o, err := parseCondition(text)
	if err != nil {
		return Objective{}, err
	}
	if o.ofTarget() {
		return Objective{}, hinted("guards: ["+o.Metric+" > 95% for 10s]", "objective on %s: resources of the target can only be guarded", o.Metric)
	}
	if o.above() != (o.Metric == metricThroughput) {
		return Objective{}, hinted("did you mean "+strconv.Quote(o.turned())+"?", "objective %s would fail a service for being good", o)
	}
	if o.Op == "<" && o.Value == 0 {
		return Objective{}, hinted("did you mean \"errors <= 0%\"?", "objective %s can never hold", o)
	}
	return o, nil
}

// ParseGuard reads an objective's text with the opposite sense and an optional
// `for` time: `errors > 20% for 5s`, `target.cpu > 95% for 10s`. Without a time
// the guard acts at once.
func ParseGuard(text string) (Guard, error) {
	condition, lasts, timed := cutLast(text, " for ")
	o, err := parseCondition(condition)
	if err != nil {
		return Guard{}, err
	}
	g := Guard{Objective: o}
	if timed {
		var d Duration
		if err := d.UnmarshalText([]byte(lasts)); err != nil {
			return Guard{}, hinted(hintTime, "guard's time %q is no time", strings.TrimSpace(lasts))
		}
		g.For = time.Duration(d)
	}
	if g.For < 0 || g.For > maxDuration {
		return Guard{}, fmt.Errorf("guard's time %s is not between 0s and %s", g.For, Duration(maxDuration))
	}
	if !o.ofTarget() && o.above() == (o.Metric == metricThroughput) {
		return Guard{}, hinted("a guard says what is too bad, such as "+strconv.Quote(o.turned()), "guard %s would end the drill of a good service", g)
	}
	return g, nil
}

// cutLast cuts at the last separator that follows the operator: the name of a
// request may hold one too.
func cutLast(text, sep string) (before, after string, found bool) {
	at := strings.LastIndex(text, sep)
	if at < strings.IndexAny(text, "<>") || at < 0 {
		return text, "", false
	}
	return text[:at], text[at+len(sep):], true
}

// parseCondition reads `[request.]metric op value`.
func parseCondition(text string) (Objective, error) {
	at := strings.IndexAny(text, "<>")
	if at < 0 {
		return Objective{}, hinted("write it like p99 < 50ms", "condition has no < or >")
	}
	o := Objective{Op: text[at : at+1], Metric: strings.TrimSpace(text[:at])}
	value := text[at+1:]
	if strings.HasPrefix(value, "=") {
		o.Op, value = o.Op+"=", value[1:]
	}
	if o.Metric == "p99.9" || strings.HasSuffix(o.Metric, ".p99.9") { // as other tools write it
		o.Metric = strings.TrimSuffix(o.Metric, "p99.9") + "p999"
	}
	if dot := strings.LastIndexByte(o.Metric, '.'); dot >= 0 && !o.ofTarget() {
		o.Request, o.Metric = o.Metric[:dot], o.Metric[dot+1:]
		if o.Request == "" || strings.TrimSpace(o.Request) != o.Request {
			return Objective{}, hinted("write it like browse.p99 < 20ms", "condition names no request before the dot")
		}
	}
	if !o.ofTarget() && !slices.Contains(metrics(), o.Metric) {
		return Objective{}, hinted(suggest(o.Metric, metrics()), "unknown metric %q", o.Metric)
	}
	if o.ofTarget() && !isResource(o.Metric[len(targetPrefix):]) {
		return Objective{}, hinted("write it like target.cpu > 95% for 10s", "unknown resource in %q", o.Metric)
	}
	v, err := parseMetricValue(o.Unit(), strings.TrimSpace(value))
	if err != nil {
		return Objective{}, err
	}
	o.Value = v
	return o, nil
}

// isResource accepts names as samples have them: cpu, memory, pool.shop.
func isResource(name string) bool {
	for _, r := range name {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_' && r != '.' && r != '-' {
			return false
		}
	}
	return name != "" && name[0] != '.' && name[len(name)-1] != '.'
}

func parseMetricValue(unit, text string) (float64, error) {
	switch unit {
	case UnitMillis:
		d, err := time.ParseDuration(text)
		if err != nil {
			return 0, hinted(hintTime, "%q is no time", text)
		}
		if d <= 0 {
			return 0, fmt.Errorf("%q is not above 0", text)
		}
		return float64(d) / float64(time.Millisecond), nil
	case UnitRatio:
		return parseRatio(text)
	default:
		number := strings.TrimSpace(strings.TrimSuffix(strings.TrimSuffix(text, "rps"), "/s"))
		v, err := strconv.ParseFloat(number, 64)
		if err != nil || !(v > 0) || math.IsInf(v, 0) {
			return 0, hinted("write it in requests/s, such as 100", "%q is no rate above 0", text)
		}
		return v, nil
	}
}

// parseRatio reads 0.1% or 0.001. The per cent sign shifts the decimal exponent
// of the text, so that 0.7% is exactly what 0.007 is.
func parseRatio(text string) (float64, error) {
	number, percent := strings.CutSuffix(text, "%")
	number = strings.TrimSpace(number)
	if percent && !strings.ContainsAny(number, "eExX") {
		number += "e-2"
	}
	v, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return 0, hinted("write it like 0.1%", "%q is no ratio", text)
	}
	if !(v >= 0 && v <= 1) {
		return 0, hinted("a ratio of 1 is 100%", "%q is not between 0%% and 100%%", text)
	}
	return v, nil
}

func (o Objective) ofTarget() bool {
	return o.Request == "" && strings.HasPrefix(o.Metric, targetPrefix)
}

func (o Objective) above() bool { return strings.HasPrefix(o.Op, ">") }

// turned is the text of the same condition with the opposite operator.
func (o Objective) turned() string {
	if o.above() {
		o.Op = "<" + o.Op[1:]
	} else {
		o.Op = ">" + o.Op[1:]
	}
	return o.String()
}

// Unit is the unit of Value and of what Holds takes: ms, ratio or rps.
func (o Objective) Unit() string {
	switch {
	case o.Metric == metricErrors, o.ofTarget():
		return UnitRatio
	case o.Metric == metricThroughput:
		return UnitRPS
	default:
		return UnitMillis
	}
}

// Holds says whether the condition is true of the observed value, which is in
// Unit. Nothing holds of NaN.
func (o Objective) Holds(observed float64) bool {
	switch o.Op {
	case "<":
		return observed < o.Value
	case "<=":
		return observed <= o.Value
	case ">":
		return observed > o.Value
	case ">=":
		return observed >= o.Value
	}
	return false
}

// String is the canonical text, which ParseObjective reads back.
func (o Objective) String() string {
	metric := o.Metric
	if o.Request != "" {
		metric = o.Request + "." + metric
	}
	return metric + " " + o.Op + " " + o.value()
}

func (o Objective) value() string {
	switch o.Unit() {
	case UnitMillis:
		if o.Value >= 1000 && math.Mod(o.Value, 1000) == 0 {
			return plain(o.Value, -3) + "s"
		}
		return plain(o.Value, 0) + "ms"
	case UnitRatio:
		return plain(o.Value, 2) + "%"
	default:
		return plain(o.Value, 0)
	}
}

// plain writes v times ten to the shift as a decimal without an exponent, with
// the shortest digits that read back as v. Shifting the text, not the number,
// keeps it exact.
func plain(v float64, shift int) string {
	mantissa, exponent, found := strings.Cut(strconv.FormatFloat(v, 'e', -1, 64), "e")
	if !found {
		return mantissa // NaN or Inf, in an objective that nobody parsed
	}
	sign := ""
	if strings.HasPrefix(mantissa, "-") {
		sign, mantissa = "-", mantissa[1:]
	}
	digits := strings.Replace(mantissa, ".", "", 1)
	e, _ := strconv.Atoi(exponent)
	point := 1 + e + shift
	if v == 0 {
		point = 1
	}
	switch {
	case point <= 0:
		return sign + "0." + strings.Repeat("0", -point) + digits
	case point >= len(digits):
		return sign + digits + strings.Repeat("0", point-len(digits))
	default:
		return sign + digits[:point] + "." + digits[point:]
	}
}

// MarshalText is String.
func (o Objective) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText is ParseObjective.
func (o *Objective) UnmarshalText(text []byte) error {
	v, err := ParseObjective(string(text))
	if err == nil {
		*o = v
	}
	return err
}

// String is the canonical text, which ParseGuard reads back.
func (g Guard) String() string {
	if g.For == 0 {
		return g.Objective.String()
	}
	return g.Objective.String() + " for " + Duration(g.For).String()
}

// MarshalText is String.
func (g Guard) MarshalText() ([]byte, error) { return []byte(g.String()), nil }

// UnmarshalText is ParseGuard.
func (g *Guard) UnmarshalText(text []byte) error {
	v, err := ParseGuard(string(text))
	if err == nil {
		*g = v
	}
	return err
}
