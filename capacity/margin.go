package capacity

import (
	"math"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/loadgen/search"
	"github.com/headroom-project/headroom/scenarios"
)

// Bounds of a margin. Far below, more room says nothing about the crossing; far
// above, the target is saturated and a quantile only says how long the step was.
const (
	marginLow  = -4.0
	marginHigh = 0.5
)

// margin is how far a step is from breaking an objective: below 0 it holds, at 0
// and above it is broken. Latencies are compared on a log scale, ratios as a
// difference in units of the threshold. NaN means that the step says nothing.
func (s *series) margin(r *replicate, o scenarios.Objective) float64 {
	var m float64
	switch share, ok := search.Share(o.Metric); {
	case o.Metric == "throughput":
		m = s.lack(o)
	case o.Request != "" || len(s.windows) == 0:
		m = s.tableMargin(r, o)
	case ok:
		m = math.Log(quantile(r.bins, s.first, 1-share) / o.Value)
	case o.Metric == "mean":
		m = math.Log(r.sum / (r.ok + r.failed) / o.Value)
	case o.Metric == "max":
		m = math.Log(r.slowest / o.Value)
	case o.Metric == "errors":
		m = ratioMargin(r.failed/(r.ok+r.failed), o.Value)
	default:
		m = math.NaN()
	}
	if math.IsNaN(m) {
		return m
	}
	return min(max(m, marginLow), marginHigh)
}

func ratioMargin(ratio, threshold float64) float64 {
	return (ratio - threshold) / max(threshold, 1e-3)
}

// lack is the margin of a throughput objective. A step that offers less than the
// objective asks for cannot serve it, and says nothing.
func (s *series) lack(o scenarios.Objective) float64 {
	if o.Op != ">" && o.Op != ">=" || s.point.Offered < o.Value {
		return math.NaN()
	}
	slack := 3 * math.Sqrt(o.Value/max(s.seconds, 1))
	return (o.Value - slack - s.point.Throughput) / max(0.1*o.Value, slack)
}

// tableMargin reads the figures of one request, or of a point from a table: there
// are no windows to resample, so the sampling error is worked out instead.
func (s *series) tableMargin(r *replicate, o scenarios.Objective) float64 {
	f := s.point.Figures
	if o.Request != "" {
		var ok bool
		if f, ok = s.point.Requests[o.Request]; !ok {
			return math.NaN()
		}
	}
	n := float64(f.OK + f.Failed)
	if n == 0 {
		n = f.Throughput * max(s.seconds, 1)
	}
	observed := search.Observed(f, o.Metric)
	if o.Metric == "errors" {
		sd := math.Sqrt(max(observed*(1-observed), 0) / max(n, 1))
		return ratioMargin(observed+r.jitter*sd, o.Value)
	}
	if observed <= 0 {
		return math.NaN()
	}
	return math.Log(observed/o.Value) + r.jitter*quantileError(f.Response, o.Metric, n)
}

// quantileError is the standard error of the log of a quantile, by the delta
// method for a tail in which the quantile grows as a power of 1/(1-q); the power
// is read between p50, p90 and p99.
func quantileError(q observation.Quantiles, metric string, n float64) float64 {
	share, ok := search.Share(metric)
	if !ok {
		share = 0.5
	}
	power := 0.5
	if q.P50 > 0 && q.P99 > q.P50 {
		power = math.Log(q.P99/q.P50) / math.Log(50)
	}
	return min(max(power*math.Sqrt((1-share)/(share*max(n, 1))), 0.02), 0.5)
}
