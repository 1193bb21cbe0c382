package capacity

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/loadgen/search"
	"github.com/headroom-project/headroom/scenarios"
)

// found is a crossing with its interval.
type found struct {
	value, low, high float64
	bound            string
	objective        scenarios.Objective
	plateau          *plateau
	// broken says that some step broke an objective.
	broken bool
	// turns says that the target turned requests away past its saturation, and that no
	// objective counts them: it met the rest by that, and no more load than it serves.
	turns bool
	// refuted is the lowest load whose confirmation broke, 0 if none did.
	refuted float64
	// over says that a step was offered clearly more than the target serves.
	over bool
	// contrary are the loads of steps that lie clearly below the capacity and yet broke an
	// objective, lowest first.
	contrary []float64
	// draws are the crossings of the replicates, sorted.
	draws []float64
}

// crossings finds where the objectives break. ok is false if no step says
// anything about any objective.
func crossings(all []series, objectives []scenarios.Objective, replicates int, confidence float64, rng *rand.Rand) (found, bool) {
	all = unsteady(all)
	c := found{plateau: saturated(all).offered(all).within(highest(all))}
	rows := make([]replicate, len(all))
	for i := range all {
		c.broken = c.broken || search.Judge(*all[i].point, objectives) != search.Met
		all[i].observed(&rows[i])
	}
	c.turns = c.plateau != nil && failing(all, objectives) != nil && slices.ContainsFunc(all, func(s series) bool { return c.away(&s) })
	c.over = c.plateau.firm() != nil && slices.ContainsFunc(all, func(s series) bool { return c.overrun(&s, all) })
	at, bound, first := c.weakest(all, rows, objectives, func() float64 { return math.NaN() })
	if first < 0 {
		return c, false
	}
	if !c.broken && c.caps() {
		at, bound = c.plateau.cap(), ""
	}
	if !c.broken && !c.caps() && bound != Above {
		// The p99 of a hundred hits at a low load is the longest of them, and bins are 2%
		// wide. Where each step held by its own figures, nothing broke.
		at, bound = c.effective(highest(all)), Above
	}
	c.value, c.low, c.high, c.bound, c.objective = at, at, at, bound, objectives[first]
	if bound == Above {
		c.objective = scenarios.Objective{}
		return c, true
	}
	if !c.broken {
		c.objective = scenarios.Objective{}
	}
	if bound == Below {
		c.low = 0
		return c, true
	}
	lines := make([]float64, 0, replicates)
	for range replicates {
		for i := range all {
			all[i].draw(&rows[i], rng)
		}
		line, _, _ := c.weakest(all, rows, objectives, func() float64 { return math.NaN() })
		// Inside a gap nothing was measured, so any place of it will do.
		draw, _, _ := c.weakest(all, rows, objectives, rng.Float64)
		if c.plateau != nil {
			top := c.plateau.cap()
			line, draw = min(line, top), min(draw, top)
		}
		lines, c.draws = append(lines, line), append(c.draws, draw)
	}
	c.value = mean(lines)
	c.low, c.high = interval(c.draws, confidence)
	c.reach(all, objectives)
	c.lasting(all)
	c.hold(all, objectives)
	if broke := refusedAt(all, objectives); broke > 0 {
		c.high = min(c.high, max(broke, c.value))
	}
	c.low, c.high = min(c.low, c.value), max(c.high, c.value)
	return c, true
}

// refusedAt is the lowest load of which more failed than an objective allows, beyond any
// chance, and above which no step held; 0 without one. Unlike the length of a queue, a share
// that fails does not depend on how the arrivals of a step came out.
func refusedAt(all []series, objectives []scenarios.Objective) float64 {
	at := 0.0
	for i := range all {
		s := &all[i]
		if !slices.ContainsFunc(objectives, func(o scenarios.Objective) bool { return s.fails(o) }) {
			continue
		}
		held := slices.ContainsFunc(all, func(o series) bool { return o.load >= s.load && search.Judge(*o.point, objectives) == search.Met })
		if load := max(s.load, s.point.Offered); !held && (at == 0 || load < at) {
			at = load
		}
	}
	return at
}

// fails says that more of a step failed than an objective on errors allows, beyond chance.
func (s *series) fails(o scenarios.Objective) bool {
	f := s.point.Figures
	if o.Request != "" {
		f = s.point.Requests[o.Request]
	}
	n := float64(f.OK + f.Failed)
	if n == 0 && o.Request == "" {
		n = s.load * s.seconds
	}
	return o.Metric == "errors" && n > 0 && f.ErrorRatio-o.Value > firm*math.Sqrt(f.ErrorRatio*(1-f.ErrorRatio)/n)
}

