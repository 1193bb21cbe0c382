package main

import (
	"fmt"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/headroom-project/headroom/scenarios"
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
		fmt.Fprintf(s.out, "%s: ok\n", name)
	}
	return nil
}
