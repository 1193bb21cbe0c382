package bustest

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/headroom-project/headroom/loadgen"
	"github.com/headroom-project/headroom/loadgen/bus"
	"github.com/headroom-project/headroom/loadgen/engine"
)

// Version is what the workers and hubs of tests say they are.
const Version = "test"

// Clock is a monotonic clock that begins now.
func Clock() func() time.Duration {
	began := time.Now()
	return func() time.Duration { return time.Since(began) }
}

// Memory makes fleets of one worker in memory.
func Memory(t *testing.T, in *bus.Input) Rig {
	t.Helper()
	c, err := in.Compile()
	if err != nil {
		t.Fatal(err)
	}
	now := Clock()
	return Rig{Now: now, Workers: 1, Fleet: loadgen.NewLocal(loadgen.LocalConfig{Name: "w", Requests: c.Requests, Allow: c.Allow, Now: now})}
}

// InProcess makes fleets of one worker in this process, over a server without a port.
func InProcess(t *testing.T, in *bus.Input) Rig {
	t.Helper()
	c, err := in.Compile()
	if err != nil {
		t.Fatal(err)
	}
	now := Clock()
	f, err := bus.NewInProcess(t.Context(), bus.InProcessConfig{Run: "local", Name: "local", Compiled: c, Now: now, Log: Log(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return Rig{Fleet: f, Now: now, Workers: 1}
}

// Net is a controller's side and workers that reach it over loopback.
type Net struct {
	T   testing.TB
	Hub *bus.Hub
	// Conn is the controller's connection.
	Conn  *nats.Conn
	JS    jetstream.JetStream
	URL   string // that workers dial
	Token string
	Log   *slog.Logger

	n int
}

// Single starts one embedded server, in dir or in a temporary folder, and a hub.
func Single(t testing.TB) *Net {
	t.Helper()
	token := engine.NewToken()
	srv, err := engine.Start(engine.Config{Listen: "127.0.0.1:0", Token: token, Permit: bus.Permissions, Log: Log(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Close)
	nc, err := srv.Connect("controller")
	if err != nil {
		t.Fatal(err)
	}
	return newNet(t, nc, srv.URL(), token, 1, srv.Left)
}

func newNet(t testing.TB, nc *nats.Conn, url, token string, replicas int, left func(id, from string) bool) *Net {
	t.Helper()
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := bus.CreateStreams(ctx, js, bus.StreamsConfig{Replicas: replicas}); err != nil {
		t.Fatal(err)
	}
	hub, err := bus.NewHub(bus.HubConfig{Conn: nc, Version: Version, Now: Clock(), Left: left, Log: Log(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(hub.Close)
	return &Net{T: t, Hub: hub, Conn: nc, JS: js, URL: url, Token: token, Log: Log(t)}
}

// Log writes to the test's log.
func Log(t testing.TB) *slog.Logger { return slog.New(slog.NewTextHandler(t.Output(), nil)) }

// Dial connects as a worker does, with an identity of its own.
func (n *Net) Dial() (*nats.Conn, string) {
	n.T.Helper()
	return n.DialURL(n.URL)
}

// DialURL is Dial by way of another address.
func (n *Net) DialURL(url string) (*nats.Conn, string) {
	n.T.Helper()
	who, err := engine.NewIdentity()
	if err != nil {
		n.T.Fatal(err)
	}
	nc, err := engine.Connect(engine.Dial{URL: url, Token: n.Token, Identity: who, Name: "worker"})
	if err != nil {
		n.T.Fatal(err)
	}
	n.T.Cleanup(nc.Close)
	return nc, who.ID()
}

// Worker runs a worker until the returned function is called, or the test ends.
func (n *Net) Worker(change func(*bus.WorkerConfig)) (end func()) {
	n.T.Helper()
	return n.WorkerAt(n.URL, change)
}

// WorkerAt is Worker by way of another address.
func (n *Net) WorkerAt(url string, change func(*bus.WorkerConfig)) (end func()) {
	n.T.Helper()
	nc, id := n.DialURL(url)
	n.n++
	cfg := bus.WorkerConfig{Conn: nc, ID: id, Name: fmt.Sprintf("w%d", n.n), Version: Version, Now: Clock(), Log: n.Log}
	if change != nil {
		change(&cfg)
	}
	cfg.Log = n.Log.With("worker", cfg.Name)
	w, err := bus.NewWorker(cfg)
	if err != nil {
		n.T.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := w.Run(ctx); err != nil {
			n.T.Errorf("worker %s: %v", cfg.Name, err)
		}
	})
	end = func() { cancel(); wg.Wait(); nc.Close() }
	n.T.Cleanup(end)
	return end
}

// Fleet makes a fleet of the workers that are there.
func (n *Net) Fleet(run string, in *bus.Input, workers int, change func(*bus.FleetConfig)) (*bus.Fleet, func() time.Duration) {
	n.T.Helper()
	picked, err := n.Hub.Pick(context.Background(), workers, 10*time.Second)
	if err != nil {
		n.T.Fatal(err)
	}
	cfg := bus.FleetConfig{Run: run, Epoch: 1, Workers: picked.Workers, Reserved: picked, Input: in, Now: Clock()}
	if change != nil {
		change(&cfg)
	}
	f, err := n.Hub.NewFleet(cfg)
	if err != nil {
		n.T.Fatal(err)
	}
	n.T.Cleanup(func() { _ = f.Close() })
	return f, cfg.Now
}

// For is the same net for a subtest, whose workers end with it.
func (n *Net) For(t testing.TB) *Net {
	out := *n
	out.T, out.Log = t, Log(t)
	return &out
}

// Over makes fleets of three workers over a net that make makes.
func Over(make func(testing.TB) *Net) Maker {
	return func(t *testing.T, in *bus.Input) Rig {
		n := make(t)
		for range 3 {
			n.Worker(nil)
		}
		f, now := n.Fleet(strings.ToLower(rand.Text()), in, 3, nil)
		return Rig{Fleet: f, Now: now, Workers: 3}
	}
}
