package observation

import "time"

// Metric reads one metric off a tally that was filled over a time: p50, p90, p95,
// p99, p999, mean and max of the response time in ms, errors as a ratio,
// throughput in requests/s. It reports false for a metric that it does not know.
func Metric(t *Tally, over time.Duration, metric string) (float64, bool) {
	f := figures(t, over)
	return f.Metric(metric)
}

// Metric reads one metric by its name; see the function Metric.
func (f *Figures) Metric(metric string) (float64, bool) {
	q := f.Response
	switch metric {
	case "p50":
		return q.P50, true
	case "p90":
		return q.P90, true
	case "p95":
		return q.P95, true
	case "p99":
		return q.P99, true
	case "p999":
		return q.P999, true
	case "mean":
		return q.Mean, true
	case "max":
		return q.Max, true
	case "errors":
		return f.ErrorRatio, true
	case "throughput":
		return f.Throughput, true
	}
	return 0, false
}

// Metric reads one metric of the point, of one request of its mix if request is
// not empty. It reports false if there is no such metric or request.
func (p *Point) Metric(request, metric string) (float64, bool) {
	if request == "" {
		return p.Figures.Metric(metric)
	}
	f, ok := p.Requests[request]
	if !ok {
		return 0, false
	}
	return f.Metric(metric)
}
