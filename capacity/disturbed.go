package capacity

import (
	"math"
	"math/rand/v2"
	"slices"
)

// rare is how much likelier than not (as a log of odds) it is without looking that
// requests on cores do not disturb each other.
const rare = 2.0

// What of the coefficients of crosstalk is looked at: so many of their standard
// deviations from the mean of what is usual. Pairs cost little among few cores, where
// the mean will do.
var (
	serials = []float64{-1.6, -0.8, 0, 0.8}
	pairs   = []float64{-1.2, 0, 1.2}
)

const (
	manyToPair = 12
	// hopeless is how much less likely than the best (in logs) coefficients are by use
	// alone that the responses are not asked about.
	hopeless = 6.0
)

// suspect is crosstalk with given coefficients: the law of the cores' use with it, and
// minus the log of how likely use and belief make it. Of that, unusual is what belief
// has against the coefficients.
type suspect struct {
	fit
	cost, unusual float64
}

// disturbed weighs whether requests on the cores that are fitted disturb each other, and
// how much, where their use alone does not show it. One that is disturbed shows twice: it
// uses more, and takes longer. Still, below the limit the two do not tell the coefficients
// well, on which the cost at the limit depends. So all that they leave possible are laws
// of the prediction, each with its weight: Bayes' rule over a grid, with minus the log of
//
//	belief in the coefficients, times likelihood of the use, times that of the responses
//
// as the cost of a law, where the laws without crosstalk have the belief exp(rare) : 1 on
// their side. The cost of the responses is that of their fit, with the ceiling that goes
// with the coefficients as what is believed of the saturation.
//
// It returns the laws, the heaviest first, and gives the resource the use that goes with
// them.
func (p *predictor) disturbed(list []stage, b bins, known []*fitted, source *rand.Rand) []*fitted {
	f := &p.limited[p.main]
	if p.main != p.nearest(-1) || f.first.limit == 0 || !f.exercised || f.shape != straight {
		return known
	}
	plain := *f
	suspects, undisturbed := suspected(&plain)
	var laws []*fitted
	for i := range suspects {
		s := &suspects[i]
		if !(s.ceiling(-1) > 1.02*p.top) {
			continue
		}
		p.limited[p.main] = s.fit
		law := p.measured(list, b, p.main, -1, quick, nil)[0]
		law.cost += s.cost - undisturbed
		law.resource = &s.fit
		laws = append(laws, law)
	}
	p.limited[p.main] = plain
	known = outweighed(list, known, laws)
	p.mixed(known, &plain, source)
	return known
}

// suspected are the coefficients of crosstalk that the use leaves possible, and minus the
// log of the likelihood of the use without any. Readings are taken to be normal, with the
// variance of scatter times the dispersion that the best law leaves.
func suspected(plain *fit) (list []suspect, undisturbed float64) {
	us, cores := plain.readings, plain.first.limit
	w := weights(us, plain.line)
	without := misfitBy(us, plain.line, 0, w)
	least, whole := without, 0.0
	doubt := max(plain.doubt(), 0.01) // of the ceiling, with the coefficients given
	costs := pairs
	if cores < manyToPair {
		costs = []float64{0}
	}
	for _, za := range serials {
		for _, zb := range costs {
			s := suspect{fit: *plain, unusual: (za*za + zb*zb) / 2}
			s.shape, s.draws, s.doubted = withTalk, nil, doubt
			talk := crosstalk{math.Exp(usual.mean[0] + za*usual.sd[0]), math.Exp(usual.mean[1] + zb*usual.sd[1])}
			s.line = refineWith(us, w, talk, cores)
			s.cost = misfitBy(us, s.line, 0, w)
			least, whole = min(least, s.cost), whole+math.Exp(-s.unusual)
			list = append(list, s)
		}
	}
	scale := 2 * dispersed(least, len(us)-3)
	undisturbed = without / scale
	best := undisturbed
	for i := range list {
		s := &list[i]
		// Belief is that of the grid: that in its points adds up to one.
		s.cost = s.cost/scale + s.unusual + math.Log(whole) + rare
		best = min(best, s.cost)
	}
	return slices.DeleteFunc(list, func(s suspect) bool { return s.cost > best+hopeless }), undisturbed
}

