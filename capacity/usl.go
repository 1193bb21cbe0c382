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
	// SE are the standard errors of Gamma, Alpha and Beta, as though no bound were
	// there: what is held at its bound may lie so far inside. +Inf where there are no
	// more readings than the law has coefficients.
	SE [3]float64
	// Name is "linear", "amdahl" or "usl".
	Name string
	// Misfit is the sum of squared distances over N readings, each divided by its
	// variance (in units of the throughputs squared, where none was given).
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

// Readings are throughputs at concurrencies (requests in flight, users, threads,
// replicas).
type Readings struct {
	Concurrency, Throughput []float64
	// SD are standard deviations of the throughputs, or anything in proportion to
	// them; nil where all are known equally well.
	SD []float64
}

var errFewLoads = errors.New("fit scalability: fewer different concurrencies above 0 than the law has coefficients; run steps at more loads")

// coefficients of each law, of Gamma, Alpha and Beta in this order.
var coefficients = map[string]int{Linear: 1, Amdahl: 2, USL: 3}

// Names of the laws.
const (
	Linear = "linear"
	Amdahl = "amdahl"
	USL    = "usl"
)

// FitScalability fits the law named (Linear, Amdahl, USL) to readings by bounded
// least squares: from the exact solution of its inverse (inverse.go) by
// Gauss-Newton with Levenberg's damping (Marquardt 1963). It fails with fewer
// different concurrencies than the law has coefficients.
func FitScalability(name string, r Readings) (Scalability, error) {
	terms := coefficients[name]
	if terms == 0 {
		return Scalability{}, errors.New("fit scalability: no law " + name + "; one of linear, amdahl, usl")
	}
	all := r.positive()
	if all.different(1) < terms {
		return Scalability{}, errFewLoads
	}
	s := all.inverse(terms)
	s.Name, s.N = name, len(all)
	s.descend(all, []int{0, 1, 2}[:terms])
	return s, nil
}

// yield is a throughput x at a concurrency n; weight is one over its variance.
type yield struct{ n, x, weight float64 }

type yields []yield

// positive leaves out what is no reading.
func (r Readings) positive() yields {
	var all yields
	for i := range min(len(r.Concurrency), len(r.Throughput)) {
		x := yield{r.Concurrency[i], r.Throughput[i], 1}
		if r.SD != nil {
			if i >= len(r.SD) || !(r.SD[i] > 0) || math.IsInf(r.SD[i], 0) {
				continue
			}
			x.weight = 1 / (r.SD[i] * r.SD[i])
		}
		if x.n > 0 && x.x > 0 && x.n < 1e9 && x.x < 1e12 {
			all = append(all, x)
		}
	}
	return all
}

// different is how many concurrencies there are, each more than by times the one
// before it.
func (all yields) different(by float64) int {
	n := make([]float64, len(all))
	for i, r := range all {
		n[i] = r.n
	}
	slices.Sort(n)
	count, last := 0, 0.0
	for _, v := range n {
		if v > by*last {
			count, last = count+1, v
		}
	}
	return count
}

func (s *Scalability) misfit(all yields) float64 {
	sum := 0.0
	for _, r := range all {
		d := r.x - s.At(r.n)
		sum += r.weight * d * d
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
func (s *Scalability) descend(all yields, free []int) {
	damping := 1e-3
	s.Misfit = s.misfit(all)
	for range 500 {
		if s.Misfit == 0 {
			break
		}
		next := *s
		if !next.step(all, s.loose(all, free), damping) {
			break
		}
		next.clamp()
		next.Misfit = next.misfit(all)
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
	s.errors(all, free)
}

// loose are the free parameters that are not pressed against a bound.
func (s *Scalability) loose(all yields, free []int) []int {
	var list []int
	for _, i := range free {
		pull := 0.0
		for _, r := range all {
			pull += r.weight * (r.x - s.At(r.n)) * s.slopes(r.n)[i]
		}
		v := *s.parameters()[i]
		if i > 0 && v <= 0 && pull <= 0 || i == 1 && v >= 1 && pull >= 0 {
			continue
		}
		list = append(list, i)
	}
	return list
}

func (s *Scalability) normal(all yields, loose []int) (*mat.SymDense, *mat.VecDense) {
	a, b := mat.NewSymDense(len(loose), nil), mat.NewVecDense(len(loose), nil)
	for _, r := range all {
		d, g := r.x-s.At(r.n), s.slopes(r.n)
		for i, p := range loose {
			b.SetVec(i, b.AtVec(i)+r.weight*d*g[p])
			for j := i; j < len(loose); j++ {
				a.SetSym(i, j, a.At(i, j)+r.weight*g[p]*g[loose[j]])
			}
		}
	}
	return a, b
}

func (s *Scalability) step(all yields, loose []int, damping float64) bool {
	if len(loose) == 0 {
		return false
	}
	a, b := s.normal(all, loose)
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

// errors fills in the standard errors of the free parameters from the curvature at
// the least misfit. One that is held at its bound counts like the others: the
// bound says where it cannot be, and not how well it is known.
func (s *Scalability) errors(all yields, free []int) {
	s.SE = [3]float64{}
	for _, p := range free {
		s.SE[p] = math.Inf(1)
	}
	if len(all) <= len(free) {
		return
	}
	a, _ := s.normal(all, free)
	scaled, scale := unit(a)
	var chol mat.Cholesky
	if !chol.Factorize(scaled) {
		return
	}
	var inverse mat.SymDense
	if chol.InverseTo(&inverse) != nil {
		return
	}
	variance := s.Misfit / float64(len(all)-len(free))
	for i, p := range free {
		s.SE[p] = math.Sqrt(variance*inverse.At(i, i)) / scale[i]
	}
}

// BestScalability chooses among linear, Amdahl and USL by forward-chaining
// cross-validation: the lower concurrencies are fitted, and the next predicted. The
// corrected information criterion decides between laws that predict alike
// (within 5%; Hurvich and Tsai 1989).
func BestScalability(r Readings) (Scalability, error) {
	var best Scalability
	least, found := math.Inf(1), false
	for _, name := range []string{Linear, Amdahl, USL} {
		s, err := FitScalability(name, r)
		if err != nil {
			return Scalability{}, err
		}
		e := forwardScalability(name, r)
		tie := found && math.Abs(e-least) < 0.05*least
		if !found || tie && s.criterion() < best.criterion() || !tie && e < least {
			best, least, found = s, e, true
		}
	}
	return best, nil
}

// criterion is AICc.
func (s *Scalability) criterion() float64 {
	k := float64(coefficients[s.Name] + 1)
	n := float64(s.N)
	if n <= k+1 {
		return math.Inf(1)
	}
	return n*math.Log(max(s.Misfit, 1e-300)/n) + 2*k + 2*k*(k+1)/(n-k-1)
}

// forwardScalability is the mean squared relative error of predicting each
// throughput from those at lower concurrencies; +Inf where there are too few.
func forwardScalability(name string, r Readings) float64 {
	all := r.positive()
	slices.SortStableFunc(all, func(a, b yield) int { return compare(a.n, b.n) })
	var sum, count float64
	for m := 3; m < len(all); m++ {
		lower := all[:m]
		if lower.different(1) < coefficients[name] {
			continue
		}
		s := lower.inverse(coefficients[name])
		s.descend(lower, []int{0, 1, 2}[:coefficients[name]])
		e := s.At(all[m].n)/all[m].x - 1
		sum, count = sum+e*e, count+1
	}
	if count == 0 {
		return math.Inf(1)
	}
	return sum / count
}
