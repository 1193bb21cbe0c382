package pyroscope

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"
	"github.com/google/pprof/profile"
	googlev1 "github.com/grafana/pyroscope/api/gen/proto/go/google/v1"
	querierv1 "github.com/grafana/pyroscope/api/gen/proto/go/querier/v1"
	"github.com/grafana/pyroscope/api/gen/proto/go/querier/v1/querierv1connect"
	typesv1 "github.com/grafana/pyroscope/api/gen/proto/go/types/v1"
	"google.golang.org/protobuf/proto"

	"github.com/headroom-project/headroom/loadgen/observation"
)

// store is a Pyroscope server: Grafana's generated handler before a list of
// profiles. age says what it has not heard of yet.
type store struct {
	querierv1connect.UnimplementedQuerierServiceHandler
	t   *testing.T
	age age

	mu       sync.Mutex
	profiles []stored
	calls    []string
	broken   int // answers with 503 that are left to give
}

type age int

const (
	current    age = iota
	mergesOnly     // SelectMergeStacktraces knows flame graphs only
	noSeries       // nor has it SelectSeries
	rendering      // it has /pyroscope/render only
)

type stored struct {
	typeID string
	at     time.Time
	value  int64
}

func (s *store) add(at time.Time, typeID string, value int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.profiles = append(s.profiles, stored{typeID, at, value})
}

// sum is the value of what is selected, as the real server has it: by timestamps.
func (s *store) sum(typeID, selector string, start, end int64) (sum int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if selector != `{service_name="shop", region="eu"}` {
		s.t.Errorf("selector %s", selector)
	}
	for _, x := range s.profiles {
		if ms := x.at.UnixMilli(); x.typeID == typeID && start <= ms && ms <= end {
			sum += x.value
		}
	}
	return sum
}

// profile is the answer in pprof: one stack; empty if nothing is selected.
func (s *store) profile(typeID, selector string, start, end int64) *googlev1.Profile {
	out := &googlev1.Profile{}
	sum := s.sum(typeID, selector, start, end)
	if sum == 0 {
		return out
	}
	raw := written(s.t, &profile.Profile{
		SampleType: typed(typeID).SampleType, PeriodType: typed(typeID).PeriodType,
		Function: []*profile.Function{{ID: 1, Name: "main.work"}},
		Location: []*profile.Location{{ID: 1, Line: []profile.Line{{Function: &profile.Function{ID: 1}}}}},
		Sample:   []*profile.Sample{{Location: []*profile.Location{{ID: 1}}, Value: []int64{sum}}},
	})
	plain, err := answerLimits.decompress(raw)
	if err != nil {
		s.t.Error(err)
	}
	if err := proto.Unmarshal(plain, out); err != nil {
		s.t.Error(err)
	}
	return out
}

func (s *store) SelectMergeStacktraces(_ context.Context, r *connect.Request[querierv1.SelectMergeStacktracesRequest]) (*connect.Response[querierv1.SelectMergeStacktracesResponse], error) {
	m := r.Msg
	if s.age >= mergesOnly || m.Format != querierv1.ProfileFormat_PROFILE_FORMAT_PPROF {
		return connect.NewResponse(&querierv1.SelectMergeStacktracesResponse{Flamegraph: &querierv1.FlameGraph{}}), nil
	}
	return connect.NewResponse(&querierv1.SelectMergeStacktracesResponse{
		Pprof: &querierv1.PprofProfile{Profile: s.profile(m.ProfileTypeID, m.LabelSelector, m.Start, m.End)},
	}), nil
}

func (s *store) SelectMergeProfile(_ context.Context, r *connect.Request[querierv1.SelectMergeProfileRequest]) (*connect.Response[googlev1.Profile], error) {
	return connect.NewResponse(s.profile(r.Msg.ProfileTypeID, r.Msg.LabelSelector, r.Msg.Start, r.Msg.End)), nil
}

