package reports

import (
	"fmt"
	"slices"

	"github.com/headroom-project/headroom/capacity/attribution"
	"github.com/headroom-project/headroom/capacity/planning"
	"github.com/headroom-project/headroom/loadgen/search"
)

// Attribution is what each request of the mix takes.
type Attribution struct {
	// Identified says that the mix varied enough to tell the requests apart;
	// Condition is the condition number of their rates (1 is best), at most 1e9.
	Identified bool    `json:"identified"`
	Condition  float64 `json:"condition"`
	Steps      int     `json:"steps"`
	Varied     int     `json:"varied"` // of them with a mix of their own
	// Requests and Endpoints are empty unless Identified.
	Requests  []Taken  `json:"requests"`
	Endpoints []Taken  `json:"endpoints"`
	Warnings  []string `json:"warnings"`
}

// Taken is what one request of a name, or to an endpoint, takes.
type Taken struct {
	Name     string `json:"name"`
	Endpoint string `json:"endpoint,omitempty"`
	// Share of the mix, 0..1, and of the cores that the mix uses.
	Share    float64 `json:"share"`
	CPUShare float64 `json:"cpu_share,omitempty"`
	// Demand by resource, in resource-seconds for one request.
	Demand map[string]Estimate `json:"demand"`
	// PerMillion is what the cores for a million of them cost, in the currency of
	// Cost; nil without prices.
	PerMillion *Estimate `json:"per_million,omitempty"`
	// BytesPerRequest is the mean size of an answer, ResponseMS how long a request is
	// in flight in the mean; 0 if not known.
	BytesPerRequest float64 `json:"bytes_per_request,omitempty"`
	ResponseMS      float64 `json:"response_ms,omitempty"`
	// Cost is what a million of them cost besides what idles; nil without prices.
	Cost *TakenCost `json:"cost_per_million,omitempty"`
}

// attribute splits the use of the target over its requests, if the mix varied.
func (c *computation) attribute() {
	if !c.searched() {
		return
	}
	x := attribution.Analyse(c.points, c.attributed(), c.drill.Seed)
	if x == nil || x.Varied == 0 && !x.Identified {
		return
	}
	a := &Attribution{Identified: x.Identified, Condition: min(x.Condition, 1e9), Steps: x.Steps, Varied: x.Varied, Requests: []Taken{}, Endpoints: []Taken{}, Warnings: []string{}}
	c.run.Attribution = a
	if !x.Identified {
		a.Warnings = append(a.Warnings, fmt.Sprintf("the requests cannot be told apart: the condition number of their rates is %.3g over %s", a.Condition, plural(x.Steps, "step")))
		c.warn("demand by request: " + a.Warnings[0])
		return
	}
	for _, r := range x.Resources {
		for i, q := range r.Requests {
			if len(a.Requests) <= i {
				a.Requests = append(a.Requests, Taken{Name: q.Name, Endpoint: c.endpoint(q.Name), Share: q.Share, Demand: map[string]Estimate{}})
			}
			a.Requests[i].Demand[r.Name] = Estimate{Value: q.Demand.Value, Low: q.Demand.Low, High: q.Demand.High, Confidence: 0.90, Method: attributedBy}
			if !q.Known && q.Share > 0 {
				a.Warnings = append(a.Warnings, fmt.Sprintf("the demand of %s on %s is known roughly: %.3g to %.3g", q.Name, r.Name, q.Demand.Low, q.Demand.High))
			}
		}
	}
	c.observe(a.Requests)
	c.costs(a.Requests)
	a.Endpoints = byEndpoint(a.Requests)
	for _, list := range [][]Taken{a.Requests, a.Endpoints} {
		c.price(list)
	}
	if c.run.Cost != nil {
		c.run.Method = append(c.run.Method, costRule)
	}
	for _, w := range a.Warnings {
		c.warn(w)
	}
}

// attributed names the resources to split: cores, and what may give out.
func (c *computation) attributed() []string {
	names := []string{"cpu"}
	if c.run.Saturation != nil {
		for _, b := range c.run.Saturation.Bottlenecks {
			if b.PerRequest > 0 && b.Unit != "bytes" && !search.OfGenerator(b.Resource) && !slices.Contains(names, b.Resource) {
				names = append(names, b.Resource)
			}
		}
	}
	return names
}