// refineWith fits the use of cores with the crosstalk given: what a request uses alone
// by golden section, the base besides.
func refineWith(us []use, w []float64, talk crosstalk, cores float64) line {
	at := func(log float64) (line, float64) {
		l := line{demand: math.Exp(log), talk: talk, limit: cores}
		var above, sum float64
		for i, u := range us {
			above, sum = above+w[i]*(u.used-l.at(u.load)), sum+w[i]
		}
		l.base = min(max(above/sum, 0), 0.5*cores)
		return l, misfitBy(us, l, 0, w)
	}
	first := math.Log(leastDemand(us))
	low, high := first-1, first+0.3
	golden := (math.Sqrt(5) - 1) / 2
	for range 24 {
		a, b := high-golden*(high-low), low+golden*(high-low)
		_, ea := at(a)
		if _, eb := at(b); ea < eb {
			high = b
		} else {
			low = a
		}
	}
	l, _ := at((low + high) / 2)
	return l
}

// outweighed adds laws with crosstalk to those without, each with its weight. Those
// without share out the weight of the better of them as they did before. Where no law
// explains the responses within chance, all odds are that much smaller (misfitted).
func outweighed(list []stage, plain, talking []*fitted) []*fitted {
	if len(talking) == 0 {
		return plain
	}
	least, best := math.Inf(1), math.Inf(-1)
	for _, f := range append(slices.Clone(plain), talking...) {
		least, best = min(least, f.cost), max(best, f.fit)
	}
	scale := misfitted(list, best)
	odds := func(f *fitted) float64 { return math.Exp((least - f.cost) / scale) }
	none, sum := 0.0, 0.0
	for _, f := range plain {
		none = max(none, odds(f))
	}
	for _, f := range talking {
		f.weight = odds(f)
		sum += f.weight
	}
	sum += none
	all := slices.Clone(plain)
	for _, f := range plain {
		f.weight *= none / sum
	}
	for _, f := range talking {
		f.weight /= sum
		all = append(all, f)
	}
	return lighter(all)
}

// lighter leaves out laws of no weight, and puts the heaviest first.
func lighter(all []*fitted) []*fitted {
	slices.SortStableFunc(all, func(a, b *fitted) int { return compare(b.weight, a.weight) })
	sum := 0.0
	kept := all[:1]
	for _, f := range all[1:] {
		if f.weight >= slight/2 {
			kept = append(kept, f)
		}
	}
	for _, f := range kept {
		sum += f.weight
	}
	for _, f := range kept {
		f.weight /= sum
	}
	return kept
}

// mixed gives the cores the use that goes with the laws: that of the heaviest kind,
// and in each replicate that of one law.
func (p *predictor) mixed(laws []*fitted, plain *fit, source *rand.Rand) {
	disturbed := 0.0
	var heaviest *fitted
	for _, f := range laws {
		if f.resource == nil {
			f.resource = plain
			continue
		}
		f.resource.resampleWith(min(len(plain.draws), refits), source)
		disturbed += f.weight
		if heaviest == nil {
			heaviest = f
		}
	}
	if heaviest == nil {
		return
	}
	own := *plain
	if disturbed > 0.5 {
		own = *heaviest.resource
	}
	own.draws = slices.Clone(plain.draws)
	for r := range own.draws {
		of := one(laws, source).resource.draws
		own.draws[r] = of[r%len(of)]
	}
	p.limited[p.main] = own
}

// resampleWith redraws the readings around the law (wild bootstrap, as resample does),
// and fits them with the same crosstalk.
func (f *fit) resampleWith(n int, source *rand.Rand) {
	w := weights(f.readings, f.line)
	drawn := slices.Clone(f.readings)
	f.draws = make([]line, 0, n)
	const terms = 2 // base and demand
	inflate := math.Sqrt(float64(len(drawn)) / max(float64(len(drawn)-terms), 1))
	for range n {
		for i, u := range f.readings {
			expected := f.at(u.load)
			if error := (u.used - expected) * inflate; source.IntN(2) == 0 {
				drawn[i].used = max(expected-error, 0)
			} else {
				drawn[i].used = max(expected+error, 0)
			}
		}
		f.draws = append(f.draws, refineWith(drawn, w, f.talk, f.first.limit))
	}
}
