package pyroscope

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/google/pprof/profile"
	"github.com/grafana/pyroscope-go"
	pushv1 "github.com/grafana/pyroscope/api/gen/proto/go/push/v1"
	"github.com/grafana/pyroscope/api/gen/proto/go/push/v1/pushv1connect"
	typesv1 "github.com/grafana/pyroscope/api/gen/proto/go/types/v1"

	"github.com/headroom-project/headroom/loadgen/observation"
)

// tee stands between a client and a server and keeps the profiles in the forms.
type tee struct {
	mu       sync.Mutex
	profiles [][]byte
}

// between returns the address of a tee before a handler.
func (x *tee) between(t *testing.T, next http.Handler) *httptest.Server {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		_, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
		if err != nil {
			t.Error(err)
		}
		form := multipart.NewReader(bytes.NewReader(body), params["boundary"])
		for part, err := form.NextRawPart(); err == nil; part, err = form.NextRawPart() {
			data, err := io.ReadAll(part)
			if err != nil {
				t.Error(err)
			}
			if part.FormName() == "profile" {
				x.mu.Lock()
				x.profiles = append(x.profiles, data)
				x.mu.Unlock()
			}
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	return srv
}

// failures is a logger of pyroscope-go that keeps what it calls an error.
type failures struct {
	t  *testing.T
	mu sync.Mutex
	n  int
}

func (f *failures) Infof(string, ...any)  {}
func (f *failures) Debugf(string, ...any) {}
func (f *failures) Errorf(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n++
	f.t.Logf(format, args...)
}

// burn uses CPU, memory and a contended lock until told to stop.
func burn(stop <-chan struct{}) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				mu.Lock()
				slices.Sort(bytes.Repeat([]byte("headroom"), 1000))
				mu.Unlock()
			}
		})
	}
	wg.Wait()
}

// The real pyroscope-go profiles this process and sends to the receiver: what it
// sent is what is kept, byte for byte, of every type.
func TestPyroscopeGo(t *testing.T) {
	began := time.Now()
	b := start(t, ReceiverConfig{Clock: Clock{Now: func() time.Duration { return time.Since(began) }, Wall: time.Now}})
	b.BeginStep(t.Context(), 0, time.Minute)
	var wire tee
	var logged failures
	logged.t = t
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() { defer close(done); burn(stop) }()
	client := &http.Client{Transport: &http.Transport{}}
	agent, err := pyroscope.Start(pyroscope.Config{
		ApplicationName: "burner", ServerAddress: wire.between(t, b.Router).URL, HTTPClient: client, Logger: &logged,
		Tags: map[string]string{"region": "eu"}, UploadRate: 500 * time.Millisecond,
		ProfileTypes: append([]pyroscope.ProfileType{pyroscope.ProfileGoroutines, pyroscope.ProfileMutexCount, pyroscope.ProfileMutexDuration,
			pyroscope.ProfileBlockCount, pyroscope.ProfileBlockDuration}, pyroscope.DefaultProfileTypes...),
	})
	if err != nil {
		t.Fatal(err)
	}
	wanted := []string{"allocs", "block", "cpu", "goroutine", "mutex"}
	deadline := time.Now().Add(30 * time.Second)
	for !slices.Equal(kinds(b.kept()), wanted) && time.Now().Before(deadline) {
		time.Sleep(50 * time.Millisecond)
	}
	agent.Flush(true)
	if err := agent.Stop(); err != nil {
		t.Error(err)
	}
	close(stop)
	<-done
	client.CloseIdleConnections()
	if got := kinds(b.kept()); !slices.Equal(got, wanted) {
		t.Fatalf("kept %v, want %v", got, wanted)
	}
	if logged.n > 0 {
		t.Errorf("the client logged %d errors", logged.n)
	}
	sameProfiles(t, wire.profiles, b)
}

