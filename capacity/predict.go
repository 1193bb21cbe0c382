package capacity

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/headroom-project/headroom/capacity/erlang"
	"github.com/headroom-project/headroom/scenarios"
)

// prediction is what the laws say of loads that were not offered.
type prediction struct {
	value, low, high float64
	objective        scenarios.Objective
	laws             []*fitted // the heaviest first
	// hidden is the probability that a queue which nothing measured gives out
	// before every measured resource, at queue.saturation, and queueLow and
	// queueHigh its interval.
	hidden              float64
	queue               *latency
	queueLow, queueHigh float64
	// reach is the value over the highest load that was offered.
	reach float64
	// imagined says that histograms were made of the quantiles of a table.
	imagined bool
	// manyCores says that it rests on so many cores that what they cost each other counts.
	manyCores bool
	// varies is the squared coefficient of variation of the work of requests on the cores that
	// it rests on, 0 where it rests on something else.
	varies float64
	// changes says that what the resource that it rests on is asked for by a request rises
	// with the load or drifts.
	changes bool
	// kind is what the prediction rests on, which its calibration goes by.
	kind string
	// halfLow and halfHigh are the halves of the interval, in logs, before it is
	// calibrated.
	halfLow, halfHigh float64
	// unforetold says of which objectives it is not.
	unforetold []Unforetold
}

const (
	// furthest is the greatest ratio of a predicted capacity to the highest load
	// offered: beyond it the steps say too little of what happens there.
	furthest = 3.25
	// leastExercise is the use of its limit that the nearest resource must have shown: a
	// search that is bounded at 40% shows about that.
	leastExercise = 0.33
	// rejected is the log of the odds by which a queue that nothing measures must
	// explain the responses better than the nearest measured limit does. It must also
	// explain them so much better than no queue before it is extrapolated: then what
	// the waiting adds is known to a sixth, and its saturation to a few percent.
	rejected = 20.0
	// blamed is by how much more the odds must be for each time that the highest load is
	// missing to half of the nearest limit that is measured.
	blamed = 200.0
	// lonely is the growth that must show without the step in which it shows most.
	lonely = rejected / 2
	// twoNear is by how much, as a ratio, another ceiling must lie above that of the resource
	// which is fitted for it to be clear which of the two gives out.
	twoNear = 1.2
	// refits is how many replicates of a prediction are drawn.
	refits = 100
)

// What a prediction rests on.
const (
	restsOnOrder   = "in order"       // a measured resource that serves in order
	restsOnSharing = "sharing"        // a measured resource that is shared
	restsOnTwo     = "two near"       // one of two measured resources, either of which may come first
	restsOnSlots   = "slots"          // a pool, whose slots are read
	restsOnLock    = "lock"           // a lock in a mutex profile
	restsOnLocks   = "lock, not once" // one that a request does not take just once
	restsOnMemory  = "memory"         // memory that fills
	restsOnCurve   = "curve"          // one whose demand rises with the load
	restsOnDrift   = "drift"          // one whose demand changes with the time
	restsOnQueue   = "queue"          // response growth alone
	// A table has a few quantiles in the place of histograms: its predictions are
	// calibrated as such, apart where the limit is read from growth alone.
	restsOnTable  = "table"
	restsOnGrowth = "table, growth alone"
)

// predictor predicts the capacity from steps that all held.
type predictor struct {
	all        []series
	limited    []fit
	objectives []scenarios.Objective
	// ca2 is the squared coefficient of variation of the arrivals of the steps, ahead of those
	// that responses are predicted for; 0 is Poisson.
	ca2, ahead float64
	rows       []replicate
	top        float64
	// main is the resource that requests wait for most, once models were fitted.
	main int
}

func newPredictor(all []series, limited []fit, objectives []scenarios.Objective, ahead float64) *predictor {
	p := &predictor{limited: limited, objectives: objectives, ca2: arrivals(all), ahead: ahead}
	p.all = unsteady(equivalent(all, p.nearestFit(), p.ca2))
	p.rows = make([]replicate, len(p.all))
	for i := range p.all {
		p.all[i].observed(&p.rows[i])
		p.top = max(p.top, p.all[i].load)
	}
	return p
}

