package capacity

import (
	"math"

	"github.com/headroom-project/headroom/capacity/erlang"
)

// waiting is how long a request waits for a server: not at all, or with
// probability chance for a time that is exponential with rate decay (1/s).
type waiting struct{ chance, decay float64 }

// tail is the probability of waiting longer than t seconds.
func (w waiting) tail(t float64) float64 { return w.chance * math.Exp(-w.decay*t) }

func (w waiting) mean() float64 { return w.chance / w.decay }

// times is the wait of requests of which each waits k times, for a server that is taken for
// a k-th of the time: it has the same mean. Below 1, k is the share of requests that wait,
// for so much longer. Above, the waits of one request come so soon after one another that
// they are nearly one: who waits long waits long again. 0 is once.
func (w waiting) times(k float64) waiting {
	if k == 0 || k >= 1 {
		return w
	}
	return waiting{w.chance * k, w.decay * k}
}

// server is what a request waits for: so many servers, that get saturation
// requests done in a second together, in a time with a squared coefficient of
// variation of scv.
type server struct{ saturation, servers, scv float64 }

// waiting is the law of the wait at a load in requests/s below saturation, for
// arrivals with a squared coefficient of variation of ca2 (1 for Poisson): Erlang's
// C for the chance, which holds for M/M/c and is close for others, and the exact
// decay for the tail (Takahashi 1981; Abate, Choudhury and Whitt 1995).
func (s server) waiting(load, ca2 float64) waiting {
	rho := min(load/s.saturation, 1-1e-9)
	if !(rho > 0) {
		return waiting{0, s.saturation}
	}
	chance := erlangC(s.servers, rho)
	if ca2 != 1 {
		// Of one exponential server the chance is 1 - decay/saturation, exactly
		// (GI/M/1); of more it differs from Erlang's by a power of that, which is
		// read from simulated queues of 1 to 16 servers.
		one := 1 - server{saturation: s.saturation, servers: 1, scv: 1}.decay(load, ca2)/s.saturation
		chance *= math.Pow(max(one, 0)/rho, 1+0.4*math.Log2(s.servers))
	}
	return waiting{min(chance, 1), s.decay(load, ca2)}
}

// erlangC is the probability that all of c servers are busy, each to a share rho.
func erlangC(c, rho float64) float64 { return erlang.Waits(min(c, mostServers), rho) }

// mostServers bounds the work of fitting their number.
const mostServers = 512

// decay solves A(t) S(-t/c) = 1 for t, with A and S the transforms of the times
// between arrivals and of service, here both of the gamma family:
//
//	ln(1 + ca2 t/x)/ca2 = -ln(1 - scv t/X)/scv
//
// For M/M/c this is X - x. Where scv or ca2 are 0, the time is a constant.
func (s server) decay(load, ca2 float64) float64 {
	x, top := load, s.saturation
	v := max(s.scv, 1e-9)
	limit := top / v * (1 - 1e-12) // of t, where the service has a tail
	// Kingman's heavy-traffic value is close, and Newton's rule ends quickly.
	t := min(2*(top-x)/(ca2+v), 0.999*limit)
	for range 50 {
		f := grown(t/x, ca2) + shrunk(t/top, v)
		slope := 1/(x*(1+ca2*t/x)) - 1/(top*(1-v*t/top))
		if slope >= 0 { // left of the top of the curve: the root is further right
			t = min(2*t, (t+limit)/2)
			continue
		}
		next := t - f/slope
		if next <= 0 {
			next = t / 2
		}
		next = min(next, (t+limit)/2)
		if math.Abs(next-t) < 1e-9*t {
			t = next
			break
		}
		t = next
	}
	return max(t, 1e-9*top)
}

// grown is ln(1 + v t)/v, t for v = 0.
func grown(t, v float64) float64 {
	if v < 1e-6 {
		return t
	}
	return math.Log1p(v*t) / v
}

// shrunk is ln(1 - v t)/v, -t for v = 0.
func shrunk(t, v float64) float64 {
	if v < 1e-6 {
		return -t
	}
	if v*t >= 1 {
		return math.Inf(-1)
	}
	return math.Log1p(-v*t) / v
}
