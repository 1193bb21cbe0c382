package profiler

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/profiler/resources"
)

// grace is how long a capture whose span is over may take to arrive after its
// step ended.
const grace = time.Second

// state is what Run's goroutine knows; nothing else touches it.
type state struct {
	cfg    Config
	meters []resources.Meter
	merger resources.Merger
	warned []bool
	seen   []bool // by reader: it has been looked at
	spans  []span
	active []*active
	shots  chan shot
	flying int // captures that will yet send a shot
	// nudge asks the readers to look, so that an interval of samples begins and
	// ends with a block.
	nudge func()
}

// span is when a step was offered.
type span struct {
	step     int
	from, to time.Duration
	open     bool // to is not known yet
}

// keptSpans is how many steps samples may still belong to: a look is handed on
// within readTime, in which more than a few steps never fit.
const keptSpans = 8

// active is the set of captures of one block, under way.
type active struct {
	step    int
	until   time.Duration // drill time at which their span is over
	pending int
	cancel  context.CancelCauseFunc
	release func() bool // stops following the step's context
	late    *time.Timer // cancels after the grace; nil until the step ended
}

func newState(cfg Config, shots chan shot) *state {
	st := &state{cfg: cfg, shots: shots, warned: make([]bool, len(cfg.Readers)), seen: make([]bool, len(cfg.Readers)), nudge: func() {}}
	for range cfg.Readers {
		st.meters = append(st.meters, resources.Meter{Least: cfg.Every / 4})
	}
	return st
}

// obey takes a command. ctx is Run's; captures outlive it by the grace.
func (st *state) obey(ctx context.Context, c command) {
	if !c.begin {
		st.endStep(c.step, c.at)
		return
	}
	if n := len(st.spans); n > 0 && st.spans[n-1].open {
		st.endStep(st.spans[n-1].step, c.at)
	}
	st.spans = append(st.spans, span{step: c.step, from: c.at, open: true})
	if len(st.spans) > keptSpans {
		st.spans = slices.Delete(st.spans, 0, len(st.spans)-keptSpans)
	}
	st.plan(ctx, c)
}

func (st *state) endStep(step int, at time.Duration) {
	for i := range st.spans {
		if s := &st.spans[i]; s.step == step && s.open {
			s.open, s.to = false, at
		}
	}
	for _, a := range st.active {
		if a.step == step {
			a.end(at)
		}
	}
}

// endAll ends what is under way when the session does.
func (st *state) endAll() {
	now := st.cfg.Now()
	for _, a := range st.active {
		a.end(now)
	}
}

var errStepEnded = errors.New("the step ended before the profile was complete")

// almost is how much before the end of its span a capture counts as complete:
// the request went out a moment after the plan.
const almost = 50 * time.Millisecond

// end gives captures up, unless their span is over: then they have the grace to
// arrive.
func (a *active) end(at time.Duration) {
	if a.late != nil {
		return
	}
	if at < a.until-almost {
		a.cancel(errStepEnded)
		return
	}
	a.late = time.AfterFunc(grace, func() {
		a.cancel(errors.New("the profile did not arrive in time after the step"))
	})
}

// take turns a look into samples.
func (st *state) take(l look) {
	source := st.cfg.Readers[l.reader].Source()
	if l.err != nil {
		st.merger.Failed(source)
		if !st.warned[l.reader] {
			st.warned[l.reader] = true
			st.cfg.OnWarning(fmt.Sprintf("resources are incomplete, %s failed: %v", source, l.err))
		}
		return
	}
	st.merger.Note(source, l.readings)
	samples := st.merger.Merge(st.meters[l.reader].Samples(l.at, source, l.readings))
	if !st.seen[l.reader] {
		// The first looks come in any order: only after them is it known which
		// source accounts for a resource. They hold gauges only.
		st.seen[l.reader] = true
		return
	}
	for i := range samples {
		samples[i].Step = st.stepOf(samples[i])
	}
	if len(samples) > 0 {
		st.cfg.OnSample(samples)
	}
}

// share is how much of a sample's interval must lie in a step for it to count
// as the step's: looks at a step's begin and end come a moment after those.
const share = 0.9

// stepOf is the step that was being offered at a sample's instant, or over its
// interval; -1 if none was.
func (st *state) stepOf(s observation.Sample) int {
	for _, sp := range slices.Backward(st.spans) {
		to := sp.to
		if sp.open {
			to = max(s.At, sp.from)
		}
		if s.Over == 0 {
			if sp.from <= s.At && s.At <= to {
				return sp.step
			}
			continue
		}
		inside := min(s.At, to) - max(s.At-s.Over, sp.from)
		if float64(inside) >= share*float64(s.Over) {
			return sp.step
		}
	}
	return -1
}

// deliver hands on a capture.
func (st *state) deliver(sh shot) {
	st.flying--
	a := sh.of
	if a.pending--; a.pending == 0 {
		a.release()
		st.nudge()
		if a.late != nil {
			a.late.Stop()
		}
		a.cancel(nil)
		st.active = slices.DeleteFunc(st.active, func(other *active) bool { return other == a })
	}
	st.cfg.OnCapture(sh.capture, sh.data)
}
