package importer

import (
	"math"
	"slices"
)

const (
	// shortest is the least length of a step in seconds: shorter ones have no
	// tail to speak of.
	shortest = 5
	// mostCells bounds the search for steps, which is quadratic.
	mostCells = 1200
)

// segment is a stretch [from, to) of seconds at about one rate.
type segment struct{ from, to int }

// segments cuts counts of requests per second into stretches of about constant
// rate: the partition of least Poisson deviance plus a penalty for each stretch
// (optimal partitioning, Jackson et al. 2005). The penalty grows with the
// dispersion of the counts, so that the jitter of a closed load is not taken for
// steps, and evenly spaced arrivals do not hide them.
//
// flying are the requests that were in flight for the whole of a second, nil for none.
func segments(counts, flying []int) []segment {
	var all []segment
	for _, b := range bursts(counts, flying) {
		// The load begins and ends within a second: what that has is no rate, and goes with
		// the step beside it.
		edge := 0
		if b.to-b.from > 2*shortest {
			edge = 1
		}
		parts := steady(counts[b.from+edge : b.to-edge])
		for i, s := range parts {
			s.from, s.to = b.from+edge+s.from, b.from+edge+s.to
			if i == 0 {
				s.from = b.from
			}
			if i == len(parts)-1 {
				s.to = b.to
			}
			all = append(all, s)
		}
	}
	return all
}

const (
	// paused is for how many seconds nothing must begin and nothing be in flight, and missed
	// how many requests the seconds around would have begun meanwhile, for the load to have
	// paused. A closed load begins nothing either while its target hangs.
	paused, missed = 3, 30
	// around is how many seconds on each side tell what would have begun.
	around = 10
)

// bursts are the stretches between which the load paused: one, if any is shorter than a step.
func bursts(counts, flying []int) []segment {
	var out []segment
	from := 0
	for at := 0; at < len(counts); {
		if counts[at] > 0 {
			at++
			continue
		}
		end, idle := at, 0
		for ; end < len(counts) && counts[end] == 0; end++ {
			if end >= len(flying) || flying[end] == 0 {
				idle++
			}
		}
		rate := min(mean(counts[max(at-around, from):at]), mean(counts[end:min(end+around, len(counts))]))
		if idle >= paused && rate*float64(idle) >= missed {
			out, from = append(out, segment{from, at}), end
		}
		at = end
	}
	if from < len(counts) {
		out = append(out, segment{from, len(counts)})
	}
	if slices.ContainsFunc(out, func(s segment) bool { return s.to-s.from < shortest }) {
		return []segment{{0, len(counts)}}
	}
	return out
}

func mean(counts []int) float64 {
	sum := 0
	for _, n := range counts {
		sum += n
	}
	return float64(sum) / float64(max(len(counts), 1))
}

// steady cuts a stretch without pauses.
func steady(counts []int) []segment {
	width := (len(counts) + mostCells - 1) / mostCells
	cells := make([]float64, 0, len(counts)/max(width, 1)+1)
	for chunk := range slices.Chunk(counts, max(width, 1)) {
		sum := 0
		for _, n := range chunk {
			sum += n
		}
		cells = append(cells, float64(sum))
	}
	cuts := partition(cells, max(1, (shortest+width-1)/max(width, 1)), 4*math.Log(float64(len(cells))+1)*dispersion(cells))
	var out []segment
	for i := 1; i < len(cuts); i++ {
		out = append(out, segment{cuts[i-1] * width, min(cuts[i]*width, len(counts))})
	}
	return out
}

// partition returns the cuts, from 0 to len(cells), of the cheapest partition
// into stretches of at least least cells.
func partition(cells []float64, least int, penalty float64) []int {
	n := len(cells)
	if n == 0 {
		return nil
	}
	if n < 2*least {
		return []int{0, n}
	}
	sums := make([]float64, n+1)
	for i, x := range cells {
		sums[i+1] = sums[i] + x
	}
	best, last := make([]float64, n+1), make([]int, n+1)
	for to := 1; to <= n; to++ {
		best[to] = math.Inf(1)
		for from := 0; from <= to-least; from++ {
			if from > 0 && from < least {
				continue
			}
			if c := best[from] + deviance(sums[to]-sums[from], to-from) + penalty; c < best[to] {
				best[to], last[to] = c, from
			}
		}
	}
	cuts := []int{n}
	for at := n; at > 0; at = last[at] {
		cuts = append(cuts, last[at])
	}
	slices.Reverse(cuts)
	return cuts
}

// deviance is the part of -2 log of the Poisson likelihood that depends on the cut.
func deviance(sum float64, cells int) float64 {
	if sum <= 0 {
		return 0
	}
	return -2 * sum * math.Log(sum/float64(cells))
}

// dispersion is the variance of the counts as a ratio of their mean, from
// successive differences, so that steps do not count as variance. The median of
// the squares of a standard normal is 0.455.
func dispersion(cells []float64) float64 {
	var ratios []float64
	for i := 1; i < len(cells); i++ {
		if s := cells[i] + cells[i-1]; s > 0 {
			d := cells[i] - cells[i-1]
			ratios = append(ratios, d*d/s)
		}
	}
	if len(ratios) == 0 {
		return 1
	}
	slices.Sort(ratios)
	return max(ratios[len(ratios)/2]/0.455, 0.25)
}
