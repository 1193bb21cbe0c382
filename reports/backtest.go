package reports

import (
	"fmt"
	"slices"
	"strings"

	"github.com/headroom-project/headroom/capacity"
	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/loadgen/search"
)

// backtested are the shares of the capacity up to which a past drill is read, to
// see what would have been predicted of it.
var backtested = []float64{0.4, 0.6}

// Past is what a past drill says of predictions.
type Past struct {
	Scores []capacity.Score
	// NoHelp says why there are no scores, and what such a drill would need; empty if
	// there are some.
	NoHelp string
}

// Backtest says how far predictions of a past drill would have been off, from its
// steps well below the capacity that it measured, under its own objectives. There
// are none if it measured no capacity, or said too little below it.
func Backtest(e *observation.Evidence) (Past, error) {
	c, err := begin(e, Question{})
	if err != nil {
		return Past{}, fmt.Errorf("past drill: %w", err)
	}
	c.judge()
	c.steps()
	c.profiles()
	past := Past{Scores: capacity.Backtest(c.tellingPoints(), c.spec(), backtested...)}
	if len(past.Scores) == 0 {
		past.NoHelp = c.noHelp()
	}
	return past, nil
}

// noHelp says why predictions of this drill cannot be scored: the conditions are those of
// capacity.Backtest.
func (c *computation) noHelp() string {
	points, spec := c.tellingPoints(), c.spec()
	x := capacity.Analyse(points, spec).Capacity
	switch {
	case x == nil:
		return "its steps show no capacity; it takes a drill that passes one"
	case x.Bound == "below":
		return "its lowest load missed an objective already; it takes a drill with steps below its limit, from a lower load on"
	case x.Bound != "":
		return "it reached no limit: the objectives held at every load offered; it takes a drill that went on until one broke"
	}
	return "it did reach its limit, at " + perSecond(x.Value.Value) + " req/s, but " + tooFew(points, spec, slices.Max(backtested)*x.Value.Value)
}

// tooFew says what is missing in the steps up to top for a prediction of the rest.
func tooFew(points []observation.Point, spec capacity.Spec, top float64) string {
	below := slices.DeleteFunc(search.Usable(points), func(p observation.Point) bool { return p.Offered > top })
	upTo := fmt.Sprintf("up to %s of that, %s req/s,", percent(slices.Max(backtested)), perSecond(top))
	if len(below) == 0 {
		return "it has no valid step " + upTo + " to predict it from; it takes steps there"
	}
	for _, w := range capacity.Analyse(below, spec).Warnings {
		if _, why, ok := strings.Cut(w, "not identifiable from these steps, because "); ok {
			return fmt.Sprintf("its %s %s do not predict it: %s (only steps up to %s req/s count here)", plural(len(below), "step"), upTo, why, perSecond(top))
		}
	}
	return fmt.Sprintf("its %s %s do not predict it; it takes more of them", plural(len(below), "step"), upTo)
}
