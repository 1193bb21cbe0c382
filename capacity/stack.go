package capacity

import "math"

// slight is the weight below which a law has no part in a prediction.
const slight = 0.03

// stacked weighs two laws by how well they explain the responses and by how well they
// predict them, forward of what they are fitted on: the highest load is left out,
// and the responses there are what counts (forward-chaining cross-validation;
// stacking as of Yao et al. 2018). The heaviest comes first.
func stacked(list []stage, b bins, work effort, one, other *fitted) []*fitted {
	gain := one.cost - other.cost
	if n := len(list); n > 3 && work.rounds >= thorough.rounds {
		gain = (gain + ahead(list, b, other) - ahead(list, b, one)) / 2
	}
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

// ahead is the log likelihood of the responses at the highest load by the law as
// it is fitted to those below.
func ahead(list []stage, b bins, f *fitted) float64 {
	n := len(list) - 1
	var how *sharing
	if f.shared {
		how = &sharing{f.rest}
	}
	lower := fitLatency(list[:n], b, f.know, how, f, again)
	return lower.likelihood(list[n:], lower.base, newScratch(len(lower.base)))
}
