package resources

import (
	"context"
)

// The sources that readers of this package report as.
const (
	SourceProcess = "process"
	SourceCgroup  = "cgroup"
	SourceMetrics = "metrics"
)

// Units of readings. A counter is in unit-seconds: core-seconds, slot-seconds.
const (
	UnitCores = "cores"
	UnitBytes = "bytes"
	UnitSlots = "slots"
	UnitCount = "count"
	// Rates are of counters without a limit of their own.
	UnitByteRate = "bytes/s"
	UnitRate     = "count/s"
)

// Reading is one resource at one look.
type Reading struct {
	// Resource is its name: cpu, memory, pool.shop ...
	Resource string
	// Value is the use in Unit; or, if Counter, the use summed up since some
	// fixed instant, in Unit times seconds.
	Value   float64
	Counter bool
	// Limit is how much there is, in Unit; 0 if there is no limit or none is known.
	Limit float64
	Unit  string
}

// Reader looks at a target. An implementation is safe for concurrent use and
// keeps nothing between two looks.
type Reader interface {
	// Read looks once. The slice is the caller's. Names of resources are unique
	// in it, values and limits finite and not negative. A resource that this
	// look could not see is left out; an error means that nothing was seen, and
	// the next look may succeed. It returns soon after ctx ends.
	Read(ctx context.Context) ([]Reading, error)
	// Source says who reads: process, cgroup or metrics.
	Source() string
}