// weakest returns the lowest crossing over the objectives and the index of the
// objective that sets it, -1 if none says anything.
func (c *found) weakest(all []series, rows []replicate, objectives []scenarios.Objective, between func() float64) (load float64, bound string, objective int) {
	load, bound, objective = math.Inf(1), Above, -1
	breaks := false // the one that was chosen broke, and not only the saturation ends it
	readings := make([]reading, 0, len(all))
	for j, o := range objectives {
		readings = c.readings(readings[:0], all, rows, o, true)
		if len(readings) == 0 {
			readings = c.readings(readings, all, rows, o, false)
		}
		if len(readings) == 0 {
			continue
		}
		x, b := crossing(readings, between())
		// Past saturation steps that broke are moved to it, beside one there that held.
		breaking := slices.ContainsFunc(readings, func(r reading) bool { return r.margin >= 0 })
		if o.Metric == "throughput" && b != Above && c.plateau != nil {
			x, b = c.plateau.cap(), "" // it was asked for more than it serves, which is this much
		}
		if b == Above && c.plateau != nil && (c.broken || c.caps()) {
			x, b = c.plateau.cap(), "" // held as far as saturation, which was seen
		}
		// A crossing, or a load that broke, counts before one that held throughout, and at
		// one load an objective that breaks there before one that held up to saturation.
		sooner := x < load || x == load && breaking && !breaks
		if objective < 0 || bound == Above && b != Above || (b != Above || bound == Above) && sooner {
			load, bound, objective, breaks = x, b, j, breaking
		}
	}
	return load, bound, objective
}

// readings are what the steps say of an objective; those that held it by turning requests
// away are left out, if asked for.
func (c *found) readings(into []reading, all []series, rows []replicate, o scenarios.Objective, unlessAway bool) []reading {
	for i := range all {
		m := all[i].margin(&rows[i], o)
		if math.IsNaN(m) || unlessAway && m < 0 && c.turnedAway(&all[i], o) {
			continue
		}
		into = append(into, reading{load: c.effective(all[i].brokenAt(rows[i].load)), margin: m, weight: max(all[i].seconds, 0.1)})
	}
	return into
}

// brokenAt is the load that a step counts for, of which so much arrived in the seconds that
// are kept. One that was cut broke by all that came: a burst may lie in its discarded begin,
// and the second or two after it know the load by little. So it stands at what it offered.
func (s *series) brokenAt(arrived float64) float64 {
	if s.point.Cut != "" {
		return max(arrived, s.point.Offered)
	}
	return arrived
}

// turningAway is the share of failed hits from which a step past saturation is taken for one
// that turns requests away.
const turningAway = 0.02

// away says that a step past saturation turned requests away.
func (c *found) away(s *series) bool {
	return c.plateau != nil && s.point.ErrorRatio > turningAway && s.load > c.plateau.cap()
}

// overrun says that a step was offered clearly more than the target serves. However
// lenient the objectives are, only for so long as the step did such a load meet them.
func (c *found) overrun(s *series, all []series) bool {
	_, top := c.plateau.bounds()
	return s.load > top && len(s.tablePlateau(all)) > 0
}

// caps says that the saturation throughput was seen to be the limit, if nothing else is.
func (c *found) caps() bool { return c.turns || c.over }

// turnedAway says that a step past saturation held a latency objective by what failed at
// once: what is turned away does not wait, and spares the rest. That says nothing of the
// loads below, where a step may have broken.
func (c *found) turnedAway(s *series, o scenarios.Objective) bool {
	return o.Metric != "errors" && o.Metric != "throughput" && c.away(s)
}

// effective moves a step past saturation back to it: the capacity cannot be above
// what the target serves.
func (c *found) effective(load float64) float64 {
	if c.plateau != nil {
		return min(load, c.plateau.cap())
	}
	return load
}

// firm is by how many standard deviations of its load a step that broke must lie
// below saturation to exclude that a repetition would hold up to there.
const firm = 4

// reach lets the interval go up to the saturation throughput, unless a step
// below it broke so clearly that a repetition would not hold either. In a finite
// step an objective far above the service time is met up to saturation about as
// often as not, so the steps alone cannot exclude it.
func (c *found) reach(all []series, objectives []scenarios.Objective) {
	if c.plateau == nil {
		return
	}
	_, top := c.plateau.bounds()
	for i := range all {
		s := &all[i]
		var r replicate
		s.observed(&r)
		for _, o := range objectives {
			if m := s.margin(&r, o); m >= 0 && search.Judge(*s.point, objectives) == search.Broken {
				top = min(top, max(s.load+firm*s.spread(), c.high))
			}
		}
	}
	c.high = max(c.high, top)
}

// hold keeps the estimate consistent with what was seen to hold: a load that was
// confirmed, or that several steps held clearly (search.Held). The value is never
// below it, nor above a load whose confirmation broke. The interval goes below by no more than what a run without end could
// be worse than the step that held, which is lasting's bound of three deviations.
func (c *found) hold(all []series, objectives []scenarios.Objective) {
	points := make([]observation.Point, 0, len(all))
	for i := range all {
		away := c.over && c.overrun(&all[i], all) ||
			slices.ContainsFunc(objectives, func(o scenarios.Objective) bool { return c.turnedAway(&all[i], o) })
		if !away || search.Judge(*all[i].point, objectives) != search.Met {
			points = append(points, *all[i].point)
		}
	}
	if held := search.Held(points, objectives); held > 0 {
		c.floor(all, points, held)
	}
	if c.refuted = search.Refuted(points, objectives); c.refuted > 0 {
		c.value = min(c.value, c.refuted)
		c.low = min(c.low, c.value)
	}
}

