package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // --timezone works where the system has no zones

	"github.com/urfave/cli/v2"

	"github.com/headroom-project/headroom/capacity"
	"github.com/headroom-project/headroom/capacity/forecast"
	"github.com/headroom-project/headroom/capacity/table"
	"github.com/headroom-project/headroom/reports"
)

func forecastCommand(s streams) *cli.Command {
	return &cli.Command{
		Name:      "forecast",
		Usage:     "forecast the load of production, and when it exceeds a capacity",
		ArgsUsage: "history.csv | --prometheus URL --query QUERY",
		Description: `Reads a history of the offered load (a header time,rps, then a row an hour or a day)
or asks a Prometheus server for one, and forecasts it with its weekly season. The
forecast is tested on weeks that it has not seen; one that loses to repeating the last
week is not used.

   headroom forecast traffic.csv --capacity 900
   headroom forecast traffic.csv --bundle runs/20260102T150405Z-shop --out forecast.html
   headroom forecast --prometheus http://127.0.0.1:9090 --query 'sum(rate(http_requests_total[5m]))'

HEADROOM_PROMETHEUS_TOKEN is sent as a bearer token. The exit code is 0, or 1 if the
load is expected to exceed the capacity within the horizon, or 3 if the history does
not support a forecast, the drill of the bundle broke off, or the load exceeds what its
capacity is at least.`,
		OnUsageError: usageError,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "prometheus", Usage: "the `URL` of a Prometheus server"},
			&cli.StringFlag{Name: "query", Usage: "a `QUERY` of one series in requests/s, such as sum(rate(http_requests_total[5m]))"},
			&cli.StringFlag{Name: "range", Value: "8w", Usage: "with --prometheus, how far the query reaches back: 8w, 60d"},
			&cli.StringFlag{Name: "horizon", Value: "4w", Usage: "how far ahead: 4w, 30d; at most a year"},
			&cli.StringFlag{Name: "timezone", Value: "UTC", Usage: "the zone of the wall clock that the load follows, such as Europe/Berlin"},
			&cli.Float64Flag{Name: "capacity", Usage: "hold the forecast against a capacity in `RPS`"},
			&cli.StringFlag{Name: "bundle", Usage: "hold the forecast against the capacity that a `BUNDLE` shows"},
			&cli.StringFlag{Name: "out", Usage: "write the plot to a `FILE`: .svg or .html"},
			&cli.StringFlag{Name: "now", Usage: "with --prometheus, the `DAY` at which the query ends, YYYY-MM-DD (default now)"},
			&cli.Uint64Flag{Name: "seed", Value: 1, Usage: "of the futures that intervals are drawn from"},
			&cli.BoolFlag{Name: "json", Usage: "print JSON"},
		},
		Action: func(c *cli.Context) error { return runForecast(c, s) },
	}
}

func runForecast(c *cli.Context, s streams) error {
	if out := c.String("out"); out != "" && plotter(out) == nil {
		return badInput("name a file that ends in .svg or .html", "forecast: --out %s", out)
	}
	zone, err := time.LoadLocation(c.String("timezone"))
	if err != nil {
		return badInput("names are as in Europe/Berlin", "--timezone: %w", err)
	}
	horizon, err := span(c.String("horizon"))
	if err != nil || horizon > forecast.MaxHorizon {
		return badInput("write it like 4w or 30d, at most 53w", "--horizon %q", c.String("horizon"))
	}
	rps, bound, err := heldAgainst(c)
	if err != nil {
		return err
	}
	readings, source, err := readings(c, zone)
	if err != nil {
		return err
	}
	f, err := forecast.Make(readings, forecast.Config{Zone: zone, Horizon: horizon, Seed: c.Uint64("seed")})
	if err != nil {
		hint := "a reading an hour, over four weeks or more, is a good history"
		return &codedError{exitInvalid, fmt.Errorf("forecast: %s: %w", source, err), hint}
	}
	out := &reports.Forecasted{Schema: reports.ForecastSchema, Source: source, Zone: zone.String(), Forecast: f}
	if rps != nil {
		out.Against(*rps, bound)
	}
	if err := showForecast(c, s, out); err != nil {
		return err
	}
	switch {
	case out.ExhaustedOn == "":
		return nil
	case bound == capacity.Above:
		return errVerdict(exitInvalid)
	}
	return errVerdict(exitFail)
}

