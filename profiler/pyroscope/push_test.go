package pyroscope

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"
	"github.com/google/pprof/profile"
	pushv1 "github.com/grafana/pyroscope/api/gen/proto/go/push/v1"
	"github.com/grafana/pyroscope/api/gen/proto/go/push/v1/pushv1connect"

	"github.com/headroom-project/headroom/loadgen/observation"
)

// sink is a Pyroscope server that takes pushes: Grafana's generated handler.
type sink struct {
	pushv1connect.UnimplementedPusherServiceHandler
	mu     sync.Mutex
	series []*pushv1.RawProfileSeries
	heads  []http.Header
	calls  int
	fail   func(call int) error
}

func (s *sink) Push(_ context.Context, r *connect.Request[pushv1.PushRequest]) (*connect.Response[pushv1.PushResponse], error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	if s.fail != nil {
		if err := s.fail(s.calls); err != nil {
			return nil, err
		}
	}
	s.series = append(s.series, r.Msg.Series...)
	s.heads = append(s.heads, r.Header())
	return connect.NewResponse(&pushv1.PushResponse{}), nil
}

// Do answers without a network.
func (s *sink) Do(req *http.Request) (*http.Response, error) {
	_, handler := pushv1connect.NewPusherServiceHandler(s)
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, req)
	return w.Result(), nil
}

func pusher(t *testing.T, http Doer, cfg PusherConfig) (*Pusher, func() []string) {
	t.Helper()
	server, err := NewServer(ServerConfig{URL: "http://alice:s3cret@pyroscope:4040/prefix", HTTP: http, Credentials: Credentials{Tenant: "team-a"}})
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var warnings []string
	cfg.Server, cfg.Service, cfg.Run, cfg.Scenario = server, "shop", "20260301-x", "checkout"
	began := time.Now()
	cfg.Clock = Clock{Now: func() time.Duration { return time.Since(began) }, Wall: time.Now}
	cfg.OnWarning = func(text string) {
		mu.Lock()
		defer mu.Unlock()
		warnings = append(warnings, text)
	}
	p, err := NewPusher(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return p, func() []string { mu.Lock(); defer mu.Unlock(); return warnings }
}

func TestPush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sink{}
		p, warnings := pusher(t, prefixed{s}, PusherConfig{})
		began := time.Now()
		stamped := cpu(t, 3, func(p *profile.Profile) { p.TimeNanos, p.DurationNanos = 5e18, 2e9 })
		p.Push(observation.Capture{Step: 4, Type: "cpu", From: 41 * time.Second, To: 43 * time.Second, Labels: map[string]string{"instance": "a:1", "x": "y"}}, stamped, 1250.5)
		p.Push(observation.Capture{Step: 5, Type: "mutex", From: 50 * time.Second, To: 55 * time.Second}, lock(t), 2000)
		p.Push(observation.Capture{Step: 5, Type: "cpu", Error: "none"}, nil, 2000)
		p.Push(observation.Capture{Step: 5, Type: "trace"}, []byte("x"), 2000)
		p.Close()
		p.Close()
		if len(s.series) != 2 || len(warnings()) != 0 {
			t.Fatalf("%d series, warnings %q", len(s.series), warnings())
		}
		var labels []string
		for _, l := range s.series[0].Labels {
			labels = append(labels, l.Name+"="+l.Value)
		}
		want := "__name__=process_cpu headroom_offered_rps=1250.5 headroom_run=20260301-x headroom_scenario=checkout headroom_step=4 headroom_type=cpu instance=a:1 service_name=shop"
		if got := strings.Join(labels, " "); got != want {
			t.Errorf("labels\n%s, want\n%s", got, want)
		}
		if !bytes.Equal(s.series[0].Samples[0].RawProfile, stamped) || len(s.series[0].Samples[0].ID) != 36 {
			t.Error("a profile that has its time was changed")
		}
		q, err := profile.ParseData(s.series[1].Samples[0].RawProfile)
		if err != nil || q.TimeNanos != began.Add(55*time.Second).UnixNano() || q.DurationNanos != 5e9 {
			t.Errorf("time %d over %d, %v", q.TimeNanos, q.DurationNanos, err)
		}
		if user, password, ok := (&http.Request{Header: s.heads[0]}).BasicAuth(); !ok || user != "alice" || password != "s3cret" || s.heads[0].Get("X-Scope-OrgID") != "team-a" {
			t.Errorf("headers %v", s.heads[0])
		}
	})
}

