package capacity

import (
	"math"
	"math/rand/v2"
)

// Response is the latency law of the target: the time that its requests take
// without waiting, as it was measured, and the wait on top of it.
type Response struct {
	laws []*fitted // their weights add up to 1
	// Method says in a few words what the law is.
	Method string
	// Confidence is that of Between.
	Confidence float64
	// sooner and later are the ends of the interval of the predicted capacity over it.
	sooner, later float64
}

// Quantile returns the response time in ms that a share q (0..1) of the requests
// stay below at a load in requests/s; +Inf at and above saturation.
func (r *Response) Quantile(rps, q float64) float64 {
	return r.over(rps, func(l *latency) float64 { return l.quantile(max(rps, 0), min(max(q, 0), 1-1e-9)) })
}

// Between returns the interval of Quantile: its values at the loads that are to the ends
// of the interval of the predicted capacity what rps is to that capacity. The capacity as a
// function of the threshold is the inverse of the quantile as a function of the load, so
// that the interval of the one, calibrated as it is, is turned into that of the other. It
// says what the law may be off by, and nothing of how a quantile of so many hits scatters.
func (r *Response) Between(rps, q float64) (low, high float64) {
	if !(r.sooner > 0 && r.later > 0) {
		return math.NaN(), math.NaN()
	}
	return r.Quantile(rps/r.later, q), r.Quantile(rps/r.sooner, q)
}

// Mean returns the mean response time in ms at a load in requests/s; +Inf at and
// above saturation.
func (r *Response) Mean(rps float64) float64 {
	return r.over(rps, func(l *latency) float64 { return l.mean(max(rps, 0)) })
}

// over is the geometric mean of what the laws say, in ms, of those by which the load
// is below saturation, as long as they have half of the weight.
func (r *Response) over(rps float64, says func(*latency) float64) float64 {
	sum, weight := 0.0, 0.0
	for _, f := range r.laws {
		if rps < f.saturation {
			sum, weight = sum+f.weight*math.Log(1000*says(&f.latency)), weight+f.weight
		}
	}
	if weight < 0.5 {
		return math.Inf(1)
	}
	return math.Exp(sum / weight)
}

// predict puts the capacity where the laws see it, if every step held.
func (a *Analysis) predict(all []series, limited []fit, spec Spec, source *rand.Rand) (*prediction, *refusal) {
	c := a.Capacity
	if c == nil || c.Bound != Above {
		return nil, nil
	}
	p, no := predict(all, limited, spec.Objectives, spec.Replicates, spec.Confidence, thorough, source)
	if no != nil {
		c.Unidentified = no.why
		c.Warnings = append(c.Warnings, "where the objectives break is not identifiable from these steps, because "+no.why)
		return nil, no
	}
	p.calibrate(spec.Confidence, spec.Past)
	a.prediction = p
	held, low := c.Value.Value, c.Value.Low
	doubts := p.doubts(limited, held)
	if low < held {
		doubts[0] = "predicted: " + c.Warnings[0] // it did not hold at every load
	}
	c.Value = Value{
		Value: max(p.value, held), Low: max(p.low, min(held, p.value)), High: max(p.high, held), Confidence: spec.Confidence,
		Method: p.method(), Warnings: append(doubts, c.Warnings[min(1, len(c.Warnings)):]...),
	}
	if low < held {
		c.Low = min(c.Low, low)
	}
	c.Low, c.High = min(c.Low, c.Value.Value), max(c.High, c.Value.Value)
	c.Bound, c.Objective, c.Unforetold = Predicted, p.objective, p.unforetold
	a.Response = &Response{laws: p.laws, Method: p.method(), Confidence: spec.Confidence, sooner: p.low / p.value, later: p.high / p.value}
	return p, nil
}

func (p *prediction) method() string {
	how := "served in order"
	if p.laws[0].shared {
		how = "cores shared"
	}
	switch {
	case p.kind == restsOnQueue:
		return "predicted: growth of the response alone, as of a queue that nothing measures; block bootstrap over seconds"
	case p.changes:
		return "predicted: resource law with a demand that changes, latency law (" + how + "); block bootstrap over seconds"
	}
	return "predicted: resource law and latency law (" + how + "); block bootstrap over seconds"
}

// blame turns what the responses say of a queue that nothing measures into a
// bottleneck among the others.
func (p *prediction) blame(share []float64, other Bottleneck) (*measured, Bottleneck) {
	for i := range share {
		share[i] *= 1 - p.hidden
	}
	share[len(share)-1] = p.hidden
	if other.Resource == Unmeasured {
		seen := "while every measured resource has room"
		if len(share) == 1 {
			seen = "and no resource was seen to grow towards a limit: whatever gives out is not shown by these data"
		}
		other.Evidence = "responses grow with the load as behind a queue, " + seen
	}
	m := &measured{rate: p.queue.saturation, low: p.queueLow, high: p.queueHigh, method: "growth of the response"}
	m.low, m.high = min(m.low, m.rate), max(m.high, m.rate)
	m.spread = (m.high - m.low) / 3.29
	return m, other
}
