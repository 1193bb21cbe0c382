package capacity

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"

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

// cost fills in Cost, for each load that is known.
func (a *Analysis) cost(all []series, fits []fit, spec Spec) {
	p := spec.Prices
	if p == nil {
		return
	}
	if !(p.VCPUHour >= 0 && p.GBHour >= 0 && p.EgressGB >= 0) {
		a.warn("no cost: a price is negative or not a number")
		return
	}
	c := &Cost{Currency: p.Currency, rule: a.pricing(all, fits, spec)}
	if c.Currency == "" {
		c.Currency = "USD"
	}
	if spec.DemandRPS > 0 {
		c.At = append(c.At, c.AtLoad(AtNow, Value{Value: spec.DemandRPS, Low: spec.DemandRPS, High: spec.DemandRPS}))
	}
	if x := c.rule.capacity; x != nil && x.Value.Value > 0 {
		c.At = append(c.At, c.AtLoad(AtCapacity, x.Value))
	}
	if len(c.At) == 0 {
		a.warn("no cost: neither the demand nor the capacity is known")
		return
	}
	first := c.At[0]
	c.Marginal, c.Loaded, c.Idle, c.Parts, c.AtRPS = first.Marginal, first.Loaded, first.Idle, first.Parts, first.RPS
	a.Cost = c
	a.Warnings = append(a.Warnings, c.Marginal.Warnings...)
}

// believed are the fits, of which those that can give out are by what a prediction made of
// them: where use and responses together speak for crosstalk, a law of the use alone would
// price a straight line.
func believed(fits, limited []fit) []fit {
	all := slices.Clone(fits)
	for i := range all {
		if k := slices.IndexFunc(limited, func(f fit) bool { return f.name == all[i].name }); k >= 0 {
			all[i] = limited[k]
		}
	}
	return all
}

// pricing is the rule by which a load is priced.
type pricing struct {
	prices     scenarios.Prices
	confidence float64
	// fits are of what has a price and was seen to grow with the load.
	fits []fit
	// hourly is the price of an hour of all that is allocated to one replica, and
	// egress that of one answer.
	hourly, egress float64
	failed         failures
	// capacity is nil if it is not known.
	capacity *Capacity
	doubts   []string
}

func (a *Analysis) pricing(all []series, fits []fit, spec Spec) *pricing {
	p := &pricing{prices: *spec.Prices, confidence: spec.Confidence, failed: failuresOf(all)}
	if c := a.Capacity; c != nil && c.Bound != Below {
		p.capacity = c
	}
	p.egress = egressPerRequest(all) * p.prices.EgressGB / gigabyte
	p.allocated(all, fits)
	if p.egress == 0 && p.prices.EgressGB > 0 {
		p.doubts = append(p.doubts, "the cost leaves egress out: the size of the answers is not known")
	}
	for _, f := range fits {
		if hourlyPrice(f.name, p.prices) > 0 && f.exercised {
			p.fits = append(p.fits, f)
		}
	}
	return p
}

// AtLoad prices a load with its interval, in requests/s. Marginal is what one more million
// good requests use, by the growth of the use there; Loaded is what all that is allocated
// costs, divided by the good requests that it serves (docs/model.md):
//
//	marginal = (vcpu*U'_cpu(y) + gb*U'_memory(y)) / 3600 + egress/g
//	loaded   = (vcpu*L_cpu + gb*L_memory) / (3600 y) + egress/g
//	idle     = loaded - marginal
//
// x is what one of the replicas that carry the load is asked, g the share of it that is
// answered OK, and y = g x. The use was fitted over what was answered OK, so that U' is
// of a good request, failures on the way and all. Idle is 0 rather than negative: where
// the use rises so steeply that one more request takes more than its share of all that
// is allocated, nothing idles.
func (c *Cost) AtLoad(name string, load Value) CostAt {
	x, replicas := c.rule.each(name, load)
	return c.of(name, load, x, replicas)
}

// OfReplica is the cost of one replica that is asked a load in requests/s, be that more than
// its capacity.
func (c *Cost) OfReplica(load float64) CostAt {
	x := Value{Value: load, Low: load, High: load}
	return c.of("", x, x, 1)
}

