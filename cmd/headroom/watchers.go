package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/headroom-project/headroom/loadgen"
)

// watchers are several watchers that run side by side as one.
type watchers []loadgen.Watcher

// Run runs them all, and returns when the last has ended.
func (ws watchers) Run(ctx context.Context) error {
	errs := make([]error, len(ws))
	var wg sync.WaitGroup
	for i, w := range ws {
		wg.Go(func() { errs[i] = w.Run(ctx) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// BeginStep tells each.
func (ws watchers) BeginStep(ctx context.Context, step int, lasts time.Duration) {
	for _, w := range ws {
		w.BeginStep(ctx, step, lasts)
	}
}

// EndStep tells each.
func (ws watchers) EndStep(step int) {
	for _, w := range ws {
		w.EndStep(step)
	}
}
