package main

import (
	"bytes"
	"path/filepath"
	"time"

	"github.com/headroom-project/headroom/capacity/forecast"
	"github.com/headroom-project/headroom/scenarios"
)

// attributable says what speaks against varying the mix.
func (j *job) attributable(asked bool) error {
	switch {
	case !asked:
		return nil
	case j.scenario.Load.Search == nil:
		return badInput("leave the fixed load out, or --attribute", "drill: --attribute follows a search, and the load is fixed")
	case len(j.scenario.Target.Flow) > 0:
		return badInput("list the requests under target.requests instead", "drill: --attribute varies the mix of requests, and a flow has none")
	case len(j.plan.Weights) < 2:
		return badInput("write a scenario with several requests: headroom scenario show api-search", "drill: --attribute needs two requests at least, and there is %d", len(j.plan.Weights))
	}
	return nil
}

// demandHistory reads capacity.demand.history, which is relative to the scenario's
// folder, and checks that it can be read before any load is sent; nil if the
// scenario has none.
func demandHistory(s *scenarios.Scenario, dir string) ([]byte, error) {
	d := s.Capacity.Demand
	if d == nil || d.History == "" {
		return nil, nil
	}
	name := d.History
	if !filepath.IsAbs(name) {
		name = filepath.Join(dir, name)
	}
	b, err := readFile(name, forecast.MaxBytes+1)
	if err != nil {
		return nil, badInput("capacity.demand.history is a CSV file with a header time,rps", "capacity.demand.history: %w", err)
	}
	if _, err := forecast.ReadCSV(d.History, bytes.NewReader(b), time.UTC); err != nil {
		return nil, badInput("a header time,rps, then a row an hour", "capacity.demand.history: %w", err)
	}
	return b, nil
}