// A target that labels its work by run and step, as the middleware for Baggage does,
// sends profiles whose samples bear these labels. None of them is lost or counted twice,
// and those that count for a step are of its requests.
func TestPyroscopeGoLabelsSamples(t *testing.T) {
	began := time.Now()
	b := start(t, ReceiverConfig{Clock: Clock{Now: func() time.Duration { return time.Since(began) }, Wall: time.Now}})
	var wire tee
	client := &http.Client{Transport: &http.Transport{}}
	agent, err := pyroscope.Start(pyroscope.Config{
		ApplicationName: "burner", ServerAddress: wire.between(t, b.Router).URL, HTTPClient: client, Logger: &failures{t: t},
		UploadRate: 300 * time.Millisecond, ProfileTypes: []pyroscope.ProfileType{pyroscope.ProfileCPU},
	})
	if err != nil {
		t.Fatal(err)
	}
	burn := func(more func() bool) {
		for deadline := time.Now().Add(20 * time.Second); more() && time.Now().Before(deadline); {
			slices.Sort(bytes.Repeat([]byte("headroom"), 1000))
		}
	}
	// A step lasts until a profile lies in it that is usable, and half an upload more: the next
	// one has begun, and the flush would cut it before a sample is due.
	for step := range 2 {
		labels := pprof.Labels("k6_test_run_id", "r", "k6_step", fmt.Sprint(step))
		b.BeginStep(t.Context(), step, time.Minute)
		pprof.Do(t.Context(), labels, func(context.Context) {
			burn(func() bool { return !usable(b.kept(), step) })
			seen := time.Now()
			burn(func() bool { return time.Since(seen) < 150*time.Millisecond })
		})
		b.EndStep(step)
	}
	agent.Flush(true)
	if err := agent.Stop(); err != nil {
		t.Error(err)
	}
	client.CloseIdleConnections()
	b.stop()
	kept := map[string]int64{}
	for i, c := range b.kept() {
		of := byStep(t, b.data[i], kept)
		if want := fmt.Sprint(c.Step); c.Usable() {
			if all := of["0"] + of["1"]; all == 0 || float64(of[want]) < 0.8*float64(all) {
				t.Errorf("%s: ns by step %v, Inside %v", c.File, of, c.Inside)
			}
		}
	}
	if !usable(b.kept(), 0) || !usable(b.kept(), 1) {
		t.Errorf("captures %+v, want one to use of each step", b.kept())
	}
	sent := map[string]int64{}
	for _, data := range wire.profiles {
		byStep(t, data, sent)
	}
	if !maps.Equal(kept, sent) {
		t.Errorf("kept %v ns by step, sent %v", kept, sent)
	}
}

// usable reports whether a step has a capture from which figures are computed.
func usable(list []observation.Capture, step int) bool {
	return slices.ContainsFunc(list, func(c observation.Capture) bool { return c.Step == step && c.Usable() })
}

// byStep is the CPU time of a profile by the label k6_step, which it adds to all.
func byStep(t *testing.T, data []byte, all map[string]int64) (of map[string]int64) {
	t.Helper()
	p, err := profile.ParseData(data)
	if err != nil {
		t.Fatal(err)
	}
	of = map[string]int64{}
	for _, s := range p.Sample {
		for _, step := range s.Label["k6_step"] {
			of[step] += s.Value[len(s.Value)-1]
			all[step] += s.Value[len(s.Value)-1]
		}
	}
	return of
}

// kinds are the types of captures, sorted.
func kinds(list []observation.Capture) (out []string) {
	for _, c := range list {
		if !slices.Contains(out, c.Type) {
			out = append(out, c.Type)
		}
	}
	slices.Sort(out)
	return out
}

// sameProfiles holds what was sent against what was kept.
func sameProfiles(t *testing.T, sent [][]byte, b *inbox) {
	t.Helper()
	for i, c := range b.kept() {
		if !slices.ContainsFunc(sent, func(s []byte) bool { return bytes.Equal(s, b.data[i]) }) {
			t.Errorf("%s was not sent like that", c.File)
		}
		if c.Labels["service_name"] != "burner" || c.Labels["region"] != "eu" {
			t.Errorf("labels of %s: %v", c.File, c.Labels)
		}
		if _, err := profile.ParseData(b.data[i]); err != nil {
			t.Errorf("%s: %v", c.File, err)
		}
	}
}

