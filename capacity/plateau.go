package capacity

import (
	"math"
	"slices"
)

// plateau is the rate at which a saturated target serves.
type plateau struct {
	// rate is in requests/s and spread its standard error.
	rate, spread float64
	// falls says that the target served less the more it was overloaded.
	falls bool
}

// systematic is the relative error of a plateau that no reading shows: timers of
// the target and of the generator, hits in service when a stretch begins or ends.
const systematic = 0.0075

// bounds are two and a half standard errors around the rate: its readings are few,
// and their errors are estimates themselves.
func (p *plateau) bounds() (low, high float64) {
	d := 2.5 * math.Hypot(p.spread, systematic*p.rate)
	return max(p.rate-d, 0), p.rate + d
}

// cap is the load above which nothing is taken to have been served. A stretch is
// more likely to be busy when the target happens to be slow, so where service
// times vary, which shows as a spread beyond half a percent, a short stretch
// reads low, and the cap leaves room.
func (p *plateau) cap() float64 { return p.rate + 2*max(p.spread-0.005*p.rate, 0) }

// measure is one reading of the plateau.
type measure struct{ rate, spread, load float64 }

// saturated reads the plateau from every stretch of seconds in which a queue
// never emptied; nil if there was none.
//
// Windows count hits in the second in which they were planned, and all of them
// may end in the end, so counts alone do not show what was served when. Their
// ends do: hit number A, planned at t and answered after R, leaves at t + R, and
// while the queue is not empty the target serves dA/d(t+R). This holds for any
// order of service over a stretch, as means are taken.
func saturated(all []series) *plateau {
	idle, variation := light(all)
	var found []measure
	for i := range all {
		s := &all[i]
		switch {
		case len(s.windows) == 0:
			found = append(found, s.tablePlateau()...)
		default:
			found = append(found, s.busy(idle, variation)...)
			found = append(found, s.rejecting(all)...)
		}
	}
	return combine(found)
}

// light returns the response time in ms that 95% of the hits of the lightest step
// keep, and the squared coefficient of variation of the response there.
func light(all []series) (idle, variation float64) {
	idle, variation = math.Inf(1), 1
	lightest := math.Inf(1)
	for i := range all {
		s := &all[i]
		if len(s.windows) == 0 || s.load >= lightest || s.point.Cut != "" {
			continue
		}
		var r replicate
		s.observed(&r)
		q := quantile(r.bins, s.first, 0.95)
		if math.IsNaN(q) {
			continue
		}
		lightest, idle = s.load, max(q, 2*quantile(r.bins, s.first, 0.5))
		variation = r.variation(s.first)
	}
	return idle, variation
}

func (r *replicate) variation(first int) float64 {
	var n, sum, squares float64
	for i, c := range r.bins {
		v := math.Exp((float64(first+i) + 0.5) * logBin)
		n, sum, squares = n+c, sum+c*v, squares+c*v*v
	}
	m := sum / n
	return min(max(squares/n/(m*m)-1, 0), 4)
}

// busy returns the rates of the stretches of the step in which the queue never
// emptied: even the fastest hits waited.
func (s *series) busy(idle, variation float64) []measure {
	var found []measure
	for from := 0; from < len(s.windows); {
		to := from
		for to < len(s.windows) && quantile(s.windows[to].bins, s.first, 0.05) > idle &&
			(to == from || s.windows[to].begin <= s.windows[to-1].begin+s.windows[to-1].width) {
			to++
		}
		if to > from {
			if m, ok := s.stretch(s.windows[from:to], variation); ok {
				found = append(found, m)
			}
		}
		from = max(to, from+1)
	}
	return found
}

// edge is how far inside the first and the last window a growing stretch is read.
const edge = 0.05

