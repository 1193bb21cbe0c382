package loadgen

import (
	"cmp"
	"fmt"
	"time"

	"github.com/headroom-project/headroom/loadgen/observation"
)

// Resume is what is known of a drill whose controller was lost.
type Resume struct {
	// Journal is what it had written, Reducer that and all windows.
	Journal []observation.Entry
	Reducer *observation.Reducer
	// Told is the drill time up to which windows are there.
	Told time.Duration
}

// resume takes up the drill after its last whole step. The one that was being
// offered is closed as invalid, and offered again.
func (c *controller) resume() error {
	c.reducer = c.cfg.Resume.Reducer
	var open *observation.StepRecord
	for _, e := range c.cfg.Resume.Journal {
		switch {
		case e.Step != nil:
			open = e.Step
			c.first = e.Step.Index + 1
			c.numbers.next = max(c.numbers.next, e.Step.First+e.Step.Numbers)
			c.numbers.closed = e.Step.Users > 0
		case e.StepEnd != nil:
			open = nil
			c.addPoint(e.StepEnd.Index)
		case e.Fleet != nil && e.Fleet.Share > 0:
			// All workers that are there now share the whole plan.
			c.share = 1
		}
	}
	err := c.note(observation.Entry{Kind: observation.EntryFleet, Fleet: &observation.FleetRecord{
		What: observation.FleetResumed,
		Text: fmt.Sprintf("the controller was lost after %.1f s of the drill; it went on at %.1f s with %d workers", c.cfg.Resume.Told.Seconds(), c.cfg.Now().Seconds(), len(c.workers)),
	}})
	if open == nil {
		return err
	}
	end := observation.StepEnd{
		Index: open.Index, Lasted: min(max(c.cfg.Resume.Told-open.Start, 0), open.Lasts), Cut: "the controller was lost",
		Invalid: []string{"the controller was lost while it was offered"},
	}
	c.redone++
	c.reducer.End(end)
	err = cmp.Or(err, c.note(observation.Entry{Kind: observation.EntryStepEnd, StepEnd: &end}))
	c.addPoint(open.Index)
	return err
}

// addPoint reduces a step that was recorded.
func (c *controller) addPoint(step int) {
	if p, err := c.reducer.Point(step); err == nil {
		Judge(&p, c.cfg.Scenario.Objectives)
		c.points = append(c.points, p)
	}
}
