package main

import (
	"fmt"
	"io"
	"os"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"github.com/headroom-project/headroom/reports"
)

func reportCommand(s streams) *cli.Command {
	return &cli.Command{
		Name:      "report",
		Usage:     "recompute a report from a bundle alone",
		ArgsUsage: "BUNDLE",
		Description: `Reads the evidence of a bundle, computes every figure anew, and prints the report.
Its exit code says whether that could be done, not what the verdict is.
   headroom report runs/20260102T150405Z-shop --format html > report.html`,
		OnUsageError: usageError,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "format", Value: "text", Usage: "text, json, html or markdown"},
			&cli.BoolFlag{Name: "json", Usage: "the same as --format json"},
		},
		Action: func(c *cli.Context) error {
			if c.Args().Len() != 1 {
				return badInput("headroom report runs/<time>-<name>", "report: want one bundle, got %d arguments", c.Args().Len())
			}
			format := c.String("format")
			if c.Bool("json") {
				format = "json"
			}
			render, ok := formats(s)[format]
			if !ok {
				return badInput("choose text, json, html or markdown", "report: unknown format %q", format)
			}
			r, err := computeBundle(c.Args().First())
			if err != nil {
				return badInputUnlessCoded(err)
			}
			return render(s.out, r)
		},
	}
}

func badInputUnlessCoded(err error) error {
	if exitCode(err) == exitBadInput {
		return err
	}
	return badInput("", "%w", err)
}

func formats(s streams) map[string]func(io.Writer, *reports.Run) error {
	return map[string]func(io.Writer, *reports.Run) error{
		"text": func(w io.Writer, r *reports.Run) error { return reports.Text(w, r, textOptions(s)) },
		"json": reports.JSON, "html": reports.HTML, "markdown": reports.Markdown,
	}
}

func printRun(s streams, r *reports.Run, asJSON bool) error {
	format := "text"
	if asJSON {
		format = "json"
	}
	if err := formats(s)[format](s.out, r); err != nil {
		return cannotRun(fmt.Errorf("print report: %w", err), "")
	}
	return nil
}

// terminal returns the width of w if it is a terminal.
func terminal(w any) (width int, ok bool) {
	f, isFile := w.(*os.File)
	if !isFile || !term.IsTerminal(int(f.Fd())) {
		return 0, false
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		width = 80
	}
	return width, true
}

func textOptions(s streams) reports.TextOptions {
	width, ok := terminal(s.out)
	_, plain := os.LookupEnv("NO_COLOR")
	return reports.TextOptions{Color: ok && !plain, Width: width}
}
