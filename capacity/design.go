package capacity

import (
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/loadgen/search"
	"github.com/headroom-project/headroom/scenarios"
)

var _ search.Planner = (*estimator)(nil)

// Best returns the load whose step shrinks the variance of the predicted capacity
// most, by the information that the responses of such a step have about the
// server and about the time without waiting, and that its use of the nearest resource
// has about the ceiling (c-optimal design; Chaloner and Verdinelli 1995).
func (e *estimator) Best(points []observation.Point, loads []float64, seconds float64) int {
	all := digest(points)
	source := rng(e.seed)
	limited := e.limited(all, source)
	p := newPredictor(all, limited, e.objectives, 0)
	list, b := stages(p.all, p.rows, p.ca2)
	if tooLittle(list) != "" {
		return -1
	}
	known, unmeasured, hidden := p.models(list, b, again)
	if len(known) == 0 {
		return -1
	}
	first := known[0]
	if hidden > 0.5 {
		first = unmeasured[0]
	}
	d := design{p: p, f: first, list: list, nearest: p.nearest(-1)}
	if hidden > 0.5 {
		d.nearest = -1
	}
	return d.best(loads, seconds)
}

// design weighs steps that were not run yet.
type design struct {
	p       *predictor
	f       *fitted
	list    []stage
	nearest int // resource that the ceiling is of, -1 for none
}

// nudge is by how much a parameter is moved for a derivative.
const nudge = 0.01

// free is the standard deviation of the log of a bin of the time without waiting before
// any response is looked at.
const free = 2.0

// best is the index of the load whose step leaves the least variance.
//
// Parameters are the three of the server and, as a softmax, the bins of the time without
// waiting: what the responses at a high load say of the server is less where that time is
// not known from a low one.
func (d *design) best(loads []float64, seconds float64) int {
	gradient := d.gradient()
	n := gradient.Len()
	known := mat.NewSymDense(n, nil)
	for _, g := range d.list {
		d.learn(known, g.load, g.total)
	}
	at, least := -1, math.Inf(1)
	for i, load := range loads {
		info := mat.NewSymDense(n, nil)
		info.CopySym(known)
		d.learn(info, load, load*seconds)
		d.believe(info, load, seconds)
		var chol mat.Cholesky
		if !chol.Factorize(info) {
			continue
		}
		x := mat.NewVecDense(n, nil)
		if chol.SolveVecTo(x, gradient) != nil {
			continue
		}
		if v := mat.Dot(x, gradient); v < least {
			at, least = i, v
		}
	}
	return at
}

// gradient is how the log of the predicted capacity changes with the parameters.
func (d *design) gradient() *mat.VecDense {
	g := mat.NewVecDense(3+len(d.f.base), nil)
	for i := range 3 {
		up, down := d.moved(i, nudge), d.moved(i, -nudge)
		a, _ := d.p.crossing(&up, -1)
		b, _ := d.p.crossing(&down, -1)
		g.SetVec(i, (math.Log(a)-math.Log(b))/(2*nudge))
	}
	at, o := d.p.crossing(d.f, -1)
	figure, ok := decides(o)
	top := min(d.f.saturation*(1-1e-6), d.p.limit(d.f, -1))
	if !ok || !(at < top*(1-nudge/10)) {
		return g
	}
	// At the crossing x, figure(x, base) is what is allowed, and it is linear in the base.
	whole := figure(d.f, at)
	rise := (figure(d.f, at*(1+nudge/20)) - figure(d.f, at*(1-nudge/20))) / (nudge / 10)
	if !(rise > 1e-9*math.Abs(whole)) {
		return g
	}
	one := *d.f
	for j, p := range d.f.base {
		one.base = make([]float64, len(d.f.base))
		one.base[j] = 1
		g.SetVec(3+j, -p*(figure(&one, at)-whole)/rise)
	}
	return g
}

// decides is the figure of a law that an objective bounds; ok is false for one on a single
// request, whose own time without waiting is not that of the law, and for figures that no
// law speaks of.
func decides(o scenarios.Objective) (figure func(f *fitted, load float64) float64, ok bool) {
	t := o.Value / 1000
	_, quantile := search.Share(o.Metric)
	switch {
	case o.Request != "":
		return nil, false
	case quantile || o.Metric == "max":
		return func(f *fitted, load float64) float64 { return f.tail(load, t) }, true
	case o.Metric == "mean":
		return func(f *fitted, load float64) float64 { return f.mean(load) }, true
	}
	return nil, false
}

// moved is the law with one parameter changed.
func (d *design) moved(i int, by float64) fitted {
	f := *d.f
	f.at[i] += by
	f.server = serverAt(f.at)
	return f
}

// learn adds what n responses at a load tell of the parameters: Fisher's information
// of the cells of a multinomial.
func (d *design) learn(info *mat.SymDense, load, n float64) {
	cells := d.f.spread(load, d.p.ca2, nil)
	size := len(d.f.base)
	slopes := mat.NewDense(len(cells), 3+size, nil)
	for i := range 3 {
		up, down := d.moved(i, nudge), d.moved(i, -nudge)
		a, b := up.spread(load, d.p.ca2, nil), down.spread(load, d.p.ca2, nil)
		for k := range a {
			slopes.Set(k, i, (a[k]-b[k])/(2*nudge))
		}
	}
	var k kernel
	var memory between
	d.f.prepare(load, d.p.ca2, &k)
	unit, into := make([]float64, size), make([]float64, len(cells))
	for j, p := range d.f.base {
		unit[j] = 1
		into = k.spread(unit, d.f.shared, len(cells), &memory, into)
		unit[j] = 0
		for c, to := range into {
			slopes.Set(c, 3+j, p*(to-cells[c]))
		}
	}
	for c, p := range cells {
		scale := math.Sqrt(n / overdispersion / max(p, 1e-9))
		row := slopes.RawRowView(c)
		for i := range row {
			row[i] *= scale
		}
	}
	info.SymRankK(info, 1, slopes.T())
}

// believe adds what is known of the server without the responses, the ceiling as
// it would be known after the step.
func (d *design) believe(info *mat.SymDense, load, seconds float64) {
	sd := [3]float64{0.8, 0.5, 1}
	if d.nearest >= 0 {
		sd[0] = d.ceilingDoubt(load, seconds)
	}
	for i, s := range sd {
		info.SetSym(i, i, info.At(i, i)+1/(s*s))
	}
	for i := len(sd); i < info.SymmetricDim(); i++ {
		info.SetSym(i, i, info.At(i, i)+1/(free*free))
	}
}

// ceilingDoubt is the standard error of the log of the ceiling once a load has
// been offered: that of a weighted line through the origin of the readings.
func (d *design) ceilingDoubt(load, seconds float64) float64 {
	f := &d.p.limited[d.nearest]
	us, _, _ := uses(f.name, d.p.all, nil)
	us = append(us, use{load: load, used: f.at(load), weight: seconds, slots: f.unit == "slots"})
	var n, x, xx float64
	for i, w := range weights(us, f.line) {
		n, x, xx = n+w, x+w*us[i].load, xx+w*us[i].load*us[i].load
	}
	det := n*xx - x*x
	if !(det > 0) {
		return 0.1
	}
	// The standard error of base + demand*ceiling, over its slope.
	c := f.ceiling(-1)
	return max(math.Sqrt((xx-2*c*x+c*c*n)/det)/(f.demand*c), 0.002)
}
