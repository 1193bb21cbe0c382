package capacity_test

import (
	"testing"

	"github.com/headroom-project/headroom/capacity"
	"github.com/headroom-project/headroom/capacity/scoreboard"
)

// Of 40 simulated drills up to 60% of the limit, and 40 that pass it, of systems of all
// families (demands that drift, crosstalk, memory that fills), none contradicts itself.
func TestSimulatedDrillsKeepTheirBounds(t *testing.T) {
	t.Parallel()
	for _, share := range []float64{0.6, 1.05} {
		for i, s := range scoreboard.Draw(40, 5) {
			d := s.Drill(share, uint64(i))
			for form, points := range map[string]scoreboard.Drill{"drill": d, "table": d.Reduced(false)} {
				if w := capacity.Bounds(points.Points); len(w) > 0 {
					t.Errorf("%s of %s up to %g of the limit: %q", form, s.Family, share, w)
				}
			}
		}
	}
}