func showForecast(c *cli.Context, s streams, f *reports.Forecasted) error {
	if name := c.String("out"); name != "" {
		var b bytes.Buffer
		if err := plotter(name)(&b, f); err != nil {
			return cannotRun(err, "")
		}
		if err := os.WriteFile(name, b.Bytes(), 0o644); err != nil {
			return cannotRun(fmt.Errorf("forecast: %w", err), "name a file that can be written")
		}
		fmt.Fprintf(s.err, "plot: %s\n", name)
	}
	if c.Bool("json") {
		return reports.ForecastJSON(s.out, f)
	}
	return reports.ForecastText(s.out, f, textOptions(s))
}

// plotter returns what draws into a file of that name, nil if nothing does.
func plotter(name string) func(io.Writer, *reports.Forecasted) error {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".svg":
		return reports.ForecastSVG
	case ".html", ".htm":
		return reports.ForecastHTML
	}
	return nil
}

// readings are from the file, or from Prometheus.
func readings(c *cli.Context, zone *time.Location) ([]forecast.Reading, string, error) {
	server := c.String("prometheus")
	switch {
	case server != "" && c.Args().Present():
		return nil, "", badInput("leave one of the two out", "forecast: both --prometheus and %s are given", c.Args().First())
	case server != "":
		x, err := fromPrometheus(c, server)
		return x, "Prometheus: " + c.String("query"), err
	case c.Args().Len() != 1:
		return nil, "", badInput("headroom forecast traffic.csv", "forecast: want one history, got %d", c.Args().Len())
	}
	name := c.Args().First()
	for _, flag := range []string{"query", "range", "now"} {
		if c.IsSet(flag) {
			return nil, "", badInput("leave it out; the whole file is forecast from, and what comes after its last row", "forecast: --%s is for --prometheus, and %s is a file", flag, name)
		}
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, "", badInput("check the path", "%w", err)
	}
	defer f.Close()
	x, err := forecast.ReadCSV(name, f, zone)
	var problems *table.Problems
	if errors.As(err, &problems) {
		return nil, "", badInput("", "%w", problems)
	}
	if err != nil {
		return nil, "", badInput("", "%w", err)
	}
	return x, name, nil
}

// heldAgainst is the capacity that flags give, nil for none, and its bound as in
// run.json.
func heldAgainst(c *cli.Context) (rps *reports.Estimate, bound string, err error) {
	if c.IsSet("capacity") && c.IsSet("bundle") {
		return nil, "", badInput("leave one of the two out", "forecast: both --capacity and --bundle are given")
	}
	if c.IsSet("capacity") {
		v := c.Float64("capacity")
		if !(v > 0 && v <= 1e12) {
			return nil, "", badInput("give it in requests per second", "forecast: a capacity of %g is not above 0", v)
		}
		return &reports.Estimate{Value: v, Low: v, High: v, Method: "as given by --capacity"}, "", nil
	}
	name := c.String("bundle")
	if name == "" {
		return nil, "", nil
	}
	r, err := computeBundle(name)
	if err != nil {
		return nil, "", badInputUnlessCoded(err)
	}
	if err := unfounded("forecast", name, "held against", r); err != nil {
		return nil, "", err
	}
	x := r.Capacity
	if x == nil || !(x.RPS.Value > 0) || x.Bound == "below" {
		return nil, "", &codedError{exitInvalid, fmt.Errorf("forecast: %s shows no capacity", name), "headroom report " + name + " says why"}
	}
	return &x.RPS, x.Bound, nil
}

var spanForm = regexp.MustCompile(`^([0-9]{1,4})(w|d|h)$`)

// span reads 8w, 60d or 12h.
func span(text string) (time.Duration, error) {
	m := spanForm.FindStringSubmatch(text)
	if m == nil {
		return 0, fmt.Errorf("%q is no time", text)
	}
	n, err := strconv.Atoi(m[1])
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%q is no time", text)
	}
	return time.Duration(n) * map[string]time.Duration{"w": 168 * time.Hour, "d": 24 * time.Hour, "h": time.Hour}[m[2]], nil
}
