package capacity

import (
	"fmt"
	"math"
	"slices"

	"github.com/headroom-project/headroom/scenarios"
)

const (
	million        = 1e6
	secondsPerHour = 3600.0
	gigabyte       = 1e9
)

// Names of the resources that have a price.
const (
	cpu        = "cpu"
	memory     = "memory"
	egressPart = "egress"
)

// cost fills in Cost. Marginal is what one more million requests use, by the
// demands of the resource law; Loaded is what all that is allocated costs,
// divided by the load that it serves:
//
//	marginal = (vcpu*D_cpu + gb*D_memory) / 3600 + egress
//	loaded   = (vcpu*L_cpu + gb*L_memory) / (3600 X) + egress
//	idle     = loaded - marginal
func (a *Analysis) cost(all []series, fits []fit, spec Spec) {
	p := spec.Prices
	if p == nil {
		return
	}
	if !(p.VCPUHour >= 0 && p.GBHour >= 0 && p.EgressGB >= 0) {
		a.warn("no cost: a price is negative or not a number")
		return
	}
	at, low, high, ok := a.costLoad(spec)
	if !ok {
		a.warn("no cost: neither the demand nor the capacity is known")
		return
	}
	egress := egressPerRequest(all) * p.EgressGB / gigabyte
	parts := marginals(fits, *p, spec.Confidence)
	if egress > 0 {
		parts[egressPart] = Value{Value: million * egress, Low: million * egress, High: million * egress, Confidence: spec.Confidence, Method: "size of the answers times price"}
	}
	hourly, doubts := a.allocated(all, fits, *p)
	if egress == 0 && p.EgressGB > 0 {
		doubts = append(doubts, "the cost leaves egress out: the size of the answers is not known")
	}
	loaded := func(x, replicas float64) float64 {
		return million * (hourly*replicas/(secondsPerHour*x) + egress)
	}
	few, some, many := a.replicas(at)
	if some > 1 {
		doubts = append(doubts, fmt.Sprintf("%.4g/s are more than one replica carries: the cost is that of %.0f", at, some))
	}
	c := &Cost{Currency: p.Currency, AtRPS: at}
	if c.Currency == "" {
		c.Currency = "USD"
	}
	c.Parts = parts
	c.Marginal = Value{Confidence: spec.Confidence, Method: "demand for each request times price", Warnings: doubts}
	for _, name := range []string{cpu, memory, egressPart} { // in one order: sums of floats differ by it
		part := parts[name]
		c.Marginal.Value, c.Marginal.Low, c.Marginal.High = c.Marginal.Value+part.Value, c.Marginal.Low+part.Low, c.Marginal.High+part.High
	}
	c.Loaded = Value{
		Value: loaded(at, some), Low: loaded(high, few), High: loaded(low, many),
		Confidence: spec.Confidence, Method: "all that is allocated, over the load it serves", Warnings: doubts,
	}
	c.Idle = Value{
		Value: max(c.Loaded.Value-c.Marginal.Value, 0),
		Low:   max(c.Loaded.Low-c.Marginal.High, 0), High: max(c.Loaded.High-c.Marginal.Low, 0),
		Confidence: spec.Confidence, Method: "loaded - marginal",
	}
	a.Cost = c
	a.Warnings = append(a.Warnings, doubts...)
}

// costLoad is the load at which the allocated costs are shared out: the demand,
// or without one the capacity.
func (a *Analysis) costLoad(spec Spec) (at, low, high float64, ok bool) {
	if spec.DemandRPS > 0 {
		return spec.DemandRPS, spec.DemandRPS, spec.DemandRPS, true
	}
	c := a.Capacity
	if c == nil || !(c.Value.Value > 0) || c.Bound == Below {
		return 0, 0, 0, false
	}
	return c.Value.Value, max(c.Low, 0.01*c.Value.Value), c.High, true
}

// replicas is how many carry a load: by the high end of the capacity, by the capacity, and
// by its low end. One where it is not known, or what a load without a demand is.
func (a *Analysis) replicas(load float64) (few, some, many float64) {
	c := a.Capacity
	if c == nil || c.Bound == Below || !(c.Low > 0) {
		return 1, 1, 1
	}
	count := func(capacity float64) float64 { return max(math.Ceil(load/capacity*(1-1e-9)), 1) }
	if load == c.Value.Value { // the capacity itself, in whose place its interval is taken
		return 1, 1, 1
	}
	return count(c.High), count(c.Value.Value), count(c.Low)
}

// egressPerRequest is the mean number of bytes answered for each request.
func egressPerRequest(all []series) float64 {
	var bytes, hits float64
	for _, s := range all {
		for _, w := range s.point.Windows {
			if w.Tally != nil {
				bytes += float64(w.Tally.BytesIn)
				hits += float64(w.Tally.Ended())
			}
		}
	}
	return bytes / max(hits, 1)
}

// marginals are the prices of what a million requests use of cores and memory.
func marginals(fits []fit, p scenarios.Prices, confidence float64) map[string]Value {
	parts := map[string]Value{}
	for _, f := range fits {
		price := hourlyPrice(f.name, p) / secondsPerHour
		if price == 0 || !f.exercised {
			continue
		}
		demands := make([]float64, 0, len(f.draws))
		for _, d := range f.draws {
			demands = append(demands, max(d.demand, 0))
		}
		l, h := interval(demands, confidence)
		k := million * price
		parts[f.name] = Value{
			Value: k * f.demand, Low: k * min(l, f.demand), High: k * max(h, f.demand),
			Confidence: confidence, Method: "demand for each request times price",
		}
	}
	return parts
}

// hourlyPrice is the price of one unit (a core, a byte) for an hour.
func hourlyPrice(name string, p scenarios.Prices) float64 {
	switch name {
	case cpu:
		return p.VCPUHour
	case memory:
		return p.GBHour / gigabyte
	}
	return 0
}

// allocated is the price of an hour of all that is allocated: limits, or the most
// that was used where there is none.
func (a *Analysis) allocated(all []series, fits []fit, p scenarios.Prices) (hourly float64, doubts []string) {
	for _, name := range []string{cpu, memory} {
		price := hourlyPrice(name, p)
		if price == 0 {
			continue
		}
		amount, known := allocation(all, name)
		hourly += price * amount
		switch {
		case amount == 0:
			doubts = append(doubts, "no readings of "+name+": its cost is left out")
		case !known:
			doubts = append(doubts, "no limit of "+name+" is known: its cost is of the most that was used")
		}
		if i := slices.IndexFunc(fits, func(f fit) bool { return f.name == name }); i < 0 && amount > 0 {
			doubts = append(doubts, "the demand of "+name+" could not be fitted: marginal cost leaves it out")
		}
	}
	return hourly, doubts
}

func allocation(all []series, name string) (amount float64, known bool) {
	var limit, most float64
	for _, s := range all {
		u := s.point.Resources[name]
		if u.Limit > 0 && !math.IsInf(u.Limit, 0) {
			limit = u.Limit
		}
		if u.Used > most && !math.IsInf(u.Used, 0) {
			most = u.Used
		}
	}
	if limit > 0 {
		return limit, true
	}
	return most, false
}
