package main

import (
	"fmt"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/headroom-project/headroom/loadgen/api"
	"github.com/headroom-project/headroom/loadgen/observation"
)

func runsCommand(s streams) *cli.Command {
	asJSON := &cli.BoolFlag{Name: "json", Usage: "print JSON"}
	return &cli.Command{
		Name:         "runs",
		Usage:        "list, show and stop the runs of a controller",
		OnUsageError: usageError,
		Subcommands: []*cli.Command{
			{
				Name: "list", Usage: "list the runs, the latest first", OnUsageError: usageError,
				Flags:  append(controllerFlags(true), asJSON),
				Action: func(c *cli.Context) error { return listRuns(c, s) },
			},
			{
				Name: "show", Usage: "show a run, its report and its bundle", ArgsUsage: "ID", OnUsageError: usageError,
				Flags: append(controllerFlags(true), asJSON,
					&cli.StringFlag{Name: "out", Usage: "keep the bundle in `DIR`"}),
				Action: func(c *cli.Context) error { return showRun(c, s) },
			},
			{
				Name: "stop", Usage: "end all load of a run at once", ArgsUsage: "ID", OnUsageError: usageError,
				Flags:  append(controllerFlags(true), asJSON),
				Action: func(c *cli.Context) error { return stopRun(c, s) },
			},
		},
		Action: needsSubcommand,
	}
}

func listRuns(c *cli.Context, s streams) error {
	k, err := client(c)
	if err != nil {
		return err
	}
	list, err := k.Runs(c.Context)
	if err != nil {
		return refused("runs list", err)
	}
	if c.Bool("json") {
		return printJSON(s.out, map[string]any{"runs": list})
	}
	if len(list) == 0 {
		fmt.Fprintln(s.err, "no run yet: headroom drill SCENARIO --controller URL")
		return nil
	}
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tSTATE\tVERDICT\tSTARTED\tTOOK\tWORKERS")
	for _, r := range list {
		took := "-"
		if !r.Ended.IsZero() {
			took = r.Ended.Sub(r.Started).Round(time.Second).String()
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\n", r.ID, r.State, orDash(r.Verdict), r.Started.UTC().Format(time.RFC3339), took, len(r.Workers))
	}
	return w.Flush()
}

// oneRun is the only argument.
func oneRun(c *cli.Context) (*api.Client, string, error) {
	if c.Args().Len() != 1 {
		return nil, "", badInput("headroom runs list shows the ids", "runs %s: want one id, got %d arguments", c.Command.Name, c.Args().Len())
	}
	k, err := client(c)
	return k, c.Args().First(), err
}

func showRun(c *cli.Context, s streams) error {
	k, id, err := oneRun(c)
	if err != nil {
		return err
	}
	run, files, err := k.Run(c.Context, id)
	if err != nil {
		return refused("runs show", err)
	}
	if len(files) == 0 {
		if c.String("out") != "" {
			return badInput("wait until it has ended", "runs show: run %s is %s and has no bundle yet", id, run.State)
		}
		if c.Bool("json") {
			return printJSON(s.out, run)
		}
		fmt.Fprintf(s.out, "run %s: %s", run.ID, run.State)
		if run.Detail != "" {
			fmt.Fprintf(s.out, ": %s", run.Detail)
		}
		fmt.Fprintln(s.out)
		return nil
	}
	dir := c.String("out")
	if dir == "" {
		if dir, err = os.MkdirTemp("", "headroom-run-"); err != nil {
			return cannotRun(err, "")
		}
		defer os.RemoveAll(dir)
		dir = filepath.Join(dir, id)
	} else if fileExists(dir) && !emptyFolder(dir) {
		return badInput("choose a new or empty folder with --out", "runs show: %s is not empty", dir)
	}
	if err := fetchBundle(c.Context, k, id, dir); err != nil {
		return cannotRun(fmt.Errorf("runs show: %w", err), "")
	}
	if !fileExists(filepath.Join(dir, observation.JournalFile)) {
		return printState(s, run)
	}
	r, err := computeBundle(dir)
	if err != nil {
		return printState(s, run)
	}
	return printRun(s, r, c.Bool("json"))
}

// printState is for a run that has nothing to report on.
func printState(s streams, run api.Run) error {
	fmt.Fprintf(s.out, "run %s: %s: %s\n", run.ID, run.State, run.Detail)
	return nil
}

func stopRun(c *cli.Context, s streams) error {
	k, id, err := oneRun(c)
	if err != nil {
		return err
	}
	run, err := k.Stop(c.Context, id)
	if err != nil {
		return refused("runs stop", err)
	}
	if c.Bool("json") {
		return printJSON(s.out, run)
	}
	fmt.Fprintf(s.err, "run %s: load stopped\n", run.ID)
	return nil
}
