// Package attribution splits the use of a resource over the requests of a mix: a
// regression of use on the rate of each request, over steps whose mix varies.
//
//	U = U0 + sum over requests i of D_i * x_i,   U0, D_i >= 0
//
// U is the use of the resource in a step (cores), x_i the rate of request i, D_i
// its demand (core-seconds for one request). It is the utilisation law of a
// multi-class system (Denning and Buzen 1978; Zhang, Cherkasova, Smirni 2007), and
// it is identified only as far as the mix varies: with one mix throughout, any
// split of the demand explains the data. How far it is, says the condition number
// of the rates.
package attribution

import (
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

const (
	// separable is the condition number of the rates, each scaled to length one,
	// up to which the requests are told apart: an error of the readings comes back
	// as at most this many times as much in the demands.
	separable = 30.0
	// wide is the relative half width of an interval from which on it is said.
	wide = 0.5
	// replicates of the bootstrap.
	replicates = 300
	// mostRequests bounds the columns of the regression.
	mostRequests = 50
)

// Figure is a value with its 90% interval.
type Figure struct{ Value, Low, High float64 }

// Request is what one request takes.
type Request struct {
	Name string
	// Share of the mix, over all steps but those that varied it.
	Share float64
	// Demand is resource-seconds for one request.
	Demand Figure
	// Known says that the interval is narrower than the value by half.
	Known bool
}

// Resource is how the use of a resource splits.
type Resource struct {
	Name, Unit string
	// Base is what is used at rest.
	Base     float64
	Requests []Request
}

// Attribution is how all resources split.
type Attribution struct {
	Resources []Resource
	// Condition is the condition number of the rates; infinite if a request's rate
	// follows from the others'.
	Condition float64
	// Identified says that the requests can be told apart.
	Identified bool
	// Steps is how many steps were used, Varied how many of them varied the mix.
	Steps, Varied int
}

// Analyse splits the use of the resources named, as far as points have them. Steps
// that were cut, or served clearly less than they were offered, are left out: what
// was in flight is not what was served. It is a pure function of its arguments.
func Analyse(points []observation.Point, resources []string, seed uint64) *Attribution {
	use := usable(points)
	names := requestNames(use)
	if len(names) < 2 || len(names) > mostRequests || len(use) == 0 {
		return nil
	}
	a := &Attribution{Steps: len(use), Condition: condition(rates(use, names))}
	for _, p := range use {
		if p.Kind == scenarios.KindAttribute {
			a.Varied++
		}
	}
	a.Identified = a.Condition <= separable && len(use) > len(names)+1
	shares := shares(use, names)
	for k, name := range resources {
		if r, ok := split(use, names, shares, name, seed+uint64(k)); ok {
			a.Resources = append(a.Resources, r)
		}
	}
	return a
}

func usable(points []observation.Point) []observation.Point {
	var out []observation.Point
	for _, p := range points {
		// Poisson arrivals of a log vary by sqrt(n), those of a drill by less: a step may be
		// short by that, and serve all.
		slack := 4 * math.Sqrt(p.Offered/max(p.Seconds, 1))
		served := p.Throughput >= (0.93*p.Offered-slack)*(1-p.ErrorRatio)
		if p.Valid && p.Cut == "" && p.Offered > 0 && p.Seconds > 0 && served && p.OK+p.Failed > 0 {
			out = append(out, p)
		}
	}
	return out
}

func requestNames(points []observation.Point) []string {
	var names []string
	for _, p := range points {
		for name, f := range p.Requests {
			if f.OK+f.Failed > 0 && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return names
}

// rates has a row for each step: 1 for what is used at rest, then the rate of each
// request.
func rates(points []observation.Point, names []string) [][]float64 {
	out := make([][]float64, len(points))
	for i, p := range points {
		row := make([]float64, 1+len(names))
		row[0] = 1
		for j, name := range names {
			f := p.Requests[name]
			row[1+j] = float64(f.OK+f.Failed) / p.Seconds
		}
		out[i] = row
	}
	return out
}

// shares of the mix as it is: without the steps that varied it, if there are others.
func shares(points []observation.Point, names []string) []float64 {
	sum := func(varied bool) ([]float64, float64) {
		counts, total := make([]float64, len(names)), 0.0
		for _, p := range points {
			if (p.Kind == scenarios.KindAttribute) && !varied {
				continue
			}
			for j, name := range names {
				f := p.Requests[name]
				counts[j] += float64(f.OK + f.Failed)
				total += float64(f.OK + f.Failed)
			}
		}
		return counts, total
	}
	counts, total := sum(false)
	if total == 0 {
		counts, total = sum(true)
	}
	for j := range counts {
		counts[j] /= max(total, 1)
	}
	return counts
}

// split fits one resource, and refits it over steps drawn with replacement.
func split(points []observation.Point, names []string, shares []float64, resource string, seed uint64) (Resource, bool) {
	var read []observation.Point
	out := Resource{Name: resource}
	for _, p := range points {
		if u, ok := p.Resources[resource]; ok && u.Used >= 0 && !math.IsInf(u.Used, 0) {
			read = append(read, p)
			out.Unit = u.Unit
		}
	}
	if len(read) <= len(names) {
		return out, false
	}
	x, y, w := rates(read, names), make([]float64, len(read)), make([]float64, len(read))
	for i, p := range read {
		y[i] = p.Resources[resource].Used
	}
	typical := median(y)
	for i, p := range read {
		// Readings err by a share of themselves, and the small ones by a constant.
		w[i] = math.Sqrt(min(p.Seconds, 60)) / max(y[i], 0.2*typical, 1e-12)
	}
	fit := nonNegative(x, y, w)
	rng := rand.New(rand.NewPCG(seed, 0xa77))
	draws := make([][]float64, len(fit))
	for range replicates {
		drawn := resampled(x, y, w, fit, rng)
		for j, v := range nonNegative(x, drawn, w) {
			draws[j] = append(draws[j], v)
		}
	}
	out.Base = fit[0]
	for j, name := range names {
		f := interval(fit[1+j], draws[1+j])
		out.Requests = append(out.Requests, Request{Name: name, Share: shares[j], Demand: f,
			Known: f.Value > 0 && (f.High-f.Low)/2 <= wide*f.Value})
	}
	return out, true
}

// resampled draws readings around the fit: residuals in units of their weight, each
// with a random sign, so that no step is lost that the split rests on (a residual
// bootstrap). They are made larger by the freedom that the fit took, and by how
// much farther Student's tails reach than the normal's for what is left of it.
func resampled(x [][]float64, y, w, fit []float64, rng *rand.Rand) []float64 {
	free := 0
	for _, v := range fit {
		if v > 0 {
			free++
		}
	}
	left := float64(max(len(y)-free, 1))
	scale := math.Sqrt(float64(len(y))/left) * distuv.StudentsT{Sigma: 1, Nu: left}.Quantile(0.95) / 1.645
	residuals := make([]float64, len(y))
	for i := range y {
		residuals[i] = scale * w[i] * (y[i] - dot(x[i], fit))
	}
	out := make([]float64, len(y))
	for i := range y {
		sign := 1.0
		if rng.IntN(2) == 0 {
			sign = -1
		}
		out[i] = max(dot(x[i], fit)+sign*residuals[rng.IntN(len(residuals))]/w[i], 0)
	}
	return out
}

func median(values []float64) float64 {
	sorted := slices.Clone(values)
	slices.Sort(sorted)
	return sorted[len(sorted)/2]
}

func dot(a, b []float64) float64 {
	sum := 0.0
	for i := range a {
		sum += a[i] * b[i]
	}
	return sum
}

func interval(value float64, draws []float64) Figure {
	slices.Sort(draws)
	at := func(q float64) float64 { return draws[int(q*float64(len(draws)-1)+0.5)] }
	return Figure{Value: value, Low: min(at(0.05), value), High: max(at(0.95), value)}
}
