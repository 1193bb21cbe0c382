package loadgen

import (
	"context"
	"time"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

// Fleet is how a controller reaches its workers. One fleet serves one drill.
type Fleet interface {
	// Begin hands every worker its slice of the plan and returns their names once
	// all of them stand by. Nothing is sent to the target yet.
	Begin(ctx context.Context, a Assignment) (workers []string, err error)
	// Steer makes every worker follow an order. It returns when the order is on
	// its way, not when it has been carried out.
	Steer(ctx context.Context, o Order) error
	// Windows yields what the workers observe: each window at least once, those
	// of one worker in order; the receiver owns them. It is closed when the last
	// worker has ended, whatever the reason.
	Windows() <-chan *observation.Window
	// Kill ends all load at once and cancels what is in flight.
	Kill()
	// Close returns when nothing of the fleet runs any more; it kills what does.
	// The error is what ended a worker before its time, if anything did.
	Close() error
}

// Assignment is what the workers of a drill share.
type Assignment struct {
	Plan     *scenarios.Plan
	Scenario *scenarios.Scenario
	// Notify, if it is not nil, is told what happens to the workers. The fleet
	// calls it from any goroutine, but not after Close has returned.
	Notify func(observation.FleetRecord)
}

// Order is one change of what is offered. Exactly one field is set.
type Order struct {
	Offer *Offer
	// Cut ends the step that it points to at once.
	Cut *int
	// Finish says that no more orders come: workers end when they are idle.
	Finish bool
}

// Offer is a step that begins at an instant of drill time.
type Offer struct {
	Step scenarios.Step
	At   time.Duration
	// Hold says that it only bridges the time until the next offer begins, of which
	// the workers do not know yet: it ends then, and with Finish, and after the time
	// that Step lasts at the latest. Its hits have numbers of their own and are
	// reported behind the seconds of the step with the same index, which began at
	// Began. An Offer to hold that lasts no time ends another.
	Hold  bool
	Began time.Duration
}
