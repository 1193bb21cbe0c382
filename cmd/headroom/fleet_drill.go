package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/headroom-project/headroom/loadgen"
	"github.com/headroom-project/headroom/loadgen/api"
	"github.com/headroom-project/headroom/loadgen/engine"
	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

// runRemote runs the job over the workers of a controller, and reports on the
// bundle as if it had been run here.
func (j *job) runRemote(c *cli.Context, s streams, dir string) error {
	k, err := client(c)
	if err != nil {
		return err
	}
	sub, err := j.submission(c, dir)
	if err != nil {
		return err
	}
	out := c.String("out")
	if out != "" && fileExists(out) && !emptyFolder(out) {
		return badInput("choose a new or empty folder with --out", "drill: %s is not empty", out)
	}
	// The key makes an answer that is lost on the way harmless: asking again is the
	// same run.
	run, err := submit(c.Context, k, engine.NewToken(), sub)
	if err != nil {
		return refused("drill", err)
	}
	fmt.Fprintf(s.err, "run %s (stop it: headroom runs stop %s)\n", run.ID, run.ID)
	if run, err = follow(c.Context, k, run, j.progress(s)); err != nil {
		return refused("drill", err)
	}
	if out == "" {
		out = freeFolder(filepath.Join("runs", run.ID))
	}
	// An interrupt has ended the load; its bundle is still wanted.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.Context), fetchIn)
	defer cancel()
	if err := fetchBundle(ctx, k, run.ID, out); err != nil && run.State != api.StateFailed {
		return cannotRun(fmt.Errorf("drill: %w", err), "try again: headroom runs show "+run.ID+" --out DIR")
	}
	var failed error
	if run.State == api.StateFailed {
		failed = errors.New(run.Detail)
		// One that never began has nothing to report on.
		if e, err := observation.Open(out); err != nil || len(e.Journal) == 0 {
			err := fmt.Errorf("drill: run %s: %w", run.ID, failed)
			if run.Cause == api.CauseBadInput {
				return badInput("", "%w", err)
			}
			return cannotRun(err, "")
		}
	}
	return j.report(c, s, out, loadgen.Outcome{How: cmp.Or(run.How, observation.EndFailed)}, failed)
}

// local are the flags of a drill from this machine alone, why a fleet cannot follow
// them, and what to do instead.
var local = []struct{ flag, why, hint string }{
	{"demo", "the demo would run here, where workers need not reach it", "headroom demo --listen an address that they reach, and drill its URL"},
	{"receive", "it is the controller that targets send to", "headroom controller --receive ADDR, and --set profiles.receive.service=NAME here"},
	{"raw", "the results of single hits do not leave the workers, only what they add up to", "drill from this machine alone to have them"},
	{"calibration", "each worker has one of its own machine", "headroom worker --calibration FILE"},
}

// notRemote refuses what does not go with --controller.
func notRemote(c *cli.Context) error {
	if !c.IsSet("controller") {
		return nil
	}
	for _, x := range local {
		if c.IsSet(x.flag) {
			return badInput(x.hint, "drill: --%s does not go with --controller: %s", x.flag, x.why)
		}
	}
	return nil
}

// fetchIn bounds how long a bundle may take to arrive.
const fetchIn = 5 * time.Minute

func emptyFolder(name string) bool {
	entries, err := os.ReadDir(name)
	return err == nil && len(entries) == 0
}

