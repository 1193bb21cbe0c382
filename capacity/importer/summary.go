package importer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

// maxSummary is the greatest size of a summary.
const maxSummary = 64 << 20

// summary gathers the figures of one point that somebody else computed.
type summary struct {
	offered, served, seconds float64
	count, failed            float64
	quantiles                observation.Quantiles
	columns                  []string
}

// set keeps a time in milliseconds under a metric's name, if it is one.
func (s *summary) set(metric string, ms float64) {
	if !(ms >= 0) || math.IsInf(ms, 0) {
		return
	}
	q := &s.quantiles
	at, ok := map[string]*float64{
		"p50": &q.P50, "p90": &q.P90, "p95": &q.P95, "p99": &q.P99, "p999": &q.P999, "max": &q.Max, "mean": &q.Mean,
	}[metric]
	if ok {
		*at = ms
		s.columns = append(s.columns, metric+"_ms")
	}
}

// point checks the figures and makes a point of them.
func (s *summary) point(step int) (observation.Point, error) {
	p := observation.Point{Step: step, Kind: scenarios.KindLoad, Valid: true, Requests: map[string]observation.Figures{}, Resources: map[string]observation.Use{}}
	if !(s.offered > 0) || s.offered > 1e9 || !(s.count >= 0) || s.count > 1e15 || !(s.failed >= 0) || s.failed > s.count {
		return p, fmt.Errorf("no rate and counts that make sense: %g requests, %g of them failed, at %g/s", s.count, s.failed, s.offered)
	}
	p.Offered, p.Throughput, p.Seconds = s.offered, s.served, s.seconds
	p.OK, p.Failed = uint64(s.count-s.failed), uint64(s.failed)
	p.Sent = p.OK + p.Failed
	if s.count > 0 {
		p.ErrorRatio = s.failed / s.count
	}
	p.Response = s.quantiles
	p.InFlight = s.offered * s.quantiles.Mean / 1000 // Little's law
	return p, nil
}

func (s *summary) results(lacks []string) (*Results, error) {
	p, err := s.point(0)
	if err != nil {
		return nil, err
	}
	return &Results{
		Points: []observation.Point{p}, Lacks: lacks,
		Columns: append(s.columns, "offered_rps", "throughput_rps", "error_ratio", "seconds"),
		Method:  []string{"One point was made of a summary of a whole run; give a file for each load that was offered."},
	}, nil
}

// whollyJSON reads all of a file as one JSON value.
func whollyJSON(in *input, into any) error {
	b, err := io.ReadAll(io.LimitReader(in, maxSummary))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(bytes.TrimPrefix(b, []byte("\ufeff")), into); err != nil {
		return fmt.Errorf("%s: %w", in.name, err)
	}
	return nil
}

// k6Summary has the metrics of a run: handleSummary nests its figures under values,
// --summary-export does not.
type k6Summary struct {
	Metrics map[string]map[string]json.RawMessage `json:"metrics"`
	State   struct {
		Lasted float64 `json:"testRunDurationMs"`
	} `json:"state"`
}

func isK6Summary(head []byte) bool {
	return bytes.HasPrefix(bytes.TrimSpace(head), []byte("{")) && (bytes.Contains(head, []byte(`"metrics"`)) || bytes.Contains(head, []byte(`"root_group"`)))
}

// readK6Summary reads what handleSummary gets (and --summary-export wrote): one
// point of a whole run.
func readK6Summary(in *input) (*Results, error) {
	var x k6Summary
	if err := whollyJSON(in, &x); err != nil {
		return nil, err
	}
	return x.results(in, "the summary has no p99: run k6 with --summary-trend-stats 'avg,med,max,p(90),p(95),p(99)'")
}

// results makes the point; noP99 is said of a summary without one.
func (x *k6Summary) results(in *input, noP99 string) (*Results, error) {
	requests, trend, failed := x.values("http_reqs"), x.values(k6Duration), x.values("http_req_failed")
	if requests == nil || trend == nil {
		return nil, fmt.Errorf("%s: no http_reqs and http_req_duration in it: it made no HTTP request", in.name)
	}
	s := summary{offered: requests["rate"], count: requests["count"], seconds: x.State.Lasted / 1000}
	if s.seconds <= 0 && s.offered > 0 {
		s.seconds = s.count / s.offered
	}
	// http_req_failed counts failures as passes of a rate metric; value or rate is
	// the share of them.
	s.failed = math.Round(s.count * max(failed["rate"], failed["value"]))
	s.served = s.offered * (1 - max(failed["rate"], failed["value"]))
	for name, metric := range map[string]string{"med": "p50", "p(50)": "p50", "avg": "mean", "max": "max", "p(90)": "p90", "p(95)": "p95", "p(99)": "p99", "p(99.9)": "p999"} {
		if v, ok := trend[name]; ok {
			s.set(metric, v)
		}
	}
	lacks := append([]string{"a k6 summary has no histogram: intervals rest on quantiles, and the start of the run is in them"}, k6Lacks...)
	if !strings.Contains(strings.Join(s.columns, " "), "p99_ms") {
		lacks = append(lacks, noP99)
	}
	out, err := s.results(lacks)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", in.name, err)
	}
	return out, nil
}

// values returns the figures of a metric in either form; nil if it is not there.
func (x *k6Summary) values(metric string) map[string]float64 {
	m, ok := x.Metrics[metric]
	if !ok {
		return nil
	}
	if nested, ok := m["values"]; ok {
		var inner map[string]json.RawMessage
		if json.Unmarshal(nested, &inner) == nil {
			m = inner
		}
	}
	out := map[string]float64{}
	for name, raw := range m {
		if v, err := strconv.ParseFloat(string(raw), 64); err == nil && !math.IsNaN(v) && !math.IsInf(v, 0) {
			out[name] = v
		}
	}
	return out
}
