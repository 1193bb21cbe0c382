package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/headroom-project/headroom/loadgen/attack"
	"github.com/headroom-project/headroom/scenarios"
	"github.com/headroom-project/headroom/scenarios/importer"
)

func scenarioCommand(s streams) *cli.Command {
	return &cli.Command{
		Name:         "scenario",
		Usage:        "check scenario files, and show the built-in ones",
		OnUsageError: usageError,
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return badInput("headroom scenario --help lists the commands", "unknown command \"scenario %s\"", c.Args().First())
			}
			return cli.ShowSubcommandHelp(c)
		},
		Subcommands: []*cli.Command{
			{
				Name: "check", Usage: "say everything that is wrong with a scenario file", ArgsUsage: "FILE ...", OnUsageError: usageError,
				Action: func(c *cli.Context) error { return checkScenarios(c, s) },
			},
			{
				Name: "schema", Usage: "print the JSON Schema (2020-12) of scenario files, for editors", OnUsageError: usageError,
				Action: func(*cli.Context) error {
					b, err := scenarios.Schema()
					if err != nil {
						return err
					}
					_, err = fmt.Fprintf(s.out, "%s\n", b)
					return err
				},
			},
			{
				Name: "list", Usage: "list the built-in scenarios", OnUsageError: usageError,
				Action: func(*cli.Context) error {
					for _, e := range scenarios.Library() {
						fmt.Fprintf(s.out, "%-18s %s\n", e.Name, e.Summary)
					}
					return nil
				},
			},
			{
				Name: "import", Usage: "make a scenario of what others recorded or described", ArgsUsage: "FILE", OnUsageError: usageError,
				Description: `Reads a vegeta target file, a HAR archive, an OpenAPI 3 document or an access log,
and prints a scenario. What could not be carried over is said on standard error.`,
				Flags: []cli.Flag{
					&cli.StringFlag{Name: "as", Usage: "what the file is, if that cannot be seen: " + strings.Join(importer.Kinds(), ", ")},
					&cli.StringFlag{Name: "url", Usage: "the target's `URL`, instead of the one in the file"},
				},
				Action: func(c *cli.Context) error { return importScenario(c, s) },
			},
			{
				Name: "show", Usage: "print a built-in scenario, to start from", ArgsUsage: "NAME", OnUsageError: usageError,
				Action: func(c *cli.Context) error {
					b, err := scenarios.LibraryFile(c.Args().First())
					if err != nil {
						return badInput("headroom scenario list names them", "%w", err)
					}
					_, err = s.out.Write(b)
					return err
				},
			},
		},
	}
}

// checkScenarios loads and compiles each file; it sends nothing.
func checkScenarios(c *cli.Context, s streams) error {
	if !c.Args().Present() {
		return badInput("headroom scenario check checkout.yaml", "scenario check: no file")
	}
	for _, name := range c.Args().Slice() {
		src, err := readFile(name, maxScenarioFile)
		if err != nil {
			return err
		}
		sc, err := scenarios.Load(name, src, scenarios.LoadOptions{})
		if err != nil {
			return err
		}
		j := &job{scenario: sc}
		if err := j.compile(filepath.Dir(name)); err != nil {
			return err
		}
		for _, w := range sc.Warnings() {
			fmt.Fprintf(s.err, "%s: warning: %s\n", name, w)
		}
		fmt.Fprintf(s.out, "%s: ok, sent by %s\n", name, attack.Describe(j.requests))
	}
	return nil
}

// importScenario prints the scenario that a file is turned into.
func importScenario(c *cli.Context, s streams) error {
	if c.Args().Len() != 1 {
		return badInput("headroom scenario import access.log", "scenario import: want one file, got %d", c.Args().Len())
	}
	f, err := os.Open(c.Args().First())
	if err != nil {
		return badInput("check the path", "%w", err)
	}
	defer f.Close()
	sc, notes, err := importer.Import(c.String("as"), c.Args().First(), f, importer.Options{URL: c.String("url")})
	if err != nil {
		return badInput("--as says what the file is: "+strings.Join(importer.Kinds(), ", "), "%w", err)
	}
	b, err := sc.YAML()
	if err != nil {
		return badInput("", "%w", err)
	}
	for _, n := range notes {
		fmt.Fprintf(s.err, "note: %s\n", n)
	}
	_, err = s.out.Write(b)
	return err
}
