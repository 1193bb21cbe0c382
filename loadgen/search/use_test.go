package search

import (
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

// reading is what a step of six seconds read of a resource.
type reading struct {
	load   float64
	use    observation.Use
	served float64 // load if 0
}

func read(readings ...reading) use {
	var points []observation.Point
	for i, r := range readings {
		if r.served == 0 {
			r.served = r.load
		}
		points = append(points, observation.Point{
			Step: i, Offered: r.load, Seconds: 6, Valid: true, Figures: observation.Figures{Throughput: r.served},
			Resources: map[string]observation.Use{"x": r.use},
		})
	}
	return useOf(points, "x", 0.6)
}

func TestCeilingOfUse(t *testing.T) {
	cores := func(load, used, limit float64) reading {
		return reading{load: load, use: observation.Use{Used: used, Limit: limit, Unit: "cores", Summed: true, Samples: 6}}
	}
	bytes := func(load, used float64) reading {
		return reading{load: load, use: observation.Use{Used: used, Limit: 1, Unit: "bytes", Samples: 6}}
	}
	slots := func(load, used, limit float64, summed bool) reading {
		return reading{load: load, use: observation.Use{Used: used, Limit: limit, Unit: "slots", Summed: summed, Samples: 6}}
	}
	served := func(r reading, served float64) reading {
		r.served = served
		return r
	}
	for _, c := range []struct {
		name     string
		use      use
		from, to float64 // where the ceiling of 60% is
	}{
		{"one step: all that is used is demand", read(cores(100, 0.2, 1)), 195, 215},
		{"more steps of it leave less to chance", read(cores(100, 0.2, 1), cores(100, 0.2, 1), cores(101, 0.2, 1)), 203, 270},
		{"a base load, told by a chord", read(cores(50, 0.25, 1), cores(300, 0.5, 1)), 335, 395},
		{"steps above the bound, and a base load", read(cores(500, 0.70, 1), cores(110, 0.544, 1)), 180, 249},
		{"use above the bound without load", read(cores(500, 0.90, 1), cores(50, 0.70, 1)), 0, 0.001},
		{"a cold first step is no base load", read(cores(500, 0.4, 1), cores(1000, 0.4, 1)), 1000, 1490},
		{"nor is it when a step above it was made", read(cores(500, 0.4, 1), cores(1000, 0.4, 1), cores(1400, 0.56, 1)), 1300, 1480},
		{"demand that rises with the load", read(cores(50, 0.1, 1), cores(100, 0.1, 1), cores(200, 0.4, 1)), 215, 260},
		{"demand that rises with the time", read(cores(200, 0.4, 1), cores(200, 0.4, 1), cores(200, 0.5, 1), cores(200, 0.5, 1)), 180, 235},
		{"a limit that was cut", read(cores(200, 0.8, 2), cores(50, 0.2, 1)), 100, 149},
		{"a step that served little of what it was offered", read(cores(100, 0.0875, 1), cores(200, 0.175, 1), cores(400, 0.35, 1), served(cores(506, 0.4, 1), 200)), 500, 670},
		{"saturation", read(served(cores(500, 1, 1), 278)), 130, 166},
		{"memory, known of one step", read(bytes(50, 0.5)), 57, 60},
		{"memory that rests, by one chord", read(bytes(50, 0.5), bytes(100, 0.5)), 139, 140},
		{"memory that rests, by two", read(bytes(50, 0.5), bytes(100, 0.5), bytes(200, 0.5)), 399, 400},
		{"slots that were counted", read(slots(300, 2, 10, true)), 600, 800},
		{"slots that were looked at", read(slots(300, 2, 10, false)), 400, 650},
		{"none of two slots was taken at any look", read(slots(300, 0, 2, false)), 600, 1200},
		{"nothing was read", use{}, math.Inf(1), math.Inf(1)},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := c.use.ceiling(0.6, 6)
			if !(got >= c.from && got <= c.to) {
				t.Errorf("%.4g/s, want %g to %g", got, c.from, c.to)
			}
			if longer, shorter := c.use.ceiling(0.6, 60), c.use.ceiling(0.6, 2); shorter > got || got > longer {
				t.Errorf("a step of 2 s may go up to %.4g, of 6 s %.4g, and of 60 s %.4g", shorter, got, longer)
			}
		})
	}
}

