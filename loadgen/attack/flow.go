package attack

import "github.com/headroom-project/headroom/scenarios"

// runFlow sends the requests of a flow one after the other, for the virtual user
// whom the first hit brings, until the last, or one that fails. Each is a hit of
// its own: the first is due when it was planned, the others as soon as the user
// has the answer before, and has thought. The first one's step bounds them all: a
// request that would come due after its end is not sent, and was never planned.
func (t *transport) runFlow(first *hit) (status int, err error) {
	user, jar := t.requests.NewUser(), new(cookies)
	begin := first.due - first.At
	for h := first; ; {
		h.Request = user.Next()
		status, err = t.send(h, user, jar)
		t.book.ended(h)
		if user.Next() == 0 {
			break
		}
		h = &hit{
			Hit:   scenarios.Hit{N: first.N, Step: first.Step, At: begin},
			floor: first.floor, closed: true, until: first.until, think: first.pause, orders: first.orders,
		}
		if !t.think(h) {
			break
		}
	}
	// All of it has been booked.
	first.void = true
	return status, err
}
