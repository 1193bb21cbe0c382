package capacity

import (
	"cmp"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat/distuv"
)

// shape is the form of a resource law.
type shape int

const (
	straight shape = iota
	bent           // with a quadratic term
	poled          // with a pole, as contention has
	drifting       // straight, and changing with the time
	withTalk       // with crosstalk between requests on cores
	origin         // straight, and nothing without load
)

func (s shape) terms() int {
	switch s {
	case origin:
		return 1
	case straight:
		return 2
	}
	return 3
}

// chooseShape returns the form that predicts best. A form with more terms must
// win where it counts, forward of what it is fitted on: the lower loads are
// fitted, and the next one predicted (forward-chaining cross-validation). Its
// extra term must also be clearly above 0, as a lucky bend is worse than none.
func chooseShape(us []use, l line) shape {
	if us[0].slots || us[0].counted {
		return chooseBase(us, l)
	}
	best, least := straight, 0.85*forward(us, l, straight)
	for _, s := range []shape{bent, poled} {
		if e := forward(us, l, s); e < least && firmly(us, l, s) {
			best, least = s, e
		}
	}
	if best == straight && firmly(us, l, drifting) {
		return drifting
	}
	return best
}

// plainly is by how much the sum of squares, in units of the dispersion, must be
// lower with a term than without: three standard errors.
const plainly = 9.0

// evident is plainly for crosstalk, whose coefficients are not free: in readings
// without any it gains less than 4.
const evident = 6.0

// chooseBase says whether slots are taken without any load. None are in most
// pools, and a ceiling is known twice as well if the law need not find that out.
func chooseBase(us []use, l line) shape {
	with, _ := refine(us, l, straight)
	without, _ := refine(us, l, origin)
	w := weights(us, with)
	least := misfitBy(us, with, 0, w)
	if misfitBy(us, without, 0, w)-least > plainly*dispersed(least, len(us)-2) {
		return straight
	}
	return origin
}

// chooseOfCores says whether requests on cores cost more at a higher load or at a
// later time, or neither. The order of the steps tells the two apart.
//
// gain is by how much crosstalk explains the readings better, as plainly counts, and
// precise what line.precise is to be.
func chooseOfCores(us []use, l line) (s shape, gain, precise float64) {
	if len(us) < 5 {
		return straight, 0, 0
	}
	plain, _ := refine(us, l, straight)
	talk, _ := refineCrosstalk(us, l, l.limit, 200)
	w := weights(us, talk)
	without, with := misfitBy(us, plain, 0, w), misfitBy(us, talk, 0, w)
	gain = (without - with) / dispersed(min(without, with), len(us)-3)
	aged := math.Inf(1)
	if firmly(us, l, drifting) {
		fit, drift := refine(us, l, drifting)
		if aged = misfitBy(us, fit, drift, w); (without-aged)/dispersed(min(without, aged), len(us)-3) < gain {
			aged = math.Inf(1)
		}
	}
	s, precise = chooseRise(us, l, plain, aged)
	switch {
	case s != straight:
		return s, gain, precise
	case !math.IsInf(aged, 1):
		return drifting, gain, 0
	case gain > evident:
		return withTalk, gain, 0
	}
	return straight, gain, 0
}

// chooseRise is the law of cores whose use rises firmly whatever the reason, straight where
// it does not. Crosstalk comes first, as it is what busy cores have and says where they end;
// the readings may contradict it, and then count a bend or a pole, whichever predicts better.
// In a drill it is known how far readings scatter, and they must contradict crosstalk by that.
// Those of a table are means of nobody knows how many, and tell themselves by how little they
// lie off the curve, which is then held against the beliefs about crosstalk too.
func chooseRise(us []use, l, plain line, aged float64) (s shape, precise float64) {
	curved := chooseShape(us, l)
	if curved != bent && curved != poled {
		if !us[0].lone || !firmly(us, l, bent) {
			return straight, 0
		}
		curved = bent
	}
	curve, _ := refine(us, l, curved)
	w := weights(us, curve)
	least := misfitBy(us, curve, 0, w)
	if !math.IsInf(aged, 1) {
		fit, drift := refine(us, l, drifting)
		if !better(misfitBy(us, fit, drift, w), least, len(us), chanceTerm) {
			return straight, 0
		}
	}
	guess := l
	if us[0].lone {
		precise = 1 / min(max(least/float64(len(us)-3), mostPrecise), 1)
		guess.precise = precise
	}
	talk, _ := refineCrosstalk(us, guess, l.limit, 400)
	with := misfitBy(us, talk, 0, w)
	switch contradicted := better(with, least, len(us), chanceTerm); {
	case contradicted && (us[0].lone || (with-least)/dispersed(least, len(us)-3) > plainly):
		return curved, 0
	case us[0].lone && precise*(misfitBy(us, plain, 0, w)-with) > evident:
		return withTalk, precise
	}
	return straight, 0
}

