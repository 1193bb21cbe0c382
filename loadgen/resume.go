package loadgen

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/loadgen/search"
)

// Resume is what is known of a drill whose controller was lost.
type Resume struct {
	// Journal is what it had written, Reducer that and all windows.
	Journal []observation.Entry
	Reducer *observation.Reducer
	// Told is the drill time up to which windows are there.
	Told time.Duration
}

// controllerLost is why a step was cut whose controller was lost.
const controllerLost = "the controller was lost"

// resume takes up the drill after its last whole step. What was being offered, and
// what was over or ordered ahead but is not known to have ended, is closed as invalid,
// and offered again if it is of the plan.
func (c *controller) resume() error {
	c.reducer = c.cfg.Resume.Reducer
	open := c.replay()
	err := c.note(observation.Entry{Kind: observation.EntryFleet, Fleet: &observation.FleetRecord{
		What: observation.FleetResumed,
		Text: fmt.Sprintf("the controller was lost after %.1f s of the drill; it went on at %.1f s with %d workers", c.cfg.Resume.Told.Seconds(), c.cfg.Now().Seconds(), len(c.workers)),
	}})
	for _, step := range open {
		end := observation.StepEnd{
			Index: step.Index, Lasted: min(max(c.cfg.Resume.Told-step.Start, 0), step.Lasts), Cut: controllerLost,
			Invalid: []string{controllerLost + " while it was offered"},
		}
		c.redone++
		c.reducer.End(end)
		err = cmp.Or(err, c.note(observation.Entry{Kind: observation.EntryStepEnd, StepEnd: &end}))
		c.addPoint(step.Index)
	}
	return err
}

// replay takes in the journal, and returns the steps in it that have not ended.
func (c *controller) replay() (open []*observation.StepRecord) {
	for _, e := range c.cfg.Resume.Journal {
		switch {
		case e.Drill != nil:
			c.numbers.slices = max(c.numbers.slices, e.Drill.Workers)
		case e.Fleet != nil && e.Fleet.What == observation.FleetRebalanced:
			c.numbers.divided(c.numbers.slices)
		case e.Step != nil:
			open = append(open, e.Step)
			if e.Step.PredictedRPS > 0 {
				c.predicted = search.Estimate{Value: e.Step.PredictedRPS, Low: e.Step.PredictedLow, High: e.Step.PredictedHigh}
			}
			c.first = e.Step.Index + 1
			numbers := e.Step.Numbers
			if e.Step.Users > 0 {
				numbers = c.numbers.bound(e.Step.Lasts)
			}
			c.numbers.next = max(c.numbers.next, e.Step.First+numbers)
		case e.StepEnd != nil:
			open = slices.DeleteFunc(open, func(s *observation.StepRecord) bool { return s.Index == e.StepEnd.Index })
			if e.StepEnd.Cut == controllerLost {
				c.redone++ // it was offered again then
			}
			c.addPoint(e.StepEnd.Index)
		case e.Fleet != nil && e.Fleet.Share > 0:
			// All workers that are there now share the whole plan.
			c.share = 1
		}
	}
	return open
}

// addPoint reduces a step that was recorded.
func (c *controller) addPoint(step int) {
	if p, err := c.reducer.Point(step); err == nil {
		Judge(&p, c.cfg.Scenario.Objectives)
		c.points = append(c.points, p)
	}
}
