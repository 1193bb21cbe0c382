package profiler

import "math"

// Pair is a figure of the same load with and without profiling.
type Pair struct {
	Profiled, Plain float64
	// Weight is how much the pair says, such as its number of requests.
	Weight float64
}

// Effect is a relative change: 0.01 is one percent more while profiling.
type Effect struct {
	Value, Low, High float64
	Confidence       float64 // of the interval
	Pairs            int
}

// effectConfidence is that of the interval of an Effect.
const effectConfidence = 0.90

// Overhead estimates what profiling changes from pairs that were measured side by
// side: the weighted mean of the logarithms of their ratios, with an interval from
// how far the pairs differ (Student's t). It needs three pairs at least.
func Overhead(pairs []Pair) (Effect, bool) {
	var logs, weights []float64
	total := 0.0
	for _, p := range pairs {
		if p.Profiled > 0 && p.Plain > 0 && p.Weight > 0 && !math.IsInf(p.Profiled/p.Plain, 0) && !math.IsInf(p.Weight, 0) {
			logs, weights = append(logs, math.Log(p.Profiled/p.Plain)), append(weights, p.Weight)
			total += p.Weight
		}
	}
	n := float64(len(logs))
	if n < 3 || math.IsInf(total, 0) {
		return Effect{}, false
	}
	mean, spread := 0.0, 0.0
	for i, l := range logs {
		mean += l * weights[i] / total
	}
	for i, l := range logs {
		share := weights[i] / total
		spread += share * share * (l - mean) * (l - mean)
	}
	half := quantileT(1-effectConfidence, len(logs)-1) * math.Sqrt(spread*n/(n-1))
	return Effect{
		Value: math.Expm1(mean), Low: math.Expm1(mean - half), High: math.Expm1(mean + half),
		Confidence: effectConfidence, Pairs: len(logs),
	}, true
}
