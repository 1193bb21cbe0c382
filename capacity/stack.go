package capacity

import "math"

// slight is the weight below which a law has no part in a prediction.
const slight = 0.03

// mostAhead bounds what predicting the highest load counts for: a handful of
// responses longer than any at the lower loads would otherwise decide it.
const mostAhead = 4.0

// stacked weighs two laws by how well they explain the responses and by how well they
// predict them, forward of what they are fitted on: the highest load is left out,
// and the responses there are what counts (forward-chaining cross-validation;
// stacking as of Yao et al. 2018). The heaviest comes first.
func stacked(list []stage, b bins, work effort, one, other *fitted) []*fitted {
	gain := one.cost - other.cost
	if n := len(list); n > 3 && work.rounds >= thorough.rounds {
		further := ahead(list, b, other) - ahead(list, b, one)
		if math.IsNaN(further) {
			further = 0 // the lower loads alone identify neither
		}
		// What is not known of the time without waiting from few responses at lower loads
		// makes as much of a difference at the highest as the laws do.
		lower := 0.0
		for _, g := range list[:n-1] {
			lower += g.total
		}
		gain += min(max(further, -mostAhead), mostAhead) * min(lower/list[n-1].total, 1)
	}
	gain /= 2 // neither law is quite right
	gain /= misfitted(list, max(one.fit, other.fit))
	other.weight = 1 / (1 + math.Exp(-gain))
	one.weight = 1 - other.weight
	if one.weight < other.weight {
		one, other = other, one
	}
	if other.weight < slight {
		one.weight = 1
		return []*fitted{one}
	}
	return []*fitted{one, other}
}

// misfitted is by how much the responses differ more from the better law than chance
// explains (the deviance for each degree of freedom, at least 1): where no law is
// right, all differences of likelihoods are too great by that.
func misfitted(list []stage, best float64) float64 {
	whole, cells := 0.0, 0.0
	for _, g := range list {
		sum, figures := g.saturated()
		whole, cells = whole+sum, cells+figures
	}
	n := len(list)
	if n < 2 {
		return 1
	}
	free := max(cells*float64(n-1)/float64(n)-float64(n), 1)
	return max(2*(whole/overdispersion-best)/free, 1)
}

// ahead is the log likelihood of the responses at the highest load by the law as
// it is fitted to those below.
func ahead(list []stage, b bins, f *fitted) float64 {
	n := len(list) - 1
	how, know := f.station, f.know
	if f.parts != nil {
		below := split(list[:n], b, know, how, f.parts.service, f.parts.scv)
		how.parts, know = below.parts, below.know
	}
	lower := fitLatency(list[:n], b, know, how, f, again)
	return lower.likelihood(list[n:], lower.base, newScratch(len(lower.base), len(b.middle)))
}
