package loadgen

import (
	"testing"
	"time"

	"github.com/headroom-project/headroom/scenarios"
)

// The passes of a flow are numbered without gaps over the open steps of a drill,
// and never twice; the hits of a mix by how many were planned.
func TestNumbering(t *testing.T) {
	open := scenarios.Step{From: 30, To: 30, Lasts: time.Second}
	closed := scenarios.Step{Users: 4, Lasts: time.Second}
	flow := &scenarios.Plan{Arrivals: scenarios.Constant, Flow: 3}
	var n numbering
	planned := uint64(0)
	for i, c := range []struct {
		step    scenarios.Step
		planned uint64 // in it
		first   uint64
	}{{open, 29, 0}, {open, 30, 10}, {closed, 55, 20}, {open, 30, 75}, {open, 30, 85}} {
		if got := n.first(flow, c.step, planned); got != c.first {
			t.Errorf("step %d begins at %d, want %d", i, got, c.first)
		}
		planned += c.planned
	}
	var mix numbering
	if got := mix.first(&scenarios.Plan{}, open, 17); got != 17 {
		t.Errorf("a mix begins at %d, want 17", got)
	}
}
