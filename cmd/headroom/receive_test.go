package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/pprof/profile"

	"github.com/headroom-project/headroom/loadgen"
	"github.com/headroom-project/headroom/loadgen/api"
	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

// freePort is an address that nothing listens on.
func freePort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// wiretap passes requests on to a server, and keeps the profiles in them that it
// takes.
type wiretap struct {
	mu       sync.Mutex
	profiles [][]byte
}

func (w *wiretap) before(t *testing.T, addr string) *httptest.Server {
	to, err := url.Parse("http://" + addr)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(to)
	proxy.ErrorHandler = func(rw http.ResponseWriter, _ *http.Request, _ error) { rw.WriteHeader(http.StatusBadGateway) }
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		w.keep(t, r.Header.Get("Content-Type"), body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		proxy.ServeHTTP(rw, r)
	}))
	t.Cleanup(srv.Close)
	return srv
}

func (w *wiretap) keep(t *testing.T, contentType string, body []byte) {
	_, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		t.Errorf("content type %q: %v", contentType, err)
		return
	}
	form := multipart.NewReader(bytes.NewReader(body), params["boundary"])
	for {
		part, err := form.NextRawPart()
		if err != nil {
			return
		}
		data, err := io.ReadAll(part)
		if err == nil && part.FormName() == "profile" {
			w.mu.Lock()
			w.profiles = append(w.profiles, data)
			w.mu.Unlock()
		}
	}
}

// startProfiledDemo runs the demo as a process of its own that sends its profiles.
func startProfiledDemo(t *testing.T, to string) (url string) {
	t.Helper()
	program, err := exec.LookPath("headroom")
	if err != nil {
		t.Fatal(err)
	}
	addr := freePort(t)
	cmd := exec.Command(program, "demo", "--listen", addr, "--limit", "cpu", "--self-profile", to)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	waitFor(t, addr)
	return "http://" + addr + "/"
}

// A target with pyroscope-go and no pprof in reach is captured by receiving what
// it sends: what comes out of the bundle is what its client sent, byte for byte.
func TestDrillReceives(t *testing.T) {
	t.Parallel() // little load, much waiting
	if testing.Short() {
		t.Skip("takes 10 seconds; run without -short to have it")
	}
	receiver := freePort(t)
	var wire wiretap
	target := startHotTarget(t, hotSendsEnv+"="+wire.before(t, receiver).URL)
	bundle := filepath.Join(t.TempDir(), "bundle")
	var out, progress bytes.Buffer
	// It uploads each second. A CPU profile of pyroscope-go may span two uploads.
	code := run(context.Background(), []string{"headroom", "drill", target, "--receive", receiver, "--rate", "40", "--duration", "6s", "--out", bundle, "--json"},
		streams{strings.NewReader(""), &out, &progress})
	if code != exitOK && code != exitInvalid { // invalid on a busy machine: this is not about timing
		t.Fatalf("exit code %d:\n%s", code, progress.String())
	}
	e, err := observation.Open(bundle)
	if err != nil {
		t.Fatal(err)
	}
	var types []string
	for _, x := range e.Journal {
		c := x.Capture
		if c == nil {
			continue
		}
		data, err := os.ReadFile(filepath.Join(bundle, c.File))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(wire.profiles, func(sent []byte) bool { return bytes.Equal(sent, data) }) {
			t.Errorf("%s is not what was sent", c.File)
		}
		if c.Source != observation.CaptureReceived || c.Labels["service_name"] != "hot" {
			t.Errorf("capture %+v", c)
		}
		if c.Step == 1 && c.Usable() {
			types = append(types, c.Type)
		}
		if c.Step == 1 && c.Type == "cpu" && c.Usable() {
			burnsCPU(t, data)
		}
	}
	for _, want := range []string{"cpu", "allocs", "goroutine"} {
		if !slices.Contains(types, want) {
			t.Errorf("step 1 has captures of %v, none of %s", types, want)
		}
	}
}

// A receiver that fails while the drill runs is not passed over in silence.
func TestAReceiverThatFails(t *testing.T) {
	in, err := openIntake(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer in.close()
	j := &job{scenario: &scenarios.Scenario{}, intake: in}
	if j.route, err = in.router.Open("shop", j.senders()); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	warned := make(chan string, 10)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	watch := j.receive(loadgen.WatchConfig{
		Now: func() time.Duration { return time.Since(began) }, OnWarning: func(text string) { warned <- text },
	}, nil, func(string) {})
	done := make(chan error, 1)
	go func() { done <- watch.Run(ctx) }()
	if err := in.listener.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case text := <-warned:
		if !strings.Contains(text, "the receiver of profiles at 127.0.0.1:") || !strings.Contains(text, "use of closed network connection") {
			t.Errorf("warning %q", text)
		}
	case <-ctx.Done():
		t.Error("no warning")
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	r := &runs{cfg: runsConfig{Intake: in}}
	j.scenario.Profiles.Receive = &scenarios.ProfileReceive{Service: "shop"}
	if err := r.takeProfiles("next", j); !errors.Is(err, api.ErrUnavailable) {
		t.Errorf("for the next run: %v", err)
	}
}

// burnsCPU checks that the profile is of the target under load.
func burnsCPU(t *testing.T, data []byte) {
	t.Helper()
	p, err := profile.ParseData(data)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range p.Function {
		if strings.HasSuffix(f.Name, ".constantWork") {
			return
		}
	}
	t.Error("no function of the target is in its CPU profile")
}

// waitFor returns when something listens on an address.
func waitFor(t *testing.T, addr string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; {
		conn, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			_ = conn.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("nothing listens on %s after 20 s: %v", addr, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
