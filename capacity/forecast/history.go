package forecast

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/headroom-project/headroom/capacity/table"
)

// Bounds of a history.
const (
	MaxBytes = 64 << 20
	MaxRows  = 1_000_000
	maxRPS   = 1e9
)

// Reading is the load at an instant, in requests/s.
type Reading struct {
	At  time.Time
	RPS float64
}

// Names that the columns of a history may have.
var (
	timeNames  = []string{"time", "timestamp", "date", "datetime", "ts", "at", "hour", "day"}
	valueNames = []string{"rps", "requests_per_second", "requests/s", "req/s", "offered_rps", "load", "value", "rate", "qps"}
)

// ReadCSV reads a history: a header, and rows of a time and a load in requests/s.
// Times are RFC 3339, 2006-01-02 15:04:05 and shorter in zone, or seconds or
// milliseconds since 1970. Rows may be in any order. The error is of type
// *table.Problems if the file is at fault.
func ReadCSV(name string, r io.Reader, zone *time.Location) ([]Reading, error) {
	b, err := io.ReadAll(io.LimitReader(r, MaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	p := &table.Problems{Name: name}
	if len(b) > MaxBytes {
		p.Add(0, 0, "one row an hour is enough", "the history is larger than %d MiB", MaxBytes>>20)
		return nil, p
	}
	in := csv.NewReader(strings.NewReader(strings.TrimPrefix(string(b), "\ufeff")))
	in.FieldsPerRecord = -1
	in.Comment = '#'
	in.TrimLeadingSpace = true
	head, err := in.Read()
	if err != nil {
		p.Add(1, 0, "begin with the line time,rps", "no header")
		return nil, p
	}
	if len(head) == 1 && strings.ContainsAny(head[0], ";\t") {
		p.Add(1, 1, "separate fields by commas, and write decimals with a point", "the header has one field: %.60q", head[0])
		return nil, p
	}
	at, value := columnsOf(head, p)
	if err := p.Err(); err != nil {
		return nil, err
	}
	var out []Reading
	for {
		record, err := in.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			var parse *csv.ParseError
			if errors.As(err, &parse) {
				p.Add(parse.Line, 0, "", "%v", parse.Err)
			}
			break
		}
		line, _ := in.FieldPos(0)
		if len(out) >= MaxRows {
			p.Add(line, 0, "one row an hour is enough", "more than %d rows", MaxRows)
			break
		}
		if x, ok := reading(record, len(head), at, value, line, zone, p); ok {
			out = append(out, x)
		}
	}
	if len(out) == 0 && len(p.List) == 0 {
		p.Add(2, 0, "add a row for each hour", "no row below the header")
	}
	return out, p.Err()
}

func columnsOf(head []string, p *table.Problems) (at, value int) {
	seen := map[string]bool{}
	for k, h := range head {
		h = strings.ToLower(strings.TrimSpace(h))
		if seen[h] && (slices.Contains(timeNames, h) || slices.Contains(valueNames, h)) {
			p.Add(1, k+1, "leave one of the two out", "the column %q is there twice", h)
		}
		seen[h] = true
	}
	find := func(names []string) int {
		return slices.IndexFunc(head, func(h string) bool { return slices.Contains(names, strings.ToLower(strings.TrimSpace(h))) })
	}
	at, value = find(timeNames), find(valueNames)
	if at < 0 {
		p.Add(1, 0, "name it time", "no column of times; known names are %s", strings.Join(timeNames, ", "))
	}
	if value < 0 {
		p.Add(1, 0, "name it rps, and write requests per second", "no column of loads; known names are %s", strings.Join(valueNames, ", "))
	}
	return at, value
}

func reading(record []string, fields, at, value, line int, zone *time.Location, p *table.Problems) (x Reading, ok bool) {
	for len(record) > fields && strings.TrimSpace(record[len(record)-1]) == "" {
		record = record[:len(record)-1] // a comma at the end
	}
	if len(record) > fields || len(record) <= max(at, value) {
		p.Add(line, 0, "write decimals with a point, and no comma else", "%d fields, and the header has %d", len(record), fields)
		return x, false
	}
	text := strings.TrimSpace(record[value])
	if text == "" || strings.EqualFold(text, "nan") || strings.EqualFold(text, "null") {
		return x, false // a gap, as monitoring writes it
	}
	v, err := strconv.ParseFloat(text, 64)
	switch {
	case err != nil:
		p.Add(line, value+1, "write requests per second as a plain number: 400", "%.40q is no load", text)
	case v < 0:
		p.Add(line, value+1, "", "a load of %s is negative", text)
	case !(v <= maxRPS):
		p.Add(line, value+1, "write requests per second, not a count", "a load of %s is above %g", text, maxRPS)
	}
	t, terr := instant(strings.TrimSpace(record[at]), zone)
	if terr != nil {
		p.Add(line, at+1, "write it like 2026-03-02T15:00:00Z", "%v", terr)
	}
	return Reading{t, v}, err == nil && terr == nil && v >= 0 && v <= maxRPS
}

// instant reads a time. One without a zone is of the wall clock in zone.
func instant(text string, zone *time.Location) (time.Time, error) {
	if v, err := strconv.ParseFloat(text, 64); err == nil {
		if v > 1e11 {
			v /= 1000 // milliseconds
		}
		if !(v >= 0 && v < 1e10) {
			return time.Time{}, fmt.Errorf("%.40q is no time since 1970", text)
		}
		return bounded(time.UnixMilli(int64(v * 1000)))
	}
	for _, form := range []string{time.RFC3339Nano, "2006-01-02T15:04Z07:00", "2006-01-02 15:04:05Z07:00"} {
		if t, err := time.Parse(form, text); err == nil {
			return bounded(t)
		}
	}
	for _, form := range []string{"2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(form, text, zone); err == nil {
			return bounded(t)
		}
	}
	return time.Time{}, fmt.Errorf("%.40q is no time", text)
}

