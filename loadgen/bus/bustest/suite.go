// Package bustest holds the conformance suite of loadgen.Fleet, and the fleets it
// is run over: in memory, over one NATS server, and over a cluster of three.
package bustest

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/headroom-project/headroom/loadgen"
	"github.com/headroom-project/headroom/loadgen/bus"
	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

// Rig is a fleet to be tested.
type Rig struct {
	Fleet loadgen.Fleet
	// Now is its drill clock.
	Now func() time.Duration
	// Workers is how many it has.
	Workers int
}

// Maker makes a fleet for an input; what it needs ends with the test.
type Maker func(t *testing.T, in *bus.Input) Rig

// Suite runs every test over fleets that make makes.
func Suite(t *testing.T, make Maker) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, Maker)
	}{
		{"EveryPlannedHitIsSentOnceAndReported", testEveryPlannedHit},
		{"WindowsOfAWorkerAreInOrderAndEndIdle", testOrder},
		{"CutEndsAStep", testCut},
		{"AHoldBridgesTheTimeUntilTheNextOffer", testHold},
		{"KillCancelsWhatIsInFlight", testKill},
		{"ItBeginsOnce", testBeginsOnce},
		{"ACloseWithoutFinishEndsEverything", testClose},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, make) })
	}
}

// Target counts what arrives.
type Target struct {
	URL      string
	Received atomic.Uint64
	// Hold, if it is set, keeps answers back until the client is gone.
	Hold atomic.Bool
}

// NewTarget starts a target that ends with the test.
func NewTarget(t testing.TB) *Target {
	target := &Target{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		target.Received.Add(1)
		if target.Hold.Load() {
			<-r.Context().Done()
		}
	}))
	t.Cleanup(srv.Close)
	target.URL = srv.URL
	return target
}

// Counts returns how many requests the target has received, once it is n or five
// seconds have passed: what was written a moment before a kill, it still has to read.
func (t *Target) Counts(n uint64) uint64 {
	limit := time.After(5 * time.Second)
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for t.Received.Load() < n {
		select {
		case <-look.C:
		case <-limit:
			return t.Received.Load()
		}
	}
	return t.Received.Load()
}

// Input is a scenario that offers rate for lasts, evenly spaced.
func Input(url string, rate float64, lasts time.Duration, more string) *bus.Input {
	return &bus.Input{Scenario: []byte(fmt.Sprintf(`version: 1
name: test
target: {url: %q, timeout: 2s}
load: {warmup: 0s, seed: 7, arrivals: constant, constant: {rate: %g, duration: %s}}
guards: []
%s
`, url, rate, lasts, more))}
}

// begin compiles the input and begins the drill.
func begin(t *testing.T, rig Rig, in *bus.Input) (*bus.Compiled, []string) {
	t.Helper()
	c, err := in.Compile()
	if err != nil {
		t.Fatal(err)
	}
	workers, err := rig.Fleet.Begin(context.Background(), loadgen.Assignment{Plan: c.Plan, Scenario: c.Scenario})
	if err != nil {
		t.Fatal(err)
	}
	if len(workers) != rig.Workers {
		t.Fatalf("workers %v, want %d", workers, rig.Workers)
	}
	return c, workers
}

// steer gives an order.
func steer(t *testing.T, rig Rig, o loadgen.Order) {
	t.Helper()
	if err := rig.Fleet.Steer(context.Background(), o); err != nil {
		t.Fatal(err)
	}
}

func offer(rig Rig, step scenarios.Step) loadgen.Order {
	return loadgen.Order{Offer: &loadgen.Offer{Step: step, At: rig.Now() + 50*time.Millisecond}}
}

// drain takes windows until they end.
func drain(t *testing.T, rig Rig, each func(*observation.Window)) {
	t.Helper()
	limit := time.After(20 * time.Second)
	for {
		select {
		case w, ok := <-rig.Fleet.Windows():
			if !ok {
				return
			}
			if each != nil {
				each(w)
			}
		case <-limit:
			t.Fatal("the windows do not end")
		}
	}
}

