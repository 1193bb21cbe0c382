package resources

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// maxSeries bounds how many series of a page are looked at, maxPools how many
// pools are reported.
const (
	maxSeries = 5000
	maxPools  = 64
)

// scalars are the metrics without labels that are read, as client_golang's Go
// and process collectors name them.
var scalars = []string{
	"process_cpu_seconds_total",
	"process_resident_memory_bytes",
	"process_virtual_memory_max_bytes",
	"process_open_fds",
	"process_max_fds",
	"go_goroutines",
	"go_threads",
	"go_sched_gomaxprocs_threads",
	"go_gc_gomemlimit_bytes",
	"go_memstats_sys_bytes",
	"go_memstats_heap_idle_bytes",
	"go_memstats_alloc_bytes_total",
	"go_memstats_mallocs_total",
	"go_gc_duration_seconds_count",
}

// Suffixes and names of the metrics of pools.
const (
	busySuffix  = "_busy_seconds_total"
	slotsSuffix = "_slots"

	sqlInUse = "go_sql_in_use_connections"
	sqlMax   = "go_sql_max_open_connections"
	sqlWait  = "go_sql_wait_duration_seconds_total"
)

// parsePage reads a page of the Prometheus text format. Only lines of metrics
// that are used reach the parser: a fault in another metric, or ten thousand
// series of it, do no harm.
func parsePage(page []byte) ([]Reading, error) {
	wanted, series := filter(page)
	if series == 0 {
		return nil, errors.New("it has no metric that is known; hint: the process and Go collectors of Prometheus client libraries give process_cpu_seconds_total and more")
	}
	if series > maxSeries {
		return nil, fmt.Errorf("it has %d series of resources, more than %d", series, maxSeries)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(wanted))
	if err != nil {
		return nil, fmt.Errorf("not in the Prometheus text format: %w", err)
	}
	readings := append(processReadings(families), poolReadings(families)...)
	if len(readings) == 0 {
		return nil, errors.New("it has no resource that can be read")
	}
	return readings, nil
}

// filter keeps the lines of wanted metrics, and counts them. Comments go too:
// without a type, every value reads as a plain number.
func filter(page []byte) (wanted []byte, series int) {
	for line := range bytes.Lines(page) {
		line = bytes.TrimRight(line, "\r\n")
		end := bytes.IndexAny(line, "{ \t")
		if end <= 0 || !isWanted(string(line[:end])) {
			continue
		}
		wanted = append(append(wanted, line...), '\n')
		series++
	}
	return wanted, series
}

func isWanted(name string) bool {
	return slices.Contains(scalars, name) ||
		name == sqlInUse || name == sqlMax || name == sqlWait ||
		strings.HasSuffix(name, busySuffix) || strings.HasSuffix(name, slotsSuffix)
}

type families = map[string]*dto.MetricFamily

// scalar is the value of a metric without labels, if the page has it and it
// can be a use or a limit.
func scalar(f families, name string) (float64, bool) {
	ms := f[name].GetMetric()
	if len(ms) != 1 || !sane(valueOf(ms[0])) {
		return 0, false
	}
	return valueOf(ms[0]), true
}

// valueOf is the value of a series whose type is not declared.
func valueOf(m *dto.Metric) float64 { return m.GetUntyped().GetValue() }

// processReadings gives what the Go and process collectors show.
func processReadings(f families) []Reading {
	var readings []Reading
	add := func(resource, metric, unit string, counter bool, limit float64) {
		if v, ok := scalar(f, metric); ok {
			readings = append(readings, Reading{Resource: resource, Value: v, Counter: counter, Limit: limit, Unit: unit})
		}
	}
	limit := func(metric string) float64 { return limitOf(f, metric) }
	add("cpu", "process_cpu_seconds_total", UnitCores, true, limit("go_sched_gomaxprocs_threads"))
	add("memory", "process_resident_memory_bytes", UnitBytes, false, limit("process_virtual_memory_max_bytes"))
	if r, ok := runtimeMemory(f); ok {
		readings = append(readings, r)
	}
	add("fds", "process_open_fds", UnitCount, false, limit("process_max_fds"))
	add("goroutines", "go_goroutines", UnitCount, false, 0)
	add("threads", "go_threads", UnitCount, false, 0)
	// What is allocated, not what is in use: each request has its part of it.
	add("alloc.bytes", "go_memstats_alloc_bytes_total", UnitByteRate, true, 0)
	add("alloc.objects", "go_memstats_mallocs_total", UnitRate, true, 0)
	add("gc", "go_gc_duration_seconds_count", UnitRate, true, 0)
	return readings
}

// limitOf is the value of a metric that says how much there may be, 0 without one. The
// address space limit is 2^64-1 and the Go runtime's 2^63-1 when unset.
func limitOf(f families, metric string) float64 {
	v, _ := scalar(f, metric)
	return finite(v)
}

