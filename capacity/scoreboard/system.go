package scoreboard

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/headroom-project/headroom/scenarios"
)

// System is a target whose limits are known exactly.
type System struct {
	Family string
	// Objectives are a p99 and a ratio of errors.
	Objectives []scenarios.Objective
	// Saturation is the load in hits/s at which Bottleneck reaches its limit, and
	// Capacity the load at which an endless run breaks an objective.
	Saturation, Capacity float64
	// Bottlenecks are the names by which a report may call the first to give out.
	Bottleneck string
	// Unseen are loads above what the drills may offer, and P99 the response there
	// in an endless run, in ms.
	Unseen, P99 []float64

	parts  []part
	meters []instrument
	// drift is by how much the work of the parts that drift grows in a second, as
	// a ratio; Drilled how long that goes on, in s.
	drift float64
}

// part is a station and the work that a request brings to it.
type part struct {
	station station
	work    func(*rand.Rand) float64 // seconds; nil for none
	drifts  bool
}

// instrument is how the use of a part shows in a sample of a resource.
type instrument struct {
	resource string
	unit     string
	part     int
	limit    float64
	base     float64 // of what is used without any load
	each     float64 // of what a busy server of the part uses
	gauge    bool    // read at an instant, not summed up over the second
	noise    float64 // relative error of one reading
	wander   float64 // relative error of all readings of a step
	collect  float64 // CPU of collecting garbage: share at a heap half full
}

// lockFunction is what a mutex profile calls the holder of a lock.
const lockFunction = "shop.(*ledger).write"

// run serves hits that are planned at the given instants, the system empty at
// first. Clock is the drill time at which they begin. Works holds the demand of
// each hit at each part (see draw). meters may be nil.
func (s *System) run(planned []float64, works [][]float64, clock float64, meters []*meter) []hit {
	hits := make([]hit, len(planned))
	for i, at := range planned {
		hits[i] = hit{planned: at, at: at, id: int32(i)}
	}
	alive := hits
	for k, p := range s.parts {
		var m *meter
		if meters != nil {
			m = meters[k]
		}
		work := works[k]
		if p.drifts && s.drift != 0 {
			work = slices.Clone(work)
			for i := range work {
				work[i] *= 1 + s.drift*(clock+planned[i])
			}
		}
		inOrder(alive)
		p.station.pass(alive, work, m)
		alive = lastFailed(alive)
	}
	return hits
}

// inOrder sorts by arrival. Hits leave a station almost in order, so that an
// insertion sort has little to do.
func inOrder(hits []hit) {
	for i := 1; i < len(hits); i++ {
		h, k := hits[i], i
		for k > 0 && hits[k-1].at > h.at {
			hits[k] = hits[k-1]
			k--
		}
		hits[k] = h
	}
}

// lastFailed moves hits that were refused to the end and returns the others.
func lastFailed(hits []hit) []hit {
	n := 0
	for i := range hits {
		if !hits[i].failed {
			hits[n], hits[i] = hits[i], hits[n]
			n++
		}
	}
	return hits[:n]
}

// draw returns the demand of n hits at each part.
func (s *System) draw(n int, rng *rand.Rand) [][]float64 {
	works := make([][]float64, len(s.parts))
	for k, p := range s.parts {
		works[k] = make([]float64, n)
		if p.work == nil {
			continue
		}
		for i := range works[k] {
			works[k][i] = p.work(rng)
		}
	}
	return works
}

// poisson returns the arrivals of a step of Poisson arrivals at a rate, whose number is the
// rate's as in a drill (scenarios).
func poisson(rate, lasts float64, rng *rand.Rand) []float64 {
	mass := rate * lasts
	n := int(mass)
	if rng.Float64() < mass-float64(n) {
		n++
	}
	planned := make([]float64, n)
	for i := range planned {
		planned[i] = lasts * rng.Float64()
	}
	slices.Sort(planned)
	return planned
}

// endless returns the quantile of the response in ms, and the ratio of errors,
// of a run of n hits at a load, its begin left out.
func (s *System) endless(load, q float64, n int, clock float64, seed uint64) (ms, errors float64) {
	rng := rand.New(rand.NewPCG(seed, 3))
	works := s.draw(n, rng)
	planned := make([]float64, n)
	at := 0.0
	for i := range planned {
		at += rng.ExpFloat64() / load
		planned[i] = at
	}
	drift := s.drift
	if drift != 0 { // as it was at that instant, and no further
		now := *s
		now.drift = 0
		for k, p := range s.parts {
			if p.drifts {
				for i := range works[k] {
					works[k][i] *= 1 + drift*clock
				}
			}
		}
		s = &now
	}
	var times []float64
	failed := 0
	for _, h := range s.run(planned, works, 0, nil) {
		if h.planned < 0.05*at {
			continue
		}
		if h.failed {
			failed++
		}
		times = append(times, 1000*(h.at-h.planned))
	}
	slices.Sort(times)
	return times[min(int(q*float64(len(times))), len(times)-1)], float64(failed) / float64(len(times))
}

// Distributions of work, by mean and squared coefficient of variation.

func fixed(mean float64) func(*rand.Rand) float64 {
	return func(*rand.Rand) float64 { return mean }
}

func lognormal(mean, scv float64) func(*rand.Rand) float64 {
	if scv < 1e-3 {
		return fixed(mean)
	}
	variance := math.Log1p(scv)
	mu, sigma := math.Log(mean)-variance/2, math.Sqrt(variance)
	return func(rng *rand.Rand) float64 { return math.Exp(mu + sigma*rng.NormFloat64()) }
}

func exponential(mean float64) func(*rand.Rand) float64 {
	return func(rng *rand.Rand) float64 { return mean * rng.ExpFloat64() }
}

// twoPoint is slow with a probability, by a factor.
func twoPoint(mean, slow, factor float64) func(*rand.Rand) float64 {
	fast := mean / (1 - slow + slow*factor)
	return func(rng *rand.Rand) float64 {
		jitter := 1 + 0.05*rng.NormFloat64()
		if rng.Float64() < slow {
			return max(fast*factor*jitter, 0)
		}
		return max(fast*jitter, 0)
	}
}

// Network is what lies on the way: 0.3 ms, noise of 0.2 ms, and now and then a
// hiccup of 1 to 5 ms.
func Network(rng *rand.Rand) float64 {
	d := 0.0003 + math.Abs(rng.NormFloat64())*0.0002
	if rng.Float64() < 0.002 {
		d += 0.001 + 0.004*rng.Float64()
	}
	return d
}
