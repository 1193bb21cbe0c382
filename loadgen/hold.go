package loadgen

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

const (
	// holdFor is for how long a load is held at a time, besides the time that it
	// takes to order more: without word from the controller it ends soon.
	holdFor = 500 * time.Millisecond
	// holdMost is for how long it is held in all. What takes longer to end than
	// that ends without a load.
	holdMost = 5 * time.Second
)

// leadTime is how long before its begin what follows without a gap is ordered.
func (c *controller) leadTime() time.Duration { return max(early, 2*c.cfg.Lead) }

// bridge is the k-th piece, from 1, by which the load of a step is held, without its
// hits' numbers.
func (c *controller) bridge(step scenarios.Step, k int) scenarios.Step {
	step.From, step.Shape, step.Lasts, step.Held = step.To, nil, holdFor+c.leadTime(), k
	return step
}

// hold has the workers go on with the last rate of a step, from where they would end,
// unless that would be for too long.
func (c *controller) hold(ctx context.Context, o *ordered) error {
	over := o.rec.Start + o.rec.Lasts
	from, step := max(o.held, over), c.bridge(o.step, o.pieces+1)
	if from+step.Lasts > over+holdMost {
		return nil
	}
	o.held, o.pieces = from+step.Lasts, o.pieces+1
	return c.steerHold(ctx, o, c.number(step), from)
}

// release ends what is held now.
func (c *controller) release(ctx context.Context, o *ordered) error {
	step := c.bridge(o.step, o.pieces+1)
	step.Lasts = 0
	o.held = c.cfg.Now()
	return c.steerHold(ctx, o, step, o.held)
}

func (c *controller) steerHold(ctx context.Context, o *ordered, step scenarios.Step, at time.Duration) error {
	if err := c.cfg.Fleet.Steer(ctx, Order{Offer: &Offer{Step: step, At: at, Hold: true, Began: o.rec.Start}}); err != nil {
		return fmt.Errorf("hold the load of step %d: %w", step.Index, err)
	}
	return nil
}

// numbersOf is how many hits an open step may have, those by which its load is held
// included.
func (c *controller) numbersOf(step scenarios.Step) uint64 {
	n := c.cfg.Plan.Count(step)
	if c.cfg.Search != nil && step.Users == 0 {
		for k := range int(holdMost / c.bridge(step, 0).Lasts) {
			n += c.cfg.Plan.Count(c.bridge(step, k+1))
		}
	}
	return n
}

// held takes what is observed while the load of a step that is over is held, until
// all hits of the step itself have ended, so that it can be judged. done is false if
// the load is not held to that end, because of a backlog, or since the drill is over.
func (c *controller) held(ctx context.Context, o *ordered) (done bool, err error) {
	limit := time.NewTimer(c.longest() + time.Second)
	defer limit.Stop()
	more := time.NewTimer(o.held - c.leadTime() - c.cfg.Now())
	defer more.Stop()
	interrupt := ctx.Done()
	for {
		if err := cmp.Or(c.recordErr(), c.settle(false)); err != nil {
			return false, err
		}
		switch {
		case len(c.open) == 0:
			return true, nil
		case c.ended != nil || c.backlogged(o):
			return false, c.release(ctx, o)
		}
		select {
		case w, ok := <-c.cfg.Fleet.Windows():
			if !ok {
				return false, errFleetLost
			}
			c.window(w)
			c.guarded(c.told())
		case f := <-c.observed:
			f()
		case <-more.C:
			before := o.held
			if err := c.hold(ctx, o); err != nil {
				return false, err
			}
			if o.held > before {
				more.Reset(o.held - c.leadTime() - c.cfg.Now())
			}
		case <-interrupt:
			interrupt = nil
			c.ended = &observation.EndRecord{How: observation.EndInterrupted}
		case <-limit.C:
			return true, nil
		}
	}
}
