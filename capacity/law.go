package capacity

import "math"

// Law is how the use of a resource grows with the load X, in requests/s:
//
//	use = Base + Demand*X/(1 - Pole*X) + Bend*X^2
//
// or, of Cores on which requests cost each other time, Base and the mean number of
// cores that are busy, with Serial and Pairs for the a and b of the Universal
// Scalability Law (Gunther 2007). It is what a fit found, for those who price use or
// ask it of other loads than a limit.
type Law struct {
	// Base is what is used at rest, Demand what a request takes where it is alone
	// (resource-seconds).
	Base   float64 `json:"base"`
	Demand float64 `json:"demand"`
	// Bend is in resource-seconds by requests/s, Pole in s.
	Bend float64 `json:"bend,omitempty"`
	Pole float64 `json:"pole,omitempty"`
	// Serial and Pairs are ratios, and Cores how many there are, of which Base takes
	// its part; 0 without crosstalk.
	Serial float64 `json:"serial,omitempty"`
	Pairs  float64 `json:"pairs,omitempty"`
	Cores  float64 `json:"cores,omitempty"`
}

// lawOf is the law that a fit found.
func lawOf(l line) *Law {
	out := Law{Base: l.base, Demand: l.demand, Bend: l.bend, Pole: l.pole, Serial: l.talk.a, Pairs: l.talk.b}
	if !l.talk.none() {
		out.Cores = l.limit
	}
	return &out
}

func (l Law) line() line {
	return line{base: l.Base, demand: l.Demand, bend: l.Bend, pole: l.Pole, talk: crosstalk{l.Serial, l.Pairs}, limit: l.Cores}
}

// Curved says that a request takes more at a higher load.
func (l Law) Curved() bool { return l.line().curved() }

// At is the use at a load; +Inf at and beyond the pole.
func (l Law) At(load float64) float64 { return l.line().at(load) }

// Slope is what one more request takes at a load, the derivative of At.
func (l Law) Slope(load float64) float64 { return l.line().slope(load) }

// Reaches is the load at which so much is used: 0 if that is used at rest, +Inf if it
// never is.
func (l Law) Reaches(use float64) float64 {
	x := l.line()
	if x.talk.none() || use >= l.Cores {
		return x.reaches(use)
	}
	// With crosstalk only the load at which all cores are busy has a closed form. At rises.
	low, high := 0.0, x.reaches(l.Cores)
	for range 60 {
		if middle := (low + high) / 2; x.at(middle) > use {
			high = middle
		} else {
			low = middle
		}
	}
	return low
}

// Slowed is the law if everything takes k times as long: at a load of X/k requests take
// what they took at X. rest is by how much what is used at rest changes.
func (l Law) Slowed(k, rest float64) Law {
	l.Base *= rest
	l.Demand *= k
	l.Pole *= k
	l.Bend *= k * k
	return l
}

// slope is the derivative of at: what one more request takes at a load.
func (l line) slope(load float64) float64 {
	if l.talk.none() {
		rest := 1 - l.pole*load
		if rest <= 0 {
			return math.Inf(1)
		}
		return l.demand/(rest*rest) + 2*l.bend*load
	}
	// A central difference, as present sums up states. Its error is of the order of
	// apart^2, and beyond the load at which all cores are busy they use no more.
	top := l.reaches(l.limit)
	high := min(load*(1+centred), top)
	low := min(load, top) * (1 - centred)
	if !(high > low) {
		return l.demand // alone
	}
	return (l.at(high) - l.at(low)) / (high - low)
}

// centred is how far apart, as a ratio, the loads of a central difference are on each side.
const centred = 1e-4