func (s *store) SelectSeries(_ context.Context, r *connect.Request[querierv1.SelectSeriesRequest]) (*connect.Response[querierv1.SelectSeriesResponse], error) {
	if s.age >= noSeries {
		return nil, connect.NewError(connect.CodeUnimplemented, nil)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Msg.Step != 1 {
		s.t.Errorf("step %g", r.Msg.Step)
	}
	series := &typesv1.Series{}
	for _, x := range s.profiles {
		if ms := x.at.UnixMilli(); x.typeID == r.Msg.ProfileTypeID && r.Msg.Start <= ms && ms <= r.Msg.End {
			series.Points = append(series.Points, &typesv1.Point{Timestamp: ms, Value: float64(x.value)})
		}
	}
	return connect.NewResponse(&querierv1.SelectSeriesResponse{Series: []*typesv1.Series{series}}), nil
}

func (s *store) LabelValues(_ context.Context, r *connect.Request[typesv1.LabelValuesRequest]) (*connect.Response[typesv1.LabelValuesResponse], error) {
	if r.Msg.Name != "service_name" || r.Msg.Start == 0 || r.Msg.End == 0 {
		s.t.Errorf("asked for values of %v", r.Msg)
	}
	return connect.NewResponse(&typesv1.LabelValuesResponse{Names: []string{"shop", "till"}}), nil
}

// Do answers without a network, so that time can be the test's.
func (s *store) Do(req *http.Request) (*http.Response, error) {
	s.mu.Lock()
	s.calls = append(s.calls, req.URL.Path)
	broken := s.broken > 0
	s.broken = max(s.broken-1, 0)
	s.mu.Unlock()
	if req.Header.Get("X-Scope-OrgID") != "team-a" || req.Header.Get("Authorization") != "Bearer s3cret" {
		s.t.Errorf("headers %v", req.Header)
	}
	w := httptest.NewRecorder()
	path, handler := querierv1connect.NewQuerierServiceHandler(s)
	switch {
	case broken:
		w.WriteHeader(http.StatusServiceUnavailable)
	case strings.HasPrefix(req.URL.Path, path) && s.age < rendering:
		req.ContentLength = -1 // as over a network without a length
		handler.ServeHTTP(w, req)
	case req.URL.Path == "/pyroscope/render" && s.age == rendering:
		s.render(w, req)
	default:
		http.NotFound(w, req)
	}
	return w.Result(), nil
}

// render answers as servers did before Connect.
func (s *store) render(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	typeID, selector, _ := strings.Cut(q.Get("query"), "{")
	var start, end int64
	if _, err := fmt.Sscan(q.Get("from"), &start); err != nil {
		s.t.Error(err)
	}
	if _, err := fmt.Sscan(q.Get("until"), &end); err != nil {
		s.t.Error(err)
	}
	sum := s.sum(typeID, "{"+selector, start, end)
	err := json.NewEncoder(w).Encode(map[string]any{
		"flamebearer": map[string]any{"names": []string{"total", "main.work"}, "levels": [][]int64{{0, sum, 0, 0}, {0, sum, sum, 1}}},
		"metadata":    map[string]any{"format": "single"},
	})
	if err != nil {
		s.t.Error(err)
	}
}

// pulled runs a drill of two steps of 60 s against a store whose agent uploads
// every 15 s, each profile a while after its end, and returns what was captured.
func pull(t *testing.T, s *store, cfg PullerConfig) (got []observation.Capture, data [][]byte, warnings []string, took time.Duration) {
	server, err := NewServer(ServerConfig{URL: "http://pyroscope:4040", HTTP: s, Credentials: Credentials{Tenant: "team-a", Token: "s3cret"}})
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	cfg.Server, cfg.Service, cfg.Labels = server, "shop", map[string]string{"region": "eu"}
	cfg.Clock = Clock{Now: func() time.Duration { return time.Since(began) }, Wall: time.Now}
	cfg.OnCapture = func(c observation.Capture, b []byte) { got, data = append(got, c), append(data, b) }
	cfg.OnWarning = func(text string) { warnings = append(warnings, text) }
	p, err := NewPuller(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = p.Run(ctx) }()
	for step := range 2 {
		p.BeginStep(ctx, step, time.Minute)
		time.Sleep(time.Minute)
		p.EndStep(step)
	}
	over := time.Now()
	cancel()
	<-done
	return got, data, warnings, time.Since(over)
}

// agent uploads so often, until told to stop: per second of CPU 0.1 s in step 0
// and 0.3 s in step 1, an allocation, and so on. A profile arrives 2 s after its end.
func (s *store) agent(ctx context.Context, phase, every time.Duration) {
	began := time.Now()
	time.Sleep(phase)
	for ctx.Err() == nil {
		from := time.Now()
		time.Sleep(every)
		until := time.Now()
		cpu := int64(0)
		for at := from; at.Before(until); at = at.Add(100 * time.Millisecond) {
			if at.Sub(began) < time.Minute {
				cpu += 1e7
			} else {
				cpu += 3e7
			}
		}
		time.AfterFunc(2*time.Second, func() {
			s.add(from, "process_cpu:cpu:nanoseconds:cpu:nanoseconds", cpu)
			s.add(from, "process_cpu:samples:count:cpu:nanoseconds", cpu/1e7)
			s.add(until, "memory:alloc_space:bytes:space:bytes", int64(every.Seconds())<<20)
			s.add(until, "memory:alloc_objects:count:space:bytes", 7)
			s.add(until, "goroutine:goroutine:count:goroutine:count", 12)
		})
	}
}

// Every age of server, and the phase of the uploads: the CPU per second of each
// step comes out, without that of the other.
func TestPull(t *testing.T) {
	for _, a := range []age{current, mergesOnly, noSeries, rendering} {
		for _, phase := range []time.Duration{0, 5 * time.Second, 14900 * time.Millisecond} {
			t.Run(fmt.Sprintf("server %d, phase %v", a, phase), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := &store{t: t, age: a}
					ctx, stop := context.WithCancel(t.Context())
					go s.agent(ctx, phase, 15*time.Second)
					got, data, _, _ := pull(t, s, PullerConfig{})
					stop()
					time.Sleep(time.Minute) // until the agent has ended
					checkPulled(t, a, got, data)
				})
			})
		}
	}
}

