package capacity

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

// closedStep is what users do in 20 s who think, of a target of one server with a time of
// its own for each request: the machine repairman, simulated. Hits and response times are
// counted as a drill counts them.
func closedStep(users int, think, service float64, rng *rand.Rand) observation.Point {
	const lasts, discard = 23.0, 3.0
	ready := make([]float64, users) // when each asks next
	var free, sum float64
	ended, n := 0, 0
	for {
		first := 0
		for i, t := range ready {
			if t < ready[first] {
				first = i
			}
		}
		asked := ready[first]
		if asked > lasts {
			break
		}
		free = max(asked, free) + service*rng.ExpFloat64()
		ready[first] = free + think
		if asked >= discard {
			sum, n = sum+free-asked, n+1
		}
		if free >= discard && free < lasts {
			ended++
		}
	}
	p := observation.Point{Kind: scenarios.KindLoad, Users: users, Think: think, Seconds: lasts - discard, Discarded: discard, Valid: true}
	p.OK, p.Sent, p.Throughput = uint64(ended), uint64(ended), float64(ended)/(lasts-discard)
	p.Offered = p.Throughput
	ms := 1000 * sum / float64(max(n, 1))
	p.Response = observation.Quantiles{Mean: ms, P50: 0.7 * ms, P99: 4 * ms}
	return p
}

// Of 200 measurements that are right none is called wrong, be the users few or many, and
// think or not.
func TestBoundsHoldOfWhatIsRight(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 11))
		var points []observation.Point
		think := []float64{0, 0.05, 1}[seed%3]
		for _, users := range []int{1, 2, 5, 20, 100} {
			points = append(points, closedStep(users, think, 0.01, rng))
		}
		if w := Bounds(points); len(w) > 0 {
			t.Errorf("seed %d: %q", seed, w)
		}
	}
}

// bounded is a table of a target with a core of 4 ms and 20% of it used at rest; each row
// has as many in flight as Little's law asks for.
func bounded(loads ...float64) []observation.Point {
	points := ladder(1e9, func(x float64) map[string]observation.Use {
		return map[string]observation.Use{"cpu": {Used: 0.1 + 0.004*x, Limit: 2, Unit: "cores", Samples: 10}}
	}, loads...)
	for i := range points {
		p := &points[i]
		p.Seconds, p.Windows, p.Flow = 20, nil, nil
		p.Response = observation.Quantiles{P50: 8 + p.Offered/100, P99: 30 + p.Offered/20}
		p.InFlight = 1.5 * p.Offered * p.Response.P50 / 1000
	}
	return points
}

func TestBoundsAreSaid(t *testing.T) {
	t.Parallel()
	closed := func(change func(*observation.Point)) []observation.Point {
		rng := rand.New(rand.NewPCG(1, 11))
		points := []observation.Point{closedStep(1, 0.05, 0.01, rng), closedStep(4, 0.05, 0.01, rng), closedStep(8, 0.05, 0.01, rng)}
		change(&points[2])
		return points
	}
	table := func(change func([]observation.Point)) []observation.Point {
		points := bounded(50, 100, 150, 200, 250, 300, 400)
		change(points)
		return points
	}
	for _, c := range []struct {
		name   string
		points []observation.Point
		want   string // empty for nothing
	}{
		{"closed", closed(func(*observation.Point) {}), ""},
		{"closed, hits counted twice", closed(func(p *observation.Point) { p.Throughput *= 2; p.Offered *= 2 }), "with 8 users"},
		{"closed, thinking is named", closed(func(p *observation.Point) { p.Throughput *= 2; p.Offered *= 2 }), "thinks for 0.05 s"},
		{"closed, think times are in the responses", closed(func(p *observation.Point) { p.Response.Mean *= 20 }), ""},
		{"closed, a step that was cut", closed(func(p *observation.Point) { p.Throughput *= 2; p.Cut = "certain" }), ""},
		{"table", table(func([]observation.Point) {}), ""},
		{"table, too few in flight", table(func(p []observation.Point) { p[5].InFlight /= 10 }), "300/s were answered with 0.495 in flight, and no more than"},
		{"table, no one in flight is not known", table(func(p []observation.Point) { p[5].InFlight = 0 }), ""},
		{"table, served more than the cores allow", table(func(p []observation.Point) {
			p[6].Offered, p[6].Throughput, p[6].InFlight = 620, 620, 20
			u := p[6].Resources["cpu"]
			u.Used = 1.9
			p[6].Resources["cpu"] = u
		}), "620/s were answered, and no more than 475/s can have been: by the other steps a request takes 0.004 of cpu, whose limit is 2"},
		{"table, served as much as the cores allow", table(func(p []observation.Point) { p[6].Offered, p[6].Throughput, p[6].InFlight = 500, 474, 20 }), ""},
		{"table, far above the others", table(func(p []observation.Point) { p[6].Offered, p[6].Throughput, p[6].InFlight = 900, 900, 90 }), ""},
		{"another limit", table(func(p []observation.Point) {
			u := p[6].Resources["cpu"]
			u.Limit = 4
			p[6].Resources["cpu"] = u
		}), "the limit of cpu was 2 at 50/s and 4 at 400/s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := strings.Join(Bounds(c.points), "\n")
			if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
			if c.want != "" && !strings.Contains(strings.Join(Analyse(c.points, Spec{}).Warnings, "\n"), c.want) {
				t.Error("Analyse does not say it")
			}
		})
	}
}

