package attack_test

import (
	"bytes"
	"context"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/headroom-project/headroom/loadgen/attack"
	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

// planned reads the planned instants of hits off their raw results.
type planned struct {
	out bytes.Buffer
	raw *attack.Raw
}

var epoch = time.Unix(1_000_000, 0)

func (p *planned) keep(t *testing.T) func(*scenarios.Scenario, *attack.Config) {
	return func(s *scenarios.Scenario, cfg *attack.Config) {
		requests, err := scenarios.CompileRequests(s, scenarios.Inputs{Open: files})
		if err != nil {
			t.Fatal(err)
		}
		if p.raw, err = attack.NewRaw(attack.RawConfig{To: &p.out, Format: "gob", Requests: requests, Started: epoch}); err != nil {
			t.Fatal(err)
		}
		cfg.Raw = p.raw
	}
}

// instants are in the order of sending, in drill time.
func (p *planned) instants(t *testing.T) []time.Duration {
	t.Helper()
	if err := p.raw.Close(); err != nil {
		t.Fatal(err)
	}
	_, seen := decodeRaw(t, &p.out)
	out := make([]time.Duration, len(seen))
	for _, res := range seen {
		out[res.Seq] = res.Timestamp.Sub(epoch)
	}
	return out
}

// Steps that follow each other leave no gap: of evenly spaced arrivals the last
// hit of a step lies half a distance before its end, and the first of the next
// half a distance after.
func testStepsAreContiguous(t *testing.T) {
	srv, _ := counting(t, ok)
	defer srv.Close()
	var p planned
	b := newBench(t, srv.URL, p.keep(t))
	b.run(context.Background(), constant(200, 500*time.Millisecond), constant(400, 500*time.Millisecond), constant(100, 500*time.Millisecond))
	at := p.instants(t)
	if len(at) != 100+200+50 {
		t.Fatalf("%d hits, want 350", len(at))
	}
	for i := 1; i < len(at); i++ {
		want := 5 * time.Millisecond // 200/s
		switch {
		case i == 100:
			want = 2500*time.Microsecond + 1250*time.Microsecond
		case i > 100 && i < 300:
			want = 2500 * time.Microsecond
		case i == 300:
			want = 1250*time.Microsecond + 5*time.Millisecond
		case i > 300:
			want = 10 * time.Millisecond
		}
		if gap := at[i] - at[i-1]; math.Abs(float64(gap-want)) > 10 {
			t.Errorf("hit %d comes %v after the one before, want %v", i, gap, want)
		}
	}
}

// A hold goes on at the last rate until the next order begins, and its hits are
// booked behind the step's seconds, so that they are no part of its figures.
func testHoldBridgesTheTimeUntilTheNextStep(t *testing.T) {
	srv, received := counting(t, ok)
	defer srv.Close()
	var p planned
	b := newBench(t, srv.URL, p.keep(t))
	first, hold, second := constant(200, time.Second), constant(200, 30*time.Second), constant(400, 500*time.Millisecond)
	second.Index = 1
	at := b.now() + 10*time.Millisecond
	b.attack.Offer(first, at)
	b.attack.Hold(hold, at+first.Lasts, at)
	turn := at + first.Lasts + 310*time.Millisecond
	var wg sync.WaitGroup
	wg.Go(func() {
		<-time.After(at + first.Lasts + 150*time.Millisecond - b.now())
		b.attack.Offer(second, turn)
		b.attack.Finish()
	})
	r := observation.NewReducer()
	r.Begin(observation.StepRecord{Index: 0, Start: at, Lasts: first.Lasts, From: 200, To: 200})
	r.Begin(observation.StepRecord{Index: 1, Start: turn, Lasts: second.Lasts, From: 400, To: 400})
	if err := b.attack.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	for _, w := range b.windows {
		r.Add(w)
	}
	one, err := r.Point(0)
	if err != nil {
		t.Fatal(err)
	}
	two, err := r.Point(1)
	if err != nil {
		t.Fatal(err)
	}
	sum, _, _, _, _, _ := r.Totals()
	if one.OK != 200 || two.OK != 200 || sum != 462 || received.Load() != 462 {
		t.Errorf("step 0 has %d hits, step 1 %d, all %d, the target received %d; want 200, 200, 462, 462", one.OK, two.OK, sum, received.Load())
	}
	instants := p.instants(t)
	for i := 1; i < len(instants); i++ {
		if gap := instants[i] - instants[i-1]; gap > 5*time.Millisecond+10 {
			t.Errorf("hit %d comes %v after the one before", i, gap)
		}
	}
}

// A hold is booked behind the seconds of its step even if this attack was not there
// for the step, and ends by itself, or when one of no length comes, whatever else is
// held behind it.
func testHoldEndsWithoutANextStep(t *testing.T) {
	srv, received := counting(t, ok)
	defer srv.Close()
	var p planned
	b := newBench(t, srv.URL, p.keep(t))
	began := b.now()
	at := began + 20*time.Millisecond
	b.attack.Hold(constant(200, 250*time.Millisecond), at, began)
	b.attack.Hold(constant(200, 2*time.Second), at+250*time.Millisecond, began)
	b.attack.Hold(constant(200, 30*time.Second), at+2250*time.Millisecond, began) // never begins
	b.attack.Hold(constant(200, 0), at+500*time.Millisecond, began)
	b.attack.Finish()
	r := observation.NewReducer()
	r.Begin(observation.StepRecord{Index: 0, Start: began, Lasts: at - began, From: 200, To: 200})
	if err := b.attack.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	for _, w := range b.windows {
		r.Add(w)
	}
	one, err := r.Point(0)
	if err != nil {
		t.Fatal(err)
	}
	sum, _, good, _, _, _ := r.Totals()
	if one.OK != 0 || len(one.Windows) > 0 || r.Unfinished(0) != 0 || sum != 100 || good != 100 || received.Load() != 100 {
		t.Errorf("%d hits in the step, all %d, %d ok, the target received %d; want 0, 100, 100, 100", one.OK, sum, good, received.Load())
	}
	instants := p.instants(t)
	for i := 1; i < len(instants); i++ {
		if gap := instants[i] - instants[i-1]; math.Abs(float64(gap-5*time.Millisecond)) > 10 {
			t.Errorf("hit %d comes %v after the one before, want 5 ms", i, gap)
		}
	}
}

// A step that is cut ends what was to be held behind it, too.
func testACutEndsAHold(t *testing.T) {
	srv, received := counting(t, ok)
	defer srv.Close()
	b := newBench(t, srv.URL, nil)
	at := b.now() + 10*time.Millisecond
	b.attack.Offer(constant(200, 300*time.Millisecond), at)
	b.attack.Hold(constant(200, 5*time.Second), at+300*time.Millisecond, at)
	var cut time.Duration
	var wg sync.WaitGroup
	wg.Go(func() {
		<-time.After(at + 500*time.Millisecond - b.now())
		b.attack.Cut(0)
		cut = b.now()
		<-time.After(400 * time.Millisecond)
		b.attack.Finish()
	})
	if err := b.attack.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	sent, planned := uint64(0), uint64(0)
	for _, w := range b.windows {
		sent, planned = sent+w.Sent, planned+w.Planned
	}
	most := uint64(200*(cut-at).Seconds()) + 1
	if n := received.Load(); n < 80 || planned > most || sent != n {
		t.Errorf("%d planned, %d sent, the target received %d; want the 60 of the step, and what was held until it was cut: at most %d in all", planned, sent, n, most)
	}
}
