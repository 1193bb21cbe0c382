package loadgen

import "testing"

// Hits are numbered without gaps over the open steps of a plan, and never twice,
// whatever was planned of them; after a closed step by how many were planned in it.
func TestNumbering(t *testing.T) {
	var n numbering
	planned := uint64(0)
	for i, c := range []struct {
		count   uint64
		closed  bool
		planned uint64 // in it
		first   uint64
	}{{10, false, 10, 0}, {10, false, 4, 10}, {0, true, 55, 20}, {0, true, 5, 75}, {10, false, 10, 80}, {7, false, 0, 90}, {1, false, 1, 97}} {
		if got := n.first(c.count, c.closed, planned); got != c.first {
			t.Errorf("step %d begins at %d, want %d", i, got, c.first)
		}
		planned += c.planned
	}
}
