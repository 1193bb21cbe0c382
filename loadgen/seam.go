package loadgen

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/loadgen/search"
	"github.com/headroom-project/headroom/scenarios"
)

// ordered is a step that the workers know of.
type ordered struct {
	step scenarios.Step
	rec  observation.StepRecord
	end  observation.StepEnd // once it is over
	held time.Duration       // drill time up to which its load is held; 0 if it is not
	// pieces is by how many orders it is held.
	pieces int
}

// early is how long before its begin a step is ordered that follows another
// without a gap.
const early = 100 * time.Millisecond

// order tells of a step, and has the workers offer it from an instant on.
func (c *controller) order(ctx context.Context, step scenarios.Step, reason string, at time.Duration) (*ordered, error) {
	rec := observation.StepRecord{
		Index: step.Index, Kind: step.Kind, From: step.From * c.share, To: step.To * c.share, Users: int(float64(step.Users)*c.share + 0.5), Think: step.Think,
		Start: at, Lasts: step.Lasts, Discard: search.Discard(step.Lasts), Reason: reason, First: step.First, Numbers: c.numbersOf(step),
	}
	if step.Kind == scenarios.KindConfirm {
		rec.PredictedRPS, rec.PredictedLow, rec.PredictedHigh = c.foretold()
	}
	c.reducer.Begin(rec)
	if err := c.note(observation.Entry{Kind: observation.EntryStep, Step: &rec}); err != nil {
		return nil, err
	}
	if err := c.cfg.Fleet.Steer(ctx, Order{Offer: &Offer{Step: step, At: at}}); err != nil {
		return nil, fmt.Errorf("offer step %d: %w", step.Index, err)
	}
	return &ordered{step: step, rec: rec}, nil
}

// orderAhead orders the step of the plan that follows o, to begin where o ends; where
// a search is to choose it, the load of o is held until it has. A closed step waits:
// its users begin when the open hits before them have ended. So does every step if
// there is a backlog, or nothing is known of it yet: a target that hangs is not given
// the next load before the guards have looked.
func (c *controller) orderAhead(ctx context.Context, o *ordered) error {
	if c.ahead != nil || o.step.Users > 0 || c.told() <= o.rec.Start || c.backlogged(o) {
		return nil
	}
	k := o.step.Index + 1 - c.redone
	if k >= len(c.cfg.Plan.Steps) {
		if c.cfg.Search == nil {
			return nil
		}
		return c.hold(ctx, o)
	}
	step := c.cfg.Plan.Steps[k]
	if step.Users > 0 {
		return nil
	}
	step.Index = o.step.Index + 1
	next, err := c.order(ctx, c.number(step), "", o.rec.Start+o.rec.Lasts)
	c.ahead = next
	return err
}

// number gives a step the numbers of its hits.
func (c *controller) number(step scenarios.Step) scenarios.Step {
	step.First = c.numbers.first(step, c.cfg.Plan.Count(step))
	return step
}

// backlogged says that more than half a second's hits are in flight.
func (c *controller) backlogged(o *ordered) bool { return c.backlog() > o.rec.To/2 }

// backlog is the number of hits in flight, as last told.
func (c *controller) backlog() float64 {
	n := 0
	for _, k := range c.inFlight {
		n += k
	}
	return float64(n)
}

// settle ends the steps before the present one whose last hits have ended; all of
// them if it is forced.
func (c *controller) settle(forced bool) error {
	for len(c.open) > 0 {
		o := c.open[0]
		over := o.rec.Start + o.end.Lasted
		late := c.cfg.Now() > over+c.longest()+time.Second
		if !forced && !late && (c.told() < over || c.reducer.Unfinished(o.step.Index) > 0) {
			return nil
		}
		c.open = c.open[1:]
		if err := c.stepEnded(o); err != nil {
			return err
		}
	}
	return nil
}

// stepEnded reduces a step to its point, and judges it.
func (c *controller) stepEnded(o *ordered) error {
	o.end.Invalid = append(o.end.Invalid, c.beyond(o.step)...)
	c.reducer.End(o.end)
	err := cmp.Or(c.note(observation.Entry{Kind: observation.EntryStepEnd, StepEnd: &o.end}), c.cfg.Record.Flush())
	p, perr := c.reducer.Point(o.step.Index)
	if perr == nil {
		Judge(&p, c.cfg.Scenario.Objectives)
		c.points = append(c.points, p)
		if c.cfg.Progress != nil {
			c.cfg.Progress.StepEnds(p)
		}
	}
	return cmp.Or(err, perr)
}

// abandon cuts a step that was ordered ahead, of a drill that has ended.
func (c *controller) abandon(ctx context.Context) error {
	o := c.ahead
	if o == nil {
		return nil
	}
	c.ahead = nil
	o.end = observation.StepEnd{Index: o.step.Index, Lasted: min(c.since(o.rec.Start), o.step.Lasts), Cut: "the drill ended"}
	c.open = append(c.open, o)
	if err := c.cfg.Fleet.Steer(ctx, Order{Cut: &o.step.Index}); err != nil {
		return fmt.Errorf("cut step %d: %w", o.step.Index, err)
	}
	return nil
}