// runtimeMemory is what the Go runtime uses of its limit (GOMEMLIMIT), if it has one.
// That is on what the runtime holds, to which the pages of the binary do not count, and of
// which it gives back what is idle before it comes to the limit; until then it keeps as much
// of that as an earlier load left behind.
func runtimeMemory(f families) (Reading, bool) {
	limit := limitOf(f, "go_gc_gomemlimit_bytes")
	held, known := scalar(f, "go_memstats_sys_bytes")
	idle, too := scalar(f, "go_memstats_heap_idle_bytes")
	return Reading{Resource: "go.memory", Value: held - idle, Limit: limit, Unit: UnitBytes},
		known && too && limit > 0 && idle <= held
}

// poolReadings gives the pools by name: exact ones, that count the time that
// slots were busy, before database/sql's, which are gauges.
func poolReadings(f families) []Reading {
	pools := map[string]Reading{}
	// Sorted, so that it does not depend on chance which of two metrics that
	// give the same name is taken.
	for _, name := range slices.Sorted(maps.Keys(f)) {
		if base, ok := strings.CutSuffix(name, busySuffix); ok {
			addExact(pools, base, f[name], f[base+slotsSuffix])
		}
	}
	addGauges(pools, f)
	addWaits(pools, f)
	names := slices.Sorted(maps.Keys(pools))
	readings := make([]Reading, 0, min(len(names), maxPools))
	for _, name := range names[:min(len(names), maxPools)] {
		readings = append(readings, pools[name])
	}
	return readings
}

// addExact adds the pools for which there are both <base>_busy_seconds_total
// and <base>_slots with the same labels.
func addExact(pools map[string]Reading, base string, busy, slots *dto.MetricFamily) {
	limits := map[string]float64{}
	for _, m := range slots.GetMetric() {
		limits[labelKey(m)] = valueOf(m)
	}
	for _, m := range busy.GetMetric() {
		limit, ok := limits[labelKey(m)]
		if !ok || !sane(limit) || !sane(valueOf(m)) {
			continue
		}
		addPool(pools, poolName(m, base), Reading{Value: valueOf(m), Counter: true, Limit: finite(limit), Unit: UnitSlots})
	}
}

// addGauges adds database/sql's pools, as client_golang's DBStats collector
// shows them. A maximum of 0 is a pool without a limit.
func addGauges(pools map[string]Reading, f families) {
	limits := map[string]float64{}
	for _, m := range f[sqlMax].GetMetric() {
		limits[labelKey(m)] = valueOf(m)
	}
	for _, m := range f[sqlInUse].GetMetric() {
		limit := limits[labelKey(m)]
		if !sane(limit) || !sane(valueOf(m)) {
			continue
		}
		addPool(pools, poolName(m, "sql"), Reading{Value: valueOf(m), Limit: finite(limit), Unit: UnitSlots})
	}
}

// addWaits adds the time that was waited for a connection: as a rate, by
// Little's law, the mean number of requests that wait.
func addWaits(pools map[string]Reading, f families) {
	for _, m := range f[sqlWait].GetMetric() {
		if sane(valueOf(m)) {
			addPool(pools, poolName(m, "sql")+".waiting", Reading{Value: valueOf(m), Counter: true, Unit: UnitCount})
		}
	}
}

// addPool adds a pool under its name, unless there is one of that name.
func addPool(pools map[string]Reading, name string, r Reading) {
	r.Resource = name
	if _, taken := pools[name]; !taken {
		pools[name] = r
	}
}

// labelKey identifies a series by its labels.
func labelKey(m *dto.Metric) string {
	var b strings.Builder
	for _, l := range sortedLabels(m) {
		fmt.Fprintf(&b, "%q=%q,", l.GetName(), l.GetValue())
	}
	return b.String()
}

// poolName is pool.<label value>, several values joined with a dot in the order
// of their label names, or pool.<base> for a series without labels. It comes
// from the target, so it is cut down to what is harmless in a report.
func poolName(m *dto.Metric, base string) string {
	var values []string
	for _, l := range sortedLabels(m) {
		values = append(values, l.GetValue())
	}
	name := strings.Join(values, ".")
	if name == "" {
		name = base
	}
	return "pool." + harmless(name)
}

func sortedLabels(m *dto.Metric) []*dto.LabelPair {
	return slices.SortedFunc(slices.Values(m.GetLabel()), func(a, b *dto.LabelPair) int {
		return strings.Compare(a.GetName(), b.GetName())
	})
}

// harmless keeps letters, digits, _ - and . of a name, at most 64 of them.
func harmless(name string) string {
	const most = 64
	kept := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_', r == '-', r == '.':
			return r
		}
		return '_'
	}, name)
	return kept[:min(len(kept), most)]
}
