package profiler

import (
	"context"
	"fmt"
	"time"

	"github.com/headroom-project/headroom/loadgen/observation"
)

// Times of a capture within its step.
const (
	// settle is how long after its begin a step is left alone: the change of
	// load is not the load.
	settle = time.Second
	// reserve is kept free at the end, for the profile to be written and sent:
	// the Go runtime takes up to 0.2 s to stop CPU profiling.
	reserve = 250 * time.Millisecond
)

// shot is a capture that was taken, or failed.
type shot struct {
	of      *active
	capture observation.Capture
	data    []byte
}

// middle is the span of a capture: whole seconds, as net/http/pprof has them, in the middle
// of what is left of the step after settling. A step of two seconds has no
// reserve, one that is shorter no capture: seconds is 0.
func middle(lasts, longest time.Duration) (wait time.Duration, seconds int) {
	if lasts < settle+time.Second {
		return 0, 0
	}
	room := lasts - settle - reserve
	if room < time.Second {
		room = time.Second
	}
	room = min(room, longest).Truncate(time.Second)
	spare := lasts - settle - reserve - room
	return settle + max(spare, 0)/2, int(room / time.Second)
}

// plan starts the captures of a step that has begun.
func (st *state) plan(ctx context.Context, c command) {
	if st.cfg.Pprof == nil || len(st.cfg.Types) == 0 {
		return
	}
	wait, seconds := middle(c.lasts, st.cfg.MaxCapture)
	if seconds == 0 {
		for _, typ := range st.cfg.Types {
			st.cfg.OnCapture(observation.Capture{
				Step: c.step, Type: typ, From: c.at, To: c.at,
				Error: fmt.Sprintf("a step of %v is too short for a profile; hint: 2s or more", c.lasts),
			}, nil)
		}
		return
	}
	// The command was given a moment ago.
	wait = max(wait-(st.cfg.Now()-c.at), 0)
	// Run's end leaves a complete capture the grace to arrive, as EndStep does.
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	a := &active{
		step: c.step, pending: len(st.cfg.Types), cancel: cancel,
		until: st.cfg.Now() + wait + time.Duration(seconds)*time.Second,
	}
	a.release = c.follow()
	st.active = append(st.active, a)
	for _, typ := range st.cfg.Types {
		st.flying++
		go func() {
			sh := shoot(ctx, st.cfg, c.step, typ, wait, seconds)
			sh.of = a
			st.shots <- sh // Run receives until none is flying
		}()
	}
}

// shoot waits and captures one profile. It does not touch the state.
func shoot(ctx context.Context, cfg Config, step int, typ string, wait time.Duration, seconds int) shot {
	c := observation.Capture{Step: step, Type: typ}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		c.From = cfg.Now()
		c.To = c.From
		c.Error = context.Cause(ctx).Error()
		return shot{capture: c}
	}
	c.From = cfg.Now()
	data, err := cfg.Pprof.Capture(ctx, typ, seconds)
	c.To = cfg.Now()
	var sum Summary
	if err == nil {
		sum, err = Summarise(data)
	}
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		c.Error = err.Error()
		return shot{capture: c}
	}
	// The rest of the time it was under way.
	if sum.Duration > 0 {
		c.To = min(c.To, c.From+sum.Duration)
	}
	c.Samples = sum.Samples
	c.File = fmt.Sprintf("profiles/step-%02d.%s.pb.gz", step, typ)
	return shot{capture: c, data: data}
}
