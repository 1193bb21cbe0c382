package capacity

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

// failingRows are rows of a table of which a share fails.
func failingRows(share func(load float64) float64, loads ...float64) []observation.Point {
	var points []observation.Point
	for i, x := range loads {
		e := share(x)
		p := observation.Point{Step: i, Kind: scenarios.KindLoad, Valid: true, Offered: x, Seconds: 60}
		p.Throughput, p.ErrorRatio = x*(1-e), e
		p.Sent = uint64(60 * x)
		p.Failed = uint64(60 * x * e)
		p.OK = p.Sent - p.Failed
		p.Response.P50, p.Response.P99 = 5+x/200, 10+x/100
		points = append(points, p)
	}
	return points
}

func evenlyFailing(share float64) func(float64) float64 {
	return func(float64) float64 { return share }
}

// A share that fails at any load is no saturation, be it small or large: what is served grows
// as what is offered does.
func TestFailuresAreNoSaturation(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		points []observation.Point
		rate   float64 // 0 for none
	}{
		"a fifth fails":               {failingRows(evenlyFailing(0.2), 100, 200, 300, 400, 500), 0},
		"a twelfth":                   {failingRows(evenlyFailing(0.08), 100, 200, 300, 400, 500), 0},
		"half, of two rows":           {failingRows(evenlyFailing(0.5), 100, 200), 0},
		"more and more":               {failingRows(func(x float64) float64 { return min(x/5000, 0.1) }, 100, 200, 300, 400, 500), 0},
		"what is more than 400":       {failingRows(func(x float64) float64 { return max(1-400/x, 0) }, 100, 200, 300, 400, 500, 600), 400},
		"that, of one row":            {failingRows(func(x float64) float64 { return max(1-400/x, 0) }, 100, 200, 300, 500), 400},
		"that and a twentieth always": {failingRows(func(x float64) float64 { return max(1-400/x, 0.05) }, 100, 200, 300, 500, 600), 400},
	} {
		sat := saturated(digest(c.points))
		if sat == nil != (c.rate == 0) || sat != nil && math.Abs(sat.rate/c.rate-1) > 0.01 {
			t.Errorf("%s: %+v, want %g", name, sat, c.rate)
		}
		spec := Spec{Objectives: []scenarios.Objective{{Metric: "p99", Op: "<", Value: 50}}}
		if a := Analyse(c.points, spec); c.rate == 0 && (a.Saturation != nil && a.Saturation.Measured || a.Capacity.Value.Value < c.points[len(c.points)-1].Offered) {
			t.Errorf("%s: capacity %+v, saturation %+v", name, a.Capacity, a.Saturation)
		}
	}
}

// refusing is a step of a drill that serves a part of its load and turns the rest away at once.
func refusing(load, served float64) observation.Point {
	p := queued(load, 5, 0)
	all := observation.NewTally()
	for i := range p.Windows {
		tally := observation.NewTally()
		for k := range int(load) {
			kind := ""
			if float64(k) >= served {
				kind = "http_503"
			}
			tally.Add(5*time.Millisecond, 5*time.Millisecond, 0, kind)
		}
		p.Windows[i].Tally = tally
		all.Merge(tally)
	}
	p.OK, p.Failed, p.Throughput, p.ErrorRatio = all.OK, all.Failed, served, 1-served/load
	return p
}

// In a drill as in a table: what is served must stop to grow.
func TestRefusalsOfADrillThatStillServesMore(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		points []observation.Point
		rate   float64
	}{
		"more and more fail": {[]observation.Point{queued(100, 5, 0), queued(300, 5, 0), refusing(400, 360), refusing(500, 400)}, 0},
		"what is above 400":  {[]observation.Point{queued(100, 5, 0), queued(300, 5, 0), refusing(450, 400), refusing(600, 400)}, 400},
		"that, of one step":  {[]observation.Point{queued(100, 5, 0), queued(300, 5, 0), refusing(500, 400)}, 400},
	} {
		if sat := saturated(digest(c.points)); sat == nil != (c.rate == 0) || sat != nil && math.Abs(sat.rate/c.rate-1) > 0.01 {
			t.Errorf("%s: %+v, want %g", name, sat, c.rate)
		}
	}
}

// A target that answers nothing has no capacity, however fast it is about it.
func TestNoCapacityWhereAllFails(t *testing.T) {
	t.Parallel()
	for _, spec := range []Spec{{Objectives: []scenarios.Objective{{Metric: "p99", Op: "<", Value: 50}}}, {}} {
		a := Analyse(failingRows(evenlyFailing(1), 100, 200, 300), spec)
		if all := strings.Join(a.Warnings, "\n"); a.Capacity != nil || !strings.Contains(all, "every hit of every step failed") {
			t.Errorf("capacity %+v: %s", a.Capacity, all)
		}
	}
	a := Analyse(failingRows(evenlyFailing(1), 100, 200, 300), Spec{Objectives: []scenarios.Objective{{Metric: "errors", Op: "<", Value: 0.01}}})
	if a.Capacity == nil || a.Capacity.Bound != Below {
		t.Errorf("errors were asked of, and yet the capacity is %+v", a.Capacity)
	}
}

