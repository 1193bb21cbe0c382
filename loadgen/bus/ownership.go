package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Record is what is known of a run, whichever controller owns it.
type Record struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	// State is running, done, interrupted or failed.
	State   string    `json:"state"`
	Started time.Time `json:"started"`
	Ended   time.Time `json:"ended,omitzero"`
	How     string    `json:"how,omitempty"`
	Detail  string    `json:"detail,omitempty"`
	// Cause is whose fault it is that it failed, if that is known.
	Cause   string `json:"cause,omitempty"`
	Verdict string `json:"verdict,omitempty"`
	// Owner is the controller that runs it.
	Owner string `json:"owner"`
	// FirstEpoch is the epoch under which it began.
	FirstEpoch uint64 `json:"first_epoch,omitempty"`
	// Names are the names of the workers, by id.
	Names map[string]string `json:"names,omitempty"`
	// Digest is that of the input.
	Digest         string  `json:"digest"`
	MaxUtilisation float64 `json:"max_utilisation,omitempty"`
	Attribute      bool    `json:"attribute,omitempty"`
	// Beat is counted up by the owner, so that others see that it lives.
	Beat uint64 `json:"beat"`
}

// Running is the state of a run that somebody owns.
const Running = "running"

// Records are the run states in the store, under compare-and-set.
type Records struct{ kv jetstream.KeyValue }

// ErrNotOwner says that a run has another owner.
var ErrNotOwner = errors.New("another controller owns the run")

// OpenRecords opens the bucket that CreateStreams made.
func OpenRecords(ctx context.Context, js jetstream.JetStream) (*Records, error) {
	kv, err := js.KeyValue(ctx, runsBucket)
	if err != nil {
		return nil, fmt.Errorf("open run states: %w", err)
	}
	return &Records{kv}, nil
}

const (
	runKey = "run."
	keyKey = "key."
)

// Get returns a record and its revision.
func (r *Records) Get(ctx context.Context, id string) (Record, uint64, error) {
	var rec Record
	e, err := r.kv.Get(ctx, runKey+id)
	if err != nil {
		return rec, 0, fmt.Errorf("read state of run %s: %w", id, err)
	}
	return rec, e.Revision(), json.Unmarshal(e.Value(), &rec)
}

// IsMissing says that an error is about a record that is not there.
func IsMissing(err error) bool {
	return errors.Is(err, jetstream.ErrKeyNotFound) || errors.Is(err, jetstream.ErrInvalidKey)
}

// List returns all records.
func (r *Records) List(ctx context.Context) ([]Record, error) {
	w, err := r.kv.Watch(ctx, runKey+"*", jetstream.IgnoreDeletes())
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	defer func() { _ = w.Stop() }()
	var out []Record
	for {
		select {
		case e := <-w.Updates():
			if e == nil {
				return out, nil
			}
			var rec Record
			if err := json.Unmarshal(e.Value(), &rec); err == nil {
				out = append(out, rec)
			}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Reserve binds an idempotency key, as a digest, to a run. If the key was bound
// before, it returns that run.
func (r *Records) Reserve(ctx context.Context, key, id string) (bound string, err error) {
	_, err = r.kv.Create(ctx, keyKey+key, []byte(id))
	if err == nil {
		return id, nil
	}
	e, gerr := r.kv.Get(ctx, keyKey+key)
	if gerr != nil {
		return "", fmt.Errorf("reserve key: %w", errors.Join(err, gerr))
	}
	return string(e.Value()), nil
}

// Ownership is the right to run a run. Whoever loses it must stop at once: workers
// obey the later epoch. It is safe for concurrent use.
type Ownership struct {
	records *Records
	// Epoch is greater than that of every earlier owner.
	Epoch uint64

	mu       sync.Mutex
	rec      Record
	revision uint64
}

// Create makes the record of a new run and owns it.
func (r *Records) Create(ctx context.Context, rec Record) (*Ownership, error) {
	rev, err := r.kv.Create(ctx, runKey+rec.ID, encode(rec))
	if err != nil {
		return nil, fmt.Errorf("create run %s: %w", rec.ID, err)
	}
	rec.FirstEpoch = rev
	o := &Ownership{records: r, rec: rec, Epoch: rev, revision: rev}
	return o, o.Update(ctx, func(*Record) {})
}

// Claim takes a run over. If it has another owner, it waits for stale first and
// gives up with ErrNotOwner if that owner shows a sign of life meanwhile: no clock
// of another machine is asked. Of two who claim at once, one succeeds.
func (r *Records) Claim(ctx context.Context, id, owner string, stale time.Duration) (*Ownership, error) {
	rec, rev, err := r.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	if rec.Owner != owner && rec.State == Running {
		select {
		case <-time.After(stale):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if _, now, err := r.Get(ctx, id); err != nil || now != rev {
			return nil, fmt.Errorf("claim run %s: %w: %s", id, errors.Join(ErrNotOwner, err), rec.Owner)
		}
	}
	rec.Owner = owner
	next, err := r.kv.Update(ctx, runKey+id, encode(rec), rev)
	if err != nil {
		return nil, fmt.Errorf("claim run %s: %w", id, errors.Join(ErrNotOwner, err))
	}
	return &Ownership{records: r, rec: rec, Epoch: next, revision: next}, nil
}

// Record is the state as last written.
func (o *Ownership) Record() Record {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.rec
}

// Update writes a change. ErrNotOwner means that somebody else has written since.
func (o *Ownership) Update(ctx context.Context, change func(*Record)) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	rec := o.rec
	rec.Beat++
	change(&rec)
	rev, err := o.records.kv.Update(ctx, runKey+rec.ID, encode(rec), o.revision)
	if isWrongRevision(err) {
		// The answer to an earlier write may have been lost: then it is ours.
		if now, at, gerr := o.records.Get(ctx, rec.ID); gerr == nil && now.Owner == rec.Owner && now.Beat == rec.Beat && at > o.revision {
			rev, err = at, nil
		} else {
			return fmt.Errorf("write state of run %s: %w", rec.ID, errors.Join(ErrNotOwner, err))
		}
	}
	if err != nil {
		return fmt.Errorf("write state of run %s: %w", rec.ID, err)
	}
	o.rec, o.revision = rec, rev
	return nil
}

func isWrongRevision(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence
}

// beatEvery is how often an owner shows that it lives; Stale is after how long
// others may think that it does not.
const (
	beatEvery = time.Second
	Stale     = 5 * time.Second
)

// Hold shows signs of life until ctx ends. It returns an error as soon as the run
// has another owner, or might have one, because nothing could be written.
func (o *Ownership) Hold(ctx context.Context) error {
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	written := time.Now()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		try, cancel := context.WithTimeout(ctx, beatEvery)
		err := o.Update(try, func(*Record) {})
		cancel()
		switch {
		case err == nil:
			written = time.Now()
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, ErrNotOwner):
			return err
		case time.Since(written) > Stale-beatEvery:
			return fmt.Errorf("run %s may have another owner by now: %w", o.Record().ID, err)
		}
	}
}
