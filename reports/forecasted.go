package reports

import (
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/headroom-project/headroom/capacity"
	"github.com/headroom-project/headroom/capacity/forecast"
)

// ForecastSchema is the name of the format of a forecast in JSON.
const ForecastSchema = "headroom.forecast/v1"

// Forecasted is a forecast, held against a capacity if one is known.
type Forecasted struct {
	Schema string `json:"schema"`
	Source string `json:"source"`
	Zone   string `json:"zone"`
	*forecast.Forecast
	// Capacity is nil if none was given.
	Capacity *Estimate `json:"capacity_rps,omitempty"`
	// Bound is that of the capacity, as in run.json: above if it is at least that,
	// predicted if it was not offered.
	Bound string `json:"capacity_bound,omitempty"`
	// AtPeak is the headroom at the forecast peak, a ratio.
	AtPeak *Estimate `json:"headroom_at_peak,omitempty"`
	// Exceeded is the last day of the history on which the load was above the capacity
	// already.
	Exceeded string `json:"exceeded_on,omitempty"`
	// ExhaustedOn is the day by which the load is expected to have exceeded the
	// capacity; Earliest and Latest are by the ends of both intervals. Empty: not
	// within the horizon.
	ExhaustedOn string `json:"exhausted_on"`
	Earliest    string `json:"exhausted_earliest"`
	Latest      string `json:"exhausted_latest"`
	// own is how many of the warnings are of the forecast alone, once there is a capacity.
	own int
}

// Against holds the forecast against a capacity with a bound as in run.json.
func (f *Forecasted) Against(rps Estimate, bound string) {
	f.Capacity, f.Bound, f.own = &rps, bound, len(f.Warnings)
	f.AtPeak = room(rps, f.Peak)
	f.AtPeak.Confidence = f.Confidence // of the load, where the capacity has none
	f.ExhaustedOn, f.Earliest, f.Latest = f.Exhausted(forecast.Figure{Value: rps.Value, Low: rps.Low, High: rps.High})
	f.Exceeded = f.Forecast.Exceeded(rps.Value)
	switch bound {
	case capacity.Above:
		f.Warnings = append(f.Warnings, "the capacity is at least that, as every load offered met the objectives: there may be room beyond it; hint: drill to a higher load")
	case capacity.Predicted:
		f.Warnings = append(f.Warnings, "the capacity was predicted and not offered: confirm it by a drill that goes there")
	}
}

// atCapacity is the capacity in words.
func (f *Forecasted) atCapacity() string {
	rps := perSecond(f.Capacity.Value) + " req/s"
	if f.Bound == capacity.Above {
		return "the " + rps + " that the capacity is at least"
	}
	return "the capacity of " + rps
}

// ForecastJSON writes a forecast as JSON. Its peak says how it was found, as the other
// estimates do; the loads ahead are of the same method and confidence.
func ForecastJSON(w io.Writer, f *Forecasted) error {
	own := f.Warnings
	if f.Capacity != nil {
		own = own[:f.own]
	}
	return writeJSON(w, struct {
		*Forecasted
		Peak Estimate `json:"peak_rps"` // in the place of that of Forecast
	}{f, Estimate{Value: f.Peak.Value, Low: f.Peak.Low, High: f.Peak.High, Confidence: f.Confidence, Method: f.Method, Warnings: own}}, "forecast")
}

