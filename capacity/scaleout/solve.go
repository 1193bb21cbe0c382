package scaleout

import (
	"math"

	"gonum.org/v1/gonum/mat"
)

// solve fits n/X = c0 + c1 (n-1) + c2 n(n-1) with the first terms coefficients,
// none of them negative and c1 <= c0 (a <= 1), by least squares of the relative
// deviations. With three coefficients, the constrained optimum is the best of the
// unconstrained optima over each set of free coefficients that is feasible
// (Karush, Kuhn and Tucker; the problem is convex).
func solve(all []Count, terms int) law {
	best, least := law{}, math.Inf(1)
	for set := 1; set < 1<<terms; set++ {
		if set&1 == 0 {
			continue // c0 = 1/g is above 0
		}
		for _, tied := range []bool{false, true} {
			if tied && set&2 == 0 {
				continue
			}
			c, ok := coefficients(all, set, tied)
			if !ok {
				continue
			}
			l := law{g: 1 / c[0], a: c[1] / c[0], b: c[2] / c[0]}
			if m := deviation(all, c); m < least-1e-15 {
				best, least = l, m
			}
		}
	}
	return best
}

// coefficients solves for the coefficients in set; tied holds c1 = c0.
func coefficients(all []Count, set int, tied bool) (c [3]float64, ok bool) {
	var free []int
	for k := range 3 {
		if set&(1<<k) != 0 && !(tied && k == 1) {
			free = append(free, k)
		}
	}
	if len(free) > len(all) {
		return c, false
	}
	a, b := mat.NewDense(len(all), len(free), nil), mat.NewVecDense(len(all), nil)
	for i, x := range all {
		weight := x.RPS / float64(x.Replicas) / x.sd()
		for j, k := range free {
			v := term(k, x.Replicas)
			if tied && k == 0 {
				v += term(1, x.Replicas)
			}
			a.Set(i, j, weight*v)
		}
		b.SetVec(i, weight*float64(x.Replicas)/x.RPS)
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

func term(k, replicas int) float64 {
	n := float64(replicas)
	return [3]float64{1, n - 1, n * (n - 1)}[k]
}

func deviation(all []Count, c [3]float64) float64 {
	sum := 0.0
	for _, x := range all {
		fit := 0.0
		for k := range 3 {
			fit += c[k] * term(k, x.Replicas)
		}
		d := (fit*x.RPS/float64(x.Replicas) - 1) / x.sd()
		sum += d * d
	}
	return sum
}