// No drill that was recorded of a real target contradicts itself, nor do its short steps.
func TestRealDrillsKeepTheirBounds(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"cpu", "lock", "pool"} {
		var a Analysis
		all := digest(recorded(t, name))
		short := 0
		for i := range all {
			if _, n := all[i].counted(); n > 0 && n < enoughCounts {
				short++
			}
		}
		if a.audit(all, Spec{}); len(a.Warnings) > 0 {
			t.Errorf("%s: %q", name, a.Warnings)
		}
		if short < 3 {
			t.Errorf("%s has %d short steps: nothing is held against them", name, short)
		}
	}
}

// Of 100 searches whose growth steps are right none is called wrong; one of which half of
// the hits are missing is found by all of them together.
func TestShortStepsAreAuditedTogether(t *testing.T) {
	t.Parallel()
	missed := 0
	for seed := range uint64(100) {
		rng := rand.New(rand.NewPCG(seed, 12))
		var right, half []observation.Point
		for _, load := range []float64{400, 800, 1600, 3200} {
			p := shortStep(load, 0.05, rng)
			right = append(right, p)
			p.Response.Mean /= 2
			half = append(half, p)
		}
		if why := littleOfShort(digest(right)); why != "" {
			t.Errorf("seed %d: %s", seed, why)
		}
		switch why := littleOfShort(digest(half)); {
		case why == "":
			missed++
		case !strings.Contains(why, "short steps from 400/s to 3200/s taken together"):
			t.Error(why)
		}
	}
	if missed > 2 {
		t.Errorf("%d of 100 records with half of the responses were believed", missed)
	}
}

// shortStep is a step of 3 s at a load of Poisson arrivals, each of which stays an
// exponential time of a mean in s: hits in flight are counted at the ends of seconds.
func shortStep(load, stay float64, rng *rand.Rand) observation.Point {
	p := observation.Point{Kind: scenarios.KindSearch, Offered: load, Seconds: 2, Discarded: 1, Valid: true}
	inFlight, ended := make([]int, 4), make([]uint64, 4)
	hist, sum := observation.NewHistogram(), 0.0
	windows := make([]observation.Second, 2)
	for k := range windows {
		windows[k] = observation.Second{Second: k + 1, Width: 1, Tally: observation.NewTally()}
	}
	for t := rng.ExpFloat64() / load; t < 3; t += rng.ExpFloat64() / load {
		end := t + stay*rng.ExpFloat64()
		for k := range inFlight {
			if t < float64(k) && end >= float64(k) {
				inFlight[k]++
			}
		}
		if k := int(end); k < len(ended) {
			ended[k]++
		}
		if t >= 1 {
			w := &windows[int(t)-1]
			w.Planned++
			w.Tally.OK++
			_ = w.Tally.Response.RecordValue(time.Duration((end - t) * 1e9).Microseconds())
			_ = hist.RecordValue(time.Duration((end - t) * 1e9).Microseconds())
			p.OK, sum = p.OK+1, sum+end-t
		}
	}
	for k := range 3 {
		p.Flow = append(p.Flow, observation.Flow{From: float64(k), To: float64(k + 1), OK: ended[k], InFlight: inFlight[k+1]})
	}
	p.Sent, p.Windows, p.Throughput = p.OK, windows, float64(ended[1]+ended[2])/2
	p.Response = observation.QuantilesOf(hist)
	p.Response.Mean = 1000 * sum / float64(p.OK)
	return p
}
