package loadgen_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/headroom-project/headroom/loadgen"
	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

// numbered is a target that is asked with the number of each hit.
type numbered struct {
	srv    *httptest.Server
	answer func(n int, r *http.Request) // the n-th request, from 1

	mu       sync.Mutex
	received int
	seen     map[string]int
}

func newNumbered(answer func(int, *http.Request)) *numbered {
	x := &numbered{answer: answer, seen: map[string]int{}}
	x.srv = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		x.mu.Lock()
		x.received++
		n := x.received
		x.seen[r.URL.Query().Get("n")]++
		x.mu.Unlock()
		x.answer(n, r)
	}))
	return x
}

// search makes a drill of it that offers steps; more is of its target.
func (x *numbered) search(t *testing.T, raw io.Writer, more string, steps ...scenarios.Step) (loadgen.Config, *memory, *progress) {
	t.Helper()
	cfg, rec, p := drillOf(t, fmt.Sprintf(`target: {url: %q, timeout: 2s, requests: [{name: a, get: "/?n={{ seq }}"}]%s}
load: {warmup: 0s, arrivals: constant, search: {from: 50, to: 1000}}
guards: []
`, x.srv.URL, more), raw)
	cfg.Search = &script{steps: steps}
	return cfg, rec, p
}

// counted fails unless each hit that was sent arrived, with a number of its own.
func (x *numbered) counted(t *testing.T, recs ...*memory) {
	t.Helper()
	x.mu.Lock()
	defer x.mu.Unlock()
	sent := uint64(0)
	for _, rec := range recs {
		sent += rec.sent
	}
	if sent != uint64(x.received) {
		t.Errorf("%d sent, the target received %d", sent, x.received)
	}
	for n, times := range x.seen {
		if _, err := strconv.Atoi(n); err != nil || times != 1 {
			t.Errorf("number %q came %d times", n, times)
		}
	}
}

func offers(rate float64) scenarios.Step {
	return scenarios.Step{Kind: scenarios.KindSearch, From: rate, To: rate, Lasts: 1300 * time.Millisecond}
}

// planned reads the planned instants of raw results, in drill time and in order.
func planned(t *testing.T, rec *memory, raw io.Reader) []time.Duration {
	t.Helper()
	if err := rec.raw.Close(); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(raw).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var out []time.Duration
	for _, row := range rows {
		ns, err := strconv.ParseInt(row[0], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, time.Duration(ns-epoch.UnixNano()))
	}
	slices.Sort(out)
	return out
}

// Between two steps of a search, whatever their rates, no pause is planned that a
// service would not see in the load itself: the target answers late enough that a
// search that waited until all is quiet would leave one. What bridges the time is in
// no step's figures, and no number is used twice.
func TestASearchHoldsTheLoadUntilItHasDecided(t *testing.T) {
	for engine, more := range map[string]string{"loop": "", "vegeta": ", redirects: follow 1"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			x := newNumbered(func(int, *http.Request) { <-time.After(150 * time.Millisecond) })
			defer x.srv.Close()
			var raw bytes.Buffer
			cfg, rec, _ := x.search(t, &raw, more, offers(200), offers(400), offers(100))
			fleet := &bounded{t: t, Fleet: cfg.Fleet}
			cfg.Fleet = fleet
			out, err := loadgen.Run(context.Background(), cfg)
			if err != nil || out.How != observation.EndDone || len(out.Points) != 3 {
				t.Fatalf("ended %q (%s) with %d points, %v", out.How, out.Detail, len(out.Points), err)
			}
			x.counted(t, rec)
			for i, want := range []uint64{260, 520, 130} {
				if p := out.Points[i]; p.OK != want || p.Dropped != 0 {
					t.Errorf("point %d has %d ok and %d dropped, want %d", i, p.OK, p.Dropped, want)
				}
			}
			if rec.sent <= 260+520+130 {
				t.Errorf("%d sent: nothing was held", rec.sent)
			}
			at := planned(t, rec, &raw)
			for i, begins := range rec.find(observation.EntryStep) {
				k, _ := slices.BinarySearch(at, begins.Step.Start)
				if i == 0 {
					continue
				}
				slower := min(begins.Step.From, rec.find(observation.EntryStep)[i-1].Step.To)
				limit := time.Duration(5/slower*1e9) + 50*time.Millisecond
				for j := k - 50; j < min(k+50, len(at)); j++ {
					if gap := at[j] - at[j-1]; gap > limit {
						t.Errorf("%v lie between two hits before step %d, at %v; want at most %v", gap, i, at[j], limit)
					}
				}
			}
		})
	}
}

// bounded is a fleet that fails the test if what is held is not the load of the step
// before: a search that keeps to a utilisation has chosen that, and nothing above it.
type bounded struct {
	loadgen.Fleet
	t    *testing.T
	rate float64
}

func (b *bounded) Steer(ctx context.Context, o loadgen.Order) error {
	switch {
	case o.Offer != nil && !o.Offer.Hold:
		b.rate = o.Offer.Step.To
	case o.Offer != nil && o.Offer.Step.Peak() != b.rate:
		b.t.Errorf("%v/s are held after a step of %v/s", o.Offer.Step.Peak(), b.rate)
	}
	return b.Fleet.Steer(ctx, o)
}

// hang keeps the requests from one to another back for so long.
func hang(from, to int, d time.Duration) func(int, *http.Request) {
	return func(n int, r *http.Request) {
		if n < from || n > to {
			return
		}
		select {
		case <-time.After(d):
		case <-r.Context().Done():
		}
	}
}