// A search that began too high comes down to what the bound allows at once.
func TestBoundIsKeptOnTheWayDown(t *testing.T) {
	for _, limit := range []float64{278, 1e9} {
		for _, base := range []float64{0, 0.2} {
			s := New(Config{Objectives: p99, MaxUtilisation: 0.6, Load: scenarios.SearchLoad{From: 500}})
			points, _, d := drill(t, s, target{limit: limit, cores: 1.0 / 600, base: base})
			for i, p := range points[2:] {
				if u := p.Resources["cpu"].Used; u > 0.6 && (base == 0 || i > 2) {
					t.Errorf("limit %g, base %g: %s %d used %g at %g/s", limit, base, p.Kind, i, u, p.Offered)
				}
			}
			if l := last(points); l.Kind != scenarios.KindConfirm || l.Offered < 0.6*(0.6-base)*600 {
				t.Errorf("limit %g, base %g: ended with %s at %g/s: %s", limit, base, l.Kind, l.Offered, d.Reason)
			}
		}
	}
}

func TestBoundBelowWhatIsUsedWithoutLoad(t *testing.T) {
	points, _, d := drill(t, New(Config{Objectives: p99, MaxUtilisation: 0.6}), target{limit: 1e9, cores: 0.0002, base: 0.75})
	if !strings.Contains(d.Failed, "hint:") || len(points) > 8 {
		t.Errorf("%d steps, and %+v", len(points), d)
	}
}

// Loads of a few requests have few hits to go by, and are still allowed.
func TestBoundOfFewRequests(t *testing.T) {
	for _, c := range []Config{
		{MaxRPS: 0.5}, {MaxRPS: 2}, {Load: scenarios.SearchLoad{From: 1}},
	} {
		c.Objectives, c.MaxUtilisation = p99, 0.6
		points, _, d := drill(t, New(c), target{limit: 1e9, cores: 0.2})
		if d.Failed != "" || last(points).Kind != scenarios.KindConfirm {
			t.Errorf("%+v: %+v", c, d)
		}
		low := 0
		for _, p := range points[1:] {
			if p.Kind == scenarios.KindRefine && p.Offered < 0.9*last(points).Offered {
				low++
			}
		}
		if low > 3 {
			t.Errorf("%+v: %d steps at low loads", c, low)
		}
	}
}

// Memory that is used without load does not keep a search from going up, nor make it creep.
func TestMemoryAtRest(t *testing.T) {
	for _, rest := range []float64{0, 0.3, 0.35, 0.4, 0.45, 0.55} {
		s := New(Config{Objectives: p99, MaxUtilisation: 0.6})
		points, _, d := drill(t, s, target{limit: 1e9, cores: 0.0005, memory: rest})
		top := 0.0
		for _, p := range points[1:] {
			top = max(top, p.Offered)
		}
		if want := 0.8 * 0.6 / 0.0005; top < want || top > 0.6/0.0005 {
			t.Errorf("%g at rest: up to %g/s, want %g (%s)", rest, top, want, d.Reason)
		}
	}
}

