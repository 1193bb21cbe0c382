package capacity

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"
)

// Steps at one load differ by chance: by how many arrivals each had (of a drill, that is
// planned, so that this errs on the safe side), and by what queues make of them. Where they differ by more, the target was not the same from one step to the
// next (a neighbour on its cores, a cache that filled, a deploy), which no resampling of the
// seconds inside a step shows.

const (
	// oneLoad is how close loads are that count as one.
	oneLoad = 0.02
	// nearKnee is the share of the highest load beyond which steps of a search that broke an
	// objective are left out: there, a queue lasts longer than a step.
	nearKnee = 0.75
	// noticeable is from which difference on a report says so.
	noticeable = 0.02
	// rarely is how often steps of a target that stays as it is may differ so much.
	rarely = 0.01
)

// restless is the standard deviation of the log of the mean response from step to step at one
// load, beyond what chance explains (DerSimonian and Laird 1986), or 0 where chance may.
func restless(all []series) float64 {
	var q, freedom, weight float64
	blocks := 0.0
	groups := alikeSteps(all)
	for i, group := range groups {
		slope := steepest(groups, i)
		var sum, weights, squares float64
		for _, m := range group {
			v := m.variance + slope*slope*m.load/m.seconds
			sum, weights, squares = sum+m.log/v, weights+1/v, squares+1/(v*v)
		}
		for _, m := range group {
			v := m.variance + slope*slope*m.load/m.seconds
			d := m.log - sum/weights
			q += d * d / v
			blocks += m.blocks - 1
		}
		freedom += float64(len(group) - 1)
		weight += weights - squares/weights
	}
	if !(freedom > 0) || !(blocks > 0) || !(q > freedom) {
		return 0
	}
	if (distuv.F{D1: freedom, D2: blocks}).Survival(q/freedom) > rarely {
		return 0
	}
	return math.Sqrt((q - freedom) / weight)
}

// unsteady are the steps with what they differ by beyond chance.
func unsteady(all []series) []series {
	apart := restless(all)
	if !(apart > 0) {
		return all
	}
	all = slices.Clone(all)
	for i := range all {
		all[i].apart = apart
	}
	return all
}

// repeated is what is compared of a step: the log of its mean response, and the variance of
// that by the means of blocks of its seconds.
type repeated struct{ load, seconds, log, variance, blocks float64 }

// alikeSteps groups steps by their load, the lowest first. Those of one load share their
// variance, as that of a few blocks says little.
func alikeSteps(all []series) [][]repeated {
	top, broke := highest(all), false
	var list []repeated
	for i := range all {
		broke = broke || all[i].point.Cut != ""
	}
	for i := range all {
		s := &all[i]
		if s.point.Cut != "" || broke && s.load > nearKnee*top {
			continue
		}
		if m, ok := s.meanByBlocks(); ok {
			list = append(list, m)
		}
	}
	slices.SortFunc(list, func(a, b repeated) int { return compare(a.load, b.load) })
	var groups [][]repeated
	for _, m := range list {
		if n := len(groups); n > 0 && m.load <= (1+oneLoad)*groups[n-1][0].load {
			groups[n-1] = append(groups[n-1], m)
			continue
		}
		groups = append(groups, []repeated{m})
	}
	for _, g := range groups {
		var sum, seconds float64
		for _, m := range g {
			sum, seconds = sum+m.variance*m.seconds, seconds+1
		}
		for i := range g {
			g[i].variance = sum / seconds / g[i].seconds
		}
	}
	return groups
}

// meanByBlocks is nil for a step of too few seconds.
func (s *series) meanByBlocks() (m repeated, ok bool) {
	n := len(s.windows)
	if n < 4 {
		return m, false
	}
	size := max(1, int(math.Round(math.Cbrt(float64(n)))))
	var sum, hits float64
	var means, counts []float64
	for at := 0; at+size <= n; at += size {
		var part, ended float64
		for _, w := range s.windows[at : at+size] {
			part, ended = part+w.sum, ended+w.ended()
		}
		if !(ended > 0) || !(part > 0) {
			return m, false
		}
		means, counts = append(means, part/ended), append(counts, ended)
		sum, hits = sum+part, hits+ended
	}
	whole := sum / hits
	squares := 0.0
	for i, x := range means {
		squares += counts[i] * (x/whole - 1) * (x/whole - 1)
	}
	blocks := float64(len(means))
	return repeated{
		load: s.point.Offered, seconds: max(s.seconds, 1), log: math.Log(whole), blocks: blocks,
		variance: squares / hits * blocks / (blocks - 1) / blocks,
	}, true
}

// steepest is by how much the log of the mean response grows with each request/s around a
// group, at most.
func steepest(groups [][]repeated, i int) (slope float64) {
	for _, k := range []int{i - 1, i + 1} {
		if k < 0 || k >= len(groups) {
			continue
		}
		up := (meanLog(groups[k]) - meanLog(groups[i])) / (groups[k][0].load - groups[i][0].load)
		slope = max(slope, up)
	}
	return slope
}

func meanLog(g []repeated) (sum float64) {
	for _, m := range g {
		sum += m.log / float64(len(g))
	}
	return sum
}
