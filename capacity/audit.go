package capacity

import (
	"fmt"
	"math"
)

// Share of its limit below which the nearest resource was hardly exercised, and the
// ratio to the highest load beyond which a prediction is far.
const (
	exercise = 0.25
	farAway  = 2.0
)

// audit says what in the steps themselves weakens everything that is fitted.
func (a *Analysis) audit(all []series) {
	for i := range all {
		if why := all[i].little(); why != "" {
			a.warn("%s", why)
			break
		}
	}
	for i := range all {
		if u := all[i].point.Resources[cpu]; u.Unit == "cores" && u.Limit > mostCores && !math.IsInf(u.Limit, 0) {
			a.warn("units mixed up? The limit of cpu is %.4g cores: nanocores or millicores, perhaps, where cores are meant", u.Limit)
			break
		}
	}
	if ca2 := arrivals(all); resampled(all) && ca2 < 0.5 {
		a.warn("arrivals were evenly spaced (ca2 %.2f): responses are predicted for Poisson arrivals, which wait longer", ca2)
	}
}

// little holds the mean number of hits in flight that was counted against
// throughput times mean response (Little 1961). Both are observed, on their own,
// of a step that was neither cut nor overloaded.
func (s *series) little() string {
	p := s.point
	if !p.Valid || p.Cut != "" || p.Response.Mean <= 0 || !(p.Throughput > 0) {
		return ""
	}
	counted, n := p.InFlight, math.Inf(1)
	if len(p.Flow) > 0 {
		counted, n = 0, 0
		for _, f := range p.Flow {
			if f.From >= p.Discarded-0.1 && f.To <= p.Discarded+p.Seconds+0.1 {
				counted, n = counted+float64(f.InFlight), n+1
			}
		}
		if n < 4 {
			return ""
		}
		counted /= n
	} else if counted <= 0 || len(p.Windows) > 0 {
		return ""
	}
	expected := p.Throughput * p.Response.Mean / 1000
	// A count read n times wanders by its root, and twice that if it queues.
	slack := 0.15*expected + 8*math.Sqrt((expected+1)/n) + 0.5
	switch d := counted - expected; {
	case math.Abs(d) <= slack:
		return ""
	case counted > 300*expected && counted < 3000*expected:
		return fmt.Sprintf("units mixed up? At %.4g/s, %.4g in flight need a response of %.4g ms, and %.4g is given: seconds, perhaps, where ms are meant",
			p.Offered, counted, 1000*counted/p.Throughput, p.Response.Mean)
	}
	return fmt.Sprintf("Little's law does not hold at %.4g/s: %.4g in flight were counted, throughput times response is %.4g; hits are missing from one of them", p.Offered, counted, expected)
}

// doubts are what weakens the prediction.
func (p *prediction) doubts(limited []fit, top float64) []string {
	var list []string
	add := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	add("predicted: the objectives held at every load offered, up to %.4g/s", top)
	if p.reach > farAway {
		add("the capacity is extrapolated to %.1f times the highest load offered", p.reach)
	}
	for _, u := range p.unforetold {
		add("%s", u)
	}
	most := 0.0
	for i := range limited {
		most = max(most, limited[i].peak)
	}
	if p.kind != restsOnQueue && most < exercise {
		add("the bottleneck was not exercised: no resource was used above %.0f%% of its limit", 100*most)
	}
	if p.kind == restsOnQueue {
		add("only the growth of the response shows the limit; nothing that was measured explains it")
	}
	return list
}
