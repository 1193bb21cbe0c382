package capacity

import "math"

// delayed is what sharing adds to a request: shift for certain, and then with
// probability chance a time that is exponential with rate decay (1/s).
type delayed struct{ shift, chance, decay float64 }

func (d delayed) tail(t float64) float64 {
	if t < d.shift {
		return 1
	}
	return d.chance * math.Exp(-d.decay*(t-d.shift))
}

// work is the part of a time without waiting that is work for the cores, in the mean, and
// its squared coefficient of variation: as it was made out (see parted), what varies, or
// the same for all where something else varies more.
func (l *latency) work(base float64) (mean, varies float64) {
	switch {
	case l.outside != nil: // the base is of the work alone
		return base, 0
	case l.parts != nil:
		return l.parts.at(base)
	case l.each > 0:
		return min(l.each, base), unseen
	}
	return max(base-l.rest, 0), 0
}

// added is what sharing adds to a request that takes so long without waiting.
func (l *latency) added(others crowd, base float64) delayed { return others.stretch(l.work(base)) }

// unseen is the squared coefficient of variation of work that the responses do not
// show, as of exponential times.
const unseen = 1.0

// worked puts in the station what is known of the work of requests on its cores, from
// what one of them uses, and returns the variability of the work; known is false
// where the responses do not show it. Where work is a small part of a response, what
// varies is something else, and a long response is no sign of much work.
func (s *station) worked(g stage, b bins, service float64) (scv float64, known bool) {
	s.rest = restOf(g, b, service)
	if scv, known = variability(g, b, s.rest); !known {
		s.each = service
	}
	return scv, known
}

// restOf is the part of the responses at a stage that is no work, for which the
// mean of what is above it is the work that a request takes.
func restOf(g stage, b bins, work float64) float64 {
	low, high := 0.0, b.edges[len(b.edges)-1]
	for range 50 {
		rest, above := (low+high)/2, 0.0
		for k, n := range g.counts {
			above += n * max(b.middle[k]-rest, 0) / g.total
		}
		if above > work {
			low = rest
		} else {
			high = rest
		}
	}
	return (low + high) / 2
}

// crowd is what a request meets at one load when cores are shared.
type crowd struct {
	// mean is by how much work takes longer in the mean, as a ratio: C/(c(1-rho)),
	// whatever its distribution (insensitivity of processor sharing; Kleinrock 1976).
	mean    float64
	squares float64 // variance of that for short work
	lasting float64 // s in which the number of others changes
}

func (l *latency) crowd(load float64) crowd {
	rho := min(load/l.saturation, 1-1e-9)
	if !l.talk.none() {
		full := l.talk.speed(l.servers, l.servers)
		p := l.talk.present(rho*full, l.servers)
		busy := p.busy / l.servers
		return crowd{
			mean: p.slow - 1, squares: max(p.slow2-p.slow*p.slow, 0),
			lasting: l.mu() / ((1 - busy) * (1 - busy)) * (1 + l.scv) / 2 / l.servers,
		}
	}
	busy := erlangC(l.servers, rho)
	each := 1 / (l.servers * (1 - rho))
	mean := busy * each
	return crowd{
		mean: mean, squares: busy*each*each*(1+rho) - mean*mean,
		lasting: l.mu() / ((1 - rho) * (1 - rho)) * (1 + l.scv) / 2 / l.servers,
	}
}

// of is the crowd at arrivals with a squared coefficient of variation of ca2: a queue of
// exponential work grows as (1 + ca2)/2 near saturation (Kingman 1962), shared or in order.
func (c crowd) of(ca2 float64) crowd {
	by := (1 + ca2) / 2
	c.mean, c.squares = c.mean*by, c.squares*by*by
	return c
}

// stretch is what is added to a request with so many seconds of work. A
// short one meets one number of others, which makes its delay as random as that
// number; a long one sees many of them, and its delay is nearly its mean. The
// variance goes from the one to the other with the work over the time that the
// number of others takes to change (for one core and long work it is exact:
// Zwart and Boxma 2000).
//
// work is a mean where it varies, by so much (squared coefficient of variation).
func (c crowd) stretch(work, varies float64) delayed {
	mean := work * c.mean
	if !(mean > 1e-12) {
		return delayed{decay: 1}
	}
	variance := work * work * (1 + varies) * c.squares
	if u := work * (1 + c.mean) / c.lasting; u > 1e-3 {
		variance *= 2 * (u - 1 + math.Exp(-u)) / (u * u)
	}
	variance += varies * mean * mean
	if variance >= mean*mean {
		long := (variance + mean*mean) / (2 * mean)
		return delayed{chance: mean / long, decay: 1 / long}
	}
	sd := math.Sqrt(max(variance, 1e-12*mean*mean))
	return delayed{shift: mean - sd, chance: 1, decay: 1 / sd}
}

// mu is the mean work of a request, in seconds on one core.
func (l *latency) mu() float64 {
	return l.talk.speed(l.servers, l.servers) / l.saturation
}
