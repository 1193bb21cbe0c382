package pprofhttp

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/pprof"
	"slices"
	"strings"
	"testing"

	"github.com/google/pprof/profile"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// goTarget serves what a Go service does that imports net/http/pprof.
func goTarget(t *testing.T) *httptest.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	return serve(t, mux)
}

func serve(t *testing.T, h http.Handler) *httptest.Server {
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv
}

// client returns a client of a server, with small bounds.
func client(t *testing.T, srv *httptest.Server) *Client {
	t.Helper()
	c, err := New(Config{URL: srv.URL + "/debug/pprof/", HTTP: srv.Client(), MaxBytes: 1 << 20, MaxDecoded: 4 << 20})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// tiny is the smallest useful profile.
func tiny(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	p := &profile.Profile{SampleType: []*profile.ValueType{{Type: "cpu", Unit: "nanoseconds"}}}
	if err := p.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestRealTarget(t *testing.T) {
	c := client(t, goTarget(t))
	a, err := c.Probe(t.Context())
	if err != nil || !slices.Equal(a.Types, Types()) || !a.Has("cpu") || !a.Has("trace") {
		t.Fatalf("Probe = %v, %v; want all types", a, err)
	}
	for _, typ := range []string{"allocs", "mutex", "block", "goroutine", "heap"} {
		data, err := c.Capture(t.Context(), typ, 0)
		if err != nil {
			t.Errorf("%s: %v", typ, err)
			continue
		}
		if _, err := profile.ParseData(data); err != nil {
			t.Errorf("%s: %v", typ, err)
		}
	}
}

// The spans in seconds are those of the target: CPU and a difference at once.
func TestRealSpans(t *testing.T) {
	c := client(t, goTarget(t))
	type result struct {
		data []byte
		err  error
	}
	allocs := make(chan result, 1)
	go func() {
		data, err := c.Capture(t.Context(), "allocs", 1)
		allocs <- result{data, err}
	}()
	data, err := c.Capture(t.Context(), "cpu", 1)
	other := <-allocs
	for name, r := range map[string]result{"cpu": {data, err}, "allocs": other} {
		if r.err != nil {
			t.Fatalf("%s: %v", name, r.err)
		}
		p, err := profile.ParseData(r.data)
		if err != nil || p.DurationNanos < 9e8 {
			t.Errorf("%s spans %d ns, %v; want a second", name, p.DurationNanos, err)
		}
	}
}

func TestProbeAnswers(t *testing.T) {
	small := tiny(t)
	index := `<a href='allocs?debug=1'>x</a><a href='goroutine?debug=1'>x</a><a href="/debug/pprof/profile?debug=1">`
	for _, c := range []struct {
		name  string
		serve http.HandlerFunc
		types []string
		err   error
	}{
		{"nothing there", http.NotFound, nil, ErrAbsent},
		{"a start page for every path", func(w http.ResponseWriter, _ *http.Request) {
			w.Write([]byte("\n<!DOCTYPE html><html><body>href='goroutine?' Hello, this is the shop.</body></html>"))
		}, nil, ErrNotProfile},
		{"credentials wanted", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) }, nil, ErrDenied},
		{"forbidden", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) }, nil, ErrDenied},
		{"no index", func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/") {
				http.NotFound(w, r)
				return
			}
			w.Write(small)
		}, Types(), nil},
		{"some types only", func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/") {
				w.Write([]byte(index))
				return
			}
			w.Write(small)
		}, []string{"cpu", "allocs", "goroutine"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, err := client(t, serve(t, c.serve)).Probe(t.Context())
			if !errors.Is(err, c.err) || !slices.Equal(a.Types, c.types) {
				t.Errorf("Probe = %v, %v; want %v, %v", a.Types, err, c.types, c.err)
			}
			if err != nil && !strings.Contains(err.Error(), "hint:") {
				t.Errorf("no hint in %v", err)
			}
		})
	}
}

func TestCaptureAnswers(t *testing.T) {
	gz := func(b []byte) []byte {
		var out bytes.Buffer
		w := gzip.NewWriter(&out)
		w.Write(b)
		w.Close()
		return out.Bytes()
	}
	whole := gz(append([]byte{0x0a, 0x02, 0x08, 0x01}, bytes.Repeat([]byte{0x48, 0x01}, 1000)...))
	zeros := gz(append([]byte{0x32, 0x80, 0x80, 0x80, 0x04}, make([]byte, 8<<20)...)) // a string of 8 MiB
	for _, c := range []struct {
		name   string
		status int
		body   []byte
		err    error
		text   string
	}{
		{"busy", 500, []byte("Could not enable CPU profiling: cpu profiling already in use\n"), ErrBusy, "hint:"},
		{"crashing", 500, []byte("oops\x1b[31m\n"), nil, "500 Internal Server Error: oops"},
		{"denied", 403, nil, ErrDenied, "hint:"},
		{"absent", 404, nil, ErrAbsent, "hint:"},
		{"a bomb", 200, zeros, ErrTooLarge, "decompressed"},
		{"endless", 200, bytes.Repeat([]byte{0x48, 0x01}, 1<<20), ErrTooLarge, "more than"},
		{"cut off", 200, whole[:len(whole)-12], ErrNotProfile, ""},
		{"text", 200, []byte("goroutine profile: total 5\n"), ErrNotProfile, ""},
		{"compressed text", 200, gz([]byte("<html>")), ErrNotProfile, ""},
		{"nothing", 200, nil, ErrNotProfile, ""},
		{"broken gzip", 200, []byte{0x1f, 0x8b, 1, 2, 3}, ErrNotProfile, ""},
		{"unpacked but cut off", 200, []byte{0x0a, 0x10, 0x08}, ErrNotProfile, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			srv := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(c.status)
				w.Write(c.body)
			}))
			data, err := client(t, srv).Capture(t.Context(), "cpu", 1)
			if err == nil || data != nil || (c.err != nil && !errors.Is(err, c.err)) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("Capture = %d bytes, %v; want %v with %q", len(data), err, c.err, c.text)
			}
			if err != nil && strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Errorf("the target's text is not made harmless: %q", err)
			}
		})
	}
}

