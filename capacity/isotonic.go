package capacity

import (
	"cmp"
	"math"
	"slices"
)

// reading is the margin of one step at one load.
type reading struct {
	load, margin, weight float64
}

// pool is a run of readings with one margin, over the loads from low to high.
type pool struct {
	low, high, margin, weight float64
}

func (p pool) with(q pool) pool {
	w := p.weight + q.weight
	return pool{min(p.low, q.low), max(p.high, q.high), (p.margin*p.weight + q.margin*q.weight) / w, w}
}

// isotonic pools adjacent readings until the margin grows with the load (pool
// adjacent violators; Barlow et al. 1972). readings are sorted in place.
func isotonic(readings []reading) []pool {
	slices.SortStableFunc(readings, func(a, b reading) int { return cmp.Compare(a.load, b.load) })
	pools := make([]pool, 0, len(readings))
	for _, r := range readings {
		p := pool{r.load, r.load, r.margin, r.weight}
		for n := len(pools) - 1; n >= 0 && (pools[n].margin >= p.margin || pools[n].high == p.low); n-- {
			p = pools[n].with(p)
			pools = pools[:n]
		}
		pools = append(pools, p)
	}
	return pools
}

// crossing is where the monotone margin of readings reaches 0: at the highest
// load (Above) if it nowhere does, at the lowest (Below) if it is there already.
// between, 0..1, says where in the gap of the two pools around it; NaN
// interpolates in a straight line.
func crossing(readings []reading, between float64) (load float64, bound string) {
	pools := isotonic(readings)
	at := slices.IndexFunc(pools, func(p pool) bool { return p.margin >= 0 })
	switch at {
	case -1:
		return pools[len(pools)-1].high, Above
	case 0:
		return pools[0].low, Below
	}
	a, b := pools[at-1], pools[at]
	if math.IsNaN(between) {
		between = a.margin / (a.margin - b.margin)
	}
	return a.high + between*(b.low-a.high), ""
}
