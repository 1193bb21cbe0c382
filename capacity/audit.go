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
func (a *Analysis) audit(all []series, spec Spec) {
	wrong := ""
	for i := range all {
		if wrong = all[i].little(); wrong != "" {
			break
		}
	}
	if off, told := offLittle(all); wrong != "" && off > 1 {
		wrong += fmt.Sprintf(" (%d of %d steps are off)", off, told)
	}
	if wrong == "" {
		wrong = littleOfShort(all)
	}
	if wrong != "" {
		a.warn("%s", wrong)
	}
	a.bounds(all)
	for i := range all {
		if u := all[i].point.Resources[cpu]; u.Unit == "cores" && u.Limit > mostCores && !math.IsInf(u.Limit, 0) {
			a.warn("units mixed up? The limit of cpu is %.4g cores: nanocores or millicores, perhaps, where cores are meant", u.Limit)
			break
		}
	}
	if apart := restless(all); apart > noticeable {
		a.warn("steps at one load differ by %s in their mean response, beyond chance: the target was not the same from step to step, and the intervals take that in; hint: see what else ran beside it", percent(apart))
	}
	if ca2 := arrivals(all); resampled(all) && ca2 < 0.5 && spec.ArrivalsSCV == 0 {
		a.warn("arrivals were evenly spaced (ca2 %.2f): responses are predicted for Poisson arrivals, which wait longer", ca2)
	}
}

// enoughCounts is how many counts of the hits in flight make one step tell by itself.
const enoughCounts = 4

// counted is the mean number of hits in flight that was counted in the seconds that are
// kept, and how often; of a table, what it says of that, which is taken for exact.
func (s *series) counted() (mean, n float64) {
	p := s.point
	if len(p.Flow) == 0 {
		if p.InFlight <= 0 || len(p.Windows) > 0 {
			return 0, 0
		}
		return p.InFlight, math.Inf(1)
	}
	for _, f := range p.Flow {
		if f.From >= p.Discarded-0.1 && f.To <= p.Discarded+p.Seconds+0.1 {
			mean, n = mean+float64(f.InFlight), n+1
		}
	}
	return mean / max(n, 1), n
}

// audited says that Little's law can be held against the step: nothing cut it, and it has
// both sides of it.
func (s *series) audited() bool {
	p := s.point
	return p.Valid && p.Cut == "" && p.Response.Mean > 0 && p.Throughput > 0
}

// slack is by how much a mean of n counts may differ from what is expected: a count
// wanders by its root, and twice that if it queues.
func slack(expected, n float64) float64 { return offBy*expected + 8*math.Sqrt((expected+1)/n) + 0.5 }

// little holds the mean number of hits in flight that was counted against
// throughput times mean response (Little 1961). Both are observed, on their own,
// of a step that was neither cut nor overloaded.
func (s *series) little() string {
	counted, n := s.counted()
	if !s.audited() || n < enoughCounts {
		return ""
	}
	p := s.point
	expected := p.Throughput * p.Response.Mean / 1000
	switch d := counted - expected; {
	case math.Abs(d) <= slack(expected, n):
		return ""
	case counted > 300*expected && counted < 3000*expected:
		return fmt.Sprintf("units mixed up? At %.4g/s, %.4g in flight need a response of %.4g ms, and %.4g is given: seconds, perhaps, where ms are meant",
			p.Offered, counted, 1000*counted/p.Throughput, p.Response.Mean)
	}
	return fmt.Sprintf("Little's law does not hold at %.4g/s: %.4g in flight were counted, throughput times response is %.4g; hits are missing from one of them", p.Offered, counted, expected)
}

// offLittle is how many of the steps that tell are off by as much as little allows of a long
// count, once one is beyond doubt.
func offLittle(all []series) (off, told int) {
	for i := range all {
		s := &all[i]
		counted, n := s.counted()
		if !s.audited() || n < enoughCounts {
			continue
		}
		expected := s.point.Throughput * s.point.Response.Mean / 1000
		told++
		if !math.IsInf(n, 1) && s.little() != "" || math.IsInf(n, 1) && math.Abs(counted-expected) > offBy*expected {
			off++
		}
	}
	return off, told
}

// offBy is by how much of itself a number in flight may be off.
const offBy = 0.15

// littleOfShort is little for the steps that are too short for it, as those with which a
// search goes up are: their counts are taken together. A step counts if what its first
// second left in flight had ended when it was counted, and if it was kept up with: in the
// others the number in flight is not yet what it would come to.
func littleOfShort(all []series) string {
	var counts, expected, sum float64
	low, high := math.Inf(1), 0.0
	for i := range all {
		s := &all[i]
		counted, n := s.counted()
		p := s.point
		if !s.audited() || !(n > 0) || n >= enoughCounts || p.Response.Mean/1000 > p.Discarded/4 || p.Throughput < keptPace*s.load {
			continue
		}
		counts, expected, sum = counts+n*counted, expected+n*p.Throughput*p.Response.Mean/1000, sum+n
		low, high = min(low, p.Offered), max(high, p.Offered)
	}
	if sum < enoughCounts || math.Abs(counts-expected)/sum <= slack(expected/sum, sum) {
		return ""
	}
	return fmt.Sprintf("Little's law does not hold over the short steps from %.4g/s to %.4g/s taken together: %.4g in flight were counted in the mean, throughput times response is %.4g; hits are missing from one of them",
		low, high, counts/sum, expected/sum)
}

// keptPace is the share of the load that a step must have served to be kept up with.
const keptPace = 0.9

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
