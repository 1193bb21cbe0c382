package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/profiler"
	"github.com/headroom-project/headroom/reports"
	"github.com/headroom-project/headroom/scenarios"
)

func profileCommand(s streams) *cli.Command {
	return &cli.Command{
		Name:      "profile",
		Usage:     "look at the profiles of a bundle",
		ArgsUsage: "BUNDLE",
		Description: `Opens pprof's web UI on the profile of a step, until it is interrupted; or writes
the profile, or what a request takes of each function.

   headroom profile BUNDLE --step 4 --type cpu
   headroom profile BUNDLE --text
   headroom profile BUNDLE --type allocs --out allocs.pb.gz
   headroom profile BUNDLE --pgo default.pgo
   headroom profile diff BEFORE AFTER`,
		OnUsageError: usageError,
		Flags: append(profileFlags(),
			&cli.IntFlag{Name: "step", Usage: "the `STEP` (default: the one with the highest throughput; with --text and --pgo, all)"},
			&cli.StringFlag{Name: "pgo", Usage: "write the CPU profiles of all steps to `FILE`, for go build -pgo"},
			&cli.BoolFlag{Name: "text", Usage: "print what a request takes of each function"},
		),
		Action: func(c *cli.Context) error { return profileBundle(c, s) },
		Subcommands: []*cli.Command{{
			Name:      "diff",
			Usage:     "what changed in the cost of a request",
			ArgsUsage: "BEFORE [AFTER]",
			Description: `Compares the cost of a request in two bundles, or in two steps of one, function by
function. Differences that chance explains are left out, and those that only
moved from one function to another.

   headroom profile diff BEFORE AFTER
   headroom profile diff BUNDLE --base-step 2 --step 7 --type allocs`,
			OnUsageError: usageError,
			Flags: append(profileFlags(),
				&cli.IntFlag{Name: "step", Usage: "the `STEP` after (default: the one with the highest throughput)"},
				&cli.IntFlag{Name: "base-step", Usage: "the `STEP` before (default: the one with the highest throughput; of a single bundle, with the lowest)"},
			),
			Action: func(c *cli.Context) error { return profileDiff(c, s) },
		}},
	}
}

func profileFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "type", Value: "cpu", Usage: strings.Join(scenarios.ProfileTypes(), ", ")},
		&cli.StringFlag{Name: "http", Usage: "serve the web UI on `ADDRESS` (default: a free port of 127.0.0.1)"},
		&cli.StringFlag{Name: "out", Usage: "write the profile to `FILE`; - is standard output"},
		&cli.BoolFlag{Name: "json", Usage: "print figures as JSON"},
	}
}

// oneOf complains if more than one of some flags is given.
func oneOf(c *cli.Context, names ...string) error {
	var given []string
	for _, name := range names {
		if c.IsSet(name) {
			given = append(given, "--"+name)
		}
	}
	if len(given) > 1 {
		return badInput("choose one", "profile: %s are given", strings.Join(given, " and "))
	}
	return nil
}

func openProfiles(dir, typ string) (*reports.BundleProfiles, error) {
	known := false
	for _, t := range scenarios.ProfileTypes() {
		known = known || t == typ
	}
	if !known {
		return nil, badInput("choose one of "+strings.Join(scenarios.ProfileTypes(), ", "), "profile: unknown type %q", typ)
	}
	e, err := observation.Open(dir)
	if err != nil {
		return nil, badInput("a bundle is the folder that headroom drill names at its end", "%w", err)
	}
	b, err := reports.ProfilesOf(e)
	if err != nil {
		return nil, badInputUnlessCoded(err)
	}
	return b, nil
}

func profileBundle(c *cli.Context, s streams) error {
	if c.Args().Len() != 1 {
		return badInput("headroom profile runs/<time>-<name>", "profile: want one bundle, got %d arguments", c.Args().Len())
	}
	if err := oneOf(c, "http", "out", "pgo", "text", "json"); err != nil {
		return err
	}
	typ := c.String("type")
	if c.IsSet("pgo") {
		if c.IsSet("type") && typ != "cpu" || c.IsSet("step") {
			return badInput("leave --type and --step out", "profile: --pgo takes the CPU profiles of all steps")
		}
		typ = "cpu"
	}
	b, err := openProfiles(c.Args().First(), typ)
	if err != nil {
		return err
	}
	defer func() {
		for _, w := range b.Warnings() {
			fmt.Fprintln(s.err, "warning: "+w)
		}
	}()
	switch {
	case c.IsSet("pgo"):
		return writePGO(b, c.String("pgo"), s)
	case c.Bool("text"), c.Bool("json"):
		return printDemand(c, s, b, typ)
	}
	return showStep(c, s, b, typ)
}

