package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/headroom-project/headroom/loadgen"
	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/loadgen/search"
	"github.com/headroom-project/headroom/profiler/resources"
	"github.com/headroom-project/headroom/scenarios"
)

// readResources are the resources that are read from the target itself. A figure
// that comes from there is nearer than one from a Prometheus server.
type readResources struct{ names sync.Map }

// note remembers what samples are of.
func (r *readResources) note(next func([]observation.Sample)) func([]observation.Sample) {
	return func(list []observation.Sample) {
		for _, s := range list {
			if s.Source != resources.SourcePrometheus {
				r.names.Store(s.Resource, true)
			}
		}
		next(list)
	}
}

func (r *readResources) has(name string) bool {
	_, ok := r.names.Load(name)
	return ok
}

// prometheus returns what makes the watcher that asks a Prometheus server for the
// target's resources; nil if the scenario names none.
func (j *job) prometheus(ctx context.Context, client *http.Client, say func(string)) (func(loadgen.WatchConfig, *readResources) loadgen.Watcher, error) {
	spec := j.scenario.Resources.Prometheus
	if spec == nil {
		return nil, nil
	}
	header, err := scenarios.Authorization(spec.Auth, j.env)
	if err != nil {
		return nil, badInput("", "resources.prometheus.auth: %w", err)
	}
	cfg := resources.PromConfig{
		URL: spec.URL, Authorization: header, HTTP: client, Match: spec.Match, Queries: j.queries(spec),
		Interval: time.Duration(spec.Interval), Now: func() time.Duration { return 0 }, Wall: time.Now, Skip: search.Discard,
	}
	if cfg.Match == "" {
		u, err := url.Parse(j.scenario.Target.URL)
		if err != nil {
			return nil, badInput("", "target.url: %w", err)
		}
		cfg.Match = "instance=" + strconv.Quote(u.Host)
	}
	probe, err := resources.NewProm(cfg)
	if err != nil {
		return nil, badInput("", "resources.%w", err)
	}
	look, cancel := context.WithTimeout(ctx, lookFor)
	defer cancel()
	if err := probe.Probe(look); err != nil {
		say(fmt.Sprintf("resources.prometheus: %v", err))
	}
	cfg.Interval = probe.Interval()
	return func(w loadgen.WatchConfig, reads *readResources) loadgen.Watcher {
		cfg.Now, cfg.OnSample, cfg.OnWarning, cfg.Taken = w.Now, w.OnSample, w.OnWarning, reads.has
		p, err := resources.NewProm(cfg)
		if err != nil {
			panic(fmt.Sprintf("prometheus: %v", err)) // it was made before
		}
		return p
	}, nil
}

// queries are the scenario's own, then those of its sets.
func (j *job) queries(spec *scenarios.Prometheus) []resources.Query {
	var list []resources.Query
	for _, q := range spec.Queries {
		unit := q.Unit
		if unit == "" {
			unit = resources.UnitCount
		}
		list = append(list, resources.Query{Resource: q.Name, Unit: unit, Used: q.Used, Limit: q.Limit})
	}
	sets := spec.Sets
	if len(sets) == 0 {
		sets = []string{"process", "go"}
	}
	for _, name := range sets {
		list = append(list, resources.Set(name)...)
	}
	return list
}
