package bus_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/headroom-project/headroom/loadgen/attack"
	"github.com/headroom-project/headroom/loadgen/bus"
	"github.com/headroom-project/headroom/loadgen/bus/bustest"
)

// Two drills that are begun at one time get different workers, and a third none, until
// one of them gives its workers free.
func TestAWorkerIsPickedOnce(t *testing.T) {
	n := bustest.Single(t)
	n.Worker(nil)
	n.Worker(nil)
	pick := func(k int, patience time.Duration) (*bus.Reservation, error) {
		return n.Hub.Pick(context.Background(), k, patience)
	}
	var both [2]*bus.Reservation
	var wg sync.WaitGroup
	for i := range both {
		wg.Go(func() {
			var err error
			if both[i], err = pick(1, 10*time.Second); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	if both[0].Workers[0].ID == both[1].Workers[0].ID {
		t.Errorf("both got %s", both[0].Workers[0].Name)
	}
	if _, err := pick(0, 0); !errors.Is(err, bus.ErrTooFew) {
		t.Errorf("a third: %v, want %v", err, bus.ErrTooFew)
	}
	both[0].Release()
	again, err := pick(0, 0)
	if err != nil || len(again.Workers) != 1 || again.Workers[0].ID != both[0].Workers[0].ID {
		t.Fatalf("after the first: %+v, %v", again, err)
	}
	both[0].Release() // it has nothing to give free any more
	if _, err := pick(1, 0); !errors.Is(err, bus.ErrTooFew) {
		t.Errorf("a release gave another's workers free: %v", err)
	}
	both[1].Release()
	kept := n.Hub.Reserve([]string{both[1].Workers[0].ID})
	if _, err := pick(1, 0); !errors.Is(err, bus.ErrTooFew) {
		t.Errorf("a worker that is kept was picked: %v", err)
	}
	kept.Release()
	again.Release()
	if _, err := pick(2, 0); err != nil {
		t.Errorf("at the end: %v", err)
	}
}

// A fleet that cannot begin gives its workers free, and says whether it is since the
// target may not be hit from there.
func TestAWorkerThatMayNotHitTheTarget(t *testing.T) {
	n := bustest.Single(t)
	n.Worker(nil)
	in := bustest.Input("http://192.0.2.1:1", 100, time.Second, "safety: {allow: [192.0.2.1]}")
	f, now := n.Fleet("blocked", in, 1, nil)
	if d := bustest.Run(t, f, now, in); !errors.Is(d.Err, attack.ErrBlocked) {
		t.Errorf("begun with %v, want %v", d.Err, attack.ErrBlocked)
	}
	if _, err := n.Hub.Pick(context.Background(), 1, 0); err != nil {
		t.Errorf("its worker is not free: %v", err)
	}
}

// A drill that follows another at once has the same workers.
func TestWorkersAreFreeWhenTheirDrillIsOver(t *testing.T) {
	t.Parallel() // little load, much waiting
	target := bustest.NewTarget(t)
	n := bustest.Single(t)
	for range 3 {
		n.Worker(nil)
	}
	all, err := n.Hub.Pick(context.Background(), 3, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	all.Release()
	in := bustest.Input(target.URL, 300, 1200*time.Millisecond, "")
	for _, run := range []string{"one", "two", "three"} {
		f, now := n.Fleet(run, in, 0, nil)
		if d := bustest.Run(t, f, now, in); d.Err != nil || d.Sent() != 360 {
			t.Errorf("run %s: %d sent, %v", run, d.Sent(), d.Err)
		}
		if k := len(f.Names()); k != 3 {
			t.Errorf("run %s had %d workers, want 3", run, k)
		}
		again, err := n.Hub.Pick(context.Background(), 3, 0)
		if err != nil {
			t.Fatalf("after run %s: %v", run, err)
		}
		again.Release()
	}
}