// A ceiling is of what is offered, as a capacity is, however much of that fails.
func TestCeilingsAreOfferedLoads(t *testing.T) {
	t.Parallel()
	for _, share := range []float64{0, 0.02, 0.2, 0.5} {
		points := failingRows(evenlyFailing(share), 100, 150, 200, 250, 300, 350)
		for i := range points {
			x := points[i].Offered
			points[i].Resources = map[string]observation.Use{cpu: {Used: 0.1 + 0.0025*x, Limit: 1, Unit: "cores", Samples: 60}}
		}
		a := Analyse(points, Spec{Objectives: []scenarios.Objective{{Metric: "p99", Op: "<", Value: 500}}})
		b := a.Saturation.Bottlenecks[0]
		if b.Resource != cpu || math.Abs(b.RPS-360) > 4 || b.Low > 360 || b.High < 360 || math.Abs(a.Saturation.Value.Value-360) > 4 {
			t.Errorf("%g fail: %+v gives out, saturation %+v, want cpu at 360", share, b, a.Saturation.Value)
		}
		if x := b.Law.Reaches(1); math.Abs(x/b.RPS-1) > 1e-6 || math.Abs(b.PerRequest-0.0025) > 1e-4 {
			t.Errorf("%g fail: the law ends at %g, the ceiling is %g; %g for a request", share, x, b.RPS, b.PerRequest)
		}
		if c := a.Capacity; c.Value.Value > b.RPS {
			t.Errorf("%g fail: capacity %g above the ceiling %g", share, c.Value.Value, b.RPS)
		}
	}
}

// A capacity is not above a load of which more failed than may, beyond any chance: 24,000 hits
// at 400/s. Elsewhere a repetition of a step may come out otherwise, as its arrivals do.
func TestIntervalEndsWhereTooMuchFails(t *testing.T) {
	t.Parallel()
	more := func(x float64) float64 {
		return map[float64]float64{300: 0.01, 400: 0.1, 500: 0.2, 600: 0.2}[x]
	}
	queued := failingRows(more, 100, 200, 300, 400, 500, 600)
	for i := range queued {
		if p := &queued[i]; p.Offered == 600 { // and as much as was served at 500/s
			p.Throughput, p.OK, p.Failed = 400, 24000, 6000
		}
	}
	for name, points := range map[string][]observation.Point{
		"more and more":    failingRows(more, 100, 200, 300, 400, 500),
		"and a queue then": queued,
		"more than 360":    failingRows(func(x float64) float64 { return max(1-360/x, 0) }, 100, 200, 300, 400, 500),
	} {
		a := Analyse(points, Spec{Objectives: []scenarios.Objective{{Metric: "errors", Op: "<", Value: 0.05}}})
		if c := a.Capacity; c == nil || c.High > 400 || c.Value.Value < 300 || c.Low > c.Value.Value {
			t.Errorf("%s: capacity %+v, and 400/s broke", name, c)
		}
	}
}

// What a million more requests cost is not known where nothing that has a price grew with the
// load: no figure, rather than 0.
func TestMarginalCostThatIsNotKnown(t *testing.T) {
	t.Parallel()
	points := failingRows(evenlyFailing(0), 100, 150, 200, 250, 300, 350)
	for i := range points {
		points[i].Resources = map[string]observation.Use{
			cpu:    {Used: 0.1 + 0.01*float64(i%2), Limit: 4, Unit: "cores", Samples: 60},
			memory: {Used: 30e6, Limit: 25e9, Unit: "bytes", Samples: 60},
		}
	}
	spec := Spec{Objectives: []scenarios.Objective{{Metric: "p99", Op: "<", Value: 500}}, Prices: &scenarios.Prices{VCPUHour: 0.04, GBHour: 0.005}, DemandRPS: 200}
	a := Analyse(points, spec)
	all := strings.Join(a.Warnings, "\n")
	if m := a.Cost.Marginal; m.Method != NotKnown || m.Confidence != 0 || a.Cost.Idle.Method != NotKnown || a.Cost.Loaded.Value <= 0 || !strings.Contains(all, "what a million more requests cost is not known") {
		t.Errorf("%+v: %s", a.Cost, all)
	}
	if !strings.Contains(all, "a limit of the machine, perhaps") {
		t.Errorf("25 GB of which 30 MB are used, and no word: %s", all)
	}
	for i := range points {
		points[i].Resources[memory] = observation.Use{Used: 30e6, Limit: 200e6, Unit: "bytes", Samples: 60}
	}
	if all := strings.Join(Analyse(points, spec).Warnings, "\n"); strings.Contains(all, "of the machine") {
		t.Errorf("a limit that is used to a seventh is the target's own: %s", all)
	}
}
