package forecast

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat"
)

const (
	// mostOrigins bounds the weeks from which the back-test forecasts.
	mostOrigins = 4
	// widest bounds by how much intervals are widened.
	widest = 5.0
	// clearly is the error, as a ratio to that of repeating the last week, from which another
	// forecast is used: a percent less is chance.
	clearly = 0.95
)

// test is what one candidate got wrong.
type test struct {
	sum, n float64
	// misses are the errors as a ratio of the half interval at the time.
	misses []float64
	// peaks are the logs of the highest load over that of the middle of the futures.
	peaks []float64
}

// backtest forecasts weeks that are known from the weeks before them, chooses the
// candidate with the least error, and learns how wide its intervals must be.
func (f *Forecast) backtest(g *grid, c Config, rng *rand.Rand) candidate {
	all := candidates()
	f.Method = all[0].name
	known := g.weeks()
	if known < 3 {
		f.Why = "the history is too short to test another forecast"
		for _, x := range all[:1] {
			f.Tested = append(f.Tested, Tested{Name: x.name})
		}
		return all[0]
	}
	// Two weeks are needed to begin with; a third of the rest is ahead.
	f.TestedWeeks = max(1, min(int(c.Horizon/week), (known-2)/3))
	f.Origins = min(mostOrigins, known-1-f.TestedWeeks)
	tests := make([]test, len(all))
	for k := range f.Origins {
		cut := len(g.values) - (f.TestedWeeks+k)*g.season
		past := &grid{season: g.season, values: g.values[:cut]}
		filled := past.filled()
		for i, x := range all {
			tests[i].run(x.make(past.values, filled, g.season), g.values[cut:cut+f.TestedWeeks*g.season], rng)
		}
	}
	best := 0
	naive := tests[0].mae()
	for i, x := range all {
		t := Tested{Name: x.name, MAE: tests[i].mae(), Ratio: 1}
		if naive > 0 {
			t.Ratio = t.MAE / naive
		} else if t.MAE > 0 {
			t.Ratio = math.MaxFloat32
		}
		f.Tested = append(f.Tested, t)
		if t.Ratio < min(f.Tested[best].Ratio, clearly) {
			best = i
		}
	}
	f.Method = all[best].name
	f.Widened, f.peaked = tests[best].widening(), tests[best].peaked()
	f.Why = f.chosen(best)
	return all[best]
}

func (f *Forecast) chosen(best int) string {
	over := fmt.Sprintf("%s ahead from %s of the history", weeks(f.TestedWeeks), weeks(f.Origins))
	if best == 0 {
		least := math.Inf(1)
		for _, t := range f.Tested[1:] {
			least = min(least, t.Ratio)
		}
		if least <= 1 {
			return fmt.Sprintf("Holt-Winters is not better by a twentieth (%.2f times its error, %s) and is not used", least, over)
		}
		return fmt.Sprintf("Holt-Winters lost to it (%.2f times its error, %s) and is not used", least, over)
	}
	return fmt.Sprintf("its error is %.2f times that of the seasonal-naive forecast (%s)", f.Tested[best].Ratio, over)
}

func weeks(n int) string {
	if n == 1 {
		return "1 week"
	}
	return fmt.Sprintf("%d weeks", n)
}

// run forecasts actual, and books the errors.
func (t *test) run(m predictor, actual []float64, rng *rand.Rand) {
	const paths = 60
	expected := m.path(len(actual), nil)
	drawn := make([][]float64, len(actual))
	tops := make([]float64, paths)
	for k := range tops {
		for i, v := range m.path(len(actual), rng) {
			drawn[i] = append(drawn[i], v)
			if !math.IsNaN(actual[i]) {
				tops[k] = max(tops[k], v)
			}
		}
	}
	top := 0.0
	slices.Sort(tops)
	defer func() {
		if middle := tops[paths/2]; top > 0 && middle > 0 {
			t.peaks = append(t.peaks, math.Log(top/middle))
		}
	}()
	for i, y := range actual {
		if math.IsNaN(y) {
			continue
		}
		top = max(top, y)
		e := y - expected[i]
		t.sum += math.Abs(e)
		t.n++
		low, high := interval(drawn[i])
		half := high - expected[i]
		if e < 0 {
			half = expected[i] - low
		}
		t.misses = append(t.misses, math.Abs(e)/max(half, 1e-9*(1+expected[i])))
	}
}

// furthestPeak bounds the log of what a forecast of the peak is corrected by.
const furthestPeak = 0.2

// peaked is by what factor the highest load came out beside that of the futures: the noise
// of single hours is drawn anew in each season, which makes the highest of many too high.
// The less the tests agree on it, the less of it counts.
func (t *test) peaked() float64 {
	n := float64(len(t.peaks))
	if n < 2 {
		return 1
	}
	mean, sd := stat.MeanStdDev(t.peaks, nil)
	if mean == 0 {
		return 1
	}
	mean *= mean * mean / (mean*mean + sd*sd/n)
	return math.Exp(min(max(mean, -furthestPeak), furthestPeak))
}

func (t *test) mae() float64 { return t.sum / max(t.n, 1) }

// widening is the factor by which the intervals of the back-test would have held
// what came in nine of ten cells (split conformal; Vovk et al. 2005).
func (t *test) widening() float64 {
	if len(t.misses) == 0 {
		return 1
	}
	slices.Sort(t.misses)
	return min(max(t.misses[int(confidence*float64(len(t.misses)-1)+0.5)], 1), widest)
}
