package capacity

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/loadgen/search"
	"github.com/headroom-project/headroom/scenarios"
)

// fewSteps is how many valid steps a fit should have.
const fewSteps = 6

// Analyse returns all that points support. It never fails: what is missing from
// the Analysis is explained by its Warnings. Points are not changed.
func Analyse(points []observation.Point, spec Spec) Analysis {
	spec = spec.defaults()
	var a Analysis
	all := a.withoutCold(digest(points))
	if len(all) == 0 {
		a.warn("no valid step: there is nothing to fit")
		return a
	}
	switch {
	case len(all) == 1:
		a.warn("only one valid step: no law can be fitted to one load")
	case len(all) < fewSteps:
		a.warn("only %d valid steps: the laws rest on few loads", len(all))
	}
	a.audit(all, spec)
	if nothingOK(all) {
		a.warn("every hit of every step failed: a target that answers nothing has no capacity; hint: see what it answers, then start again")
	}
	source := rng(spec.Seed)
	a.capacity(all, spec, source)
	sat := saturated(all)
	if sat != nil && sat.falls {
		a.warn("throughput falls under overload: the target served less the more it was offered")
	}
	fits := fitResources(all, sat.firm(), spec.Replicates, source)
	limited := candidates(append(slices.Clone(fits), fitLocks(all, spec.Replicates, source)...), all, sat)
	p, no := a.predict(all, fits, limited, spec, source)
	if a.Capacity != nil {
		a.Warnings = append(a.Warnings, a.Capacity.Warnings...)
	}
	a.pitfalls(all, believed(fits, limited), sat)
	a.saturation(all, fits, limited, sat, p, no, spec, source)
	a.headroom(spec)
	a.cost(all, believed(fits, limited), spec)
	a.Contention = contention(all, sat, spec)
	return a
}

const (
	// colder is how many times as long as at any higher load a row must have taken, in all
	// that is known of it, to have been cold.
	colder = 1.5
	// enoughWarm is how many rows there must be at its load and above it, and mostCold which
	// share of a table may be cold.
	enoughWarm = 3
	mostCold   = 0.25
)

// withoutCold leaves out rows of a table that were slower than every one at their load and
// above, of which none came before: a start with cold caches, connections or code. A drill warms up before it measures.
func (a *Analysis) withoutCold(all []series) []series {
	cold := make([]bool, len(all))
	count := 0
	for i := range all {
		cold[i] = all[i].cold(all)
		if cold[i] {
			count++
		}
	}
	if count == 0 || float64(count) > mostCold*float64(len(all)) {
		return all
	}
	var warm []series
	var loads []string
	for i := range all {
		if !cold[i] {
			warm = append(warm, all[i])
			continue
		}
		loads = append(loads, fmt.Sprintf("%.4g", all[i].point.Offered))
	}
	a.warn("a row at %s/s was slower than every row at its load and above, as on a cold start, and is left out; hint: warm up before the first row", strings.Join(loads, ", "))
	return warm
}

func (s *series) cold(all []series) bool {
	if len(s.windows) > 0 {
		return false
	}
	warm, before := 0, true
	for i := range all {
		o := &all[i]
		if o == s {
			before = false
			continue
		}
		if o.load < s.load {
			continue
		}
		if before {
			return false // a target that serves less the more users it has looks like that
		}
		known := false
		mine, others := s.point.Response, o.point.Response
		for _, q := range [][2]float64{{mine.P99, others.P99}, {mine.P95, others.P95}, {mine.P90, others.P90}, {mine.P50, others.P50}, {mine.Mean, others.Mean}} {
			if q[0] > 0 && q[1] > 0 {
				if known = true; q[0] < colder*q[1] {
					return false
				}
			}
		}
		if known {
			warm++
		}
	}
	return warm >= enoughWarm
}

