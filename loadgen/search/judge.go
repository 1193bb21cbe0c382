package search

import (
	"math"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

// Outcome is what a step says about the objectives.
type Outcome int

// The outcomes of a step, the worst last.
const (
	// Met: every objective held.
	Met Outcome = iota
	// Doubtful: an objective did not hold, but a target that meets it would show
	// such a step too, more often than once in a hundred.
	Doubtful
	// Broken: an objective did not hold, and chance does not explain it.
	Broken
)

// doubt is the probability below which a step that did not hold is not put down
// to chance.
const doubt = 0.01

// shares maps the quantile metrics to the share of hits that may lie above.
var shares = map[string]float64{"p50": 0.5, "p90": 0.1, "p95": 0.05, "p99": 0.01, "p999": 0.001}

// Share returns the share of hits that may be slower than the threshold of a
// quantile metric (0.01 for p99); ok is false for other metrics.
func Share(metric string) (share float64, ok bool) {
	share, ok = shares[metric]
	return share, ok
}

// Judge returns the worst outcome of a step over the objectives. That a step was
// cut says nothing by itself (it may have been interrupted): its figures do.
func Judge(p observation.Point, objectives []scenarios.Objective) Outcome {
	worst := Met
	for _, o := range objectives {
		worst = max(worst, judge(p, o))
	}
	return worst
}

func judge(p observation.Point, o scenarios.Objective) Outcome {
	f, windows := figures(p, o)
	if f == nil {
		return Met // the request was not sent: nothing is known against it
	}
	if o.Metric == "throughput" {
		return judgeThroughput(p, *f, o)
	}
	observed := Observed(*f, o.Metric)
	if o.Holds(observed) {
		return Met
	}
	n := f.OK + f.Failed
	switch share, quantile := shares[o.Metric]; {
	case quantile:
		return significance(n, slower(windows, *f, o.Value), share)
	case o.Metric == "errors":
		return significance(n, f.Failed, o.Value)
	case o.Metric == "mean" && (n < 30 || observed < 1.05*o.Value):
		return Doubtful
	}
	return Broken
}

// judgeThroughput ignores steps that ask for nothing. Counts vary, in points of a log as those of
// Poisson arrivals do and in those of a drill by less, as it plans them: a lack counts once it
// exceeds three standard deviations of the former.
func judgeThroughput(p observation.Point, f observation.Figures, o scenarios.Objective) Outcome {
	switch {
	case o.Holds(f.Throughput) || !Asks(p, o):
		return Met
	case f.Throughput > o.Value-slack(p, o):
		return Doubtful
	}
	return Broken
}

func slack(p observation.Point, o scenarios.Objective) float64 {
	return 3 * math.Sqrt(o.Value/max(p.Seconds, 1))
}

// Asks says whether a step says anything of an objective: one that offers less than an
// objective on the throughput asks for cannot serve it, whatever the target can do.
func Asks(p observation.Point, o scenarios.Objective) bool {
	return o.Metric != "throughput" || o.Op != ">" && o.Op != ">=" || p.Offered >= o.Value+slack(p, o)
}

// significance tells a share above the allowed one from bad luck.
func significance(n, bad uint64, allowed float64) Outcome {
	if n == 0 {
		return Doubtful
	}
	if allowed <= 0 || tail(n, bad, allowed) < doubt {
		return Broken
	}
	return Doubtful
}

// figures returns what an objective looks at: one request's figures, or all of
// them with their windows.
func figures(p observation.Point, o scenarios.Objective) (*observation.Figures, []observation.Second) {
	if o.Request == "" {
		return &p.Figures, p.Windows
	}
	f, ok := p.Requests[o.Request]
	if !ok {
		return nil, nil
	}
	return &f, nil
}

// Observed returns a figure by the name of an objective's metric, in the unit of
// the objective; NaN for a metric that is not known.
func Observed(f observation.Figures, metric string) float64 {
	if v, ok := f.Metric(metric); ok {
		return v
	}
	return math.NaN()
}

// slower counts the hits whose response time is above ms, from the windows, or
// without them a number that the quantiles prove.
func slower(windows []observation.Second, f observation.Figures, ms float64) uint64 {
	if len(windows) == 0 {
		return provenSlower(f, ms)
	}
	var n uint64
	for _, w := range windows {
		if w.Tally == nil || w.Tally.Response == nil {
			continue
		}
		for value, count := range w.Tally.Response.ForEachBucket {
			if float64(value) > 1000*ms && count > 0 {
				n += uint64(count)
			}
		}
	}
	return n
}

func provenSlower(f observation.Figures, ms float64) uint64 {
	n := float64(f.OK + f.Failed)
	r := f.Response
	for _, q := range []struct{ value, share float64 }{
		{r.P50, 0.5}, {r.P90, 0.1}, {r.P95, 0.05}, {r.P99, 0.01}, {r.P999, 0.001},
	} {
		if q.value > ms {
			return uint64(math.Ceil(q.share * n))
		}
	}
	return 0
}

// tail is the probability that a binomial count of n trials with probability p
// is at least k.
func tail(n, k uint64, p float64) float64 {
	if k == 0 || p >= 1 {
		return 1
	}
	if k > n || p <= 0 {
		return 0
	}
	fn, fk := float64(n), float64(k)
	if fk < fn*p {
		return 1 - lowerSum(fn, fk-1, p)
	}
	lg := func(x float64) float64 { v, _ := math.Lgamma(x + 1); return v }
	term := math.Exp(lg(fn) - lg(fk) - lg(fn-fk) + fk*math.Log(p) + (fn-fk)*math.Log1p(-p))
	sum := 0.0
	for j := fk; j <= fn && term > 1e-12*sum; j++ {
		sum += term
		term *= (fn - j) / (j + 1) * p / (1 - p)
	}
	return min(sum, 1)
}

// lowerSum is the probability of a count of at most k, for k below the mean.
func lowerSum(n, k, p float64) float64 {
	lg := func(x float64) float64 { v, _ := math.Lgamma(x + 1); return v }
	term := math.Exp(lg(n) - lg(k) - lg(n-k) + k*math.Log(p) + (n-k)*math.Log1p(-p))
	sum := 0.0
	for j := k; j >= 0 && term > 1e-12*sum; j-- {
		sum += term
		term *= j / (n - j + 1) * (1 - p) / p
	}
	return min(sum, 1)
}
