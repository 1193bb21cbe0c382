package main

import (
	"bytes"
	"path/filepath"
	"time"

	"github.com/headroom-project/headroom/capacity/forecast"
	"github.com/headroom-project/headroom/scenarios"
)

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