// mostPrecise is how much less than expected, as a ratio of variances, readings may scatter:
// those that are without error need not be followed beyond any doubt of the law.
const mostPrecise = 1e-3

// dispersed is the variance of the readings in units of what is expected; less
// than that is chance.
func dispersed(sum float64, free int) float64 { return max(sum/float64(max(free, 1)), 1) }

// misfitBy is the weighted sum of squared distances.
func misfitBy(us []use, l line, drift float64, w []float64) float64 {
	end := lastOf(us)
	sum := 0.0
	for i, u := range us {
		d := u.used - l.base - (l.at(u.load)-l.base)*(1+drift*(u.at-end))
		sum += w[i] * d * d
	}
	return sum
}

// chanceTerm is the probability with which a term that is not there is taken for
// one that is.
const (
	chanceTerm = 0.001
	// A drift that was missed costs more than one that is not there: unlike a bend it
	// moves the ceiling by no more than it moved the readings. So it counts early, and
	// is told of only where it is plain.
	chanceDrift = 0.15
	plainDrift  = 0.02
)

// better says whether a third term explains so much more than two that chance does
// not (Student's t of the term, as a ratio of sums of squares).
func better(without, with float64, n int, chance float64) bool {
	free := float64(n - 3)
	t := distuv.StudentsT{Sigma: 1, Nu: free}.Quantile(1 - chance/2)
	return with*(1+t*t/free) < without
}

func firmly(us []use, l line, s shape) bool {
	// A gauge of slots scatters too much for a third term.
	if len(us) < 6 || us[0].slots || us[0].counted {
		return false
	}
	if s == drifting {
		return drifts(us, l, chanceDrift)
	}
	curve, _ := refine(us, l, s)
	plain, _ := refine(us, l, straight)
	return curve.curved() && better(misfit(us, plain, 0), misfit(us, curve, 0), len(us), chanceTerm)
}

// drifts says whether the demand changes with the time, by what chance explains with no
// more than a probability.
func drifts(us []use, l line, chance float64) bool {
	early, late := us[0].at, us[0].at
	for _, u := range us {
		early, late = min(early, u.at), max(late, u.at)
	}
	fit, drift := refine(us, l, drifting)
	change := math.Abs(drift) * (late - early)
	plain, _ := refine(us, l, straight)
	return change > 0.01 && better(misfit(us, plain, 0), misfit(us, fit, drift), len(us), chance)
}

// misfit is misfitBy with the weights that the law itself gives.
func misfit(us []use, l line, drift float64) float64 { return misfitBy(us, l, drift, weights(us, l)) }

func lastOf(us []use) float64 {
	end := 0.0
	for _, u := range us {
		end = max(end, u.at)
	}
	return end
}

// aged is the use at u's time as a ratio of that at the end of the drill.
func (f *fit) aged(u use, us []use) float64 {
	if f.drift == 0 {
		return 1
	}
	now := f.at(u.load)
	then := f.base + (now-f.base)*(1+f.drift*(u.at-lastOf(us)))
	return then / max(now, 1e-300)
}

// forward is the mean squared error of predicting each load from those below, in
// units of what is used there.
func forward(us []use, l line, s shape) float64 {
	sorted := slices.Clone(us)
	slices.SortFunc(sorted, func(a, b use) int { return cmp.Compare(a.load, b.load) })
	var sum, n float64
	for i := s.terms() + 2; i < len(sorted); i++ {
		if sorted[i].load < 1.03*sorted[i-1].load {
			continue // within the loads that were fitted
		}
		fit, _ := refine(sorted[:i], l, s)
		for j := i; j < len(sorted) && sorted[j].load < 1.5*sorted[i].load; j++ {
			e := (fit.at(sorted[j].load) - sorted[j].used) / max(sorted[j].used, 1e-300)
			sum, n = sum+sorted[j].weight*e*e, n+sorted[j].weight
		}
	}
	if n == 0 {
		return math.Inf(1)
	}
	return sum / n
}

// relative is by how much a reading of a second errs, as a ratio, and lasting by
// how much all readings of a step do.
const (
	relative = 0.015
	lasting  = 0.004
)

// scatter is the variance of a reading. Besides the error of reading it, use comes
// in grains: a request's work for a counter, a slot for a gauge that is read once
// a second, so that its variance grows with the use like that of any count.
func scatter(u use, l line, limit float64) float64 {
	used := max(l.at(u.load), 0)
	grain := 2 * math.Abs(l.demand)
	if u.slots {
		grain = 1
	}
	if u.counted {
		return used*used/max(u.weight, 1) + lasting*lasting*used*used + 1e-9
	}
	return (relative*relative*used*used+grain*used+1e-6*limit*limit)/max(u.weight, 1e-3) + lasting*lasting*used*used
}

