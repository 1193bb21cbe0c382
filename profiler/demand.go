package profiler

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Load is what was captured at one load.
type Load struct {
	// Step is its number; RPS the throughput in requests/s.
	Step int
	RPS  float64
	// Requests is how many were served while the profiles were being taken, and
	// Seconds how long that was. They are scaled down if some of the target's
	// instances are missing from the profiles.
	Requests, Seconds float64
	// Pprofs are the profiles of one type: of several blocks, or instances.
	Pprofs [][]byte
}

// Demand is what one request takes of one thing, function by function.
type Demand struct {
	// Type is cpu, alloc_space, alloc_objects or delay; Unit nanoseconds, bytes or
	// count.
	Type, Unit string
	// Totals has one entry for each load, in the order of RPS.
	Totals []PerRequest
	// Functions are ordered by Own, the largest first.
	Functions []FunctionDemand
	// Profiling is what it took to take and send the profiles, for each request
	// served meanwhile; it is in none of the other figures.
	Profiling float64
}

// PerRequest is the cost of one request at one load.
type PerRequest struct {
	Step int
	RPS  float64
	Amount
	// Samples is how many it rests on: its relative error is about
	// 1/sqrt(Samples).
	Samples float64
}

// FunctionDemand is what one request takes of one function.
type FunctionDemand struct {
	Name string
	// Own is what is put down to it: itself, and what it uses of Go's runtime and
	// standard library; or for a function of the library, all below it. The Own
	// of all functions add up to the total. Self is in the function itself, Cum
	// also in all that it calls. They are means over all loads.
	Own, Self, Cum Amount
	// Samples is how many Own rests on.
	Samples float64
	// At is Own at each load, in the order of Demand.Totals.
	At []PerRequest
	// Slope is by how much Own grows with each request/s of load, SlopeError its
	// standard error; both 0 with fewer than three loads.
	Slope, SlopeError float64
	// Growing says that Own grows with the load: beyond chance, with a share of 5%
	// of all functions so named wrongly, and by enough to matter.
	Growing bool
}

const (
	// falseShare is the share of functions that are named wrongly.
	falseShare = 0.05
	// growsBy is by how much of its least value Own must grow, and matters the
	// share of the total that this must be.
	growsBy = 0.1
	matters = 0.01
	// leastSamples is how many samples a trend must rest on.
	leastSamples = 100
)

// Demands computes what a request takes of one kind of value at several loads:
// cpu, alloc_space, alloc_objects, delay. Loads without requests or profiles are
// left out. It fails on a profile that is malformed, too large, or of another
// type.
func Demands(typ string, loads []Load) (Demand, error) {
	d := Demand{Type: typ}
	loads = slices.DeleteFunc(slices.Clone(loads), func(l Load) bool { return !(l.Requests > 0) || len(l.Pprofs) == 0 })
	slices.SortStableFunc(loads, func(a, b Load) int { return cmp.Compare(a.RPS, b.RPS) })
	all := make([]*costs, len(loads))
	requests := 0.0
	for i, l := range loads {
		c, err := l.costs(typ)
		if err != nil {
			return Demand{}, fmt.Errorf("step %d: %w", l.Step, err)
		}
		all[i] = c
		d.Unit = c.unit
		d.Profiling += c.profiling
		requests += l.Requests
		d.Totals = append(d.Totals, PerRequest{l.Step, l.RPS, c.total.times(1 / l.Requests), c.samples})
	}
	if requests > 0 {
		d.Profiling /= requests
	}
	named := map[string]bool{}
	for _, c := range all {
		for name := range c.functions {
			if !named[name] {
				named[name] = true
				d.Functions = append(d.Functions, demandOf(name, loads, all))
			}
		}
	}
	slices.SortFunc(d.Functions, func(a, b FunctionDemand) int {
		return cmp.Or(cmp.Compare(b.Own.Value, a.Own.Value), cmp.Compare(b.Cum.Value, a.Cum.Value), cmp.Compare(a.Name, b.Name))
	})
	d.grow(loads)
	return d, nil
}

// costs are those of all profiles of a load together.
func (l Load) costs(typ string) (*costs, error) {
	p, err := decodeAll(l.Pprofs)
	if err != nil {
		return nil, err
	}
	return costsOf(p, typ)
}

func demandOf(name string, loads []Load, all []*costs) FunctionDemand {
	f := FunctionDemand{Name: name}
	requests := 0.0
	for i, l := range loads {
		requests += l.Requests
		at := PerRequest{Step: l.Step, RPS: l.RPS}
		if c := all[i].functions[name]; c != nil {
			f.Own = sum(f.Own, c.own)
			f.Self = sum(f.Self, c.self)
			f.Cum = sum(f.Cum, c.cum)
			f.Samples += c.samples
			at.Amount, at.Samples = c.own.times(1/l.Requests), c.samples
		}
		f.At = append(f.At, at)
	}
	f.Own, f.Self, f.Cum = f.Own.times(1/requests), f.Self.times(1/requests), f.Cum.times(1/requests)
	return f
}

func sum(a, b Amount) Amount { return Amount{a.Value + b.Value, a.Variance + b.Variance} }

// grow fits the slopes, and says which functions grow; loads are those of Totals.
func (d *Demand) grow(loads []Load) {
	if len(d.Totals) < 3 {
		return
	}
	var tested []int
	var chances []float64
	for i := range d.Functions {
		f := &d.Functions[i]
		l, ok := f.fit(loads)
		if !ok {
			continue
		}
		f.Slope, f.SlopeError = l.slope, math.Sqrt(l.slopeVar)
		tested, chances = append(tested, i), append(chances, l.chance())
	}
	low, high := d.Totals[0], d.Totals[len(d.Totals)-1]
	for k, found := range discoveries(chances, falseShare) {
		f := &d.Functions[tested[k]]
		rise := f.Slope * (high.RPS - low.RPS)
		f.Growing = found && rise > growsBy*max(f.At[0].Value, 0) && rise > matters*high.Value
	}
}

// fit fits Own against load. The variance at each load is what it would be if the
// function cost the same at all of them: that of the mean, shared out by requests.
// The variance that was observed will not do: a load at which few samples came by
// chance would seem to be known best, and a line through it to be steep for sure.
func (f *FunctionDemand) fit(loads []Load) (line, bool) {
	if f.Samples < leastSamples {
		return line{}, false
	}
	requests := 0.0
	for _, l := range loads {
		requests += l.Requests
	}
	var x, y, variance []float64
	for i, at := range f.At {
		x, y = append(x, at.RPS), append(y, at.Value)
		variance = append(variance, f.Own.Variance*requests/loads[i].Requests)
	}
	return fitLine(x, y, variance)
}
