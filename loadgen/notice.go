package loadgen

import (
	"errors"
	"slices"

	"github.com/headroom-project/headroom/loadgen/observation"
)

// notify brings what happens to the fleet into the controller's goroutine.
func (c *controller) notify(r observation.FleetRecord) {
	select {
	case c.observed <- func() { c.fleet(r) }:
	case <-c.over:
	}
}

// fleet takes in what happened to the workers: evidence first.
func (c *controller) fleet(r observation.FleetRecord) {
	c.fail(c.note(observation.Entry{Kind: observation.EntryFleet, Fleet: &r}))
	if r.Text != "" {
		c.say(r.Text)
	}
	c.reducer.Exclude(r.From, r.Until)
	if r.Share > 0 {
		c.share = r.Share
	}
	if r.What == observation.FleetLost {
		c.workers = slices.DeleteFunc(c.workers, func(w string) bool { return w == r.Worker })
		delete(c.inFlight, r.Worker)
		c.numbers.lost()
	}
	if r.What == observation.FleetRebalanced {
		c.numbers.divided(len(c.workers))
	}
	if r.Abort {
		c.aborted = true
		c.fail(errors.New(r.Text + "; the scenario says lost_worker: abort"))
	}
}