func (s Spec) defaults() Spec {
	if !(s.Confidence > 0 && s.Confidence < 1) {
		s.Confidence = DefaultConfidence
	}
	if s.Replicates <= 0 {
		s.Replicates = DefaultReplicates
	}
	s.Replicates = min(s.Replicates, 10000)
	s.Objectives = slices.DeleteFunc(slices.Clone(s.Objectives), func(o scenarios.Objective) bool {
		return !(o.Value >= 0) || math.IsInf(o.Value, 0)
	})
	if !(s.ArrivalsSCV > 0) || math.IsInf(s.ArrivalsSCV, 0) {
		s.ArrivalsSCV = 0
	}
	if !(s.DemandRPS > 0) || math.IsInf(s.DemandRPS, 0) {
		s.DemandRPS = 0
	}
	return s
}

func (a *Analysis) warn(format string, args ...any) {
	a.Warnings = append(a.Warnings, fmt.Sprintf(format, args...))
}

// capacity fills in Capacity.
func (a *Analysis) capacity(all []series, spec Spec, source *rand.Rand) {
	if len(spec.Objectives) == 0 {
		a.warn("no objective: capacity is the highest load that meets one; hint: set one, such as p99 < 50ms")
		return
	}
	f, ok := crossings(all, spec.Objectives, spec.Replicates, spec.Confidence, source)
	if !ok {
		a.warn("no step says anything about the objectives")
		return
	}
	if nothingOK(all) && f.bound != Below {
		return // an objective on responses says nothing of errors that come fast
	}
	f.nominal(all, spec.Objectives)
	f.contrary = f.against(all, spec.Objectives)
	if len(f.contrary) > 0 && f.bound == Above {
		f.low = min(f.low, f.contrary[0])
	}
	c := &Capacity{
		Value:     Value{Value: f.value, Low: f.low, High: f.high, Confidence: spec.Confidence, Method: f.method(all)},
		Objective: f.objective,
		Bound:     f.bound,
	}
	switch {
	case f.bound == Above:
		c.Contrary = f.contrary
	case f.bound == "":
		c.Contrary = zigzag(all, spec.Objectives)
	}
	if f.bound == "" && f.refuted > 0 && f.value > nearRefuted*f.refuted {
		c.RefutedAtRPS = f.refuted
	}
	for _, s := range all {
		if s.point.Kind == scenarios.KindConfirm && s.point.Short == "" && search.Judge(*s.point, spec.Objectives) == search.Met {
			c.Confirmed, c.ConfirmedAtRPS = true, max(c.ConfirmedAtRPS, s.point.Offered)
		}
	}
	c.Arrivals = a.arrivals(all, spec)
	c.Warnings = f.doubts(all, spec)
	if made, real := c.Arrivals.Steps, c.Arrivals.Production; f.bound != Above && made > 0 && real > unlikeArrivals*made {
		c.Warnings = append(c.Warnings, fmt.Sprintf("measured at arrivals that varied less (ca2 %.2g) than production's (%.2g): objectives on responses break earlier there; hint: replay production's arrivals, or predict from below (--max-utilisation)", made, real))
	}
	if c.Arrivals.Steps == 0 && spec.ArrivalsSCV > unlikeArrivals && f.bound == "" {
		c.Warnings = append(c.Warnings, fmt.Sprintf("how the arrivals of a table varied is not known: if they did so less than production's (ca2 %.2g), objectives on responses break earlier there", spec.ArrivalsSCV))
	}
	a.Capacity = c
}

// nearRefuted is the share of a load whose confirmation broke from which a value is read as
// that load.
const nearRefuted = 0.995

// unlikeArrivals is by how much production's arrivals must vary more than those of the steps
// for a measured capacity to be doubted.
const unlikeArrivals = 1.3

func (a *Analysis) arrivals(all []series, spec Spec) (v Arrivals) {
	if v.Production = spec.ArrivalsSCV; v.Production == 0 {
		v.Production = 1
	}
	if resampled(all) {
		v.Steps = arrivals(all)
	}
	return v
}

