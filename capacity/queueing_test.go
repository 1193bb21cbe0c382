package capacity

import (
	"math"
	"testing"
)

// Formulae that are exact: M/M/c, M/D/1 (decay of the root of rho(e^y-1) = y).
func TestQueueingFormulae(t *testing.T) {
	for _, c := range []float64{1, 2, 7, 50} {
		for _, rho := range []float64{0.1, 0.5, 0.9, 0.99} {
			s := server{saturation: 100, servers: c, scv: 1}
			if got, want := s.decay(100*rho, 1), 100*(1-rho); math.Abs(got-want) > 1e-6*want {
				t.Errorf("M/M/%g at %g: decay %g, want %g", c, rho, got, want)
			}
		}
	}
	for _, rho := range []float64{0.05, 0.3, 0.6, 0.95} {
		y := server{saturation: 1, servers: 1, scv: 0}.decay(rho, 1)
		if d := rho*math.Expm1(y) - y; math.Abs(d) > 1e-6*y {
			t.Errorf("M/D/1 at %g: decay %g is no root", rho, y)
		}
	}
	if got := erlangC(1, 0.6); math.Abs(got-0.6) > 1e-12 {
		t.Errorf("Erlang C of one server at 0.6 is %g", got)
	}
	if got := erlangC(2, 0.5); math.Abs(got-1.0/3) > 1e-12 {
		t.Errorf("Erlang C of two servers at 0.5 is %g", got)
	}
	if got := refused(10, 5); math.Abs(got-0.018385) > 1e-6 { // tables of Erlang B
		t.Errorf("Erlang B of 10 places at 5 erlangs is %g", got)
	}
}
