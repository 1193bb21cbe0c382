package reports

import (
	"github.com/headroom-project/headroom/loadgen/search"
)

// bounded says how near its bound of utilisation a search came. Locks are read from profiles,
// and are no resource of a step.
func (c *computation) bounded() {
	if !(c.drill.MaxUtilisation > 0) {
		return
	}
	b := &Bounded{MaxUtilisation: c.drill.MaxUtilisation}
	more := func(name string, used float64) {
		if used > b.Most || used == b.Most && name < b.Resource {
			b.Most, b.Resource = used, name
		}
	}
	for _, p := range c.load() {
		for name, u := range p.Resources {
			if used, ok := share(u); ok && !search.OfGenerator(name) {
				more(name, used)
			}
		}
	}
	if s := c.run.Saturation; s != nil {
		for _, x := range s.Bottlenecks {
			more(x.Resource, x.Peak)
		}
	}
	c.run.Bounded = b
}

// boundedFigure says what the bound was and what was used.
func boundedFigure(b *Bounded) Figure {
	f := Figure{Name: "Bounded", Value: "at " + percent(b.MaxUtilisation), Notes: []string{"of the limit of anything that was read"}}
	if b.Resource == "" {
		return f
	}
	f.Notes = append(f.Notes, "the most seen was "+percent(b.Most)+", of "+resourceName(b.Resource))
	if b.Most > b.MaxUtilisation {
		f.Notes = append(f.Notes, "a step may use more by chance, until that is seen")
	}
	return f
}
