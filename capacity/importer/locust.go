package importer

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/headroom-project/headroom/loadgen/observation"
)

var locustLacks = []string{
	"Locust is a closed load: each user waits for its answer, so that a slow target is asked less often, and the capacity may lie below what is shown",
	"Locust rounds response times above 100 ms to two digits",
	"Locust records nothing of the target: without resource use there is no bottleneck and no cost",
}

const (
	// locustWindow is what Locust's current percentiles are over, in seconds.
	locustWindow = 10
	// sameUsers is by how much the number of users may change within a window:
	// beyond, it holds two loads.
	sameUsers = 0.1
)

// locustPercentiles maps Locust's columns to metrics.
var locustPercentiles = map[string]string{"50%": "p50", "90%": "p90", "95%": "p95", "99%": "p99", "99.9%": "p999", "100%": "max"}

// locustRow is the row of all requests at an instant.
type locustRow struct {
	at                  float64
	users               float64
	count, failed, mean float64
	percentiles         map[string]float64
}

// readLocustHistory reads <prefix>_stats_history.csv, which has a row a second:
// counts since the start, and percentiles of about the last ten seconds. Rows ten
// seconds apart between which the number of users stays about the same become
// points, each with the difference of the counts.
func readLocustHistory(in *input) (*Results, error) {
	rows, err := newRows(in)
	if err != nil {
		return nil, err
	}
	if !rows.has("Total Request Count") {
		return nil, fmt.Errorf("%s: no column Total Request Count", in.name)
	}
	out := &Results{Lacks: locustLacks, Method: []string{
		"Rows ten seconds apart became points, where the number of users did not change by more than a tenth between them: rates are differences of counts, percentiles are those that Locust gives for the last ten seconds.",
	}}
	var last *locustRow
	var s summary
	for rows.next() {
		if rows.get("Name") != "Aggregated" {
			continue
		}
		row, ok := rows.locust()
		if !ok {
			continue
		}
		if last == nil || row.count < last.count || math.Abs(row.users-last.users) > sameUsers*last.users {
			last = row // the first row, statistics that were reset, or another load
			continue
		}
		if row.at-last.at < locustWindow {
			continue
		}
		s = last.until(row)
		last = row
		if s.count == 0 {
			continue
		}
		p, err := s.point(len(out.Points))
		if err != nil {
			rows.wrong("Total Request Count", "", "%v", err)
			continue
		}
		out.Points = append(out.Points, p)
		if len(out.Points) > 20000 {
			return nil, fmt.Errorf("%s: more than 20000 windows of ten seconds", in.name)
		}
	}
	if err := rows.problems.Err(); err != nil {
		return nil, err
	}
	if len(out.Points) == 0 {
		return nil, fmt.Errorf("%s: no ten seconds with requests and about the same number of users in it; keep each number of users for 20 s and more", in.name)
	}
	out.Columns = append(s.columns, "offered_rps", "throughput_rps", "error_ratio", "seconds")
	return out, nil
}

// locust reads the present row; false for one that has no percentiles yet.
func (r *rows) locust() (*locustRow, bool) {
	row := &locustRow{percentiles: map[string]float64{}}
	for _, x := range []struct {
		column string
		at     *float64
	}{
		{"Timestamp", &row.at}, {"User Count", &row.users}, {"Total Request Count", &row.count}, {"Total Failure Count", &row.failed}, {"Total Average Response Time", &row.mean},
	} {
		column, at := x.column, x.at
		v, err := strconv.ParseFloat(r.get(column), 64)
		if err != nil || !(v >= 0 && v < 1e15) {
			r.wrong(column, "", "%s: %.40q is no number", column, r.get(column))
			return nil, false
		}
		*at = v
	}
	for _, column := range slices.Sorted(maps.Keys(locustPercentiles)) {
		metric, text := locustPercentiles[column], r.get(column)
		if text == "" || strings.EqualFold(text, "N/A") {
			continue
		}
		v, err := strconv.ParseFloat(text, 64)
		if err != nil || !(v >= 0 && v < 1e9) {
			r.wrong(column, "", "%s: %.40q is no time in milliseconds", column, text)
			return nil, false
		}
		row.percentiles[metric] = v
	}
	return row, true
}

// until is what happened between two rows.
func (a *locustRow) until(b *locustRow) summary {
	s := summary{count: b.count - a.count, failed: max(b.failed-a.failed, 0), seconds: b.at - a.at}
	s.failed = min(s.failed, s.count)
	s.offered = s.count / s.seconds
	s.served = (s.count - s.failed) / s.seconds
	if s.count > 0 {
		s.set("mean", max((b.mean*b.count-a.mean*a.count)/s.count, 0))
	}
	for metric, v := range b.percentiles {
		s.set(metric, v)
	}
	return s
}

// readLocustStats reads <prefix>_stats.csv: one point of a whole run.
func readLocustStats(in *input) (*Results, error) {
	rows, err := newRows(in)
	if err != nil {
		return nil, err
	}
	for rows.next() {
		if rows.get("Name") != "Aggregated" {
			continue
		}
		number := func(column string) float64 {
			v, err := strconv.ParseFloat(rows.get(column), 64)
			if err != nil {
				rows.wrong(column, "", "%s: %.40q is no number", column, rows.get(column))
			}
			return v
		}
		s := summary{offered: number("Requests/s"), count: number("Request Count"), failed: number("Failure Count")}
		s.served = s.offered - number("Failures/s")
		if s.offered > 0 {
			s.seconds = s.count / s.offered
		}
		s.set("mean", number("Average Response Time"))
		for column, metric := range locustPercentiles {
			if text := rows.get(column); text != "" && !strings.EqualFold(text, "N/A") {
				s.set(metric, number(column))
			}
		}
		if err := rows.problems.Err(); err != nil {
			return nil, err
		}
		out, err := s.results(append([]string{"Locust's statistics have no histogram, and the start of the run is in them; _stats_history.csv has one point for each ten seconds"}, locustLacks...))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", in.name, err)
		}
		return out, nil
	}
	if err := rows.problems.Err(); err != nil {
		return nil, err
	}
	return &Results{Points: []observation.Point{}}, fmt.Errorf("%s: no row Aggregated", in.name)
}
