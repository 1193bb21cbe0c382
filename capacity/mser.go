package capacity

import "math"

// batch is how many seconds make one observation of the warm-up rule.
const batch = 5

// mser returns how many of the first values are warm-up: what is cut off so that
// the standard error of the mean of the rest is least, in batches of five and at
// most half of them (MSER-5; White, Cobb and Spratt 2000).
func mser(values []float64) int {
	n := len(values) / batch
	means := make([]float64, n)
	for i := range means {
		for _, v := range values[i*batch : (i+1)*batch] {
			means[i] += v / batch
		}
	}
	cut, least := 0, math.Inf(1)
	for d := 0; d <= n/2; d++ {
		rest := means[d:]
		m, squares := mean(rest), 0.0
		for _, v := range rest {
			squares += (v - m) * (v - m)
		}
		if e := squares / float64(len(rest)*len(rest)); e < least {
			cut, least = d, e
		}
	}
	return cut * batch
}

// warmest is the least number of seconds of a step from which more warm-up is cut
// than the controller left out.
const warmest = 30

// settled is where the windows of a step begin to be of one kind. Only a begin that
// is slower than the rest is a warm-up; one that is faster is a queue that grows.
func settled(windows []window) int {
	if len(windows) < warmest {
		return 0
	}
	values := make([]float64, len(windows))
	for i, w := range windows {
		values[i] = w.sum / max(w.ended(), 1)
	}
	cut := mser(values)
	if cut == 0 || mean(values[:cut]) < 1.1*mean(values[cut:]) {
		return 0
	}
	return cut
}
