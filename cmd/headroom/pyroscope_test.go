package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	googlev1 "github.com/grafana/pyroscope/api/gen/proto/go/google/v1"
	pushv1 "github.com/grafana/pyroscope/api/gen/proto/go/push/v1"
	"github.com/grafana/pyroscope/api/gen/proto/go/push/v1/pushv1connect"
	querierv1 "github.com/grafana/pyroscope/api/gen/proto/go/querier/v1"
	"github.com/grafana/pyroscope/api/gen/proto/go/querier/v1/querierv1connect"
	typesv1 "github.com/grafana/pyroscope/api/gen/proto/go/types/v1"

	"github.com/headroom-project/headroom/loadgen/observation"
)

// pyroscopeServerDouble answers by Grafana's generated handlers: it takes pushes,
// and has a profile of 0.2 s of CPU for every second.
type pyroscopeServerDouble struct {
	pushv1connect.UnimplementedPusherServiceHandler
	querierv1connect.UnimplementedQuerierServiceHandler

	mu     sync.Mutex
	pushed []*pushv1.RawProfileSeries
	heads  []http.Header
}

func (d *pyroscopeServerDouble) start(t *testing.T) string {
	mux := http.NewServeMux()
	mux.Handle(pushv1connect.NewPusherServiceHandler(d))
	mux.Handle(querierv1connect.NewQuerierServiceHandler(d))
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv.URL
}

func (d *pyroscopeServerDouble) Push(_ context.Context, r *connect.Request[pushv1.PushRequest]) (*connect.Response[pushv1.PushResponse], error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pushed, d.heads = append(d.pushed, r.Msg.Series...), append(d.heads, r.Header())
	return connect.NewResponse(&pushv1.PushResponse{}), nil
}

func (d *pyroscopeServerDouble) SelectSeries(_ context.Context, r *connect.Request[querierv1.SelectSeriesRequest]) (*connect.Response[querierv1.SelectSeriesResponse], error) {
	s := &typesv1.Series{}
	for at := (r.Msg.Start/1000 + 1) * 1000; at <= min(r.Msg.End, time.Now().UnixMilli()); at += 1000 {
		s.Points = append(s.Points, &typesv1.Point{Timestamp: at, Value: 1})
	}
	return connect.NewResponse(&querierv1.SelectSeriesResponse{Series: []*typesv1.Series{s}}), nil
}

func (d *pyroscopeServerDouble) SelectMergeStacktraces(_ context.Context, r *connect.Request[querierv1.SelectMergeStacktracesRequest]) (*connect.Response[querierv1.SelectMergeStacktracesResponse], error) {
	p := &googlev1.Profile{}
	if r.Msg.ProfileTypeID == "process_cpu:cpu:nanoseconds:cpu:nanoseconds" {
		seconds := (r.Msg.End-1)/1000 - (r.Msg.Start-1)/1000
		p = &googlev1.Profile{
			StringTable: []string{"", "cpu", "nanoseconds", "shop.Checkout"}, SampleType: []*googlev1.ValueType{{Type: 1, Unit: 2}},
			PeriodType: &googlev1.ValueType{Type: 1, Unit: 2}, Period: 1e7,
			Function: []*googlev1.Function{{Id: 1, Name: 3}}, Location: []*googlev1.Location{{Id: 1, Line: []*googlev1.Line{{FunctionId: 1}}}},
			Sample: []*googlev1.Sample{{LocationId: []uint64{1}, Value: []int64{seconds * 2e8}}},
		}
	}
	return connect.NewResponse(&querierv1.SelectMergeStacktracesResponse{Pprof: &querierv1.PprofProfile{Profile: p}}), nil
}

func (d *pyroscopeServerDouble) LabelValues(context.Context, *connect.Request[typesv1.LabelValuesRequest]) (*connect.Response[typesv1.LabelValuesResponse], error) {
	return connect.NewResponse(&typesv1.LabelValuesResponse{Names: []string{"till"}}), nil
}

// drillWith runs a scenario and returns its bundle, and what was said.
func drillWith(t *testing.T, scenario string) (e *observation.Evidence, said string) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "shop.yaml")
	if err := os.WriteFile(file, []byte(scenario), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, progress bytes.Buffer
	bundle := filepath.Join(dir, "bundle")
	// On a busy machine a step may be invalid; what is looked at here is not timing.
	if code := run(context.Background(), []string{"headroom", "drill", file, "--out", bundle}, streams{strings.NewReader(""), &out, &progress}); code != exitOK && code != exitInvalid {
		t.Fatalf("exit code %d:\n%s%s", code, out.String(), progress.String())
	}
	e, err := observation.Open(bundle)
	if err != nil {
		t.Fatal(err)
	}
	return e, progress.String()
}

// A target without pprof, whose profiles a Pyroscope server has: they are fetched
// for each step, and sent on to another server with the labels of the run.
func TestDrillPullsAndPushes(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 20 seconds; run without -short to have it")
	}
	t.Setenv("PUSH_TOKEN", "s3cret")
	target := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer target.Close()
	var from, to pyroscopeServerDouble
	e, said := drillWith(t, fmt.Sprintf(`version: 1
name: shop
target: {url: %s}
load: {warmup: 2s, constant: {rate: 200, duration: 8s}}
objectives: [errors < 50%%]
profiles:
  pyroscope: {url: %s, service: shop, interval: 1s}
  push: {url: %s, tenant: team-a, auth: "Bearer ${PUSH_TOKEN}"}
`, target.URL, from.start(t), to.start(t)))
	if !strings.Contains(said, `no profiles of service "shop" of the last hour; it has till`) {
		t.Errorf("said:\n%s", said)
	}
	if strings.Contains(string(e.Scenario), "s3cret") || strings.Contains(said, "s3cret") {
		t.Error("the token is in the evidence")
	}
	var data []byte
	for _, x := range e.Journal {
		if c := x.Capture; c != nil && c.Step == 1 && c.Type == "cpu" {
			if over := (c.To - c.From).Seconds(); c.Source != observation.CapturePyroscope || c.Error != "" || over < 4 || c.Samples < int64(over*20-20) || c.Samples > int64(over*20+20) {
				t.Errorf("capture %+v", c)
			}
			var err error
			if data, err = e.Profile(c.File, 1<<20); err != nil {
				t.Fatal(err)
			}
		}
	}
	to.check(t, e, data)
}

func (d *pyroscopeServerDouble) check(t *testing.T, e *observation.Evidence, data []byte) {
	t.Helper()
	for i, s := range d.pushed {
		var labels []string
		for _, l := range s.Labels {
			labels = append(labels, l.Name+"="+l.Value)
		}
		if !slices.Contains(labels, "headroom_step=1") {
			continue
		}
		for _, want := range []string{"__name__=process_cpu", "service_name=shop", "headroom_run=" + e.Journal[0].Drill.ID, "headroom_offered_rps=200", "headroom_scenario=shop"} {
			if !slices.Contains(labels, want) {
				t.Errorf("labels %v, want %s", labels, want)
			}
		}
		if h := d.heads[i]; h.Get("X-Scope-OrgID") != "team-a" || h.Get("Authorization") != "Bearer s3cret" {
			t.Errorf("headers %v", h)
		}
		if data == nil || !bytes.Equal(s.Samples[0].RawProfile, data) {
			t.Error("what was sent is not what is in the bundle")
		}
		return
	}
	t.Errorf("nothing of step 1 was sent; in all %d", len(d.pushed))
}
