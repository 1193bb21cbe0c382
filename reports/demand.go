package reports

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/headroom-project/headroom/capacity"
	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/profiler"
	"github.com/headroom-project/headroom/scenarios"
)

// Demand is what one request takes of the target, function by function.
type Demand struct {
	// Summary says in a sentence what the demand consists of.
	Summary string `json:"summary"`
	// Profiles has one entry for each kind: cpu, alloc_bytes, alloc_objects,
	// lock_wait.
	Profiles []ProfileDemand `json:"profiles"`
	// GCPerMillion is the number of garbage collections for a million requests, by
	// exact counters; 0 if there are none.
	GCPerMillion float64 `json:"gc_per_million,omitempty"`
	// Waits are the places where requests wait for one another, the one that adds
	// most at capacity first.
	Waits []WaitDemand `json:"waits,omitempty"`
}

// ProfileDemand is what one request takes of one kind of thing.
type ProfileDemand struct {
	Kind string `json:"kind"`
	Unit string `json:"unit"` // nanoseconds, bytes, count
	// PerRequest is the mean over the steps, Error its standard error from Samples
	// samples: about 1/sqrt(Samples) of it.
	PerRequest float64 `json:"per_request"`
	Error      float64 `json:"error"`
	Samples    int64   `json:"samples"`
	// Exact is the same from counters that do not sample, over the same time; 0 if
	// there are none.
	Exact float64 `json:"exact_per_request,omitempty"`
	// Profiling is what taking the profiles took of it, for each request served
	// meanwhile: in Exact, in no other figure.
	Profiling float64 `json:"profiling_per_request,omitempty"`
	// Steps has the total at each load, in the order of the load.
	Steps []StepDemand `json:"steps"`
	// Functions lists those that take most, and after them any other that grows.
	Functions []FunctionDemand `json:"functions"`
}

// StepDemand is what one request takes at one load.
type StepDemand struct {
	Step       int     `json:"step"`
	RPS        float64 `json:"rps"`
	PerRequest float64 `json:"per_request"`
	Error      float64 `json:"error"`
}

// FunctionDemand is what one request takes of one function.
type FunctionDemand struct {
	Name string `json:"name"`
	// PerRequest is what is put down to the function: its own code, and what it
	// uses of Go's runtime and standard library; or for a function of the library
	// that the target calls, all below it. Over all functions it adds up to the
	// whole. Self is its own code only, Cum is with all it calls.
	PerRequest float64 `json:"per_request"`
	Error      float64 `json:"error"`
	Share      float64 `json:"share"`
	Self       float64 `json:"self"`
	Cum        float64 `json:"cum"`
	Samples    int64   `json:"samples"`
	// Slope is by how much PerRequest grows for each request/s of load. Growing
	// says that it does, beyond chance and by enough to matter.
	Slope      float64 `json:"slope,omitempty"`
	SlopeError float64 `json:"slope_error,omitempty"`
	Growing    bool    `json:"growing,omitempty"`
	// Steps has PerRequest at each load.
	Steps []StepDemand `json:"steps"`
}

// WaitDemand is a place where requests wait for one another.
type WaitDemand struct {
	Function string `json:"function"`
	Kind     string `json:"kind"` // lock, channel, wait
	// AddsMS is by how much the wait of a request is longer than at the lowest load: at the
	// capacity where that was measured, else at the highest load that was offered.
	AddsMS float64 `json:"adds_ms"`
	// Saturates is the load at which the wait grows without bound, if it follows
	// from the measurements.
	Saturates *Estimate    `json:"saturates_rps,omitempty"`
	Steps     []StepDemand `json:"steps"` // in nanoseconds
}

// kinds are what demand is computed of: a type of capture, a kind of value in it,
// and its name in a report.
var demandKinds = []struct{ capture, value, kind string }{
	{"cpu", "cpu", "cpu"},
	{"allocs", "alloc_space", "alloc_bytes"},
	{"allocs", "alloc_objects", "alloc_objects"},
	{"mutex", "delay", "lock_wait"},
}

// mostDemands and mostWaits bound what run.json lists.
const (
	mostDemands = 25
	mostWaits   = 10
)

// demand computes what a request takes of the target.
func (c *computation) demand() {
	d := &Demand{}
	for _, k := range demandKinds {
		loads := c.loads(k.capture)
		if len(loads) == 0 {
			continue
		}
		x, err := profiler.Demands(k.value, loads)
		if err != nil {
			c.warn(fmt.Sprintf("demand of %s: %v", k.kind, err))
			continue
		}
		if p := profileDemand(k.kind, x, loads); p.PerRequest > 0 {
			p.Exact = c.exact(k.kind)
			c.doubtCoverage(p)
			d.Profiles = append(d.Profiles, p)
		}
	}
	d.Waits = c.waitsAtCapacity()
	if len(d.Profiles) == 0 && len(d.Waits) == 0 {
		return
	}
	d.GCPerMillion = 1e6 * cmp.Or(max(c.counted("gc_cycles")-c.counted("gc_forced"), 0), c.metered("gc"))
	d.Summary = summary(&c.run, d)
	c.run.Demand = d
}

