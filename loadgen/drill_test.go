package loadgen_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/headroom-project/headroom/loadgen"
	"github.com/headroom-project/headroom/loadgen/attack"
	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/loadgen/search"
	"github.com/headroom-project/headroom/scenarios"
	"github.com/headroom-project/headroom/scenarios/demo"
)

// memory is a Recorder that keeps the evidence, and fails from an entry on.
type memory struct {
	mu      sync.Mutex
	entries []observation.Entry
	windows int
	sent    uint64
	last    *observation.Window
	all     []*observation.Window
	raw     *attack.Raw
	failAt  int // windows after which every call fails; 0 is never
}

var errFull = errors.New("no space left on device")

func (m *memory) err() error {
	if m.failAt > 0 && m.windows >= m.failAt {
		return errFull
	}
	return nil
}

func (m *memory) Note(e observation.Entry) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.entries = append(m.entries, e)
	return m.err()
}

func (m *memory) Window(w *observation.Window) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.windows++
	m.sent += w.Sent
	m.last, m.all = w, append(m.all, w)
	return m.err()
}
func (m *memory) Samples([]observation.Sample) error                       { return nil }
func (m *memory) Capture(time.Duration, observation.Capture, []byte) error { return nil }
func (m *memory) Flush() error                                             { return nil }

// find returns the entries of a kind.
func (m *memory) find(kind string) []observation.Entry {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(m.entries), func(e observation.Entry) bool { return e.Kind != kind })
}

// progress calls back when a step begins and each second.
type progress struct {
	begins func(scenarios.Step)
	second func(loadgen.Status)
	said   []string
}

func (p *progress) StepBegins(s scenarios.Step, _ string) {
	if p.begins != nil {
		p.begins(s)
	}
}
func (p *progress) Second(s loadgen.Status) {
	if p.second != nil {
		p.second(s)
	}
}
func (p *progress) StepEnds(observation.Point) {}
func (p *progress) Says(text string)           { p.said = append(p.said, text) }

// epoch is the wall-clock time of drill time 0 in raw results.
var epoch = time.Unix(1_000_000, 0)

// setup makes a drill of a URL, with a load of its own.
func setup(t *testing.T, url, yaml string) (loadgen.Config, *memory, *progress) {
	t.Helper()
	return drillOf(t, fmt.Sprintf("target: {url: %q, timeout: 2s}\n%s", url, yaml), nil)
}

