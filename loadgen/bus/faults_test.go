package bus_test

import (
	"bytes"
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/headroom-project/headroom/loadgen/bus"
	"github.com/headroom-project/headroom/loadgen/bus/bustest"
	"github.com/headroom-project/headroom/loadgen/observation"
)

// counted fails unless the target received what the windows say was sent.
func counted(t *testing.T, target *bustest.Target, d bustest.Drill) {
	t.Helper()
	if sent, received := d.Sent(), target.Received.Load(); sent != received {
		t.Errorf("the windows say %d hits were sent, the target received %d", sent, received)
	}
}

// TestAWorkerWhoseClockIsAnHourOff: nothing depends on what a worker's clock says.
func TestAWorkerWhoseClockIsAnHourOff(t *testing.T) {
	t.Parallel() // little load, much waiting
	target := bustest.NewTarget(t)
	n := bustest.Single(t)
	for _, off := range []time.Duration{0, time.Hour, -time.Hour} {
		n.Worker(func(c *bus.WorkerConfig) {
			now := bustest.Clock()
			c.Now = func() time.Duration { return now() + off }
		})
	}
	in := bustest.Input(target.URL, 300, 2*time.Second, "")
	f, now := n.Fleet("hour", in, 3, nil)
	d := bustest.Run(t, f, now, in)
	if d.Err != nil || d.Sent() != 600 {
		t.Errorf("%d hits sent, want 600: %v", d.Sent(), d.Err)
	}
	counted(t, target, d)
	began := d.Fleet(observation.FleetStarted)
	if len(began) != 1 || began[0].Skew <= 0 || began[0].Skew > time.Second {
		t.Fatalf("start: %+v", began)
	}
	t.Logf("start skew %v, clocks known to %v", began[0].Skew, began[0].ClockError)
}

// TestADuplicateCountsOnce: the same message again, and the same windows under
// another message id.
func TestADuplicateCountsOnce(t *testing.T) {
	t.Parallel() // little load, much waiting
	target := bustest.NewTarget(t)
	n := bustest.Single(t)
	n.Worker(nil)
	in := bustest.Input(target.URL, 200, 3*time.Second, "")
	f, now := n.Fleet("twice", in, 1, nil)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	stream, err := n.JS.Stream(ctx, "HEADROOM_WINDOWS")
	if err != nil {
		t.Fatal(err)
	}
	copied := make(chan error, 1)
	go func() {
		copied <- func() error {
			var msg *jetstream.RawStreamMsg
			for msg == nil {
				if msg, err = stream.GetMsg(ctx, 1); err != nil && ctx.Err() != nil {
					return err
				}
			}
			for _, id := range []string{msg.Header.Get("Nats-Msg-Id"), "another"} {
				ack, err := n.JS.Publish(ctx, msg.Subject, msg.Data, jetstream.WithMsgID(id))
				if err != nil {
					return err
				}
				if ack.Duplicate == (id == "another") {
					return errors.New("message " + id + " was not treated as it should")
				}
			}
			return nil
		}()
	}()
	d := bustest.Run(t, f, now, in)
	if err := <-copied; err != nil {
		t.Fatal(err)
	}
	if d.Err != nil || d.Sent() != 600 {
		t.Errorf("%d hits sent, want 600: %v", d.Sent(), d.Err)
	}
	counted(t, target, d)
}

