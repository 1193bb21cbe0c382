package pyroscope

import (
	"context"
	"errors"
	"strings"

	"github.com/google/pprof/profile"
)

// pulled says which values of a server make up a type of capture, as the Go
// runtime's own profiles have them. A server keeps each value by itself.
type pulled struct {
	typ string
	// main are the type ids that the value may have, depending on the agent.
	main []string
	// count is the type id of the number that goes with it; empty if none does.
	count string
	// period is what one sample stands for, where the server does not say.
	period int64
}

// allPulled are the types of capture that a server is asked for, in order.
var allPulled = []pulled{
	{"cpu", []string{"process_cpu:cpu:nanoseconds:cpu:nanoseconds"}, "process_cpu:samples:count:cpu:nanoseconds", 1e7},
	{"allocs", []string{"memory:alloc_space:bytes:space:bytes"}, "memory:alloc_objects:count:space:bytes", 512 << 10},
	{"heap", []string{"memory:inuse_space:bytes:space:bytes"}, "memory:inuse_objects:count:space:bytes", 512 << 10},
	{"mutex", []string{"mutex:delay:nanoseconds:contentions:count"}, "mutex:contentions:count:contentions:count", 1},
	{"block", []string{"block:delay:nanoseconds:contentions:count"}, "block:contentions:count:contentions:count", 1},
	{"goroutine", []string{"goroutines:goroutine:count:goroutine:count", "goroutine:goroutine:count:goroutine:count"}, "", 1},
}

// fetch asks for a type of capture: typeID is one of its main ones.
func (s *Server) fetch(ctx context.Context, x pulled, sel selection) (*profile.Profile, error) {
	p, err := s.merged(ctx, sel)
	if err != nil {
		return nil, err
	}
	value := named(p, sel.typeID)
	if p.Period == 0 {
		p.Period = x.period
	}
	if x.count == "" {
		return value, nil
	}
	sel.typeID = x.count
	counted, err := s.merged(ctx, sel)
	switch {
	case err == nil:
		return paired(named(counted, x.count), value)
	case errors.Is(err, errNothing) || absent(err) || !passing(err):
		// Some agents send the value alone.
		return estimated(value, x), nil
	}
	return nil, err
}

// named keeps the one value that was asked for, under the name of its type id.
func named(p *profile.Profile, typeID string) *profile.Profile {
	want := typed(typeID)
	index := 0
	for i, st := range p.SampleType {
		if st.Type == want.SampleType[0].Type {
			index = i
		}
	}
	p.SampleType = want.SampleType
	if p.PeriodType == nil || p.PeriodType.Type == "" {
		p.PeriodType = want.PeriodType
	}
	p.DefaultSampleType = ""
	for _, s := range p.Sample {
		s.Value = []int64{s.Value[index]}
	}
	return p
}

// paired joins a count and a value of the same stacks.
func paired(count, value *profile.Profile) (*profile.Profile, error) {
	types := []*profile.ValueType{count.SampleType[0], value.SampleType[0]}
	count.SampleType, value.SampleType = types, types
	count.PeriodType, count.Period = value.PeriodType, value.Period
	for _, s := range count.Sample {
		s.Value = append(s.Value, 0)
	}
	for _, s := range value.Sample {
		s.Value = []int64{0, s.Value[0]}
	}
	return profile.Merge([]*profile.Profile{value, count})
}

// estimated adds a count to a value, from what one sample stands for. It is 0
// where that says nothing, as of waits.
func estimated(value *profile.Profile, x pulled) *profile.Profile {
	count := typed(x.count)
	value.SampleType = append(count.SampleType, value.SampleType...)
	for _, s := range value.Sample {
		n := int64(0)
		if x.typ == "cpu" && value.Period > 0 {
			n = s.Value[0] / value.Period
		}
		s.Value = []int64{n, s.Value[0]}
	}
	return value
}

// knownType reports whether captures of a type can be pulled.
func knownType(typ string) bool {
	for _, x := range allPulled {
		if x.typ == strings.TrimSpace(typ) {
			return true
		}
	}
	return false
}
