package capacity

import (
	"math"

	"gonum.org/v1/gonum/mat"
)

// inverse fits the first terms coefficients of the law's inverse,
//
//	n/X = c0 + c1 (n-1) + c2 n(n-1),   c0 > 0, 0 <= c1 <= c0, c2 >= 0,
//
// with c0 = 1/g, c1 = a/g and c2 = b/g, by weighted least squares. It is linear, and
// with three coefficients the constrained optimum is the best of the optima over
// each set of free coefficients that is feasible (Karush, Kuhn and Tucker; the
// problem is convex): nothing is guessed and nothing iterates. It is where the
// descent to the least misfit of the throughputs begins.
func (all yields) inverse(terms int) Scalability {
	best, least := Scalability{}, math.Inf(1)
	for _, r := range all {
		best.Gamma = max(best.Gamma, r.x/r.n) // if nothing else is feasible
	}
	for set := 1; set < 1<<terms; set += 2 { // c0 is always free
		for _, tied := range []bool{false, true} {
			if tied && set&2 == 0 {
				continue // c1 = c0 needs both
			}
			c, ok := all.inverseOf(set, tied)
			if !ok {
				continue
			}
			if m := all.inverseMisfit(c); m < least*(1-1e-12) {
				best, least = Scalability{Gamma: 1 / c[0], Alpha: min(c[1]/c[0], 1), Beta: c[2] / c[0]}, m
			}
		}
	}
	return best
}

// inverseWeight is the square root of the weight of n/X, by the delta method: a
// throughput that is off by d puts it off by n d / X^2.
func (r yield) inverseWeight() float64 { return math.Sqrt(r.weight) * r.x * r.x / r.n }

// inverseOf solves for the coefficients in set; tied holds c1 = c0.
func (all yields) inverseOf(set int, tied bool) (c [3]float64, ok bool) {
	var free []int
	for k := range 3 {
		if set&(1<<k) != 0 && !(tied && k == 1) {
			free = append(free, k)
		}
	}
	if len(free) > len(all) {
		return c, false
	}
	scale := 0.0 // of the weights, which may be of any size
	for _, r := range all {
		scale = max(scale, r.inverseWeight())
	}
	a, b := mat.NewDense(len(all), len(free), nil), mat.NewVecDense(len(all), nil)
	for i, r := range all {
		w := r.inverseWeight() / scale
		for j, k := range free {
			v := inverseTerm(k, r.n)
			if tied && k == 0 {
				v += inverseTerm(1, r.n)
			}
			a.Set(i, j, w*v)
		}
		b.SetVec(i, w*r.n/r.x)
	}
	var out mat.VecDense
	if err := out.SolveVec(a, b); err != nil {
		return c, false
	}
	for j, k := range free {
		c[k] = out.AtVec(j)
	}
	if tied {
		c[1] = c[0]
	}
	return c, c[0] > 0 && c[1] >= 0 && c[2] >= 0 && c[1] <= c[0]*(1+1e-12)
}

func inverseTerm(k int, n float64) float64 { return [3]float64{1, n - 1, n * (n - 1)}[k] }

func (all yields) inverseMisfit(c [3]float64) float64 {
	sum := 0.0
	for _, r := range all {
		d := r.n / r.x
		for k := range 3 {
			d -= c[k] * inverseTerm(k, r.n)
		}
		d *= r.inverseWeight()
		sum += d * d
	}
	return sum
}
