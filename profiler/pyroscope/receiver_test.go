package pyroscope

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/pprof/profile"
	"go.uber.org/goleak"

	"github.com/headroom-project/headroom/loadgen/observation"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// hand is a clock that tests move.
type hand struct {
	mu  sync.Mutex
	now time.Duration
}

// dawn is drill time 0 in tests.
var dawn = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func (h *hand) set(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = d
}

func (h *hand) clock() Clock {
	now := func() time.Duration {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.now
	}
	return Clock{Now: now, Wall: func() time.Time { return dawn.Add(now()) }}
}

// inbox is a running receiver behind a router, with what it handed on.
type inbox struct {
	*Receiver
	*Router
	hand *hand
	srv  *httptest.Server
	stop func()

	mu       sync.Mutex
	captures []observation.Capture
	data     [][]byte
	warnings []string
}

func start(t *testing.T, cfg ReceiverConfig, gate ...RouterConfig) *inbox {
	t.Helper()
	b := &inbox{hand: &hand{}}
	if cfg.Clock.Now == nil {
		cfg.Clock = b.hand.clock()
	}
	cfg.OnCapture = func(c observation.Capture, data []byte) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.captures, b.data = append(b.captures, c), append(b.data, bytes.Clone(data))
	}
	cfg.OnWarning = func(text string) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.warnings = append(b.warnings, text)
	}
	if cfg.Linger == 0 {
		cfg.Linger = time.Millisecond
	}
	r, err := NewReceiver(cfg)
	if err != nil {
		t.Fatal(err)
	}
	b.Receiver = r
	var admit RouterConfig
	if len(gate) > 0 {
		admit = gate[0]
	}
	admit.Now = cfg.Clock.Now
	b.Router = mounted(t, admit, r)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := r.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	for !running(r) {
		time.Sleep(time.Millisecond)
	}
	b.stop = sync.OnceFunc(func() { cancel(); <-done })
	b.srv = httptest.NewServer(b.Router)
	t.Cleanup(func() { b.srv.Close(); b.stop() })
	return b
}

// mounted is a router that leads everything to one receiver.
func mounted(t *testing.T, cfg RouterConfig, to *Receiver) *Router {
	t.Helper()
	router, err := NewRouter(cfg)
	if err != nil {
		t.Fatal(err)
	}
	route, err := router.Open("r", Match{})
	if err != nil {
		t.Fatal(err)
	}
	route.Deliver(to)
	return router
}

func running(r *Receiver) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.phase == phaseRunning
}

func (b *inbox) kept() []observation.Capture {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]observation.Capture(nil), b.captures...)
}

// ingest posts a form as pyroscope-go does.
func (b *inbox) ingest(t *testing.T, query string, parts map[string][]byte) (int, string) {
	t.Helper()
	body, kind := form(t, parts)
	return b.post(t, "/ingest?"+query, kind, body, nil)
}

