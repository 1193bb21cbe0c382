package forecast

import (
	"math"
	"math/rand/v2"
)

// Names of the forecasts.
const (
	SeasonalNaive = "seasonal-naive"
	HoltWinters   = "Holt-Winters"
	HoltWintersLn = "Holt-Winters of the logarithm"
)

// predictor forecasts cells after the last one it was made from.
type predictor interface {
	// path returns one future of n cells: with a source of randomness a possible
	// one, without (nil) the expected one.
	path(n int, rng *rand.Rand) []float64
}

// naive repeats the last week. Its errors are those from one week to the next, and
// add up over the weeks as a random walk's do.
type naive struct {
	last   []float64
	errors []float64
}

func newNaive(values, filled []float64, season int) *naive {
	m := &naive{last: filled[len(filled)-season:]}
	for i := season; i < len(values); i++ {
		// What fills a gap is of the other weeks, and no error against them.
		if e := values[i] - values[i-season]; !math.IsNaN(e) {
			m.errors = append(m.errors, e)
		}
	}
	return m
}

func (m *naive) path(n int, rng *rand.Rand) []float64 {
	out := make([]float64, n)
	for i := range out {
		before := m.last[i%len(m.last)]
		if i >= len(m.last) {
			before = out[i-len(m.last)]
		}
		out[i] = before
		if rng != nil && len(m.errors) > 0 {
			out[i] = max(before+m.errors[rng.IntN(len(m.errors))], 0)
		}
	}
	return out
}

// winters is Holt-Winters on the loads, or on their logarithms.
type winters struct {
	hw
	ln bool
}

func newWinters(values, filled []float64, season int, ln bool) *winters {
	if ln {
		values, filled = logs(values), logs(filled)
	}
	return &winters{hw: fitHW(values, filled, season), ln: ln}
}

// logs are of the load plus one, since a load may be 0.
func logs(values []float64) []float64 {
	out := make([]float64, len(values))
	for i, v := range values {
		out[i] = math.Log1p(v)
	}
	return out
}

func (m *winters) path(n int, rng *rand.Rand) []float64 {
	s := m.state.clone()
	out := make([]float64, n)
	for i := range out {
		y := s.next(m.smoothing)
		if rng != nil && len(m.residuals) > 0 {
			y += m.residuals[rng.IntN(len(m.residuals))]
		}
		s.take(y, m.smoothing)
		if m.ln {
			y = math.Expm1(min(y, 25)) // a billion and more is no load
		}
		out[i] = max(y, 0)
	}
	return out
}

// candidate is a way to forecast.
type candidate struct {
	name string
	make func(values, filled []float64, season int) predictor
}

func candidates() []candidate {
	return []candidate{
		{SeasonalNaive, func(v, f []float64, season int) predictor { return newNaive(v, f, season) }},
		{HoltWinters, func(v, f []float64, season int) predictor { return newWinters(v, f, season, false) }},
		{HoltWintersLn, func(v, f []float64, season int) predictor { return newWinters(v, f, season, true) }},
	}
}