func bounded(t time.Time) (time.Time, error) {
	if y := t.Year(); y < 1990 || y > 2200 {
		return t, fmt.Errorf("the year %d is not between 1990 and 2200", y)
	}
	return t, nil
}

// matrix is the answer to a Prometheus range query.
type matrix struct {
	Status string `json:"status"`
	Error  string `json:"error"`
	Data   struct {
		ResultType string `json:"resultType"`
		Result     []struct {
			Metric map[string]string    `json:"metric"`
			Values [][2]json.RawMessage `json:"values"`
		} `json:"result"`
	} `json:"data"`
}

// ParsePrometheus reads the answer to a Prometheus range query (api/v1/query_range)
// of one series, in requests/s.
func ParsePrometheus(b []byte) ([]Reading, error) {
	var m matrix
	if err := json.Unmarshal(b, &m); err != nil {
		return nil, fmt.Errorf("read answer of Prometheus: %w", err)
	}
	switch {
	case m.Status != "success":
		return nil, fmt.Errorf("the query was refused by Prometheus: %.200s", m.Error)
	case m.Data.ResultType != "matrix":
		return nil, fmt.Errorf("the answer of Prometheus is a %.20s, not a matrix", m.Data.ResultType)
	case len(m.Data.Result) == 0:
		return nil, errors.New("the query has no data in this time")
	case len(m.Data.Result) > 1:
		return nil, fmt.Errorf("the query has %d series; add them up: sum(...)", len(m.Data.Result))
	}
	var out []Reading
	for _, v := range m.Data.Result[0].Values {
		var seconds float64
		var text string
		if json.Unmarshal(v[0], &seconds) != nil || json.Unmarshal(v[1], &text) != nil || !(seconds > 0 && seconds < 1e10) {
			return nil, errors.New("read answer of Prometheus: a value is not [seconds, \"number\"]")
		}
		rps, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, fmt.Errorf("read answer of Prometheus: %.40q is no number", text)
		}
		if math.IsNaN(rps) {
			continue
		}
		if !(rps >= 0 && rps <= maxRPS) {
			return nil, fmt.Errorf("a load of %g requests/s in the answer of Prometheus", rps)
		}
		out = append(out, Reading{time.UnixMilli(int64(seconds * 1000)), rps})
	}
	if len(out) == 0 {
		return nil, errors.New("the query has no data in this time")
	}
	return out, nil
}