// weights are one over the variance of the readings, and less for one that is far
// off the law (bisquare; Beaton and Tukey 1974), so that wild readings do not count.
func weights(us []use, l line) []float64 {
	most := 0.0
	for _, u := range us {
		most = max(most, u.used)
	}
	distances := make([]float64, len(us))
	for i, u := range us {
		distances[i] = math.Abs(u.used-l.at(u.load)) / math.Sqrt(max(scatter(u, l, most), 1e-300))
	}
	sorted := slices.Sorted(slices.Values(distances))
	far := max(6*1.4826*percentile(sorted, 0.5), 1e-9)
	w := make([]float64, len(us))
	for i, u := range us {
		if z := distances[i] / far; z < 1 {
			w[i] = (1 - z*z) * (1 - z*z) / max(scatter(u, l, most), 1e-300)
		}
	}
	return w
}

// refine fits a law of a shape by weighted least squares, from a robust first
// guess. It returns the guess where the readings do not support the shape.
func refine(us []use, guess line, s shape) (line, float64) {
	switch s {
	case poled:
		return refinePole(us, guess), 0
	case withTalk:
		l, _ := refineCrosstalk(us, guess, guess.limit, 90)
		return l, 0
	}
	w := weights(us, guess)
	end := lastOf(us)
	terms := func(u use) []float64 {
		switch s {
		case bent:
			return []float64{1, u.load, u.load * u.load}
		case drifting:
			return []float64{1, u.load, u.load * (u.at - end)}
		}
		return []float64{1, u.load}
	}
	c := []float64{-1, 0} // of a law through the origin
	if s != origin {
		var ok bool
		if c, ok = leastSquares(us, w, terms); !ok || !(c[1] > 0) {
			return guess, 0
		}
	}
	if c[0] < 0 { // nothing uses less than nothing
		rest, ok := leastSquares(us, w, func(u use) []float64 { return terms(u)[1:] })
		if !ok || !(rest[0] > 0) {
			return guess, 0
		}
		c = append([]float64{0}, rest...)
	}
	l := line{base: c[0], demand: c[1]}
	switch s {
	case bent:
		if c[2] < 0 {
			return guess, 0 // demand that falls with the load is not extrapolated
		}
		l.bend = c[2]
	case drifting:
		return l, c[2] / c[1]
	}
	return l, 0
}

// refinePole looks for the pole by golden section, the rest by least squares.
func refinePole(us []use, guess line) line {
	top := 0.0
	for _, u := range us {
		top = max(top, u.load)
	}
	w := weights(us, guess)
	at := func(pole float64) (line, float64) {
		c, ok := leastSquares(us, w, func(u use) []float64 { return []float64{1, u.load / (1 - pole*u.load)} })
		if !ok || !(c[1] > 0) {
			return guess, math.Inf(1)
		}
		l := line{base: c[0], demand: c[1], pole: pole}
		sum := 0.0
		for i, u := range us {
			d := u.used - l.at(u.load)
			sum += w[i] * d * d
		}
		return l, sum
	}
	low, high := 0.0, 0.9/top
	golden := (math.Sqrt(5) - 1) / 2
	for range 30 {
		a, b := high-golden*(high-low), low+golden*(high-low)
		_, ea := at(a)
		_, eb := at(b)
		if ea < eb {
			high = b
		} else {
			low = a
		}
	}
	l, e := at((low + high) / 2)
	if math.IsInf(e, 1) {
		return guess
	}
	if l.pole < 1e-3/top {
		l.pole = 0
	}
	return l
}

// leastSquares solves the weighted normal equations, in terms scaled to 1.
func leastSquares(us []use, w []float64, terms func(use) []float64) ([]float64, bool) {
	if len(us) == 0 {
		return nil, false
	}
	n := len(terms(us[0]))
	scale := make([]float64, n)
	rows := make([][]float64, len(us))
	for i, u := range us {
		rows[i] = terms(u)
		for j, v := range rows[i] {
			scale[j] = max(scale[j], math.Abs(v))
		}
	}
	a, b := mat.NewSymDense(n, nil), mat.NewVecDense(n, nil)
	for i, row := range rows {
		for j := range row {
			if scale[j] == 0 {
				return nil, false
			}
			row[j] /= scale[j]
		}
		for j := range row {
			for k := j; k < n; k++ {
				a.SetSym(j, k, a.At(j, k)+w[i]*row[j]*row[k])
			}
			b.SetVec(j, b.AtVec(j)+w[i]*row[j]*us[i].used)
		}
	}
	var chol mat.Cholesky
	if !chol.Factorize(a) || chol.Cond() > 1e12 {
		return nil, false
	}
	x := mat.NewVecDense(n, nil)
	if chol.SolveVecTo(x, b) != nil {
		return nil, false
	}
	c := make([]float64, n)
	for j := range c {
		c[j] = x.AtVec(j) / scale[j]
		if math.IsNaN(c[j]) || math.IsInf(c[j], 0) {
			return nil, false
		}
	}
	return c, true
}
