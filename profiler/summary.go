package profiler

import (
	"math"
	"time"

	"github.com/google/pprof/profile"
)

// Summary is what a profile holds in total.
type Summary struct {
	Types []SampleType
	// Samples is how many samples the figures rest on: their relative error is
	// about 1/sqrt(Samples). It is the sum of the counts, except for allocations,
	// whose counts are scaled up from one sample for each Period bytes: there it
	// is the bytes divided by that.
	Samples int64
	// Stacks is the number of distinct stacks.
	Stacks int
	// Duration is the time that the profile spans, 0 if it does not say.
	Duration time.Duration
	// Taken is when it was begun by the target's clock; zero if it does not say.
	Taken time.Time
}

// SampleType is one kind of value that each sample has.
type SampleType struct {
	Type string // cpu, samples, alloc_space, delay, contentions ...
	Unit string // nanoseconds, count, bytes
	// Total is the sum over all samples. It can be negative in a difference of
	// two profiles: memory in use shrank, goroutines ended.
	Total int64
}

// Summarise reads a profile in pprof's format, gzip-compressed or not. It fails
// on a profile that is malformed or larger than the bounds of this package.
func Summarise(pprof []byte) (Summary, error) {
	p, err := decode(pprof)
	if err != nil {
		return Summary{}, err
	}
	s := Summary{Stacks: len(p.Sample), Duration: time.Duration(max(p.DurationNanos, 0))}
	if p.TimeNanos > 0 {
		s.Taken = time.Unix(0, p.TimeNanos).UTC()
	}
	for i, st := range p.SampleType {
		s.Types = append(s.Types, SampleType{Type: clean(st.Type), Unit: clean(st.Unit), Total: total(p, i)})
	}
	s.Samples = samples(p, s.Types)
	return s, nil
}

// total sums up one kind of value.
func total(p *profile.Profile, index int) int64 {
	var sum int64
	for _, s := range p.Sample {
		sum = add(sum, s.Value[index])
	}
	return sum
}

// samples estimates how many samples were really taken.
func samples(p *profile.Profile, types []SampleType) int64 {
	if p.PeriodType != nil && p.PeriodType.Unit == "bytes" && p.Period > 0 {
		for _, t := range types {
			if t.Type == "alloc_space" || t.Type == "inuse_space" {
				return max(t.Total, 0) / p.Period
			}
		}
	}
	return max(types[0].Total, 0)
}

// add is a sum that stays at the largest or smallest number instead of
// overflowing: values are untrusted.
func add(a, b int64) int64 {
	switch {
	case b > 0 && a > math.MaxInt64-b:
		return math.MaxInt64
	case b < 0 && a < math.MinInt64-b:
		return math.MinInt64
	}
	return a + b
}
