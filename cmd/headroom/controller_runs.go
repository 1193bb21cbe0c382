package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/headroom-project/headroom/loadgen/api"
	"github.com/headroom-project/headroom/loadgen/bus"
)

// runsConfig is what the runs of a controller need.
type runsConfig struct {
	Hub *bus.Hub
	JS  jetstream.JetStream
	// Dir holds the bundles.
	Dir string
	// Owner is the controller's id.
	Owner string
	Log   *slog.Logger
	// Grace is for how long a run that was left is gone on with.
	Grace time.Duration
	// Reserve is the free space in bytes below which a run is ended.
	Reserve uint64
	// Intake takes the profiles that agents send; nil if none are.
	Intake *intake
}

// runs are the runs of a controller. It implements api.Runs.
type runs struct {
	cfg      runsConfig
	records  *bus.Records
	evidence *bus.Evidence

	ctx    context.Context // ends with the controller
	cancel context.CancelFunc
	wg     sync.WaitGroup
	mu     sync.Mutex
	active map[string]*active // also those that have ended since the start
}

// active is a run that this process has to do with.
type active struct {
	id     string
	events *events
	cancel context.CancelFunc

	mu    sync.Mutex
	fleet *bus.Fleet
	ended string // why it was ended from outside
}

// stop ends the load. First the controller of the drill is told, so that it knows
// why the workers end.
func (a *active) stop(why string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ended = cmp.Or(a.ended, why)
	a.cancel()
	if a.fleet != nil {
		a.fleet.Kill()
	}
}

// stopped says why the run was ended from outside, empty if it was not.
func (a *active) stopped() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.ended
}

// newRuns opens the store, and takes up the runs that were left.
func newRuns(ctx context.Context, cfg runsConfig) (*runs, error) {
	open, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	r := &runs{cfg: cfg, active: map[string]*active{}}
	var err error
	if r.records, err = bus.OpenRecords(open, cfg.JS); err != nil {
		return nil, err
	}
	if r.evidence, err = bus.OpenEvidence(open, cfg.JS); err != nil {
		return nil, err
	}
	r.ctx, r.cancel = context.WithCancel(context.WithoutCancel(ctx))
	list, err := r.records.List(open)
	if err != nil {
		return nil, err
	}
	for _, rec := range list {
		if rec.State == bus.Running && rec.Owner == cfg.Owner {
			r.start(rec.ID, func(ctx context.Context, a *active) { r.takeUp(ctx, a, rec) })
		}
	}
	return r, nil
}

// close ends the runs, and returns when their bundles are written.
func (r *runs) close() {
	r.mu.Lock()
	for _, a := range r.active {
		a.stop("the controller was ended")
	}
	r.mu.Unlock()
	r.wg.Wait()
	r.cancel()
}

// start runs do for a run.
func (r *runs) start(id string, do func(context.Context, *active)) *active {
	ctx, cancel := context.WithCancel(r.ctx)
	a := &active{id: id, events: newEvents(), cancel: cancel}
	r.mu.Lock()
	r.active[id] = a
	r.mu.Unlock()
	r.wg.Go(func() {
		defer cancel()
		do(ctx, a)
	})
	return a
}

func (r *runs) find(id string) *active {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.active[id]
}

// patience is how long a submission waits for enough workers.
const patience = 3 * time.Second

// Submit is part of api.Runs.
func (r *runs) Submit(ctx context.Context, key string, s api.Submission) (api.Run, bool, error) {
	in := &bus.Input{Scenario: []byte(s.Scenario), Files: s.Files, Env: s.Env}
	compiled, err := in.Compile()
	if err != nil {
		return api.Run{}, false, fmt.Errorf("%w: %w", api.ErrInvalid, err)
	}
	in.Env = compiled.Env // what is for other servers than the target stays here
	j := remoteJob(compiled, s.MaxUtilisation, s.Attribute)
	j.env = func(name string) (string, bool) { v, ok := s.Env[name]; return v, ok }
	if err := j.attributable(s.Attribute); err != nil {
		return api.Run{}, false, fmt.Errorf("%w: %w", api.ErrInvalid, err)
	}
	_, digest, err := in.Encode()
	if err != nil {
		return api.Run{}, false, fmt.Errorf("%w: %w", api.ErrInvalid, err)
	}
	started := time.Now()
	id := started.UTC().Format("20060102T150405Z") + "-" + strings.ReplaceAll(fileName(compiled.Scenario.Name), ".", "-") + "-" + strings.ToLower(rand.Text()[:6])
	if key != "" {
		sum := sha256.Sum256([]byte(key))
		bound, err := r.records.Reserve(ctx, hex.EncodeToString(sum[:]), id)
		if err != nil {
			return api.Run{}, false, err
		}
		if rec, _, err := r.records.Get(ctx, bound); err == nil {
			return sameRun(rec, digest)
		}
		id = bound
	}
	workers, err := r.cfg.Hub.Pick(ctx, s.Workers, patience)
	if err != nil {
		return api.Run{}, false, fmt.Errorf("%w: %w", api.ErrUnavailable, err)
	}
	if err := r.takeProfiles(id, j); err != nil {
		if rec, _, gerr := r.records.Get(ctx, id); gerr == nil {
			return sameRun(rec, digest) // two with one key at the same time
		}
		return api.Run{}, false, err
	}
	own, err := r.records.Create(ctx, bus.Record{
		ID: id, Name: compiled.Scenario.Name, State: bus.Running, Started: started, Owner: r.cfg.Owner, Digest: digest,
		MaxUtilisation: s.MaxUtilisation, Attribute: s.Attribute,
	})
	if err != nil {
		j.leaveProfiles()
		if rec, _, gerr := r.records.Get(ctx, id); gerr == nil {
			return sameRun(rec, digest) // two with one key at the same time
		}
		return api.Run{}, false, err
	}
	r.start(id, func(ctx context.Context, a *active) {
		r.run(ctx, a, own, execution{job: j, input: in, workers: workers, started: started})
	})
	r.cfg.Log.Info("run begins", "run", id, "workers", len(workers))
	return runOf(own.Record()), true, nil
}