func testEveryPlannedHit(t *testing.T, make Maker) {
	target := NewTarget(t)
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	in := Input(target.URL, 200, time.Second, "")
	t.Run("drill", func(t *testing.T) {
		rig := make(t, in)
		c, _ := begin(t, rig, in)
		r := observation.NewReducer()
		r.Begin(observation.StepRecord{Index: 0, Lasts: time.Second})
		steer(t, rig, offer(rig, c.Plan.Steps[0]))
		steer(t, rig, loadgen.Order{Finish: true})
		drain(t, rig, func(w *observation.Window) { r.Add(w) })
		if err := rig.Fleet.Close(); err != nil {
			t.Fatal(err)
		}
		planned, sent, good, failed, dropped, _ := r.Totals()
		if planned != 200 || sent != 200 || good != 200 || failed+dropped != 0 || target.Received.Load() != 200 {
			t.Errorf("planned %d, sent %d, ok %d, failed %d, dropped %d, received %d; want 200 ok", planned, sent, good, failed, dropped, target.Received.Load())
		}
	})
}

func testOrder(t *testing.T, make Maker) {
	target := NewTarget(t)
	in := Input(target.URL, 100, 2*time.Second, "")
	rig := make(t, in)
	c, workers := begin(t, rig, in)
	steer(t, rig, offer(rig, c.Plan.Steps[0]))
	steer(t, rig, loadgen.Order{Finish: true})
	last := map[string]*observation.Window{}
	drain(t, rig, func(w *observation.Window) {
		if before := last[w.Worker]; before != nil && (w.Seq != before.Seq+1 || w.At < before.At) {
			t.Errorf("window %d at %v of %s follows %d at %v", w.Seq, w.At, w.Worker, before.Seq, before.At)
		}
		last[w.Worker] = w
	})
	for _, name := range workers {
		if w := last[name]; w == nil || !w.Idle || !w.Last || w.InFlight != 0 {
			t.Errorf("the last window of %s is %+v, want idle", name, w)
		}
	}
	if err := rig.Fleet.Close(); err != nil {
		t.Fatal(err)
	}
}

func testCut(t *testing.T, make Maker) {
	target := NewTarget(t)
	in := Input(target.URL, 100, time.Minute, "")
	rig := make(t, in)
	c, _ := begin(t, rig, in)
	steer(t, rig, offer(rig, c.Plan.Steps[0]))
	r := observation.NewReducer()
	r.Begin(observation.StepRecord{Index: 0, Lasts: time.Minute})
	r.Add(<-rig.Fleet.Windows())
	steer(t, rig, loadgen.Order{Cut: new(int)})
	steer(t, rig, loadgen.Order{Finish: true})
	drain(t, rig, func(w *observation.Window) { r.Add(w) })
	planned, sent, good, failed, dropped, _ := r.Totals()
	if planned == 0 || planned > 1000 || planned != good+failed+dropped || sent != target.Counts(sent) {
		t.Errorf("planned %d, ok %d, failed %d, dropped %d, sent %d, received %d", planned, good, failed, dropped, sent, target.Received.Load())
	}
	if err := rig.Fleet.Close(); err != nil {
		t.Fatal(err)
	}
}

func testKill(t *testing.T, make Maker) {
	target := NewTarget(t)
	target.Hold.Store(true)
	in := Input(target.URL, 100, time.Minute, "")
	rig := make(t, in)
	c, _ := begin(t, rig, in)
	steer(t, rig, offer(rig, c.Plan.Steps[0]))
	r := observation.NewReducer()
	r.Begin(observation.StepRecord{Index: 0, Lasts: time.Minute})
	r.Add(<-rig.Fleet.Windows())
	rig.Fleet.Kill()
	rig.Fleet.Kill() // twice is no harm
	drain(t, rig, func(w *observation.Window) { r.Add(w) })
	planned, sent, good, failed, dropped, errors := r.Totals()
	received := target.Counts(sent)
	if err := rig.Fleet.Close(); err != nil {
		t.Fatal(err)
	}
	if good != 0 || planned != failed+dropped || errors["cancelled"] != failed || sent != received || target.Received.Load() != received {
		t.Errorf("planned %d, sent %d, ok %d, failed %d (%v), dropped %d; received %d, then %d", planned, sent, good, failed, errors, dropped, received, target.Received.Load())
	}
}

