package importer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

var gatlingLacks = []string{
	"Gatling's times are whole milliseconds, and run from the sending of a request",
	"Gatling records nothing of the target: without resource use there is no bottleneck and no cost",
	"the offered load is what Gatling sent; with a closed injection profile a slow target is asked less often, and the capacity may lie below what is shown",
}

func isGatlingLog(head []byte) bool {
	return bytes.HasPrefix(head, []byte("RUN\t")) || bytes.HasPrefix(head, []byte("ASSERTION\t")) || bytes.HasPrefix(head, []byte("REQUEST\t"))
}

// readGatlingLog reads the text simulation.log of Gatling 2 and 3 up to 3.10.
// Versions differ in the fields before the name; a request's two times and its
// status follow each other in all of them.
func readGatlingLog(in *input) (*Results, error) {
	l := &log{}
	relevant := func(b []byte) bool { return bytes.HasPrefix(b, []byte("REQUEST\t")) }
	do := func(b []byte) error { return l.gatling(strings.TrimRight(string(b), "\r\n")) }
	if err := lines(in, relevant, do); err != nil {
		return nil, err
	}
	return l.results(in, gatlingLacks)
}

func (l *log) gatling(line string) error {
	fields := strings.Split(line, "\t")
	for i := 2; i+2 < len(fields); i++ {
		status := fields[i+2]
		if status != "OK" && status != "KO" {
			continue
		}
		start, err1 := strconv.ParseInt(fields[i], 10, 64)
		end, err2 := strconv.ParseInt(fields[i+1], 10, 64)
		if err1 != nil || err2 != nil {
			continue
		}
		lasted, err := elapsed(start, end)
		if err != nil {
			return err
		}
		r := record{start: time.UnixMilli(start), lasted: lasted, name: fields[i-1]}
		if status == "KO" {
			message := strings.TrimSpace(strings.Join(fields[i+3:], " "))
			r.class = classOf(statusIn(message), message)
		}
		return l.add(r)
	}
	return fmt.Errorf("a request without start, end and OK or KO")
}

// elapsed is the time between two instants in milliseconds, which may be any numbers: as a
// time.Duration, that of some has another sign.
func elapsed(start, end int64) (time.Duration, error) {
	// Instants of one sign differ by a number that there is; of others, none is in a log.
	if start < 0 || end < 0 || end-start > maxLasts.Milliseconds() {
		return 0, fmt.Errorf("a request from %d to %d ms takes more than %s, or begins before 1970", start, end, maxLasts)
	}
	return time.Duration(max(end-start, -1)) * time.Millisecond, nil // log.add refuses what is negative
}

// statusIn finds the status that a failed check found: "... but actually found 503".
func statusIn(message string) string {
	if _, status, ok := strings.Cut(message, "found "); ok && len(status) >= 3 {
		return status[:3]
	}
	return ""
}

// gatlingStats is stats.json; global_stats.json is its part "stats" alone.
type gatlingStats struct {
	Stats *gatlingFigures `json:"stats"`
	gatlingFigures
}

type gatlingFigures struct {
	Count  gatlingTriple `json:"numberOfRequests"`
	Mean   gatlingTriple `json:"meanResponseTime"`
	Max    gatlingTriple `json:"maxResponseTime"`
	First  gatlingTriple `json:"percentiles1"`
	Second gatlingTriple `json:"percentiles2"`
	Third  gatlingTriple `json:"percentiles3"`
	Fourth gatlingTriple `json:"percentiles4"`
	Rate   gatlingTriple `json:"meanNumberOfRequestsPerSecond"`
}

// gatlingTriple holds numbers, or text with numbers or "-", by version.
type gatlingTriple struct {
	Total json.RawMessage `json:"total"`
	OK    json.RawMessage `json:"ok"`
	KO    json.RawMessage `json:"ko"`
}

func gatlingNumber(raw json.RawMessage) float64 {
	v, err := strconv.ParseFloat(strings.Trim(string(raw), `"`), 64)
	if err != nil {
		return 0
	}
	return v
}

func isGatlingStats(head []byte) bool {
	return bytes.HasPrefix(bytes.TrimSpace(head), []byte("{")) && bytes.Contains(head, []byte(`"numberOfRequests"`))
}

// readGatlingStats reads js/stats.json or js/global_stats.json of a report.
func readGatlingStats(in *input) (*Results, error) {
	var x gatlingStats
	if err := whollyJSON(in, &x); err != nil {
		return nil, err
	}
	f := x.gatlingFigures
	if x.Stats != nil {
		f = *x.Stats
	}
	s := summary{offered: gatlingNumber(f.Rate.Total), served: gatlingNumber(f.Rate.OK), count: gatlingNumber(f.Count.Total), failed: gatlingNumber(f.Count.KO)}
	if s.offered > 0 {
		s.seconds = s.count / s.offered
	}
	s.set("mean", gatlingNumber(f.Mean.Total))
	s.set("max", gatlingNumber(f.Max.Total))
	s.set("p50", gatlingNumber(f.First.Total))
	s.set("p95", gatlingNumber(f.Third.Total))
	s.set("p99", gatlingNumber(f.Fourth.Total))
	out, err := s.results(append([]string{
		"the four percentiles of Gatling's statistics are taken for its defaults: 50, 75, 95 and 99",
		"Gatling's statistics have no histogram, and the start of the run is in them; simulation.log of Gatling up to 3.10 has every request",
	}, gatlingLacks...))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", in.name, err)
	}
	return out, nil
}
