package search

import (
	"fmt"
	"time"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

const (
	// tilt is the share of a step's hits that goes to one request, above its own
	// share of the rest.
	tilt = 0.5
	// attributeShare is the load of such a step as a ratio of what held: enough to
	// read the use well, and far from where it stops being linear.
	attributeShare = 0.5
	// mostTilted bounds how many requests a step is given; the heaviest first.
	mostTilted = 8
	// fewTilted is up to how many requests each is given two steps.
	fewTilted = 4
	// mostHalved is how often a step that broke, or used too much, is repeated at half its load.
	mostHalved = 2
)

// Attribute is a search that is followed by steps whose mix is tilted towards one
// request after the other, so that what each takes can be told apart. These steps
// come on top of the search's budget, and say nothing of the capacity. It has no
// state but its Config, as Search.
type Attribute struct {
	*Search
	names   []string
	weights []float64
}

// NewAttribute returns the policy for a search over a mix of requests with the
// given names and weights.
func NewAttribute(cfg Config, names []string, weights []float64) *Attribute {
	return &Attribute{Search: New(cfg), names: names, weights: weights}
}

// Next is Search.Next, then the steps that vary the mix.
func (a *Attribute) Next(points []observation.Point, elapsed time.Duration) Decision {
	target, halved, begun := a.progress(points)
	var d Decision
	if !begun {
		if d = a.Search.Next(points, elapsed); !d.Done || d.Failed != "" {
			return d
		}
	}
	held := 0.0
	run := offered(points)
	for _, p := range Usable(run) {
		if Judge(p, a.cfg.Objectives) == Met {
			held = max(held, p.Offered)
		}
	}
	order := a.order()
	switch {
	case held == 0 && d.Done:
		return d
	case held == 0, target >= len(order), len(a.weights) < 2:
		return Decision{Done: true, Reason: "the mix was varied for the demand of each request", Predicted: d.Predicted}
	}
	return a.step(run, order[target], held, halved, d)
}

// progress replays the steps that varied the mix: which is next in order, how
// often it was halved, and whether there was one.
func (a *Attribute) progress(points []observation.Point) (target, halved int, begun bool) {
	for _, p := range points {
		if p.Kind != scenarios.KindAttribute {
			continue
		}
		begun = true
		if (p.Cut != "" || p.Short != "") && halved < mostHalved {
			halved++
			continue
		}
		target, halved = target+1, 0
	}
	return target, halved, begun
}

// order lists the requests to tilt towards, by their index.
func (a *Attribute) order() []int {
	var list []int
	for i, w := range a.weights {
		if w > 0 {
			list = append(list, i)
		}
	}
	for i := 1; i < len(list); i++ {
		for k := i; k > 0 && a.weights[list[k]] > a.weights[list[k-1]]; k-- {
			list[k], list[k-1] = list[k-1], list[k]
		}
	}
	list = list[:min(len(list), mostTilted)]
	if len(list) <= fewTilted {
		list = append(list, list...)
	}
	return list
}

func (a *Attribute) step(run []observation.Point, request int, held float64, halved int, d Decision) Decision {
	total := 0.0
	for _, w := range a.weights {
		total += w
	}
	mix := make([]float64, len(a.weights))
	for i, w := range a.weights {
		mix[i] = (1 - tilt) * w / total
	}
	mix[request] += tilt
	load := attributeShare * held
	if a.cfg.MaxUtilisation > 0 {
		// At worst this request takes all that is used: then so much more of it does.
		// Its hits are then all that chance is averaged over.
		share := a.weights[request] / total
		bound, _ := a.ceilingOver(run, share*(a.Search.step-Discard(a.Search.step)).Seconds())
		load = min(load, bound*share/mix[request])
	}
	for range halved {
		load /= 2
	}
	why := fmt.Sprintf("the mix is tilted towards %s, to tell what it takes", a.names[request])
	if halved > 0 {
		why += "; at half the load, as the step before was ended early"
	}
	out := a.offer(scenarios.KindAttribute, max(load, lowest), a.Search.step, "%s", why)
	if out.Step.From > load {
		out.Step.From = max(roundDown(load), lowest)
		out.Step.To = out.Step.From
	}
	out.Step.Mix, out.Predicted = mix, d.Predicted
	return out
}