func testBeginsOnce(t *testing.T, make Maker) {
	target := NewTarget(t)
	in := Input(target.URL, 100, time.Second, "")
	rig := make(t, in)
	if err := rig.Fleet.Steer(context.Background(), loadgen.Order{Finish: true}); err == nil {
		t.Error("an order before the begin is no error")
	}
	c, _ := begin(t, rig, in)
	if _, err := rig.Fleet.Begin(context.Background(), loadgen.Assignment{Plan: c.Plan, Scenario: c.Scenario}); err == nil {
		t.Error("a second begin is no error")
	}
	steer(t, rig, loadgen.Order{Finish: true})
	drain(t, rig, nil)
	for range 2 {
		if err := rig.Fleet.Close(); err != nil {
			t.Error(err)
		}
	}
	if n := target.Received.Load(); n != 0 {
		t.Errorf("%d hits without an offer", n)
	}
}

func testClose(t *testing.T, make Maker) {
	target := NewTarget(t)
	in := Input(target.URL, 200, time.Minute, "")
	rig := make(t, in)
	c, _ := begin(t, rig, in)
	steer(t, rig, offer(rig, c.Plan.Steps[0]))
	<-rig.Fleet.Windows()
	if err := rig.Fleet.Close(); err != nil {
		t.Fatal(err)
	}
	if _, open := <-rig.Fleet.Windows(); open {
		t.Error("windows go on after Close")
	}
	n := target.Received.Load()
	<-time.After(100 * time.Millisecond)
	if again := target.Received.Load(); again != n {
		t.Errorf("%d hits arrived after Close", again-n)
	}
}

// testHold: what is held goes on where the step ends, over all workers in the rhythm of
// the plan, and is part of no step; it ends where the next offer begins, by itself, and
// with Finish.
func testHold(t *testing.T, make Maker) {
	target := NewTarget(t)
	in := Input(target.URL, 200, time.Second, "")
	rig := make(t, in)
	c, _ := begin(t, rig, in)
	step := c.Plan.Steps[0]
	at := rig.Now() + 50*time.Millisecond
	hold := func(first uint64, lasts, at, began time.Duration) {
		held := step
		held.First, held.Lasts = first, lasts
		steer(t, rig, loadgen.Order{Offer: &loadgen.Offer{Step: held, At: at, Hold: true, Began: began}})
	}
	r := observation.NewReducer()
	r.Begin(observation.StepRecord{Index: 0, Start: at, Lasts: time.Second})
	steer(t, rig, loadgen.Order{Offer: &loadgen.Offer{Step: step, At: at}})
	hold(200, 10*time.Second, at+time.Second, at)

	// The next begins half a second after the first ends: 100 hits bridge that. It is
	// followed by a hold that ends by itself, after 40.
	next := step
	next.Index, next.First, next.Lasts = 1, 2200, 500*time.Millisecond
	turn := at + 1500*time.Millisecond
	r.Begin(observation.StepRecord{Index: 1, Start: turn, Lasts: next.Lasts})
	steer(t, rig, loadgen.Order{Offer: &loadgen.Offer{Step: next, At: turn}})
	hold(2300, 200*time.Millisecond, turn+next.Lasts, turn)
	steer(t, rig, loadgen.Order{Offer: &loadgen.Offer{Step: scenarios.Step{Index: 2, First: 2340, From: 200, To: 200, Lasts: 200 * time.Millisecond}, At: turn + 1200*time.Millisecond}})
	r.Begin(observation.StepRecord{Index: 2, Start: turn + 1200*time.Millisecond, Lasts: 200 * time.Millisecond})
	hold(2380, time.Minute, turn+1400*time.Millisecond, turn+1200*time.Millisecond)
	for w := range rig.Fleet.Windows() {
		if r.Add(w); w.At > turn+1450*time.Millisecond {
			break
		}
	}
	steer(t, rig, loadgen.Order{Finish: true})
	drain(t, rig, func(w *observation.Window) { r.Add(w) })
	for i, want := range []uint64{200, 100, 40} {
		p, err := r.Point(i)
		if err != nil || p.OK != want || r.Unfinished(i) != 0 {
			t.Errorf("step %d: %d ok, %d unfinished, %v; want %d", i, p.OK, r.Unfinished(i), err, want)
		}
	}
	planned, sent, good, _, _, _ := r.Totals()
	if planned < 480 || planned > 5000 || planned != good || sent != good || target.Received.Load() != good {
		t.Errorf("planned %d, sent %d, ok %d, received %d; want 480 and what was held last", planned, sent, good, target.Received.Load())
	}
	if err := rig.Fleet.Close(); err != nil {
		t.Fatal(err)
	}
}