// showStep opens or writes the profile of a step.
func showStep(c *cli.Context, s streams, b *reports.BundleProfiles, typ string) error {
	step, err := chosen(c, "step", func() (int, error) { return b.Highest(typ) })
	if err != nil {
		return err
	}
	if typ == "trace" {
		return writeTrace(c, s, b, step)
	}
	load, err := b.Load(typ, step)
	if err != nil {
		return badInput("", "profile: %w", err)
	}
	data, err := profiler.Merge(load.Pprofs...)
	if err != nil {
		return badInput("", "profile: %w", err)
	}
	if c.IsSet("out") {
		return writeResult(c.String("out"), data, s)
	}
	title := fmt.Sprintf("%s of step %d of %s", typ, step, b.Name())
	return serveProfile(c, s, webProfile{title: title, typ: typ, data: data})
}

// chosen is the value of a flag, or what stands for it.
func chosen(c *cli.Context, flag string, otherwise func() (int, error)) (int, error) {
	if c.IsSet(flag) {
		return c.Int(flag), nil
	}
	step, err := otherwise()
	if err != nil {
		return 0, badInput("", "profile: %w", err)
	}
	return step, nil
}

// writeTrace copies an execution trace, which is no profile.
func writeTrace(c *cli.Context, s streams, b *reports.BundleProfiles, step int) error {
	files, err := b.Files("trace", step)
	if err != nil {
		return badInput("", "profile: %w", err)
	}
	if !c.IsSet("out") {
		return badInput("headroom profile BUNDLE --type trace --out t.trace && go tool trace t.trace", "profile: pprof cannot show an execution trace")
	}
	data, err := b.Read(files[0])
	if err != nil {
		return badInput("", "profile: %w", err)
	}
	return writeResult(c.String("out"), data, s)
}

// writePGO merges the CPU profiles of all loads that count.
func writePGO(b *reports.BundleProfiles, name string, s streams) error {
	loads, err := b.Loads("cpu")
	if err != nil {
		return badInput("", "profile: %w", err)
	}
	var all [][]byte
	for _, l := range loads {
		all = append(all, l.Pprofs...)
	}
	data, err := profiler.Merge(all...)
	if err != nil {
		return badInput("", "profile: %w", err)
	}
	if err := writeResult(name, data, s); err != nil {
		return err
	}
	sum, err := profiler.Summarise(data)
	if err == nil {
		fmt.Fprintf(s.err, "%d CPU profiles, %d samples; put it beside package main, or build with -pgo=%s\n", len(all), sum.Samples, name)
	}
	return nil
}

// writeResult writes a file whole or not at all; - is standard output.
func writeResult(name string, data []byte, s streams) error {
	if name == "-" {
		if _, err := s.out.Write(data); err != nil {
			return cannotRun(fmt.Errorf("write profile: %w", err), "")
		}
		return nil
	}
	err := os.WriteFile(name+".part", data, 0o644)
	if err == nil {
		err = os.Rename(name+".part", name)
	}
	if err != nil {
		_ = os.Remove(name + ".part")
		return cannotRun(fmt.Errorf("write profile: %w", err), "choose a file that can be written")
	}
	fmt.Fprintf(s.err, "written: %s\n", filepath.Clean(name))
	return nil
}

// printDemand prints what a request takes of each function.
func printDemand(c *cli.Context, s streams, b *reports.BundleProfiles, typ string) error {
	kind, value, ok := reports.DemandKind(typ)
	if !ok {
		return badInput("choose cpu, allocs, mutex or block", "profile: a request takes nothing that a %s profile shows", typ)
	}
	var loads []profiler.Load
	var err error
	if c.IsSet("step") {
		loads = make([]profiler.Load, 1)
		loads[0], err = b.Load(typ, c.Int("step"))
	} else {
		loads, err = b.Loads(typ)
	}
	if err != nil {
		return badInput("", "profile: %w", err)
	}
	p, err := reports.DemandOf(kind, value, loads)
	if err != nil {
		return badInput("", "profile: %w", err)
	}
	if len(p.Steps) == 0 {
		return badInput("choose another step", "profile: no requests were served while the profile was taken")
	}
	if c.Bool("json") {
		return printJSON(s.out, p)
	}
	return reports.DemandText(s.out, p)
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return cannotRun(fmt.Errorf("print JSON: %w", err), "")
	}
	return nil
}
