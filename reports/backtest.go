package reports

import (
	"fmt"

	"github.com/headroom-project/headroom/capacity"
	"github.com/headroom-project/headroom/loadgen/observation"
)

// backtested are the shares of the capacity up to which a past drill is read, to
// see what would have been predicted of it.
var backtested = []float64{0.4, 0.6}

// Backtest says how far predictions of a past drill would have been off, from its
// steps well below the capacity that it measured, under its own objectives. There
// are none if it measured no capacity, or said too little below it.
func Backtest(e *observation.Evidence) ([]capacity.Score, error) {
	c, err := begin(e, Question{})
	if err != nil {
		return nil, fmt.Errorf("past drill: %w", err)
	}
	c.judge()
	c.steps()
	c.profiles()
	return capacity.Backtest(c.tellingPoints(), c.spec(), backtested...), nil
}
