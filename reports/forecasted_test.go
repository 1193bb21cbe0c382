package reports

import (
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
		x.Against(forecast.Figure{Value: c.rps, Low: c.rps, High: c.rps}, c.bound)
		if s := forecastSentence(x); !strings.Contains(s, c.says) {
			t.Errorf("%g %q: %s", c.rps, c.bound, s)
		}
		if all := strings.Join(x.Warnings, "\n"); !strings.Contains(all, c.warned) || c.bound == "" && strings.Contains(all, "the capacity") {
			t.Errorf("%g %q: warnings %s", c.rps, c.bound, all)
		}
	}
}