func profileDemand(kind string, d profiler.Demand, loads []profiler.Load) ProfileDemand {
	p := ProfileDemand{Kind: kind, Unit: d.Unit, Profiling: d.Profiling, Steps: stepDemands(d.Totals), Functions: []FunctionDemand{}}
	var total profiler.Amount
	requests := 0.0
	for i, t := range d.Totals {
		// Totals are ordered by load; so are not loads.
		n := requestsOf(loads, t.Step)
		total.Value += t.Value * n
		total.Variance += t.Variance * n * n
		requests += n
		p.Samples += int64(d.Totals[i].Samples)
	}
	p.PerRequest, p.Error = total.Value/requests, total.Error()/requests
	for i, f := range d.Functions {
		if i >= mostDemands && !f.Growing || !(f.Own.Value > 0) {
			continue
		}
		p.Functions = append(p.Functions, FunctionDemand{
			Name: f.Name, PerRequest: f.Own.Value, Error: f.Own.Error(), Share: f.Own.Value / p.PerRequest,
			Self: f.Self.Value, Cum: f.Cum.Value, Samples: int64(f.Samples),
			Slope: f.Slope, SlopeError: f.SlopeError, Growing: f.Growing, Steps: stepDemands(f.At),
		})
		if len(p.Functions) == 2*mostDemands {
			break
		}
	}
	return p
}

// covered is the share of the exact figure that a profile must account for, if it
// has samples enough to tell.
const covered, enoughSamples = 0.8, 400

// doubtCoverage warns of a CPU profile that misses much of what was used.
func (c *computation) doubtCoverage(p ProfileDemand) {
	if p.Kind != "cpu" || p.Exact <= 0 || p.Samples < enoughSamples {
		return
	}
	if share := (p.PerRequest + p.Profiling) / p.Exact; share < covered {
		c.warn(fmt.Sprintf("the CPU profiles account for %s of the CPU that the target used: shares of functions are right, amounts too low", percent(share)))
	}
}

func requestsOf(loads []profiler.Load, step int) float64 {
	for _, l := range loads {
		if l.Step == step {
			return l.Requests
		}
	}
	return 0
}

func stepDemands(list []profiler.PerRequest) []StepDemand {
	out := make([]StepDemand, 0, len(list))
	for _, x := range list {
		out = append(out, StepDemand{Step: x.Step, RPS: x.RPS, PerRequest: x.Value, Error: x.Error()})
	}
	return out
}

// waitsAtCapacity lists where requests wait for one another.
func (c *computation) waitsAtCapacity() []WaitDemand {
	at := 0.0
	if x := c.run.Capacity; x != nil && x.Bound == "" {
		at = x.RPS.Value
	}
	waits, err := profiler.Waits(c.loads("mutex"), c.loads("block"), at)
	if err != nil {
		c.warn(fmt.Sprintf("waits: %v", err))
		return nil
	}
	var out []WaitDemand
	for _, w := range waits[:min(len(waits), mostWaits)] {
		x := WaitDemand{Function: w.Function, Kind: w.Kind, AddsMS: w.Adds.Value / 1e6, Steps: stepDemands(w.At)}
		if w.Saturates > 0 && !c.carriesMoreThan(w.High) {
			x.Saturates = &Estimate{Value: w.Saturates, Low: w.Low, High: w.High, Confidence: 0.9}
		}
		out = append(out, x)
	}
	return out
}

// carriesMoreThan says that the capacity, measured or predicted, is above a load for sure: what
// is read as a queue of one server that is full there has several (a pool of slots).
func (c *computation) carriesMoreThan(load float64) bool {
	x := c.run.Capacity
	return x != nil && (x.Bound == "" || x.Bound == capacity.Predicted) && x.RPS.Low > load
}

// whereAdded names the load that waits are added at.
func whereAdded(r *Run) string {
	if r.Capacity != nil && r.Capacity.Bound == "" {
		return "at capacity"
	}
	return "at the highest load"
}

// exact is what a request takes by counters that do not sample, over the time that
// profiles were taken in; 0 if there are none.
func (c *computation) exact(kind string) float64 {
	switch kind {
	case "cpu":
		profiled := c.halves().profiled
		return ratio(profiled.cpu*1e9, profiled.cpuRequests)
	case "alloc_bytes":
		return cmp.Or(c.counted("total_alloc"), c.metered("alloc.bytes"))
	case "alloc_objects":
		return cmp.Or(c.counted("mallocs"), c.metered("alloc.objects"))
	}
	return 0
}