func (c *computation) endpoint(name string) string {
	for _, r := range c.scenario.Target.Requests {
		if r.Name == name {
			return r.Endpoint()
		}
	}
	return ""
}

// price adds shares of the cores, and what these cost.
func (c *computation) price(list []Taken) {
	sum := 0.0
	for _, t := range list {
		sum += t.Share * t.Demand["cpu"].Value
	}
	for i := range list {
		d, ok := list[i].Demand["cpu"]
		if !ok {
			continue
		}
		if sum > 0 {
			list[i].CPUShare = list[i].Share * d.Value / sum
		}
		if p := c.scenario.Capacity.Prices; p != nil && p.VCPUHour > 0 {
			k := p.VCPUHour / 3600 * 1e6
			list[i].PerMillion = &Estimate{Value: k * d.Value, Low: k * d.Low, High: k * d.High, Confidence: d.Confidence, Method: timesPrice}
		}
	}
}

// byEndpoint puts requests to one endpoint together, each with its share. The ends
// of the intervals are added up, which is wider than they are if they are
// independent.
func byEndpoint(requests []Taken) []Taken {
	var out []Taken
	for _, r := range requests {
		if r.Endpoint == "" {
			continue
		}
		i := slices.IndexFunc(out, func(t Taken) bool { return t.Name == r.Endpoint })
		if i < 0 {
			i = len(out)
			out = append(out, Taken{Name: r.Endpoint, Demand: map[string]Estimate{}})
		}
		share := out[i].Share + r.Share
		for resource, d := range r.Demand {
			was := out[i].Demand[resource]
			if share > 0 {
				w := r.Share / share
				d = Estimate{Value: was.Value + w*(d.Value-was.Value), Low: was.Low + w*(d.Low-was.Low), High: was.High + w*(d.High-was.High), Confidence: d.Confidence, Method: d.Method}
			}
			out[i].Demand[resource] = d
		}
		if share > 0 {
			out[i].join(r, r.Share/share)
		}
		out[i].Share = share
	}
	return out
}

// takenLines says what each request takes, the one that takes most of the cores
// first, then the endpoints if they differ from the requests.
func takenLines(r *Run) []string {
	a := r.Attribution
	if a == nil {
		return nil
	}
	var out []string
	add := func(list []Taken) {
		list = slices.Clone(list)
		slices.SortStableFunc(list, func(x, y Taken) int {
			switch {
			case x.CPUShare > y.CPUShare:
				return -1
			case x.CPUShare < y.CPUShare:
				return 1
			}
			return 0
		})
		for _, t := range list {
			out = append(out, takenLine(t, r))
		}
	}
	add(a.Requests)
	if len(a.Endpoints) > 0 && len(a.Endpoints) < len(a.Requests) {
		add(a.Endpoints)
	}
	return out
}

func takenLine(t Taken, r *Run) string {
	s := fmt.Sprintf("%s (%s of the mix)", clean(t.Name), percent(t.Share))
	if d, ok := t.Demand["cpu"]; ok {
		s += fmt.Sprintf(": a core for %s (%s to %s), %s of the cores used", nanos(d.Value*1e9), nanos(d.Low*1e9), nanos(d.High*1e9), percent(t.CPUShare))
	}
	currency := ""
	if r.Cost != nil {
		currency = " " + clean(r.Cost.Currency)
	}
	if p := t.PerMillion; p != nil {
		s += fmt.Sprintf("; a million use cores for %s%s (%s to %s)", money(p.Value, ""), currency, money(p.Low, ""), money(p.High, ""))
	}
	if t.Cost != nil {
		s += t.Cost.text(currency)
	}
	return s
}

// mixOf is the demand by request for a plan; nil if it is not known.
func mixOf(r *Run) []planning.RequestDemand {
	if r.Attribution == nil || !r.Attribution.Identified {
		return nil
	}
	var out []planning.RequestDemand
	for _, t := range r.Attribution.Requests {
		d := planning.RequestDemand{
			Name: t.Name, Share: t.Share, Demand: map[string]planning.Figure{}, BytesPerRequest: t.BytesPerRequest, ResponseMS: t.ResponseMS,
		}
		for resource, e := range t.Demand {
			d.Demand[resource] = planning.Figure{Value: e.Value, Low: e.Low, High: e.High}
		}
		out = append(out, d)
	}
	return out
}
