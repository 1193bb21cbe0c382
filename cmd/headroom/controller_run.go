package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/headroom-project/headroom/loadgen"
	"github.com/headroom-project/headroom/loadgen/api"
	"github.com/headroom-project/headroom/loadgen/attack"
	"github.com/headroom-project/headroom/loadgen/bus"
	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/profiler/resources"
)

// execution is one drill over the fleet.
type execution struct {
	job     *job
	input   *bus.Input
	workers []bus.Info
	// reserved keeps the workers for this run until its load has ended.
	reserved *bus.Reservation
	started  time.Time
	// digest, after, resume and record are set for a run that is gone on with.
	digest string
	after  uint64
	resume *loadgen.Resume
	record *observation.Recorder
}

// fleetLead is how far ahead a step is ordered over a network.
const fleetLead = 250 * time.Millisecond

// run runs a drill to its end and keeps its bundle.
func (r *runs) run(ctx context.Context, a *active, own *bus.Ownership, x execution) {
	outcome, err := r.drill(ctx, a, own, x)
	x.reserved.Release()
	x.job.leaveProfiles()
	r.finish(a, own, outcome, err)
}

// drill runs the drill while this controller owns it.
func (r *runs) drill(ctx context.Context, a *active, own *bus.Ownership, x execution) (loadgen.Outcome, error) {
	failed := loadgen.Outcome{How: observation.EndFailed}
	defer func() {
		if x.record != nil {
			x.record.Close()
		}
	}()
	j := x.job
	began := time.Now()
	at := time.Duration(0)
	if x.resume != nil {
		at = max(x.resume.Told, began.Sub(x.started))
	}
	now := func() time.Duration { return at + time.Since(began) }
	if rps := bus.MaxRPS(x.workers); rps > 0 && rps < j.scenario.Safety.MaxRPS {
		a.events.Says(fmt.Sprintf("the workers' own bounds let the fleet offer at most %.4g requests/s", rps))
		j.scenario.Safety.MaxRPS = rps
	}
	fleet, err := r.cfg.Hub.NewFleet(bus.FleetConfig{
		Run: a.id, Epoch: own.Epoch, FirstEpoch: own.Record().FirstEpoch, Workers: x.workers, Names: own.Record().Names,
		Input: x.input, Digest: x.digest, Now: now, After: x.after,
	})
	if err != nil {
		return failed, err
	}
	if err := own.Update(ctx, func(rec *bus.Record) { rec.Names = joined(rec.Names, fleet.Names()) }); err != nil {
		return failed, err
	}
	a.mu.Lock()
	a.fleet = fleet
	a.mu.Unlock()
	hold, release := context.WithCancel(context.WithoutCancel(ctx))
	held := make(chan error, 1)
	go func() {
		err := own.Hold(hold)
		if err != nil {
			a.stop(err.Error())
		}
		held <- err
	}()
	defer func() { release(); <-held }()

	j.busiest = fleet.Busiest
	watch, err := j.observe(ctx, a.events.Says)
	if err != nil && x.resume == nil {
		return failed, err
	}
	if err != nil {
		x.goWithout(a, "the target is not observed since the controller was started again: "+err.Error())
		watch = nil
	}
	pushTo, err := j.pushServer()
	if err != nil {
		return failed, err
	}
	if x.record == nil {
		src, err := j.scenario.YAML()
		if err != nil {
			return failed, err
		}
		if x.record, err = observation.Record(r.bundle(a.id), src); err != nil {
			return failed, err
		}
		if d := j.scenario.Capacity.Demand; d != nil && d.History != "" {
			if err := x.record.History(x.input.Files[d.History]); err != nil {
				return failed, err
			}
		}
	}
	sending, sent := j.push(pushTo, x.record, a.id, now)
	defer sent()
	calibration := calibrated(x.workers, attack.EngineFor(j.requests), a.events.Says)
	cfg := loadgen.Config{
		ID: a.id, Scenario: j.scenario, Plan: j.plan, Now: now, Started: x.started, Wall: time.Now, Environment: j.environment(calibration), MaxUtilisation: j.maxUse, Calibration: calibration,
		Fleet: fleet, Search: j.searcher(), Watch: watch, Progress: a.events, Lead: fleetLead, Resume: x.resume,
		Record: &reserving{sending, r.cfg.Dir, r.cfg.Reserve},
	}
	cfg.Environment["fleet"] = "nats"
	outcome, err := loadgen.Run(ctx, cfg)
	return outcome, cmp.Or(err, x.record.Close())
}

