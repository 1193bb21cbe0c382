package attribution

import (
	"math"

	"gonum.org/v1/gonum/mat"
)

// nonNegative solves min |W(Xb - y)| for b >= 0: the active-set method of Lawson
// and Hanson (1974), chapter 23. Rows of x are steps; it returns one coefficient
// for each column.
func nonNegative(x [][]float64, y, w []float64) []float64 {
	n := len(x[0])
	b, free := make([]float64, n), make([]bool, n)
	for range 3 * n {
		best, steepest := -1, 0.0
		for j, g := range gradient(x, y, w, b) {
			if !free[j] && g > steepest {
				best, steepest = j, g
			}
		}
		if best < 0 || steepest < 1e-12*scaleOf(x, y, w, best) {
			return b
		}
		free[best] = true
		if !settle(x, y, w, b, free) {
			free[best] = false
			return b
		}
	}
	return b
}

// settle moves b to the least-squares solution of the free coefficients, and fixes
// those at 0 that would become negative on the way. false if it cannot be solved.
func settle(x [][]float64, y, w, b []float64, free []bool) bool {
	for {
		s, ok := leastSquares(x, y, w, free)
		if !ok {
			return false
		}
		step := 1.0
		for j := range b {
			if free[j] && s[j] <= 0 && b[j]-s[j] > 0 {
				step = min(step, b[j]/(b[j]-s[j]))
			}
		}
		done := true
		for j := range b {
			if !free[j] {
				continue
			}
			b[j] += step * (s[j] - b[j])
			if s[j] <= 0 && b[j] <= 1e-15*math.Abs(s[j])+1e-300 {
				b[j], free[j] = 0, false
				done = false
			}
		}
		if done && step == 1 {
			return true
		}
	}
}

func gradient(x [][]float64, y, w, b []float64) []float64 {
	g := make([]float64, len(b))
	for i, row := range x {
		r := w[i] * w[i] * (y[i] - dot(row, b))
		for j, v := range row {
			g[j] += v * r
		}
	}
	return g
}

// scaleOf is the size of a column's gradient, against which it counts as 0.
func scaleOf(x [][]float64, y, w []float64, j int) float64 {
	sum := 0.0
	for i, row := range x {
		sum += w[i] * w[i] * math.Abs(row[j]*y[i])
	}
	return sum
}

func leastSquares(x [][]float64, y, w []float64, free []bool) ([]float64, bool) {
	var columns []int
	for j, f := range free {
		if f {
			columns = append(columns, j)
		}
	}
	if len(columns) > len(x) {
		return nil, false
	}
	a, rhs := mat.NewDense(len(x), len(columns), nil), mat.NewVecDense(len(x), nil)
	for i, row := range x {
		for k, j := range columns {
			a.Set(i, k, w[i]*row[j])
		}
		rhs.SetVec(i, w[i]*y[i])
	}
	var s mat.VecDense
	// A warning about the condition still comes with a solution.
	if err := s.SolveVec(a, rhs); err != nil {
		if _, warned := err.(mat.Condition); !warned {
			return nil, false
		}
	}
	out := make([]float64, len(free))
	for k, j := range columns {
		v := s.AtVec(k)
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, false
		}
		out[j] = v
	}
	return out, true
}

// condition is the condition number of the rates of the requests, each column
// scaled to length one (after which it is within sqrt(n) of the least that scaling
// can give; van der Sluis 1969).
func condition(x [][]float64) float64 {
	n := len(x[0]) - 1
	if len(x) < n {
		return math.Inf(1)
	}
	a := mat.NewDense(len(x), n, nil)
	for j := range n {
		sum := 0.0
		for i := range x {
			sum += x[i][1+j] * x[i][1+j]
		}
		if sum == 0 {
			return math.Inf(1)
		}
		for i := range x {
			a.Set(i, j, x[i][1+j]/math.Sqrt(sum))
		}
	}
	var svd mat.SVD
	if !svd.Factorize(a, mat.SVDNone) {
		return math.Inf(1)
	}
	values := svd.Values(nil)
	if least := values[len(values)-1]; least > 0 {
		return values[0] / least
	}
	return math.Inf(1)
}
