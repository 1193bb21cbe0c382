package bus

import (
	"context"
	"fmt"
	"time"

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
	// InMemory keeps everything in memory, for a drill on one machine.
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
	storage := jetstream.FileStorage
	if cfg.InMemory {
		storage = jetstream.MemoryStorage
	}
	windows := jetstream.StreamConfig{
		Name: windowStream, Subjects: []string{windowSubject + ">"}, Storage: storage, Replicas: cfg.Replicas,
		Duplicates: duplicates, MaxAge: keepWindows, MaxBytes: cfg.MaxBytes, AllowDirect: true,
	}
	for _, x := range []struct {
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
	} {
		if err := patiently(ctx, x.make); err != nil {
			return fmt.Errorf("create %s: %w", x.what, err)
		}
	}
	return nil
}

// attemptIn bounds one request to the store. A cluster that has no leader yet does
// not answer at all.
const attemptIn = 2 * time.Second

// patiently tries until it succeeds, or ctx ends.
func patiently(ctx context.Context, do func(context.Context) error) error {
	for {
		try, cancel := context.WithTimeout(ctx, attemptIn)
		err := do(try)
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
}
