package main

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// version is set by the linker in releases.
var version = "dev"

func newApp(s streams, quit func(code int)) *cli.App {
	return &cli.App{
		Name:    "headroom",
		Usage:   "find the load at which a service stops meeting its objectives, and why",
		Version: version,
		Reader:  s.in, Writer: s.out, ErrWriter: s.err,
		// Errors become exit codes in one place: exitCode.
		ExitErrHandler:  func(*cli.Context, error) {},
		HideHelpCommand: true,
		// Values such as load.search={from: 5, to: 50} have commas.
		DisableSliceFlagSeparator: true,
		Suggest:                   true,
		CustomAppHelpTemplate: cli.AppHelpTemplate + `
` + exitCodesHelp,
		OnUsageError: usageError,
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return badInput("headroom --help lists the commands", "unknown command %q", c.Args().First())
			}
			return cli.ShowAppHelp(c)
		},
		Commands: []*cli.Command{
			demoCommand(s), drillCommand(s, quit), calibrateCommand(s), responderCommand(s),
			fitCommand(s), forecastCommand(s), planCommand(s), reportCommand(s), profileCommand(s), scenarioCommand(s),
			controllerCommand(s), workerCommand(s), fleetCommand(s), runsCommand(s),
		},
	}
}

func usageError(c *cli.Context, err error, _ bool) error {
	name := "headroom"
	if c.Command != nil && c.Command.Name != "" && c.Command.Name != name {
		name += " " + c.Command.Name
	}
	return badInput(name+" --help lists the flags", "%s: %w", name, err)
}

// intersperse moves flags before arguments, because the flag parser stops at the
// first argument: `drill URL --json` is what people type.
func intersperse(app *cli.App, args []string) []string {
	if len(args) < 2 {
		return args
	}
	out := []string{args[0]}
	rest := args[1:]
	commands, flags := app.Commands, app.Flags
	// The path to the command stays in front.
	for len(rest) > 0 {
		i := slices.IndexFunc(commands, func(c *cli.Command) bool { return c.HasName(rest[0]) })
		if i < 0 {
			break
		}
		out, rest = append(out, rest[0]), rest[1:]
		flags, commands = commands[i].Flags, commands[i].Subcommands
	}
	var positional []string
	for len(rest) > 0 {
		a := rest[0]
		rest = rest[1:]
		switch {
		case a == "--":
			return append(append(append(out, "--"), positional...), rest...)
		case len(a) < 2 || a[0] != '-':
			positional = append(positional, a)
			continue
		}
		out = append(out, a)
		if !strings.Contains(a, "=") && takesValue(flags, strings.TrimLeft(a, "-")) && len(rest) > 0 {
			out, rest = append(out, rest[0]), rest[1:]
		}
	}
	return append(out, positional...)
}

func takesValue(flags []cli.Flag, name string) bool {
	for _, f := range flags {
		if !slices.Contains(f.Names(), name) {
			continue
		}
		d, ok := f.(cli.DocGenerationFlag)
		return ok && d.TakesValue()
	}
	return false
}
