package reports

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/headroom-project/headroom/capacity"
	"github.com/headroom-project/headroom/capacity/forecast"
)

// The sentence says what is known: a capacity that was exceeded already, and one that
// is only known to be at least something.
func TestForecastSentence(t *testing.T) {
	// Five weeks at 100 requests/s, in which one day of the third brought 300.
	begin := time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)
	var readings []forecast.Reading
	for d := range 35 {
		x := forecast.Reading{At: begin.AddDate(0, 0, d), RPS: 100}
		if d == 16 {
			x.RPS = 300
		}
		readings = append(readings, x)
	}
	for _, c := range []struct {
		rps         float64
		bound, says string
		warned      string
	}{
		{1000, "", "below the capacity of 1,000 req/s throughout", ""},
		{250, "", "It exceeded the capacity of 250 req/s already, last on 2026-01-21", ""},
		{50, capacity.Above, "It exceeded the 50 req/s that the capacity is at least already, last on 2026-02-08", "drill to a higher load"},
		{50, capacity.Predicted, "It exceeded the capacity of 50 req/s already", "predicted and not offered"},
	} {
		f, err := forecast.Make(readings, forecast.Config{Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		x := &Forecasted{Forecast: f}
		x.Against(Estimate{Value: c.rps, Low: c.rps, High: c.rps}, c.bound)
		if s := forecastSentence(x); !strings.Contains(s, c.says) {
			t.Errorf("%g %q: %s", c.rps, c.bound, s)
		}
		if all := strings.Join(x.Warnings, "\n"); !strings.Contains(all, c.warned) || c.bound == "" && strings.Contains(all, "the capacity") {
			t.Errorf("%g %q: warnings %s", c.rps, c.bound, all)
		}
	}
}

// Every estimate of a forecast in JSON has an interval, and says how it was made and what
// weakens it: that of the load nothing of the capacity.
func TestForecastJSONSaysHow(t *testing.T) {
	begin := time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)
	var readings []forecast.Reading
	for d := range 35 {
		readings = append(readings, forecast.Reading{At: begin.AddDate(0, 0, d), RPS: 100 + float64(d%7)})
	}
	for _, given := range []bool{false, true} {
		f, err := forecast.Make(readings, forecast.Config{Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		x := &Forecasted{Forecast: f}
		if given {
			x.Against(Estimate{Value: 400, Low: 380, High: 410, Confidence: 0.9, Method: "predicted", Warnings: []string{"far"}}, capacity.Predicted)
		}
		var b bytes.Buffer
		if err := ForecastJSON(&b, x); err != nil {
			t.Fatal(err)
		}
		var out struct {
			Peak     Estimate  `json:"peak_rps"`
			Capacity *Estimate `json:"capacity_rps"`
			AtPeak   *Estimate `json:"headroom_at_peak"`
			Warnings []string  `json:"warnings"`
			Of       float64   `json:"confidence"`
		}
		if err := json.Unmarshal(b.Bytes(), &out); err != nil {
			t.Fatal(err)
		}
		p := out.Peak
		if p.Value != f.Peak.Value || p.Low != f.Peak.Low || p.High != f.Peak.High || p.Confidence != 0.9 || p.Method != f.Method || out.Of != 0.9 {
			t.Errorf("%+v of %v", p, out.Of)
		}
		if slices.ContainsFunc(p.Warnings, func(w string) bool { return strings.Contains(w, "capacity") }) {
			t.Errorf("the load has the warnings %q", p.Warnings)
		}
		if (out.Capacity != nil) != given || (out.AtPeak != nil) != given {
			t.Fatalf("%+v, %+v", out.Capacity, out.AtPeak)
		}
		if !given {
			continue
		}
		if c := out.Capacity; c.Method != "predicted" || c.Confidence != 0.9 || !slices.Equal(c.Warnings, []string{"far"}) {
			t.Errorf("%+v", c)
		}
		if h := out.AtPeak; h.Method == "" || h.Confidence != 0.9 || !(h.Low < h.Value && h.Value < h.High) {
			t.Errorf("%+v", h)
		}
	}
}
