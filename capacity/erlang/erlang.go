// Package erlang has Erlang's two formulae for servers that Poisson arrivals find busy
// (Erlang 1917), for numbers of servers that need not be whole, so that the number can be
// fitted: between whole ones they are interpolated on a log scale.
package erlang

import "math"

// Most is the number of servers above which Waits takes that many.
const Most = 10_000

// Waits is Erlang's C: the probability that a request finds all of so many servers busy and
// waits, where they are used to rho (0 up to, but not including, 1). Fewer than one server
// are taken as one.
func Waits(servers, rho float64) float64 {
	c := min(max(servers, 1), Most)
	low := math.Floor(c)
	a := waits(int(low), rho)
	if c == low {
		return a
	}
	return a * math.Pow(waits(int(low)+1, rho)/a, c-low)
}

func waits(c int, rho float64) float64 {
	a, b := rho*float64(c), 1.0
	for k := 1; k <= c; k++ {
		b = a * b / (float64(k) + a*b)
	}
	return max(b/(1-rho*(1-b)), 1e-300)
}

// Refused is Erlang's B: the share of requests that find all places taken and are refused,
// at a load of so many erlangs (arrivals/s times the seconds that each stays). Without places
// all are.
func Refused(places, load float64) float64 {
	if places <= 0 {
		return 1
	}
	whole := math.Floor(places)
	b := 1.0
	for k := 1.0; k <= whole; k++ {
		b = load * b / (k + load*b)
	}
	if places == whole {
		return b
	}
	next := load * b / (whole + 1 + load*b)
	return b * math.Pow(next/b, places-whole)
}
