package capacity

import (
	"testing"

	"github.com/headroom-project/headroom/loadgen/observation"
)

// A pole reaches any limit soon: of a resource that was hardly used, that is no ceiling.
func TestRisingDemandOfWhatIsHardlyUsed(t *testing.T) {
	all := digest([]observation.Point{step(200, 8, 5)})
	poled := line{base: 14, demand: 0.02, pole: 1.0 / 250}
	fds := fit{name: "fds", unit: "count", limit: 20000, exercised: true, peak: 0.002, line: poled}
	if x := fds.ceiling(-1); !(x < 260) {
		t.Fatalf("ceiling %g: the pole is at 250/s", x)
	}
	used := fds
	used.limit, used.peak = 100, 0.3
	memory := fit{name: "memory", unit: "bytes", limit: 1, exercised: true, peak: 0.5, line: line{demand: 0.0025}}
	list := candidates([]fit{fds, used, memory}, all, nil)
	if len(list) != 2 || list[0].limit != 100 || list[1].name != "memory" {
		t.Errorf("%+v", list)
	}
}
