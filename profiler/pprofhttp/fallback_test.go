package pprofhttp

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/pprof"
	"slices"
	"strings"
	"testing"
)

// A CPU profiler that is taken is asked again each second, for what is left.
func TestBusyProfiler(t *testing.T) {
	var asked []string
	small := tiny(t)
	srv := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Query().Get("seconds"))
		if len(asked) < 2 {
			http.Error(w, "Could not enable CPU profiling: cpu profiling already in use", 500)
			return
		}
		w.Write(small)
	}))
	if _, err := client(t, srv).Capture(t.Context(), "cpu", 5); err != nil || !slices.Equal(asked, []string{"5", "4"}) {
		t.Errorf("asked for %v, %v", asked, err)
	}
	always := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "Could not enable CPU profiling: cpu profiling already in use", 500)
	}))
	if _, err := client(t, always).Capture(t.Context(), "cpu", 2); !errors.Is(err, ErrBusy) {
		t.Errorf("error = %v, want %v", err, ErrBusy)
	}
}

// What a server refused once it is not asked for again.
func TestWriteTimeoutIsRemembered(t *testing.T) {
	var asked []string
	small := tiny(t)
	srv := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := r.URL.Query().Get("seconds")
		asked = append(asked, s)
		if s > "3" {
			http.Error(w, "profile duration exceeds server's WriteTimeout", 400)
			return
		}
		w.Write(small)
	}))
	c := client(t, srv)
	for range 2 {
		if _, err := c.Capture(t.Context(), "mutex", 6); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"6", "3", "3"}; !slices.Equal(asked, want) {
		t.Errorf("asked for %v seconds, want %v", asked, want)
	}
}

func TestCredentials(t *testing.T) {
	srv := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name, password, ok := r.BasicAuth(); !ok || name != "alice" || password != "hunter2" {
			w.WriteHeader(401)
			return
		}
		pprof.Index(w, r)
	}))
	with, err := New(Config{URL: srv.URL + "/debug/pprof", HTTP: srv.Client(), Auth: "Basic YWxpY2U6aHVudGVyMg=="})
	if err != nil {
		t.Fatal(err)
	}
	if a, err := with.Probe(t.Context()); err != nil || !a.Has("cpu") {
		t.Errorf("Probe = %v, %v", a, err)
	}
	if _, err := client(t, srv).Probe(t.Context()); !errors.Is(err, ErrDenied) || !strings.Contains(err.Error(), "profiles.auth") {
		t.Errorf("error = %v, want %v and a hint at profiles.auth", err, ErrDenied)
	}
}

// What is live is asked for after a collection; and a trace is none of those.
func TestHeapAndTrace(t *testing.T) {
	var asked []string
	small := tiny(t)
	srv := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.RequestURI())
		if strings.HasSuffix(r.URL.Path, "/trace") {
			fmt.Fprint(w, "go 1.26 trace\x00\x00\x00rest")
			return
		}
		w.Write(small)
	}))
	c := client(t, srv)
	if _, err := c.Capture(t.Context(), "heap", 0); err != nil {
		t.Error(err)
	}
	data, err := c.Capture(t.Context(), "trace", 2)
	if err != nil || !strings.HasPrefix(string(data), "go 1.26 trace") {
		t.Errorf("trace = %q, %v", data, err)
	}
	if want := []string{"/debug/pprof/heap?gc=1", "/debug/pprof/trace?seconds=2"}; !slices.Equal(asked, want) {
		t.Errorf("asked for %v", asked)
	}
	page := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }))
	if data, err := client(t, page).Capture(t.Context(), "trace", 1); data != nil || !errors.Is(err, ErrNotProfile) {
		t.Errorf("a page was taken for a trace: %q, %v", data, err)
	}
}

// The counters of a real runtime count what is allocated between two readings.
func TestCountersOfARealTarget(t *testing.T) {
	c := client(t, goTarget(t))
	before, err := c.Counters(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	keep := make([]*[1024]byte, 1000)
	for i := range keep {
		keep[i] = new([1024]byte)
	}
	after, err := c.Counters(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if after["mallocs"]-before["mallocs"] < 1000 || after["total_alloc"]-before["total_alloc"] < 1000*1024 || after["gc_cycles"] < before["gc_cycles"] {
		t.Errorf("%v, then %v after 1000 objects of 1 KiB in %p", before, after, keep)
	}
}

func TestCounterAnswers(t *testing.T) {
	const good = "heap profile: 1: 2 [3: 4] @ heap/1048576\n# runtime.MemStats\n# TotalAlloc = 12\n# Mallocs = 3\n# NumGC = 4\n# NumForcedGC = 0\n"
	if x, err := parseCounters(strings.NewReader(good), 1<<20); err != nil || x["total_alloc"] != 12 || x["mallocs"] != 3 {
		t.Errorf("%v, %v", x, err)
	}
	for name, c := range map[string]struct {
		text string
		err  error
	}{
		"empty":       {"", ErrNotProfile},
		"a page":      {"<html>", ErrNotProfile},
		"a part":      {good[:len(good)-20], ErrNotProfile},
		"no number":   {strings.Replace(good, "= 3", "= many", 1), ErrNotProfile},
		"negative":    {strings.Replace(good, "= 3", "= -3", 1), ErrNotProfile},
		"a long line": {strings.Repeat("x", 2<<20), ErrNotProfile},
		"endless":     {strings.Repeat("line\n", 1<<20), ErrTooLarge},
	} {
		if x, err := parseCounters(strings.NewReader(c.text), 4<<20); !errors.Is(err, c.err) {
			t.Errorf("%s: %v, %v; want %v", name, x, err, c.err)
		}
	}
}

// Whatever text comes: no panic, and counters that are numbers.
func FuzzCounters(f *testing.F) {
	f.Add("# TotalAlloc = 12\n# Mallocs = 3\n# NumGC = 4\n# NumForcedGC = 0\n")
	f.Add("# Mallocs = 1e309\n")
	f.Fuzz(func(t *testing.T, text string) {
		x, err := parseCounters(strings.NewReader(text), 1<<16)
		for name, v := range x {
			if err == nil && !(v >= 0) {
				t.Errorf("%s = %g", name, v)
			}
		}
	})
}