func form(t testing.TB, parts map[string][]byte) (body []byte, contentType string) {
	t.Helper()
	var buf bytes.Buffer
	w := multipart.NewWriter(&buf)
	for name, data := range parts {
		p, err := w.CreateFormFile(name, name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes(), w.FormDataContentType()
}

func (b *inbox) post(t *testing.T, path, contentType string, body []byte, header map[string]string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, b.srv.URL+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	resp, err := b.srv.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// cpu is a CPU profile with so many samples of 10 ms.
func cpu(t testing.TB, samples int64, change ...func(*profile.Profile)) []byte {
	t.Helper()
	f := &profile.Function{ID: 1, Name: "main.work", Filename: "main.go"}
	l := &profile.Location{ID: 1, Line: []profile.Line{{Function: f, Line: 1}}}
	p := &profile.Profile{
		SampleType: []*profile.ValueType{{Type: "samples", Unit: "count"}, {Type: "cpu", Unit: "nanoseconds"}},
		PeriodType: &profile.ValueType{Type: "cpu", Unit: "nanoseconds"}, Period: 1e7,
		Function: []*profile.Function{f}, Location: []*profile.Location{l},
		Sample: []*profile.Sample{{Location: []*profile.Location{l}, Value: []int64{samples, samples * 1e7}}},
	}
	for _, do := range change {
		do(p)
	}
	return written(t, p)
}

// lock is a mutex or block profile: they look the same.
func lock(t testing.TB) []byte {
	return cpu(t, 5, func(p *profile.Profile) {
		p.SampleType = []*profile.ValueType{{Type: "contentions", Unit: "count"}, {Type: "delay", Unit: "nanoseconds"}}
	})
}

func heap(t testing.TB) []byte {
	return cpu(t, 5, func(p *profile.Profile) {
		p.SampleType = nil
		for _, n := range []string{"alloc_objects", "alloc_space", "inuse_objects", "inuse_space"} {
			p.SampleType = append(p.SampleType, &profile.ValueType{Type: n, Unit: "bytes"})
		}
		p.Sample[0].Value = []int64{2, 1 << 20, -1, -512}
	})
}

func written(t testing.TB, p *profile.Profile) []byte {
	t.Helper()
	var buf bytes.Buffer
	if err := p.Write(&buf); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func packed(t testing.TB, data []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	zw, err := gzip.NewWriterLevel(&buf, gzip.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := zw.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// at writes an interval in drill time as a query.
func at(from, until time.Duration) string {
	return fmt.Sprintf("name=shop%%7Bpod%%3Da%%7D&from=%d&until=%d", dawn.Add(from).UnixNano(), dawn.Add(until).UnixNano())
}

// twoSteps has step 0 from 0 to 10 s and step 1 open since then, at 20 s.
func twoSteps(t *testing.T, cfg ReceiverConfig, gate ...RouterConfig) *inbox {
	b := start(t, cfg, gate...)
	b.BeginStep(t.Context(), 0, 10*time.Second)
	b.hand.set(10 * time.Second)
	b.EndStep(0)
	b.BeginStep(t.Context(), 1, 10*time.Second)
	b.hand.set(20 * time.Second)
	return b
}

func TestProfilesLandInTheirStep(t *testing.T) {
	s := time.Second
	for _, c := range []struct {
		name        string
		from, until time.Duration
		step        int
		inside      float64
	}{
		{"inside", 2 * s, 7 * s, 0, 0},
		{"of the open step", 12 * s, 20 * s, 1, 0},
		{"the whole step", 0, 10 * s, 0, 0},
		{"most of it in the first", 4 * s, 12 * s, 0, 0.75},
		{"most of it in the second", 8 * s, 18 * s, 1, 0.8},
		{"begun before the run", -5 * s, 5 * s, 0, 0.5},
		{"an instant", 3 * s, 3 * s, 0, 0},
		{"the sender's clock is ahead", 20 * s, 25 * s, 1, 0}, // moved to 15..20
	} {
		t.Run(c.name, func(t *testing.T) {
			b := twoSteps(t, ReceiverConfig{})
			data := cpu(t, 7)
			if status, text := b.ingest(t, at(c.from, c.until), map[string][]byte{"profile": data}); status != 200 {
				t.Fatalf("status %d: %s", status, text)
			}
			got := b.kept()
			if len(got) != 1 || got[0].Step != c.step || got[0].Inside != c.inside || got[0].Type != "cpu" ||
				got[0].Samples != 7 || got[0].Source != observation.CaptureReceived || got[0].Labels["pod"] != "a" || got[0].Labels["service_name"] != "shop" {
				t.Fatalf("kept %+v", got)
			}
			if !bytes.Equal(b.data[0], data) {
				t.Error("the bytes were changed")
			}
		})
	}
}

// A CPU profile says itself when it was taken; that counts where it agrees with what
// its sender says beside it, give or take a period.
func TestTimesOfCPUProfiles(t *testing.T) {
	s := time.Second
	own := func(at, over time.Duration) func(*profile.Profile) {
		return func(p *profile.Profile) {
			p.TimeNanos, p.DurationNanos = dawn.Add(at).UnixNano(), int64(over)
		}
	}
	for _, c := range []struct {
		name        string
		data        []byte
		from, until time.Duration
		want        [2]time.Duration
	}{
		{"cut down to whole periods", cpu(t, 7, own(14*s, 4*s)), 10 * s, 15 * s, [2]time.Duration{14 * s, 18 * s}},
		{"with the time of its writing", cpu(t, 7, own(12*s, 5*s)), 12 * s, 17*s + 200*time.Millisecond, [2]time.Duration{12 * s, 17 * s}},
		{"until is cut to before from", cpu(t, 7, own(14*s, 4*s)), 14 * s, 10 * s, [2]time.Duration{14 * s, 18 * s}},
		{"of another time", cpu(t, 7, own(2*s, 5*s)), 12 * s, 16 * s, [2]time.Duration{12 * s, 16 * s}},
		{"it ends after it came", cpu(t, 7, own(18*s, 5*s)), 16 * s, 20 * s, [2]time.Duration{15 * s, 20 * s}}, // moved back
		{"longer than it can be", cpu(t, 7, own(12*s, 90*s)), 12 * s, 16 * s, [2]time.Duration{12 * s, 16 * s}},
		{"without a duration", cpu(t, 7, own(14*s, 0)), 12 * s, 16 * s, [2]time.Duration{12 * s, 16 * s}},
		{"of no CPU profile", heap(t), 12 * s, 16 * s, [2]time.Duration{12 * s, 16 * s}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := twoSteps(t, ReceiverConfig{})
			if status, text := b.ingest(t, at(c.from, c.until), map[string][]byte{"profile": c.data}); status != 200 {
				t.Fatalf("status %d: %s", status, text)
			}
			got := b.kept()
			if len(got) != 1 || [2]time.Duration{got[0].From, got[0].To} != c.want {
				t.Fatalf("kept %+v, want it from %v to %v", got, c.want[0], c.want[1])
			}
			if !bytes.Equal(b.data[0], c.data) {
				t.Error("the bytes were changed")
			}
		})
	}
}

func TestKinds(t *testing.T) {
	config := func(name, display string) []byte {
		b, err := json.Marshal(map[string]map[string]string{name: {"display-name": display}})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	other := cpu(t, 1, func(p *profile.Profile) { p.SampleType[0].Type, p.SampleType[1].Type = "../wall<b>", "x" })
	for _, c := range []struct {
		data, config []byte
		want         string
	}{
		{cpu(t, 1), nil, "cpu"},
		{heap(t), nil, "allocs"},
		{lock(t), config("delay", "mutex_duration"), "mutex"},
		{lock(t), config("delay", "block_duration"), "block"},
		{lock(t), nil, "mutex"},
		{other, nil, "wallb"},
	} {
		b := twoSteps(t, ReceiverConfig{})
		parts := map[string][]byte{"profile": c.data}
		if c.config != nil {
			parts["sample_type_config"] = c.config
		}
		if status, text := b.ingest(t, at(time.Second, 2*time.Second), parts); status != 200 {
			t.Fatalf("%s: status %d: %s", c.want, status, text)
		}
		if got := b.kept(); len(got) != 1 || got[0].Type != c.want || got[0].File != "profiles/step-00."+c.want+".1.pb.gz" {
			t.Errorf("kept %+v, want %s", got, c.want)
		}
	}
}

// Timestamps come in four widths.
func TestTimestampWidths(t *testing.T) {
	want := time.Date(2026, 3, 1, 12, 0, 2, 0, time.UTC)
	for _, text := range []string{fmt.Sprint(want.Unix()), fmt.Sprint(want.UnixMilli()), fmt.Sprint(want.UnixMicro()), fmt.Sprint(want.UnixNano())} {
		if got, ok := parseTime(text); !ok || !got.Equal(want) {
			t.Errorf("%s: %v, %v", text, got, ok)
		}
	}
	for _, text := range []string{"", "1", "123456789", "12345678901", "-123456789", "+123456789", "1234567890.5", "9999999999999999999", "now-1h", strings.Repeat("9", 16), "99999999999"} {
		if got, ok := parseTime(text); ok {
			t.Errorf("%q was read as %v", text, got)
		}
	}
}

// After the run there is an answer that says so, and nothing is handed on.
func TestAfterTheRun(t *testing.T) {
	b := twoSteps(t, ReceiverConfig{})
	b.EndStep(1)
	b.stop()
	status, text := b.ingest(t, at(12*time.Second, 14*time.Second), map[string][]byte{"profile": cpu(t, 1)})
	if status != 422 || !strings.Contains(text, "run is over") {
		t.Errorf("status %d: %s", status, text)
	}
	if got := b.kept(); len(got) != 0 {
		t.Errorf("kept %+v", got)
	}
	if len(b.warnings) != 1 || !strings.Contains(b.warnings[0], "no profile was received") {
		t.Errorf("warnings %q", b.warnings)
	}
	if err := b.Run(t.Context()); err == nil {
		t.Error("it ran twice")
	}
}

// Run waits for the profile that covers the end of the last step.
func TestRunWaitsForTheLastProfile(t *testing.T) {
	b := twoSteps(t, ReceiverConfig{Linger: time.Minute})
	send := func(from, until time.Duration) {
		if status, text := b.ingest(t, at(from, until), map[string][]byte{"profile": cpu(t, 1)}); status != 200 {
			t.Fatalf("status %d: %s", status, text)
		}
	}
	send(10*time.Second, 15*time.Second)
	b.EndStep(1) // at 20 s
	ended := make(chan struct{})
	go func() { b.stop(); close(ended) }()
	select {
	case <-ended:
		t.Fatal("it did not wait")
	case <-time.After(50 * time.Millisecond):
	}
	send(15*time.Second, 20*time.Second)
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("it still waits")
	}
	if len(b.kept()) != 2 {
		t.Errorf("kept %+v", b.kept())
	}
}

// An interrupted drill does not wait.
func TestHurry(t *testing.T) {
	hurry := make(chan struct{})
	b := twoSteps(t, ReceiverConfig{Linger: time.Minute, Hurry: hurry})
	if status, _ := b.ingest(t, at(10*time.Second, 15*time.Second), map[string][]byte{"profile": cpu(t, 1)}); status != 200 {
		t.Fatal(status)
	}
	close(hurry)
	b.stop() // or the test times out
}

func TestWarnings(t *testing.T) {
	b := twoSteps(t, ReceiverConfig{})
	b.hand.set(30 * time.Second)
	for _, x := range [][2]time.Duration{{5, 15}, {24, 34}, {1, 2}} {
		if status, text := b.ingest(t, at(x[0]*time.Second, x[1]*time.Second), map[string][]byte{"profile": cpu(t, 1)}); status != 200 {
			t.Fatalf("status %d: %s", status, text)
		}
	}
	b.stop()
	all := strings.Join(b.warnings, "\n")
	for _, want := range []string{"clock of shop on a is ahead by 4s", "came 15s after they ended"} {
		if !strings.Contains(all, want) {
			t.Errorf("no %q in:\n%s", want, all)
		}
	}
}

// Steps of which every profile reaches into another step are named.
func TestProfilesThatStraddle(t *testing.T) {
	b := twoSteps(t, ReceiverConfig{})
	if status, _ := b.ingest(t, at(3*time.Second, 18*time.Second), map[string][]byte{"profile": cpu(t, 1)}); status != 200 {
		t.Fatal(status)
	}
	b.stop()
	if len(b.warnings) == 0 || !strings.Contains(b.warnings[len(b.warnings)-1], "step 1 were received, but each reaches into another step: they span 15s") {
		t.Errorf("warnings %q", b.warnings)
	}
}
