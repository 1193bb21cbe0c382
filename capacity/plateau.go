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

// manyTimes is how many times as long as a response a step must be for those in flight at its end
// to be few.
const manyTimes = 20.0

// firm returns the plateau, or nil if its readings contradict each other.
func (p *plateau) firm() *plateau {
	if p == nil || p.spread > vague*p.rate {
		return nil
	}
	return p
}

// within returns the plateau, or nil if its readings contradict each other and leave it open
// whether even the highest load lies above it: chance made a queue there.
func (p *plateau) within(top float64) *plateau {
	if p.firm() == nil && p != nil && p.cap() > top {
		return nil
	}
	return p
}

// measure is one reading of the plateau.
type measure struct{ rate, spread, load float64 }

// saturated reads the plateau from every stretch of seconds in which a real
// backlog was in flight; nil if there was none. A step that served more than
// that lifts it: what was served cannot be more than what the target serves.
func saturated(all []series) *plateau {
	rest, variation := light(all)
	var found []measure
	var stretches []stretch
	for i := range all {
		s := &all[i]
		if len(s.point.Flow) == 0 {
			found = append(found, s.tablePlateau(all)...)
			continue
		}
		stretches = append(stretches, s.backlogged(rest)...)
		found = append(found, s.rejecting(all)...)
	}
	noise := dispersion(stretches, variation)
	for _, x := range stretches {
		found = append(found, x.measure(noise))
	}
	if p := falling(all, found); p != nil && len(stretches) == 0 {
		return p
	}
	return combine(found).atLeast(all, noise)
}

// falling is the plateau of a table whose target served less the more it was overloaded: the most
// that it served, at a lower load than all of which it served clearly less than it was offered, two
// at least. nil if it is not, or if a step was too short for that: what is in flight at its end was
// not served yet.
func falling(all []series, found []measure) *plateau {
	var most *series
	for i := range all {
		if s := &all[i]; s.point.Valid && (most == nil || s.point.Throughput > most.point.Throughput) {
			most = s
		}
	}
	if most == nil || len(found) < 2 || len(most.point.Flow) > 0 {
		return nil
	}
	for i := range all {
		s := &all[i]
		if took := max(s.point.Response.Mean, s.point.Response.P50) / 1000; s.load >= most.load && s.seconds < manyTimes*took {
			return nil
		}
	}
	rate := most.point.Throughput
	sorted := slices.Clone(found)
	slices.SortFunc(sorted, func(a, b measure) int { return compare(a.load, b.load) })
	before := rate
	for _, m := range sorted {
		if m.load < most.load || m.rate > before {
			return nil
		}
		before = m.rate
	}
	spread := 0.005 * rate
	if !(rate-before > surely*math.Hypot(spread, 0.005*before)) {
		return nil
	}
	return &plateau{rate: rate, spread: spread, falls: true}
}