// An interrupt while the load is held ends it at once; what was sent is counted.
func TestAnInterruptEndsAHold(t *testing.T) {
	t.Parallel()
	ctx, interrupt := context.WithCancel(context.Background())
	defer interrupt()
	late := hang(255, 259, 1500*time.Millisecond)
	x := newNumbered(func(n int, r *http.Request) {
		if n == 300 {
			interrupt()
		}
		late(n, r)
	})
	defer x.srv.Close()
	cfg, rec, _ := x.search(t, nil, "", offers(200), offers(400))
	out, err := loadgen.Run(ctx, cfg)
	if err != nil || out.How != observation.EndInterrupted || len(out.Points) != 1 {
		t.Fatalf("ended %q (%s) with %d points, %v; want interrupted after one", out.How, out.Detail, len(out.Points), err)
	}
	x.counted(t, rec)
	// The last of the step end 1.2 s after it has.
	if p := out.Points[0]; p.OK != 260 || p.Cut != "" || rec.sent < 300 || rec.sent > 460 {
		t.Errorf("the step has %d ok, cut %q, %d were sent; want 260, and a few more than 300", p.OK, p.Cut, rec.sent)
	}
}

// A load that is held into a backlog is let go, and the search waits until that has
// drained.
func TestABacklogEndsAHold(t *testing.T) {
	t.Parallel()
	x := newNumbered(hang(255, 1<<30, 1200*time.Millisecond))
	defer x.srv.Close()
	cfg, rec, p := x.search(t, nil, "", offers(200), offers(50))
	left := -1
	p.begins = func(s scenarios.Step) {
		if s.Index == 1 {
			left = rec.last.InFlight
		}
	}
	out, err := loadgen.Run(context.Background(), cfg)
	if err != nil || out.How != observation.EndDone || len(out.Points) != 2 {
		t.Fatalf("ended %q (%s) with %d points, %v", out.How, out.Detail, len(out.Points), err)
	}
	x.counted(t, rec)
	if left != 0 || out.Points[0].OK != 260 || out.Points[0].Dropped != 0 {
		t.Errorf("%d in flight when the next step began, the first has %d ok and %d dropped; want 0, 260, 0", left, out.Points[0].OK, out.Points[0].Dropped)
	}
}

// The guards look while the load is held: what it does to the target then ends the drill.
func TestAGuardEndsAHold(t *testing.T) {
	t.Parallel()
	late, slow := hang(255, 259, 1900*time.Millisecond), hang(261, 1<<30, 300*time.Millisecond)
	x := newNumbered(func(n int, r *http.Request) { late(n, r); slow(n, r) })
	defer x.srv.Close()
	cfg, rec, _ := x.search(t, nil, "", offers(200), offers(400))
	guard, err := scenarios.ParseGuard("p50 > 150ms for 1s")
	if err != nil {
		t.Fatal(err)
	}
	cfg.Scenario.Guards = []scenarios.Guard{guard}
	out, err := loadgen.Run(context.Background(), cfg)
	if err != nil || out.How != observation.EndGuard || len(out.Points) != 1 || len(rec.find(observation.EntryStep)) != 1 {
		t.Fatalf("ended %q (%s) with %d points and %d steps, %v; want by the guard after one", out.How, out.Detail, len(out.Points), len(rec.find(observation.EntryStep)), err)
	}
	x.counted(t, rec)
	if p := out.Points[0]; p.OK != 260 || p.Cut != "" || rec.sent <= 260 || rec.sent > 260+600 {
		t.Errorf("the step has %d ok, cut %q, %d were sent; want 260, and what was held for less than 3 s", p.OK, p.Cut, rec.sent)
	}
}

// The kill switch ends what is held at once. A controller that was lost at that moment
// is gone on with: the step whose load was held is closed as invalid, and the numbers of
// what was held are not used again.
func TestAHoldIsKilledAndGoneOnWith(t *testing.T) {
	t.Parallel()
	late := hang(255, 259, 1500*time.Millisecond)
	var kill func()
	x := newNumbered(func(n int, r *http.Request) {
		if n == 300 {
			kill()
		}
		late(n, r)
	})
	defer x.srv.Close()
	cfg, rec, _ := x.search(t, nil, "", offers(200), offers(400))
	kill = cfg.Fleet.Kill
	out, err := loadgen.Run(context.Background(), cfg)
	if err == nil || out.How != observation.EndFailed {
		t.Fatalf("ended %q (%s), %v; want failed, since the workers ended", out.How, out.Detail, err)
	}
	if rec.sent < 300 || rec.sent > 320 {
		t.Errorf("%d sent; want 300 and what was on its way when all was ended", rec.sent)
	}
	lost := &loadgen.Resume{Reducer: observation.NewReducer(), Told: 1500 * time.Millisecond}
	for _, e := range rec.entries {
		if e.Step != nil { // the first; the controller was lost before it chose another
			lost.Journal = append(lost.Journal, e)
			lost.Reducer.Begin(*e.Step)
			break
		}
	}
	for _, w := range rec.all {
		w.Worker += "~1" // they are numbered anew under another controller
		lost.Reducer.Add(w)
	}
	again, more, _ := x.search(t, nil, "", offers(200), offers(100))
	again.Resume = lost
	out, err = loadgen.Run(context.Background(), again)
	if err != nil || out.How != observation.EndDone || len(out.Points) != 2 || out.Points[0].Valid || out.Points[1].OK != 130 {
		t.Fatalf("gone on with: ended %q (%s) with %+v, %v; want an invalid point and one of 130", out.How, out.Detail, out.Points, err)
	}
	x.counted(t, rec, more)
}
