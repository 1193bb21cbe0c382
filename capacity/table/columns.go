package table

import (
	"fmt"
	"slices"
	"strings"

	"github.com/headroom-project/headroom/loadgen/observation"
)

// row is a point while it is read.
type row struct {
	observation.Point
	line int
	has  map[string]bool
}

// column is a column of figures, and the bounds of what may stand in it.
type column struct {
	name     string
	required bool
	open     bool // 0 is not allowed either
	high     float64
	set      func(*row, float64)
	get      func(*observation.Point) float64
}

const unbounded = 1e15

// p99Column is required, unless a lower quantile (isLower) stands in for it: what
// some tools sum up by default has no p99.
const p99Column = "p99_ms"

func isLower(column string) bool {
	return column == "p95_ms" || column == "p90_ms" || column == "p50_ms"
}

func columns() []column {
	ms := func(name string, at func(*observation.Quantiles) *float64) column {
		return column{name: name, high: 1e9,
			set: func(r *row, v float64) { *at(&r.Response) = v },
			get: func(p *observation.Point) float64 { return *at(&p.Response) }}
	}
	p99 := ms(p99Column, func(q *observation.Quantiles) *float64 { return &q.P99 })
	p99.required = true
	return []column{
		{name: "step", high: 1e6, set: func(r *row, v float64) { r.Step = int(v) }, get: func(p *observation.Point) float64 { return float64(p.Step) }},
		{name: "offered_rps", required: true, open: true, high: 1e9, set: func(r *row, v float64) { r.Offered = v }, get: func(p *observation.Point) float64 { return p.Offered }},
		{name: "throughput_rps", required: true, high: 1e9, set: func(r *row, v float64) { r.Throughput = v }, get: func(p *observation.Point) float64 { return p.Throughput }},
		{name: "seconds", open: true, high: 1e7, set: func(r *row, v float64) { r.Seconds = v }, get: func(p *observation.Point) float64 { return p.Seconds }},
		ms("p50_ms", func(q *observation.Quantiles) *float64 { return &q.P50 }),
		ms("p90_ms", func(q *observation.Quantiles) *float64 { return &q.P90 }),
		ms("p95_ms", func(q *observation.Quantiles) *float64 { return &q.P95 }),
		p99,
		ms("p999_ms", func(q *observation.Quantiles) *float64 { return &q.P999 }),
		ms("max_ms", func(q *observation.Quantiles) *float64 { return &q.Max }),
		ms("mean_ms", func(q *observation.Quantiles) *float64 { return &q.Mean }),
		{name: "in_flight", high: 1e9, set: func(r *row, v float64) { r.InFlight = v }, get: func(p *observation.Point) float64 { return p.InFlight }},
		{name: "error_ratio", high: 1, set: func(r *row, v float64) { r.ErrorRatio = v }, get: func(p *observation.Point) float64 { return p.ErrorRatio }},
	}
}

// Suffixes of a resource's two columns.
const (
	usedSuffix  = "_used"
	limitSuffix = "_limit"
)

// resource returns the column of a resource's use or limit; ok is false for
// another name.
func resource(name string) (c column, ok bool) {
	if r, is := strings.CutSuffix(name, usedSuffix); is && validName(r) {
		return column{name: name, high: unbounded, set: func(x *row, v float64) {
			u := x.Resources[r]
			u.Used, u.Unit, u.Samples = v, Unit(r), 1
			x.Resources[r] = u
		}}, true
	}
	if r, is := strings.CutSuffix(name, limitSuffix); is && validName(r) {
		return column{name: name, open: true, high: unbounded, set: func(x *row, v float64) {
			u := x.Resources[r]
			u.Limit = v
			x.Resources[r] = u
		}}, true
	}
	return column{}, false
}

// validName accepts the names that samples have: cpu, memory, pool.shop.
func validName(name string) bool {
	for _, r := range name {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_' && r != '.' && r != '-' {
			return false
		}
	}
	return name != "" && len(name) <= 100
}

// Unit is the unit in which the use of a resource is written in a table.
func Unit(resource string) string {
	switch {
	case resource == "cpu", resource == "cpu.throttled":
		return "cores"
	case resource == "memory":
		return "bytes"
	case strings.HasPrefix(resource, "pool"):
		return "slots"
	}
	return ""
}

// meant maps what people call a column to what it is called here.
var meant = map[string]string{
	"rps": "offered_rps", "offered": "offered_rps", "load": "offered_rps", "rate": "offered_rps", "target_rps": "offered_rps", "qps": "offered_rps",
	"throughput": "throughput_rps", "served": "throughput_rps", "served_rps": "throughput_rps", "achieved_rps": "throughput_rps", "actual_rps": "throughput_rps",
	"p99": "p99_ms", "p95": "p95_ms", "p90": "p90_ms", "p50": "p50_ms", "median": "p50_ms", "median_ms": "p50_ms", "p999": "p999_ms", "p99.9": "p999_ms",
	"mean": "mean_ms", "avg": "mean_ms", "avg_ms": "mean_ms", "max": "max_ms", "latency_ms": "p99_ms",
	"errors": "error_ratio", "error_rate": "error_ratio", "error_percent": "error_ratio", "failures": "error_ratio",
	"duration": "seconds", "duration_s": "seconds", "concurrency": "in_flight", "inflight": "in_flight", "users": "in_flight", "vus": "in_flight",
	"throttled": "cpu.throttled_used", "cpu_throttled": "cpu.throttled_used", "cpu_throttled_used": "cpu.throttled_used", "cpu": "cpu_used", "mem": "memory_used", "memory": "memory_used", "mem_used": "memory_used", "cores": "cpu_limit",
}

// suggest says what an unknown column may have been meant as.
func suggest(name string) string {
	lower := strings.ToLower(strings.ReplaceAll(name, " ", "_"))
	if base, ok := strings.CutSuffix(lower, "_s"); ok {
		if is := meant[base]; strings.HasSuffix(is, "_ms") {
			return fmt.Sprintf("write milliseconds, in a column %s: multiply by 1000", is)
		}
	}
	if base, ok := strings.CutSuffix(lower, "_us"); ok {
		if is := meant[base]; strings.HasSuffix(is, "_ms") {
			return fmt.Sprintf("write milliseconds, in a column %s: divide by 1000", is)
		}
	}
	if is, ok := meant[lower]; ok {
		return "did you mean " + is + "?"
	}
	if names := known(); slices.Contains(names, lower) {
		return "did you mean " + lower + "?"
	}
	return "known are " + strings.Join(known(), ", ") + ", and R_used,R_limit for any resource R; leave other columns out"
}

func known() []string {
	var names []string
	for _, c := range columns() {
		names = append(names, c.name)
	}
	return names
}
