package reports

import (
	"fmt"
	"slices"

	"github.com/headroom-project/headroom/capacity"
	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/profiler"
	"github.com/headroom-project/headroom/scenarios"
)

// maxProfile bounds a profile read from a bundle, in bytes.
const maxProfile = 64 << 20

// flameTypes are the captures of which the report shows a flame graph, in order.
var flameTypes = []string{"cpu", "allocs", "mutex", "block"}

// profiles makes flame graphs of the highest valid step, and takes the lock
// waits of every step for the model.
func (c *computation) profiles() {
	c.waits = map[int][]capacity.LockWait{}
	for i := range c.points {
		c.lockWaits(&c.points[i])
	}
	for _, typ := range flameTypes {
		p, x := c.highest(typ)
		if p == nil {
			continue
		}
		flame, err := c.flame(p, x)
		if err != nil {
			c.warn(fmt.Sprintf("%s: %v", x.File, err))
			continue
		}
		if flame != nil {
			c.run.Flames = append(c.run.Flames, *flame)
		}
	}
}

// highest returns the capture of a type that was taken at the highest throughput,
// preferring steps that are valid and ran their time.
func (c *computation) highest(typ string) (*observation.Point, observation.Capture) {
	var best *observation.Point
	var capture observation.Capture
	for i := range c.points {
		p := &c.points[i]
		_, _, captures := c.reducer.Record(p.Step)
		k := slices.IndexFunc(captures, func(x observation.Capture) bool { return x.Type == typ && x.Usable() })
		if k < 0 || p.Kind == scenarios.KindWarmup {
			continue
		}
		if best == nil || p.Valid && !best.Valid || p.Valid == best.Valid && p.Throughput > best.Throughput {
			best, capture = p, captures[k]
		}
	}
	return best, capture
}

func (c *computation) flame(p *observation.Point, x observation.Capture) (*Flame, error) {
	data, err := c.evidence.Profile(x.File, maxProfile)
	if err != nil {
		return nil, err
	}
	root, functions, err := profiler.Flame(data, x.Type, profiler.FlameOptions{})
	if err != nil {
		return nil, err
	}
	if root == nil || root.Value <= 0 {
		return nil, nil
	}
	f := &Flame{
		Step: p.Step, Type: x.Type, Unit: flameUnit(x.Type), RPS: p.Throughput,
		Seconds: (x.To - x.From).Seconds(), Samples: x.Samples, File: x.File, Root: frame(root), Functions: []Function{},
	}
	served := p.Throughput * f.Seconds
	for _, fn := range functions {
		out := Function{Name: fn.Name, Self: fn.Self, Cum: fn.Cum,
			SelfShare: float64(fn.Self) / float64(root.Value), CumShare: float64(fn.Cum) / float64(root.Value)}
		if served > 0 {
			out.PerRequest = float64(fn.Self) / served
		}
		f.Functions = append(f.Functions, out)
	}
	return f, nil
}

func flameUnit(typ string) string {
	if typ == "allocs" {
		return "bytes"
	}
	return "nanoseconds"
}

func frame(f *profiler.Frame) *Frame {
	out := &Frame{Name: f.Name, Value: f.Value}
	for _, child := range f.Children {
		out.Children = append(out.Children, frame(child))
	}
	return out
}

// lockWaits reads what the mutex profile of a step says.
func (c *computation) lockWaits(p *observation.Point) {
	_, _, captures := c.reducer.Record(p.Step)
	for _, x := range captures {
		over := (x.To - x.From).Seconds()
		if x.Type != "mutex" || !x.Usable() || over <= 0 {
			continue
		}
		data, err := c.evidence.Profile(x.File, maxProfile)
		if err != nil {
			c.warn(fmt.Sprintf("%s: %v", x.File, err))
			continue
		}
		sites, err := profiler.LockWait(data)
		if err != nil {
			c.warn(fmt.Sprintf("%s: %v", x.File, err))
			continue
		}
		for _, s := range sites {
			c.waits[p.Step] = append(c.waits[p.Step], capacity.LockWait{Function: s.Function, Seconds: s.Delay.Seconds() / over})
		}
	}
}
