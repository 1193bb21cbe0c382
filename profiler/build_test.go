package profiler

import (
	"bytes"
	"testing"

	"github.com/google/pprof/profile"
)

// maker makes profiles for tests.
type maker struct {
	p         *profile.Profile
	functions map[string]*profile.Location
}

// newProfile begins a profile with sample types "type/unit".
func newProfile(types ...[2]string) *maker {
	m := &maker{p: &profile.Profile{}, functions: map[string]*profile.Location{}}
	for _, t := range types {
		m.p.SampleType = append(m.p.SampleType, &profile.ValueType{Type: t[0], Unit: t[1]})
	}
	return m
}

// at is the location of a function; several names are inlined, innermost first.
func (m *maker) at(names ...string) *profile.Location {
	key := ""
	for _, n := range names {
		key += n + "\x00"
	}
	if l := m.functions[key]; l != nil {
		return l
	}
	l := &profile.Location{ID: uint64(len(m.p.Location) + 1), Address: 0x1000}
	for _, n := range names {
		f := &profile.Function{ID: uint64(len(m.p.Function) + 1), Name: n}
		m.p.Function = append(m.p.Function, f)
		l.Line = append(l.Line, profile.Line{Function: f})
	}
	m.p.Location = append(m.p.Location, l)
	m.functions[key] = l
	return l
}

// add adds a sample with a stack, root first.
func (m *maker) add(values []int64, rootFirst ...string) *maker {
	s := &profile.Sample{Value: values}
	for i := len(rootFirst) - 1; i >= 0; i-- {
		s.Location = append(s.Location, m.at(rootFirst[i]))
	}
	m.p.Sample = append(m.p.Sample, s)
	return m
}

func (m *maker) bytes(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := m.p.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// cpuTypes are those of a Go CPU profile.
var cpuTypes = [][2]string{{"samples", "count"}, {"cpu", "nanoseconds"}}