func checkPulled(t *testing.T, a age, got []observation.Capture, data [][]byte) {
	t.Helper()
	seen := map[string]bool{}
	for i, c := range got {
		key := fmt.Sprintf("%d %s", c.Step, c.Type)
		if seen[key] || c.Error != "" || c.Source != observation.CapturePyroscope || !c.Usable() {
			t.Errorf("capture %+v", c)
			continue
		}
		seen[key] = true
		if begin := time.Duration(c.Step) * time.Minute; c.From < begin || c.To > begin+time.Minute {
			t.Errorf("%s is of %v to %v", c.File, c.From, c.To)
		}
		p, err := profile.ParseData(data[i])
		if err != nil {
			t.Fatal(err)
		}
		switch c.Type {
		case "cpu":
			checkCPU(t, a, c, p)
		case "goroutine":
			// Only servers that know the other name have it.
		case "allocs":
			if p.SampleType[1].Type != "alloc_space" || c.Samples < 1 || c.Samples > 1000 {
				t.Errorf("allocs %+v of %v", c, p.SampleType)
			}
		}
	}
	for _, want := range []string{"0 cpu", "1 cpu", "0 allocs", "1 allocs", "0 goroutine", "1 goroutine"} {
		if !seen[want] {
			t.Errorf("no capture of %s", want)
		}
	}
}

// checkCPU: servers that tell the timestamps give the exact time that the
// profiles cover; of others it is known to one profile.
func checkCPU(t *testing.T, a age, c observation.Capture, p *profile.Profile) {
	t.Helper()
	want := []float64{0.1, 0.3}[c.Step]
	used := float64(p.Sample[0].Value[1]) / 1e9 / (c.To - c.From).Seconds()
	off := 0.02
	if a >= noSeries {
		off = 15.0 / 59
	}
	if math.Abs(used/want-1) > off {
		t.Errorf("step %d: %.3f s of CPU a second, want %.1f", c.Step, used, want)
	}
	if p.SampleType[0].Type != "samples" || c.Samples != p.Sample[0].Value[0] || c.Samples != p.Sample[0].Value[1]/1e7 {
		t.Errorf("%d samples, %v", c.Samples, p.Sample[0].Value)
	}
}

// A server that fails for a while is asked again.
func TestPullAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &store{t: t, broken: 12}
		ctx, stop := context.WithCancel(t.Context())
		go s.agent(ctx, 0, 15*time.Second)
		got, data, _, _ := pull(t, s, PullerConfig{})
		stop()
		time.Sleep(time.Minute)
		checkPulled(t, current, got, data)
	})
}