// Of two captures of memory in a step, neither repeats what the other says.
func TestPushMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sink{}
		p, _ := pusher(t, prefixed{s}, PusherConfig{})
		for _, c := range []observation.Capture{{Type: "allocs"}, {Type: "heap"}, {Type: "allocs", Source: observation.CaptureReceived}} {
			p.Push(c, heap(t), 1)
		}
		p.Close()
		var got []string
		for _, x := range s.series {
			q, err := profile.ParseData(x.Samples[0].RawProfile)
			if err != nil {
				t.Fatal(err)
			}
			for i, st := range q.SampleType {
				got = append(got, fmt.Sprintf("%s=%d", st.Type, q.Sample[0].Value[i]))
			}
		}
		want := "alloc_objects=2 alloc_space=1048576 inuse_objects=-1 inuse_space=-512 alloc_objects=2 alloc_space=1048576 inuse_objects=-1 inuse_space=-512"
		if strings.Join(got, " ") != want {
			t.Errorf("pushed %v, want %s", got, want)
		}
	})
}

// prefixed answers below the path of the server's address.
type prefixed struct{ *sink }

func (p prefixed) Do(req *http.Request) (*http.Response, error) {
	req.URL.Path = strings.TrimPrefix(req.URL.Path, "/prefix")
	return p.sink.Do(req)
}

// What may pass is tried again, a few times; what will not is not; and both are
// said once.
func TestPushFails(t *testing.T) {
	for _, c := range []struct {
		name  string
		fail  func(int) error
		calls int
		kept  int
		text  string
	}{
		{"busy twice", func(n int) error {
			if n <= 2 {
				return connect.NewError(connect.CodeResourceExhausted, nil)
			}
			return nil
		}, 5, 3, ""},
		{"down", func(int) error { return connect.NewError(connect.CodeUnavailable, nil) }, 9, 0, "answered 503"},
		{"refused", func(int) error {
			return connect.NewError(connect.CodeInvalidArgument, context.DeadlineExceeded)
		}, 3, 0, "answered 400 Bad Request: context deadline exceeded"},
		{"not allowed", func(int) error { return connect.NewError(connect.CodeUnauthenticated, nil) }, 3, 0, "hint: it asks for credentials"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &sink{fail: c.fail}
				p, warnings := pusher(t, prefixed{s}, PusherConfig{})
				for range 3 {
					p.Push(observation.Capture{Type: "cpu", To: time.Second}, cpu(t, 1), 1)
				}
				p.Close()
				all := strings.Join(warnings(), "\n")
				if s.calls != c.calls || len(s.series) != c.kept || !strings.Contains(all, c.text) || (len(warnings()) == 1) != (c.text != "") {
					t.Errorf("%d calls, %d kept, %q", s.calls, len(s.series), all)
				}
				if strings.Contains(all, "s3cret") {
					t.Error("the warning has the password")
				}
			})
		})
	}
}

// hanging is a server that never answers.
type hanging struct{}

func (hanging) Do(req *http.Request) (*http.Response, error) {
	<-req.Context().Done()
	return nil, req.Context().Err()
}

// A server that hangs holds nothing up: pushes return at once, the queue is
// bounded, and the end takes no longer than it may.
func TestPushHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, warnings := pusher(t, hanging{}, PusherConfig{Drain: 3 * time.Second})
		began := time.Now()
		data := cpu(t, 1)
		for range maxPushes + 10 {
			p.Push(observation.Capture{Type: "cpu", To: time.Second}, data, 1)
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("pushes took %v", took)
		}
		p.Close()
		if took := time.Since(began); took > 4*time.Second {
			t.Errorf("it took %v", took)
		}
		if all := strings.Join(warnings(), "\n"); !strings.Contains(all, "too slowly") || !strings.Contains(all, "all are in the bundle") || len(warnings()) > 3 {
			t.Errorf("warnings %q", warnings())
		}
	})
}
