package capacity

import (
	"math"
	"slices"
)

// kernel is what a latency law does to the time without waiting at one load: where
// requests of each bin end up. It does not depend on the histogram of that time, which
// a fit changes many times for one server, so that it is worked out once.
type kernel struct {
	// In order: stays is the share of those who wait at the begin of a bin that still
	// do at its end, leaves of those who were served in it that wait beyond it.
	stays, leaves []float64
	// Shared: those of bin j end up in bins j, j+1, ... by shares[begins[j]:begins[j+1]],
	// and the rest in the last.
	shares, rest []float64
	begins       []int
	// ends is what comes on top of the work, nil for nothing.
	ends []end
	// bands are those of a second resource, nil for none.
	bands []band
}

// prepare works out the kernel of the law at a load; memory of k is reused.
func (l *latency) prepare(load, ca2 float64, k *kernel) {
	k.bands, k.ends = nil, nil
	if l.besides != nil {
		k.bands = l.besides.at(load)
	}
	if l.shared {
		if l.outside != nil {
			k.ends = l.outside.ends
		}
		k.share(l, load, l.inner())
	} else {
		k.queue(l.waiting(load, ca2), l.bins)
	}
}

// queue is the kernel of a wait in order.
func (k *kernel) queue(w waiting, b bins) {
	n := len(b.middle)
	k.stays = slices.Grow(k.stays[:0], n)[:n]
	k.leaves = slices.Grow(k.leaves[:0], n)[:n]
	for j := range n {
		k.stays[j] = math.Exp(-w.decay * (b.edges[j+1] - b.edges[j]))
		k.leaves[j] = w.tail(b.edges[j+1] - b.middle[j])
	}
}

// share is the kernel of shared cores.
func (k *kernel) share(l *latency, load float64, b bins) {
	others := l.crowd(load)
	n := len(b.middle)
	k.shares, k.rest, k.begins = k.shares[:0], k.rest[:0], k.begins[:0]
	for j := range n {
		k.begins = append(k.begins, len(k.shares))
		d := l.added(others, b.middle[j])
		above := 1.0
		for i := j; i < n-1 && above > 1e-5; i++ {
			next := d.tail(b.edges[i+1] - b.middle[j])
			k.shares = append(k.shares, above-next)
			above = next
		}
		k.rest = append(k.rest, above)
	}
	k.begins = append(k.begins, len(k.shares))
}

// between is memory for what is between two stages of a kernel.
type between [2][]float64

func (b *between) of(i, n int) []float64 {
	b[i] = slices.Grow(b[i][:0], n)[:n]
	return b[i]
}

// spread returns the probabilities of n cells of the responses, the forward half of a
// fit; memory and into are reused.
func (k *kernel) spread(base []float64, shared bool, n int, memory *between, into []float64) []float64 {
	into = slices.Grow(into[:0], n)[:n]
	if !shared {
		if k.bands != nil {
			base = k.moved(base, memory.of(0, n))
		}
		k.queued(base, into)
		return into
	}
	if k.ends == nil && k.bands == nil {
		k.stretched(base, into)
		return into
	}
	from := memory.of(0, len(base))
	k.stretched(base, from)
	if k.ends != nil && k.bands != nil {
		added(k.ends, from, memory.of(1, n))
		from = memory[1]
	} else if k.ends != nil {
		added(k.ends, from, into)
	}
	if k.bands != nil {
		k.moved(from, into)
	}
	return into
}

// credit returns, for each of n bins of the base, how much of what was seen it explains:
// the backward half. seen is the ratio of counts to expectation.
func (k *kernel) credit(seen []float64, shared bool, n int, memory *between, into []float64) []float64 {
	into = slices.Grow(into[:0], n)[:n]
	if !shared {
		if k.bands == nil {
			k.queuedCredit(seen, into)
			return into
		}
		k.queuedCredit(seen, memory.of(0, len(seen)))
		credited(k.bands, memory[0], into)
		return into
	}
	if k.bands != nil {
		credited(k.bands, seen, memory.of(1, len(seen)))
		seen = memory[1]
	}
	if k.ends != nil {
		addedCredit(k.ends, seen, memory.of(0, n))
		seen = memory[0]
	}
	k.stretchedCredit(seen, into)
	return into
}

func (k *kernel) moved(from, into []float64) []float64 {
	moved(k.bands, from, into)
	return into
}

// queued adds the wait of those who are served in order.
func (k *kernel) queued(base, into []float64) {
	late := 0.0 // mass of earlier bins that is still waiting at the bin's begin
	for j, p := range base {
		stays, moves := k.stays[j], p*k.leaves[j]
		into[j] = late*(1-stays) + p - moves
		late = late*stays + moves
	}
}

// queuedCredit is queued backwards.
func (k *kernel) queuedCredit(seen, into []float64) {
	later := 0.0
	for j := len(into) - 1; j >= 0; j-- {
		leaves, stays := k.leaves[j], k.stays[j]
		into[j] = (1-leaves)*seen[j] + leaves*later
		later = (1-stays)*seen[j] + stays*later
	}
}

// stretched is queued for shared cores.
func (k *kernel) stretched(base, into []float64) {
	clear(into)
	n := len(base)
	for j, p := range base {
		if p == 0 {
			continue
		}
		for i, share := range k.shares[k.begins[j]:k.begins[j+1]] {
			into[j+i] += p * share
		}
		into[n-1] += p * k.rest[j]
	}
}

// stretchedCredit is stretched backwards.
func (k *kernel) stretchedCredit(seen, into []float64) {
	n := len(into)
	for j := range into {
		sum := 0.0
		for i, share := range k.shares[k.begins[j]:k.begins[j+1]] {
			sum += seen[j+i] * share
		}
		into[j] = sum + seen[n-1]*k.rest[j]
	}
}
