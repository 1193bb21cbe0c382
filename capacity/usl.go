package capacity

import (
	"errors"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"
)

// Scalability is the Universal Scalability Law (Gunther 2007): the throughput at
// a concurrency N is
//
//	X(N) = g N / (1 + a(N-1) + b N(N-1))
//
// with g the throughput of one, a the share that is serial (contention) and b what
// each pair costs (crosstalk). Without b it is Amdahl's law, without both a line.
type Scalability struct {
	// Gamma is in requests/s (or in what the throughputs were in), Alpha and Beta
	// are ratios: 0 <= Alpha <= 1, 0 <= Beta.
	Gamma, Alpha, Beta float64
	// SE are the standard errors of Gamma, Alpha and Beta; 0 for one at its bound.
	SE [3]float64
	// Name is "linear", "amdahl" or "usl".
	Name string
	// Misfit is the sum of squared distances, in units of the throughputs squared,
	// over N readings.
	Misfit float64
	N      int
}

// At returns the throughput at a concurrency.
func (s Scalability) At(n float64) float64 {
	return s.Gamma * n / (1 + s.Alpha*(n-1) + s.Beta*n*(n-1))
}

// Peak returns the concurrency of the greatest throughput, sqrt((1-a)/b), and that
// throughput. ok is false where b may be 0 (its 90% interval contains it): then
// no peak is identified.
func (s Scalability) Peak() (n, throughput float64, ok bool) {
	if !(s.Beta > 0) || s.Beta < 1.645*s.SE[2] || s.Alpha >= 1 {
		return 0, 0, false
	}
	n = math.Sqrt((1 - s.Alpha) / s.Beta)
	return n, s.At(n), true
}

// Latency returns the mean response time at a throughput below the peak, in the
// unit of 1/throughput, by Little's law; +Inf beyond what the target can serve.
//
//	R(X) = [q - sqrt(q^2 - 4 b X^2 (1-a))] / (2 b X^2), q = g + bX - aX
//
// is written so that nothing cancels for a small b; for b = 0 it is (1-a)/(g-aX).
func (s Scalability) Latency(throughput float64) float64 {
	x := throughput
	q := s.Gamma + s.Beta*x - s.Alpha*x
	root := q*q - 4*s.Beta*x*x*(1-s.Alpha)
	if !(q > 0) || root < 0 {
		return math.Inf(1)
	}
	return 2 * (1 - s.Alpha) / (q + math.Sqrt(root))
}

// Errors of FitScalability.
var errFewLoads = errors.New("fit scalability: fewer than three concurrencies above 0; run steps at more loads")

// FitScalability fits the law named ("linear", "amdahl", "usl") to throughputs at
// concurrencies by bounded least squares (Gauss-Newton with Levenberg's damping,
// Marquardt 1963). It fails with fewer than three different concurrencies.
func FitScalability(name string, concurrency, throughput []float64) (Scalability, error) {
	n, x := positive(concurrency, throughput)
	different := slices.Compact(slices.Sorted(slices.Values(n)))
	if len(different) < 3 {
		return Scalability{}, errFewLoads
	}
	s := Scalability{Name: name, N: len(n)}
	for i := range n {
		s.Gamma = max(s.Gamma, x[i]/n[i])
	}
	free := map[string][]int{"linear": {0}, "amdahl": {0, 1}, "usl": {0, 1, 2}}[name]
	if free == nil {
		return Scalability{}, errors.New("fit scalability: no law " + name + "; one of linear, amdahl, usl")
	}
	if len(free) > 1 {
		s.Alpha = 0.01
	}
	if len(free) > 2 {
		s.Beta = 1e-4
	}
	s.descend(n, x, free)
	return s, nil
}

// positive leaves out what is no reading.
func positive(concurrency, throughput []float64) (n, x []float64) {
	for i := range min(len(concurrency), len(throughput)) {
		if concurrency[i] > 0 && throughput[i] > 0 && concurrency[i] < 1e9 && throughput[i] < 1e12 {
			n, x = append(n, concurrency[i]), append(x, throughput[i])
		}
	}
	return n, x
}

func (s *Scalability) misfit(n, x []float64) float64 {
	sum := 0.0
	for i := range n {
		d := x[i] - s.At(n[i])
		sum += d * d
	}
	return sum
}

// slopes are the derivatives of At by Gamma, Alpha and Beta.
func (s *Scalability) slopes(n float64) [3]float64 {
	d := 1 + s.Alpha*(n-1) + s.Beta*n*(n-1)
	x := s.Gamma * n / d
	return [3]float64{n / d, -x * (n - 1) / d, -x * n * (n - 1) / d}
}

func (s *Scalability) parameters() [3]*float64 { return [3]*float64{&s.Gamma, &s.Alpha, &s.Beta} }

func (s *Scalability) clamp() {
	s.Gamma = max(s.Gamma, 1e-12)
	s.Alpha = min(max(s.Alpha, 0), 1)
	s.Beta = max(s.Beta, 0)
}

// descend moves the free parameters to the least misfit. One that is at its bound
// and would leave it is held there.
func (s *Scalability) descend(n, x []float64, free []int) {
	damping := 1e-3
	s.Misfit = s.misfit(n, x)
	for range 500 {
		next := *s
		if !next.step(n, x, s.loose(n, x, free), damping) {
			break
		}
		next.clamp()
		next.Misfit = next.misfit(n, x)
		if next.Misfit < s.Misfit {
			done := s.Misfit-next.Misfit < 1e-13*s.Misfit
			*s, damping = next, max(damping/5, 1e-12)
			if done {
				break
			}
		} else if damping *= 4; damping > 1e12 {
			break
		}
	}
	s.errors(n, x, s.loose(n, x, free))
}

