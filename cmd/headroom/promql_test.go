package main

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/profiler/resources"
)

// A real server takes every ready-made query, and its own set of figures and the
// process's agree. Every query is evaluated over a second step, for which the
// server has scrapes.
func TestPrometheusTakesTheSets(t *testing.T) {
	t.Parallel() // no load, much waiting
	url := startPrometheus(t)
	for _, set := range []string{"process", "go", "node", "container"} {
		began := time.Now()
		var warnings []string
		var samples []observation.Sample
		p, err := resources.NewProm(resources.PromConfig{
			URL: url, HTTP: http.DefaultClient, Match: `instance=~".+"`, Queries: resources.Set(set), Interval: time.Second,
			Now: func() time.Duration { return time.Since(began) }, Wall: time.Now,
			OnSample:  func(list []observation.Sample) { samples = append(samples, list...) },
			OnWarning: func(text string) { warnings = append(warnings, text) },
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		p.BeginStep(ctx, 0, 4*time.Second)
		done := make(chan struct{})
		go func() { defer close(done); _ = p.Run(ctx) }()
		time.Sleep(4 * time.Second)
		p.EndStep(0)
		cancel()
		<-done
		for _, w := range warnings {
			if !strings.Contains(w, "has no figures of") { // there is no such exporter
				t.Errorf("%s: %s", set, w)
			}
		}
		if (set == "process" || set == "go") && len(samples) == 0 {
			t.Errorf("%s: no samples", set)
		}
	}
}

// A drill of a real server: what it has scraped of itself agrees with what is read
// from its process, step by step.
func TestDrillReadsPrometheus(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 20 seconds; run without -short to have it")
	}
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