// remoteJob is the job of a run.
func remoteJob(c *bus.Compiled, maxUse float64, attribute bool) *job {
	return &job{scenario: c.Scenario, plan: c.Plan, requests: c.Requests, allow: c.Allow, maxUse: maxUse, attribute: attribute}
}

// takeProfiles reserves the profiles that the scenario asks for.
func (r *runs) takeProfiles(id string, j *job) error {
	if j.scenario.Profiles.Receive == nil {
		return nil
	}
	if r.cfg.Intake == nil {
		return fmt.Errorf("%w: profiles.receive is set, and this controller takes no profiles; hint: start it with --receive ADDR", api.ErrInvalid)
	}
	if why := r.cfg.Intake.failed(); why != "" {
		return fmt.Errorf("%w: profiles.receive: %s; hint: start the controller again", api.ErrUnavailable, why)
	}
	j.intake = r.cfg.Intake
	var err error
	if j.route, err = r.cfg.Intake.router.Open(id, j.senders()); err != nil {
		return fmt.Errorf("%w: profiles.receive: %w; hint: wait for its end, or tell the senders apart by profiles.receive.labels", api.ErrConflict, err)
	}
	return nil
}

// leaveProfiles gives free what takeProfiles has reserved.
func (j *job) leaveProfiles() {
	if j.route != nil {
		j.route.Close()
	}
}

// sameRun is the run of a key that was used before.
func sameRun(rec bus.Record, digest string) (api.Run, bool, error) {
	if rec.Digest != digest {
		return api.Run{}, false, fmt.Errorf("%w: the idempotency key belongs to run %s, which is of another scenario", api.ErrConflict, rec.ID)
	}
	return runOf(rec), false, nil
}

func runOf(rec bus.Record) api.Run {
	return api.Run{
		ID: rec.ID, Name: rec.Name, State: rec.State, Started: rec.Started, Ended: rec.Ended, How: rec.How, Detail: rec.Detail,
		Verdict: rec.Verdict, Workers: slices.Sorted(maps.Values(rec.Names)), Controller: rec.Owner,
	}
}

// List is part of api.Runs.
func (r *runs) List(ctx context.Context) ([]api.Run, error) {
	list, err := r.records.List(ctx)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(list, func(a, b bus.Record) int { return cmp.Or(b.Started.Compare(a.Started), cmp.Compare(a.ID, b.ID)) })
	out := []api.Run{}
	for _, rec := range list {
		out = append(out, runOf(rec))
	}
	return out, nil
}

func (r *runs) record(ctx context.Context, id string) (bus.Record, error) {
	rec, _, err := r.records.Get(ctx, id)
	if bus.IsMissing(err) {
		return rec, fmt.Errorf("%w: no run %q; headroom runs list shows those that there are", api.ErrNotFound, id)
	}
	return rec, err
}

// Get is part of api.Runs.
func (r *runs) Get(ctx context.Context, id string) (api.Run, []api.File, error) {
	rec, err := r.record(ctx, id)
	if err != nil || rec.State == bus.Running {
		return runOf(rec), nil, err
	}
	files, err := r.evidence.List(ctx, id)
	if err != nil {
		return api.Run{}, nil, err
	}
	var out []api.File
	for _, f := range files {
		out = append(out, api.File(f))
	}
	return runOf(rec), out, nil
}

// Stop is part of api.Runs.
func (r *runs) Stop(ctx context.Context, id string) error {
	rec, err := r.record(ctx, id)
	if err != nil || rec.State != bus.Running {
		return err
	}
	a := r.find(id)
	if a == nil {
		return fmt.Errorf("%w: run %s belongs to controller %s", api.ErrConflict, id, rec.Owner)
	}
	a.stop("it was stopped by command")
	return nil
}

// Open is part of api.Runs.
func (r *runs) Open(ctx context.Context, id, path string) (io.ReadCloser, error) {
	if _, err := r.record(ctx, id); err != nil {
		return nil, err
	}
	f, err := r.evidence.Open(ctx, id, path)
	if bus.IsNoFile(err) {
		return nil, fmt.Errorf("%w: run %s has no file %q", api.ErrNotFound, id, path)
	}
	return f, err
}

// follow is an api.Follow.
func (r *runs) follow(id string, n int) ([]api.Event, <-chan struct{}, bool, error) {
	if a := r.find(id); a != nil {
		list, more, over := a.events.after(n)
		return list, more, over, nil
	}
	rec, err := r.record(r.ctx, id)
	if err != nil {
		return nil, nil, false, err
	}
	if rec.State == bus.Running {
		return nil, nil, false, fmt.Errorf("%w: run %s belongs to controller %s", api.ErrConflict, id, rec.Owner)
	}
	// It ended before this process began: only the end is left to tell.
	return []api.Event{{N: n + 1, Kind: api.EventEnd, Data: runOf(rec)}}, nil, true, nil
}

// bundle is the folder of a run.
func (r *runs) bundle(id string) string { return filepath.Join(r.cfg.Dir, id) }

var errReserve = errors.New("the disk under the store is nearly full")
