package scenarios

import (
	"encoding/json"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const traced = "version: 1\ntarget: {url: 'http://127.0.0.1'}\nload: "

func compileReplay(t *testing.T, load string, files map[string]string) *Plan {
	t.Helper()
	p, err := CompileWith(mustLoad(t, traced+load), world(files, nil))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// A replay offers hits at the recorded instants, to the nanosecond, divided by
// the speed; slices add up.
func TestReplayIsExact(t *testing.T) {
	files := map[string]string{"t.csv": "time\n100.5\n100\n100.000000001\n103.25\n"}
	for load, want := range map[string][]time.Duration{
		"{warmup: 0s, replay: {file: t.csv}}":             {0, 1, 500 * time.Millisecond, 3250 * time.Millisecond},
		"{warmup: 0s, replay: {file: t.csv, speed: 2}}":   {0, 1, 250 * time.Millisecond, 1625 * time.Millisecond},
		"{warmup: 0s, replay: {file: t.csv, speed: 0.5}}": {0, 2, time.Second, 6500 * time.Millisecond},
	} {
		p := compileReplay(t, load, files)
		step := p.Steps[0]
		var got []time.Duration
		for h := range p.Slice(0, 1).Hits(step) {
			got = append(got, h.At)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", load, got, want)
		}
		if last := want[3]; step.Lasts != last+last/3 || step.From != 4/step.Lasts.Seconds() || p.Count(step) != 4 {
			t.Errorf("%s: step is %+v", load, step)
		}
	}
}

func TestReplaySlicesAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := genPlan().Draw(t, "plan")
		offsets := rapid.SliceOfN(rapid.Int64Range(0, 1e12), 1, 100).Draw(t, "offsets")
		offsets[0] = 0
		slices.Sort(offsets)
		var r Recording
		for _, at := range offsets {
			r.offsets = append(r.offsets, time.Duration(at))
		}
		text, err := json.Marshal(Recording{})
		if err != nil || string(text) != `""` {
			t.Fatalf("%s, %v", text, err)
		}
		if text, err = json.Marshal(&r); err != nil {
			t.Fatal(err)
		}
		var back Recording
		if err := json.Unmarshal(text, &back); err != nil || !reflect.DeepEqual(r, back) {
			t.Fatalf("%s is read as %+v, %v", text, back, err)
		}
		p.Traces = []Recording{back}
		speed := rapid.Float64Range(0.01, 100).Draw(t, "speed")
		checkSlices(t, p, Step{Lasts: r.length(speed), Shape: &Shape{Trace: &TraceShape{Speed: speed}}})
	})
}

func TestReplayWarmupAndSequence(t *testing.T) {
	files := map[string]string{"a.log": `h - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0" 200 5` + "\n" + `h - - [10/Oct/2000:13:55:40 -0700] "GET / HTTP/1.0" 200 5` + "\n"}
	p := compileReplay(t, "{sequence: [{warmup: 2s, replay: {file: a.log}}, {replay: {file: a.log, speed: 4}}]}", files)
	if len(p.Traces) != 1 || len(p.Steps) != 3 || p.Steps[0].Kind != KindWarmup || p.Steps[0].From != 2.0/8 || p.Steps[2].Lasts != 2*time.Second {
		t.Errorf("%d traces, steps %+v", len(p.Traces), p.Steps)
	}
}

func TestReplayProblems(t *testing.T) {
	files := map[string]string{
		"bad.log": "hello\n", "empty.csv": "time\n", "two.csv": "time\n1\nx\n", "dense.csv": "time\n0.1\n0.2\n0.3\n1.05\n9\n", "bad.har": "{}",
	}
	for _, tt := range []struct{ load, want string }{
		{"{replay: {file: none.log}}", `load.replay.file: cannot read the file: open none.log: no such file: "none.log"`},
		{"{replay: {file: bad.log}}", `bad.log:1:1: line has no time in [ ] (hint: remove the line`},
		{"{replay: {file: two.csv}}", `two.csv:3:1: "x" is neither a number of seconds nor a time`},
		{"{replay: {file: empty.csv}}", `recording has no arrivals`},
		{"{replay: {file: bad.har}}", `archive has no entries`},
		{"{sequence: [{replay: {file: bad.har}}, {replay: {file: none.csv}}]}", `load.sequence[1].replay.file: cannot read the file`},
	} {
		_, err := CompileWith(mustLoad(t, traced+tt.load), world(files, nil))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s\ngot  %v\nwant %s", tt.load, err, tt.want)
		}
	}
	s := mustLoad(t, traced+"{replay: {file: dense.csv}}\nsafety: {max_rps: 3}")
	if _, err := CompileWith(s, world(files, nil)); err == nil || !strings.Contains(err.Error(), "load.replay offers 4 requests in its busiest second, above safety.max_rps, which is 3") {
		t.Errorf("got %v", err)
	}
	if _, err := Compile(s); err == nil || !strings.Contains(err.Error(), "files are not available here") {
		t.Errorf("got %v", err)
	}
	var r Recording
	for _, bad := range []string{`5`, `"%"`, `"gA=="`, `"////////////"`} {
		if err := json.Unmarshal([]byte(bad), &r); err == nil {
			t.Errorf("%s was read as a recording", bad)
		}
	}
}

func TestRecordingIsReadUpToItsLimit(t *testing.T) {
	// A table that goes on for ever: the count of arrivals ends it.
	in := Inputs{Open: func(string) (io.ReadCloser, error) { return io.NopCloser(&repeating{text: "1\n"}), nil }}
	if testing.Short() {
		t.Skip("parses five million lines")
	}
	if _, err := CompileWith(mustLoad(t, traced+"{replay: {file: a.csv}}"), in); err == nil || !strings.Contains(err.Error(), "more than 5000000 arrivals") {
		t.Errorf("got %v", err)
	}
}

type repeating struct {
	text string
	at   int
}

func (r *repeating) Read(p []byte) (int, error) {
	n := copy(p, r.text[r.at:])
	r.at = (r.at + n) % len(r.text)
	return n, nil
}
