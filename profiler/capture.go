package profiler

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/headroom-project/headroom/loadgen/observation"
)

// shot is a capture that was taken, or failed.
type shot struct {
	of      *active
	capture observation.Capture
	data    []byte
}

// task is one capture of a block, from when it is planned until it is shot.
type task struct {
	step, block int
	typ         string
	wait        time.Duration // from now
	seconds     int           // 0 for what is at an instant
}

// file is where the profile is kept in a bundle.
func (t task) file() string {
	name := fmt.Sprintf("profiles/step-%02d", t.step)
	if t.block > 0 {
		name += fmt.Sprintf("-%d", t.block+1)
	}
	if t.typ == traceType {
		return name + ".trace"
	}
	return name + "." + t.typ + ".pb.gz"
}

const traceType = "trace"

// plan starts the captures of a step that has begun.
func (st *state) plan(ctx context.Context, c command) {
	if st.cfg.Pprof == nil || len(st.cfg.Types) == 0 {
		return
	}
	list := blocks(c.step, c.lasts, st.cfg.MaxCapture)
	if len(list) == 0 {
		for _, typ := range st.cfg.Types {
			st.cfg.OnCapture(observation.Capture{
				Step: c.step, Type: typ, From: c.at, To: c.at,
				Error: fmt.Sprintf("a step of %v is too short for a profile; hint: 2s or more", c.lasts),
			}, nil)
		}
		return
	}
	for i, b := range list {
		// The command was given a moment ago.
		b.wait = max(b.wait-(st.cfg.Now()-c.at), 0)
		st.start(ctx, c, b, st.tasks(c.step, i, b, i == len(list)-1))
	}
}

// tasks are the captures of a block. What is in memory and where goroutines
// stand is taken at an instant, at the end of the last block: the collection
// that is forced for the former is then not part of the other profiles.
func (st *state) tasks(step, number int, b block, last bool) []task {
	var list []task
	for _, typ := range st.cfg.Types {
		t := task{step: step, block: number, typ: typ, wait: b.wait, seconds: b.seconds}
		switch typ {
		case "heap", "goroutine":
			if !last {
				continue
			}
			t.wait, t.seconds, t.block = b.wait+time.Duration(b.seconds)*time.Second, 0, 0
		case traceType:
			if number > 0 {
				continue
			}
			t.seconds = min(b.seconds, longestTrace)
		}
		list = append(list, t)
	}
	if st.cfg.Counters != nil {
		list = append(list, task{step: step, block: number, typ: observation.CountersType, wait: b.wait, seconds: b.seconds})
	}
	return list
}

// start sets the captures of a block going.
func (st *state) start(ctx context.Context, c command, b block, tasks []task) {
	// Run's end leaves a complete capture the grace to arrive, as EndStep does.
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	a := &active{
		step: c.step, pending: len(tasks), cancel: cancel,
		until: st.cfg.Now() + b.wait + time.Duration(b.seconds)*time.Second,
	}
	a.release = c.follow()
	st.active = append(st.active, a)
	for i, t := range tasks {
		begin := func() {}
		if i == 0 {
			begin = st.nudge // an interval of samples begins with the block
		}
		st.flying++
		go func() {
			sh := shoot(ctx, st.cfg, t, begin)
			sh.of = a
			st.shots <- sh // Run receives until none is flying
		}()
	}
}

// shoot waits and captures one profile. It does not touch the state.
func shoot(ctx context.Context, cfg Config, t task, begin func()) shot {
	c := observation.Capture{Step: t.step, Type: t.typ}
	timer := time.NewTimer(t.wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		c.From = cfg.Now()
		c.To = c.From
		c.Error = context.Cause(ctx).Error()
		return shot{capture: c}
	}
	begin()
	c.From = cfg.Now()
	if t.typ == observation.CountersType {
		return count(ctx, cfg, t, c)
	}
	data, sum, err := expose(ctx, cfg, t)
	c.To = cfg.Now()
	c.Until = c.To
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if cfg.Instances > 1 {
		c.Instances, c.Of = cfg.Instances, cfg.Instances
	}
	var partial *PartialError
	switch {
	case data == nil:
		c.Error = err.Error()
		return shot{capture: c}
	case errors.As(err, &partial):
		c.Instances, c.Of, c.Note = partial.Have, partial.Of, err.Error()
	case err != nil:
		c.Note = err.Error()
	}
	// The rest of the time it was under way.
	if sum.Duration > 0 {
		c.To = min(c.To, c.From+sum.Duration)
	}
	c.Samples = sum.Samples
	c.File = t.file()
	c.Locks = locks(c, data)
	return shot{capture: c, data: data}
}

// expose takes a profile over the whole span of a task. A server may give less
// than it was asked for; then it is asked again for the rest, and the parts are
// merged. If a later part fails, the error comes with what there is.
func expose(ctx context.Context, cfg Config, t task) (data []byte, sum Summary, err error) {
	end := cfg.Now() + time.Duration(t.seconds)*time.Second
	left := t.seconds
	for {
		part, perr := cfg.Pprof.Capture(ctx, t.typ, left)
		if part == nil {
			return data, sum, perr
		}
		err = errors.Join(err, perr)
		if t.typ == traceType {
			return part, sum, err
		}
		var got Summary
		if got, perr = Summarise(part); perr == nil && data != nil {
			if part, perr = Merge(data, part); perr == nil {
				got.Samples, got.Duration = got.Samples+sum.Samples, got.Duration+sum.Duration
			}
		}
		if perr != nil {
			return data, sum, errors.Join(err, perr)
		}
		data, sum = part, got
		left = int((end - cfg.Now() + reserve) / time.Second)
		if left < 1 || got.Duration <= 0 {
			return data, sum, err
		}
	}
}

// count reads the exact counters at the begin and the end of a block.
func count(ctx context.Context, cfg Config, t task, c observation.Capture) shot {
	before, err := cfg.Counters.Counters(ctx)
	read := cfg.Now()
	c.From += (read - c.From) / 2
	if err == nil {
		timer := time.NewTimer(time.Duration(t.seconds)*time.Second - (read - c.From))
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
	}
	var after map[string]float64
	asked := cfg.Now()
	if err == nil {
		after, err = cfg.Counters.Counters(ctx)
	}
	c.Until = cfg.Now()
	c.To = asked + (c.Until-asked)/2
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		c.Error = err.Error()
		return shot{capture: c}
	}
	c.Counters = map[string]float64{}
	for name, v := range after {
		if grown := v - before[name]; grown >= 0 {
			c.Counters[name] = grown
		}
	}
	return shot{capture: c}
}
