package reports

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

// Two requests: browse takes 1 ms of a core, is in flight for 5 ms and answers 1 kB;
// buy takes 6 ms, 50 ms and 40 kB. Each holds 8 MB while it is in flight.
func mixedPoints() []observation.Point {
	var points []observation.Point
	add := func(kind string, load, buys float64) {
		p := observation.Point{
			Step: len(points), Kind: kind, Offered: load, Seconds: 10, Valid: true, Requests: map[string]observation.Figures{}, Tallies: map[string]*observation.Tally{},
		}
		cores, held := 0.05, 0.0
		for _, r := range []struct {
			name             string
			share, core, ms  float64
			bytes, perSecond float64
		}{{"browse", 1 - buys, 0.001, 5, 1e3, 0}, {"buy", buys, 0.006, 50, 4e4, 0}} {
			t := observation.NewTally()
			n := int(10 * load * r.share)
			for range n {
				t.Add(time.Duration(r.ms*1e6), time.Duration(r.ms*1e6), 0, "")
			}
			t.BytesIn = uint64(r.bytes) * uint64(n)
			p.Tallies[r.name] = t
			p.Requests[r.name] = observation.Figures{OK: t.OK, Response: observation.QuantilesOf(t.Response)}
			p.OK += t.OK
			cores += load * r.share * r.core
			held += load * r.share * r.ms / 1000
		}
		p.Sent, p.Throughput = p.OK, float64(p.OK)/10
		p.Response = p.Requests["browse"].Response
		all := observation.NewTally()
		all.Merge(p.Tallies["browse"])
		all.Merge(p.Tallies["buy"])
		p.Windows = []observation.Second{{Width: 10, Planned: p.OK, Tally: all}}
		p.Resources = map[string]observation.Use{
			"cpu": {Used: cores, Limit: 2, Unit: "cores", Samples: 10}, "memory": {Used: 1e8 + 8e6*held, Limit: 1e9, Unit: "bytes", Samples: 10},
		}
		points = append(points, p)
	}
	for _, load := range []float64{40, 80, 120, 160, 200, 240} {
		add(scenarios.KindSearch, load, 0.2)
	}
	for _, buys := range []float64{0.05, 0.5, 0.1, 0.4} {
		add(scenarios.KindAttribute, 120, buys)
	}
	return points
}

// Each request costs what it takes: its own cores and bytes, and memory for as long
// as it is in flight; together they cost what the mix does.
func TestCostOfEachRequest(t *testing.T) {
	prices := &scenarios.Prices{Currency: "EUR", VCPUHour: 0.04, GBHour: 0.5, EgressGB: 0.09}
	r := Fit(Measured{Name: "shop", Points: mixedPoints(), Seed: 1}, Question{
		Objectives: []scenarios.Objective{{Metric: "p99", Op: "<", Value: 60}}, Prices: prices, Demand: &scenarios.Demand{Peak: 200},
	})
	if r.Attribution == nil || !r.Attribution.Identified || r.Cost == nil {
		t.Fatalf("attribution %+v, cost %+v, %q", r.Attribution, r.Cost, r.Warnings)
	}
	near := func(what string, got *Estimate, want float64) {
		t.Helper()
		if got == nil || math.Abs(got.Value-want) > 0.03*want {
			t.Errorf("%s costs %+v, want %g", what, got, want)
		}
	}
	core, gb, sent := prices.VCPUHour/3600*1e6, prices.GBHour/3600*1e6, prices.EgressGB*1e6
	sum := 0.0
	for _, want := range []struct {
		name              string
		core, ms, bytes   float64
		cpu, memory, sent float64
	}{{name: "browse", core: 0.001, ms: 5, bytes: 1e3}, {name: "buy", core: 0.006, ms: 50, bytes: 4e4}} {
		for _, got := range r.Attribution.Requests {
			if got.Name != want.name {
				continue
			}
			if got.Cost == nil {
				t.Fatalf("%s has no cost", got.Name)
			}
			near(want.name+"'s cores", got.Cost.CPU, core*want.core)
			near(want.name+"'s memory", got.Cost.Memory, gb*8e6/1e9*want.ms/1000)
			near(want.name+"'s egress", got.Cost.Egress, sent*want.bytes/1e9)
			near(want.name, &got.Cost.Total, core*want.core+gb*8e6/1e9*want.ms/1000+sent*want.bytes/1e9)
			if math.Abs(got.BytesPerRequest-want.bytes) > 0.01*want.bytes || got.Cost.Total.Low > got.Cost.Total.Value || got.Cost.Total.High < got.Cost.Total.Value {
				t.Errorf("%+v", got)
			}
			sum += got.Share * got.Cost.Total.Value
		}
	}
	near("the mix", &r.Cost.PerMillion.Marginal, sum)
	if text := strings.Join(takenLines(r), "\n"); !strings.Contains(text, "in all") || !strings.Contains(text, "egress") || !strings.Contains(text, "memory") {
		t.Error(text)
	}
	if !strings.Contains(strings.Join(r.Method, "\n"), "by the time for which it is in flight") {
		t.Errorf("the rule is not said: %q", r.Method)
	}
}

// An endpoint costs what its requests do, each by its share.
func TestCostOfAnEndpoint(t *testing.T) {
	one := func(v float64) *Estimate { return &Estimate{Value: v, Low: v, High: v} }
	list := byEndpoint([]Taken{
		{Name: "a", Endpoint: "GET /x", Share: 0.3, BytesPerRequest: 100, Cost: &TakenCost{CPU: one(1), Egress: one(2), Total: *one(3)}},
		{Name: "b", Endpoint: "GET /x", Share: 0.1, BytesPerRequest: 500, Cost: &TakenCost{CPU: one(5), Total: *one(5)}},
		{Name: "c", Endpoint: "GET /y", Share: 0.6},
	})
	if len(list) != 2 || list[0].Cost == nil || list[1].Cost != nil {
		t.Fatalf("%+v", list)
	}
	x := list[0]
	if math.Abs(x.Cost.Total.Value-3.5) > 1e-12 || math.Abs(x.Cost.CPU.Value-2) > 1e-12 || math.Abs(x.Cost.Egress.Value-1.5) > 1e-12 || math.Abs(x.BytesPerRequest-200) > 1e-9 || x.Cost.Memory != nil {
		t.Errorf("%+v %+v", x, *x.Cost)
	}
}
