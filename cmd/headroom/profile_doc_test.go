package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// announced passes on the address of the web UI, once it is said.
type announced struct {
	mu   sync.Mutex
	said bytes.Buffer
	url  chan string
}

var webAddress = regexp.MustCompile(`web UI: (http://\S+)`)

func (a *announced) Write(b []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	before := webAddress.Match(a.said.Bytes())
	a.said.Write(b)
	if m := webAddress.FindSubmatch(a.said.Bytes()); m != nil && !before {
		a.url <- string(m[1])
	}
	return len(b), nil
}

// The commands of docs/profiling.md, in the order in which they stand there.
func TestProfilingCommands(t *testing.T) {
	if testing.Short() {
		t.Skip("drills twice, 25 s; run without -short to have it")
	}
	doc, err := os.ReadFile("../../docs/profiling.md")
	if err != nil {
		t.Fatal(err)
	}
	defer runtime.SetMutexProfileFraction(runtime.SetMutexProfileFraction(1))
	// The second drill finds a dearer version: a difference of two alike may
	// leave out any function.
	var rounds atomic.Int64
	rounds.Store(200_000)
	target := httptest.NewServer(profiledTarget(func() int { return int(rounds.Load()) }))
	defer target.Close()
	t.Chdir(t.TempDir())
	t.Setenv("PPROF_TOKEN", "s3cret")
	scenario := "version: 1\nname: checkout\ntarget: {url: " + target.URL + "}\nload: {steps: {rates: [60, 80], duration: 5s}}\n" +
		"objectives: [p99 < 5s]\nprofiles: {auth: 'Bearer ${PPROF_TOKEN}'}\n"
	if err := os.WriteFile("checkout.yaml", []byte(scenario), 0o600); err != nil {
		t.Fatal(err)
	}
	ran := 0
	for line := range strings.Lines(string(doc)) {
		if !strings.HasPrefix(line, "headroom ") {
			continue
		}
		ran++
		if strings.Contains(line, "drill") && strings.Contains(line, "--out after") {
			rounds.Store(600_000)
		}
		runShown(t, strings.Fields(line))
	}
	if ran < 10 {
		t.Errorf("only %d commands were found", ran)
	}
	for _, name := range []string{"allocs.pb.gz", "default.pgo"} {
		if _, err := os.Stat(name); err != nil {
			t.Error(err)
		}
	}
}

// runShown runs a command; if it opens the web UI, it looks at that and ends it.
func runShown(t *testing.T, args []string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	said := &announced{url: make(chan string, 1)}
	code := make(chan int, 1)
	go func() { code <- run(ctx, args, streams{strings.NewReader(""), io.Discard, said}) }()
	select {
	case got := <-code:
		if got != exitOK {
			t.Fatalf("%v: exit code %d\n%s", args, got, said.said.String())
		}
	case url := <-said.url:
		for path, want := range map[string]string{"": "flame", "top": "spendCPU", "source": "", "download": ""} {
			looksLike(t, url+path, want)
		}
		cancel()
		if got := <-code; got != exitOK {
			t.Errorf("%v: exit code %d", args, got)
		}
	}
}

func looksLike(t *testing.T, url, want string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(b), want) {
		t.Errorf("%s: %s, %v; want a page with %q", url, resp.Status, err, want)
	}
}
