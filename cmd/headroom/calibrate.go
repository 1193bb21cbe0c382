package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/headroom-project/headroom/loadgen"
	"github.com/headroom-project/headroom/loadgen/bus"
	"github.com/headroom-project/headroom/loadgen/responder"
)

func calibrateCommand(s streams) *cli.Command {
	return &cli.Command{
		Name:  "calibrate",
		Usage: "measure what the generator can do on this machine",
		Description: `Measures, in about 16 s, the floor (what a target that answers at once seems to
take) and the ceiling (what one worker can send) against a built-in responder on
loopback. Drills on this machine then warn of objectives and loads that come near,
and are invalid beyond. Measure while the machine does nothing else.`,
		OnUsageError: usageError,
		Flags: []cli.Flag{
			calibrationFlag("where the result is kept"),
			&cli.BoolFlag{Name: "json", Usage: "print the result as JSON"},
		},
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return badInput("headroom calibrate takes no arguments", "calibrate: unexpected argument %q", c.Args().First())
			}
			return calibrate(c, s)
		},
	}
}

// responderCommand is the process that calibrate measures against.
func responderCommand(s streams) *cli.Command {
	return &cli.Command{
		Name: "responder", Hidden: true, Usage: "answer at once, until standard input ends",
		OnUsageError: usageError,
		Flags:        []cli.Flag{&cli.IntFlag{Name: "cpu", Usage: "run on core `N`, from 1"}},
		Action: func(c *cli.Context) error {
			return responder.Serve(s.in, s.out, responder.Config{CPU: c.Int("cpu")})
		},
	}
}

func calibrationFlag(usage string) cli.Flag {
	return &cli.StringFlag{Name: "calibration", Usage: usage + ": a `FILE` (default in the user's cache folder)"}
}

func calibrate(c *cli.Context, s streams) error {
	exe, err := os.Executable()
	if err != nil {
		return cannotRun(fmt.Errorf("calibrate: %w", err), "")
	}
	url, stop, err := responder.Spawn(c.Context, exe, []string{"responder", "--cpu", "2"}, nil)
	if err != nil {
		return cannotRun(fmt.Errorf("calibrate: %w", err), "")
	}
	defer stop()
	result, err := loadgen.Calibrate(c.Context, loadgen.CalibrateConfig{
		URL: url, CPUs: runtime.NumCPU(), CPU: cpuTime, Now: time.Now,
		Say: func(text string) { fmt.Fprintln(s.err, text) },
	})
	if err != nil {
		return cannotRun(err, "")
	}
	path, err := calibrationFile(c.String("calibration"))
	if err == nil {
		err = keepCalibration(path, result)
	}
	if err != nil {
		return cannotRun(fmt.Errorf("calibrate: %w", err), "name a file that can be written with --calibration")
	}
	fmt.Fprintln(s.err, "kept in "+path)
	return printCalibration(s, result, c.Bool("json"))
}

// calibrationFile is the file that was named, or the usual one.
func calibrationFile(named string) (string, error) {
	if named != "" {
		return named, nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "headroom", "calibration.json"), nil
}

func keepCalibration(path string, c loadgen.Calibration) error {
	data, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o644)
}

func printCalibration(s streams, c loadgen.Calibration, asJSON bool) error {
	if asJSON {
		e := json.NewEncoder(s.out)
		e.SetIndent("", "  ")
		return e.Encode(c)
	}
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "pacing\toffered/s\tresponse p50\tp99\tsend lag p50\tp99\tCPU/request\t")
	for _, r := range []struct {
		name string
		f    loadgen.Floor
	}{{"precise", c.Precise}, {"economical", c.Economical}} {
		fmt.Fprintf(w, "%s\t%.0f\t%.3f ms\t%.3f ms\t%.3f ms\t%.3f ms\t%.1f us\t\n", r.name, r.f.OfferedRPS, r.f.P50, r.f.P99, r.f.LagP50, r.f.LagP99, r.f.CPU)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(s.out, "ceiling: %.0f req/s for each worker, at %.1f us CPU a request (engine %s, %d cores)\n", c.CeilingRPS, c.CeilingCPU, c.Engine, c.CPUs)
	return err
}

// maxCalibrationFile bounds a calibration in bytes.
const maxCalibrationFile = 64 << 10

// readCalibration returns the calibration of this machine for an engine, nil if there
// is none.
func readCalibration(named, engine string) (*loadgen.Calibration, error) {
	c, err := storedCalibration(named)
	if err != nil || c == nil || c.Engine != engine {
		return nil, err
	}
	return c, nil
}

// storedCalibration returns the calibration of this machine, nil if there is none.
// One that was named must be there. One of another number of cores says nothing here.
func storedCalibration(named string) (*loadgen.Calibration, error) {
	path, err := calibrationFile(named)
	if err != nil && named == "" {
		return nil, nil
	}
	data, err := readFile(path, maxCalibrationFile)
	if errors.Is(err, fs.ErrNotExist) && named == "" {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var c loadgen.Calibration
	err = json.Unmarshal(data, &c)
	if err = cmp.Or(err, c.Check()); err != nil {
		return nil, badInput("headroom calibrate writes it anew", "%s is no calibration: %w", path, err)
	}
	if c.CPUs != runtime.NumCPU() {
		return nil, nil
	}
	return &c, nil
}

// calibrated is the calibration of a fleet for an engine, as far as its workers have
// one; nil if none has.
func calibrated(workers []bus.Info, engine string, say func(string)) *loadgen.Calibration {
	var list []loadgen.Calibration
	var without []string
	for _, w := range workers {
		if w.Calibration != nil && w.Calibration.Engine == engine {
			list = append(list, *w.Calibration)
			continue
		}
		without = append(without, w.Name)
	}
	if len(list) > 0 && len(without) > 0 {
		say(fmt.Sprintf("%d of %d workers are not calibrated for this load (%s); hint: run headroom calibrate there, and start them again",
			len(without), len(workers), strings.Join(without[:min(len(without), 5)], ", ")))
	}
	return loadgen.Weakest(list)
}