// submission gathers all that workers need: what the compilers read on the way is
// what the scenario names.
func (j *job) submission(c *cli.Context, dir string) (api.Submission, error) {
	files, env := map[string][]byte{}, map[string]string{}
	in := inputs(dir)
	open, look := in.Open, in.Env
	in.Open = func(name string) (io.ReadCloser, error) {
		if b, ok := files[name]; ok {
			return io.NopCloser(bytes.NewReader(b)), nil
		}
		f, err := open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		b, err := io.ReadAll(io.LimitReader(f, api.MaxBody+1))
		if err != nil {
			return nil, err
		}
		files[name] = b
		return io.NopCloser(bytes.NewReader(b)), nil
	}
	in.Env = func(name string) (string, bool) {
		v, ok := look(name)
		if ok {
			env[name] = v
		}
		return v, ok
	}
	if err := j.compileWith(in, dir); err != nil {
		return api.Submission{}, err
	}
	if err := j.attributable(j.attribute); err != nil {
		return api.Submission{}, err
	}
	for _, a := range j.authorizations() {
		if _, err := scenarios.Authorization(a.text, in.Env); err != nil {
			return api.Submission{}, badInput("", "%s.auth: %w", a.key, err)
		}
	}
	if j.history != nil {
		files[j.scenario.Capacity.Demand.History] = j.history
	}
	src, err := j.scenario.Source()
	if err != nil {
		return api.Submission{}, fmt.Errorf("drill: %w", err)
	}
	if c.Int("workers") < 0 {
		return api.Submission{}, badInput("leave it out for all that are free", "drill: --workers %d is negative", c.Int("workers"))
	}
	return api.Submission{Scenario: string(src), Files: files, Env: env, Workers: c.Int("workers"), MaxUtilisation: j.maxUse, Attribute: j.attribute}, nil
}

// submit tries again while the connection fails.
func submit(ctx context.Context, k *api.Client, key string, sub api.Submission) (api.Run, error) {
	for try := 0; ; try++ {
		run, err := k.Submit(ctx, key, sub)
		var status *api.StatusError
		if err == nil || errors.As(err, &status) || try == 3 || ctx.Err() != nil {
			return run, err
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return run, err
		}
	}
}

// awayFor is how long a controller may be away while a run is followed: it may be
// started again, and go on.
const awayFor = 90 * time.Second

// follow shows a run until it is over. An interrupt stops the run, and it is still
// followed to its end.
func follow(ctx context.Context, k *api.Client, run api.Run, p loadgen.Progress) (api.Run, error) {
	on := context.WithoutCancel(ctx)
	stopped := make(chan struct{})
	defer close(stopped)
	go func() {
		select {
		case <-ctx.Done():
			if _, err := k.Stop(on, run.ID); err != nil {
				p.Says("the run could not be stopped: " + err.Error())
			}
		case <-stopped:
		}
	}()
	n := 0
	away := time.Now()
	for {
		err := k.Follow(on, run.ID, n, func(e api.RawEvent) error {
			n, away = e.N, time.Now()
			return show(e, p, &run)
		})
		var status *api.StatusError
		switch {
		case err == nil:
			return run, nil
		case errors.As(err, &status) && status.Status != 503:
			return run, err
		case time.Since(away) > awayFor:
			return run, fmt.Errorf("the controller is away: %w", err)
		}
		// A controller that was started again counts its events anew.
		n = 0
		time.Sleep(300 * time.Millisecond)
	}
}

// show passes an event on as if it had happened here.
func show(e api.RawEvent, p loadgen.Progress, run *api.Run) error {
	switch e.Kind {
	case api.EventStepBegins:
		return into(e, func(x stepBegins) { p.StepBegins(x.Step, x.Reason) })
	case api.EventSecond:
		return into(e, func(x loadgen.Status) { p.Second(x) })
	case api.EventStepEnds:
		return into(e, func(x observation.Point) { p.StepEnds(x) })
	case api.EventNote:
		return into(e, func(x string) { p.Says(x) })
	case api.EventEnd:
		return json.Unmarshal(e.Data, run)
	}
	return nil
}

func into[T any](e api.RawEvent, do func(T)) error {
	var x T
	if err := json.Unmarshal(e.Data, &x); err != nil {
		return fmt.Errorf("event %d of kind %s: %w", e.N, e.Kind, err)
	}
	do(x)
	return nil
}

// fetchBundle gets the files of a run into a new or empty folder.
func fetchBundle(ctx context.Context, k *api.Client, id, dir string) error {
	_, files, err := k.Run(ctx, id)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return k.Fetch(ctx, id, dir, files)
}
