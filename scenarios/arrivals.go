package scenarios

import (
	"math"
	"time"
)

// arrivals generates the planned instants of a step's hits, in order and
// lazily, from the plan's seed and the step alone.
//
// A Poisson process of which the number on a step is known has its instants there one
// independently of another (Lewis and Shedler 1979). The number is the integrated rate: a
// step offers what it says, and not that give or take the square root of its hits, which
// would be noise of the load in what is read at it. Where that is no whole number, chance
// rounds it, so that it is right in the mean, and a step of half a hit has one every other
// time. Spans that are short beside the step vary nearly as in a Poisson process.
//
// The smallest of r uniform variates on the rest of the step leaves a share U^(1/r) of it
// (Devroye, Non-Uniform Random Variate Generation, 1986, V.3), so the order costs one
// exponential a hit and no memory. The number is known before the first hit is generated,
// and is the same on all workers even if their floating-point units round apart.
// For a load that is not flat the uniform share is mapped through the inverse of
// the integrated rate (time-rescaling). A recording has
// its own instants, and draws nothing.
type arrivals struct {
	n     uint64 // hits of the step
	k     uint64 // hits generated
	curve curve
	even  bool
	rest  float64 // the share of the integrated rate that is left
	rng   splitmix
	last  time.Duration

	trace  *Recording
	speed  float64
	stride uint64 // every so many of the recording's arrivals are taken
}

// newArrivals returns the arrivals of an open step. A closed step has none.
func (p *Plan) newArrivals(s Step) arrivals {
	if s.Shape != nil && s.Shape.Trace != nil {
		return p.newTrace(s.Shape.Trace)
	}
	if p.Flow > 1 {
		s = s.scaled(1 / float64(p.Flow))
	}
	a := arrivals{curve: newCurve(s), even: p.Arrivals == Constant, rest: 1}
	if s.Users > 0 || !(a.curve.mass > 0) {
		return a
	}
	if a.even {
		// Hit k lies at k+1/2, so as many as lie inside.
		a.n = uint64(math.Ceil(a.curve.mass - 0.5))
		return a
	}
	kind := uint64(0)
	for i := range len(p.Arrivals) {
		kind = kind<<8 | uint64(p.Arrivals[i])
	}
	key := []uint64{p.Seed, uint64(s.Index), math.Float64bits(s.From), math.Float64bits(s.To), uint64(s.Lasts), kind}
	if s.Held > 0 {
		key = append(key, 'h', uint64(s.Held))
	}
	a.rng = splitmix(hash(append(key, s.Shape.key()...)...))
	a.n = a.rng.rounded(a.curve.mass)
	return a
}

// newTrace returns the arrivals of a recording; none if the plan lacks it.
func (p *Plan) newTrace(t *TraceShape) arrivals {
	if t.Trace < 0 || t.Trace >= len(p.Traces) || !(t.Speed > 0) {
		return arrivals{}
	}
	trace := &p.Traces[t.Trace]
	stride := uint64(max(p.Flow, 1))
	return arrivals{n: (uint64(trace.Len()) + stride - 1) / stride, trace: trace, speed: t.Speed, stride: stride}
}

// key is what makes the draws of two shapes differ.
func (s *Shape) key() []uint64 {
	var key []uint64
	if s == nil {
		return nil
	}
	for _, p := range s.Pieces {
		key = append(key, math.Float64bits(p.From), math.Float64bits(p.To), uint64(p.Lasts))
	}
	if w := s.Sine; w != nil {
		key = append(key, math.Float64bits(w.Mean), math.Float64bits(w.Amplitude), uint64(w.Period))
	}
	return key
}

// next is the instant of the next hit; it must not be called more than n times.
func (a *arrivals) next() time.Duration {
	if a.trace != nil {
		a.k++
		return a.trace.scaled((a.k-1)*a.stride, a.speed)
	}
	var share float64
	if a.even {
		share = (float64(a.k) + 0.5) / a.curve.mass
	} else {
		a.rest *= math.Exp(math.Log(a.rng.float()) / float64(a.n-a.k))
		share = 1 - a.rest
	}
	a.k++
	// Rounding may turn neighbours round by a nanosecond.
	a.last = max(a.last, min(a.curve.at(share), a.curve.lasts-1))
	return a.last
}

// curve is the integrated rate of a step: of a straight line,
// L(t) = from t + slope t^2/2, or of what bent inverts.
type curve struct {
	lasts time.Duration
	nanos float64 // lasts
	flat  bool
	from  float64 // requests/s at the begin
	slope float64 // change of the rate, requests/s^2
	mass  float64 // L at the end: the mean number of hits
	bent  inverse // nil for a straight line
}

func newCurve(s Step) curve {
	c := curve{
		lasts: s.Lasts, nanos: float64(s.Lasts), flat: s.From == s.To,
		from: s.From, slope: (s.To - s.From) / s.Lasts.Seconds(),
		mass: (s.From + s.To) / 2 * s.Lasts.Seconds(),
	}
	switch {
	case s.Shape == nil:
	case s.Shape.Sine != nil:
		w := newWave(s.Shape.Sine)
		c.bent, c.mass = w, w.mass(s.Lasts.Seconds())
	case len(s.Shape.Pieces) > 0:
		c.bent, c.mass = &lines{pieces: s.Shape.Pieces}, massOf(s.Shape.Pieces)
	}
	return c
}

func newWave(s *SineShape) *wave {
	return &wave{mean: s.Mean, amplitude: s.Amplitude, omega: 2 * math.Pi / s.Period.Seconds()}
}

func massOf(pieces []Piece) (mass float64) {
	for _, p := range pieces {
		mass += p.mass()
	}
	return mass
}

// at is the instant by which a share of the mass has come: the root of
// L(t) = share*mass.
func (c *curve) at(share float64) time.Duration {
	switch {
	case c.bent != nil:
		return time.Duration(c.bent.at(share*c.mass)*1e9 + 0.5)
	case c.flat:
		return time.Duration(share*c.nanos + 0.5)
	}
	return time.Duration(rootOfLine(c.from, c.slope, share*c.mass)*1e9 + 0.5)
}

// splitmix is the generator splitmix64 (Steele, Lea, Flood 2014): one addition
// and a mix, so its values can also be taken by number.
type splitmix uint64

const golden = 0x9e3779b97f4a7c15

func (s *splitmix) next() uint64 {
	*s += golden
	return mix(uint64(*s))
}

// float is uniform on (0, 1), the ends left out.
func (s *splitmix) float() float64 { return unit(s.next()) }

func unit(bits uint64) float64 { return (float64(bits>>11) + 0.5) * 0x1p-53 }

func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// hash mixes values, their order included, into 64 bits.
func hash(values ...uint64) uint64 {
	h := uint64(golden)
	for _, v := range values {
		h = mix(h ^ v + golden)
	}
	return h
}

// rounded is a whole number next to x, whose mean is x.
func (s *splitmix) rounded(x float64) uint64 {
	n := math.Floor(x)
	if s.float() < x-n {
		n++
	}
	return uint64(n)
}
