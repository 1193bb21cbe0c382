package bus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Reservation keeps workers for one drill: they are in no other one until it is
// released.
type Reservation struct {
	hub *Hub
	// Workers are those that were picked; none if they were reserved by their ids.
	Workers []Info
	ids     []string
}

// Release gives the workers free. It may be called again, and of nil.
func (r *Reservation) Release() {
	if r == nil {
		return
	}
	r.hub.mu.Lock()
	defer r.hub.mu.Unlock()
	for _, id := range r.ids {
		if r.hub.kept[id] == r {
			delete(r.hub.kept, id)
		}
	}
}

// Reserve keeps workers for a drill by their ids, whether they are there or not, unless
// another has them.
func (h *Hub) Reserve(ids []string) *Reservation {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.reserve(ids)
}

// reserve is Reserve for who holds the lock.
func (h *Hub) reserve(ids []string) *Reservation {
	r := &Reservation{hub: h, ids: ids}
	for _, id := range ids {
		if h.kept[id] == nil {
			h.kept[id] = r
		}
	}
	return r
}

// ErrTooFew says that there are not as many free workers as were asked for.
var ErrTooFew = errors.New("too few workers")

// pickEvery is how often Pick looks.
const pickEvery = 10 * time.Millisecond

// Pick reserves n free workers for a drill, those that may send most first; n 0
// takes all. It waits up to patience for enough of them.
func (h *Hub) Pick(ctx context.Context, n int, patience time.Duration) (*Reservation, error) {
	until := h.cfg.Now() + patience
	for {
		r, free, all := h.tryPick(n)
		if r != nil {
			return r, nil
		}
		if h.cfg.Now() > until {
			return nil, fmt.Errorf("%w: %d wanted, %d of %d are free", ErrTooFew, max(n, 1), free, all)
		}
		select {
		case <-time.After(pickEvery):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// tryPick reserves n workers if as many are free, all if n is 0, or says how many are.
func (h *Hub) tryPick(n int) (r *Reservation, free, all int) {
	list := h.Workers()
	all = len(list)
	h.mu.Lock()
	defer h.mu.Unlock()
	list = slices.DeleteFunc(list, func(i Info) bool { return i.Run != "" || h.kept[i.ID] != nil || h.taken(i.ID) })
	free = len(list)
	if free == 0 || free < n {
		return nil, free, all
	}
	slices.SortStableFunc(list, func(a, b Info) int { return -cmp.Compare(most(a), most(b)) })
	if n > 0 {
		list = list[:n]
	}
	var ids []string
	for _, i := range list {
		ids = append(ids, i.ID)
	}
	r = h.reserve(ids)
	r.Workers = list
	return r, free, all
}

// most is a worker's bound, with a number for none.
func most(i Info) float64 {
	if i.MaxRPS <= 0 {
		return 1e18
	}
	return i.MaxRPS
}

// taken says that a worker is part of a drill of this hub; the caller holds the lock.
func (h *Hub) taken(id string) bool {
	for _, f := range h.fleets {
		if f.has(id) {
			return true
		}
	}
	return false
}
