package profiler

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/pprof"
	"strings"
	"testing"

	"github.com/google/pprof/profile"
	"golang.org/x/exp/trace"

	"github.com/headroom-project/headroom/profiler/pprofhttp"
)

// overHTTP are instances that serve net/http/pprof, all of this process. The last one
// wants a password.
func overHTTP(t *testing.T, n int) (x Instances) {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	for i := range n {
		locked := i == n-1
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if locked {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			mux.ServeHTTP(w, r)
		}))
		t.Cleanup(srv.Close)
		c, err := pprofhttp.New(pprofhttp.Config{URL: srv.URL + "/debug/pprof", HTTP: srv.Client()})
		if err != nil {
			t.Fatal(err)
		}
		x = append(x, Instance{Name: strings.TrimPrefix(srv.URL, "http://"), Profiles: c})
	}
	return x
}

// Profiles of several servers become one that tells them apart, and the record says
// which are missing.
func TestInstancesOverHTTP(t *testing.T) {
	x := overHTTP(t, 3)
	data, err := x.Capture(t.Context(), "goroutine", 0)
	var partial *PartialError
	if !errors.As(err, &partial) || partial.Have != 2 || partial.Of != 3 || !errors.Is(err, pprofhttp.ErrDenied) || !strings.Contains(err.Error(), x[2].Name) {
		t.Errorf("%v, want two of three, and that the third is denied", err)
	}
	p, err := profile.ParseData(data)
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int64{}
	for _, s := range p.Sample {
		count[s.Label[instanceLabel][0]] += s.Value[0]
	}
	if len(count) != 2 || count[x[0].Name] < 1 || count[x[1].Name] < 1 {
		t.Errorf("goroutines by instance: %v", count)
	}
}

// An execution trace comes out whole, of the first instance that gives one.
func TestTraceOverHTTP(t *testing.T) {
	x := overHTTP(t, 3)
	data, err := Instances{x[2], x[0], x[1]}.Capture(t.Context(), traceType, 1)
	var partial *PartialError
	if !errors.As(err, &partial) || partial.Have != 1 || partial.Of != 3 || !strings.Contains(err.Error(), "this one is of "+x[0].Name) {
		t.Errorf("%v, want one of three", err)
	}
	r, err := trace.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[trace.EventKind]int{}
	for {
		e, err := r.ReadEvent()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		kinds[e.Kind()]++
	}
	if kinds[trace.EventStateTransition] == 0 || kinds[trace.EventSync] == 0 {
		t.Errorf("events by kind: %v", kinds)
	}
	if data, err := x[2:].Capture(t.Context(), traceType, 1); data != nil || !errors.Is(err, pprofhttp.ErrDenied) {
		t.Errorf("%d bytes, %v", len(data), err)
	}
}
