package main

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// weekday is the load of a service that grows by 3% a week from 500/s.
func weekday(at time.Time, since time.Time) float64 {
	v := 0.35 + 0.65*math.Exp(-float64((at.Hour()-14)*(at.Hour()-14))/18)
	if d := at.Weekday(); d == time.Saturday || d == time.Sunday {
		v *= 0.6
	}
	return 500 * v * math.Pow(1.03, at.Sub(since).Hours()/168)
}

// traffic writes so many weeks of hourly readings: traffic FILE WEEKS
func traffic(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: traffic FILE WEEKS")
	}
	weeks, err := strconv.Atoi(args[1])
	ts.Check(err)
	since := time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)
	var b strings.Builder
	b.WriteString("time,rps\n")
	for h := range weeks * 168 {
		at := since.Add(time.Duration(h) * time.Hour)
		fmt.Fprintf(&b, "%s,%.1f\n", at.Format(time.RFC3339), weekday(at, since))
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(b.String()), 0o644))
}

// rangeQuery answers Prometheus's range queries: with traffic, with two series for
// the query "two", and with an error for the query "bad(".
func rangeQuery(w http.ResponseWriter, r *http.Request) {
	start, _ := strconv.ParseInt(r.FormValue("start"), 10, 64)
	end, _ := strconv.ParseInt(r.FormValue("end"), 10, 64)
	step, _ := strconv.ParseInt(r.FormValue("step"), 10, 64)
	if r.URL.Path != "/api/v1/query_range" || step <= 0 || end-start > 1e9 {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	if r.FormValue("query") == "bad(" {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = fmt.Fprint(w, `{"status":"error","errorType":"bad_data","error":"parse error: unclosed left parenthesis"}`)
		return
	}
	var values [][2]any
	for t := start; t <= end; t += step {
		values = append(values, [2]any{t, fmt.Sprintf("%.1f", weekday(time.Unix(t, 0).UTC(), time.Unix(start, 0)))})
	}
	series := []map[string]any{{"metric": map[string]string{}, "values": values}}
	if r.FormValue("query") == "two" {
		series = append(series, series[0])
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"status": "success", "data": map[string]any{"resultType": "matrix", "result": series}})
}