// light returns the mean response time in seconds of the lightest step and the
// squared coefficient of variation of the response there.
func light(all []series) (rest, variation float64) {
	variation = 1
	lightest := math.Inf(1)
	for i := range all {
		s := &all[i]
		if len(s.windows) == 0 || s.load >= lightest || s.point.Cut != "" {
			continue
		}
		var r replicate
		s.observed(&r)
		if !(r.ok+r.failed > 0) {
			continue
		}
		lightest, rest = s.load, r.sum/(r.ok+r.failed)/1000
		variation = r.variation(s.first)
	}
	return rest, variation
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

// stretch is a run of seconds in which a backlog was in flight throughout.
type stretch struct {
	load, served, lasted float64
	// seconds are the hits served in each of them, and widths how long each was.
	seconds, widths []float64
	// tail is the time in seconds at the end in which the target may have been
	// busy in part only.
	tail float64
}

// shortest and longest are the widths in seconds of what counts as a second:
// windows are closed late where the worker was not run in time.
const (
	shortest = 0.8
	longest  = 1.5
	// briefest is what the last second of a drain may be cut to.
	briefest = 0.25
)

// backlogged returns the stretches of the step, its drain included, at whose
// every second's begin and end a real backlog was in flight. The last second of a
// drain counts too: it is closed as soon as the last hit has ended, and up to
// about one service time before that the target was busy.
func (s *series) backlogged(rest float64) []stretch {
	var found []stretch
	var run stretch
	closeRun := func() {
		if len(run.seconds) > 0 {
			found = append(found, run)
		}
		run = stretch{load: s.load}
	}
	closeRun()
	flow := s.point.Flow
	for i := 1; i < len(flow); i++ {
		f, width := flow[i], flow[i].To-flow[i].From
		enough := backlog(float64(f.OK+f.Failed)/width, rest)
		drained := f.InFlight == 0 && f.From > s.point.Discarded+s.point.Seconds-0.1 && width >= 10*rest
		whole := (width >= shortest || drained && width >= briefest) && width <= longest && math.Abs(f.From-flow[i-1].To) < 0.1
		if !whole || float64(flow[i-1].InFlight) < enough || float64(f.InFlight) < enough && !drained {
			closeRun()
			continue
		}
		if drained {
			run.tail = rest
		}
		run.served += float64(f.OK)
		run.lasted += width
		run.seconds = append(run.seconds, float64(f.OK))
		run.widths = append(run.widths, width)
	}
	closeRun()
	return found
}

// backlog is how many hits must be in flight at both ends of a second that ends
// rate hits/s to take the target for busy throughout. rate*rest are in service
// without a queue (Little's law), and as many again leave room for chance. Beyond
// them a queue that starts and ends at k sqrt(rate) and wanders by sqrt(rate) in
// a second empties meanwhile with probability exp(-2k^2) (Brownian bridge): 1%
// for k = 1.5, and then only for a moment.
func backlog(rate, rest float64) float64 {
	return 2*rate*rest + 1.5*math.Sqrt(max(rate, 1)) + 1
}

// dispersion is the variance of the hits served in a second of backlog, as a
// ratio of their mean: 0 for fixed service times, 1 for memoryless ones. The
// light load's variation stands in for two seconds, as few may have been seen.
func dispersion(stretches []stretch, variation float64) float64 {
	const prior = 2.0
	sum, n := prior*variation, prior
	for _, x := range stretches {
		rate := x.served / x.lasted
		for i, served := range x.seconds {
			if expected := rate * x.widths[i]; expected > 0 {
				sum += (served - expected) * (served - expected) / expected
			}
		}
		n += float64(len(x.seconds) - 1)
	}
	return sum / n
}

// punctual is the standard error in seconds of the instant at which a second was
// closed, against the ends that it counts.
const punctual = 0.001

func (x *stretch) measure(dispersion float64) measure {
	rate := x.served / x.lasted
	spread := math.Sqrt(dispersion*x.served+1) / x.lasted
	edges := rate * (math.Sqrt2*punctual + x.tail) / x.lasted
	return measure{rate: rate, spread: math.Hypot(spread, edges), load: x.load}
}

// surely is by how many standard errors a step must have served more than the
// plateau to lift it.
const surely = 2

// atLeast lifts the plateau to what was served in a step that was long enough to
// tell. Where the speed of the target varies, a slow moment is what makes a
// backlog, so that seconds with one read low; what the target can serve is at
// least what it did serve.
func (p *plateau) atLeast(all []series, dispersion float64) *plateau {
	if p == nil {
		return nil
	}
	lifted := *p
	for i := range all {
		s := &all[i]
		x := s.point.Throughput
		noise := math.Sqrt(dispersion*x/max(s.seconds, 1)) + x*punctual
		if s.point.Valid && s.seconds >= 2 && x-surely*noise > p.rate && x > lifted.rate {
			lifted.rate, lifted.spread = x, max(noise, (x-p.rate)/2)
		}
	}
	return &lifted
}

// rejecting reads the plateau of a target that answers quickly that it is too
// busy: what it still serves, if a lower load was served without failures
// and no more is served of a higher one.
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
	if !clean || queued || s.grows(all) {
		return nil
	}
	rate := ok / s.seconds
	return []measure{{rate: rate, spread: rate / math.Sqrt(ok), load: s.load}}
}

// tablePlateau takes the throughput of a step that served clearly less than it
// was offered, and less than chance makes arrive. Where hits failed instead, it is one only
// if more was served of a lower load: a share that fails at any load is no saturation.
func (s *series) tablePlateau(all []series) []measure {
	x := s.point.Throughput
	if !(x >= lowestLoad) || !s.less(x) || !s.less(s.ended()) && s.grows(all) {
		return nil
	}
	return []measure{{rate: x, spread: 0.005 * x, load: s.load}}
}

// less says that a rate is clearly below what was offered, and below what chance makes arrive.
func (s *series) less(rate float64) bool {
	return rate <= 0.93*s.load && (s.seconds <= 0 || s.load-rate >= firm*math.Sqrt(s.load/s.seconds))
}

// grows says that what is served still grows with the load up to that of s, as far as the
// steps tell: by a third of what it would if as much failed as of the next lower load. Of the
// lower ones a clean one, of which nearly nothing fails, tells of a target that turns away.
func (s *series) grows(all []series) bool {
	var lower, higher *series
	for i := range all {
		switch o := &all[i]; {
		case o.load <= 0.9*s.load && (lower == nil || o.load > lower.load):
			lower = o
		case o.load >= s.load/0.9 && (higher == nil || o.load < higher.load):
			higher = o
		}
	}
	if lower == nil {
		return true
	}
	if higher == nil && lower.point.ErrorRatio < turningAway/2 {
		return false // nothing tells that it would serve more
	}
	return s.point.Throughput-lower.point.Throughput > (s.load-lower.load)/3*lower.point.Throughput/lower.load
}

// offered is the plateau as the load that is to be offered for so much to be answered OK.
func (p *plateau) offered(all []series) *plateau {
	if p == nil {
		return nil
	}
	asked := *p
	asked.rate = below(all, p).asked(p.rate)
	asked.spread *= asked.rate / p.rate
	return &asked
}

// combine weighs the readings by their precision. Readings that contradict each
// other mean that throughput falls under overload; then the highest counts.
func combine(found []measure) *plateau {
	found = slices.DeleteFunc(found, func(m measure) bool { return !(m.rate >= lowestLoad) || !(m.spread > 0) })
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
		falls := slices.ContainsFunc(found, func(m measure) bool { return m.load > best.load && m.rate < best.rate/1.1 })
		return &plateau{rate: best.rate, spread: best.spread, falls: falls}
	}
	return p
}