// floor lifts the estimate to a load that held.
func (c *found) floor(all []series, points []observation.Point, held float64) {
	seconds := 1.0
	for _, p := range points {
		if math.Abs(p.Offered-held) < 0.01*held {
			seconds = max(seconds, p.Seconds)
		}
	}
	_, variation := light(all)
	c.value = max(c.value, held)
	c.low = max(c.low, held-3*math.Sqrt((1+variation)*held/seconds))
}

// lasting corrects for the length of the steps. Close to saturation a queue needs
// longer than a step to reach the length that it has in the end, so a step of T
// seconds meets an objective up to a load that lies above the crossing of an
// endless step by about one standard deviation of what arrives, were its number drawn,
// less what is served, sqrt((1+cs2) x/T) with cs2 the squared coefficient of variation of
// the service time, and by three at most: measured in simulated queues (M/D/1, M/D/4,
// M/M/4, two-point service) with limits of 37 to 6000/s, where the crossing of
// an endless step is known. That the number is planned makes it no less: a queue grows by
// as much within a step, and its end tells no more of what is to come. Well below saturation, quantiles settle in a step,
// and there is nothing to correct.
func (c *found) lasting(all []series) {
	if c.plateau == nil || !(c.value > 0) {
		return
	}
	near := min(max((c.value/c.plateau.rate-0.6)/0.2, 0), 1)
	_, variation := light(all)
	excess := early * near * math.Sqrt((1+variation)*c.value/c.seconds(all))
	c.low = max(min(c.low, c.value-latest/early*excess), 0)
	c.value -= excess
}

// early and latest are the standard deviations that lasting allows for, in the mean and at
// most.
const early, latest = 1.1, 3.0

// seconds is the typical length of the steps nearest to the crossing.
func (c *found) seconds(all []series) float64 {
	var lengths []float64
	for width := 0.05; len(lengths) == 0 && width < 4; width *= 2 {
		for _, s := range all {
			if math.Abs(s.load-c.value) < width*c.value {
				lengths = append(lengths, max(s.seconds, 1))
			}
		}
	}
	if len(lengths) == 0 {
		return math.Inf(1)
	}
	slices.Sort(lengths)
	return percentile(lengths, 0.5)
}

// estimator is the search's view of the crossing.
type estimator struct {
	objectives []scenarios.Objective
	seed       uint64
}

// estimatorReplicates keeps a decision of the search well under 50 ms.
const estimatorReplicates = 80

// estimatorRefits are fewer: each fits the latency law again.
const estimatorRefits = 6

// Estimator returns what the search asks for the crossing of the objectives. It
// sees points as Analyse does, with fewer replicates. It is a pure function of
// points, objectives and seed, and safe for concurrent use.
func Estimator(objectives []scenarios.Objective, seed uint64) search.Estimator {
	return &estimator{objectives: objectives, seed: seed}
}

// Estimate returns the crossing with its 90% interval.
func (e *estimator) Estimate(points []observation.Point) search.Estimate {
	all := digest(points)
	c, ok := crossings(all, e.objectives, estimatorReplicates, DefaultConfidence, rng(e.seed))
	if !ok {
		return unasked(all)
	}
	if c.bound == Above {
		if p := e.predict(all); p != nil {
			return search.Estimate{
				Value: max(p.value, c.value), Low: max(p.low, c.value), High: max(p.high, c.value), Bound: Above, Predicted: true,
			}
		}
	}
	return search.Estimate{Value: c.value, Low: c.low, High: c.high, Bound: c.bound}
}

// Ceiling returns the load up to which no lock is held for more than a share of the time.
func (e *estimator) Ceiling(points []observation.Point, ratio float64) (load float64, resource string) {
	return lockCeiling(points, ratio)
}

// limited are the laws of what can give out, as far as is known while the search runs.
func (e *estimator) limited(all []series, source *rand.Rand) []fit {
	return candidates(append(fitResources(all, nil, estimatorRefits, source), fitLocks(all, estimatorRefits, source)...), all, nil)
}

// predict puts the crossing where the laws see it; nil if they do not.
func (e *estimator) predict(all []series) *prediction {
	source := rng(e.seed)
	limited := e.limited(all, source)
	p, _ := predict(all, limited, e.objectives, 0, estimatorRefits, DefaultConfidence, quick, source)
	if p != nil {
		p.calibrate(DefaultConfidence, nil)
	}
	return p
}

// unasked is the estimate when no objective was set or none could be judged: all
// that was offered held.
func unasked(all []series) search.Estimate {
	top := 0.0
	for _, s := range all {
		top = max(top, s.load)
	}
	if top == 0 {
		return search.Estimate{Bound: Below}
	}
	return search.Estimate{Value: top, Low: top, High: top, Bound: Above}
}

func rng(seed uint64) *rand.Rand {
	return rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15))
}
