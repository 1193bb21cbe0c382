package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/headroom-project/headroom/loadgen/attack"
	"github.com/headroom-project/headroom/loadgen/bus"
	"github.com/headroom-project/headroom/loadgen/engine"
	"github.com/headroom-project/headroom/profiler/resources"
)

func workerCommand(s streams) *cli.Command {
	return &cli.Command{
		Name:  "worker",
		Usage: "send load for a controller",
		Description: `Joins the fleet of a controller and serves its drills, one at a time, until it is
ended. It needs the join file from the controller's store, or its address, and
nothing else: it dials out only.

   headroom worker --join join.json --allow 10.0.0.0/8 --max-rps 5000

What it may hit is decided here: loopback, and what --allow lists, whatever a
scenario says. Ended by a signal, it stops its load, hands in what it saw, and leaves.`,
		OnUsageError: usageError,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "join", Usage: "the join `FILE`, or tls://TOKEN@host:port?fingerprint=...", EnvVars: []string{"HEADROOM_JOIN"}},
			&cli.StringFlag{Name: "creds", Usage: "credentials `FILE` for a NATS system, instead of the one that the join file names"},
			&cli.StringFlag{Name: "name", Usage: "the `NAME` in reports (default that of the host)"},
			&cli.Float64Flag{Name: "max-rps", Usage: "never send more than `RPS`"},
			&cli.StringSliceFlag{Name: "labels", Usage: "`KEY=VALUE` to be shown in lists, such as zone=a; may be repeated"},
			&cli.StringSliceFlag{Name: "allow", Usage: "an `ADDRESS`, prefix or host name that may be hit besides loopback; may be repeated"},
			calibrationFlag("what headroom calibrate has measured of this machine"),
			selfProfileFlag(),
		},
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return badInput("headroom worker --help", "worker: unexpected argument %q", c.Args().First())
			}
			ctx, restore := drains(c.Context, s, os.Exit)
			defer restore()
			c.Context = ctx
			stop, err := profileSelf(c, s)
			if err != nil {
				return err
			}
			defer stop()
			return work(c, s)
		},
	}
}

func work(c *cli.Context, s streams) error {
	if c.String("join") == "" {
		return badInput("--join FILE, the join.json in the controller's store", "worker: no --join")
	}
	join, err := engine.ReadJoin(c.String("join"))
	if err != nil {
		return badInput("the controller writes join.json into its store", "worker: %w", err)
	}
	if c.IsSet("creds") {
		join.Credentials = c.String("creds")
	}
	if join.Credentials != "" {
		if err := engine.CheckCredentials(join.Credentials); err != nil {
			return badInput("copy the workers' credentials to this machine, and name the file with --creds", "worker: %w", err)
		}
	}
	cfg, err := workerConfig(c, s)
	if err != nil {
		return err
	}
	who, err := engine.NewIdentity()
	if err != nil {
		return cannotRun(err, "")
	}
	dial := engine.Dial{URL: join.Address, Token: join.Token, Fingerprint: join.Fingerprint, Credentials: join.Credentials, Name: "headroom worker " + cfg.Name, Log: cfg.Log}
	if join.Credentials == "" {
		dial.Identity = who
	}
	cfg.ID = who.ID()
	if cfg.Conn, err = engine.Connect(dial); err != nil {
		hint := "is the controller up, and can this machine reach that address?"
		switch {
		case engine.IsAuth(err) && join.Credentials != "":
			hint = "the credentials must be of a user of that NATS system that has not expired or been revoked"
		case engine.IsAuth(err):
			hint = "the token is not the controller's: get its join.json anew"
		case errors.Is(err, engine.ErrFingerprint):
			hint = "get the controller's join.json anew; if it has not changed, somebody may be between you and it"
		}
		return cannotRun(fmt.Errorf("worker: %w", err), hint)
	}
	defer cfg.Conn.Close()
	w, err := bus.NewWorker(cfg)
	if err != nil {
		return cannotRun(err, "")
	}
	fmt.Fprintf(s.err, "worker %s: joined %s\n", cfg.Name, join.Address)
	if err := w.Run(c.Context); err != nil {
		return cannotRun(fmt.Errorf("worker: %w", err), "")
	}
	return nil
}

func workerConfig(c *cli.Context, s streams) (bus.WorkerConfig, error) {
	began := time.Now()
	cfg := bus.WorkerConfig{
		Name: c.String("name"), Version: version, MaxRPS: c.Float64("max-rps"), Labels: map[string]string{},
		Now: func() time.Duration { return time.Since(began) }, CPU: ownCPU(),
		Log: slog.New(slog.NewTextHandler(s.err, nil)),
	}
	if cfg.Name == "" {
		cfg.Name, _ = os.Hostname()
		if cfg.Name == "" {
			cfg.Name = "worker"
		}
	}
	// The name is part of file names and of subjects' logs.
	cfg.Name = fileName(cfg.Name)
	if c.IsSet("max-rps") && !(cfg.MaxRPS > 0) {
		return cfg, badInput("leave it out for no bound", "worker: --max-rps %v is not positive", cfg.MaxRPS)
	}
	for _, l := range c.StringSlice("labels") {
		k, v, ok := strings.Cut(l, "=")
		if !ok || k == "" {
			return cfg, badInput("write it as zone=a", "worker: --labels %q is not KEY=VALUE", l)
		}
		cfg.Labels[k] = v
	}
	var err error
	if cfg.Calibration, err = storedCalibration(c.String("calibration")); err != nil {
		return cfg, err
	}
	if cfg.Allow, err = attack.NewAllowList(c.StringSlice("allow")); err != nil {
		return cfg, badInput("", "worker: --allow: %w", err)
	}
	return cfg, nil
}

// ownCPU tells what this process has used; nil where that is not known.
func ownCPU() func() (time.Duration, float64) {
	self, err := resources.NewProcess(resources.ProcessConfig{Pid: os.Getpid()})
	if err != nil {
		return nil
	}
	return func() (time.Duration, float64) {
		used, cores := cpuOf(self)
		return time.Duration(used * float64(time.Second)), cores
	}
}
