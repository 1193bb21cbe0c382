package reports

import (
	"strings"
	"testing"

	"github.com/headroom-project/headroom/capacity"
)

// A pool of slots waits less than one server would: its line meets its end too early. A
// saturation that is surely below the capacity is not claimed, and what waits add is said to be
// at the load that it is of.
func TestWaitsDoNotContradictTheCapacity(t *testing.T) {
	for _, x := range []struct {
		bound    string
		low      float64
		carries  bool
		whereAdd string
	}{
		{"", 380, true, "at capacity"},
		{"", 250, false, "at capacity"},
		{capacity.Predicted, 380, true, "at the highest load"},
		{capacity.Above, 380, false, "at the highest load"},
	} {
		c := &computation{}
		c.run.Capacity = &Capacity{Bound: x.bound, RPS: Estimate{Value: 400, Low: x.low, High: 420}}
		if got := c.carriesMoreThan(258); got != x.carries {
			t.Errorf("bound %q, low end %g: carries more than 258/s: %v", x.bound, x.low, got)
		}
		said := namedWaits([]WaitDemand{{Function: "a/b.(*pool).acquire", Kind: "channel", AddsMS: 2}}, nil, whereAdded(&c.run))
		if !strings.HasSuffix(said, "adds 2 ms "+x.whereAdd) {
			t.Errorf("bound %q: %q", x.bound, said)
		}
	}
	if (&computation{}).carriesMoreThan(258) {
		t.Error("no capacity carries more than 258/s")
	}
}