// drillOf makes a drill of a scenario, whose raw results go to raw if it is not nil.
func drillOf(t *testing.T, yaml string, raw io.Writer) (loadgen.Config, *memory, *progress) {
	t.Helper()
	s, err := scenarios.Load("test", []byte("version: 1\nname: test\n"+yaml), scenarios.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s.Load.Seed = 7
	plan, err := scenarios.Compile(s)
	if err != nil {
		t.Fatal(err)
	}
	requests, err := scenarios.CompileRequests(s, scenarios.Inputs{})
	if err != nil {
		t.Fatal(err)
	}
	allow, err := attack.NewAllowList(nil)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	now := func() time.Duration { return time.Since(began) }
	rec, p := &memory{}, &progress{}
	local := loadgen.LocalConfig{Name: "w", Requests: requests, Allow: allow, Now: now}
	if raw != nil {
		if local.Raw, err = attack.NewRaw(attack.RawConfig{To: raw, Format: "csv", Requests: requests, Started: epoch}); err != nil {
			t.Fatal(err)
		}
		rec.raw = local.Raw
	}
	cfg := loadgen.Config{
		ID: "t", Scenario: s, Plan: plan, Record: rec, Progress: p, Now: now, Started: began,
		Fleet: loadgen.NewLocal(local),
	}
	return cfg, rec, p
}

func target(t *testing.T) (*httptest.Server, *demo.Target) {
	t.Helper()
	d, err := demo.New(demo.Config{Limit: demo.LimitNone})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(d.Handler())
	t.Cleanup(func() { srv.Close(); d.Close() })
	return srv, d
}

func TestAFixedLoadIsSentAndCountedExactly(t *testing.T) {
	srv, d := target(t)
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	cfg, rec, _ := setup(t, srv.URL, "load: {warmup: 0s, arrivals: constant, steps: {rates: [200, 400], duration: 1s}}")
	out, err := loadgen.Run(context.Background(), cfg)
	if err != nil || out.How != observation.EndDone {
		t.Fatalf("ended %q (%s), %v", out.How, out.Detail, err)
	}
	if n := rec.sent; n != 600 || d.Truth().Received != 600 {
		t.Errorf("%d sent, the target received %d, want 600", n, d.Truth().Received)
	}
	if len(out.Points) != 2 || len(rec.find(observation.EntryStepEnd)) != 2 || len(rec.find(observation.EntryEnd)) != 1 {
		t.Errorf("%d points, %d ends of steps, %d ends", len(out.Points), len(rec.find(observation.EntryStepEnd)), len(rec.find(observation.EntryEnd)))
	}
}

// The steps of a plan begin where the ones before end, whether or not all hits of
// those have ended: the target answers late enough that they have not.
func TestStepsOfAPlanFollowEachOtherWithoutAGap(t *testing.T) {
	var received atomic.Uint64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		received.Add(1)
		<-time.After(150 * time.Millisecond)
	}))
	defer srv.Close()
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	cfg, rec, _ := setup(t, srv.URL, "load: {warmup: 2s, arrivals: constant, steps: {rates: [100, 200, 50], duration: 2s}}")
	out, err := loadgen.Run(context.Background(), cfg)
	if err != nil || out.How != observation.EndDone || len(out.Points) != 4 {
		t.Fatalf("ended %q (%s) with %d points, %v", out.How, out.Detail, len(out.Points), err)
	}
	begins := rec.find(observation.EntryStep)
	for i := 1; i < len(begins); i++ {
		if before := begins[i-1].Step; begins[i].Step.Start != before.Start+before.Lasts {
			t.Errorf("step %d begins at %v, the one before ends at %v", i, begins[i].Step.Start, before.Start+before.Lasts)
		}
	}
	// The first of the two seconds is kept out of the figures.
	for i, want := range []uint64{50, 100, 200, 50} {
		if p := out.Points[i]; p.Step != i || p.OK != want || p.Dropped != 0 {
			t.Errorf("point %d is of step %d, with %d ok and %d dropped; want %d", i, p.Step, p.OK, p.Dropped, want)
		}
	}
	if rec.sent != 800 || received.Load() != 800 {
		t.Errorf("%d sent, the target received %d, want 800", rec.sent, received.Load())
	}
}

func TestAnInterruptDrainsAndCountsExactly(t *testing.T) {
	srv, d := target(t)
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	cfg, rec, p := setup(t, srv.URL, "load: {warmup: 0s, constant: {rate: 500, duration: 60s}}")
	ctx, interrupt := context.WithCancel(context.Background())
	defer interrupt()
	p.second = func(loadgen.Status) { interrupt() }
	out, err := loadgen.Run(ctx, cfg)
	if err != nil || out.How != observation.EndInterrupted {
		t.Fatalf("ended %q, %v; want interrupted", out.How, err)
	}
	if n := rec.sent; n != d.Truth().Received || n < 300 || n > 5000 {
		t.Errorf("%d sent, the target received %d", n, d.Truth().Received)
	}
	if end := rec.find(observation.EntryEnd); len(end) != 1 || end[0].End.How != observation.EndInterrupted {
		t.Errorf("the journal ends with %+v", end)
	}
}

