package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/headroom-project/headroom/loadgen"
	"github.com/headroom-project/headroom/loadgen/attack"
	"github.com/headroom-project/headroom/loadgen/engine"
)

// InProcessConfig is what a fleet of one worker in this process needs.
type InProcessConfig struct {
	// Run is the drill's id, Name the worker's.
	Run  string
	Name string
	// Compiled is what the worker runs.
	Compiled *Compiled
	// Now is the drill clock.
	Now func() time.Duration
	// Raw takes the result of every hit, nil for none.
	Raw *attack.Raw
	// Dir may be written, if the system's place for temporary files may not.
	Dir string
	// Log takes what happens; nil discards it.
	Log *slog.Logger
}

// InProcess is a fleet of one worker in this process, over a server that opens no
// port and keeps nothing on disk. It is the same as any other Fleet but for the times
// that it keeps.
type InProcess struct {
	*Fleet
	server *engine.Server
	conns  []*nats.Conn
	hub    *Hub
	end    context.CancelFunc // of the worker
	worker sync.WaitGroup
	over   sync.Once
}

// inProcessTerms are for a worker that cannot be cut off from its controller. The
// lease is there for a process that is stopped and goes on much later: it sends
// nothing of what came due meanwhile.
func inProcessTerms() Terms {
	return Terms{Lease: time.Minute, Renew: 500 * time.Millisecond, Keep: 45 * time.Second}
}

// InProcessLead is how far ahead a step is ordered over a fleet in this process: on a
// busy machine, an order takes some time even within it.
const InProcessLead = 100 * time.Millisecond

// inProcessIn bounds the start of the server.
const inProcessIn = 20 * time.Second

// NewInProcess starts the server and the worker, which takes some milliseconds. Close
// ends them, also before Begin. An interrupt of ctx does not: the drill is to end in
// good order.
func NewInProcess(ctx context.Context, cfg InProcessConfig) (*InProcess, error) {
	if cfg.Compiled == nil || cfg.Now == nil || cfg.Name == "" {
		return nil, errors.New("fleet: incomplete configuration")
	}
	ctx = context.WithoutCancel(ctx)
	p := &InProcess{}
	var err error
	if p.server, err = engine.Start(engine.Config{Dir: cfg.Dir, InMemory: true, Log: cfg.Log}); err != nil {
		return nil, err
	}
	if err := p.start(ctx, cfg); err != nil {
		_ = p.Close()
		return nil, fmt.Errorf("start fleet: %w", err)
	}
	return p, nil
}

// inProcessVersion is the same on both sides: it is one process.
const inProcessVersion = "same"

func (p *InProcess) start(ctx context.Context, cfg InProcessConfig) error {
	for _, name := range []string{"controller", "worker"} {
		nc, err := p.server.Connect(name)
		if err != nil {
			return err
		}
		p.conns = append(p.conns, nc)
	}
	js, err := jetstream.New(p.conns[0])
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, inProcessIn)
	defer cancel()
	if err := CreateStreams(ctx, js, StreamsConfig{Replicas: 1, InMemory: true}); err != nil {
		return err
	}
	if p.hub, err = NewHub(HubConfig{Conn: p.conns[0], Version: inProcessVersion, Now: cfg.Now, Log: cfg.Log}); err != nil {
		return err
	}
	if err := p.join(ctx, cfg); err != nil {
		return err
	}
	picked, err := p.hub.Pick(ctx, 1, inProcessIn)
	if err != nil {
		return err
	}
	p.Fleet, err = p.hub.NewFleet(FleetConfig{
		Run: cfg.Run, Epoch: 1, Workers: picked.Workers, Input: &Input{}, Now: cfg.Now, Terms: inProcessTerms(), InProcess: true,
	})
	return err
}

// join runs the worker.
func (p *InProcess) join(ctx context.Context, cfg InProcessConfig) error {
	w, err := NewWorker(WorkerConfig{
		Conn: p.conns[1], ID: cfg.Name, Name: cfg.Name, Version: inProcessVersion, Allow: cfg.Compiled.Allow, Now: cfg.Now,
		Given: cfg.Compiled, Raw: cfg.Raw, Log: cfg.Log,
	})
	if err != nil {
		return err
	}
	run, end := context.WithCancel(context.WithoutCancel(ctx))
	p.end = end
	p.worker.Go(func() { _ = w.Run(run) }) // it is of the same version, so never refused
	return nil
}

// Begin is Fleet.Begin; an interrupt is the drill's to deal with.
func (p *InProcess) Begin(ctx context.Context, a loadgen.Assignment) ([]string, error) {
	return p.Fleet.Begin(context.WithoutCancel(ctx), a)
}

// Close ends the drill, the worker and the server.
func (p *InProcess) Close() error {
	var err error
	if p.Fleet != nil {
		err = p.Fleet.Close()
	}
	p.over.Do(func() {
		if p.end != nil {
			p.end()
		}
		p.worker.Wait()
		if p.hub != nil {
			p.hub.Close()
		}
		for _, nc := range p.conns {
			nc.Close()
		}
		p.server.Close()
	})
	return err
}
