package capacity

import "math"

// waiting is the law of the wait at a load: at a limiter that gathers tokens, or else
// for the server.
func (l *latency) waiting(load, ca2 float64) waiting {
	if l.bucket {
		return l.metered(load, ca2)
	}
	return l.server.waiting(load, ca2).times(l.taken)
}

// metered is the wait at a limiter that lets saturation requests through in a second
// and, after a pause, a burst of so many at once (a token bucket; servers is the
// burst). Requests leave it as they would a server that takes 1/saturation for each,
// but those whose wait there is less than burst-1 of these times find a token: they
// do not wait, and the others wait for what is left. The decay of the wait is that of
// the server, and its chance is that of waiting so long for it: for Poisson arrivals
// Erlang's (1909) law of M/D/1.
func (s server) metered(load, ca2 float64) waiting {
	rho := min(load/s.saturation, 1-1e-9)
	if !(rho > 0) {
		return waiting{0, s.saturation}
	}
	one := server{saturation: s.saturation, servers: 1}
	w := one.waiting(load, ca2)
	spare := max(s.servers, 1) - 1
	if ca2 != 1 {
		w.chance = w.tail(spare / s.saturation)
		return w
	}
	near := min(spare, exactTokens)
	w.chance = constantWait(rho, near) * math.Exp(-w.decay*(spare-near)/s.saturation)
	return w
}

// exactTokens is up to how many services the law of M/D/1 is summed up, whose terms
// alternate and grow; its tail is exponential long before.
const exactTokens = 8.0

// constantWait is the probability of waiting longer than t services for a server that
// always takes the same time and is busy to a share rho, with Poisson arrivals
// (Erlang 1909):
//
//	P(W <= t) = (1-rho) sum over k <= t of (rho(k-t))^k/k! exp(rho(t-k))
func constantWait(rho, t float64) float64 {
	sum, factorial := 0.0, 1.0
	for k := 0.0; k <= t; k++ {
		if k > 0 {
			factorial *= k
		}
		sum += math.Pow(rho*(k-t), k) / factorial * math.Exp(rho*(t-k))
	}
	return min(max(1-(1-rho)*sum, 0), 1)
}
