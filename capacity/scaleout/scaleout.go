// Package scaleout fits drills at several replica counts together: how much of
// its capacity a replica keeps when there are n of them, and beyond which count
// another one no longer pays.
//
// The law is the Universal Scalability Law over replicas (Gunther 1993, with n
// for the number of replicas):
//
//	X(n) = g n / (1 + a (n-1) + b n (n-1)),  g > 0, 0 <= a <= 1, b >= 0
//
// a is what replicas share and queue for (a database, a lock), b what they spend
// on agreeing with each other. It is the law, and the solver, of package capacity.
package scaleout

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/headroom-project/headroom/capacity"
)

// Count is what a drill found of n replicas.
type Count struct {
	Replicas int
	// RPS is the capacity, Low and High its 90% interval.
	RPS, Low, High float64
}

// Config says how counts are fitted.
type Config struct {
	// Worth is the share of the first replica's capacity that another one must
	// add to pay; 0 is half.
	Worth float64
	// Peak is a load that must be carried, 0 for none.
	Peak float64
	// Replicates of the bootstrap; 0 is 400. Seed makes it repeatable.
	Replicates int
	Seed       uint64
}

// Law is a fit: coefficients with their 90% intervals.
type Law struct {
	// Name is linear, Amdahl or USL: the simplest that explains the counts (AIC,
	// with the variance of the drills' own intervals).
	Name  string `json:"name"`
	Gamma Figure `json:"gamma"` // capacity of one, requests/s
	Alpha Figure `json:"alpha"`
	Beta  Figure `json:"beta"`
}