// Where others come to use the target, too, what earlier steps used at a load is no longer so: the
// next step is as much lower as the last one used too much, whatever those before tell.
func TestCeilingAfterAStepThatUsedTooMuch(t *testing.T) {
	cores := func(load, used float64) observation.Point {
		return observation.Point{
			Offered: load, Seconds: 6, Valid: true, Figures: observation.Figures{Throughput: load},
			Resources: map[string]observation.Use{"cpu": {Used: used, Limit: 1, Unit: "cores", Summed: true, Samples: 6}},
		}
	}
	before := []observation.Point{cores(100, 0.25), cores(180, 0.44), cores(203, 0.51), cores(203, 0.51), cores(203, 0.51)}
	free, _ := ceiling(before, 0.6, 6)
	over := append(before, cores(191, 0.98))
	if x, name := ceiling(over, 0.6, 6); name != "cpu" || x > 191*0.6/0.98+1e-9 || x < 100 {
		t.Errorf("%g by %q after a step of 191/s that used 98%%, want 117 at most", x, name)
	}
	gone := append(over, cores(110, 0.28))
	if x, _ := ceiling(gone, 0.6, 6); x < 140 || x > free {
		t.Errorf("%g once a step used what it did before, want more, and no more than the %g of before", x, free)
	}
	late := append(over, observation.Point{Offered: 150, Seconds: 6, Valid: true, Figures: observation.Figures{Throughput: 150}})
	if x, _ := ceiling(late, 0.6, 6); x > 117 {
		t.Errorf("%g after a step of which nothing was read yet, want what was read last to count", x)
	}
}

// seconds is a step of seven seconds on eight cores whose use varies from second to second by
// hits that take so much each, with a coefficient of variation of c, and by what goes on besides,
// with a standard deviation.
func seconds(step int, load, demand, c, base, besides float64) observation.Point {
	return observation.Point{
		Step: step, Offered: load, Seconds: 7, Valid: true, Figures: observation.Figures{Throughput: load},
		Resources: map[string]observation.Use{"cpu": {
			Used: base + demand*load, Limit: 8, Unit: "cores", Summed: true, Samples: 7,
			Variance: load*demand*demand*(1+c*c) + besides*besides, Apart: 7,
		}},
	}
}

// How much requests differ shows in how the use varies from second to second, and takes room of
// the bound. Without requests that take most of the work it takes what is always left.
func TestCeilingOfUnevenWork(t *testing.T) {
	const demand = 0.016
	for _, base := range []float64{0, 0.8, 2} {
		even := useOf([]observation.Point{seconds(0, 50, demand, 0, base, 0), seconds(1, 100, demand, 0, base, 0)}, "cpu", 0.6).ceiling(0.6, 7)
		before := even
		for _, c := range []float64{0, 1, 2, 3, 5} {
			x := useOf([]observation.Point{seconds(0, 50, demand, c, base, 0), seconds(1, 100, demand, c, base, 0)}, "cpu", 0.6)
			// By six degrees of freedom, and one standard error.
			if got, want := x.by.hit, (demand/8)*(demand/8)*(1+c*c)*(1+math.Sqrt(2.0/6)); math.Abs(got-want) > 1e-9*want {
				t.Errorf("c = %g: each hit adds %g, want %g", c, got, want)
			}
			ceiling := x.ceiling(0.6, 7)
			if c <= 1 && (ceiling > even || ceiling < 0.97*even) || c > 1 && ceiling > 0.995*before {
				t.Errorf("c = %g, base %g: a ceiling of %.4g/s, after %.4g/s of more even work", c, base, ceiling, before)
			}
			// What is left is what chance takes: three standard deviations at the ceiling still fit.
			if used := (base+demand*ceiling)/8 + 2.6*demand/8*math.Sqrt(ceiling/7*(0.5+c*c)); used > 0.6 {
				t.Errorf("c = %g, base %g: a step at %.4g/s may use %.3g", c, base, ceiling, used)
			}
			before = ceiling
		}
	}
}