// A server that may not write for so long is asked for less.
func TestWriteTimeout(t *testing.T) {
	var asked []string
	small := tiny(t)
	srv := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := r.URL.Query().Get("seconds")
		asked = append(asked, s)
		if len(s) > 1 || s > "5" {
			http.Error(w, "profile duration exceeds server's WriteTimeout", 400)
			return
		}
		w.Write(small)
	}))
	if _, err := client(t, srv).Capture(t.Context(), "mutex", 20); err != nil {
		t.Fatal(err)
	}
	if want := []string{"20", "10", "5"}; !slices.Equal(asked, want) {
		t.Errorf("asked for %v seconds, want %v", asked, want)
	}
	never := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "profile duration exceeds server's WriteTimeout", 400)
	}))
	if _, err := client(t, never).Capture(t.Context(), "mutex", 20); err == nil || !strings.Contains(err.Error(), "hint: raise its WriteTimeout") {
		t.Errorf("error = %v, want a hint", err)
	}
}

// A profile that a proxy has unpacked is packed again, and is the same.
func TestRepacked(t *testing.T) {
	packed := tiny(t)
	zr, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(zr)
	if err != nil {
		t.Fatal(err)
	}
	srv := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(raw) }))
	data, err := client(t, srv).Capture(t.Context(), "allocs", 0)
	if err != nil || !bytes.HasPrefix(data, []byte{0x1f, 0x8b}) {
		t.Fatalf("Capture = %q, %v; want gzip", data, err)
	}
	if p, err := profile.ParseData(data); err != nil || p.SampleType[0].Type != "cpu" {
		t.Errorf("repacked: %v, %v", p, err)
	}
}

func TestCaptureEndsWithContext(t *testing.T) {
	arrived := make(chan struct{})
	srv := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
	}))
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-arrived
		cancel()
	}()
	if _, err := client(t, srv).Capture(ctx, "cpu", 10); !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v, want context.Canceled", err)
	}
}

func TestQueryIsKept(t *testing.T) {
	var got string
	small := tiny(t)
	srv := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.URL.String()
		w.Write(small)
	}))
	c, err := New(Config{URL: srv.URL + "/p?key=1", HTTP: srv.Client()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Capture(t.Context(), "cpu", 2); err != nil || got != "/p/profile?key=1&seconds=2" {
		t.Errorf("asked for %s, %v", got, err)
	}
}

func TestBadInput(t *testing.T) {
	for _, url := range []string{"", "127.0.0.1:6060", "ftp://x/y", "http://", "http://a b"} {
		if _, err := New(Config{URL: url, HTTP: http.DefaultClient}); err == nil {
			t.Errorf("address %q was accepted", url)
		}
	}
	if _, err := New(Config{URL: "http://x"}); err == nil {
		t.Error("no client was accepted")
	}
	c, err := New(Config{URL: "http://x", HTTP: http.DefaultClient})
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []struct {
		typ     string
		seconds int
	}{{"trace", 0}, {"../cmdline", 1}, {"cpu", 0}, {"cpu", -1}, {"allocs", -1}} {
		if _, err := c.Capture(t.Context(), bad.typ, bad.seconds); err == nil {
			t.Errorf("%+v was accepted", bad)
		}
	}
}

// Whatever is sent: no panic, and what passes is gzip within the bound.
func FuzzNormalise(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0x1f, 0x8b})
	f.Add([]byte{0x0a, 0x02, 0x08, 0x01})
	f.Fuzz(func(t *testing.T, data []byte) {
		const most = 1 << 16
		out, err := normalise(data, most)
		if err != nil {
			return
		}
		zr, err := gzip.NewReader(bytes.NewReader(out))
		if err != nil {
			t.Fatal(err)
		}
		raw, err := io.ReadAll(zr)
		if err != nil || len(raw) > most {
			t.Errorf("%d bytes, %v", len(raw), err)
		}
	})
}
