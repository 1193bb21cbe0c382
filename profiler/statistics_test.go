package profiler

import (
	"math"
	"math/rand/v2"
	"testing"
)

// Values of tables of Student's t.
func TestStudent(t *testing.T) {
	for _, c := range []struct {
		degrees int
		p, t    float64
	}{{1, 0.10, 6.314}, {2, 0.10, 2.920}, {3, 0.05, 3.182}, {4, 0.01, 4.604}, {9, 0.10, 1.833}, {30, 0.05, 2.042}, {0, 0.05, 1.960}} {
		if got := quantileT(c.p, c.degrees); math.Abs(got-c.t) > 0.002 {
			t.Errorf("t for %g with %d degrees is %.3f, want %.3f", c.p, c.degrees, got, c.t)
		}
	}
}

// The example of Benjamini and Hochberg (1995), section 3.2: of 15 hypotheses four
// are rejected at 5%.
func TestDiscoveries(t *testing.T) {
	p := []float64{0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1}
	n := 0
	for i, found := range discoveries(p, 0.05) {
		if found {
			n++
			if i > 3 {
				t.Errorf("p = %g is rejected", p[i])
			}
		}
	}
	if n != 4 {
		t.Errorf("%d are rejected, want 4", n)
	}
}

// The interval holds the truth about as often as it says: of 400 seeded sets of
// 8 pairs between 84% and 96%.
func TestOverheadCovers(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	held := 0
	for range 400 {
		var pairs []Pair
		for range 8 {
			plain := 1 + rng.Float64()
			pairs = append(pairs, Pair{Profiled: plain * 1.015 * math.Exp(0.02*rng.NormFloat64()), Plain: plain, Weight: 100 + 50*rng.Float64()})
		}
		e, ok := Overhead(pairs)
		if !ok || e.Pairs != 8 {
			t.Fatal(e, ok)
		}
		if e.Low < 0.015 && 0.015 < e.High {
			held++
		}
	}
	if held < 336 || held > 384 {
		t.Errorf("the interval of 90%% holds the truth in %d of 400", held)
	}
	for _, few := range [][]Pair{nil, {{1, 1, 1}, {1, 1, 1}}, {{1, 0, 1}, {0, 1, 1}, {1, 1, 0}, {math.Inf(1), 1, 1}}} {
		if e, ok := Overhead(few); ok {
			t.Errorf("%v gives %+v", few, e)
		}
	}
}

// A queue with one server of constant time saturates at 1/service: found within
// 10% in at least 90 of 100 seeded drills up to 90% of it.
func TestWaitsSaturate(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	const service = 2e6 // ns: 500/s
	found := 0
	for range 100 {
		var loads []Load
		for i, rps := range []float64{100, 200, 300, 400, 450} {
			rho := rps * service / 1e9
			wait := rho * service / (2 * (1 - rho)) * math.Exp(0.1*rng.NormFloat64()*rho/(1-rho)/3)
			requests := rps * 5
			contended := int64(requests * rho)
			m := newProfile([2]string{"contentions", "count"}, [2]string{"delay", "nanoseconds"})
			m.add([]int64{contended, int64(wait * requests)}, "net/http.(*conn).serve", "main.(*cache).get", "sync.(*Mutex).Unlock")
			m.add([]int64{200, 5e9}, "main.worker", "sync.(*Mutex).Unlock") // the same each second
			loads = append(loads, Load{Step: i, RPS: rps, Requests: requests, Seconds: 5, Pprofs: [][]byte{m.bytes(t)}})
		}
		waits, err := Waits(loads, nil, 470)
		if err != nil {
			t.Fatal(err)
		}
		if len(waits) != 1 || waits[0].Function != "main.(*cache).get" || waits[0].Kind != WaitLock {
			t.Fatalf("%+v, want the cache's lock alone", waits)
		}
		if math.Abs(waits[0].Saturates-500) < 50 && waits[0].Adds.Value > 5e6 {
			found++
		}
	}
	if found < 90 {
		t.Errorf("found in %d of 100", found)
	}
}

// A channel that requests wait at is named, a worker's that waits for work not,
// nor what only the library waits for.
func TestWaitsAtChannels(t *testing.T) {
	var loads []Load
	for i, rps := range []float64{100, 200, 400} {
		m := newProfile([2]string{"contentions", "count"}, [2]string{"delay", "nanoseconds"})
		n := int64(rps * 5)
		m.add([]int64{n, n * int64(rps) * 1e4}, "net/http.(*conn).serve", "main.(*pool).acquire", "runtime.selectgo")
		m.add([]int64{1000, 5e9}, "main.worker", "runtime.chanrecv1")
		m.add([]int64{n, n * int64(rps) * 1e5}, "net/http.(*conn).serve", "net/http.(*connReader).abortPendingRead", "sync.(*Cond).Wait")
		m.add([]int64{n, n * int64(rps) * 1e5}, "net/http.(*conn).serve", "main.(*cache).get", "sync.(*Mutex).Lock")
		loads = append(loads, Load{Step: i, RPS: rps, Requests: rps * 5, Seconds: 5, Pprofs: [][]byte{m.bytes(t)}})
	}
	waits, err := Waits(nil, loads, 0)
	if err != nil || len(waits) != 1 || waits[0].Function != "main.(*pool).acquire" || waits[0].Kind != WaitChannel || waits[0].Adds.Value != 3e6 {
		t.Errorf("%+v, %v", waits, err)
	}
}
