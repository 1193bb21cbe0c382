package capacity

import (
	"math"
	"testing"

	"github.com/headroom-project/headroom/scenarios"
)

// A law by which an objective breaks at every load contradicts the steps, all of
// which held: it counts as though it broke at the highest of them.
func TestLawThatBreaksAtEveryLoad(t *testing.T) {
	t.Parallel()
	b := newBins(int(math.Log(1e3)/logBin)/coarse, int(math.Log(1e6)/logBin)/coarse)
	law := func(seconds float64) *fitted {
		l := fitted{latency: latency{server: server{saturation: 400, servers: 4, scv: 1}, bins: b, base: make([]float64, len(b.middle))}}
		for k := range b.middle {
			if b.edges[k] <= seconds && seconds < b.edges[k+1] {
				l.base[k] = 1
			}
		}
		return &l
	}
	p := &predictor{top: 240}
	fast, slow := law(0.01), law(0.2)
	o := scenarios.Objective{Request: "buy", Metric: "p99", Op: "<", Value: 100}
	alone, _ := p.agreed([]opinion{{fast, 1}}, fast, o, 1e9)
	if alone < 300 || alone > 400 {
		t.Fatalf("the law that does not break below breaks at %g", alone)
	}
	both, ok := p.agreed([]opinion{{fast, 0.5}, {slow, 0.5}}, fast, o, 1e9)
	if want := math.Sqrt(alone * 240); !ok || math.Abs(both/want-1) > 1e-6 {
		t.Errorf("%g, want %g: half way, in logs, from 240 to %g", both, want, alone)
	}
	if x, _ := p.agreed([]opinion{{slow, 1}}, fast, o, 200); math.Abs(x-200) > 1e-6 {
		t.Errorf("%g, want the ceiling, 200", x)
	}
	if _, ok := p.agreed(nil, fast, o, 1e9); ok {
		t.Error("a load without a law")
	}
}