// TestAWorkerOfAnotherVersionIsRefused, with both versions named.
func TestAWorkerOfAnotherVersionIsRefused(t *testing.T) {
	n := bustest.Single(t)
	nc, id := n.Dial()
	w, err := bus.NewWorker(bus.WorkerConfig{Conn: nc, ID: id, Name: "old", Version: "0.0.1", Now: bustest.Clock()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err = w.Run(ctx)
	if !errors.Is(err, bus.ErrRefused) || !strings.Contains(err.Error(), "0.0.1") || !strings.Contains(err.Error(), bustest.Version) {
		t.Errorf("the worker ends with %v", err)
	}
	if list := n.Hub.Workers(); len(list) != 0 {
		t.Errorf("it is listed: %v", list)
	}
}

// partition runs a drill of 3 workers at 300 hits/s for lasts, and severs one of
// them for a time, 1.5 s after the begin.
func partition(t *testing.T, more string, lasts, away time.Duration) (*bustest.Target, bustest.Drill) {
	t.Helper()
	target := bustest.NewTarget(t)
	n := bustest.Single(t)
	n.Worker(nil)
	n.Worker(nil)
	proxy := bustest.NewProxy(t, n.URL, 0)
	n.WorkerAt(proxy.URL, nil)
	in := bustest.Input(target.URL, 300, lasts, more)
	f, now := n.Fleet("partition", in, 3, nil)
	sever := time.AfterFunc(1500*time.Millisecond, proxy.Sever)
	heal := time.AfterFunc(1500*time.Millisecond+away, proxy.Heal)
	t.Cleanup(func() { sever.Stop(); heal.Stop() })
	return target, bustest.Run(t, f, now, in)
}

// TestAPartitionOfTwoSecondsIsSurvived: the lease holds, the windows come late.
func TestAPartitionOfTwoSecondsIsSurvived(t *testing.T) {
	t.Parallel() // little load, much waiting
	target, d := partition(t, "", 5*time.Second, 1800*time.Millisecond)
	counted(t, target, d)
	if d.Err != nil || d.Sent() != 1500 && len(d.Fleet(observation.FleetLost)) == 0 {
		t.Errorf("%d hits sent, want 1500: %v", d.Sent(), d.Err)
	}
	if n := len(d.Fleet(observation.FleetLost)); n > 0 {
		t.Logf("the machine was too slow for the worker to renew its lease in time: %+v", d.Fleet(observation.FleetLost))
	}
}

// TestALostWorkerIsFencedAndReplaced: a partition longer than the lease.
func TestALostWorkerIsFencedAndReplaced(t *testing.T) {
	t.Parallel() // little load, much waiting
	target, d := partition(t, "", 8*time.Second, 6*time.Second)
	counted(t, target, d)
	lost, given := d.Fleet(observation.FleetLost), d.Fleet(observation.FleetRebalanced)
	if d.Err != nil || len(lost) != 1 || lost[0].Worker != "w3" || len(given) != 1 {
		t.Fatalf("lost %+v, rebalanced %+v, %v", lost, given, d.Err)
	}
	// Fenced before: about 1.3 s of w3's 100 hits/s are sent by nobody at most.
	if sent := d.Sent(); sent >= 2400 || sent < 2400-200 {
		t.Errorf("%d of 2400 hits were sent", sent)
	}
	p, err := d.Reducer.Point(0)
	if err != nil {
		t.Fatal(err)
	}
	if p.Discarded < 3 || p.Seconds < 1 || p.Figures.Sent > uint64(p.Seconds*300)+1 {
		t.Errorf("%.0f s are left out, %.0f s with %d hits are kept", p.Discarded, p.Seconds, p.Figures.Sent)
	}
	if m := d.Fleet(observation.FleetMissing); len(m) > 0 {
		t.Errorf("missing although all windows came: %+v", m)
	}
}

func TestALostWorkerDegrades(t *testing.T) {
	t.Parallel() // little load, much waiting
	target, d := partition(t, "lost_worker: degrade", 6*time.Second, 4*time.Second)
	counted(t, target, d)
	lost := d.Fleet(observation.FleetLost)
	if len(lost) != 1 || lost[0].Share < 0.66 || lost[0].Share > 0.67 || len(d.Fleet(observation.FleetRebalanced)) > 0 {
		t.Fatalf("lost %+v", lost)
	}
}

func TestALostWorkerAborts(t *testing.T) {
	t.Parallel() // little load, much waiting
	target, d := partition(t, "lost_worker: abort", 20*time.Second, 4*time.Second)
	counted(t, target, d)
	if d.Outcome.How != observation.EndFailed || !strings.Contains(d.Outcome.Detail, "w3") {
		t.Errorf("ended %q (%s)", d.Outcome.How, d.Outcome.Detail)
	}
}

// TestASlowNetworkIsNoLoss: 150 ms each way; the report says that clocks are known
// less well.
func TestASlowNetworkIsNoLoss(t *testing.T) {
	t.Parallel() // little load, much waiting
	target := bustest.NewTarget(t)
	n := bustest.Single(t)
	n.Worker(nil)
	n.WorkerAt(bustest.NewProxy(t, n.URL, 150*time.Millisecond).URL, nil)
	in := bustest.Input(target.URL, 200, 3*time.Second, "")
	f, now := n.Fleet("slow", in, 2, nil)
	d := bustest.Run(t, f, now, in)
	counted(t, target, d)
	began := d.Fleet(observation.FleetStarted)
	if d.Err != nil || d.Sent() != 600 || len(began) != 1 || began[0].ClockError < 100*time.Millisecond || began[0].Text == "" {
		t.Errorf("%d hits sent, start %+v, %v", d.Sent(), began, d.Err)
	}
}

// TestANatsNodeIsKilled in mid-drill, the one that leads the stream.
func TestANatsNodeIsKilled(t *testing.T) {
	t.Parallel() // little load, much waiting
	target := bustest.NewTarget(t)
	c := bustest.NewCluster(t)
	for range 3 {
		c.Worker(nil)
	}
	in := bustest.Input(target.URL, 300, 8*time.Second, "")
	f, now := c.Fleet("node", in, 3, nil)
	leader := c.Leader()
	kill := time.AfterFunc(2500*time.Millisecond, func() { c.Kill(leader) })
	defer kill.Stop()
	d := bustest.Run(t, f, now, in)
	counted(t, target, d)
	if d.Err != nil || d.Outcome.How != observation.EndDone {
		t.Errorf("ended %q (%s): %v", d.Outcome.How, d.Outcome.Detail, d.Err)
	}
	if lost := d.Fleet(observation.FleetLost); len(lost) == 0 && d.Sent() != 2400 {
		t.Errorf("%d hits sent, want 2400", d.Sent())
	} else if len(lost) > 0 {
		t.Logf("workers were lost with the node: %+v", lost)
	}
}

// TestNeverAboveAWorkersOwnBound, in the plan and when a share is given away.
func TestNeverAboveAWorkersOwnBound(t *testing.T) {
	t.Parallel() // little load, much waiting
	target := bustest.NewTarget(t)
	n := bustest.Single(t)
	n.Worker(func(c *bus.WorkerConfig) { c.MaxRPS = 60 })
	n.Worker(func(c *bus.WorkerConfig) { c.MaxRPS = 60 })
	in := bustest.Input(target.URL, 200, 3*time.Second, "")
	f, now := n.Fleet("above", in, 2, nil)
	if d := bustest.Run(t, f, now, in); d.Err == nil || !strings.Contains(d.Err.Error(), "at most 60") {
		t.Errorf("100/s for each of two that take 60: %v", d.Err)
	}
	end := n.Worker(func(c *bus.WorkerConfig) { c.MaxRPS = 60 })
	in = bustest.Input(target.URL, 150, 4*time.Second, "")
	f, now = n.Fleet("give", in, 3, nil)
	gone := time.AfterFunc(1500*time.Millisecond, end)
	defer gone.Stop()
	d := bustest.Run(t, f, now, in)
	lost := d.Fleet(observation.FleetLost)
	if len(lost) != 1 || len(d.Fleet(observation.FleetRebalanced)) != 0 || !strings.Contains(lost[0].Text, "takes at most 60") {
		t.Errorf("75/s for each of two that take 60: %+v", lost)
	}
	counted(t, target, d)
}

// TestTwoControllersNeverOwnARun.
func TestTwoControllersNeverOwnARun(t *testing.T) {
	n := bustest.Single(t)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	records, err := bus.OpenRecords(ctx, n.JS)
	if err != nil {
		t.Fatal(err)
	}
	first, err := records.Create(ctx, bus.Record{ID: "r", State: bus.Running, Owner: "a"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := records.Create(ctx, bus.Record{ID: "r", State: bus.Running, Owner: "b"}); err == nil {
		t.Error("a run can be created twice")
	}
	const stale = 300 * time.Millisecond
	alive := time.AfterFunc(stale/2, func() { _ = first.Update(ctx, func(*bus.Record) {}) })
	defer alive.Stop()
	if _, err := records.Claim(ctx, "r", "b", stale); !errors.Is(err, bus.ErrNotOwner) {
		t.Errorf("a run whose owner lives was claimed: %v", err)
	}
	// Nothing is heard of the owner: of two that claim, one gets it.
	won := make(chan error, 2)
	for _, owner := range []string{"b", "c"} {
		go func() {
			_, err := records.Claim(ctx, "r", owner, stale)
			won <- err
		}()
	}
	one, two := <-won, <-won
	if (one == nil) == (two == nil) {
		t.Errorf("two claims end with %v and %v", one, two)
	}
	if err := first.Update(ctx, func(*bus.Record) {}); !errors.Is(err, bus.ErrNotOwner) {
		t.Errorf("the first owner can still write: %v", err)
	}
	if err := first.Hold(ctx); !errors.Is(err, bus.ErrNotOwner) {
		t.Errorf("the first owner does not learn that it is none: %v", err)
	}
}

// TestAScenarioThatDiffersIsImpossible: a worker checks the digest of what it got.
func TestAScenarioThatDiffersIsImpossible(t *testing.T) {
	target := bustest.NewTarget(t)
	n := bustest.Single(t)
	n.Worker(nil)
	in := bustest.Input(target.URL, 200, time.Second, "")
	f, now := n.Fleet("differs", in, 1, func(c *bus.FleetConfig) { c.Digest = strings.Repeat("0", 64) })
	d := bustest.Run(t, f, now, in)
	if d.Err == nil || !strings.Contains(d.Err.Error(), "the scenario differs") || target.Received.Load() != 0 {
		t.Errorf("%d hits, %v", target.Received.Load(), d.Err)
	}
}

// TestAShareThatIsNotTaken: the controller learns it, goes on with less, and says so.
func TestAShareThatIsNotTaken(t *testing.T) {
	t.Parallel() // little load, much waiting
	target := bustest.NewTarget(t)
	n := bustest.Single(t)
	n.Worker(func(c *bus.WorkerConfig) { c.MaxRPS = 60 })
	end := n.Worker(func(c *bus.WorkerConfig) { c.Name = "leaves" })
	in := bustest.Input(target.URL, 100, 4*time.Second, "")
	f, now := n.Fleet("refuse", in, 2, func(c *bus.FleetConfig) {
		for i := range c.Workers {
			c.Workers[i].MaxRPS = 0 // the controller does not know of the bound
		}
	})
	gone := time.AfterFunc(1500*time.Millisecond, end)
	defer gone.Stop()
	d := bustest.Run(t, f, now, in)
	counted(t, target, d)
	notes := d.Fleet(observation.FleetNote)
	if len(notes) != 1 || notes[0].Share != 0.5 || !strings.Contains(notes[0].Text, "above its bound of 60") {
		t.Fatalf("notes %+v, %v", notes, d.Err)
	}
	if d.Outcome.How != observation.EndDone {
		t.Errorf("ended %q (%s)", d.Outcome.How, d.Outcome.Detail)
	}
	// What nobody offered is in no figure.
	if p, err := d.Reducer.Point(0); err != nil || p.Seconds > 2 {
		t.Errorf("%.0f s count, of 1.5 that were whole: %v", p.Seconds, err)
	}
}

// TestAWorkerThatCannotGoOnSaysWhy, instead of only being gone.
func TestAWorkerThatCannotGoOnSaysWhy(t *testing.T) {
	target := bustest.NewTarget(t)
	n := bustest.Single(t)
	n.Worker(func(c *bus.WorkerConfig) { c.MaxRPS = 60 })
	in := bustest.Input(target.URL, 100, 4*time.Second, "")
	f, now := n.Fleet("bound", in, 1, func(c *bus.FleetConfig) { c.Workers[0].MaxRPS = 0 })
	d := bustest.Run(t, f, now, in)
	if d.Err == nil || !strings.Contains(d.Err.Error(), "above its bound of 60") || target.Received.Load() != 0 {
		t.Errorf("%d hits, %v", target.Received.Load(), d.Err)
	}
}

// TestTheEndDoesNotWaitForADeadWorker: it ended its connection, its lease is over, and
// what it had told is stored.
func TestTheEndDoesNotWaitForADeadWorker(t *testing.T) {
	t.Parallel() // little load, much waiting
	target := bustest.NewTarget(t)
	n := bustest.Single(t)
	n.Worker(nil)
	nc, id := n.Dial()
	w, err := bus.NewWorker(bus.WorkerConfig{Conn: nc, ID: id, Name: "dies", Version: bustest.Version, Now: bustest.Clock()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	defer func() { cancel(); <-ended }()
	in := bustest.Input(target.URL, 100, 3*time.Second, "")
	terms := bus.Terms{Lease: time.Second, Renew: 100 * time.Millisecond, Keep: 12 * time.Second}
	f, now := n.Fleet("dead", in, 2, func(c *bus.FleetConfig) { c.Terms = terms })
	die := time.AfterFunc(1500*time.Millisecond, nc.Close)
	defer die.Stop()
	d := bustest.Run(t, f, now, in)
	end := d.Evidence.Journal[len(d.Evidence.Journal)-1]
	if end.End == nil || end.At > terms.Keep-2*time.Second {
		t.Errorf("the drill of 3 s ended at %v: %+v", end.At, end.End)
	}
	missing := d.Fleet(observation.FleetMissing)
	if lost := target.Received.Load() - d.Sent(); len(missing) != 1 || lost > missing[0].Hits {
		t.Errorf("%d hits are in no figure, said is %+v", lost, missing)
	}
}

// TestAnInputIsGotBackFromWhoHasIt: files and secrets, which the controller stores
// nowhere.
func TestAnInputIsGotBackFromWhoHasIt(t *testing.T) {
	target := bustest.NewTarget(t)
	n := bustest.Single(t)
	n.Worker(nil)
	in := bustest.Input(target.URL, 50, 500*time.Millisecond, "")
	in.Files = map[string][]byte{"large": bytes.Repeat([]byte("0123456789abcdef"), 100_000)}
	in.Env = map[string]string{"TOKEN": "s3cret"}
	_, digest, err := in.Encode()
	if err != nil {
		t.Fatal(err)
	}
	f, now := n.Fleet("recall", in, 1, nil)
	if d := bustest.Run(t, f, now, in); d.Err != nil {
		t.Fatal(d.Err)
	}
	got, err := n.Hub.Recall(t.Context(), n.Hub.Workers(), digest)
	if err != nil || !reflect.DeepEqual(got, in) {
		t.Errorf("got back another input: %v", err)
	}
	if _, err := n.Hub.Recall(t.Context(), n.Hub.Workers(), strings.Repeat("0", 64)); !errors.Is(err, bus.ErrForgotten) {
		t.Errorf("an input that nobody has: %v", err)
	}
}
