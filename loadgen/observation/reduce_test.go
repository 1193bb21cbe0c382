package observation_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/headroom-project/headroom/loadgen/observation"
)

// hit is one ended hit as a worker would book it.
type hit struct {
	worker string
	second int
	us     int64
	failed bool
}

// windowsOf books hits as workers do, in windows that each hold a few of them.
func windowsOf(hits []hit, each int) []*observation.Window {
	var out []*observation.Window
	seq := map[string]uint64{}
	for len(hits) > 0 {
		n := min(each, len(hits))
		cells := map[[2]any]*observation.Window{}
		for _, h := range hits[:n] {
			k := [2]any{h.worker, h.second}
			w := cells[k]
			if w == nil {
				seq[h.worker]++
				w = &observation.Window{Worker: h.worker, Seq: seq[h.worker], Second: h.second,
					At: time.Duration(h.second+1) * time.Second, Over: time.Second, Requests: map[string]*observation.Tally{"a": observation.NewTally()}}
				cells[k] = w
				out = append(out, w)
			}
			class := ""
			if h.failed {
				class = "timeout"
			}
			w.Planned++
			w.Sent++
			d := time.Duration(h.us) * time.Microsecond
			w.Requests["a"].Add(d, d/2, d/2, class)
		}
		hits = hits[n:]
	}
	return out
}

func reducer(discard time.Duration, lasts time.Duration) *observation.Reducer {
	r := observation.NewReducer()
	r.Begin(observation.StepRecord{Index: 0, Kind: "load", From: 100, To: 100, Lasts: lasts, Discard: discard})
	r.End(observation.StepEnd{Index: 0, Lasted: lasts})
	return r
}

// Merging is exact: however hits are spread over workers and windows, in whatever
// order these come and however often, the quantiles are those of all hits.
func TestMergeIsLossless(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		hits := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) hit {
			return hit{
				worker: rapid.SampledFrom([]string{"w1", "w2", "w3"}).Draw(t, "worker"),
				second: rapid.IntRange(0, 9).Draw(t, "second"),
				us:     rapid.Int64Range(1, 10_000_000).Draw(t, "us"),
				failed: rapid.Bool().Draw(t, "failed"),
			}
		}), 1, 300).Draw(t, "hits")

		one := reducer(0, 10*time.Second)
		for _, w := range windowsOf(hits, len(hits)) {
			one.Add(w)
		}
		many := reducer(0, 10*time.Second)
		windows := windowsOf(hits, rapid.IntRange(1, 40).Draw(t, "each"))
		again := rapid.Permutation(slices.Concat(windows, windows)).Draw(t, "order")
		counted := 0
		for _, w := range again {
			if many.Add(w) {
				counted++
			}
		}
		if counted != len(windows) {
			t.Fatalf("%d windows counted, want each of %d once", counted, len(windows))
		}
		a, b := one.Points()[0], many.Points()[0]
		if a.Response != b.Response || a.OK != b.OK || a.Failed != b.Failed || a.Errors["timeout"] != b.Errors["timeout"] {
			t.Fatalf("one merge gives %+v, the other %+v", a.Figures, b.Figures)
		}
		if got := a.OK + a.Failed; got != uint64(len(hits)) {
			t.Fatalf("%d hits in, %d out", len(hits), got)
		}
	})
}

func TestQuantilesAreThoseOfTheValues(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var hits []hit
	var values []float64
	for range 20000 {
		us := 1 + rng.Int64N(2_000_000)
		hits = append(hits, hit{worker: "w", second: rng.IntN(10), us: us})
		values = append(values, float64(us)/1000)
	}
	slices.Sort(values)
	r := reducer(0, 10*time.Second)
	for _, w := range windowsOf(hits, 1000) {
		r.Add(w)
	}
	q := r.Points()[0].Response
	for _, c := range []struct {
		name string
		got  float64
		rank float64
	}{{"p50", q.P50, .5}, {"p90", q.P90, .9}, {"p95", q.P95, .95}, {"p99", q.P99, .99}, {"p999", q.P999, .999}, {"max", q.Max, 1}} {
		want := values[int(c.rank*float64(len(values)))-1]
		if c.got < want*0.999 || c.got > want*1.001 {
			t.Errorf("%s = %.3f ms, want %.3f within 0.1%%", c.name, c.got, want)
		}
	}
}

