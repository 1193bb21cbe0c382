package capacity

import (
	"math"

	"gonum.org/v1/gonum/optimize"
)

// crosstalk is what requests that are served at the same time cost one another:
// n at once get n/(1 + a(n-1) + b n(n-1)) done in the time that one needs alone
// (the Universal Scalability Law; Gunther 2007). a is the part that is serial, b
// that of keeping pairs in step. The zero value is none.
type crosstalk struct{ a, b float64 }

func (c crosstalk) none() bool { return c == crosstalk{} }

// slowed is by how much each of n requests takes longer than one alone.
func (c crosstalk) slowed(n float64) float64 {
	if n <= 1 {
		return 1
	}
	return 1 + (n-1)*(c.a+c.b*n)
}

// speed is the work that n requests get done in a second on so many cores.
func (c crosstalk) speed(n, cores float64) float64 {
	n = min(n, cores)
	return n / c.slowed(n)
}

// presence is how many requests are there at one time.
type presence struct {
	busy float64 // mean number of cores in use
	mean float64 // mean number of requests
	// slow and slow2 are the mean and the mean square of by how much a short
	// request that arrives takes longer than alone.
	slow, slow2 float64
}

// present is the law of the number of requests when work (seconds of one core
// alone) arrives in a second: with service shared evenly, the number is as in a
// birth-death process whatever the distribution of the work (insensitivity;
// Kelly 1979).
func (c crosstalk) present(work, cores float64) presence {
	if !(work > 0) {
		return presence{slow: 1, slow2: 1}
	}
	full := c.speed(cores, cores)
	ratio := min(work/full, 1-1e-9)
	weight, sum := 1.0, 0.0
	var p presence
	n := 0.0
	for ; n < min(cores, mostCores); n++ { // states in which another request still finds a core, or part of one
		slow := (n + 1) / c.speed(n+1, cores)
		sum += weight
		p.busy += weight * n
		p.mean += weight * n
		p.slow += weight * slow
		p.slow2 += weight * slow * slow
		weight *= work / c.speed(n+1, cores)
		if weight > 1e200 { // only ratios count
			weight, sum, p.busy, p.mean, p.slow, p.slow2 = weight/1e200, sum/1e200, p.busy/1e200, p.mean/1e200, p.slow/1e200, p.slow2/1e200
		}
	}
	// From n on, all cores are busy and each state is ratio times the one before.
	one := 1 / (1 - ratio)
	first := ratio * one * one                      // sum of k ratio^k
	second := ratio * (1 + ratio) * one * one * one // sum of k^2 ratio^k
	m := n + 1
	sum += weight * one
	p.busy += weight * one * cores
	p.mean += weight * (n*one + first)
	p.slow += weight * (m*one + first) / full
	p.slow2 += weight * (m*m*one + 2*m*first + second) / (full * full)
	p.busy, p.mean, p.slow, p.slow2 = p.busy/sum, p.mean/sum, p.slow/sum, p.slow2/sum
	return p
}

// mostCores bounds the states that are summed up: a limit of more is one in another
// unit (nanocores, say), and the sum would not end.
const mostCores = 4096

// usual are the coefficients that published fits of the law have, as means and
// standard deviations of their logarithms: the two of usl_test.go have a = 0.027
// and b = 0.0001 and 0.0008. They settle what readings below the limit leave open,
// which is mostly how the cost is split between a and b.
var usual = struct{ mean, sd [2]float64 }{
	mean: [2]float64{math.Log(0.025), math.Log(2e-4)}, sd: [2]float64{1, 1.5},
}

// refineCrosstalk fits the utilisation law of cores on which requests cost one
// another time: demand, a and b by penalised least squares, the base besides.
func refineCrosstalk(us []use, guess line, limit float64, steps int) (line, float64) {
	w := weights(us, guess)
	for i := range w {
		w[i] *= max(guess.precise, 1)
	}
	start := guess
	if start.talk.none() {
		start.talk = crosstalk{math.Exp(usual.mean[0]), math.Exp(usual.mean[1])}
		start.base, start.demand = 0, leastDemand(us)/start.talk.slowed(1+0.2*limit)
	}
	at := func(x []float64) (line, float64) {
		l := line{base: start.base, demand: math.Exp(x[0]), talk: crosstalk{math.Exp(x[1]), math.Exp(x[2])}, limit: limit, precise: guess.precise}
		var above, sum float64
		for i, u := range us {
			above, sum = above+w[i]*(u.used-l.at(u.load)+l.base), sum+w[i]
		}
		l.base = min(max(above/sum, 0), 0.5*limit)
		cost := 0.0
		for i, u := range us {
			d := u.used - l.at(u.load)
			cost += w[i] * d * d
		}
		for i, v := range x[1:] {
			z := (v - usual.mean[i]) / usual.sd[i]
			cost += z * z
		}
		if math.IsNaN(cost) {
			cost = math.Inf(1)
		}
		return l, cost
	}
	x := []float64{math.Log(start.demand), math.Log(start.talk.a), math.Log(start.talk.b)}
	result, err := optimize.Minimize(optimize.Problem{Func: func(x []float64) float64 {
		_, cost := at(x)
		return min(cost, 1e12)
	}}, x, &optimize.Settings{FuncEvaluations: steps, Converger: optimize.NeverTerminate{}}, &optimize.NelderMead{SimplexSize: 0.1})
	if result != nil && (err == nil || len(result.X) == 3) && result.F < 1e12 {
		copy(x, result.X)
	}
	return at(x)
}

// leastDemand is a first guess of what a request uses where it is alone.
func leastDemand(us []use) float64 {
	least := math.Inf(1)
	for _, u := range us {
		if u.load > 0 && u.used > 0 {
			least = min(least, u.used/u.load)
		}
	}
	return least
}
