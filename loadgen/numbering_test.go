package loadgen

import (
	"fmt"
	"testing"
	"time"

	"github.com/headroom-project/headroom/scenarios"
)

// Hits are numbered without gaps over the open steps of a plan, and never twice,
// whatever was planned of them; on one machine, after a closed step by how many were
// planned in it.
func TestNumbering(t *testing.T) {
	var n numbering
	for i, c := range []struct {
		count   uint64
		users   int
		planned uint64 // in it
		first   uint64
	}{{10, 0, 10, 0}, {10, 0, 4, 10}, {0, 3, 55, 20}, {0, 3, 5, 75}, {10, 0, 10, 80}, {7, 0, 0, 90}, {1, 0, 1, 97}} {
		if got := n.first(scenarios.Step{Users: c.users, Lasts: time.Second}, c.count); got != c.first {
			t.Errorf("step %d begins at %d, want %d", i, got, c.first)
		}
		n.planned("w", c.planned)
	}
}

// Over a fleet, the slices of a closed step send unequally many, and one that was lost
// is gone on with by the others: no number comes twice, in it or behind it.
func TestNumberingOverUnequalSlices(t *testing.T) {
	plan := &scenarios.Plan{Weights: []float64{1}}
	closed, open := scenarios.Step{Users: 8, Lasts: 2 * time.Second}, scenarios.Step{Index: 1, From: 100, To: 100, Lasts: time.Second}
	used := map[uint64]string{}
	use := func(who string, number uint64) {
		t.Helper()
		if before, twice := used[number]; twice {
			t.Fatalf("%s has number %d, which %s had", who, number, before)
		}
		used[number] = who
	}
	draw := func(s scenarios.Slice, hits uint64) {
		for k := range hits {
			use(fmt.Sprintf("slice %d of %d", s.Index, s.Of), s.Draw(closed, k).N)
		}
	}
	for name, lost := range map[string]bool{"all stay": false, "one is lost": true} {
		clear(used)
		n := numbering{slices: 3}
		closed.First = n.first(closed, 0)
		sent := []uint64{400, 20, 90}
		for i, hits := range sent {
			draw(plan.Slice(i, 3), hits)
			if i > 0 || !lost {
				n.planned(fmt.Sprint(i), hits) // of what slice 0 sent, nothing is told
			}
		}
		if lost {
			n.lost()
			n.divided(2)
			for j := range 2 {
				s := plan.Slice(3*j, 6)
				s.Late = scenarios.Late{Step: closed.Index, First: closed.First, From: 700 * time.Millisecond}
				draw(s, 300)
				n.planned(fmt.Sprint(1+j), 300)
			}
		}
		open.First = n.first(open, plan.Count(open))
		for number, who := range used {
			if number >= open.First {
				t.Fatalf("%s: %s has number %d, the step behind it begins with %d", name, who, number, open.First)
			}
		}
		for h := range plan.Slice(0, 1).Hits(open) {
			use(name+", the step behind it", h.N)
		}
	}
}
