package reports

import (
	"fmt"

	"github.com/headroom-project/headroom/capacity"
	"github.com/headroom-project/headroom/loadgen/observation"
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
	scores, no := capacity.Backtest(c.tellingPoints(), c.spec(), backtested...)
	past := Past{Scores: scores}
	if no != nil {
		past.NoHelp = noHelp(no)
	}
	return past, nil
}

// noHelp says why predictions of a drill cannot be scored, and what it takes.
func noHelp(no *capacity.Unscored) string {
	switch no.Reason {
	case capacity.NoCapacity:
		return "its steps show no capacity; it takes a drill that passes one"
	case capacity.BrokeAtOnce:
		return "its lowest load missed an objective already; it takes a drill with steps below its limit, from a lower load on"
	case capacity.NoLimit:
		return "it reached no limit: the objectives held at every load offered; it takes a drill that went on until one broke"
	}
	return "it did reach its limit, at " + perSecond(no.Observed) + " req/s, but " + tooFew(no)
}

// tooFew says what the steps that are read lack to predict the rest.
func tooFew(no *capacity.Unscored) string {
	upTo := fmt.Sprintf("up to %s of that, %s req/s,", percent(no.UpTo/no.Observed), perSecond(no.UpTo))
	steps := plural(no.Steps, "step")
	switch {
	case no.Reason == capacity.NothingBelow:
		return "it has no valid step " + upTo + " to predict it from; it takes steps there"
	case no.Why != "":
		return fmt.Sprintf("its %s %s do not predict it: %s (only steps up to %s req/s count here)", steps, upTo, no.Why, perSecond(no.UpTo))
	}
	return fmt.Sprintf("its %s %s do not predict it; it takes more of them", steps, upTo)
}
