package loadgen

import (
	"fmt"
	"time"
)

// A wall clock that is disciplined goes at most 0.05% faster or slower than true.
// What it is off by more than that, and by this much, was a jump.
const clockStep = time.Second

// clockJumps is how many jumps are told of: a clock that is fought over may jump
// every second.
const clockJumps = 5

// wallWatch looks whether the wall clock jumps against the drill's, which does not.
// Nothing is measured by the wall clock, but what others stamp (profiles, metrics)
// is placed by it.
type wallWatch struct {
	wall   func() time.Time
	offset time.Time // the wall clock at drill time 0, by the last look
	looked time.Duration
	told   int
}

// look returns what to say of a jump since the last look, or nothing.
func (w *wallWatch) look(now time.Duration) string {
	if w.wall == nil {
		return ""
	}
	// Without its monotonic reading, which does not jump either.
	offset, before := w.wall().Round(0).Add(-now), w.offset
	since := now - w.looked
	w.offset, w.looked = offset, now
	jump := offset.Sub(before)
	if before.IsZero() || jump.Abs() < clockStep+since/1000 || w.told >= clockJumps {
		return ""
	}
	w.told++
	way := "forward"
	if jump < 0 {
		way = "back"
	}
	return fmt.Sprintf("the clock of this machine jumped %s by %v, %.0f s into the drill: it was set, or the machine slept; rates and latencies are measured by a clock that does not jump, but times of day are off from then on, and profiles and metrics that others stamp may land in another step",
		way, jump.Abs().Round(time.Millisecond), now.Seconds())
}
