package resources

import (
	"cmp"
	"slices"

	"github.com/headroom-project/headroom/loadgen/observation"
)

// Merger joins the samples of several sources so that each resource is
// reported by one of them. Its zero value is ready. It is not safe for
// concurrent use.
//
// The rule. The use of a resource is taken from one source: process before
// cgroup before metrics. The process's own account is exact and is about the
// target alone; a cgroup may hold other processes, and its memory the page
// cache; a metrics page can be late when the target is busy. A source that
// fails loses the resource to the next one until it is back.
//
// The limit is the smallest one that any source knows, because the use ends
// there whoever set it: the Go runtime's GOMAXPROCS (metrics) lowers the
// process's affinity, a cgroup's quota lowers both. A limit below the use seen
// is evidently not this resource's own, such as the GOMAXPROCS of one process
// out of several in a cgroup, and is passed over.
type Merger struct {
	sources map[string]*view
}

// view is what one source last said.
type view struct {
	failed bool
	limits map[string]float64 // by resource; 0 for one without a limit
}

// slack is how far above its limit a use may be read: a quota's enforcement is
// a period late, and intervals are cut a little apart.
const slack = 1.15

// Note tells the merger what a source reports, before its samples are merged.
// It is to be called with every look, the first included, which yields no
// samples of counters.
func (m *Merger) Note(source string, readings []Reading) {
	v := m.view(source)
	v.failed = false
	v.limits = make(map[string]float64, len(readings))
	for _, r := range readings {
		v.limits[r.Resource] = r.Limit
	}
}

// Failed tells the merger that a source could not be read. Its limits still
// hold, but it reports no use until Note is called for it again.
func (m *Merger) Failed(source string) {
	m.view(source).failed = true
}

// Merge returns those samples of one source that are the account of their
// resource, with the limit that holds. samples is not changed.
func (m *Merger) Merge(samples []observation.Sample) []observation.Sample {
	kept := make([]observation.Sample, 0, len(samples))
	for _, s := range samples {
		if m.owner(s.Resource) != s.Source {
			continue
		}
		s.Limit = m.limit(s.Resource, s.Used, s.Limit)
		kept = append(kept, s)
	}
	return kept
}

func (m *Merger) view(source string) *view {
	if m.sources == nil {
		m.sources = map[string]*view{}
	}
	if m.sources[source] == nil {
		m.sources[source] = &view{}
	}
	return m.sources[source]
}

// owner is the source that accounts for a resource; empty if none does.
func (m *Merger) owner(resource string) string {
	best := ""
	for source, v := range m.sources {
		if _, reports := v.limits[resource]; !reports || v.failed {
			continue
		}
		if best == "" || nearer(source, best) {
			best = source
		}
	}
	return best
}

// limit is the smallest limit known that used does not exceed; own if there is
// none.
func (m *Merger) limit(resource string, used, own float64) float64 {
	smallest := 0.0
	for _, v := range m.sources {
		l := v.limits[resource]
		if l > 0 && used <= l*slack && (smallest == 0 || l < smallest) {
			smallest = l
		}
	}
	if smallest == 0 {
		return own
	}
	return smallest
}

// order lists the sources from the nearest to the process; others come after.
var order = []string{SourceProcess, SourceCgroup, SourceMetrics}

func nearer(a, b string) bool {
	ranks := func(s string) int {
		if i := slices.Index(order, s); i >= 0 {
			return i
		}
		return len(order)
	}
	return cmp.Or(cmp.Compare(ranks(a), ranks(b)), cmp.Compare(a, b)) < 0
}
