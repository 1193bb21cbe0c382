package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/profiler/resources"
)

// A real server takes every ready-made query, and has figures of itself for those of a
// process.
func TestPrometheusTakesTheSets(t *testing.T) {
	t.Parallel() // no load, much waiting
	url := startPrometheus(t)
	var all []resources.Query
	for _, set := range []string{"process", "go", "node", "container"} {
		all = append(all, selected(set+" ", set, `instance=~".+"`)...)
	}
	samples, warnings := figures(t, url, "", all, 4*time.Second)
	if len(warnings) > 0 {
		t.Errorf("warnings %q", warnings)
	}
	seen := map[string]bool{}
	for _, s := range samples {
		seen[s.Resource] = true
	}
	for _, want := range []string{"process cpu", "process memory", "process fds", "go goroutines", "go threads", "go go.memory"} {
		if !seen[want] {
			t.Errorf("no figures of %s", want)
		}
	}
}

// selected are the queries of a set under names that tell them apart, for some series.
func selected(name, set, match string) (list []resources.Query) {
	for _, q := range resources.Set(set) {
		q.Resource = name + q.Resource
		q.Used, q.Limit = strings.ReplaceAll(q.Used, "$match", match), strings.ReplaceAll(q.Limit, "$match", match)
		list = append(list, q)
	}
	return list
}

// figures asks a server for some queries over a step of some seconds that lies behind: it
// began when the server had scraped all its targets.
func figures(t *testing.T, url, match string, queries []resources.Query, lasts time.Duration) (samples []observation.Sample, warnings []string) {
	t.Helper()
	scraped := fmt.Sprintf("min(count_over_time(up[1m])) > %d", lasts/time.Second)
	for deadline := time.Now().Add(60 * time.Second); !answers(t, url, scraped); <-time.After(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("prometheus has not scraped for %v within 60 s", lasts)
		}
	}
	var at time.Duration
	began := time.Now().Add(-lasts)
	p, err := resources.NewProm(resources.PromConfig{
		URL: url, HTTP: http.DefaultClient, Match: match, Queries: queries, Interval: time.Second,
		Now: func() time.Duration { return at }, Wall: func() time.Time { return began.Add(at) },
		OnSample:  func(list []observation.Sample) { samples = append(samples, list...) },
		OnWarning: func(text string) { warnings = append(warnings, text) },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // the drill is over
	p.BeginStep(ctx, 0, lasts)
	at = lasts
	p.EndStep(0)
	if err := p.Run(ctx); err != nil {
		t.Fatal(err)
	}
	return samples, warnings
}

// answers reports whether a query gives anything.
func answers(t *testing.T, server, query string) bool {
	t.Helper()
	resp, err := http.Get(server + "/api/v1/query?query=" + url.QueryEscape(query))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %s %v", query, resp.Status, b, err)
	}
	return bytes.Contains(b, []byte(`"value":`))
}

// Debian's node exporter, scraped by Debian's Prometheus: the set says of this machine
// what the kernel says.
func TestNodeSet(t *testing.T) {
	t.Parallel() // no load, much waiting
	program, err := exec.LookPath("prometheus-node-exporter")
	if err != nil {
		leaveOut(t, "prometheus-node-exporter")
	}
	addr := freePort(t)
	exporter := exec.Command(program, "--web.listen-address="+addr)
	if err := exporter.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = exporter.Process.Kill(); _ = exporter.Wait() })
	waitFor(t, addr)
	url := startPrometheus(t, addr)
	samples, warnings := figures(t, url, fmt.Sprintf("instance=%q", addr), resources.Set("node"), 4*time.Second)
	if len(warnings) > 0 {
		t.Errorf("warnings %q", warnings)
	}
	last := map[string]observation.Sample{}
	for _, s := range samples {
		last[s.Resource] = s
	}
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		t.Fatal(err)
	}
	var total float64
	if _, err := fmt.Sscanf(string(text), "MemTotal: %f kB", &total); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		resource string
		limit    float64
	}{{"node.cpu", cores(t)}, {"node.memory", total * 1024}, {"node.disk", 1}, {"node.fds", -1}} {
		s, ok := last[x.resource]
		switch {
		case !ok:
			t.Errorf("%s: no sample", x.resource)
		case x.limit >= 0 && s.Limit != x.limit:
			t.Errorf("%s: limit %v, want %v", x.resource, s.Limit, x.limit)
		case s.Used < 0 || s.Limit > 0 && s.Used > 1.05*s.Limit:
			t.Errorf("%s: %v of %v", x.resource, s.Used, s.Limit)
		}
	}
	if last["node.cpu"].Used == 0 || last["node.memory"].Used == 0 || last["node.fds"].Used == 0 {
		t.Errorf("nothing is used: %+v", last)
	}
}

// cores is how many the kernel has online.
func cores(t *testing.T) float64 {
	t.Helper()
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		t.Fatal(err)
	}
	return float64(strings.Count(string(b), "\ncpu"))
}

// A drill of a real server: what it has scraped of itself agrees with what is read
// from its process, step by step.
func TestDrillReadsPrometheus(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 20 seconds; run without -short to have it")
	}
	t.Parallel() // little load, much waiting
	url := startPrometheus(t)
	e, said := drillWith(t, fmt.Sprintf(`version: 1
name: prometheus
target: {url: %[1]s, requests: [{name: count, get: "/api/v1/query?query=count(%%7B__name__%%3D~%%22.%%2B%%22%%7D)"}]}
load: {warmup: 2s, constant: {rate: 60, duration: 15s}}
objectives: [errors < 50%%]
profiles: {pprof: none}
resources:
  metrics: none
  prometheus:
    url: %[1]s
    interval: 1s
    queries:
    - {name: scraped.cpu, used: "sum(rate(process_cpu_seconds_total{$match}[$window]))", limit: "1", unit: cores}
    - {name: broken, used: "sum(", unit: count}
`, url))
	if !strings.Contains(said, "broken of prometheus failed: the server says:") || !strings.Contains(said, "parse error") {
		t.Errorf("said:\n%s", said)
	}
	var point *observation.Point
	for _, p := range e.Reduce().Points() {
		if p.Step == 1 {
			point = &p
		}
	}
	if point == nil {
		t.Fatal("there is no step 1")
	}
	scraped, read := point.Resources["scraped.cpu"], point.Resources["cpu"]
	// Windows of three seconds within fifteen, and a counter of 10 ms.
	if read.Used < 0.02 || math.Abs(scraped.Used/read.Used-1) > 0.2 || scraped.Limit != 1 || scraped.Unit != "cores" {
		t.Errorf("scraped %+v, read from the process %+v", scraped, read)
	}
	if g := point.Resources["goroutines"]; g.Used < 1 {
		t.Errorf("goroutines %+v of the ready-made set", g)
	}
}