// of is the cost of a load, of which each of so many replicas has x.
func (c *Cost) of(name string, load, x Value, replicas int) CostAt {
	p := c.rule
	good, y := p.failed.answered(x)
	doubts := slices.Clone(p.doubts)
	if replicas > 1 {
		doubts = append(doubts, fmt.Sprintf("%.4g/s are more than one replica carries: the cost is that of %d", load.Value, replicas))
	}
	out := CostAt{Load: name, RPS: load.Value, Replicas: replicas, Parts: p.marginals(y, good)}
	out.Marginal = Value{Confidence: p.confidence, Method: p.method(), Warnings: doubts}
	for _, name := range []string{cpu, memory, egressPart} { // in one order: sums of floats differ by it
		part := out.Parts[name]
		out.Marginal.Value, out.Marginal.Low, out.Marginal.High = out.Marginal.Value+part.Value, out.Marginal.Low+part.Low, out.Marginal.High+part.High
	}
	if p.unknown(out.Parts) {
		out.Marginal = Value{Method: NotKnown, Warnings: append(slices.Clone(doubts), "what a million more requests cost is not known: no use of what has a price was seen to grow with the load")}
	}
	loaded := func(y, good float64) float64 {
		return million * (p.hourly/(secondsPerHour*y) + p.egress/good)
	}
	out.Loaded = Value{
		Value: loaded(y.Value, good.Value), Low: loaded(y.High, good.High), High: loaded(y.Low, good.Low),
		Confidence: p.confidence, Method: "all that is allocated, over the load it serves" + p.failed.at(x.Value).said(), Warnings: doubts,
	}
	if name == AtCapacity && p.capacity != nil && p.capacity.Bound == Above {
		out.Loaded.Warnings = append(slices.Clone(doubts), "the capacity is at least this: at the capacity itself requests cost no more")
	}
	if out.Marginal.Method == NotKnown {
		out.Idle = Value{Method: NotKnown}
		return out
	}
	out.Idle = Value{
		Value: max(out.Loaded.Value-out.Marginal.Value, 0),
		Low:   max(out.Loaded.Low-out.Marginal.High, 0), High: max(out.Loaded.High-out.Marginal.Low, 0),
		Confidence: p.confidence, Method: "loaded - marginal",
	}
	if out.Marginal.Value > out.Loaded.Value {
		out.Idle.Warnings = []string{"one more request takes more than its share of all that is allocated: nothing idles at this load"}
	}
	return out
}

// Good is the share of what a replica is asked, in requests/s, that it answers OK.
func (c *Cost) Good(load float64) float64 { return 1 - c.rule.failed.at(load).Value }

// each is the load of one of the replicas that carry a load, and how many these are: one
// where the capacity is not known, or is the load.
func (p *pricing) each(name string, load Value) (x Value, replicas int) {
	c := p.capacity
	load.Low = max(load.Low, 0.01*load.Value) // what is allocated costs, for whatever is served
	if name == AtCapacity {
		return load, 1
	}
	if c == nil || !(c.Low > 0) {
		return load, 1
	}
	n := carriers(load.Value, c.Value.Value)
	x = Value{Value: load.Value / n}
	x.Low = min(leastEach(load.Low, load.High, c.Low), x.Value)
	x.High = max(mostEach(load.Low, load.High, c.High), x.Value)
	return x, int(n)
}

// carriers is how many replicas of a capacity carry a load.
func carriers(load, capacity float64) float64 { return max(math.Ceil(load/capacity*(1-1e-9)), 1) }

// leastEach is the least load of each of the replicas that carry one from low to high.
// It is a saw: it rises with the load, and falls where another replica is needed, the
// most where that is the second.
func leastEach(low, high, capacity float64) float64 {
	n := carriers(low, capacity)
	least := low / n
	if n*capacity < high*(1-1e-9) {
		least = min(least, n*capacity/(n+1))
	}
	return least
}