// nominal puts a bound at a load that was offered, where what held or broke is
// the load as it was planned, not as chance made it arrive.
func (f *found) nominal(all []series, objectives []scenarios.Objective) {
	lowest, held := math.Inf(1), 0.0
	for _, s := range all {
		lowest = min(lowest, s.point.Offered)
		if search.Judge(*s.point, objectives) == search.Met {
			held = max(held, s.point.Offered)
		}
	}
	switch {
	case f.bound == Below:
		f.value, f.low, f.high = lowest, 0, lowest
	case f.bound == Above && held > 0:
		f.value, f.low, f.high = held, held, held
	}
}

func (f *found) method(all []series) string {
	switch {
	case f.bound == Above:
		return "the highest load that was offered and held"
	case f.bound == Below:
		return "the lowest load that was offered and broke"
	case !resampled(all) && !(f.caps() && !f.broken):
		return "monotone crossing of the objective, interval from sampling errors (no windows)"
	case f.turns && !f.broken:
		return "the saturation throughput: beyond it requests were turned away, which no objective counts"
	case f.over && !f.broken:
		return "the saturation throughput: more was offered and not served, though no objective broke for as long as it was"
	case f.plateau != nil:
		return "monotone crossing of the objective, bounded by the saturation throughput; block bootstrap over seconds"
	}
	return "monotone crossing of the objective; block bootstrap over seconds"
}

func resampled(all []series) bool {
	return slices.ContainsFunc(all, func(s series) bool { return len(s.windows) > 0 })
}

// doubts returns what weakens the capacity.
func (f *found) doubts(all []series, spec Spec) []string {
	var doubts []string
	add := func(format string, args ...any) { doubts = append(doubts, fmt.Sprintf(format, args...)) }
	switch {
	case f.bound == Above && len(f.contrary) > 0:
		add("the objectives held up to %.4g/s in the mean of steps at alike loads, but not in each (at %s/s they broke): the capacity may be as low as that; hint: offer these loads again", f.value, strings.Join(rates(f.contrary), ", "))
	case f.bound == Above && spec.MaxRPS > 0 && f.value >= 0.95*spec.MaxRPS:
		add("the objectives held up to the greatest load allowed (%.4g/s): the capacity is higher", spec.MaxRPS)
	case f.bound == Above:
		add("the objectives held at every load offered: the capacity is at least %.4g/s", f.value)
	case f.bound == Below:
		add("the objectives broke at every load offered: the capacity is below %.4g/s", f.value)
	case f.high-f.low > 0.25*f.value:
		add("the interval is wide (%.4g to %.4g/s); hint: a longer budget gives more steps near the crossing", f.low, f.high)
	}
	if f.bound == "" && f.refuted > 0 && f.value > nearRefuted*f.refuted {
		add("the confirmation at %.4g/s broke an objective, though a step near it held: plan with %s", f.refuted, f.lower())
	}
	if !resampled(all) {
		add("the points have no windows: intervals rest on quantiles alone")
	}
	if worst := failing(all, spec.Objectives); worst != nil {
		add("%s of the hits at %.4g/s failed, and no objective says how many may; hint: set one, such as errors < 0.1%%", percent(worst.ErrorRatio), worst.Offered)
	}
	if len(f.contrary) > 0 && f.bound == "" {
		add("steps below the capacity broke an objective (at %s/s), and higher ones held: they are averaged, as more load cannot help; hint: offer these loads again, after a longer warm-up", strings.Join(rates(f.contrary), ", "))
	}
	for _, o := range spec.Objectives {
		if o.Request != "" && f.bound != Above {
			add("the objective on %q is judged by the quantiles of whole steps", o.Request)
			break
		}
	}
	return doubts
}

// failing is the step in which the most hits failed, where that matters and no objective
// counts it; else nil.
func failing(all []series, objectives []scenarios.Objective) *observation.Point {
	if slices.ContainsFunc(objectives, func(o scenarios.Objective) bool { return o.Metric == "errors" || o.Metric == "throughput" }) {
		return nil
	}
	worst := slices.MaxFunc(all, func(x, y series) int { return compare(x.point.ErrorRatio, y.point.ErrorRatio) }).point
	if !(worst.ErrorRatio > turningAway) {
		return nil
	}
	return worst
}

