package reports

import (
	"fmt"

	"github.com/headroom-project/headroom/loadgen/search"
)

// TakenCost is what a million requests cost, in the currency of Cost: what they
// use, without what idles. A part is nil where it has no price, or is not known.
type TakenCost struct {
	CPU    *Estimate `json:"cpu,omitempty"`
	Memory *Estimate `json:"memory,omitempty"`
	Egress *Estimate `json:"egress,omitempty"`
	Total  Estimate  `json:"total"`
}

// costRule says how costs are told apart.
const costRule = "Cost by request: cores by the demand of each request, egress by the bytes of its answers, and memory by the time for which it is in flight, as requests hold theirs for as long as they take. What is allocated and not used, and the memory that is used at rest, belong to no request: they are idle."

// observe takes the size of the answers and the mean response of each request, over
// the steps that served what they were offered.
func (c *computation) observe(list []Taken) {
	for i := range list {
		var bytes, hits, held float64
		for _, p := range search.Usable(c.points) {
			if p.Cut != "" || p.ErrorRatio > 0.02 {
				continue
			}
			if t := p.Tallies[list[i].Name]; t != nil {
				bytes, hits, held = bytes+float64(t.BytesIn), hits+float64(t.Ended()), held+t.Response.Mean()/1000*float64(t.Ended())
			} else if f, ok := p.Requests[list[i].Name]; ok {
				n := float64(f.OK + f.Failed)
				hits, held = hits+n, held+f.Response.Mean*n
			}
		}
		if hits > 0 {
			list[i].BytesPerRequest, list[i].ResponseMS = bytes/hits, held/hits
		}
	}
}

// costs prices what each request takes, by costRule.
func (c *computation) costs(list []Taken) {
	prices := c.scenario.Capacity.Prices
	if prices == nil || c.run.Cost == nil {
		return
	}
	memory, known := c.run.Cost.Parts["memory"]
	flight := 0.0 // ms in flight of the mean request
	for _, t := range list {
		flight += t.Share * t.ResponseMS
	}
	for i := range list {
		t, x := &list[i], TakenCost{}
		if d, ok := t.Demand["cpu"]; ok && prices.VCPUHour > 0 {
			x.CPU = timesOf(d, prices.VCPUHour/3600*1e6)
		}
		if known && memory.Value > 0 && flight > 0 {
			x.Memory = timesOf(memory, t.ResponseMS/flight)
		}
		if prices.EgressGB > 0 && t.BytesPerRequest > 0 {
			v := t.BytesPerRequest / 1e9 * 1e6
			x.Egress = timesOf(Estimate{Value: v, Low: v, High: v, Confidence: 0.90}, prices.EgressGB)
			x.Egress.Method = "size of the answers times price"
		}
		for _, part := range []*Estimate{x.CPU, x.Memory, x.Egress} {
			x.Total = added(x.Total, part, 1)
		}
		if x.Total.Value > 0 {
			t.Cost = &x
		}
	}
}

// How what a request takes and costs is known.
const (
	attributedBy = "non-negative least squares over steps whose mix varies"
	timesPrice   = "demand for each request times price"
)

func timesOf(e Estimate, k float64) *Estimate {
	return &Estimate{Value: k * e.Value, Low: k * e.Low, High: k * e.High, Confidence: e.Confidence, Method: timesPrice}
}

// added is e plus k times another, ends and all: wider than it is if they are
// independent.
func added(e Estimate, other *Estimate, k float64) Estimate {
	if other == nil {
		return e
	}
	return Estimate{
		Value: e.Value + k*other.Value, Low: e.Low + k*other.Low, High: e.High + k*other.High, Confidence: max(e.Confidence, other.Confidence),
		Method: "sum of its parts",
	}
}

// join moves an endpoint towards a request by a share of 0..1, which is that of the
// request among those of the endpoint so far.
func (t *Taken) join(r Taken, share float64) {
	t.BytesPerRequest += share * (r.BytesPerRequest - t.BytesPerRequest)
	t.ResponseMS += share * (r.ResponseMS - t.ResponseMS)
	if r.Cost == nil && t.Cost == nil {
		return
	}
	was, is := t.Cost, r.Cost
	if was == nil {
		was = &TakenCost{}
	}
	if is == nil {
		is = &TakenCost{}
	}
	mixed := func(a, b *Estimate) *Estimate {
		if a == nil && b == nil {
			return nil
		}
		e := added(added(Estimate{}, a, 1-share), b, share)
		return &e
	}
	t.Cost = &TakenCost{
		CPU: mixed(was.CPU, is.CPU), Memory: mixed(was.Memory, is.Memory), Egress: mixed(was.Egress, is.Egress), Total: *mixed(&was.Total, &is.Total),
	}
}

// text says what they cost in all, and of what; empty if that is the cores alone.
func (x *TakenCost) text(currency string) string {
	parts := ""
	for _, p := range []struct {
		name string
		e    *Estimate
	}{{"memory", x.Memory}, {"egress", x.Egress}} {
		if p.e != nil {
			parts += fmt.Sprintf(", %s %s", p.name, money(p.e.Value, ""))
		}
	}
	if parts == "" {
		return ""
	}
	return fmt.Sprintf(", and %s%s in all (%s to %s%s)", money(x.Total.Value, ""), currency, money(x.Total.Low, ""), money(x.Total.High, ""), parts)
}
