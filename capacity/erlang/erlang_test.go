package erlang_test

import (
	"math"
	"testing"

	"github.com/headroom-project/headroom/capacity/erlang"
)

// Published values: M/M/1 and M/M/2 in closed form, and tables of Erlang's B and C.
func TestPublishedValues(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ servers, rho, want float64 }{
		{1, 0.6, 0.6},
		{2, 0.5, 1.0 / 3},
		{0.5, 0.6, 0.6}, // a part of a server is one
		{10, 0.8, 0.4092},
		{4, 0.8, 0.5964},
	} {
		if got := erlang.Waits(c.servers, c.rho); math.Abs(got-c.want) > 1e-4 {
			t.Errorf("of %g servers used to %g requests wait in %.5f, not %.5f", c.servers, c.rho, got, c.want)
		}
	}
	if got := erlang.Refused(10, 5); math.Abs(got-0.018385) > 1e-6 {
		t.Errorf("10 places refuse %.6f of 5 erlangs, not 0.018385", got)
	}
	if got := erlang.Refused(0, 5); got != 1 {
		t.Errorf("no place refuses %g", got)
	}
}

// The two belong together: C = B/(1 - rho (1-B)). Between whole numbers both go on falling.
func TestInOrderOfServers(t *testing.T) {
	t.Parallel()
	for _, rho := range []float64{0.05, 0.3, 0.7, 0.95, 0.999} {
		last := [2]float64{2, 2}
		for servers := 1.0; servers < 70; servers += 0.25 {
			waits, refused := erlang.Waits(servers, rho), erlang.Refused(servers, 40*rho)
			if !(waits > 0 && waits < last[0]) || !(refused > 0 && refused < last[1]) {
				t.Fatalf("at %g servers and %g: %g wait, before %g; %g refused, before %g", servers, rho, waits, last[0], refused, last[1])
			}
			last = [2]float64{waits, refused}
			if servers == math.Floor(servers) {
				b := erlang.Refused(servers, servers*rho)
				if c := b / (1 - rho*(1-b)); math.Abs(c/waits-1) > 1e-12 {
					t.Fatalf("%g servers at %g: C %g, by B %g", servers, rho, waits, c)
				}
			}
		}
	}
	if few, many := erlang.Waits(erlang.Most, 0.99), erlang.Waits(1e9, 0.99); few != many {
		t.Errorf("%g and %g", few, many)
	}
}
