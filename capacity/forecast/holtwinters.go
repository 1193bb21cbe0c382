package forecast

import (
	"math"

	"gonum.org/v1/gonum/optimize"
)

// smoothing are Holt-Winters's parameters, each between 0 and 1; Phi damps the
// trend (1 does not).
type smoothing struct{ alpha, beta, gamma, phi float64 }

// state is what Holt-Winters knows after a value: additive season, damped trend.
//
//	l' = a (y - s) + (1-a) (l + p b)
//	b' = B (l' - l) + (1-B) p b
//	s' = g (y - l') + (1-g) s
type state struct {
	level, trend float64
	seasonal     []float64
	at           int // the next cell's place in the week
}

// initial takes level, trend and season from the first weeks: the mean of each
// week is its level, and their slope the trend.
func initial(values []float64, season int) state {
	weeks := min(max(len(values)/season, 1), 4)
	means := make([]float64, weeks)
	for w := range weeks {
		for _, v := range values[w*season : (w+1)*season] {
			means[w] += v / float64(season)
		}
	}
	s := state{level: means[0], seasonal: make([]float64, season)}
	if weeks > 1 {
		s.trend = (means[weeks-1] - means[0]) / float64((weeks-1)*season)
	}
	for i := range season {
		for w := range weeks {
			s.seasonal[i] += (values[w*season+i] - means[w]) / float64(weeks)
		}
	}
	// The mean of the first week is the level in its middle.
	s.level -= s.trend * float64(season) / 2
	return s
}

func (s *state) next(p smoothing) float64 {
	return s.level + p.phi*s.trend + s.seasonal[s.at]
}

// take moves on by one cell; NaN is a gap, over which the forecast stands.
func (s *state) take(y float64, p smoothing) {
	carried := s.level + p.phi*s.trend
	if math.IsNaN(y) {
		s.level, s.trend = carried, p.phi*s.trend
	} else {
		level := p.alpha*(y-s.seasonal[s.at]) + (1-p.alpha)*carried
		s.trend = p.beta*(level-s.level) + (1-p.beta)*p.phi*s.trend
		s.seasonal[s.at] = p.gamma*(y-level) + (1-p.gamma)*s.seasonal[s.at]
		s.level = level
	}
	s.at = (s.at + 1) % len(s.seasonal)
}

func (s state) clone() state {
	s.seasonal = append([]float64(nil), s.seasonal...)
	return s
}

// hw is a fitted Holt-Winters model.
type hw struct {
	smoothing
	state     state
	residuals []float64 // one step ahead
}

// fitHW fits the parameters by the squared one-step errors, from two starts.
// values have gaps as NaN, filled has them filled.
func fitHW(values, filled []float64, season int) hw {
	begin := initial(filled, season)
	loss := func(x []float64) float64 {
		p := squash(x, season)
		s := begin.clone()
		sum := 0.0
		for i, y := range values {
			if e := y - s.next(p); !math.IsNaN(e) && i >= season {
				sum += e * e
			}
			s.take(y, p)
		}
		return sum
	}
	best, least := squash([]float64{-1.5, -4.5, -2, 2}, season), math.Inf(1)
	for _, start := range [][]float64{{-1.5, -4.5, -2, 2}, {-3, -6, -3, 4}} {
		settings := &optimize.Settings{FuncEvaluations: 300}
		r, err := optimize.Minimize(optimize.Problem{Func: loss}, start, settings, &optimize.NelderMead{})
		if r != nil && (err == nil || r.F < least) && r.F < least && !math.IsNaN(r.F) {
			best, least = squash(r.X, season), r.F
		}
	}
	m := hw{smoothing: best, state: begin.clone()}
	for i, y := range values {
		if e := y - m.state.next(best); !math.IsNaN(e) && i >= season {
			m.residuals = append(m.residuals, e)
		}
		m.state.take(y, best)
	}
	return m
}

// squash maps free numbers to parameters. The trend's share is small by nature: it
// moves by the hour and speaks of weeks. So does its damping, which leaves at least
// half of the trend after a week.
func squash(x []float64, season int) smoothing {
	unit := func(v float64) float64 { return 1 / (1 + math.Exp(-v)) }
	return smoothing{unit(x[0]), 0.2 * unit(x[1]), unit(x[2]), math.Pow(0.5+0.5*unit(x[3]), 1/float64(season))}
}