// What says nothing of how uneven the requests are takes no room for that, and hides none.
func TestStepsThatDoNotTellHowUneven(t *testing.T) {
	const demand = 0.016
	warm := []observation.Point{seconds(1, 100, demand, 1, 0, 0), seconds(2, 150, demand, 1, 0, 0), seconds(3, 180, demand, 1, 0, 0)}
	want := useOf(warm, "cpu", 0.6).ceiling(0.6, 7)
	cold := seconds(0, 50, demand, 1, 0, 2)
	if got := useOf(append([]observation.Point{cold}, warm...), "cpu", 0.6).ceiling(0.6, 7); got < 0.99*want {
		t.Errorf("a cold first step: %.4g/s, want %.4g", got, want)
	}
	broken := seconds(4, 200, demand, 1, 0, 3)
	broken.Throughput, broken.Offered = 100, 200
	if got := useOf(append(warm, broken), "cpu", 0.6).ceiling(0.6, 7); got < 0.99*want {
		t.Errorf("a step of which half failed: %.4g/s, want %.4g", got, want)
	}
	uneven := []observation.Point{seconds(1, 100, demand, 4, 0, 0), seconds(2, 150, demand, 4, 0, 0)}
	full := seconds(3, 495, demand, 0, 0, 0)
	full.Resources["cpu"] = observation.Use{Used: 7.95, Limit: 8, Unit: "cores", Summed: true, Samples: 7, Variance: 1e-6, Apart: 7}
	if got, want := useOf(append(uneven, full), "cpu", 0.6).by, useOf(uneven, "cpu", 0.6).by; got != want {
		t.Errorf("cores that were full say that each hit adds %g, want %g", got, want)
	}
	// A job that takes much beside light requests is room that is always taken, not by the hits.
	busy := []observation.Point{seconds(0, 50, 0.001, 1, 2.4, 0.24), seconds(1, 100, 0.001, 1, 2.4, 0.24), seconds(2, 200, 0.001, 1, 2.4, 0.24)}
	if got := useOf(busy, "cpu", 0.6).ceiling(0.6, 7); got < 350 {
		t.Errorf("beside a job: %.4g/s, want twice what was offered about", got)
	}
}

// Requests on many cores that slow one another down use more than a straight line says, the more
// the more there are. What was read as nothing does not look like it.
func TestCeilingOfCrosstalk(t *testing.T) {
	talk := []reading{} // with a = 0.03 and b = 0.0005 of the Universal Scalability Law
	cores := func(load, used float64) reading {
		return reading{load: load, use: observation.Use{Used: used, Limit: 1, Unit: "cores", Summed: true, Samples: 6}}
	}
	speed := func(n float64) float64 { return n / (1 + 0.03*(n-1) + 0.0005*n*(n-1)) }
	for _, n := range []float64{1, 5.5, 9.5} {
		r := cores(1000*speed(n), n)
		r.use.Limit = 32
		talk = append(talk, r)
	}
	x := read(talk...)
	if at, truth := x.ceiling(0.6, 60), 1000*speed(19.2); at > truth || at < 0.75*truth {
		t.Errorf("crosstalk: up to %.4g/s, want no more than %.4g, and not much less", at, truth)
	}
	few := read(cores(100, 0), cores(200, 0), cores(400, 0.00125))
	eight := few
	eight.many = true
	if a, b := few.ceiling(0.6, 6), eight.ceiling(0.6, 6); a != b {
		t.Errorf("many cores that were used next to nothing allow %.4g/s, and few %.4g", b, a)
	}
	steep := read(cores(200, 0.0845), cores(300, 0.169), cores(400, 0.2625))
	careless := steep.ceiling(0.6, 6)
	steep.many = true
	if at := steep.ceiling(0.6, 6); at < 500 || at > 0.99*careless {
		t.Errorf("use that rises more than the load: up to %.4g/s, and %.4g of few cores", at, careless)
	}
	// Even a steep fall says no more than twice what the load does.
	if at := x.crowded(30000, level{load: 100, used: 0.03}, level{load: 200, used: 0.5}); at > 2*0.5*30000/200+1e-9 {
		t.Errorf("%g of use", at)
	}
}

func TestLoadsAreReadable(t *testing.T) {
	for load := 0.0123; load < 30000; load *= 1.0173 {
		for _, x := range []float64{round(load), roundDown(load)} {
			if text := strconv.FormatFloat(x, 'g', -1, 64); len(text) > 6 || math.Abs(x-load) > max(0.005*load, 0.001) {
				t.Errorf("%v is rounded to %s", load, text)
			}
		}
		if roundDown(load) > load {
			t.Errorf("%v is rounded down to %v", load, roundDown(load))
		}
	}
}
