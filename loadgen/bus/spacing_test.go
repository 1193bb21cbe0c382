package bus_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/headroom-project/headroom/loadgen/attack"
	"github.com/headroom-project/headroom/loadgen/bus"
	"github.com/headroom-project/headroom/loadgen/bus/bustest"
)

const (
	spacingRate  = 80
	spacingLasts = 3 * time.Second
	spacingHits  = spacingRate * 3
)

// TestMergedArrivalsAreAsEvenAsOneWorkers: four workers over the bus, each with a clock
// of its own, offer the constant arrivals of one. In what each of them keeps of its
// hits, the planned instants are those of the plan, each once; at the target, the
// gaps between arrivals differ from the plan's about as much as one worker's do: a worker
// whose idea of drill time is off by a twentieth of a gap shows. Four in step would be off
// by a whole one.
func TestMergedArrivalsAreAsEvenAsOneWorkers(t *testing.T) {
	const gap = time.Second / spacingRate
	one, four := spaced(t, 1), spaced(t, 4)
	for _, s := range []spacing{one, four} {
		if len(s.planned) != spacingHits || len(s.arrived) != spacingHits {
			t.Fatalf("%d hits in the raw results, %d at the target, want %d", len(s.planned), len(s.arrived), spacingHits)
		}
		for i, at := range s.planned {
			if want := s.planned[0] + time.Duration(i)*gap; (at - want).Abs() > time.Microsecond {
				t.Fatalf("hit %d was planned at %v, want %v", i, at, want)
			}
		}
	}
	lone, merged := one.uneven(gap), four.uneven(gap)
	t.Logf("gaps of %v at the target are off by %v with one worker, by %v with four", gap, lone, merged)
	if merged > 3*lone+gap/20 {
		t.Errorf("gaps of %v at the target are off by %v with four workers, by %v with one", gap, merged, lone)
	}
}

// spacing is when hits were planned, in drill time, and when they arrived.
type spacing struct {
	planned []time.Duration
	arrived []time.Time
}

// uneven is the median of how far gaps are off.
func (s spacing) uneven(gap time.Duration) time.Duration {
	var off []time.Duration
	for i := 1; i < len(s.arrived); i++ {
		off = append(off, (s.arrived[i].Sub(s.arrived[i-1]) - gap).Abs())
	}
	slices.Sort(off)
	return off[len(off)/2]
}

// spaced runs a drill of n workers that keep their raw results.
func spaced(t *testing.T, n int) spacing {
	t.Helper()
	var out spacing
	var mu sync.Mutex
	target := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		out.arrived = append(out.arrived, time.Now())
	}))
	t.Cleanup(target.Close)
	net := bustest.Single(t)
	in := bustest.Input(target.URL, spacingRate, spacingLasts, "")
	c, err := in.Compile()
	if err != nil {
		t.Fatal(err)
	}
	zero := time.Unix(0, 0)
	kept := make([]bytes.Buffer, n)
	raws := make([]*attack.Raw, n)
	for i := range n {
		if raws[i], err = attack.NewRaw(attack.RawConfig{To: &kept[i], Format: "json", Requests: c.Requests, Started: zero}); err != nil {
			t.Fatal(err)
		}
		off := time.Duration(i*i) * 17 * time.Minute
		net.Worker(func(w *bus.WorkerConfig) {
			now := bustest.Clock()
			w.Raw, w.Now = raws[i], func() time.Duration { return now() + off }
		})
	}
	f, now := net.Fleet(fmt.Sprintf("even%d", n), in, n, nil)
	if d := bustest.Run(t, f, now, in); d.Err != nil {
		t.Fatal(d.Err)
	}
	for i := range n {
		if err := raws[i].Close(); err != nil {
			t.Fatal(err)
		}
		for decode := json.NewDecoder(&kept[i]); decode.More(); {
			var hit struct {
				Timestamp time.Time `json:"timestamp"`
			}
			if err := decode.Decode(&hit); err != nil {
				t.Fatal(err)
			}
			out.planned = append(out.planned, hit.Timestamp.Sub(zero))
		}
	}
	slices.Sort(out.planned)
	slices.SortFunc(out.arrived, func(a, b time.Time) int { return cmp.Compare(a.UnixNano(), b.UnixNano()) })
	return out
}
