package bus_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/headroom-project/headroom/loadgen"
	"github.com/headroom-project/headroom/loadgen/bus"
	"github.com/headroom-project/headroom/loadgen/bus/bustest"
	"github.com/headroom-project/headroom/loadgen/observation"
)

// A process that stood still for longer than its lease sends nothing of what came due
// meanwhile: the drill ends, says why, and has counted what was sent.
func TestAProcessThatStoodStill(t *testing.T) {
	target := bustest.NewTarget(t)
	in := bustest.Input(target.URL, 200, 10*time.Minute, "")
	clock, jump := bustest.Clock(), atomic.Int64{}
	now := func() time.Duration { return clock() + time.Duration(jump.Load()) }
	c, err := in.Compile()
	if err != nil {
		t.Fatal(err)
	}
	f, err := bus.NewInProcess(context.Background(), bus.InProcessConfig{Run: "still", Name: "local", Compiled: c, Now: now, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	stop := time.AfterFunc(1200*time.Millisecond, func() { jump.Store(int64(2 * time.Minute)) })
	defer stop.Stop()
	d := bustest.Run(t, f, now, in, func(c *loadgen.Config) { c.Lead = bus.InProcessLead })
	if d.Err == nil || d.Outcome.How != observation.EndFailed || !strings.Contains(d.Err.Error(), "this process stood still for") {
		t.Errorf("ended %q, %v; want failed, since the process stood still", d.Outcome.How, d.Err)
	}
	// 24,000 had come due.
	if sent, got := d.Sent(), target.Received.Load(); sent != got || got < 50 || got > 1000 {
		t.Errorf("%d sent, the target received %d; want what was due in the first 1.2 s", sent, got)
	}
}