func TestAGuardEndsTheDrill(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	defer srv.Close()
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	cfg, rec, _ := setup(t, srv.URL, "load: {warmup: 0s, constant: {rate: 200, duration: 60s}}\nguards: [errors > 20% for 2s]")
	out, err := loadgen.Run(context.Background(), cfg)
	if err != nil || out.How != observation.EndGuard || !strings.Contains(out.Detail, "errors > 20%") {
		t.Fatalf("ended %q (%s), %v; want by the guard", out.How, out.Detail, err)
	}
	if end := rec.find(observation.EntryStepEnd)[0].StepEnd; end.Lasted > 10*time.Second || end.Cut == "" {
		t.Errorf("the step lasted %v, cut %q", end.Lasted, end.Cut)
	}
}

func TestEvidenceThatCannotBeWrittenEndsTheDrill(t *testing.T) {
	srv, _ := target(t)
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	cfg, rec, _ := setup(t, srv.URL, "load: {warmup: 0s, constant: {rate: 200, duration: 60s}}")
	rec.failAt = 2
	out, err := loadgen.Run(context.Background(), cfg)
	if !errors.Is(err, errFull) && (err == nil || !strings.Contains(err.Error(), errFull.Error())) {
		t.Fatalf("error %v, want %v", err, errFull)
	}
	if out.How != observation.EndFailed {
		t.Errorf("ended %q, want failed", out.How)
	}
}

// script is a Searcher that offers what it is told, and cuts when told.
type script struct {
	steps []scenarios.Step
	cut   bool
	fails string
}

func (s *script) Next(points []observation.Point, _ time.Duration) search.Decision {
	if len(points) >= len(s.steps) && s.fails != "" {
		return search.Decision{Done: true, Reason: s.fails, Failed: s.fails}
	}
	if len(points) >= len(s.steps) {
		return search.Decision{Done: true, Reason: "that was all", Predicted: &search.Estimate{Value: 41, Low: 40, High: 42}}
	}
	return search.Decision{Step: s.steps[len(points)], Reason: "because", Predicted: &search.Estimate{Value: 42, Low: 39, High: 46}}
}

func (s *script) Cut(observation.Point, uint64) (string, bool) { return "hopeless", s.cut }

func (s *script) Above(observation.Point, float64) (string, bool) { return "", false }