func TestWarmUpIsKeptOutOfTheFiguresButNotOfTheTotals(t *testing.T) {
	r := reducer(2*time.Second, 5*time.Second)
	var hits []hit
	for s := range 5 {
		us := int64(1000)
		if s < 2 {
			us = 900_000
		}
		for range 10 {
			hits = append(hits, hit{worker: "w", second: s, us: us})
		}
	}
	for _, w := range windowsOf(hits, 1000) {
		r.Add(w)
	}
	p := r.Points()[0]
	if p.Response.Max > 2 || p.OK != 30 || p.Seconds != 3 || p.Discarded != 2 || len(p.Windows) != 3 {
		t.Errorf("max %.1f ms, %d ok over %.0f s, %.0f s discarded, %d seconds", p.Response.Max, p.OK, p.Seconds, p.Discarded, len(p.Windows))
	}
	if p.Throughput != 10 {
		t.Errorf("throughput %.2f/s, want 10", p.Throughput)
	}
	if planned, _, ok, _, _, _ := r.Totals(); planned != 50 || ok != 50 {
		t.Errorf("totals %d planned, %d ok, want 50", planned, ok)
	}
}

// What an overloaded target answers after its step is not throughput of the step.
func TestThroughputCountsWhatEndedInTheStep(t *testing.T) {
	r := reducer(0, 4*time.Second)
	add := func(seq uint64, second int, at time.Duration, n int) {
		w := &observation.Window{Worker: "w", Seq: seq, Second: second, At: at, Over: time.Second, Requests: map[string]*observation.Tally{"a": observation.NewTally()}}
		for range n {
			w.Requests["a"].Add(time.Second, time.Second, 0, "")
		}
		r.Add(w)
	}
	for s := range 4 {
		add(uint64(s+1), s, time.Duration(s+1)*time.Second+2*time.Millisecond, 40)
	}
	// The backlog of second 3 drains in two more seconds.
	add(5, 3, 5*time.Second, 40)
	add(6, 3, 6*time.Second, 40)
	p := r.Points()[0]
	if p.Throughput < 39 || p.Throughput > 41 {
		t.Errorf("throughput %.1f/s, want 40", p.Throughput)
	}
	if p.OK != 240 {
		t.Errorf("%d hits, want all 240 in the figures", p.OK)
	}
}

func TestLongStepsKeepMemoryFlat(t *testing.T) {
	const seconds = 5000
	r := reducer(0, seconds*time.Second)
	for s := range seconds {
		w := windowsOf([]hit{{worker: "w", second: s, us: 1000}}, 1)[0]
		w.Seq = uint64(s + 1)
		if !r.Add(w) {
			t.Fatal("window refused")
		}
	}
	p := r.Points()[0]
	if n := len(p.Windows); n > observation.MaxSeconds || n < observation.MaxSeconds/2 {
		t.Errorf("%d cells kept of %d seconds, want at most %d", n, seconds, observation.MaxSeconds)
	}
	if p.OK != seconds || p.Throughput < 0.99 || p.Throughput > 1.01 {
		t.Errorf("%d hits at %.3f/s, want %d at 1", p.OK, p.Throughput, seconds)
	}
}

func TestResourcesAreWeightedByTime(t *testing.T) {
	r := reducer(time.Second, 4*time.Second)
	sample := func(at, over time.Duration, used float64) {
		r.Sample(observation.Sample{At: at, Over: over, Step: 0, Resource: "cpu", Used: used, Limit: 2, Unit: "cores"})
	}
	sample(time.Second, time.Second, 9) // warm-up
	sample(2*time.Second, time.Second, 1)
	sample(4*time.Second, 2*time.Second, 0.4)
	sample(9*time.Second, time.Second, 9) // after the end
	got := r.Points()[0].Resources["cpu"]
	if want := (1 + 2*0.4) / 3; got.Used < want-1e-9 || got.Used > want+1e-9 || got.Limit != 2 || got.Samples != 2 {
		t.Errorf("cpu %+v, want %.3f of 2 from 2 samples", got, want)
	}
}

