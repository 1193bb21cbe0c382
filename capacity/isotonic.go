package capacity

import (
	"math"
	"slices"
)

// reading is the margin of one step at one load.
type reading struct {
	load, margin, weight float64
}

// extent returns the lowest and the highest load of readings.
func extent(readings []reading) (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, r := range readings {
		low, high = min(low, r.load), max(high, r.load)
	}
	return low, high
}

// isotonic pools adjacent readings until the margin does not fall with the load
// (pool adjacent violators; Barlow et al. 1972). It returns one knot for each
// pool, at the pool's mean load, sorted. readings are sorted in place.
func isotonic(readings []reading) []reading {
	slices.SortStableFunc(readings, func(a, b reading) int {
		switch {
		case a.load < b.load:
			return -1
		case a.load > b.load:
			return 1
		}
		return 0
	})
	knots := make([]reading, 0, len(readings))
	for _, r := range readings {
		if len(knots) > 0 && knots[len(knots)-1].load == r.load {
			r = pool(knots[len(knots)-1], r)
			knots = knots[:len(knots)-1]
		}
		for len(knots) > 0 && knots[len(knots)-1].margin >= r.margin {
			r = pool(knots[len(knots)-1], r)
			knots = knots[:len(knots)-1]
		}
		knots = append(knots, r)
	}
	return knots
}

func pool(a, b reading) reading {
	w := a.weight + b.weight
	return reading{
		load:   (a.load*a.weight + b.load*b.weight) / w,
		margin: (a.margin*a.weight + b.margin*b.weight) / w,
		weight: w,
	}
}

// crossing is where the monotone margin of readings reaches 0: at the highest
// load (Above) if it nowhere does, at the lowest (Below) if it is there already.
// between, 0..1, says where in
// the gap of the two knots around it; NaN interpolates in a straight line.
func crossing(readings []reading, between float64) (load float64, bound string) {
	low, high := extent(readings)
	knots := isotonic(readings)
	at := slices.IndexFunc(knots, func(k reading) bool { return k.margin >= 0 })
	switch at {
	case -1:
		return high, Above
	case 0:
		return low, Below
	}
	a, b := knots[at-1], knots[at]
	if math.IsNaN(between) {
		between = a.margin / (a.margin - b.margin)
	}
	return a.load + between*(b.load-a.load), ""
}