// mostEach is the greatest such load: the capacity, if any number of replicas carries that.
func mostEach(low, high, capacity float64) float64 {
	if n := math.Floor(high / capacity); n >= 1 && n*capacity >= low {
		return capacity
	}
	return high / carriers(high, capacity)
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

// unknown says that the parts tell nothing of what a million more requests cost: every
// request takes cores, and these have a price. Memory that rests is no part of one.
func (p *pricing) unknown(parts map[string]Value) bool {
	return len(parts) == 0 && p.prices.VCPUHour > 0
}

// NotKnown is the method of a part of a cost that is not known; its value is 0 and means
// nothing.
const NotKnown = "not known"

// How what a million more requests use is known.
const (
	byDemand = "demand for each request times price"
	bySlope  = "growth of the use at this load times price"
)

func (p *pricing) method() string {
	if slices.ContainsFunc(p.fits, func(f fit) bool { return f.curved() }) {
		return bySlope
	}
	return byDemand
}

// marginals are the prices of what a million more good requests use of cores and memory,
// where a replica answers so many requests/s OK, a share of what it is asked, and of the
// answers.
func (p *pricing) marginals(y, good Value) map[string]Value {
	parts := map[string]Value{}
	for i := range p.fits {
		f := &p.fits[i]
		v := f.growth(y, p.confidence)
		k := million * hourlyPrice(f.name, p.prices) / secondsPerHour
		v.Value, v.Low, v.High, v.Method = k*v.Value, k*v.Low, k*v.High, byDemand
		if f.curved() {
			v.Method = bySlope
		}
		parts[f.name] = v
	}
	if k := million * p.egress; k > 0 {
		parts[egressPart] = Value{Value: k / good.Value, Low: k / good.High, High: k / good.Low, Confidence: p.confidence, Method: "size of the answers times price"}
	}
	return parts
}

// growth is what one more request takes at a load, with the interval over the replicates
// and over that of the load.
func (f *fit) growth(load Value, confidence float64) Value {
	over := func(load float64) (from, to float64) {
		slopes := make([]float64, 0, len(f.draws))
		for _, d := range f.draws {
			slopes = append(slopes, max(f.slopeOf(d, load), 0))
		}
		return interval(slopes, confidence)
	}
	v := Value{Value: f.slopeOf(f.line, load.Value), Confidence: confidence}
	v.Low, _ = over(load.Low)
	_, v.High = over(load.High)
	v.Low, v.High = min(v.Low, v.Value), max(v.High, v.Value)
	if f.curved() && v.Low > 0 {
		// The slope goes by the form of the curve, which is nearly that of the resource (askew).
		besides := askew * distuv.UnitNormal.Quantile((1+confidence)/2)
		v.Low = v.Value * math.Exp(-math.Hypot(math.Log(v.Low/v.Value), besides))
		v.High = v.Value * math.Exp(math.Hypot(math.Log(v.High/v.Value), besides))
	}
	return v
}

// slopeOf is the slope of a replicate, which says nothing beyond its limit; beyond the
// highest reading, if there is none and the use has a pole, which may lie just above.
func (f *fit) slopeOf(l line, load float64) float64 {
	switch {
	case f.limit > 0:
		load = min(load, l.reaches(f.limit))
	case l.pole > 0:
		top := 0.0
		for _, u := range f.readings {
			top = max(top, u.load)
		}
		load = min(load, top)
	}
	return l.slope(load)
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

// allocated prices an hour of all that is allocated: limits, or the most that was used
// where there is none.
func (p *pricing) allocated(all []series, fits []fit) {
	for _, name := range []string{cpu, memory} {
		price := hourlyPrice(name, p.prices)
		if price == 0 {
			continue
		}
		amount, known := allocation(all, name)
		p.hourly += price * amount
		switch {
		case amount == 0:
			p.doubts = append(p.doubts, "no readings of "+name+": its cost is left out")
		case !known:
			p.doubts = append(p.doubts, "no limit of "+name+" is known: its cost is of the most that was used")
		}
		if most := mostUsed(all, name); name == memory && known && most > 0 && most < ofMachine*amount {
			p.doubts = append(p.doubts, fmt.Sprintf("the cost is of all that memory's limit allows, %.3g GB, of which no more than %.2g%% was used: a limit of the machine, perhaps, and not of the target; hint: give the target a limit of memory, or memory a price of 0", amount/gigabyte, 100*most/amount))
		}
		i := slices.IndexFunc(fits, func(f fit) bool { return f.name == name })
		switch {
		case amount > 0 && i < 0:
			p.doubts = append(p.doubts, "the demand of "+name+" could not be fitted: marginal cost leaves it out")
		case amount > 0 && name == cpu && !fits[i].exercised:
			// Every request takes cores; memory that rests is no part of one.
			p.doubts = append(p.doubts, "marginal cost leaves cpu out: its use did not grow with the load beyond doubt")
		}
	}
}

// ofMachine is the share of memory's limit below which that is hardly the target's own.
const ofMachine = 0.05

func allocation(all []series, name string) (amount float64, known bool) {
	var limit float64
	for _, s := range all {
		u := s.point.Resources[name]
		if u.Limit > 0 && !math.IsInf(u.Limit, 0) {
			limit = u.Limit
		}
	}
	if limit > 0 {
		return limit, true
	}
	return mostUsed(all, name), false
}

// mostUsed is the most that was used of a resource, 0 if nothing tells.
func mostUsed(all []series, name string) (most float64) {
	for _, s := range all {
		if u := s.point.Resources[name]; u.Used > most && !math.IsInf(u.Used, 0) {
			most = u.Used
		}
	}
	return most
}
