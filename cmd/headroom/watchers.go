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

// stepless is part of watchers that steps are of no concern to.
type stepless struct{}

// BeginStep does nothing.
func (stepless) BeginStep(context.Context, int, time.Duration) {}

// EndStep does nothing.
func (stepless) EndStep(int) {}

// saying is a watcher that has a warning for the report, which was found out before
// there was one.
type saying struct {
	stepless
	text string
	warn func(string)
}

// Run hands the warning on.
func (s saying) Run(context.Context) error {
	s.warn(s.text)
	return nil
}