// refusal is why the steps tell no capacity.
type refusal struct {
	why string
	// hidden is the probability of a queue that nothing measured, as in prediction.
	hidden float64
}

// predict says where the objectives break, if the steps tell; else why not.
func predict(all []series, limited []fit, objectives []scenarios.Objective, ahead float64, replicates int, confidence float64, work effort, source *rand.Rand) (*prediction, *refusal) {
	p := newPredictor(all, limited, objectives, ahead)
	list, b := stages(p.all, p.rows, p.ca2)
	if why := tooLittle(list); why != "" {
		return nil, &refusal{why: why}
	}
	if len(list) < 3 && !resampled(p.all) {
		return nil, &refusal{why: fmt.Sprintf("a few quantiles at two loads fit any law; run a step above %.4g/s, such as %.4g/s", p.top, 1.5*p.top)}
	}
	known, unmeasured, hidden := p.models(list, b, work)
	if work.rounds >= thorough.rounds && len(known) > 0 && hidden < 0.5 {
		known = p.disturbed(list, b, known, source)
	}
	if len(known) == 0 {
		return nil, &refusal{why: fmt.Sprintf("responses do not grow and no measured resource nears its limit up to %.4g/s; run a step above that", p.top)}
	}
	main := known
	if hidden > 0.5 {
		main = unmeasured
		if p.growth(list, main[0]) < rejected {
			return nil, &refusal{fmt.Sprintf("responses grow as behind a queue that nothing measures, but up to %.4g/s too little to say where it saturates; run a step above %.4g/s", p.top, 1.2*p.top), hidden}
		}
		if at, rest := p.mostly(list, main[0]); rest < lonely {
			return nil, &refusal{fmt.Sprintf("responses grow as behind a queue that nothing measures, but hardly but for what was offered at %.4g/s, which chance may have made; repeat that step, and run one above %.4g/s", at, 1.2*p.top), min(hidden, 0.5)}
		}
	}
	out := &prediction{hidden: hidden, laws: main, kind: p.kind(hidden, main), queue: &unmeasured[0].latency}
	sum := 0.0
	for _, f := range main {
		x, o := p.crossing(f, -1)
		sum += f.weight * math.Log(max(x, 1e-9))
		if out.objective.Metric == "" {
			out.objective = o
		}
	}
	out.value = min(math.Exp(sum), p.ceiling(-1)) // more than what is used tells is not served
	out.reach, out.imagined = out.value/p.top, !resampled(p.all)
	if !(out.value > 0) || out.reach > furthest || out.kind != restsOnQueue && p.exercise() < leastExercise {
		return nil, &refusal{p.unreached(out), hidden}
	}
	out.manyCores = hidden <= 0.5 && p.limited[p.main].name == cpu && p.limited[p.main].limit >= manyCores && out.kind != restsOnMemory
	if out.kind != restsOnQueue {
		f := p.resource()
		out.changes = f.drift != 0 || f.curved()
		if f.unit == "cores" {
			out.varies = meanSCV(main)
		}
	}
	out.unforetold = p.unforetold(main[0])
	p.interval(out, b, known, unmeasured, min(replicates, refits), confidence, source)
	if out.kind != restsOnQueue {
		if f := p.resource(); f.rises != nil {
			// What makes requests dearer may go on, or not: the interval has both.
			if ratio := f.failed.asked(f.rises.reaches(f.limit)) / f.ceiling(-1); ratio > 0 && ratio < 1 {
				out.low = min(out.low, out.value*ratio)
			}
		}
	}
	return out, nil
}

// unreached says why what was fitted is not extrapolated.
func (p *predictor) unreached(out *prediction) string {
	next := 1.2 * p.top
	if x := min(out.value, p.ceiling(-1)) / 2.5; x > next { // not for NaN
		next = x
	}
	how := ""
	if next > doubling*p.top {
		how = fmt.Sprintf(", but go up to it by no more than %g times at once", doubling)
	}
	if out.kind == restsOnQueue || math.IsInf(p.ceiling(-1), 1) {
		return fmt.Sprintf("responses hardly grow up to %.4g/s and no measured resource nears its limit; run a step above %.4g/s%s", p.top, next, how)
	}
	return fmt.Sprintf("the nearest limit that is measured, at %.4g/s, is too far above the highest load offered, %.4g/s, and others may lie between; run a step above %.4g/s%s", p.ceiling(-1), p.top, next, how)
}

