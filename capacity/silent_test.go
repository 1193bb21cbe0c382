package capacity

import (
	"testing"

	"github.com/headroom-project/headroom/scenarios"
)

// Memory that stays taken after an answer of half a millisecond is not told from the
// number in flight: errors are predicted of it where it fills first, and only there.
func TestErrorsArePredictedOfMemoryThatFillsFirst(t *testing.T) {
	t.Parallel()
	law := fitted{weight: 1}
	law.server = server{saturation: 400, servers: 4, scv: 1}
	law.bins = bins{edges: []float64{0.0004, 0.0006}, middle: []float64{0.0005}}
	law.base = []float64{1}
	errors := scenarios.Objective{Metric: "errors", Op: "<", Value: 0.01}
	pool := fit{name: "pool.db", unit: "slots", limit: 4, line: line{demand: 0.01}, exercised: true}
	for full, foretold := range map[float64]bool{290: true, 900: false} {
		memory := fit{name: "memory", unit: "bytes", limit: 2e8, line: line{base: 1e7, demand: 1.9e8 / full}, exercised: true}
		p := &predictor{limited: []fit{pool, memory}, top: 240}
		if why := p.silent(&law, errors); (why == "") != foretold {
			t.Errorf("full at %g/s: %q", full, why)
		}
	}
	p := &predictor{limited: []fit{pool}, top: 240}
	if p.silent(&law, errors) == "" {
		t.Error("errors are predicted of a pool")
	}
}

// What a prediction is calibrated as follows from what the drill shows.
func TestKindOfAPrediction(t *testing.T) {
	t.Parallel()
	cores := func(demand float64) fit {
		return fit{name: cpu, unit: "cores", limit: 2, line: line{demand: demand}, exercised: true}
	}
	pool := func(demand float64) fit {
		return fit{name: "pool.db", unit: "slots", limit: 4, line: line{demand: demand}, exercised: true}
	}
	law := func(shared bool, scv, weight float64) *fitted {
		f := &fitted{weight: weight}
		f.shared, f.scv = shared, scv
		return f
	}
	drifting := cores(0.005)
	drifting.drift = 0.001
	even := []*fitted{law(true, 1, 0.95), law(false, 8, 0.05)}
	for name, c := range map[string]struct {
		limited []fit
		main    int
		hidden  float64
		laws    []*fitted
		want    string
	}{
		"cores, shared":                        {[]fit{cores(0.005)}, 0, 0, even, restsOnSharing},
		"cores, in order":                      {[]fit{cores(0.005)}, 0, 0, []*fitted{law(false, 1, 1)}, restsOnOrder},
		"a drift":                              {[]fit{drifting}, 0, 0, even, restsOnDrift},
		"a pool, whatever its work":            {[]fit{pool(0.01), cores(0.002)}, 0, 0, []*fitted{law(false, 6, 1)}, restsOnSlots},
		"a pool, and cores a tenth above":      {[]fit{pool(0.01), cores(0.00455)}, 0, 0, []*fitted{law(false, 1, 1)}, restsOnTwo},
		"a pool, and cores a quarter above":    {[]fit{pool(0.01), cores(0.004)}, 0, 0, []*fitted{law(false, 1, 1)}, restsOnSlots},
		"a pool that is fitted, cores nearest": {[]fit{pool(0.008), cores(0.005)}, 0, 0, []*fitted{law(false, 1, 1)}, restsOnTwo},
		"a queue that nothing measures":        {[]fit{cores(0.005)}, 0, 0.9, even, restsOnQueue},
	} {
		p := &predictor{limited: c.limited, main: c.main}
		if got := p.kind(c.hidden, c.laws); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