// stretch reads the rate from the ends of its first and last hits. While the
// queue grows, the k-th hit planned is the k-th slowest of its window, and the
// edges can be read; otherwise the means of the first and last window are.
func (s *series) stretch(ws []window, variation float64) (measure, bool) {
	first, last := &ws[0], &ws[len(ws)-1]
	at := func(w *window, q float64) float64 { return quantile(w.bins, s.first, q) / 1000 }
	served := 0.0
	for i := range ws {
		served += ws[i].ok
	}
	length := last.begin + last.width - first.begin
	grown := at(last, 1-edge) - at(first, edge)
	var long, drift float64
	if grown > 0.15*length && rising(ws, s.first) {
		served -= edge * (first.ok + last.ok)
		long = length - edge*(first.width+last.width) + grown
		drift = math.Sqrt(edge*(1-edge)) * math.Hypot(first.width/math.Sqrt(first.planned), last.width/math.Sqrt(last.planned))
	} else {
		if len(ws) < 3 {
			return measure{}, false
		}
		served -= (first.ok + last.ok) / 2
		long = length - (first.width+last.width)/2 + (last.sum/last.ended()-first.sum/first.ended())/1000
		drift = 0.29 * math.Hypot(first.width/math.Sqrt(first.planned), last.width/math.Sqrt(last.planned))
	}
	if !(long > 0.5) || !(served > 10) {
		return measure{}, false
	}
	rate := served / long
	// Three sources: where in its second a hit was planned, the variance of
	// service, and the hits in service at both ends.
	relative := math.Sqrt(drift*drift/(long*long) + variation/served + 4/(served*served))
	return measure{rate: rate, spread: rate * max(relative, 0.002), load: s.load}, true
}

func rising(ws []window, first int) bool {
	for i := 1; i < len(ws); i++ {
		if quantile(ws[i].bins, first, 0.5) <= quantile(ws[i-1].bins, first, 0.5) {
			return false
		}
	}
	return true
}

// rejecting reads the plateau of a target that answers quickly that it is too
// busy: what it still serves, if a lower load was served without failures.
func (s *series) rejecting(all []series) []measure {
	var ok, failed float64
	for _, w := range s.windows {
		ok, failed = ok+w.ok, failed+w.failed
	}
	if ok < 30 || failed < 0.1*(ok+failed) {
		return nil
	}
	clean := slices.ContainsFunc(all, func(o series) bool {
		return o.load < s.load && o.point.ErrorRatio < 0.01
	})
	var r replicate
	s.observed(&r)
	queued := quantile(r.bins, s.first, 0.9) > 300
	if !clean || queued {
		return nil
	}
	rate := ok / s.seconds
	return []measure{{rate: rate, spread: rate / math.Sqrt(ok), load: s.load}}
}

// tablePlateau takes the throughput of a step that served clearly less than it
// was offered.
func (s *series) tablePlateau() []measure {
	x := s.point.Throughput
	if !(x >= lowestLoad) || x > 0.93*s.load {
		return nil
	}
	return []measure{{rate: x, spread: 0.005 * x, load: s.load}}
}

// combine weighs the readings by their precision. Readings that contradict each
// other mean that throughput falls under overload; then the highest counts.
func combine(found []measure) *plateau {
	if len(found) == 0 {
		return nil
	}
	var weights, sum float64
	for _, m := range found {
		w := 1 / (m.spread * m.spread)
		weights, sum = weights+w, sum+w*m.rate
	}
	p := &plateau{rate: sum / weights, spread: 1 / math.Sqrt(weights)}
	misfit := 0.0
	for _, m := range found {
		misfit += (m.rate - p.rate) * (m.rate - p.rate) / (m.spread * m.spread)
	}
	if n := float64(len(found) - 1); n > 0 && misfit > n {
		p.spread *= math.Sqrt(misfit / n)
	}
	best := slices.MaxFunc(found, func(a, b measure) int {
		if a.rate < b.rate {
			return -1
		}
		return 1
	})
	if best.rate-2*best.spread > 1.1*p.rate {
		return &plateau{rate: best.rate, spread: best.spread, falls: true}
	}
	return p
}
