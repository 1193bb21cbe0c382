package reports

import (
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/headroom-project/headroom/loadgen/observation"
)

// blocksBundle is a drill of four steps of 8 s at 100 requests/s. While profiles
// are taken, in one half of each, a request takes a tenth more CPU and answers a
// fifth later.
func blocksBundle(t *testing.T) *observation.Evidence {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "bundle")
	r, err := observation.Record(dir, []byte("version: 1\nname: x\ntarget: {url: http://127.0.0.1:1}\nload: {constant: {rate: 100, duration: 8s}}\nobjectives: [p99 < 1s]\n"))
	if err != nil {
		t.Fatal(err)
	}
	note := func(e observation.Entry) {
		if err := r.Note(e); err != nil {
			t.Fatal(err)
		}
	}
	note(observation.Entry{Kind: observation.EntryDrill, Drill: &observation.DrillRecord{ID: "x", Name: "x", Workers: 1}})
	seq := uint64(0)
	for step := range 4 {
		start := time.Duration(step) * 10 * time.Second
		note(observation.Entry{Kind: observation.EntryStep, At: start, Step: &observation.StepRecord{
			Index: step, Kind: "load", From: 100, To: 100, Start: start, Lasts: 8 * time.Second, Discard: 2 * time.Second}})
		from := start + 2*time.Second
		if step%2 == 1 {
			from += 3 * time.Second
		}
		for second := range 8 {
			at := start + time.Duration(second)*time.Second
			profiled := at >= from && at < from+3*time.Second
			w := &observation.Window{Worker: "w", Step: step, Second: second, At: at + time.Second, Over: time.Second, Planned: 100, Sent: 100, Last: true,
				Requests: map[string]*observation.Tally{"a": observation.NewTally()}}
			seq++
			w.Seq = seq
			took, cores := 10*time.Millisecond, 0.5
			if profiled {
				took, cores = 12*time.Millisecond, 0.55
			}
			for range 100 {
				w.Requests["a"].Add(took, took, 0, "")
			}
			if err := r.Window(w); err != nil {
				t.Fatal(err)
			}
			if err := r.Samples([]observation.Sample{{At: at + time.Second, Over: time.Second, Step: step, Source: "process", Resource: "cpu", Used: cores, Limit: 1, Unit: "cores"}}); err != nil {
				t.Fatal(err)
			}
		}
		// One that failed has cost as much, and one that the target sent by itself nothing.
		note(observation.Entry{Kind: observation.EntryCapture, At: from, Capture: &observation.Capture{
			Step: step, Type: "cpu", From: from, To: from + 2500*time.Millisecond, Until: from + 2999*time.Millisecond, Error: "cut off"}})
		note(observation.Entry{Kind: observation.EntryCapture, At: from, Capture: &observation.Capture{
			Step: step, Type: "cpu", From: start, To: start + 8*time.Second, Source: observation.CaptureReceived, Error: "x"}})
		note(observation.Entry{Kind: observation.EntryStepEnd, At: start + 8*time.Second, StepEnd: &observation.StepEnd{Index: step, Lasted: 8 * time.Second}})
	}
	note(observation.Entry{Kind: observation.EntryEnd, At: 40 * time.Second, End: &observation.EndRecord{How: observation.EndDone}})
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	e, err := observation.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// What profiling costs is recovered from the blocks, whichever comes first, and
// the seconds in which it was done are marked.
func TestCostOfProfiling(t *testing.T) {
	r, err := Compute(blocksBundle(t))
	if err != nil {
		t.Fatal(err)
	}
	p := r.Profiling
	if p == nil || p.CPU == nil || p.P50 == nil || p.P99 == nil {
		t.Fatalf("%+v", p)
	}
	if p.ProfiledS != 12 || p.MeasuredS != 24 || p.CPU.Pairs != 4 {
		t.Errorf("%+v, want 12 of 24 s and four pairs", p)
	}
	for name, c := range map[string]struct {
		got  *Change
		want float64
	}{"cpu": {p.CPU, 0.1}, "p50": {p.P50, 0.2}, "p99": {p.P99, 0.2}} {
		if math.Abs(c.got.Value-c.want) > 0.002 || c.got.Low > c.want+0.002 || c.got.High < c.want-0.002 {
			t.Errorf("%s: %+v, want %g", name, c.got, c.want)
		}
	}
	marked := 0
	for _, tick := range r.Timeline {
		if tick.Profiled {
			marked++
		}
	}
	if marked != 12 || r.Steps[0].ProfiledS != 3 {
		t.Errorf("%d seconds are marked, %g of step 0; want 12 and 3", marked, r.Steps[0].ProfiledS)
	}
	warned := strings.Join(r.Warnings, "\n")
	if !strings.Contains(warned, "more CPU for each request") || !strings.Contains(warned, "the p99 was") {
		t.Errorf("a cost of 10%% and 20%% is no warning: %s", warned)
	}
	if said := strings.Join(r.Method, "\n"); !strings.Contains(said, "12 of the 24 s") || !strings.Contains(said, "CPU per request +10%") {
		t.Errorf("the method says: %s", said)
	}
}