// Grafana's generated client, in both encodings, plain and compressed.
func TestGeneratedPushClient(t *testing.T) {
	for name, options := range map[string][]connect.ClientOption{
		"protobuf":      nil,
		"json":          {connect.WithProtoJSON()},
		"protobuf gzip": {connect.WithSendGzip()},
		"json gzip":     {connect.WithProtoJSON(), connect.WithSendGzip()},
	} {
		t.Run(name, func(t *testing.T) {
			b := twoSteps(t, ReceiverConfig{})
			client := pushv1connect.NewPusherServiceClient(b.srv.Client(), b.srv.URL, options...)
			taken := func(p *profile.Profile) { p.TimeNanos, p.DurationNanos = dawn.Add(2*time.Second).UnixNano(), 3e9 }
			one, two := cpu(t, 3, taken), lock(t)
			_, err := client.Push(t.Context(), connect.NewRequest(&pushv1.PushRequest{Series: []*pushv1.RawProfileSeries{
				series("process_cpu", one), series("block", two),
			}}))
			if err != nil {
				t.Fatal(err)
			}
			got := b.kept()
			if len(got) != 2 || got[0].Type != "cpu" || got[0].Step != 0 || got[0].From != 2*time.Second || got[0].To != 5*time.Second ||
				got[0].Labels["service_name"] != "shop" || got[0].Labels["__name__"] != "" {
				t.Errorf("kept %+v", got)
			}
			if got[1].Type != "block" || got[1].Step != 1 || !bytes.Equal(b.data[0], one) || !bytes.Equal(b.data[1], two) {
				t.Errorf("kept %+v", got[1])
			}
		})
	}
}

func series(name string, data []byte) *pushv1.RawProfileSeries {
	return &pushv1.RawProfileSeries{
		Labels:  []*typesv1.LabelPair{{Name: "__name__", Value: name}, {Name: "service_name", Value: "shop"}},
		Samples: []*pushv1.RawSample{{RawProfile: data, ID: "734FD599-6865-419E-9475-932762D8F469"}},
	}
}

// What is good in a push is kept, whatever comes with it; its sender is told of the rest.
func TestGeneratedPushClientMixed(t *testing.T) {
	for name, options := range map[string][]connect.ClientOption{"protobuf": nil, "json": {connect.WithProtoJSON()}} {
		t.Run(name, func(t *testing.T) {
			b := twoSteps(t, ReceiverConfig{})
			client := pushv1connect.NewPusherServiceClient(b.srv.Client(), b.srv.URL, options...)
			one, two := cpu(t, 3), lock(t)
			crowded := series("process_cpu", cpu(t, 1))
			for i := range 10_000 {
				crowded.Labels = append(crowded.Labels, &typesv1.LabelPair{Name: fmt.Sprintf("l%d", i), Value: "v"})
			}
			_, err := client.Push(t.Context(), connect.NewRequest(&pushv1.PushRequest{Series: []*pushv1.RawProfileSeries{
				series("process_cpu", one[:len(one)-9]), series("process_cpu", one), crowded, series("block", two),
			}}))
			if connect.CodeOf(err) != connect.CodeFailedPrecondition || !strings.Contains(err.Error(), "cut off") {
				t.Errorf("%v, want the first refusal", err)
			}
			if len(b.kept()) != 2 || !bytes.Equal(b.data[0], one) || !bytes.Equal(b.data[1], two) {
				t.Errorf("kept %+v, want the two that are good", b.kept())
			}
		})
	}
}

// What the generated client makes of refusals.
func TestGeneratedPushClientErrors(t *testing.T) {
	b := twoSteps(t, ReceiverConfig{}, RouterConfig{Limits: Limits{Uncompressed: 64 << 10, Burst: 4, Rate: 1e-9}})
	client := pushv1connect.NewPusherServiceClient(b.srv.Client(), b.srv.URL)
	for _, c := range []struct {
		name string
		data []byte
		want connect.Code
	}{
		{"no profile", []byte("hello, this is not a profile"), connect.CodeFailedPrecondition},
		{"too large", make([]byte, 1<<20), connect.CodeInvalidArgument},
		{"nothing", nil, connect.CodeInvalidArgument},
		{"good", cpu(t, 1), 0},
		{"above the rate", cpu(t, 1), connect.CodeResourceExhausted},
	} {
		_, err := client.Push(t.Context(), connect.NewRequest(&pushv1.PushRequest{Series: []*pushv1.RawProfileSeries{series("process_cpu", c.data)}}))
		if err != nil && connect.CodeOf(err) != c.want || err == nil && c.want != 0 {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	if len(b.kept()) != 1 {
		t.Errorf("kept %+v", b.kept())
	}
}