// Figure is a value with its interval.
type Figure struct {
	Value float64 `json:"value"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
}

// Row is one replica count.
type Row struct {
	Replicas int `json:"replicas"`
	// Measured is nil for a count that was not drilled.
	Measured *Figure `json:"measured_rps,omitempty"`
	// RPS is by the law.
	RPS Figure `json:"rps"`
	// Efficiency is X(n) / (n X(1)) by the law; Gain what the n-th replica adds, in
	// requests/s.
	Efficiency Figure `json:"efficiency"`
	Gain       Figure `json:"gain_rps"`
}

// Fit is the outcome.
type Fit struct {
	Law  Law   `json:"law"`
	Rows []Row `json:"rows"`
	// PaysUpTo is the last count whose replica adds what it must; Bounded is false
	// if all counts looked at do.
	PaysUpTo int     `json:"pays_up_to"`
	Between  [2]int  `json:"pays_up_to_between"`
	Bounded  bool    `json:"bounded"`
	Worth    float64 `json:"worth"`
	// PeakAt is the count at which the capacity is greatest, 0 if none was
	// identified: the interval of beta reaches 0.
	PeakAt int `json:"peak_at,omitempty"`
	// PeakBetween is the 90% interval of that count, from what the drills leave open; a
	// second 0 is no peak up to the most that are looked at. PeakSure is the probability
	// that there is one. Both are there if PeakAt is.
	PeakBetween []int   `json:"peak_at_between,omitempty"`
	PeakSure    float64 `json:"peak_probability,omitempty"`
	// PeakRPS is the peak that was asked for, in requests/s; 0 for none.
	PeakRPS float64 `json:"peak_rps,omitempty"`
	// ForPeak is the least count whose low end carries the peak; 0 if none does or
	// none was asked for.
	ForPeak  int      `json:"for_peak,omitempty"`
	Warnings []string `json:"warnings"`
}

// mostReplicas bounds what is looked at beyond the counts that were drilled.
const mostReplicas = 1000

// ErrFew is returned for less than two different counts.
var ErrFew = errors.New("a fit over replicas needs drills at two different counts at least")

// Analyse fits counts.
func Analyse(counts []Count, c Config) (*Fit, error) {
	if c.Worth == 0 {
		c.Worth = 0.5
	}
	if c.Replicates <= 0 {
		c.Replicates = 400
	}
	all, err := checked(counts)
	if err != nil {
		return nil, err
	}
	f := &Fit{Worth: c.Worth, PeakRPS: max(c.Peak, 0), Warnings: []string{}}
	best, name := choose(all)
	draws := redraw(apart(all, best, name), c)
	f.Law = Law{Name: name,
		Gamma: figure(best.Gamma, draws, func(l law) float64 { return l.Gamma }),
		Alpha: figure(best.Alpha, draws, func(l law) float64 { return l.Alpha }),
		Beta:  figure(best.Beta, draws, func(l law) float64 { return l.Beta })}
	top := all[len(all)-1].Replicas
	f.pays(best, draws, top)
	if f.Law.Beta.Low > 0 {
		f.peak(best, draws)
	}
	f.rows(all, best, draws, c)
	f.doubts(all, best, top, c)
	return f, nil
}

// checked sorts counts, and refuses what says nothing.
func checked(counts []Count) ([]Count, error) {
	all := slices.Clone(counts)
	slices.SortStableFunc(all, func(a, b Count) int { return a.Replicas - b.Replicas })
	for _, x := range all {
		if x.Replicas < 1 || x.Replicas > mostReplicas {
			return nil, fmt.Errorf("%d replicas is not between 1 and %d", x.Replicas, mostReplicas)
		}
		if !(x.RPS > 0 && x.RPS < 1e12 && x.Low > 0 && x.Low <= x.RPS && x.High >= x.RPS && x.High < 1e12) {
			return nil, fmt.Errorf("%d replicas: no capacity with an interval around it: %g (%g to %g)", x.Replicas, x.RPS, x.Low, x.High)
		}
	}
	if len(all) == 0 || all[0].Replicas == all[len(all)-1].Replicas {
		return nil, ErrFew
	}
	return all, nil
}

// sd is the standard deviation of the log of the capacity, at least a hundredth:
// drills of the same target differ by that anyway.
func (x Count) sd() float64 { return max(math.Log(x.High/x.Low)/3.29, 0.01) }

// law is the law of package capacity, over replicas.
type law struct{ capacity.Scalability }

// solve fits the law named; every count may be off by its own interval.
func solve(all []Count, name string) law {
	r := capacity.Readings{}
	for _, x := range all {
		r.Concurrency, r.Throughput = append(r.Concurrency, float64(x.Replicas)), append(r.Throughput, x.RPS)
		r.SD = append(r.SD, x.sd()*x.RPS)
	}
	s, err := capacity.FitScalability(name, r)
	if err != nil {
		// Counts are checked, and a law is only asked for where they suffice.
		return law{capacity.Scalability{Gamma: math.NaN()}}
	}
	return law{s}
}

func (l law) gain(n int) float64 {
	if n <= 1 {
		return l.At(1)
	}
	return l.At(float64(n)) - l.At(float64(n-1))
}

// peak is sqrt((1-a)/b).
func (l law) peak() int { return int(math.Round(math.Sqrt(max(1-l.Alpha, 0) / l.Beta))) }

// misfit is the sum of squared deviations in standard deviations.
func (l law) misfit(all []Count) float64 {
	sum := 0.0
	for _, x := range all {
		d := math.Log(x.RPS/l.At(float64(x.Replicas))) / x.sd()
		sum += d * d
	}
	return sum
}

// laws are what is fitted, the simplest first, as they are called in results.
var laws = []struct{ name, called string }{{capacity.Linear, "linear"}, {capacity.Amdahl, "Amdahl"}, {capacity.USL, "USL"}}

// distinct is how many counts differ; all are sorted.
func distinct(all []Count) int {
	return len(slices.CompactFunc(slices.Clone(all), func(a, b Count) bool { return a.Replicas == b.Replicas }))
}

// choose takes the law with the least AIC: misfit plus two for each coefficient.
func choose(all []Count) (law, string) {
	best, name, least := law{}, "", math.Inf(1)
	for k, n := range laws[:min(distinct(all), len(laws))] {
		l := solve(all, n.name)
		if score := l.misfit(all) + 2*float64(k+1); score < least {
			best, name, least = l, n.called, score
		}
	}
	return best, name
}

// apart are the counts with intervals as wide as the counts lie off the law: where they do so by
// more than their intervals say, drills differ by something else (the ratio of R. T. Birge, 1932).
func apart(all []Count, best law, name string) []Count {
	free := float64(len(all) - 1 - slices.IndexFunc(laws, func(l struct{ name, called string }) bool { return l.called == name }))
	ratio := math.Sqrt(best.misfit(all) / max(free, 1))
	if !(ratio > 1) || !(free > 0) {
		return all
	}
	wide := slices.Clone(all)
	for i, x := range wide {
		by := math.Exp(3.29 / 2 * ratio * x.sd())
		wide[i].Low, wide[i].High = x.RPS/by, x.RPS*by
	}
	return wide
}

// furthest is the count that alone keeps the others from one curve; ok is false if none does.
func furthest(all []Count) (worst Count, ok bool) {
	if len(all) < 5 {
		return worst, false // of fewer, any may be it
	}
	for i := range all {
		rest := slices.Delete(slices.Clone(all), i, i+1)
		if distinct(rest) < 3 {
			continue
		}
		if l, _ := choose(rest); l.misfit(rest) <= 4*float64(len(rest)) {
			if ok {
				return worst, false // either of two
			}
			worst, ok = all[i], true
		}
	}
	return worst, ok
}

// redraw fits the full law to capacities drawn from their intervals.
func redraw(all []Count, c Config) []law {
	rng := rand.New(rand.NewPCG(c.Seed, 0x5ca1e))
	full := laws[min(distinct(all), len(laws))-1].name
	out := make([]law, 0, c.Replicates)
	drawn := slices.Clone(all)
	for range c.Replicates {
		for i := range drawn {
			drawn[i].RPS = all[i].RPS * math.Exp(all[i].sd()*rng.NormFloat64())
		}
		out = append(out, solve(drawn, full))
	}
	return out
}

func figure(value float64, draws []law, of func(law) float64) Figure {
	values := make([]float64, len(draws))
	for i, d := range draws {
		values[i] = of(d)
	}
	slices.Sort(values)
	at := func(q float64) float64 { return values[int(q*float64(len(values)-1)+0.5)] }
	return Figure{Value: value, Low: min(at(0.05), value), High: max(at(0.95), value)}
}

// pays finds the last count that adds what it must.
func (f *Fit) pays(best law, draws []law, top int) {
	most := min(max(4*top, 20), mostReplicas)
	last := func(l law) int {
		n := 1
		for n < most && l.gain(n+1) >= f.Worth*l.At(1) {
			n++
		}
		return n
	}
	f.PaysUpTo = last(best)
	f.Bounded = f.PaysUpTo < most
	ends := make([]int, len(draws))
	for i, d := range draws {
		ends[i] = last(d)
	}
	slices.Sort(ends)
	f.Between = [2]int{min(ends[len(ends)/20], f.PaysUpTo), max(ends[len(ends)*19/20], f.PaysUpTo)}
}

// peak finds the count at which the capacity is greatest, and how sure that is.
func (f *Fit) peak(best law, draws []law) {
	f.PeakAt = max(1, best.peak())
	counts := make([]float64, len(draws))
	for i, d := range draws {
		counts[i] = math.Inf(1)
		if d.Beta > 0 && math.Sqrt(max(1-d.Alpha, 0)/d.Beta) <= mostReplicas {
			counts[i] = float64(max(1, d.peak()))
			f.PeakSure += 1 / float64(len(draws))
		}
	}
	slices.Sort(counts)
	last := len(counts) - 1
	f.PeakBetween = []int{min(int(min(counts[last/20], mostReplicas)), f.PeakAt), 0}
	if high := counts[(19*last+19)/20]; !math.IsInf(high, 1) {
		f.PeakBetween[1] = max(int(high), f.PeakAt)
	}
}

// rows has every count up to twice what was drilled, and those that matter beyond.
func (f *Fit) rows(all []Count, best law, draws []law, c Config) {
	top := all[len(all)-1].Replicas
	most := min(max(2*top, 4), mostReplicas)
	row := func(n int) Row {
		at := float64(n)
		return Row{
			Replicas: n, RPS: figure(best.At(at), draws, func(l law) float64 { return l.At(at) }),
			Efficiency: figure(best.At(at)/at/best.At(1), draws, func(l law) float64 { return l.At(at) / at / l.At(1) }),
			Gain:       figure(best.gain(n), draws, func(l law) float64 { return l.gain(n) }),
		}
	}
	for n := 1; n <= most; n++ {
		r := row(n)
		for _, x := range all {
			if x.Replicas == n {
				r.Measured = &Figure{x.RPS, x.Low, x.High}
			}
		}
		if n <= 16 || r.Measured != nil || n == f.PaysUpTo || n == most {
			f.Rows = append(f.Rows, r)
		}
	}
	for n := 1; c.Peak > 0 && n <= mostReplicas; n++ {
		if row(n).RPS.Low >= c.Peak {
			f.ForPeak = n
			return
		}
	}
}

func (f *Fit) warn(format string, args ...any) {
	f.Warnings = append(f.Warnings, fmt.Sprintf(format, args...))
}

func (f *Fit) doubts(all []Count, best law, top int, c Config) {
	if len(all) < 4 {
		f.warn("only %d drills: the law has three coefficients; hint: drill at four counts or more, with the smallest and the largest that you run", len(all))
	}
	if all[0].Replicas != 1 {
		f.warn("no drill of one replica: what one alone carries is extrapolated")
	}
	if n := float64(len(all)); best.misfit(all) > 4*n {
		text := "the drills do not lie on one curve within their intervals, which are taken to be as wide as that: something else changed between them"
		if x, ok := furthest(all); ok {
			text += fmt.Sprintf("; without that of %d (%.4g/s) the others do: drill it again", x.Replicas, x.RPS)
		}
		f.warn("%s", text)
	}
	switch {
	case f.Bounded && f.PaysUpTo > 2*top:
		f.warn("the count up to which replicas pay is extrapolated to %.1f times what was drilled", float64(f.PaysUpTo)/float64(top))
	case !f.Bounded:
		f.warn("no count beyond which replicas do not pay was identified; it is above %d, if there is one", f.PaysUpTo)
	}
	if f.PeakAt > top {
		f.warn("no drill went to the %d replicas from which more are said to carry less: that is the law's, beyond the %d that were drilled", f.PeakAt, top)
	}
	if f.PeakAt == 0 {
		f.warn("no peak identified: the data do not show that more replicas ever carry less")
	}
	if c.Peak > 0 && f.ForPeak == 0 {
		f.warn("no number of replicas up to %d carries %.4g/s for sure", mostReplicas, c.Peak)
	}
}
