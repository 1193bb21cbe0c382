package forecast

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Config says how a history is forecast.
type Config struct {
	// Zone is that of the wall clock that the load follows; nil is UTC.
	Zone *time.Location
	// Horizon is how far ahead; 0 is four weeks, at most a year.
	Horizon time.Duration
	// Paths are how many futures are drawn for intervals; 0 is 200. Seed makes them
	// repeatable.
	Paths int
	Seed  uint64
}

// Bounds of a Config.
const (
	DefaultHorizon = 4 * week
	MaxHorizon     = 53 * week
	confidence     = 0.90
)

// Figure is a value with its 90% interval.
type Figure struct {
	Value float64 `json:"value"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
}

// Cell is an hour or a day.
type Cell struct {
	At time.Time `json:"at"`
	Figure
}

// Tested is a way to forecast, and how it did in the back-test.
type Tested struct {
	Name string `json:"name"`
	// MAE is the mean absolute error in requests/s, Ratio that of the
	// seasonal-naive forecast; below 1 is better. Both are 0 without a back-test.
	MAE   float64 `json:"mae_rps"`
	Ratio float64 `json:"ratio"`
}

// Forecast is what lies ahead.
type Forecast struct {
	// Method names the forecast that is used; Why says why in a sentence.
	Method string `json:"method"`
	Why    string `json:"why"`
	// Tested are the candidates; TestedWeeks how many weeks ahead they were tested,
	// from Origins different weeks.
	Tested      []Tested `json:"tested"`
	TestedWeeks int      `json:"tested_weeks"`
	Origins     int      `json:"origins"`
	// Unit is hour or day.
	Unit string `json:"unit"`
	// Confidence is that of every interval.
	Confidence float64 `json:"confidence"`
	// Past is the history on the grid, in order, without its gaps; Ahead the
	// forecast.
	Past  []Cell `json:"-"`
	Ahead []Cell `json:"ahead"`
	// reached is, for each cell ahead, the highest load up to it: the median of what
	// was drawn, and the interval.
	reached []Figure
	// peaked is by what factor the back-test saw the highest load come out beside that of
	// the futures, over its whole length.
	peaked float64
	// Gaps counts cells of the history without a reading.
	Gaps int `json:"gaps"`
	// PastPeak is the highest reading; Peak the highest load ahead, and PeakAt when
	// it is expected.
	PastPeak float64   `json:"past_peak_rps"`
	Peak     Figure    `json:"peak_rps"`
	PeakAt   time.Time `json:"peak_at"`
	// Widened is by how much the intervals were widened, so that they hold what the
	// back-test saw.
	Widened  float64  `json:"widened"`
	Warnings []string `json:"warnings"`
}

// Make forecasts a history. It fails if the history does not support any.
func Make(readings []Reading, c Config) (*Forecast, error) {
	if c.Zone == nil {
		c.Zone = time.UTC
	}
	if c.Horizon <= 0 {
		c.Horizon = DefaultHorizon
	}
	if c.Horizon > MaxHorizon {
		return nil, errors.New("a horizon of more than a year")
	}
	if c.Paths <= 0 {
		c.Paths = 200
	}
	g, err := newGrid(readings, c.Zone)
	if err != nil {
		return nil, err
	}
	f := &Forecast{Unit: g.unit(), Confidence: confidence, Gaps: g.gaps, Widened: 1, peaked: 1, Warnings: slices.Clone(g.notes)}
	for i, v := range g.values {
		if !math.IsNaN(v) {
			f.PastPeak = max(f.PastPeak, v)
			f.Past = append(f.Past, Cell{g.time(g.begin + i), Figure{v, v, v}})
		}
	}
	if at, by := g.shifted(); by != 0 {
		rests := "the forecast is of the history since"
		if enough := (g.begin+len(g.values)-at)/(g.season/7) >= settledFor; enough {
			g = g.since(at)
		} else {
			rests = "too little has come since for a forecast of that, and this one is of the whole history"
		}
		f.warn("the load changed at once, to %.2g times what it was, on %s: %s", by, g.time(at).Format(time.DateOnly), rests)
	}
	if odd := g.outliers(); len(odd) > 0 {
		f.leaveOut(g, odd)
		g = g.without(odd)
	}
	if 2*g.apart() < g.season {
		return nil, ErrOneWeek
	}
	rng := rand.New(rand.NewPCG(c.Seed, 0xf0eca57))
	best := f.backtest(g, c, rng)
	f.ahead(g, best, c, rng)
	f.doubts(g, c)
	return f, nil
}

func (f *Forecast) warn(format string, args ...any) {
	f.Warnings = append(f.Warnings, fmt.Sprintf(format, args...))
}

// leaveOut says what is left out, and that a spike may come again.
func (f *Forecast) leaveOut(g *grid, odd []outlying) {
	var when []string
	spike := 0.0
	for _, o := range odd {
		if len(when) < 4 {
			when = append(when, fmt.Sprintf("%s, %.2g times the usual", g.time(g.begin+o.from).Format(time.DateOnly), o.ratio))
		}
		if o.ratio > 1 {
			for _, i := range o.cells {
				spike = max(spike, g.values[i])
			}
		}
	}
	if more := len(odd) - len(when); more > 0 {
		when = append(when, fmt.Sprintf("and %d more", more))
	}
	f.warn("readings far from those of other weeks are left out (%s): an outage, a holiday or a spike", strings.Join(when, "; "))
	if spike > 0 {
		f.warn("a spike such as that of %.0f req/s is not in the forecast: hold the capacity against it if it may come again", spike)
	}
}

// ahead draws futures of the best candidate.
func (f *Forecast) ahead(g *grid, best candidate, c Config, rng *rand.Rand) {
	n := max(int(c.Horizon/g.step), 1) // a part of a day or hour is one
	m := best.make(g.values, g.filled(), g.season)
	expected := m.path(n, nil)
	cells, tops := make([][]float64, n), make([][]float64, n)
	for range c.Paths {
		path, peak := m.path(n, rng), 0.0
		for i, v := range path {
			peak = max(peak, v)
			cells[i], tops[i] = append(cells[i], v), append(tops[i], peak)
		}
	}
	end := g.begin + len(g.values)
	top := 0
	for i, v := range expected {
		low, high := f.interval(cells[i], v, f.beyond(i, g.season))
		f.Ahead = append(f.Ahead, Cell{g.time(end + i), Figure{v, min(low, v), max(high, v)}})
		if v > expected[top] {
			top = i
		}
		slices.Sort(tops[i])
		middle := tops[i][c.Paths/2]
		low, high = f.interval(tops[i], middle, f.beyond(i, g.season))
		by := math.Pow(f.peaked, min(float64(i+1)/float64(max(f.TestedWeeks, 1)*g.season), 1))
		reached := Figure{by * middle, by * low, by * high}
		if i > 0 { // what was reached stays so
			before := f.reached[i-1]
			reached.Value = max(reached.Value, before.Value)
			reached.Low, reached.High = max(reached.Low, before.Low), max(reached.High, before.High)
		}
		f.reached = append(f.reached, reached)
	}
	// The median of the highest loads lies above the highest of the medians: of
	// many hours near the peak, one is above what is expected of it.
	f.Peak = f.reached[n-1]
	f.PeakAt = f.Ahead[top].At
}

// interval is that of values that were drawn, widened about the middle. The futures
// themselves are not: what the back-test saw beyond them is mostly that a whole week came
// out higher or lower, and the highest of many hours that all vary more is too high.
func (f *Forecast) interval(values []float64, middle, beyond float64) (low, high float64) {
	low, high = interval(values)
	by := f.Widened * beyond
	return max(middle+by*(low-middle), 0), middle + by*(high-middle)
}

// beyond is by how much wider an interval is so many cells ahead for lying further ahead than
// the back-test reached: what a trend is off by there adds up, as of a random walk.
func (f *Forecast) beyond(cell, season int) float64 {
	if f.TestedWeeks == 0 {
		return 1
	}
	return math.Sqrt(max(float64(cell+1)/float64(f.TestedWeeks*season), 1))
}

func interval(values []float64) (low, high float64) {
	slices.Sort(values)
	at := func(q float64) float64 { return values[int(q*float64(len(values)-1)+0.5)] }
	return at((1 - confidence) / 2), at((1 + confidence) / 2)
}

func (f *Forecast) doubts(g *grid, c Config) {
	if g.gaps > 0 {
		f.warn("%d of %d %ss have no reading", g.gaps, len(g.values), g.unit())
	}
	switch {
	case f.Origins == 0:
		f.warn("the history of %.1f weeks is too short for a back-test, which needs three: the forecast repeats the last week", float64(len(g.values))/float64(g.season))
	case int(c.Horizon/week) > f.TestedWeeks:
		f.warn("the forecast reaches %d weeks ahead, and the history allowed to test %d", int(c.Horizon/week), f.TestedWeeks)
	}
	if c.Horizon > time.Duration(len(g.values))*g.step {
		f.warn("the forecast reaches further ahead than the history reaches back")
	}
	if f.Widened > 1.05 {
		f.warn("intervals were widened %.1f times, to hold what the back-test saw", f.Widened)
	}
}

// Exhausted returns the day by which the load has exceeded a capacity in half of
// the futures that were drawn, and the earliest and latest by both intervals; empty
// where it does not within the horizon. It exceeds where Peak does. Days are
// YYYY-MM-DD of the zone.
func (f *Forecast) Exhausted(rps Figure) (on, earliest, latest string) {
	first := func(exceeds func(Figure) bool) string {
		for i, x := range f.Ahead {
			if exceeds(f.reached[i]) {
				return x.At.Format(time.DateOnly)
			}
		}
		return ""
	}
	return first(func(x Figure) bool { return x.Value > rps.Value }),
		first(func(x Figure) bool { return x.High > rps.Low }),
		first(func(x Figure) bool { return x.Low > rps.High })
}

// Exceeded returns the last day of the history on which the load was above a
// capacity; empty if it never was.
func (f *Forecast) Exceeded(rps float64) string {
	for _, x := range slices.Backward(f.Past) {
		if x.Value > rps {
			return x.At.Format(time.DateOnly)
		}
	}
	return ""
}
