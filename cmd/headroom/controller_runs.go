package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
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
	// submitting are the runs whose submission is being dealt with.
	submitting map[string]chan struct{}
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
	r := &runs{cfg: cfg, active: map[string]*active{}, submitting: map[string]chan struct{}{}}
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
			// No other run is to get its workers as they come back.
			kept := cfg.Hub.Reserve(slices.Collect(maps.Keys(rec.Names)))
			r.start(rec.ID, func(ctx context.Context, a *active) {
				defer kept.Release()
				r.takeUp(ctx, a, rec, kept)
			})
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

func runOf(rec bus.Record) api.Run {
	return api.Run{
		ID: rec.ID, Name: rec.Name, State: rec.State, Started: rec.Started, Ended: rec.Ended, How: rec.How, Detail: rec.Detail,
		Cause: rec.Cause, Verdict: rec.Verdict, Workers: slices.Sorted(maps.Values(rec.Names)), Controller: rec.Owner,
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
