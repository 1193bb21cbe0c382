package reports

import (
	"fmt"
	"time"

	"github.com/headroom-project/headroom/loadgen/observation"
)

// tellOfFleet says what happened to the workers.
func (c *computation) tellOfFleet() {
	lost, missing := 0, uint64(0)
	for _, r := range c.fleet {
		text := r.Text
		switch r.What {
		case observation.FleetStarted:
			c.run.Environment["start_skew_ms"] = float64(r.Skew.Round(time.Microsecond)) / float64(time.Millisecond)
			c.run.Environment["clock_error_ms"] = float64(r.ClockError.Round(time.Microsecond)) / float64(time.Millisecond)
		case observation.FleetLost:
			lost++
			if r.Until > r.From {
				text += fmt.Sprintf("; hits planned from %.1f s to %.1f s are kept out of the figures of their steps", r.From.Seconds(), r.Until.Seconds())
			}
		case observation.FleetMissing:
			missing += r.Hits
		}
		if text != "" {
			c.warn(text)
		}
	}
	if lost > 0 {
		c.run.Environment["workers_lost"] = lost
	}
	if missing > 0 {
		c.run.Environment["hits_unaccounted"] = missing
	}
}