// doubling is by how much a load may be raised at once above one that held, as a search does.
const doubling = 2.0

// tooLittle says why the stages cannot be extrapolated.
func tooLittle(list []stage) string {
	switch n := len(list); {
	case n == 0:
		return "no step has responses to fit"
	case n < 2 || list[n-1].load < 1.5*list[0].load:
		return fmt.Sprintf("the steps offered practically one load; run one below %.4g/s and one above", list[n-1].load/2)
	}
	return ""
}

// resource is the one that a prediction rests on: memory where that fills first, else the
// one that requests wait for most.
func (p *predictor) resource() *fit {
	if f := &p.limited[p.nearest(-1)]; f.unit == "bytes" {
		return f
	}
	return &p.limited[p.main]
}

// kind is what the prediction rests on, with the heaviest law first.
func (p *predictor) kind(hidden float64, laws []*fitted) string {
	if hidden > 0.5 || len(p.limited) == 0 {
		return restsOnQueue
	}
	f, shared := p.resource(), laws[0].shared
	switch {
	case f.drift != 0:
		return restsOnDrift
	case f.curved():
		return restsOnCurve
	case f.lock != "" && f.times != 1:
		return restsOnLocks
	case f.lock != "":
		return restsOnLock
	case f.unit == "bytes":
		return restsOnMemory
	case p.second(f) < twoNear*f.ceiling(-1):
		return restsOnTwo
	case f.unit == "slots":
		return restsOnSlots
	case shared:
		return restsOnSharing
	}
	return restsOnOrder
}

// meanSCV is the squared coefficient of variation of the work of requests, as the laws
// have it by their weights (a mean of logs), or 0.
func meanSCV(laws []*fitted) float64 {
	var sum, weight float64
	for _, f := range laws {
		sum, weight = sum+f.weight*math.Log(max(f.scv, 1e-3)), weight+f.weight
	}
	if !(weight > 0) {
		return 0
	}
	return math.Exp(sum / weight)
}

// second is the lowest ceiling of a resource besides f, +Inf without another.
func (p *predictor) second(f *fit) float64 {
	low := math.Inf(1)
	for i := range p.limited {
		if other := &p.limited[i]; other != f {
			low = min(low, other.ceiling(-1))
		}
	}
	return low
}

// exercise is how much of its limit the nearest resource used at the highest load.
func (p *predictor) exercise() float64 {
	f := &p.limited[p.nearest(-1)]
	return f.at(p.top*(1-f.failed.at(p.top).Value)) / f.limit
}

// nearest is the index of the resource with the lowest ceiling in replicate r, -1
// for the fit itself.
func (p *predictor) nearest(r int) int {
	at, low := -1, math.Inf(1)
	for i := range p.limited {
		if c := p.limited[i].ceiling(r); c < low {
			at, low = i, c
		}
	}
	return at
}

// nearestFit is the resource with the lowest ceiling, nil without any.
func (p *predictor) nearestFit() *fit {
	if i := p.nearest(-1); i >= 0 {
		return &p.limited[i]
	}
	return nil
}

// awaited is the resource that requests wait for before resource i gives out: i
// itself, but for memory, which refuses and makes nobody wait; then the next one
// that is no memory, if there is one.
func (p *predictor) awaited(i, r int) int {
	if p.limited[i].unit != "bytes" {
		return i
	}
	low := math.Inf(1)
	for k := range p.limited {
		if c := p.limited[k].ceiling(r); c < low && p.limited[k].unit != "bytes" {
			i, low = k, c
		}
	}
	return i
}

func (p *predictor) ceiling(r int) float64 {
	if i := p.nearest(r); i >= 0 {
		return p.limited[i].ceiling(r)
	}
	return math.Inf(1)
}