// How much the use of one second varies does not depend on how long the readings are. What is
// read at an instant says nothing of that.
func TestVarianceOfUse(t *testing.T) {
	const mean, sd = 0.5, 0.2
	rng := rand.New(rand.NewPCG(1, 2))
	r := reducer(0, 5000*time.Second)
	for at, k := time.Duration(0), 0; at < 4000*time.Second; k++ {
		over := time.Duration(1+k%3) * time.Second
		at += over
		used := mean + sd/math.Sqrt(over.Seconds())*rng.NormFloat64()
		r.Sample(observation.Sample{At: at, Over: over, Resource: "cpu", Used: used, Limit: 2, Unit: "cores"})
		r.Sample(observation.Sample{At: at, Resource: "pool", Used: used, Limit: 2, Unit: "slots"})
	}
	got := r.Points()[0].Resources
	if u := got["cpu"]; math.Abs(u.Used-mean) > 0.02 || math.Abs(math.Sqrt(u.Variance)-sd) > 0.01 {
		t.Errorf("cpu %+v, want %g with a deviation of %g in a second", u, mean, sd)
	}
	if u := got["pool"]; u.Variance != 0 || u.Apart != 0 || u.Summed {
		t.Errorf("a gauge %+v has no variance over a second", u)
	}
}

// Readings over windows that overlap, as those of a rate() are, are alike for that.
func TestVarianceOfReadingsThatOverlap(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	r := reducer(0, 5000*time.Second)
	last := []float64{0.5, 0.5, 0.5}
	for at := 3 * time.Second; at < 4000*time.Second; at += time.Second {
		last = append(last[1:], 0.5+0.2*rng.NormFloat64())
		r.Sample(observation.Sample{At: at, Over: 3 * time.Second, Resource: "cpu", Used: (last[0] + last[1] + last[2]) / 3, Limit: 2, Unit: "cores"})
	}
	u := r.Points()[0].Resources["cpu"]
	if math.Abs(math.Sqrt(u.Variance)-0.2) > 0.012 || u.Apart < 1330 || u.Apart > 1334 || u.Samples < 3990 {
		t.Errorf("%+v: want a deviation of 0.2 in a second, by a third of the readings", u)
	}
}

// What is planned beyond a step's end, to bridge the time until the next one, is in
// the totals, and in nothing that is said of the step.
func TestWhatIsHeldIsInTheTotalsOnly(t *testing.T) {
	r := reducer(0, 1500*time.Millisecond)
	for _, w := range windowsOf([]hit{{"a", 0, 1000, false}, {"a", 1, 1000, false}, {"a", 2, 90000, true}, {"a", 3, 90000, false}}, 4) {
		if w.Second >= 2 {
			w.Lacked, w.Dropped, w.Waited = map[string]uint64{observation.LackPorts: 1}, 1, 1
			w.Planned += 5 // of which three are on their way
		}
		r.Add(w)
	}
	p, err := r.Point(0)
	if err != nil {
		t.Fatal(err)
	}
	if p.OK != 2 || p.Failed+p.Dropped+p.Waited != 0 || len(p.Lacked) > 0 || p.Response.Max > 2 || len(p.Windows) != 2 || r.Unfinished(0) != 0 {
		t.Errorf("%d ok, %d failed, %d dropped, %d waited, lacked %v, at most %g ms, %d windows, %d unfinished", p.OK, p.Failed, p.Dropped, p.Waited, p.Lacked, p.Response.Max, len(p.Windows), r.Unfinished(0))
	}
	planned, sent, ok, failed, dropped, classes := r.Totals()
	if planned != 14 || sent != 4 || ok != 3 || failed != 1 || dropped != 2 || classes["timeout"] != 1 {
		t.Errorf("in all %d planned, %d sent, %d ok, %d failed %v, %d dropped", planned, sent, ok, failed, classes, dropped)
	}
}

// A window that is closed soon after a step began holds what ended in that step, if it
// was opened since, and else what ended in the one before.
func TestAWindowBelongsToTheStepThatItWasOpenedIn(t *testing.T) {
	for opened, want := range map[time.Duration]float64{time.Second: 20, 990 * time.Millisecond: 10} {
		r := reducer(0, time.Second)
		r.Begin(observation.StepRecord{Index: 1, Kind: "load", From: 10, To: 10, Start: time.Second, Lasts: time.Second})
		r.End(observation.StepEnd{Index: 1, Lasted: time.Second})
		for i, at := range []time.Duration{time.Second + 90*time.Millisecond, 2 * time.Second} {
			w := &observation.Window{Worker: "a", Seq: uint64(i + 1), Step: 1, At: at, Over: at - opened, Planned: 10, Sent: 10,
				Requests: map[string]*observation.Tally{"a": observation.NewTally()}}
			for range 10 {
				w.Requests["a"].Add(time.Millisecond, time.Millisecond, 0, "")
			}
			r.Add(w)
			opened = at
		}
		if p, err := r.Point(1); err != nil || p.Throughput != want {
			t.Errorf("%g/s were served, %v; want %g", p.Throughput, err, want)
		}
	}
}
