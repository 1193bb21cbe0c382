package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/headroom-project/headroom/capacity"
	"github.com/headroom-project/headroom/capacity/importer"
	"github.com/headroom-project/headroom/capacity/table"
	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/reports"
)

func fitCommand(s streams) *cli.Command {
	return &cli.Command{
		Name:      "fit",
		Usage:     "find the capacity in a bundle, a table of points, or the results of another tool",
		ArgsUsage: "BUNDLE | points.csv | RESULTS ...",
		Description: `Asks the model about a measurement: a bundle, a table (offered_rps,throughput_rps,
p99_ms and more), or files of k6, vegeta, Gatling, Locust or JMeter. Several files
are points of one measurement. What a tool's results lack is said as warnings.

   headroom fit points.csv --slo 'p99<50ms'
   headroom fit k6.csv.gz --slo 'p99<250ms' --slo 'errors<0.1%' --json
   headroom fit runs/20260102T150405Z-shop --slo 'p99<100ms' --demand 300
   headroom fit results.jtl --format points > points.csv

The exit code is 0 if a capacity was found (and covers --demand), 1 if no load meets
the objectives or the demand is not covered, 3 if the data do not identify it.`,
		OnUsageError: usageError,
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "slo", Usage: "an `OBJECTIVE` such as 'p99<50ms'; may be repeated; a bundle has its own"},
			&cli.StringFlag{Name: "from", Usage: "whose results the files are, if that cannot be seen: " + strings.Join(importer.Tools(), ", ")},
			&cli.Float64Flag{Name: "demand", Usage: "the peak load of production in `RPS`: gives headroom"},
			&cli.StringFlag{Name: "growth", Usage: "how the demand grows, such as 5%/month: gives the day it is used up"},
			&cli.StringFlag{Name: "prices", Usage: "a price list: a YAML `FILE` with vcpu_hour, gb_hour, egress_gb, or vcpu_hour=0.04,gb_hour=0.005"},
			&cli.Float64Flag{Name: "arrivals-scv", Usage: "the squared coefficient of variation of the times between production's arrivals, for which a capacity is predicted: 1 is Poisson, more are bursts"},
			&cli.StringSliceFlag{Name: "past", Usage: "the `BUNDLE` of an earlier drill of the target that did reach its limit: intervals of predictions are calibrated by how far they would have been off there; may be repeated"},
			&cli.StringFlag{Name: "now", Usage: "the `DAY` from which demand grows, YYYY-MM-DD (default today, or of the drill if its own demand grows)"},
			&cli.Uint64Flag{Name: "seed", Value: 1, Usage: "of the bootstrap, for files; a bundle has its own"},
			&cli.StringFlag{Name: "format", Value: "text", Usage: "text, json, html, markdown, or points for a table"},
			&cli.BoolFlag{Name: "json", Usage: "the same as --format json"},
		},
		Action: func(c *cli.Context) error { return fit(c, s) },
	}
}

func fit(c *cli.Context, s streams) error {
	format := c.String("format")
	if c.Bool("json") {
		format = "json"
	}
	render, ok := formats(s)[format]
	if !ok && format != "points" {
		return badInput("choose text, json, html, markdown or points", "fit: unknown format %q", format)
	}
	q, err := question(c)
	if err != nil {
		return err
	}
	if tool := c.String("from"); tool != "" && !knownTool(tool) {
		return badInput("choose "+strings.Join(importer.Tools(), ", "), "fit: --from %q", tool)
	}
	src, err := openSource("fit", c.Args().Slice(), c.String("from"))
	if err != nil {
		return err
	}
	if format == "points" {
		points, err := src.points(q)
		if err != nil {
			return err
		}
		return table.Write(s.out, points, src.counted()...)
	}
	if q.Past, err = backtests(c.StringSlice("past"), s); err != nil {
		return err
	}
	q.Fit = q.Fit || len(q.Past) > 0
	r, err := src.compute(q, c.Uint64("seed"))
	if err != nil {
		return err
	}
	if err := render(s.out, r); err != nil {
		return cannotRun(fmt.Errorf("print report: %w", err), "")
	}
	return verdictError(r)
}

// backtests scores what would have been predicted of past drills.
func backtests(bundles []string, s streams) ([]capacity.Score, error) {
	var all []capacity.Score
	for _, dir := range bundles {
		e, err := observation.Open(dir)
		if err != nil {
			return nil, badInput("a bundle is the folder that headroom drill names at its end", "fit: --past: %w", err)
		}
		past, err := reports.Backtest(e)
		if err != nil {
			return nil, badInput("", "fit: --past: %w", err)
		}
		if past.NoHelp != "" {
			fmt.Fprintf(s.err, "note: %s is no help: %s\n", dir, past.NoHelp)
		}
		all = append(all, past.Scores...)
	}
	return all, nil
}

// mostSCV bounds how bursty arrivals may be said to be, as in a scenario.
const mostSCV = 1000.0

// question reads what the flags ask.
func question(c *cli.Context) (reports.Question, error) {
	q := reports.Question{}
	var err error
	if q.Objectives, err = objectives(c.StringSlice("slo")); err != nil {
		return q, err
	}
	if c.IsSet("demand") || c.IsSet("growth") {
		if q.Demand, err = demanded(c.Float64("demand"), c.IsSet("demand"), c.String("growth")); err != nil {
			return q, err
		}
	}
	if name := c.String("prices"); name != "" {
		p, err := readPrices(name)
		if err != nil {
			return q, err
		}
		q.Prices = &p.Prices
	}
	if c.IsSet("arrivals-scv") {
		if q.ArrivalsSCV = c.Float64("arrivals-scv"); !(q.ArrivalsSCV > 0 && q.ArrivalsSCV <= mostSCV) {
			return q, badInput("1 is that of Poisson arrivals, 0.01 nearly an even pace, 4 are bursts", "fit: --arrivals-scv %v: it must be above 0 and at most %v", q.ArrivalsSCV, mostSCV)
		}
	}
	if c.IsSet("now") || c.IsSet("growth") {
		if q.Now, err = today(c.String("now")); err != nil {
			return q, err
		}
	}
	// Asked nothing new, a bundle gives run.json as it is.
	q.Fit = len(q.Objectives) > 0 || q.Demand != nil || q.Prices != nil || q.ArrivalsSCV > 0
	return q, nil
}

func knownTool(name string) bool {
	for _, t := range importer.Tools() {
		if t == name {
			return true
		}
	}
	return false
}