// ForecastText writes a forecast for a terminal, with the peaks as a row of blocks.
func ForecastText(w io.Writer, f *Forecasted, opt TextOptions) error {
	if opt.Width <= 0 {
		opt.Width = 80
	}
	t := &terminal{opt: opt}
	for _, l := range wrap(forecastSentence(f), opt.Width) {
		fmt.Fprintln(t, t.paint(l, bold))
	}
	fmt.Fprintln(t, t.paint(clean(f.Source)+" · "+plural(len(f.Past), f.Unit)+" of history, "+plural(len(f.Ahead), f.Unit)+" ahead", faint))
	fmt.Fprintf(t, "\n%s\n", t.sparkline(f))
	list := [][2]string{
		{"Peak so far", perSecond(f.PastPeak) + " req/s"},
		{"Peak ahead", fmt.Sprintf("%s req/s (%s-%s, 90%% interval), expected %s", perSecond(f.Peak.Value), perSecond(f.Peak.Low), perSecond(f.Peak.High), f.PeakAt.Format("Mon 2006-01-02 15:04"))},
	}
	if f.Capacity != nil {
		list = append(list, [2]string{"Headroom there", fmt.Sprintf("%s (%s to %s)", percent(f.AtPeak.Value), percent(f.AtPeak.Low), percent(f.AtPeak.High))},
			[2]string{"Used up on", usedUp(f)})
	}
	list = append(list, [2]string{"Forecast", f.Method + ": " + f.Why})
	for _, x := range f.Tested {
		switch {
		case x.Ratio > 1000: // of a naive forecast that was exact
			list = append(list, [2]string{"", fmt.Sprintf("%s: off by %.2g req/s on average, and the naive by nothing", x.Name, x.MAE)})
		case x.MAE > 0:
			list = append(list, [2]string{"", fmt.Sprintf("%s: off by %s req/s on average, %.2f times the naive", x.Name, perSecond(x.MAE), x.Ratio)})
		}
	}
	t.pairs(list)
	t.list("Warnings", cleaned(f.Warnings))
	if _, err := io.WriteString(w, t.String()); err != nil {
		return fmt.Errorf("write forecast: %w", err)
	}
	return nil
}

func usedUp(f *Forecasted) string {
	orNever := func(s string) string {
		if s == "" {
			return "not within the horizon"
		}
		return s
	}
	s := orNever(f.ExhaustedOn)
	if f.Earliest != f.ExhaustedOn || f.Latest != f.ExhaustedOn {
		s += " (at the earliest: " + orNever(f.Earliest) + "; at the latest: " + orNever(f.Latest) + ")"
	}
	return s
}

func forecastSentence(f *Forecasted) string {
	s := fmt.Sprintf("The load is expected to peak at %s req/s (%s-%s)", perSecond(f.Peak.Value), perSecond(f.Peak.Low), perSecond(f.Peak.High))
	switch {
	case f.Capacity == nil:
		return s + "."
	case f.Exceeded != "":
		s += ". It exceeded " + f.atCapacity() + " already, last on " + f.Exceeded
		if f.ExhaustedOn != "" {
			return s + ", and is expected to again on " + f.ExhaustedOn + "."
		}
		return s + "."
	case f.ExhaustedOn != "":
		return s + ", and to exceed " + f.atCapacity() + " on " + f.ExhaustedOn + "."
	case f.Earliest != "":
		return s + "; it may exceed " + f.atCapacity() + " from " + f.Earliest + " on."
	}
	return s + ", below " + f.atCapacity() + " throughout."
}

// sparkline draws the peaks of days, or of weeks if there are many days, as
// blocks: history, a bar, what is ahead.
func (t *terminal) sparkline(f *Forecasted) string {
	days := 1
	if f.Unit == "hour" {
		days = 24
	}
	group := days
	for (len(f.Past)+len(f.Ahead))/group > t.opt.Width-24 {
		group += days
	}
	past, ahead := tops(f.Past, group), tops(f.Ahead, group)
	top := 0.0
	for _, v := range append(append([]float64{}, past...), ahead...) {
		top = max(top, v)
	}
	return blocks(past, top) + t.paint("|", faint) + t.paint(blocks(ahead, top), yellow) + t.paint(" to "+perSecond(top)+" req/s", faint)
}

func tops(cells []forecast.Cell, group int) []float64 {
	var out []float64
	for i := 0; i < len(cells); i += group {
		top := 0.0
		for _, c := range cells[i:min(i+group, len(cells))] {
			top = max(top, c.Value)
		}
		out = append(out, top)
	}
	return out
}

// blocks draws values as eighths of a line.
func blocks(values []float64, top float64) string {
	levels := []rune("▁▂▃▄▅▆▇█")
	var b strings.Builder
	for _, v := range values {
		i := 0
		if top > 0 {
			i = int(math.Round(v / top * float64(len(levels)-1)))
		}
		b.WriteRune(levels[min(max(i, 0), len(levels)-1)])
	}
	return b.String()
}
