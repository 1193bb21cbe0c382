package capacity

import (
	"fmt"
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/headroom-project/headroom/loadgen/observation"
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
	// seen are the steps that the law was fitted to.
	seen []*observation.Point
}

// Quantile returns the response time in ms that a share q (0..1) of the requests
// stay below at a load in requests/s; +Inf at and above saturation.
func (r *Response) Quantile(rps, q float64) float64 {
	return r.over(rps, func(l *latency) float64 { return l.quantile(max(rps, 0), min(max(q, 0), 1-1e-9)) })
}

// Between returns the interval in which the quantile of a step at a load is expected, in ms.
// Two causes of error add up as variances of logs do: that of the law, by shifted, and what
// the quantiles of the steps that were seen were off by (Student's t). These had fewer hits
// as a rule than a step that is to confirm something, so that the interval is rather wide.
// Both ends are NaN where too few steps tell, and above the loads that were seen: nearer to
// saturation a queue needs longer than a step to reach the length that it has in the end, and
// the quantile of a step is lower than that of the law. High is +Inf where the low end of the
// capacity is saturated.
func (r *Response) Between(rps, q float64) (low, high float64) {
	off, n := r.off(q)
	top := 0.0
	for _, p := range r.seen {
		top = max(top, p.Offered)
	}
	if n < leastSeen || rps > alikeLoads*top || !(r.sooner > 0 && r.later > 0) {
		return math.NaN(), math.NaN()
	}
	at := r.Quantile(rps, q)
	low, high = r.shifted(rps, q)
	besides := off * distuv.StudentsT{Sigma: 1, Nu: float64(n - 1)}.Quantile((1+r.Confidence)/2)
	return at * math.Exp(-math.Hypot(math.Log(low/at), besides)), at * math.Exp(math.Hypot(math.Log(high/at), besides))
}

// leastSeen is how many steps must tell what a quantile scatters by, and alikeLoads up to
// which ratio a load is one of those that they had.
const leastSeen, alikeLoads = 4, 1.1

// shifted are the values of Quantile at the loads that are to the ends of the interval of
// the predicted capacity what rps is to that capacity. The capacity as a function of the
// threshold is the inverse of the quantile as a function of the load, so that the interval of
// the one, calibrated as it is, is turned into that of the other.
func (r *Response) shifted(rps, q float64) (low, high float64) {
	return r.Quantile(rps/r.later, q), r.Quantile(rps/r.sooner, q)
}

// off is the root mean square of what the quantile of each step was off by, in logs, and of
// how many steps. One of fewer hits than the quantile needs has none.
func (r *Response) off(q float64) (rms float64, n int) {
	sum := 0.0
	for _, p := range r.seen {
		x := p.Response
		seen := map[float64]float64{0.5: x.P50, 0.9: x.P90, 0.95: x.P95, 0.99: x.P99, 0.999: x.P999}[q]
		if at := r.Quantile(p.Offered, q); seen > 0 && at > 0 && !math.IsInf(at, 0) && float64(p.OK+p.Failed) >= 1/(1-q) {
			off := math.Log(seen / at)
			sum, n = sum+off*off, n+1
		}
	}
	if n < 2 {
		return 0, n
	}
	return math.Sqrt(sum / float64(n-1)), n
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

// predict puts the capacity where the laws see it, if every step held. limits are the laws
// of all resources, limited those of what can give out.
func (a *Analysis) predict(all []series, limits, limited []fit, spec Spec, source *rand.Rand) (*prediction, *refusal) {
	c := a.Capacity
	if c == nil || c.Bound != Above {
		return nil, nil
	}
	p, no := predict(all, limited, spec.Objectives, spec.ArrivalsSCV, spec.Replicates, spec.Confidence, thorough, source)
	if no != nil {
		if name := outdone(limits, all); name != "" && len(limited) == 0 {
			no.why = fmt.Sprintf("%.4g/s were answered, more than the law of %s allows, and nothing else shows a limit; run a step above that", mostServed(all), name)
		}
		c.Unidentified = no.why
		c.Warnings = append(c.Warnings, "where the objectives break is not identifiable from these steps, because "+no.why)
		return nil, no
	}
	p.calibrate(spec.Confidence, spec.Past)
	a.prediction = p
	held, low := c.Value.Value, c.Value.Low
	doubts := p.doubts(limited, held)
	if len(c.Contrary) > 0 {
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
	c.Bound, c.Contrary = Predicted, nil
	c.Objective, c.Unforetold = p.objective, p.unforetold
	a.Response = &Response{laws: p.laws, Method: p.method(), Confidence: spec.Confidence, sooner: p.low / p.value, later: p.high / p.value}
	for i := range all {
		a.Response.seen = append(a.Response.seen, all[i].point)
	}
	return p, nil
}

func (p *prediction) method() string {
	if scv := p.laws[0].ahead; scv > 0 && scv != 1 {
		return p.lawsUsed() + fmt.Sprintf("; for arrivals with a squared coefficient of variation of %.3g", scv)
	}
	return p.lawsUsed()
}

func (p *prediction) lawsUsed() string {
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