func joined(a, b map[string]string) map[string]string {
	out := map[string]string{}
	for _, m := range []map[string]string{a, b} {
		for k, v := range m {
			out[k] = v
		}
	}
	return out
}

// storeIn bounds how long the bundle of a run may take to be stored.
const storeIn = 2 * time.Minute

// finish reports on a drill, stores its bundle, and says that it has ended.
func (r *runs) finish(a *active, own *bus.Ownership, outcome loadgen.Outcome, failed error) {
	ctx, cancel := context.WithTimeout(context.Background(), storeIn)
	defer cancel()
	state, detail, cause := api.StateDone, outcome.Detail, ""
	switch why := a.stopped(); {
	case why != "":
		state, detail, outcome.How = api.StateInterrupted, why, observation.EndInterrupted
	case failed != nil || outcome.How == observation.EndFailed:
		state = api.StateFailed
		if failed != nil {
			detail, cause = failed.Error(), causeOf(failed)
			var coded *codedError
			if errors.As(failed, &coded) && coded.hint != "" && !strings.Contains(detail, "hint:") {
				detail += "; hint: " + coded.hint
			}
		}
	case outcome.How == observation.EndInterrupted:
		state = api.StateInterrupted
	}
	verdict := ""
	dir := r.bundle(a.id)
	run, err := computeBundle(dir)
	if err == nil {
		verdict = run.Verdict
		err = writeReports(dir, run)
	}
	if perr := r.evidence.Put(ctx, a.id, dir); perr != nil {
		err = cmp.Or(err, perr)
	}
	if err != nil && state == api.StateDone {
		state, detail = api.StateFailed, err.Error()
	}
	err = own.Update(ctx, func(rec *bus.Record) {
		rec.State, rec.How, rec.Detail, rec.Cause, rec.Verdict, rec.Ended = state, outcome.How, detail, cause, verdict, time.Now()
	})
	if err != nil {
		r.cfg.Log.Error("the end of a run is not recorded", "run", a.id, "error", err)
	}
	r.cfg.Log.Info("run ended", "run", a.id, "state", state, "detail", detail)
	rec := own.Record()
	rec.State, rec.How, rec.Detail, rec.Cause, rec.Verdict = state, outcome.How, detail, cause, verdict
	a.events.add(api.EventEnd, runOf(rec))
}

// causeOf says whose fault it is that a run failed: what a drill without a controller
// refuses as bad input is no other thing here, whoever finds it.
func causeOf(err error) string {
	var coded *codedError
	if errors.As(err, &coded) && coded.code == exitBadInput || errors.Is(err, attack.ErrBlocked) {
		return api.CauseBadInput
	}
	return ""
}

// reserving refuses to go on when the disk is nearly full, while there is still
// space for what is known by then.
type reserving struct {
	loadgen.Recorder
	dir     string
	reserve uint64
}

// Flush is called about once a second.
func (r *reserving) Flush() error {
	if free, err := freeSpace(r.dir); err == nil && free < r.reserve {
		return fmt.Errorf("%w: %d MB are free, %d MB are kept for the evidence", errReserve, free>>20, r.reserve>>20)
	}
	return r.Recorder.Flush()
}

// takeUp goes on with a run that this controller left when it died, or closes it as
// interrupted with all that is stored.
func (r *runs) takeUp(ctx context.Context, a *active, rec bus.Record, kept *bus.Reservation) {
	own, err := r.records.Claim(ctx, rec.ID, r.cfg.Owner, bus.Stale)
	if err != nil {
		r.cfg.Log.Error("a run that was left cannot be taken up", "run", rec.ID, "error", err)
		return
	}
	r.cfg.Log.Info("a run that was left is taken up", "run", rec.ID)
	workers := r.comeBack(ctx, rec)
	x, err := r.rebuild(ctx, rec)
	if err == nil && len(workers) > 0 {
		err = x.recall(ctx, r.cfg.Hub, workers)
	}
	switch {
	case err != nil:
	case len(workers) == 0:
		err = fmt.Errorf("none of its workers came back within %v", r.cfg.Grace)
	default:
		x.workers, x.reserved = workers, kept
		for _, left := range x.job.forget() {
			x.goWithout(a, left)
		}
		if perr := r.takeProfiles(rec.ID, x.job); perr != nil {
			x.goWithout(a, "what the target's profiler sends is no longer taken since the controller was started again: "+perr.Error())
		}
		r.run(ctx, a, own, x)
		return
	}
	if x.record != nil {
		end := observation.EndRecord{How: observation.EndInterrupted, Detail: "the controller was lost; " + err.Error()}
		err = cmp.Or(x.record.Note(observation.Entry{Kind: observation.EntryEnd, At: x.resume.Told, End: &end}), x.record.Close(), err)
	}
	a.mu.Lock()
	a.ended = cmp.Or(a.ended, "the controller was lost: "+err.Error())
	a.mu.Unlock()
	r.finish(a, own, loadgen.Outcome{How: observation.EndInterrupted}, nil)
}

