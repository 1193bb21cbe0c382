package importer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// Names of k6's metrics.
const (
	k6Duration = "http_req_duration"
	k6Dropped  = "dropped_iterations"
)

var k6Lacks = []string{
	"k6's http_req_duration runs from the sending of a request to the end of its answer: waiting for a connection, and for a user who is busy with an earlier request, is not in it",
	"k6 records nothing of the target: without resource use there is no bottleneck and no cost",
	"the offered load is what k6 sent; with a closed executor (vus) a slow target is asked less often, and the capacity may lie below what is shown",
}

// readK6CSV reads `k6 run --out csv=FILE`: a row for each metric of each request.
// The time of a row is the end of the request.
func readK6CSV(in *input) (*Results, error) {
	rows, err := newRows(in)
	if err != nil {
		return nil, err
	}
	l := &log{byEnd: true}
	for rows.next() {
		switch rows.get("metric_name") {
		case k6Dropped:
			l.drop(rows.get("metric_value"))
			continue
		case k6Duration:
		default:
			continue
		}
		at, err := instant(rows.get("timestamp"))
		if err != nil {
			rows.wrong("timestamp", "K6_CSV_TIME_FORMAT may be unix, unix_milli, unix_micro, unix_nano or rfc3339", "timestamp: %v", err)
			continue
		}
		lasted, err := millis(rows.get("metric_value"))
		if err != nil {
			rows.wrong("metric_value", "", "metric_value: %v", err)
			continue
		}
		r := record{start: at.Add(-lasted), lasted: lasted, name: k6Name(rows.get("method"), rows.get("name"))}
		r.class = k6Class(rows.get("expected_response"), rows.get("status"), rows.get("error_code"), rows.get("error"))
		if err := l.add(r); err != nil {
			rows.wrong("timestamp", "", "%v", err)
			if errors.Is(err, errTooMany) {
				break
			}
		}
	}
	if err := rows.problems.Err(); err != nil {
		return nil, err
	}
	return l.results(in, k6Lacks)
}

func k6Name(method, name string) string {
	if method == "" {
		return name
	}
	return method + " " + name
}

// k6Class says why a request failed, empty if it did not.
func k6Class(expected, status, code, message string) string {
	failed := expected == "false"
	if expected == "" {
		n, err := strconv.Atoi(status)
		failed = err == nil && (n == 0 || n >= 400) || code != ""
	}
	if !failed {
		return ""
	}
	return classOf(status, message)
}

func (l *log) drop(text string) {
	if v, err := strconv.ParseFloat(text, 64); err == nil && v > 0 && v < 1e9 {
		l.dropped += uint64(v)
	}
}

// k6Line is a line of `k6 run --out json=FILE`.
type k6Line struct {
	Type   string `json:"type"`
	Metric string `json:"metric"`
	Data   struct {
		Time  string      `json:"time"`
		Value json.Number `json:"value"`
		Tags  struct {
			Method    string `json:"method"`
			Name      string `json:"name"`
			Status    string `json:"status"`
			Expected  string `json:"expected_response"`
			Error     string `json:"error"`
			ErrorCode string `json:"error_code"`
		} `json:"tags"`
	} `json:"data"`
}

func isK6Lines(head []byte) bool {
	line, _, _ := bytes.Cut(head, []byte("\n"))
	return bytes.HasPrefix(line, []byte("{")) && bytes.Contains(line, []byte(`"metric"`)) && bytes.Contains(line, []byte(`"data"`)) && bytes.Contains(line, []byte(`"type"`))
}

// readK6Lines reads `k6 run --out json=FILE`.
func readK6Lines(in *input) (*Results, error) {
	l := &log{byEnd: true}
	relevant := func(b []byte) bool {
		return bytes.Contains(b, []byte(k6Duration)) || bytes.Contains(b, []byte(k6Dropped))
	}
	if err := lines(in, relevant, l.k6Line); err != nil {
		return nil, err
	}
	return l.results(in, k6Lacks)
}

func (l *log) k6Line(b []byte) error {
	var x k6Line
	if err := json.Unmarshal(b, &x); err != nil {
		return fmt.Errorf("no JSON: %w", err)
	}
	if x.Type != "Point" {
		return nil
	}
	switch x.Metric {
	case k6Dropped:
		l.drop(x.Data.Value.String())
		return nil
	case k6Duration:
	default:
		return nil
	}
	at, err := instant(x.Data.Time)
	if err != nil {
		return err
	}
	lasted, err := millis(x.Data.Value.String())
	if err != nil {
		return err
	}
	t := x.Data.Tags
	return l.add(record{
		start: at.Add(-lasted), lasted: lasted, name: k6Name(t.Method, t.Name),
		class: k6Class(t.Expected, t.Status, t.ErrorCode, t.Error),
	})
}

// results reduces a log.
func (l *log) results(in *input, lacks []string) (*Results, error) {
	points, started, err := l.points(in.cfg.Discard)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", in.name, err)
	}
	out := &Results{Started: started, Points: points, Lacks: lacks, Method: []string{
		fmt.Sprintf("%d requests were read from a log, and put into %d steps where their rate changes; the first fifth of each step, 1 to 3 s, is warm-up and kept out.", len(l.hits), len(points)),
		"Percentiles are of merged histograms over the requests themselves.",
	}}
	if l.coarse() {
		out.Lacks = append(out.Lacks, l.spreading())
	}
	if l.dropped > 0 {
		out.Lacks = append(out.Lacks, fmt.Sprintf("%d planned iterations were dropped, at times that are not kept apart: the generator was short of users, and the load was lower than planned", l.dropped))
	}
	return out, nil
}
