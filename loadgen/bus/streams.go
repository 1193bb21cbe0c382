package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Names of what is stored.
const (
	windowStream   = "HEADROOM_WINDOWS"
	runsBucket     = "HEADROOM_RUNS"
	evidenceBucket = "HEADROOM_EVIDENCE"
)

// StreamsConfig says how the streams are kept.
type StreamsConfig struct {
	// Replicas is 1, or 3 on a cluster of at least three servers.
	Replicas int
	// InMemory is for a drill on one machine: windows are kept in memory, and there
	// are no run states and no evidence.
	InMemory bool
	// MaxBytes bounds the windows that are kept, oldest out first; 0 is no bound.
	MaxBytes int64
}

// duplicates is how long a message id is remembered: longer than any worker keeps
// what it could not store.
const duplicates = 10 * time.Minute

// keepWindows is how long windows stay in the stream. The bundle has them too.
const keepWindows = 7 * 24 * time.Hour

// CreateStreams makes the streams and buckets that are missing.
func CreateStreams(ctx context.Context, js jetstream.JetStream, cfg StreamsConfig) error {
	const storage = jetstream.FileStorage
	windows := jetstream.StreamConfig{
		Name: windowStream, Subjects: []string{windowSubject + ">"}, Storage: storage, Replicas: cfg.Replicas,
		Duplicates: duplicates, MaxAge: keepWindows, MaxBytes: cfg.MaxBytes, AllowDirect: true,
	}
	steps := []struct {
		what string
		make func(context.Context) error
	}{
		{"stream of windows", func(ctx context.Context) error {
			_, err := js.CreateOrUpdateStream(ctx, windows)
			return err
		}},
		{"bucket of runs", func(ctx context.Context) error {
			_, err := js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: runsBucket, History: 1, Storage: storage, Replicas: cfg.Replicas})
			return err
		}},
		{"bucket of evidence", func(ctx context.Context) error {
			_, err := js.CreateOrUpdateObjectStore(ctx, jetstream.ObjectStoreConfig{Bucket: evidenceBucket, Storage: storage, Replicas: cfg.Replicas})
			return err
		}},
	}
	if cfg.InMemory {
		windows.Storage, windows.MaxAge = jetstream.MemoryStorage, duplicates
		steps = steps[:1]
	}
	for _, x := range steps {
		if err := patiently(ctx, js.Conn(), x.make); err != nil {
			return fmt.Errorf("create %s: %w", x.what, err)
		}
	}
	return nil
}

// attemptIn bounds one request to the store. A cluster that has no leader yet does
// not answer at all.
const attemptIn = 2 * time.Second

// noJetStreamIn is how long a system may say that it has no JetStream: one that is
// starting says so for a moment.
const noJetStreamIn = 2 * time.Second

// ErrNoJetStream says that the NATS system, or the account in it, has no JetStream.
var ErrNoJetStream = errors.New("JetStream is not enabled for this account of the NATS system")

// ErrPermission says that a subject is needed that the credentials do not permit.
var ErrPermission = errors.New("the NATS system does not permit what the controller needs")

// patiently tries until it succeeds, ctx ends, or it is clear that it never will.
func patiently(ctx context.Context, nc *nats.Conn, do func(context.Context) error) error {
	began := time.Now()
	for {
		try, cancel := context.WithTimeout(ctx, attemptIn)
		err := do(try)
		cancel()
		if err == nil {
			return nil
		}
		// A request that is not permitted is not answered: the refusal comes apart.
		if last := nc.LastError(); errors.Is(last, nats.ErrPermissionViolation) {
			return fmt.Errorf("%w: %w", ErrPermission, last)
		}
		if noJetStream(err) && time.Since(began) > noJetStreamIn {
			return fmt.Errorf("%w: %w", ErrNoJetStream, err)
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
}

func noJetStream(err error) bool {
	return errors.Is(err, nats.ErrNoResponders) || errors.Is(err, jetstream.ErrJetStreamNotEnabled) || errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount)
}
