package reports

import (
	"fmt"
	"slices"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/profiler"
	"github.com/headroom-project/headroom/scenarios"
)

// maxProfile bounds a profile read from a bundle, in bytes.
const maxProfile = 64 << 20

// flameTypes are the captures of which the report shows a flame graph, in order;
// those of stepTypes are shown for each step.
var (
	flameTypes = []string{"cpu", "allocs", "mutex", "block"}
	stepTypes  = flameTypes[:3]
)

// mostSteps bounds the steps whose flame graphs the page holds.
const mostSteps = 12

// profiles makes flame graphs of the highest valid step, and for the page of the
// others too, and takes the lock waits of every step for the model.
func (c *computation) profiles() {
	for i := range c.points {
		c.lockWaits(&c.points[i])
	}
	for _, typ := range flameTypes {
		highest := c.highest(typ)
		if highest == nil {
			continue
		}
		c.run.Flames = c.addFlame(c.run.Flames, highest, profiler.FlameOptions{})
		if slices.Contains(stepTypes, typ) {
			c.flamesOfSteps(typ, highest.point)
		}
	}
}

func (c *computation) addFlame(to []Flame, t *taken, opt profiler.FlameOptions) []Flame {
	flame, err := c.flame(t, opt)
	if err != nil {
		c.warn(fmt.Sprintf("%s: %v", t.files[0], err))
	}
	if flame != nil {
		to = append(to, *flame)
	}
	return to
}

// flamesOfSteps makes smaller flame graphs of the other steps.
func (c *computation) flamesOfSteps(typ string, but *observation.Point) {
	steps := 1
	for i := range c.points {
		p := &c.points[i]
		t := c.taken(p, typ)
		if p == but || p.Kind == scenarios.KindWarmup || t == nil {
			continue
		}
		if steps++; steps > mostSteps {
			return
		}
		c.run.StepFlames = c.addFlame(c.run.StepFlames, t, profiler.FlameOptions{Prune: 0.002, MaxFrames: 800, MaxFunctions: 40})
	}
}

// highest returns the captures of a type that were taken at the highest throughput,
// preferring steps that are valid and ran their time.
func (c *computation) highest(typ string) *taken {
	var best *taken
	for i := range c.points {
		p := &c.points[i]
		t := c.taken(p, typ)
		if t == nil || !judged(p.Kind) {
			continue
		}
		if best == nil || p.Valid && !best.point.Valid || p.Valid == best.point.Valid && p.Throughput > best.point.Throughput {
			best = t
		}
	}
	return best
}

func (c *computation) flame(t *taken, opt profiler.FlameOptions) (*Flame, error) {
	parts := c.profile(t)
	if len(parts) == 0 {
		return nil, nil
	}
	data := parts[0]
	if len(parts) > 1 {
		var err error
		if data, err = profiler.Merge(parts...); err != nil {
			return nil, err
		}
	}
	root, functions, err := profiler.Flame(data, t.typ, opt)
	if err != nil {
		return nil, err
	}
	if root == nil || root.Value <= 0 {
		return nil, nil
	}
	served := c.requests(t)
	f := &Flame{
		Step: t.point.Step, Type: t.typ, Unit: flameUnit(t.typ), RPS: t.point.Throughput, Requests: served,
		Seconds: t.seconds(), Samples: t.samples, File: t.files[0], Root: frame(root), Functions: []Function{},
	}
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

// lockWaits reads what the mutex profiles of a step say.
func (c *computation) lockWaits(p *observation.Point) {
	t := c.taken(p, "mutex")
	if t == nil || t.seconds() <= 0 {
		return
	}
	parts := c.profile(t)
	if len(parts) == 0 {
		return
	}
	data, err := profiler.Merge(parts...)
	if err != nil {
		c.warn(fmt.Sprintf("%s: %v", t.files[0], err))
		return
	}
	sites, err := profiler.LockWait(data)
	if err != nil {
		c.warn(fmt.Sprintf("%s: %v", t.files[0], err))
		return
	}
	over := t.seconds() * t.missing
	p.LockSeconds = t.seconds()
	p.Locks = nil // what the search went by, before the file was read
	for _, s := range sites {
		p.Locks = append(p.Locks, observation.LockWait{
			Function: s.Function, Seconds: s.Delay.Seconds() / over, Contentions: float64(s.Contentions) / over,
		})
	}
}
