package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/headroom-project/headroom/reports"
)

// requireAll turns tests that would be left out into failures, as in CI.
const requireAll = "HEADROOM_TEST_REQUIRE_ALL"

// leaveOut skips a test that needs a program, unless all are required.
func leaveOut(t *testing.T, program string) {
	t.Helper()
	if os.Getenv(requireAll) == "1" {
		t.Fatalf("%s is not installed, and %s=1: apt-get install %s", program, requireAll, program)
	}
	t.Skipf("%s is not installed; to have this test: apt-get install %s", program, program)
}

// startPrometheus runs Debian's Prometheus on one core, scraping itself and others, and
// returns its URL once it has something to answer.
func startPrometheus(t *testing.T, others ...string) string {
	t.Helper()
	program, err := exec.LookPath("prometheus")
	if err != nil {
		leaveOut(t, "prometheus")
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	_ = ln.Close()
	dir := t.TempDir()
	config := filepath.Join(dir, "prometheus.yml")
	text := fmt.Sprintf("global: {scrape_interval: 1s}\nscrape_configs:\n- {job_name: self, static_configs: [{targets: [%q]}]}\n", addr)
	for _, other := range others {
		text += fmt.Sprintf("- {job_name: %q, static_configs: [{targets: [%q]}]}\n", other, other)
	}
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+addr)
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("prometheus said:\n%s", log.String())
		}
	})
	url := "http://" + addr
	deadline := time.Now().Add(60 * time.Second)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		if scraped(url) {
			return url
		}
		if time.Now().After(deadline) {
			t.Fatal("prometheus answered no query within 60 s")
		}
	}
	return ""
}

// scraped reports that the server has scraped itself.
func scraped(url string) bool {
	resp, err := http.Get(url + "/api/v1/query?query=up")
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return err == nil && bytes.Contains(b, []byte(`"1"]`))
}

// A real server, which was not made for this: its query API under load, explained
// by its own profiles and metrics.
func TestDrillOfPrometheus(t *testing.T) {
	if testing.Short() {
		t.Skip("takes about a minute; run without -short to have it")
	}
	url := startPrometheus(t)
	dir := t.TempDir()
	scenario := filepath.Join(dir, "prometheus.yaml")
	text := fmt.Sprintf(`version: 1
name: prometheus
target:
  url: %s
  requests:
    - name: count
      get: /api/v1/query?query=count(%%7B__name__%%3D~%%22.%%2B%%22%%7D)
      check: {status: 200, body: 'contains "\"success\""'}
load:
  search: {from: 50, step: 5s, budget: 60s}
objectives: [p99 < 250ms, errors < 1%%]
capacity: {prices: {vcpu_hour: 0.04, gb_hour: 0.005}}
`, url)
	if err := os.WriteFile(scenario, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r := drillOf(t, scenario, filepath.Join(dir, "bundle"))
	// A report that says that others had the cores is right to name no limit, and says to drill again.
	const shared = "what the target served under a backlog varied"
	for again := range 2 {
		if r.Saturation != nil || !slices.ContainsFunc(r.Warnings, func(w string) bool { return strings.Contains(w, shared) }) {
			break
		}
		t.Logf("drilled once more, as %q", shared)
		r = drillOf(t, scenario, filepath.Join(dir, fmt.Sprintf("again%d", again)))
	}
	if r.Capacity == nil || r.Capacity.Bound != "" || r.Capacity.RPS.Value < 50 {
		t.Errorf("capacity %+v, want one that was crossed", r.Capacity)
	}
	if r.Saturation == nil || len(r.Saturation.Bottlenecks) == 0 || r.Saturation.Bottlenecks[0].Resource != "cpu" {
		t.Errorf("saturation %+v, want cpu to give out first", r.Saturation)
	}
	if r.Cost == nil || r.Cost.PerMillion.Marginal.Value <= 0 {
		t.Errorf("cost %+v, want one", r.Cost)
	}
	curve := 0
	for _, s := range r.Steps {
		if u := s.Resources["cpu"]; u.Used > 0 && u.Limit == 1 {
			curve++
		}
	}
	if curve < 4 {
		t.Errorf("%d steps have a CPU figure out of its own metrics, want a curve", curve)
	}
	if !hasFunction(r, "cpu", "prometheus/prometheus") {
		t.Error("no function of Prometheus is in the CPU flame graph")
	}
	if f, ok := demands(r, "cpu", "prometheus/prometheus"); !ok || !(f.PerRequest > 0) || f.Samples < 1 {
		t.Errorf("no function of Prometheus is in the demand table: %+v", r.Demand)
	}
}

func drillOf(t *testing.T, scenario, bundle string) (r reports.Run) {
	t.Helper()
	var out, progress bytes.Buffer
	code := run(context.Background(), []string{"headroom", "drill", scenario, "--json", "--out", bundle}, streams{strings.NewReader(""), &out, &progress})
	t.Logf("%s", progress.String())
	if code != exitOK {
		t.Fatalf("exit code %d", code)
	}
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// demands returns the function that takes most of a kind, of those whose name has
// a part.
func demands(r reports.Run, kind, part string) (reports.FunctionDemand, bool) {
	if r.Demand == nil {
		return reports.FunctionDemand{}, false
	}
	for _, p := range r.Demand.Profiles {
		for _, f := range p.Functions {
			if p.Kind == kind && strings.Contains(f.Name, part) {
				return f, true
			}
		}
	}
	return reports.FunctionDemand{}, false
}

func hasFunction(r reports.Run, typ, part string) bool {
	for _, f := range r.Flames {
		if f.Type != typ {
			continue
		}
		frames := []*reports.Frame{f.Root}
		for len(frames) > 0 {
			x := frames[0]
			if strings.Contains(x.Name, part) {
				return true
			}
			frames = append(frames[1:], x.Children...)
		}
	}
	return false
}
