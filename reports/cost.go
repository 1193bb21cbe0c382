package reports

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/headroom-project/headroom/capacity"
)

// cost takes what the model says of the cost, at the forecast peak too if there is one.
func (c *computation) cost(x *capacity.Cost) {
	switch {
	case x == nil:
		return
	case !(x.Loaded.Value > 0) && !(x.Marginal.Value > 0):
		c.warn("no cost: nothing that has a price was measured")
		return
	}
	at := slices.Clone(x.At)
	if p := c.peak; p != nil && p.Value > 0 { // after now, before the capacity
		at = slices.Insert(at, 1, x.AtLoad(capacity.AtPeak, capacity.Value{Value: p.Value, Low: p.Low, High: p.High}))
	}
	c.run.Cost = &Cost{
		Currency: x.Currency, AtRPS: x.AtRPS, PerMillion: perMillion(x.Marginal, x.Loaded, x.Idle),
		Parts: estimates(x.Parts), seen: x,
	}
	for _, l := range at {
		c.run.Cost.At = append(c.run.Cost.At, CostAt{
			Load: l.Load, RPS: l.RPS, Replicas: l.Replicas, Parts: estimates(l.Parts),
			PerMillion: perMillion(l.Marginal, l.Loaded, l.Idle),
		})
	}
}

// perMillion leaves out what is not known.
func perMillion(marginal, loaded, idle capacity.Value) PerMillion {
	out := PerMillion{Loaded: estimate(loaded)}
	if marginal.Method != capacity.NotKnown {
		out.Marginal, out.Idle = estimate(marginal), estimate(idle)
	}
	return out
}

func estimates(parts map[string]capacity.Value) map[string]Estimate {
	out := map[string]Estimate{}
	for name, part := range parts {
		out[name] = estimate(part)
	}
	return out
}

func costFigure(c *Cost) Figure {
	f := Figure{Name: "Cost per million", Value: money(c.PerMillion.Loaded.Value, ""), Unit: clean(c.Currency)}
	if c.AtRPS > 0 {
		f.Notes = append(f.Notes, "at "+perSecond(c.AtRPS)+" req/s")
	}
	switch m := c.PerMillion.Marginal; {
	case m.Method == "" && m.Value == 0:
		f.Notes = append(f.Notes, "what of it is marginal is not known")
	case m.Value > c.PerMillion.Loaded.Value: // where demand rises, one more costs more than the mean
		f.Notes = append(f.Notes, money(m.Value, "")+" for a million more, as they take more than the mean")
	case m.Value > 0:
		f.Notes = append(f.Notes, money(m.Value, "")+" of it marginal")
	}
	if c.PerMillion.Idle.Value > 0 {
		f.Notes = append(f.Notes, money(c.PerMillion.Idle.Value, "")+" idle")
	}
	return Figure{f.Name, f.Value, f.Unit, append(f.Notes, costElsewhere(c)...)}
}

// costElsewhere says what a million cost at the other loads that are known.
func costElsewhere(c *Cost) (notes []string) {
	for i, at := range c.At {
		if i == 0 || !(at.RPS > 0) || at.RPS == c.AtRPS { // the first is what the figure is of
			continue
		}
		name := map[string]string{capacity.AtNow: "now", capacity.AtPeak: "at the forecast peak", capacity.AtCapacity: "at the capacity"}[at.Load]
		more := []string{perSecond(at.RPS) + " req/s"}
		if at.Replicas > 1 {
			more = append(more, plural(at.Replicas, "replica"))
		}
		if was, is := c.PerMillion.Marginal.Value, at.PerMillion.Marginal.Value; math.Abs(is-was) > 0.01*was {
			more = append(more, money(is, "")+" marginal")
		}
		notes = append(notes, fmt.Sprintf("%s %s (%s)", money(at.PerMillion.Loaded.Value, ""), orElse(name, clean(at.Load)), strings.Join(more, ", ")))
	}
	return notes
}
