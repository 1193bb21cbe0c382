package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/headroom-project/headroom/loadgen/api"
	"github.com/headroom-project/headroom/loadgen/bus"
)

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
		if id, err = r.records.Reserve(ctx, hex.EncodeToString(sum[:]), id); err != nil {
			return api.Run{}, false, err
		}
		done, err := r.turn(ctx, id)
		if err != nil {
			return api.Run{}, false, err
		}
		defer done()
		if rec, _, err := r.records.Get(ctx, id); err == nil {
			return sameRun(rec, digest)
		}
	}
	return r.begin(ctx, s.Workers, execution{job: j, input: in, started: started}, bus.Record{
		ID: id, Name: compiled.Scenario.Name, State: bus.Running, Started: started, Owner: r.cfg.Owner, Digest: digest,
		MaxUtilisation: s.MaxUtilisation, Attribute: s.Attribute,
	})
}

// turn waits until no other submission of a run is being dealt with: of two with one
// key, the second is to find the run of the first.
func (r *runs) turn(ctx context.Context, id string) (done func(), err error) {
	mine := make(chan struct{})
	for {
		r.mu.Lock()
		other := r.submitting[id]
		if other == nil {
			r.submitting[id] = mine
		}
		r.mu.Unlock()
		if other == nil {
			break
		}
		select {
		case <-other:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return func() {
		r.mu.Lock()
		delete(r.submitting, id)
		r.mu.Unlock()
		close(mine)
	}, nil
}

// begin gives a run its workers, and starts it.
func (r *runs) begin(ctx context.Context, workers int, x execution, rec bus.Record) (api.Run, bool, error) {
	picked, err := r.cfg.Hub.Pick(ctx, workers, patience)
	if err != nil {
		return api.Run{}, false, fmt.Errorf("%w: %w", api.ErrUnavailable, err)
	}
	if err := r.takeProfiles(rec.ID, x.job); err != nil {
		picked.Release()
		return api.Run{}, false, err
	}
	own, err := r.records.Create(ctx, rec)
	if err != nil {
		x.job.leaveProfiles()
		picked.Release()
		if other, _, gerr := r.records.Get(ctx, rec.ID); gerr == nil {
			return sameRun(other, rec.Digest) // another controller was given the same key
		}
		return api.Run{}, false, err
	}
	x.workers, x.reserved = picked.Workers, picked
	r.start(rec.ID, func(ctx context.Context, a *active) { r.run(ctx, a, own, x) })
	r.cfg.Log.Info("run begins", "run", rec.ID, "workers", len(x.workers))
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
