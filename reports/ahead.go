package reports

import (
	"bytes"
	"fmt"
	"time"

	"github.com/headroom-project/headroom/capacity"
	"github.com/headroom-project/headroom/capacity/forecast"
	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

// outlook is how far ahead the demand is looked at: a quarter.
const outlook = 13 * 7 * 24 * time.Hour

// ahead holds the capacity against the demand to come: a forecast of its history
// if there is one, else its growth.
func (c *computation) ahead() {
	d := c.scenario.Capacity.Demand
	if d == nil || c.run.Capacity == nil || c.run.Capacity.Bound == "below" {
		return
	}
	defer func() {
		if c.run.Headroom.ExhaustedOn != "" && c.run.Capacity.Bound == capacity.Above {
			c.warn("the capacity is at least what is shown, so that the demand uses it up on the day shown at the earliest")
		}
	}()
	if d.History != "" && c.evidence != nil && c.forecast() {
		return
	}
	if d.Growth == "" {
		return
	}
	g, err := scenarios.ParseGrowth(d.Growth)
	if err != nil {
		c.warn("no outlook: " + err.Error())
		return
	}
	now := c.now
	if now.IsZero() {
		now = c.drill.Started
	}
	e := c.run.Capacity.RPS
	peak := d.Peak * max(g.After(outlook), 1)
	c.peak = &forecast.Figure{Value: peak, Low: peak, High: peak}
	c.run.Headroom.AtForecastPeak = room(e, *c.peak)
	day := func(rps float64) string {
		after, ok := g.Reaches(rps / d.Peak)
		if !ok || now.IsZero() {
			return ""
		}
		return now.Add(after).UTC().Format(time.DateOnly)
	}
	c.exhausted(day(e.Value), day(e.Low), day(e.High))
	c.outlook = fmt.Sprintf("The demand at its forecast peak is today's, grown by %s for 13 weeks.", d.Growth)
}

// exhausted takes the day on which the demand uses the capacity up, and the earliest and
// latest. Of a capacity that is only known to be at least so much there is no latest.
func (c *computation) exhausted(on, earliest, latest string) {
	if c.run.Capacity.Bound == capacity.Above {
		latest = ""
	}
	h := c.run.Headroom
	h.ExhaustedOn = on
	if earliest != "" {
		h.ExhaustedBetween = []string{earliest, latest}
	}
}

// room is the headroom of a capacity at a load, with the ends of both intervals.
func room(e Estimate, load forecast.Figure) *Estimate {
	share := func(rps, load float64) float64 { return (rps - load) / rps }
	return &Estimate{
		Value: share(e.Value, load.Value), Low: share(max(e.Low, 1e-9), load.High), High: share(e.High, load.Low), Confidence: e.Confidence,
		Method: "(capacity - load) / capacity, with the load that is forecast",
	}
}

// forecast forecasts the history that is in the bundle; false if that cannot be
// done, which is a warning.
func (c *computation) forecast() bool {
	b, err := c.evidence.History()
	if err == nil && b == nil {
		err = fmt.Errorf("the bundle holds no %s", observation.HistoryFile)
	}
	var readings []forecast.Reading
	if err == nil {
		readings, err = forecast.ReadCSV(observation.HistoryFile, bytes.NewReader(b), time.UTC)
	}
	var f *forecast.Forecast
	if err == nil {
		f, err = forecast.Make(readings, forecast.Config{Horizon: within(readings), Seed: c.drill.Seed})
	}
	if err != nil {
		c.warn("no forecast of the demand: " + err.Error())
		return false
	}
	e := c.run.Capacity.RPS
	c.peak = &f.Peak
	c.run.Headroom.AtForecastPeak = room(e, f.Peak)
	c.exhausted(f.Exhausted(forecast.Figure{Value: e.Value, Low: e.Low, High: e.High}))
	for _, w := range f.Warnings {
		c.warn("forecast of the demand: " + w)
	}
	c.outlook = fmt.Sprintf("The demand is forecast %s ahead by %s: %s.", plural(len(f.Ahead), f.Unit), f.Method, f.Why)
	return true
}

// within is the outlook, but no further ahead than the history reaches back, and a
// week at least.
func within(readings []forecast.Reading) time.Duration {
	if len(readings) == 0 {
		return outlook
	}
	first, last := readings[0].At, readings[0].At
	for _, r := range readings {
		if r.At.Before(first) {
			first = r.At
		}
		if r.At.After(last) {
			last = r.At
		}
	}
	return min(outlook, max(last.Sub(first).Round(7*24*time.Hour), 7*24*time.Hour))
}
