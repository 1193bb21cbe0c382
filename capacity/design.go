package capacity

import (
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/loadgen/search"
)

var _ search.Planner = (*estimator)(nil)

// Best returns the load whose step shrinks the variance of the predicted capacity
// most, by the information that the responses of such a step have about the
// server, and that its use of the nearest resource has about the ceiling
// (c-optimal design; Chaloner and Verdinelli 1995).
func (e *estimator) Best(points []observation.Point, loads []float64, seconds float64) int {
	all := digest(points)
	source := rng(e.seed)
	limited := candidates(fitResources(all, nil, estimatorRefits, source), all)
	p := newPredictor(all, limited, e.objectives)
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

func (d *design) best(loads []float64, seconds float64) int {
	gradient := mat.NewVecDense(3, nil)
	for i := range 3 {
		up, down := d.moved(i, nudge), d.moved(i, -nudge)
		a, _ := d.p.crossing(&up, -1)
		b, _ := d.p.crossing(&down, -1)
		gradient.SetVec(i, (math.Log(a)-math.Log(b))/(2*nudge))
	}
	known := mat.NewSymDense(3, nil)
	for _, g := range d.list {
		d.learn(known, g.load, g.total)
	}
	at, least := -1, math.Inf(1)
	for i, load := range loads {
		info := mat.NewSymDense(3, nil)
		info.CopySym(known)
		d.learn(info, load, load*seconds)
		d.believe(info, load, seconds)
		var chol mat.Cholesky
		if !chol.Factorize(info) {
			continue
		}
		x := mat.NewVecDense(3, nil)
		if chol.SolveVecTo(x, gradient) != nil {
			continue
		}
		if v := mat.Dot(x, gradient); v < least {
			at, least = i, v
		}
	}
	return at
}

// moved is the law with one parameter changed.
func (d *design) moved(i int, by float64) fitted {
	f := *d.f
	f.at[i] += by
	f.server = serverAt(f.at)
	return f
}

// learn adds what n responses at a load tell of the server: Fisher's information
// of the cells of a multinomial.
func (d *design) learn(info *mat.SymDense, load, n float64) {
	cells := d.f.spread(load, d.p.ca2, nil)
	var slopes [3][]float64
	for i := range slopes {
		up, down := d.moved(i, nudge), d.moved(i, -nudge)
		a, b := up.spread(load, d.p.ca2, nil), down.spread(load, d.p.ca2, nil)
		for k := range a {
			a[k] = (a[k] - b[k]) / (2 * nudge)
		}
		slopes[i] = a
	}
	for i := range 3 {
		for j := i; j < 3; j++ {
			sum := 0.0
			for k, p := range cells {
				sum += slopes[i][k] * slopes[j][k] / max(p, 1e-9)
			}
			info.SetSym(i, j, info.At(i, j)+n*sum/overdispersion)
		}
	}
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
