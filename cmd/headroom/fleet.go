package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/headroom-project/headroom/loadgen/api"
	"github.com/headroom-project/headroom/loadgen/engine"
	"github.com/headroom-project/headroom/profiler/resources"
)

func fleetCommand(s streams) *cli.Command {
	return &cli.Command{
		Name:         "fleet",
		Usage:        "look at the workers of a controller",
		OnUsageError: usageError,
		Subcommands: []*cli.Command{{
			Name:         "list",
			Usage:        "list the workers",
			OnUsageError: usageError,
			Flags:        append(controllerFlags(true), &cli.BoolFlag{Name: "json", Usage: "print JSON"}),
			Action:       func(c *cli.Context) error { return listFleet(c, s) },
		}},
		Action: needsSubcommand,
	}
}

// needsSubcommand says which there are.
func needsSubcommand(c *cli.Context) error {
	var names []string
	for _, x := range c.Command.Subcommands {
		if x.Name != "help" {
			names = append(names, x.Name)
		}
	}
	hint := "headroom " + c.Command.Name + " " + strings.Join(names, " | ")
	if c.Args().Len() == 0 {
		return badInput(hint, "%s: which command?", c.Command.Name)
	}
	return badInput(hint, "%s: no command %q", c.Command.Name, c.Args().First())
}

// controllerFlags say which controller is meant. A drill goes to one only if it is
// told so on its own command line.
func controllerFlags(withEnv bool) []cli.Flag {
	where := &cli.StringFlag{Name: "controller", Usage: "the `URL` of a controller, or the access.json of its store"}
	if withEnv {
		where.Value, where.EnvVars = "http://127.0.0.1:7171", []string{"HEADROOM_CONTROLLER"}
	}
	return []cli.Flag{
		where,
		&cli.StringFlag{Name: "token", Usage: "the controller's `TOKEN`, if the URL or file does not have it", EnvVars: []string{"HEADROOM_TOKEN"}},
	}
}

// client makes a client of the controller that is meant.
func client(c *cli.Context) (*api.Client, error) {
	source := strings.TrimSuffix(c.String("controller"), "/")
	join, err := engine.ReadJoin(source)
	if err == nil && !strings.HasPrefix(join.Address, "http") {
		err = errors.New("that is for workers, not for commands")
	}
	if err != nil {
		return nil, badInput("give the URL that the controller printed, or the access.json of its store", "--controller %s: %w", withoutToken(source), err)
	}
	if t := c.String("token"); t != "" {
		join.Token = t
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: 10 * time.Second, IdleConnTimeout: 30 * time.Second}
	if join.Fingerprint != "" {
		pinned, err := engine.Pinned(join.Fingerprint)
		if err != nil {
			return nil, badInput("", "--controller: %w", err)
		}
		transport.TLSClientConfig = pinned
	}
	return &api.Client{URL: join.Address, Token: join.Token, HTTP: &http.Client{Transport: transport}}, nil
}

// withoutToken keeps secrets out of messages.
func withoutToken(source string) string {
	if scheme, rest, ok := strings.Cut(source, "://"); ok {
		if _, host, ok := strings.Cut(rest, "@"); ok {
			return scheme + "://" + host
		}
	}
	return source
}

// refused gives an error of the controller its exit code and a hint.
func refused(what string, err error) error {
	err = fmt.Errorf("%s: %w", what, err)
	var status *api.StatusError
	if !errors.As(err, &status) {
		hint := "is the controller up? headroom controller prints its URL"
		var cert *tls.CertificateVerificationError
		if errors.As(err, &cert) || errors.Is(err, engine.ErrFingerprint) {
			hint = "the access.json of the controller's store names its certificate"
		}
		return cannotRun(err, hint)
	}
	switch status.Status {
	case http.StatusUnauthorized:
		return badInput("--controller access.json from the controller's store, or --token", "%w", err)
	case http.StatusServiceUnavailable:
		return cannotRun(err, "headroom fleet list shows the workers; start more with headroom worker --join, or ask for fewer with --workers")
	case http.StatusInternalServerError:
		return cannotRun(err, "")
	}
	return badInput("", "%w", err)
}

func listFleet(c *cli.Context, s streams) error {
	k, err := client(c)
	if err != nil {
		return err
	}
	list, err := k.Workers(c.Context)
	if err != nil {
		return refused("fleet list", err)
	}
	if c.Bool("json") {
		return printJSON(s.out, map[string]any{"workers": list})
	}
	if len(list) == 0 {
		fmt.Fprintln(s.err, "no worker is there: headroom worker --join join.json")
		return nil
	}
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tRUN\tMAX RPS\tCEILING\tCPUS\tSYSTEM\tVERSION\tLABELS")
	for _, x := range list {
		var labels []string
		for _, k := range slices.Sorted(maps.Keys(x.Labels)) {
			labels = append(labels, k+"="+x.Labels[k])
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s/%s\t%s\t%s\n", x.Name, orDash(x.Run), rateOrDash(x.MaxRPS), rateOrDash(x.CeilingRPS), x.CPUs, x.OS, x.Arch, x.Version, orDash(strings.Join(labels, ",")))
	}
	return w.Flush()
}

func rateOrDash(rps float64) string {
	if rps <= 0 {
		return "-"
	}
	return fmt.Sprintf("%.6g", rps)
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// cpuOf is what a process has used, in core-seconds, and how many cores it may use.
func cpuOf(self resources.Reader) (used, cores float64) {
	all, err := self.Read(context.Background())
	if err != nil {
		return 0, 0
	}
	for _, r := range all {
		if r.Resource == "cpu" && r.Counter {
			return r.Value, r.Limit
		}
	}
	return 0, 0
}

// fileExists says whether something is there.
func fileExists(name string) bool {
	_, err := os.Lstat(name)
	return err == nil
}
