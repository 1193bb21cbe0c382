package reports

import (
	"fmt"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

// missing says what the report cannot show, and what would make it.
func (c *computation) missing() {
	cpu, pprof := false, ""
	captured := false
	for _, s := range c.run.Steps {
		if _, ok := s.Resources["cpu"]; ok {
			cpu = true
		}
		for _, x := range s.Captures {
			captured = captured || x.File != ""
			if x.Error != "" && pprof == "" {
				pprof = " (" + x.Error + ")"
			}
		}
	}
	add := func(text string) { c.run.Missing = append(c.run.Missing, text) }
	if !captured {
		add("Flame graphs and lock waits: no profile was captured" + pprof + ". Serve net/http/pprof on the target, and name it under profiles.pprof if it is not at /debug/pprof.")
	}
	if !cpu {
		add("Resource use, bottleneck and cost: no CPU figure of the target was found. Set resources.process or resources.cgroup if it runs on this machine, or let it serve Prometheus metrics and name the page under resources.metrics.")
	}
	if c.searched() && c.run.Headroom == nil {
		add("Headroom: set capacity.demand.peak to the load that production brings.")
	}
	if c.searched() && c.run.Cost == nil && c.scenario.Capacity.Prices == nil {
		add("Cost per million requests: set capacity.prices.")
	}
	if c.scenario.Load.Search != nil && c.run.Attribution == nil && c.scenario.Capacity.Prices != nil && len(c.scenario.Target.Requests) > 1 {
		add("Cost by request: drill with --attribute, which varies the mix.")
	}
}

// method says in sentences how it was measured.
func (c *computation) method() {
	add := func(format string, args ...any) { c.run.Method = append(c.run.Method, fmt.Sprintf(format, args...)) }
	arrivals := "evenly spaced"
	switch c.scenario.Load.Arrivals {
	case scenarios.Poisson:
		arrivals = "Poisson arrivals, as of independent users, as many as the rate says"
	case scenarios.Trace:
		arrivals = "as recorded"
	}
	if c.scenario.Load.Closed != nil {
		add("Closed load: each virtual user waits for its answer before it asks again, so that a slow target is asked less often. Response time runs from the sending.")
	} else {
		add("Open load: hits are sent at planned instants (%s), whether or not earlier ones have been answered. Response time runs from the planned instant, so that waiting for a slow target, a connection or the generator is in it.", arrivals)
	}
	add("Latencies are kept in HDR histograms (%d significant digits) for each second, merged without loss; percentiles are never averaged.", observation.Digits)
	add("The first fifth of each step, 1 to 3 s, is warm-up and kept out of the figures (none of it in steps too short to spare a second).")
	if c.searched() {
		add("The search doubles the load until an objective breaks, then refines where that narrows the interval most, and offers the found load again, for longer.")
		if c.run.Capacity != nil {
			add("Capacity: %s.", c.run.Capacity.Method)
		}
		if c.outlook != "" {
			add("%s", c.outlook)
		}
	}
	if c.run.Profiling != nil {
		add("%s", profilingSentence(c.run.Profiling))
	}
	if c.run.Demand != nil {
		add("Demand per function: profiles of a step over the requests served meanwhile. A function stands for what it uses of Go's runtime and standard library too, and each sample counts for one function; the error is 1/sqrt(samples).")
	}
	add("Throughput counts hits that ended OK while their step was offered.")
}
