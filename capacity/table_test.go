package capacity

import (
	"math"
	"testing"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

// markov is a queue of Poisson arrivals and exponential work at so many servers, each of
// which serves mu/s. tail is the share of requests that take longer than t seconds
// (Erlang 1917; Gross and Harris 1998, 2.3).
type markov struct{ servers, mu float64 }

func (m markov) tail(load, t float64) float64 {
	waits := erlangC(m.servers, load/(m.servers*m.mu))
	apart := m.servers - 1 - load/m.mu
	if math.Abs(apart) < 1e-9 {
		return math.Exp(-m.mu*t) * (1 + waits*m.mu*t)
	}
	return math.Exp(-m.mu*t) * (1 + waits/apart*(1-math.Exp(-m.mu*apart*t)))
}

func (m markov) quantile(load, q float64) float64 {
	low, high := 0.0, 100/m.mu
	for range 60 {
		if middle := (low + high) / 2; m.tail(load, middle) > 1-q {
			low = middle
		} else {
			high = middle
		}
	}
	return low
}

// breaks is the load at which p99 is t seconds.
func (m markov) breaks(t float64) float64 {
	low, high := 0.0, m.servers*m.mu
	for range 60 {
		if middle := (low + high) / 2; m.quantile(middle, 0.99) < t {
			low = middle
		} else {
			high = middle
		}
	}
	return low
}

// Exact quantiles of queues, as a table of another tool would hold them, with the use of
// their cores or slots: the capacity is that of the queue. What joins the quantiles must
// not count as measured.
func TestTablesOfQueues(t *testing.T) {
	t.Parallel()
	const (
		all = iota
		withMean
		p99Only
	)
	for name, c := range map[string]struct {
		queue    markov
		resource string
		columns  int
		ms       float64 // of p99
		within   float64
	}{
		"one core":                    {markov{1, 100}, "cpu", all, 150, 0.05},
		"two cores":                   {markov{2, 100}, "cpu", all, 100, 0.05},
		"two cores, far":              {markov{2, 100}, "cpu", all, 200, 0.05},
		"two cores, p99 only":         {markov{2, 100}, "cpu", p99Only, 80, 0.1},
		"ten slots, a mean and a p99": {markov{10, 40}, "pool.db", withMean, 130, 0.05},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var points []observation.Point
			for i, rho := range []float64{0.1, 0.2, 0.3, 0.4, 0.5, 0.55, 0.6} {
				x := rho * c.queue.servers * c.queue.mu
				p := observation.Point{Step: i, Kind: scenarios.KindLoad, Valid: true, Offered: x, Seconds: 60}
				p.Throughput, p.OK, p.Sent = x, uint64(60*x), uint64(60*x)
				p.Response.P99 = 1000 * c.queue.quantile(x, 0.99)
				if c.columns != p99Only {
					p.Response.Mean = 1000 * (1/c.queue.mu + erlangC(c.queue.servers, rho)/(c.queue.servers*c.queue.mu-x))
				}
				if c.columns == all {
					p.Response.P50, p.Response.P95 = 1000*c.queue.quantile(x, 0.5), 1000*c.queue.quantile(x, 0.95)
				}
				unit := map[string]string{"cpu": "cores", "pool.db": "slots"}[c.resource]
				p.Resources = map[string]observation.Use{c.resource: {Used: x / c.queue.mu, Limit: c.queue.servers, Unit: unit}}
				points = append(points, p)
			}
			a := Analyse(points, Spec{Objectives: []scenarios.Objective{{Metric: "p99", Op: "<", Value: c.ms}}})
			truth := c.queue.breaks(c.ms / 1000)
			k := a.Capacity
			if k == nil || k.Bound != Predicted {
				t.Fatalf("%+v, want %.4g predicted: %q", k, truth, a.Warnings)
			}
			if off := k.Value.Value/truth - 1; math.Abs(off) > c.within || k.Low > truth || k.High < truth {
				t.Errorf("%.4g (%.4g-%.4g) of %.4g: %+.1f%%", k.Value.Value, k.Low, k.High, truth, 100*off)
			}
			if top := points[len(points)-1].Offered; k.Low < top {
				t.Errorf("the interval begins at %.4g, below %.4g, which held", k.Low, top)
			}
		})
	}
}

// The groups of a table hold as many hits as its quantiles say, and spread evenly what the
// bins have in common with them.
func TestGroupsOfATable(t *testing.T) {
	t.Parallel()
	p := observation.Point{Offered: 100, Seconds: 10}
	p.OK, p.Throughput = 1000, 100
	p.Response = observation.Quantiles{P50: 10, P90: 20, P95: 20.01, P99: 40}
	w, first := imagined(&p)
	low := first / coarse
	width := (first+len(w.bins))/coarse - low + 1
	groups := w.grouped(w.bins, first, low, width)
	want := []float64{500, 450, 40, 10} // p95 is p90: no group between them
	if len(groups) != len(want) {
		t.Fatalf("%+v, want %v", groups, want)
	}
	for i, g := range groups {
		if math.Abs(g.n-want[i]) > 0.02*want[i]+0.5 || i > 0 && g.from != groups[i-1].to {
			t.Errorf("group %d: %+v, want %g", i, g, want[i])
		}
	}
	if groups[0].from != 0 || groups[len(groups)-1].to != float64(width) {
		t.Errorf("%+v do not reach from 0 to %d", groups, width)
	}
	g := stage{groups: []group{{0, 1.5, 6, 9}, {1.5, 3, 3, 9}}, total: 9}
	ratios := make([]float64, 3)
	g.ratios([]float64{0.2, 0.4, 0.4}, ratios)
	for k, want := range []float64{15, 0.5*15 + 0.5*5, 5} { // 6/0.4 and 3/0.6
		if math.Abs(ratios[k]-want) > 1e-9 {
			t.Errorf("ratio %d: %g, want %g", k, ratios[k], want)
		}
	}
	if got, want := g.likelihood([]float64{0.2, 0.4, 0.4}), 6*math.Log(0.4)+3*math.Log(0.6); math.Abs(got-want) > 1e-9 {
		t.Errorf("log likelihood %g, want %g", got, want)
	}
}
