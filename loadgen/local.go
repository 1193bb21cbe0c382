package loadgen

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/headroom-project/headroom/loadgen/attack"
	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

// LocalConfig is what a worker in this process needs.
type LocalConfig struct {
	Name     string
	Requests *scenarios.Requests
	Allow    *attack.AllowList
	// Now is the drill clock.
	Now func() time.Duration
	// Raw takes the result of every hit, nil for none.
	Raw *attack.Raw
}

// Local is a fleet of one worker in this process, over a channel: for tests of what
// drives a fleet. Drills use bus.InProcess.
type Local struct {
	cfg     LocalConfig
	windows chan *observation.Window

	attack *attack.Attack
	kill   context.CancelFunc
	wg     sync.WaitGroup
	err    error // of the worker; read after wg
}

// NewLocal returns a fleet that has not begun.
func NewLocal(cfg LocalConfig) *Local {
	return &Local{cfg: cfg, windows: make(chan *observation.Window, 256)}
}

// Begin starts the worker with slice 0 of 1.
func (l *Local) Begin(ctx context.Context, a Assignment) ([]string, error) {
	if l.attack != nil {
		return nil, errors.New("begin drill: this fleet has begun one already")
	}
	cfg := AttackConfig(a.Scenario, a.Plan.Slice(0, 1))
	cfg.Requests, cfg.Allow, cfg.Worker, cfg.Now = l.cfg.Requests, l.cfg.Allow, l.cfg.Name, l.cfg.Now
	cfg.Raw = l.cfg.Raw
	cfg.Emit = func(w *observation.Window) { l.windows <- w }
	att, err := attack.New(cfg)
	if err != nil {
		return nil, fmt.Errorf("begin drill: %w", err)
	}
	l.attack = att
	// The worker outlives an interrupt of ctx: it is to drain, and is told so.
	run, kill := context.WithCancel(context.WithoutCancel(ctx))
	l.kill = kill
	l.wg.Go(func() {
		defer close(l.windows)
		if err := att.Run(run); err != nil && !errors.Is(err, context.Canceled) {
			l.err = fmt.Errorf("worker %s: %w", l.cfg.Name, err)
		}
	})
	return []string{l.cfg.Name}, nil
}

// Steer hands the order to the worker.
func (l *Local) Steer(_ context.Context, o Order) error {
	switch {
	case l.attack == nil:
		return errors.New("steer: the drill has not begun")
	case o.Offer != nil && o.Offer.Hold:
		l.attack.Hold(o.Offer.Step, o.Offer.At, o.Offer.Began)
	case o.Offer != nil:
		l.attack.Offer(o.Offer.Step, o.Offer.At)
	case o.Cut != nil:
		l.attack.Cut(*o.Cut)
	case o.Finish:
		l.attack.Finish()
	}
	return nil
}

// Windows is closed when the worker has ended.
func (l *Local) Windows() <-chan *observation.Window { return l.windows }

// Kill cancels the worker and what it has in flight.
func (l *Local) Kill() {
	if l.kill != nil {
		l.kill()
	}
}

// Close waits for the worker, and discards windows that nobody took.
func (l *Local) Close() error {
	if l.attack == nil {
		return nil
	}
	l.Kill()
	for range l.windows {
	}
	l.wg.Wait()
	return l.err
}