func TestASearchSteersAndCuts(t *testing.T) {
	srv, d := target(t)
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	cfg, rec, _ := setup(t, srv.URL, "load: {warmup: 0s, search: {from: 50, to: 1000}}\nobjectives: [p99 < 300ms, errors < 1%]")
	cfg.MaxUtilisation = 0.6
	cfg.Search = &script{cut: true, steps: []scenarios.Step{
		{Kind: scenarios.KindSearch, From: 100, To: 100, Lasts: time.Minute},
		{Kind: scenarios.KindConfirm, From: 50, To: 50, Lasts: time.Minute},
	}}
	_, err := loadgen.Run(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	ends := rec.find(observation.EntryStepEnd)
	if len(ends) != 2 || ends[0].StepEnd.Cut != "hopeless" || ends[0].StepEnd.Lasted > 10*time.Second {
		t.Fatalf("steps ended %+v", ends)
	}
	if end := rec.find(observation.EntryEnd)[0].End; end.PredictedRPS != 42 || end.PredictedLow != 39 || end.PredictedHigh != 46 {
		t.Errorf("predicted %v (%v to %v), want 42 (39 to 46), as before the last confirmation", end.PredictedRPS, end.PredictedLow, end.PredictedHigh)
	}
	if d := rec.find(observation.EntryDrill)[0].Drill; d.MaxUtilisation != 0.6 || !slices.Equal(d.Objectives, []string{"p99 < 300ms", "errors < 1%"}) {
		t.Errorf("the journal has the objectives %q", d.Objectives)
	}
	if n := rec.sent; n != d.Truth().Received {
		t.Errorf("%d sent, the target received %d", n, d.Truth().Received)
	}
}

// A search that cannot be made as it was asked for is a drill that could not go on, and says
// why. A step that confirms has the prediction that it is to prove, for who goes on with it.
func TestASearchThatCannotBeMade(t *testing.T) {
	srv, _ := target(t)
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	cfg, rec, _ := setup(t, srv.URL, "load: {warmup: 0s, search: {from: 50, to: 1000}}\nobjectives: [p99 < 300ms]")
	cfg.Search = &script{fails: "a bound of 60% holds nothing", steps: []scenarios.Step{
		{Kind: scenarios.KindConfirm, From: 50, To: 50, Lasts: time.Second},
	}}
	out, err := loadgen.Run(context.Background(), cfg)
	if err != nil || out.How != observation.EndFailed || out.Detail != "a bound of 60% holds nothing" {
		t.Errorf("ended %q, %q: %v", out.How, out.Detail, err)
	}
	if end := rec.find(observation.EntryEnd)[0].End; end.How != observation.EndFailed || end.Detail != out.Detail {
		t.Errorf("the journal ends %+v", end)
	}
	if step := rec.find(observation.EntryStep)[0].Step; step.PredictedRPS != 42 || step.PredictedLow != 39 || step.PredictedHigh != 46 {
		t.Errorf("the confirmation is to prove %+v", step)
	}
}

func TestPoissonArrivesAsPlanned(t *testing.T) {
	srv, d := target(t)
	cfg, _, _ := setup(t, srv.URL, "load: {warmup: 0s, constant: {rate: 300, duration: 2s}}")
	if _, err := loadgen.Run(context.Background(), cfg); err != nil {
		t.Fatal(err)
	}
	step := cfg.Plan.Steps[0]
	planned := uint64(0)
	for range cfg.Plan.Slice(0, 1).Hits(step) {
		planned++
	}
	if got := d.Truth().Received; got != planned {
		t.Errorf("the target received %d, the plan has %d", got, planned)
	}
}

// What hangs shows only when it times out, after the step: the guards look then
// too, and nothing more is offered to a target that answers nothing.
func TestAGuardLooksWhileAStepDrains(t *testing.T) {
	release := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer srv.Close()
	defer close(release)
	cfg, rec, _ := setup(t, srv.URL, "load: {warmup: 0s, steps: {rates: [50, 50], duration: 1s}}\nguards: [errors > 50% for 1s]")
	out, err := loadgen.Run(context.Background(), cfg)
	if err != nil || out.How != observation.EndGuard {
		t.Fatalf("ended %q (%s), %v; want by the guard", out.How, out.Detail, err)
	}
	if n := len(rec.find(observation.EntryStep)); n != 1 {
		t.Errorf("%d steps were offered, want 1", n)
	}
}

// The wall clock is set forward by an hour and back while a drill runs: it is said,
// each time, and nothing that is measured knows of it.
func TestAClockThatJumpsIsSaidAndMeasuresNothing(t *testing.T) {
	srv, d := target(t)
	cfg, rec, show := setup(t, srv.URL, "load: {warmup: 0s, arrivals: constant, steps: {rates: [200], duration: 4s}}")
	var off atomic.Int64
	cfg.Wall = func() time.Time { return time.Now().Round(0).Add(time.Duration(off.Load())) }
	seconds := 0
	show.second = func(loadgen.Status) {
		seconds++
		off.Store(int64([]time.Duration{0, time.Hour, time.Hour, -time.Minute}[min(seconds, 3)]))
	}
	out, err := loadgen.Run(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	for _, e := range rec.find(observation.EntryWarning) {
		said = append(said, e.Text)
	}
	if len(said) != 2 || !strings.Contains(said[0], "forward by 1h0m0s") || !strings.Contains(said[1], "back by 1h1m0s") {
		t.Errorf("warnings: %q, want one of an hour forward and one of 61 minutes back", said)
	}
	p := out.Points[0]
	if got := d.Truth().Received; rec.sent != 800 || got != 800 || p.Seconds != 3 || p.OK != 600 {
		t.Errorf("%d sent, the target received %d, %d OK in %.2f s; want 800, 800, 600 in 3 s", rec.sent, got, p.OK, p.Seconds)
	}
}