// A server without the service: errors in the bundle, one warning, in bounded time.
func TestPullNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &store{t: t}
		got, _, warnings, took := pull(t, s, PullerConfig{})
		if took > 31*time.Second {
			t.Errorf("it took %v after the drill", took)
		}
		var failed []int
		for _, c := range got {
			if c.Error == "" || c.File != "" || c.Type != "cpu" {
				t.Errorf("capture %+v", c)
			}
			failed = append(failed, c.Step)
		}
		if !slices.Equal(failed, []int{0, 1}) {
			t.Errorf("steps %v have an error", failed)
		}
		if len(warnings) > 1 || len(s.calls) > 400 {
			t.Errorf("%d calls, warnings %q", len(s.calls), warnings)
		}
	})
}

// An interrupted drill does not wait for the server.
func TestPullHurry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hurry := make(chan struct{})
		close(hurry)
		if _, _, _, took := pull(t, &store{t: t}, PullerConfig{Hurry: hurry}); took > time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// Steps that are shorter than an upload have no profile, and the error says why.
func TestPullShortSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got, _, _, _ := pull(t, &store{t: t}, PullerConfig{Interval: 2 * time.Minute, Types: []string{"cpu"}})
		if len(got) != 2 || !strings.Contains(got[0].Error, "holds no whole profile, for the target uploads every 2m0s; hint:") {
			t.Errorf("captures %+v", got)
		}
	})
}

func TestServices(t *testing.T) {
	s := &store{t: t}
	server, err := NewServer(ServerConfig{URL: "http://pyroscope:4040", HTTP: s, Credentials: Credentials{Tenant: "team-a", Token: "s3cret"}})
	if err != nil {
		t.Fatal(err)
	}
	got, err := server.Services(t.Context(), dawn, dawn.Add(time.Hour))
	if err != nil || !slices.Equal(got, []string{"shop", "till"}) {
		t.Errorf("services %v, %v", got, err)
	}
}

// The example of a flame graph that Pyroscope's own web page is tested with.
func TestFlamebearer(t *testing.T) {
	const text = `{"flamebearer":{"names":["total","runtime.main","main.slowFunction","main.work","main.main","main.fastFunction"],
		"levels":[[0,988,0,0],[0,988,0,1],[0,214,0,5,0,3,2,4,0,771,0,2],[0,214,214,3,2,1,1,5,0,771,771,3]]},"metadata":{"format":"single"}}`
	p, err := fromFlamebearer([]byte(text), "process_cpu:cpu:nanoseconds:cpu:nanoseconds")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.CheckValid(); err != nil {
		t.Fatal(err)
	}
	got := map[string]int64{}
	for _, s := range p.Sample {
		var stack []string
		for _, l := range s.Location {
			stack = append(stack, l.Line[0].Function.Name)
		}
		got[strings.Join(stack, "<")] += s.Value[0]
	}
	want := map[string]int64{
		"main.work<main.fastFunction<runtime.main": 214, "main.main<runtime.main": 2,
		"main.fastFunction<main.main<runtime.main": 1, "main.work<main.slowFunction<runtime.main": 771,
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for _, bad := range []string{``, `{`, `{"flamebearer":{"levels":[[1]]}}`, `{"flamebearer":{"names":["a"],"levels":[[0,1,0,0],[0,2,2,0]]}}`,
		`{"flamebearer":{"names":["a"],"levels":[[0,1,0,7]]}}`, `{"flamebearer":{"names":["a"],"levels":[[0,9223372036854775807,0,0,1,9223372036854775807,0,0]]}}`,
		`{"flamebearer":{},"metadata":{"format":"double"}}`, `{"flamebearer":{"names":[],"levels":[]}}`} {
		if _, err := fromFlamebearer([]byte(bad), "a:b:c:d:e"); err == nil {
			t.Errorf("%s was accepted", bad)
		}
	}
}

func FuzzFlamebearer(f *testing.F) {
	f.Add([]byte(`{"flamebearer":{"names":["total","a"],"levels":[[0,9,0,0],[0,9,9,1]]},"metadata":{"format":"single"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if p, err := fromFlamebearer(data, "a:b:c:d:e"); err == nil {
			if err := p.CheckValid(); err != nil {
				t.Error(err)
			}
		}
	})
}
