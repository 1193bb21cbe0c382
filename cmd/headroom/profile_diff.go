package main

import (
	"fmt"
	"math"

	"github.com/urfave/cli/v2"

	"github.com/headroom-project/headroom/profiler"
	"github.com/headroom-project/headroom/reports"
)

// profileSide is one of the two that are compared.
type profileSide struct {
	bundle *reports.BundleProfiles
	load   profiler.Load
}

func (x profileSide) String() string {
	return fmt.Sprintf("step %d of %s, %.4g req/s", x.load.Step, x.bundle.Name(), x.load.RPS)
}

func profileDiff(c *cli.Context, s streams) error {
	if n := c.Args().Len(); n < 1 || n > 2 {
		return badInput("headroom profile diff BEFORE AFTER", "profile diff: want one or two bundles, got %d arguments", n)
	}
	if err := oneOf(c, "http", "out", "json"); err != nil {
		return err
	}
	typ := c.String("type")
	kind, value, ok := reports.DemandKind(typ)
	if !ok {
		return badInput("choose cpu, allocs, mutex or block", "profile diff: a request takes nothing that a %s profile shows", typ)
	}
	before, after, err := sides(c, typ)
	if err != nil {
		return err
	}
	if a, b := before.load.RPS, after.load.RPS; math.Abs(a-b) > 0.2*max(a, b) {
		fmt.Fprintf(s.err, "note: the loads differ (%.4g and %.4g req/s), and cost may depend on it\n", a, b)
	}
	switch {
	case c.IsSet("out"):
		data, err := profiler.Difference(before.load, after.load)
		if err != nil {
			return badInput("", "profile diff: %w", err)
		}
		return writeResult(c.String("out"), data, s)
	case c.IsSet("http"):
		return serveDifference(c, s, typ, before, after)
	}
	x, err := profiler.Compare(value, before.load, after.load)
	if err != nil {
		return badInput("", "profile diff: %w", err)
	}
	if c.Bool("json") {
		return printJSON(s.out, reports.ComparisonOf(kind, x))
	}
	return reports.ComparisonText(s.out, x, before.String(), after.String())
}

// sides opens what is compared.
func sides(c *cli.Context, typ string) (before, after profileSide, err error) {
	single := c.Args().Len() == 1
	if before.bundle, err = openProfiles(c.Args().First(), typ); err != nil {
		return before, after, err
	}
	after.bundle = before.bundle
	if !single {
		if after.bundle, err = openProfiles(c.Args().Get(1), typ); err != nil {
			return before, after, err
		}
	}
	base := func() (int, error) { return before.bundle.Highest(typ) }
	if single {
		base = func() (int, error) { return before.bundle.Lowest(typ) }
	}
	from, err := chosen(c, "base-step", base)
	if err != nil {
		return before, after, err
	}
	to, err := chosen(c, "step", func() (int, error) { return after.bundle.Highest(typ) })
	if err != nil {
		return before, after, err
	}
	if single && from == to {
		return before, after, badInput("name two with --base-step and --step", "profile diff: step %d would be compared with itself", to)
	}
	if before.load, err = before.bundle.Load(typ, from); err == nil {
		after.load, err = after.bundle.Load(typ, to)
	}
	if err != nil {
		return before, after, badInput("", "profile diff: %w", err)
	}
	return before, after, nil
}

// serveDifference opens the web UI on both sides, each scaled to a million
// requests.
func serveDifference(c *cli.Context, s streams, typ string, before, after profileSide) error {
	base, err := profiler.Scaled(before.load)
	if err != nil {
		return badInput("", "profile diff: %w", err)
	}
	data, err := profiler.Scaled(after.load)
	if err != nil {
		return badInput("", "profile diff: %w", err)
	}
	title := fmt.Sprintf("%s of a million requests: %s, less %s", typ, after, before)
	return serveProfile(c, s, webProfile{title: title, typ: typ, data: data, base: base})
}