// goWithout says what a run that is taken up has no more, to who follows it and in its
// evidence, so that its report does.
func (x *execution) goWithout(a *active, left string) {
	a.events.Says(left)
	// Where the evidence cannot be written, the drill finds out itself.
	_ = x.record.Note(observation.Entry{Kind: observation.EntryWarning, At: x.resume.Told, Text: left})
}

// comeBack waits for the workers of a run: until all are there and free, or, once
// the grace is over, for those that are.
func (r *runs) comeBack(ctx context.Context, rec bus.Record) []bus.Info {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	left := time.NewTimer(r.cfg.Grace)
	defer left.Stop()
	for {
		var there []bus.Info
		for _, w := range r.cfg.Hub.Workers() {
			if _, ours := rec.Names[w.ID]; ours && w.Run == "" {
				there = append(there, w)
			}
		}
		if len(there) == len(rec.Names) && len(there) > 0 {
			return there
		}
		select {
		case <-tick.C:
		case <-left.C:
			return there
		case <-ctx.Done():
			return nil
		}
	}
}

// rebuild makes a drill out of what is stored of it; recall completes it.
func (r *runs) rebuild(ctx context.Context, rec bus.Record) (execution, error) {
	x := execution{started: rec.Started, digest: rec.Digest, job: &job{maxUse: rec.MaxUtilisation, attribute: rec.Attribute}}
	dir := r.bundle(rec.ID)
	stored, err := bus.ReadStored(ctx, r.cfg.JS, rec.ID, rec.Names, rec.FirstEpoch)
	if err != nil {
		return x, err
	}
	if x.record, err = observation.Continue(dir); err != nil {
		return x, err
	}
	x.after, x.resume = stored.Last, &loadgen.Resume{Told: stored.Told}
	for _, w := range stored.Windows {
		if err := x.record.Window(w); err != nil {
			return x, err
		}
	}
	if err := x.record.Flush(); err != nil {
		return x, err
	}
	evidence, err := observation.Open(dir)
	if err != nil {
		return x, err
	}
	x.resume.Journal, x.resume.Reducer = evidence.Journal, evidence.Reduce()
	for _, e := range evidence.Journal {
		x.resume.Told = max(x.resume.Told, e.At)
	}
	if !slices.ContainsFunc(evidence.Journal, func(e observation.Entry) bool { return e.Drill != nil }) {
		return x, errors.New("it had not begun")
	}
	return x, nil
}

// recall gets back from the workers what they were given: the controller keeps neither
// files nor secrets.
func (x *execution) recall(ctx context.Context, hub *bus.Hub, workers []bus.Info) error {
	in, err := hub.Recall(ctx, workers, x.digest)
	if err != nil {
		return err
	}
	compiled, err := in.Compile()
	if err != nil {
		return err
	}
	x.input = in
	x.job.scenario, x.job.plan, x.job.requests, x.job.allow = compiled.Scenario, compiled.Plan, compiled.Requests, compiled.Allow
	return nil
}

// fleetGenerator reads the CPU use of the fleet's busiest worker.
type fleetGenerator func() (used, limit float64)

// Source is generator.
func (fleetGenerator) Source() string { return "generator" }

// Read returns one reading, or none if no worker has told.
func (g fleetGenerator) Read(context.Context) ([]resources.Reading, error) {
	used, limit := g()
	if limit <= 0 {
		return nil, nil
	}
	return []resources.Reading{{Resource: loadgen.GeneratorCPU, Value: used, Limit: limit, Unit: resources.UnitCores}}, nil
}
