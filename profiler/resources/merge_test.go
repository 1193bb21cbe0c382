package resources

import (
	"math"
	"testing"
	"time"

	"github.com/headroom-project/headroom/loadgen/observation"
)

// The mean of a counter's samples over any time is its growth over that time:
// nothing that happens between two looks is missed.
func TestMeterTelescopes(t *testing.T) {
	m := Meter{Least: 200 * time.Millisecond}
	at, value, first := time.Second, 10.0, 10.0
	m.Samples(at, "process", []Reading{{Resource: "cpu", Value: value, Counter: true}})
	var sum float64
	for _, step := range []struct {
		dt    time.Duration
		cores float64
	}{{time.Second, 0.5}, {1500 * time.Millisecond, 2}, {time.Second, 0}, {300 * time.Millisecond, 1}} {
		at += step.dt
		value += step.cores * step.dt.Seconds()
		got := m.Samples(at, "process", []Reading{{Resource: "cpu", Value: value, Counter: true, Limit: 2, Unit: UnitCores}})
		if len(got) != 1 {
			t.Fatalf("%d samples, want 1", len(got))
		}
		s := got[0]
		if math.Abs(s.Used-step.cores) > 1e-9 || s.Over != step.dt || s.At != at || s.Step != -1 || s.Limit != 2 || s.Source != "process" {
			t.Errorf("sample %+v after %v at %g cores", s, step.dt, step.cores)
		}
		sum += s.Used * s.Over.Seconds()
	}
	if want := value - first; math.Abs(sum-want) > 1e-9 {
		t.Errorf("samples sum up to %g core-seconds, want %g", sum, want)
	}
}

func TestMeterLeavesOut(t *testing.T) {
	counter := func(v float64) []Reading { return []Reading{{Resource: "cpu", Value: v, Counter: true}} }
	for _, c := range []struct {
		name   string
		before float64
		at     time.Duration
		after  float64
		want   int
	}{
		{"a good interval", 1, time.Second, 2, 1},
		{"a target that began anew", 5, time.Second, 1, 0},
		{"a clock that stands", 1, 0, 2, 0},
		{"a clock that jumped back", 1, -time.Second, 2, 0},
		{"an interval too short", 1, 100 * time.Millisecond, 2, 0},
		{"no number", 1, time.Second, math.NaN(), 0},
		{"infinity", 1, time.Second, math.Inf(1), 0},
		{"a negative number", 1, time.Second, -1, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := Meter{Least: 200 * time.Millisecond}
			if got := m.Samples(10*time.Second, "p", counter(c.before)); len(got) != 0 {
				t.Errorf("the first look gave %v", got)
			}
			if got := m.Samples(10*time.Second+c.at, "p", counter(c.after)); len(got) != c.want {
				t.Errorf("%d samples, want %d: %v", len(got), c.want, got)
			}
		})
	}
	m := Meter{Least: time.Hour}
	if got := m.Samples(0, "p", []Reading{{Resource: "memory", Value: 1}}); len(got) != 1 || got[0].Over != 0 {
		t.Errorf("a gauge gave %v, want one sample at once", got)
	}
}

func TestMerger(t *testing.T) {
	cpu := func(source string, used, limit float64) observation.Sample {
		return observation.Sample{Source: source, Resource: "cpu", Used: used, Limit: limit}
	}
	var m Merger
	note := func(source string, limit float64) {
		m.Note(source, []Reading{{Resource: "cpu", Limit: limit}})
	}
	expect := func(s observation.Sample, limit float64, kept bool) {
		t.Helper()
		got := m.Merge([]observation.Sample{s})
		if (len(got) == 1) != kept || (kept && (got[0].Limit != limit || got[0].Used != s.Used)) {
			t.Errorf("Merge(%+v) = %+v, want kept %v with limit %g", s, got, kept, limit)
		}
	}
	note(SourceMetrics, 0)
	expect(cpu(SourceMetrics, 0.5, 0), 0, true) // nobody else, no limit known
	note(SourceProcess, 2)
	note(SourceCgroup, 1.5)
	note(SourceMetrics, 1) // GOMAXPROCS
	expect(cpu(SourceMetrics, 0.5, 1), 0, false)
	expect(cpu(SourceCgroup, 0.5, 1.5), 0, false)
	expect(cpu(SourceProcess, 0.5, 2), 1, true)
	expect(cpu(SourceProcess, 1.05, 2), 1, true)  // a little above is a matter of timing
	expect(cpu(SourceProcess, 1.4, 2), 1.5, true) // clearly above: not this process's limit
	expect(cpu(SourceProcess, 9, 2), 2, true)     // above all: what the source said
	m.Failed(SourceProcess)
	expect(cpu(SourceCgroup, 0.5, 1.5), 1, true) // the next one takes over
	note(SourceProcess, 2)
	expect(cpu(SourceCgroup, 0.5, 1.5), 0, false)
	m.Note(SourceProcess, []Reading{{Resource: "memory"}}) // it no longer sees the CPU
	expect(cpu(SourceCgroup, 0.5, 1.5), 1, true)
}

// samples of the caller are left as they are.
func TestMergeKeepsInput(t *testing.T) {
	var m Merger
	m.Note(SourceProcess, []Reading{{Resource: "cpu", Limit: 2}})
	m.Note(SourceMetrics, []Reading{{Resource: "cpu", Limit: 1}})
	in := []observation.Sample{{Source: SourceProcess, Resource: "cpu", Limit: 2}}
	if out := m.Merge(in); in[0].Limit != 2 || out[0].Limit != 1 {
		t.Errorf("in %+v, out %+v", in, out)
	}
}