// metered is what a request takes by the target's own metrics page, over the
// steps that count; 0 if it does not say.
func (c *computation) metered(resource string) float64 {
	sum, requests := 0.0, 0.0
	for i := range c.points {
		p := &c.points[i]
		if u, ok := p.Resources[resource]; ok && p.Valid && p.Kind != scenarios.KindWarmup {
			sum += u.Used * p.Seconds
			requests += p.Throughput * p.Seconds
		}
	}
	return ratio(sum, requests)
}

func ratio(a, b float64) float64 {
	if b > 0 {
		return a / b
	}
	return 0
}

// counted is the growth of a counter for each request, over the loads that count.
func (c *computation) counted(name string) float64 {
	sum, requests := 0.0, 0.0
	for i := range c.points {
		p := &c.points[i]
		_, _, captures := c.reducer.Record(p.Step)
		for _, x := range captures {
			v, ok := x.Counters[name]
			if x.Type != observation.CountersType || !ok || p.Kind == scenarios.KindWarmup {
				continue
			}
			sum += v
			requests += c.served(p, span{x.From, x.To})
		}
	}
	return ratio(sum, requests)
}

// Bounds of what the summary names.
const (
	namedShare = 0.05
	mostNamed  = 3
)

// summary says in a sentence what the demand consists of: what the bottleneck is
// made of first.
func summary(r *Run, d *Demand) string {
	var parts []string
	for _, p := range d.Profiles {
		if p.Kind == "cpu" {
			parts = append(parts, "cpu: "+nanos(p.PerRequest)+" a request, "+composition(p))
		}
	}
	if w := namedWaits(d.Waits, r.Saturation, whereAdded(r)); w != "" {
		parts = append(parts, w)
		if r.Saturation != nil && len(r.Saturation.Bottlenecks) > 0 && strings.HasPrefix(r.Saturation.Bottlenecks[0].Resource, "lock") {
			parts[0], parts[len(parts)-1] = parts[len(parts)-1], parts[0]
		}
	}
	for _, p := range d.Profiles {
		if p.Kind == "cpu" {
			parts = append(parts, growths(p)...)
		}
	}
	return strings.Join(parts, "; ")
}

// demandLines say what a request takes, and what it cost to find that out.
func demandLines(r *Run) []string {
	var out []string
	if r.Demand != nil && !figureless(r) {
		out = append(out, clean(r.Demand.Summary))
	}
	if r.Profiling != nil && len(out) > 0 {
		out = append(out, profilingSentence(r.Profiling))
	}
	return nonEmpty(out)
}

// composition lists the functions that take most.
func composition(p ProfileDemand) string {
	var list []string
	for i, f := range p.Functions {
		if i == 0 || len(list) < mostNamed && f.Share >= namedShare {
			list = append(list, percent(f.Share)+" "+plainName(f.Name))
		}
	}
	return strings.Join(list, ", ")
}

// plainName is a function as people call it.
func plainName(name string) string {
	switch {
	case strings.HasPrefix(name, "runtime.gcBgMarkWorker"), strings.HasPrefix(name, "runtime.bgsweep"), strings.HasPrefix(name, "runtime.bgscavenge"):
		return "garbage collection"
	case name == "runtime.mcall", name == "runtime.mstart", name == "runtime.schedule", name == "runtime.park_m":
		return "the scheduler"
	case name == "net/http.(*conn).serve":
		return "net/http"
	}
	return shortName(name)
}

// namedWaits is about the waits that add at least a tenth of the first.
func namedWaits(waits []WaitDemand, model *Saturation, where string) string {
	var list []string
	for i, w := range waits {
		if i == mostNamed || w.AddsMS < waits[0].AddsMS/10 {
			break
		}
		s := w.Kind + ": " + shortName(w.Function) + ", adds " + millis(w.AddsMS) + " " + where
		switch {
		case model != nil && len(model.Bottlenecks) > 0 && model.Bottlenecks[0].RPS > 0 && model.Bottlenecks[0].Resource == "lock: "+shortName(w.Function):
			// Seen saturated, which says more than the waits below it.
			s += ", saturates at " + perSecond(model.Bottlenecks[0].RPS) + " req/s"
		case w.Saturates != nil:
			s += ", saturates at " + perSecond(w.Saturates.Value) + " req/s"
		}
		list = append(list, s)
	}
	return strings.Join(list, "; ")
}

// growths names the functions whose cost grows with the load.
func growths(p ProfileDemand) []string {
	var out []string
	for _, f := range p.Functions {
		if !f.Growing || len(out) == mostNamed || len(f.Steps) == 0 {
			continue
		}
		first, last := f.Steps[0], f.Steps[len(f.Steps)-1]
		out = append(out, fmt.Sprintf("%s grows with the load: %s a request at %s req/s, %s at %s", plainName(f.Name),
			nanos(first.PerRequest), perSecond(first.RPS), nanos(last.PerRequest), perSecond(last.RPS)))
	}
	return out
}
