package bus

import (
	"sync/atomic"
	"time"
)

// offset is how far a worker's own clock lies behind the drill's.
type offset struct {
	// by is what to add to the worker's clock; Error bounds how wrong that is.
	by, err time.Duration
}

// measure is one round trip: asked and answered by the worker's clock, and the
// drill time at the other side in between.
func measure(asked, answered, drill time.Duration) offset {
	half := (answered - asked) / 2
	return offset{by: drill - asked - half, err: half}
}

// better returns the one that is known more exactly.
func (o offset) better(p offset) offset {
	if p.err < o.err {
		return p
	}
	return o
}

// drillClock is the drill time on a worker. It never looks at the time of day. It
// runs while the lease holds: when the lease has run out it stands still, so that
// no further hit comes due.
type drillClock struct {
	local func() time.Duration // the worker's monotonic clock

	by       atomic.Int64 // offset to drill time
	deadline atomic.Int64 // local time at which the lease runs out
	last     atomic.Int64 // drill time as last told
	lapsed   atomic.Bool
}

func newDrillClock(local func() time.Duration, o offset, deadline time.Duration) *drillClock {
	c := &drillClock{local: local}
	c.by.Store(int64(o.by))
	c.deadline.Store(int64(deadline))
	return c
}

// Now is the drill time; once the lease has run out, the last one before that.
func (c *drillClock) Now() time.Duration {
	now := c.local()
	if c.lapsed.Load() || int64(now) >= c.deadline.Load() {
		c.lapsed.Store(true)
		return time.Duration(c.last.Load())
	}
	drill := int64(now) + c.by.Load()
	c.last.Store(drill)
	return time.Duration(drill)
}

// extend moves the end of the lease, unless it has run out already: a worker that
// was too late stays stopped.
func (c *drillClock) extend(deadline time.Duration) bool {
	if c.lapsed.Load() || int64(c.local()) >= c.deadline.Load() {
		c.lapsed.Store(true)
		return false
	}
	for {
		old := c.deadline.Load()
		if int64(deadline) <= old || c.deadline.CompareAndSwap(old, int64(deadline)) {
			return true
		}
	}
}

// stop makes the clock stand still for good.
func (c *drillClock) stop() { c.lapsed.Store(true) }

// toLocal is the worker's clock at a drill time.
func (c *drillClock) toLocal(drill time.Duration) time.Duration {
	return drill - time.Duration(c.by.Load())
}

// shift corrects the offset, for drifting clocks; only between steps.
func (c *drillClock) shift(o offset) { c.by.Store(int64(o.by)) }