// loose are the free parameters that are not pressed against a bound.
func (s *Scalability) loose(n, x []float64, free []int) []int {
	var list []int
	for _, i := range free {
		pull := 0.0
		for k := range n {
			pull += (x[k] - s.At(n[k])) * s.slopes(n[k])[i]
		}
		v := *s.parameters()[i]
		if i > 0 && v <= 0 && pull <= 0 || i == 1 && v >= 1 && pull >= 0 {
			continue
		}
		list = append(list, i)
	}
	return list
}

func (s *Scalability) normal(n, x []float64, loose []int) (*mat.SymDense, *mat.VecDense) {
	a, b := mat.NewSymDense(len(loose), nil), mat.NewVecDense(len(loose), nil)
	for k := range n {
		d, g := x[k]-s.At(n[k]), s.slopes(n[k])
		for i, p := range loose {
			b.SetVec(i, b.AtVec(i)+d*g[p])
			for j := i; j < len(loose); j++ {
				a.SetSym(i, j, a.At(i, j)+g[p]*g[loose[j]])
			}
		}
	}
	return a, b
}

func (s *Scalability) step(n, x []float64, loose []int, damping float64) bool {
	if len(loose) == 0 {
		return false
	}
	a, b := s.normal(n, x, loose)
	for i := range loose {
		a.SetSym(i, i, a.At(i, i)*(1+damping)+1e-300)
	}
	scaled, scale := unit(a)
	var chol mat.Cholesky
	if !chol.Factorize(scaled) {
		return false
	}
	for i := range loose {
		b.SetVec(i, b.AtVec(i)/scale[i])
	}
	move := mat.NewVecDense(len(loose), nil)
	if chol.SolveVecTo(move, b) != nil {
		return false
	}
	for i, p := range loose {
		*s.parameters()[p] += move.AtVec(i) / scale[i]
	}
	return true
}

// unit scales a matrix to ones on its diagonal: parameters differ by magnitudes.
func unit(a *mat.SymDense) (*mat.SymDense, []float64) {
	n := a.SymmetricDim()
	scale := make([]float64, n)
	for i := range n {
		scale[i] = math.Sqrt(max(a.At(i, i), 1e-300))
	}
	s := mat.NewSymDense(n, nil)
	for i := range n {
		for j := i; j < n; j++ {
			s.SetSym(i, j, a.At(i, j)/(scale[i]*scale[j]))
		}
	}
	return s, scale
}

// errors fills in the standard errors from the curvature at the least misfit.
func (s *Scalability) errors(n, x []float64, loose []int) {
	s.SE = [3]float64{}
	if len(n) <= len(loose) || len(loose) == 0 {
		return
	}
	a, _ := s.normal(n, x, loose)
	scaled, scale := unit(a)
	var chol mat.Cholesky
	if !chol.Factorize(scaled) {
		return
	}
	var inverse mat.SymDense
	if chol.InverseTo(&inverse) != nil {
		return
	}
	variance := s.Misfit / float64(len(n)-len(loose))
	for i, p := range loose {
		s.SE[p] = math.Sqrt(variance*inverse.At(i, i)) / scale[i]
	}
}

// BestScalability chooses among linear, Amdahl and USL by forward-chaining
// cross-validation: the lower concurrencies are fitted, and the next predicted. The
// corrected information criterion decides between laws that predict alike
// (within 5%; Hurvich and Tsai 1989).
func BestScalability(concurrency, throughput []float64) (Scalability, error) {
	var best Scalability
	least, found := math.Inf(1), false
	for _, name := range []string{"linear", "amdahl", "usl"} {
		s, err := FitScalability(name, concurrency, throughput)
		if err != nil {
			return Scalability{}, err
		}
		e := forwardScalability(name, concurrency, throughput)
		tie := found && math.Abs(e-least) < 0.05*least
		if !found || tie && s.criterion() < best.criterion() || !tie && e < least {
			best, least, found = s, e, true
		}
	}
	return best, nil
}

// criterion is AICc.
func (s *Scalability) criterion() float64 {
	k := map[string]float64{"linear": 2, "amdahl": 3, "usl": 4}[s.Name]
	n := float64(s.N)
	if n <= k+1 {
		return math.Inf(1)
	}
	return n*math.Log(max(s.Misfit, 1e-300)/n) + 2*k + 2*k*(k+1)/(n-k-1)
}

func forwardScalability(name string, concurrency, throughput []float64) float64 {
	n, x := positive(concurrency, throughput)
	order := make([]int, len(n))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return compare(n[a], n[b]) })
	var sum, count float64
	for m := 3; m < len(order); m++ {
		var fn, fx []float64
		for _, i := range order[:m] {
			fn, fx = append(fn, n[i]), append(fx, x[i])
		}
		s, err := FitScalability(name, fn, fx)
		if err != nil {
			continue
		}
		i := order[m]
		e := s.At(n[i])/x[i] - 1
		sum, count = sum+e*e, count+1
	}
	if count == 0 {
		return math.Inf(1)
	}
	return sum / count
}