// percent is a ratio in words, to two digits.
func percent(ratio float64) string {
	if ratio >= 0.1 {
		return fmt.Sprintf("%.0f%%", 100*ratio)
	}
	return fmt.Sprintf("%.2g%%", 100*ratio)
}

// against are the loads of steps that lie clearly below the capacity and yet broke an
// objective, lowest first: beyond chance, if more than quantiles is known of them.
func (f *found) against(all []series, objectives []scenarios.Objective) (broke []float64) {
	for _, s := range all {
		if at := max(s.load, s.point.Offered); at >= f.low && (f.bound != Above || len(s.windows) > 0) {
			continue
		}
		if o := search.Judge(*s.point, objectives); o == search.Broken || o == search.Doubtful && len(s.windows) == 0 {
			broke = append(broke, s.point.Offered)
		}
	}
	slices.Sort(broke)
	return broke
}

// zigzag are the loads of rows of a table that clearly broke an objective which another held at a
// clearly higher load, lowest first, where that is so twice: it is no matter of one bad moment.
// What is met by turning requests away holds nothing.
func zigzag(all []series, objectives []scenarios.Objective) (broke []float64) {
	held, most := 0.0, 0.0
	for _, s := range all {
		if len(s.windows) > 0 {
			return nil
		}
		most = max(most, s.point.Throughput)
	}
	for _, s := range all {
		if search.Judge(*s.point, objectives) == search.Met && s.point.ErrorRatio < turningAway && s.point.Throughput >= inBalance*min(s.load, most) {
			held = max(held, s.load, s.point.Offered)
		}
	}
	for _, s := range all {
		judged := search.Judge(*s.point, objectives)
		if max(s.load, s.point.Offered) > held/clearlyHigher || judged == search.Met || judged != search.Broken && s.point.OK+s.point.Failed < manyHits {
			continue
		}
		if slices.ContainsFunc(objectives, func(o scenarios.Objective) bool {
			v, ok := s.point.Metric(o.Request, o.Metric)
			return ok && strings.HasPrefix(o.Op, "<") && v > clearlyBroken*o.Value
		}) {
			broke = append(broke, s.point.Offered)
		}
	}
	if len(broke) < 2 {
		return nil
	}
	slices.Sort(broke)
	return broke
}

// manyHits are so many that a high quantile of them is no matter of the slowest few.
const manyHits = 1000

// clearlyHigher is the ratio of two loads from which one is clearly higher, and clearlyBroken that
// of what was observed to an objective from which it was clearly broken.
const clearlyHigher, clearlyBroken = 1.1, 1.5

// lower is the load to plan with where the confirmation of the value broke.
func (f *found) lower() string {
	if f.low < nearRefuted*f.refuted {
		return fmt.Sprintf("%.4g/s, the low end", f.low)
	}
	return "less"
}

// rates are loads in words.
func rates(loads []float64) (list []string) {
	for _, load := range loads {
		list = append(list, fmt.Sprintf("%.4g", load))
	}
	return list
}

// headroom fills in Headroom.
func (a *Analysis) headroom(spec Spec) {
	if spec.DemandRPS == 0 {
		return
	}
	c := a.Capacity
	if c == nil || !(c.Value.Value > 0) {
		a.warn("no headroom: the capacity is not known")
		return
	}
	share := func(rps float64) float64 { return (rps - spec.DemandRPS) / rps }
	h := &Headroom{DemandRPS: spec.DemandRPS}
	h.Now = Value{
		Value: share(c.Value.Value), Low: share(max(c.Low, 1e-9)), High: share(c.High),
		Confidence: c.Confidence, Method: "(capacity - demand) / capacity",
	}
	switch c.Bound {
	case Above:
		h.Now.Warnings = append(h.Now.Warnings, "the capacity is bounded below only: the headroom is at least this")
	case Below:
		// The capacity may be anything down to 0, and the ratio has no lower end.
		h.Now.Low = h.Now.Value
		h.Now.Warnings = append(h.Now.Warnings, "the capacity is bounded above only: the headroom is at most this")
	}
	a.Headroom = h
}