// fittedOf is the resource whose saturation the responses are asked for besides its
// use, where i is the nearest: the one that requests wait for, or another that may
// as well come first and is known less well. What the responses say of that one
// counts most, and the one that is known better needs them least.
func (p *predictor) fittedOf(i int) int {
	first := p.awaited(i, -1)
	at := first
	for k := range p.limited {
		f, other := &p.limited[k], &p.limited[first]
		if f.unit == "bytes" || f.doubt() <= p.limited[at].doubt() {
			continue
		}
		if math.Log(f.ceiling(-1)/other.ceiling(-1)) < tied*math.Hypot(f.doubt(), other.doubt()) {
			at = k
		}
	}
	return at
}

// tied is within how many standard errors two ceilings may be the same.
const tied = 2.0

// limit is the load that no request gets beyond, besides the saturation of the law:
// the lowest ceiling in replicate r, but for the resource that the law is of, whose
// use is in its saturation already.
func (p *predictor) limit(f *fitted, r int) float64 {
	if !f.measured {
		return p.ceiling(r)
	}
	low := math.Inf(1)
	for k := range p.limited {
		if k != p.main {
			low = min(low, p.limited[k].ceiling(r))
		}
	}
	return low
}

// ceiling is the offered load at which the resource reaches its limit, in replicate r or by
// the fit.
func (f *fit) ceiling(r int) float64 {
	if r < 0 || r >= len(f.draws) {
		return f.failed.asked(f.reaches(f.limit))
	}
	return f.failed.asked(f.draws[r].reaches(f.limit))
}

// talkIn is the crosstalk in replicate r or, for -1, by the fit.
func (f *fit) talkIn(r int) crosstalk {
	if r < 0 || r >= len(f.draws) {
		return f.talk
	}
	return f.draws[r].talk
}

// doubt is the standard error of the log of the ceiling.
func (f *fit) doubt() float64 {
	c := f.ceiling(-1)
	if f.doubted > 0 {
		return f.doubted
	}
	logs := make([]float64, 0, len(f.draws))
	for r := range f.draws {
		if d := f.ceiling(r); d > 0 && !math.IsInf(d, 0) {
			logs = append(logs, math.Abs(math.Log(d/c)))
		}
	}
	if len(logs) == 0 {
		return 0.1
	}
	slices.Sort(logs)
	return max(percentile(logs, 0.68), 0.004)
}

// models fits what may make requests wait: the measured resource with the lowest
// ceiling, served in order or by sharing, and a queue that nothing measures. known
// is empty if neither shows. hidden is the probability of the unmeasured queue.
func (p *predictor) models(list []stage, b bins, work effort) (known, unmeasured []*fitted, hidden float64) {
	unmeasured = p.unmeasured(list, b, work)
	second := unmeasured[0]
	i := p.nearest(-1)
	if i < 0 {
		if !p.waits(list, second) {
			return nil, nil, 0
		}
		return unmeasured, unmeasured, 1
	}
	p.main = p.fittedOf(i)
	known = p.measured(list, b, p.main, -1, work, nil)
	best := known[0].fit
	if len(known) > 1 {
		best = max(best, known[1].fit)
	}
	gain := (second.fit - best) / misfitted(list, max(second.fit, best))
	if second.saturation > 0.97*p.ceiling(-1) {
		return known, unmeasured, 0
	}
	// The further the nearest limit, the likelier is another before it. Where it is near,
	// work that varies more than any law has it looks like a queue of something else.
	room := p.ceiling(-1) / p.top
	needed := rejected - 16*min(max(room-1.8, 0), 1) + blamed*max(2-room, 0)
	return known, unmeasured, 1 / (1 + math.Exp(-(gain - needed)))
}

// measured fits the latency law with what is known of a resource.
//
// Cores may be shared or serve in order, which no figure tells beforehand: both
// laws are fitted, and count for as much as they predict.
func (p *predictor) measured(list []stage, b bins, i, r int, work effort, start *fitted) []*fitted {
	f := &p.limited[i]
	if start != nil && start.resource != nil {
		f = start.resource
	}
	know := believe(max(f.ceiling(r), 1.02*p.top), f.doubt(), f.servers(), 0.15)
	how := station{ahead: p.ahead, taken: f.times, besides: p.besides(list, b, i, r)}
	if start != nil {
		know.mean[2], know.sd[2] = start.know.mean[2], start.know.sd[2]
		how.shared, how.rest, how.each, how.talk = start.shared, start.rest, start.each, f.talkIn(r)
		how.parts = start.parts
		again := fitLatency(list, b, know, how, start, work)
		again.measured, again.resource = true, start.resource
		return []*fitted{&again}
	}
	cores := how
	cores.shared, cores.talk = true, f.talkIn(r)
	service := f.work(list, cores.talk)
	if f.lock == "" && f.unit != "bytes" {
		if scv, known := cores.worked(quietest(list), b, service); known {
			know.mean[2], know.sd[2] = math.Log(scv), variesBy
		}
	}
	if f.scv > 0 {
		know.mean[2], know.sd[2] = math.Log(f.scv), 0.2
	}
	if f.name != cpu && cores.talk.none() {
		ordered := fitLatency(list, b, know, how, nil, work)
		ordered.measured = true
		return []*fitted{&ordered}
	}
	shared := fitShared(list, b, know, cores, service, work)
	shared.measured = true
	if !cores.talk.none() {
		return []*fitted{&shared}
	}
	ordered := fitLatency(list, b, know, how, nil, work)
	ordered.measured = true
	return stacked(list, b, work, &ordered, &shared)
}

// variability is the squared coefficient of variation of the work of requests, if
// it is what makes responses at a low load vary: known is false where other parts
// of the response are as long.
func variability(g stage, b bins, rest float64) (scv float64, known bool) {
	var whole, mean, squares float64
	for k, n := range g.counts {
		w := max(b.middle[k]-rest, 0)
		whole += n * b.middle[k]
		mean += n * w
		squares += n * w * w
	}
	if !(mean > 0.25*whole) {
		return 0, false
	}
	scv = squares*g.total/(mean*mean) - 1
	return min(max(scv, 0.03), 12), true
}

// servers is how many requests the resource serves at one time, as far as its unit
// tells.
func (f *fit) servers() float64 {
	if f.unit == "bytes" {
		return 64
	}
	return min(max(f.limit, 1), 256)
}

// work is the time of one request on one server alone, in s.
func (f *fit) work(list []stage, talk crosstalk) float64 {
	if !talk.none() {
		return f.demand
	}
	return f.demandAt(list[0].load)
}

// demandAt is what one more request uses at a load.
func (f *fit) demandAt(load float64) float64 {
	const step = 1e-3
	return (f.at(load*(1+step)) - f.at(load)) / (load * step)
}

// crossing is where the first objective breaks, by a fitted law and no higher than
// the ceiling.
func (p *predictor) crossing(f *fitted, r int) (float64, scenarios.Objective) {
	at, which := math.Inf(1), scenarios.Objective{}
	ceiling := p.limit(f, r)
	for _, o := range p.objectives {
		if x := p.breaks(f, o, ceiling, r); x < at {
			at, which = x, o
		}
	}
	if top := min(f.saturation, ceiling); top < at {
		at = top
		if which.Metric == "" && len(p.objectives) > 0 {
			which = p.objectives[0]
		}
	}
	return at, which
}

// breaks is the load at which an objective is no longer met, +Inf if no law says.
func (p *predictor) breaks(f *fitted, o scenarios.Objective, ceiling float64, r int) float64 {
	if o.Metric == "errors" {
		return p.refuses(f, o.Value, r) // of whatever request
	}
	if o.Request != "" {
		if x, ok := p.foretold(f, o, ceiling, r); ok {
			return x
		}
		return math.Inf(1)
	}
	if x, ok := p.breaksBy(f, o, min(f.saturation*(1-1e-6), ceiling)); ok {
		return x
	}
	return math.Inf(1)
}

// rises is the load below top from which on broken holds; top if it nowhere does.
func rises(top float64, broken func(float64) bool) float64 {
	low, high := 0.0, top
	if !broken(top) {
		return top
	}
	for range 40 {
		if middle := (low + high) / 2; broken(middle) {
			high = middle
		} else {
			low = middle
		}
	}
	return (low + high) / 2
}

// refuses is where memory refuses more than a ratio of the requests. Each request
// in flight keeps its part of it, so that the number in flight, which wanders as
// that of a Poisson process, is what it has places for: with U = base + k*X and
// X*R in flight, one request keeps k/R, and there are (limit-base)R/k places
// (Little's law; Erlang's loss formula).
func (p *predictor) refuses(f *fitted, ratio float64, r int) float64 {
	at := math.Inf(1)
	for i := range p.limited {
		m := &p.limited[i]
		if m.unit != "bytes" || !(m.demand > 0) {
			continue
		}
		l := m.line
		if r >= 0 && r < len(m.draws) {
			l = m.draws[r]
		}
		stay := f.mean(0.3 * p.top)
		places := (m.limit - l.base) * stay / l.demand
		if !(places >= 1) || places > 1e6 || p.accepted(places, stay) {
			continue
		}
		at = min(at, rises(m.ceiling(r), func(x float64) bool { return erlang.Refused(places, x*stay) > max(ratio, 1e-6) }))
	}
	return at
}

// accepted says that steps had many fewer failures than so many places for requests that
// stay so long would have made: then what is kept is not theirs while they are in flight,
// but of what was answered, and nothing is refused below the limit.
func (p *predictor) accepted(places, stay float64) bool {
	const many = 20 // failures that are expected; of a Poisson number below a quarter of it there is no chance
	return slices.ContainsFunc(p.all, func(s series) bool {
		expected := float64(s.point.OK+s.point.Failed) * erlang.Refused(places, s.load*stay)
		return expected > many && float64(s.point.Failed) < expected/4
	})
}

// interval redraws the steps, refits all, and takes the percentiles.
func (p *predictor) interval(out *prediction, b bins, known, unmeasured []*fitted, n int, confidence float64, source *rand.Rand) {
	var values, queues []float64
	for r := range n {
		for i := range p.all {
			p.all[i].draw(&p.rows[i], source)
		}
		drawn, _ := stages(p.all, p.rows, p.ca2)
		if out.hidden > 0 && source.Float64() < out.hidden {
			from := one(unmeasured, source)
			f := fitLatency(drawn, b, from.know, station{ahead: p.ahead, besides: p.besides(drawn, b, -1, r), bucket: from.bucket}, from, again)
			queues = append(queues, f.saturation)
			x, _ := p.crossing(&f, r)
			values = append(values, x)
			continue
		}
		from := one(known, source)
		x, _ := p.crossing(p.measured(drawn, b, p.main, r, again, from)[0], r)
		values = append(values, x)
	}
	out.low, out.high = interval(values, confidence)
	out.low, out.high = min(out.low, out.value), max(out.high, out.value)
	if len(queues) > 0 {
		out.queueLow, out.queueHigh = interval(queues, confidence)
	}
}

// one is a law drawn by its weight.
func one(laws []*fitted, source *rand.Rand) *fitted {
	if len(laws) == 1 {
		return laws[0]
	}
	u := source.Float64()
	for _, f := range laws[1:] {
		if u < f.weight {
			return f
		}
		u -= f.weight
	}
	return laws[0]
}

// arrivals is the squared coefficient of variation of the times between arrivals,
// from how the counts of seconds vary: 1 for Poisson, 0 for an even pace.
func arrivals(all []series) float64 {
	var sum, n float64
	for i := range all {
		s := &all[i]
		if len(s.windows) < 2 || !s.point.Valid || s.point.Cut != "" {
			continue
		}
		for _, w := range s.windows {
			expected := s.load * w.width
			sum += (w.planned - expected) * (w.planned - expected) / max(expected, 1e-9)
		}
		n += float64(len(s.windows) - 1)
	}
	if n < 5 {
		return 1
	}
	if d := sum / n; d < 0.5 || d > 2 {
		return min(d, 4)
	}
	return 1
}
