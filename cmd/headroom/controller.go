package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/urfave/cli/v2"

	"github.com/headroom-project/headroom/loadgen"
	"github.com/headroom-project/headroom/loadgen/api"
	"github.com/headroom-project/headroom/loadgen/bus"
	"github.com/headroom-project/headroom/loadgen/engine"
)

func controllerCommand(s streams) *cli.Command {
	return &cli.Command{
		Name:  "controller",
		Usage: "run drills over a fleet of workers",
		Description: `Serves an HTTP API for commands, and a NATS server with JetStream that workers
join. Everything it knows is kept in --store, so that it can be ended and started
again. It writes two files there: join.json for workers, access.json for commands.

   headroom controller --store /var/lib/headroom --listen 10.0.0.5:7171
   headroom worker --join join.json
   headroom drill checkout.yaml --controller access.json

On loopback it speaks plain HTTP and asks nobody who they are, except workers. On any
other address it uses TLS with a certificate of its own, which the two files name,
and asks for their tokens.`,
		OnUsageError: usageError,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "store", Usage: "the `DIR` for everything that is kept", Required: true},
			&cli.StringFlag{Name: "listen", Value: "127.0.0.1:7171", Usage: "`ADDR`ess of the API"},
			&cli.StringFlag{Name: "listen-workers", Usage: "`ADDR`ess for workers (default that of the API, with the next port)"},
			&cli.StringFlag{Name: "advertise", Usage: "the `HOST` under which workers and commands reach this machine"},
			&cli.StringFlag{Name: "nats", Usage: "use the NATS system at `URL` instead of the built-in one"},
			&cli.StringFlag{Name: "creds", Usage: "credentials `FILE` for --nats"},
			&cli.StringFlag{Name: "worker-creds", Usage: "credentials `FILE` that join.json names for workers (default that of --creds)"},
			&cli.IntFlag{Name: "replicas", Value: 1, Usage: "with --nats: how many servers keep each stream, 1 or 3"},
			&cli.DurationFlag{Name: "grace", Value: time.Minute, Usage: "after a restart, go on with runs that were left no longer ago than this"},
			&cli.StringFlag{Name: "reserve", Value: "64MiB", Usage: "end a run when less than `SIZE` is free under the store, so that its evidence is kept"},
			&cli.StringFlag{Name: "receive", Usage: "take the profiles that the pyroscope-go of targets, or other agents, send to `ADDR`"},
			selfProfileFlag(),
		},
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return badInput("headroom controller --help", "controller: unexpected argument %q", c.Args().First())
			}
			ctx, restore := drains(c.Context, s, os.Exit)
			defer restore()
			stop, err := profileSelf(c, s)
			if err != nil {
				return err
			}
			defer stop()
			return control(ctx, c, s)
		},
	}
}

// controller is what one process of the controller consists of.
//
//	commands --HTTP--> api --> runs --> loadgen.Run (one for each run)
//	                            |           |
//	workers  --NATS--> engine <-+--- bus ---+
type controller struct {
	store  *store
	log    *slog.Logger
	server *engine.Server // nil for a NATS system of one's own
	conn   *nats.Conn
	js     jetstream.JetStream
	hub    *bus.Hub
	runs   *runs
	secure bool
}

// control runs a controller until ctx ends.
func control(ctx context.Context, c *cli.Context, s streams) error {
	reserve, err := size(c.String("reserve"))
	if err != nil {
		return badInput("write it as 64MiB", "controller: --reserve: %w", err)
	}
	st, err := openStore(c.String("store"))
	if err != nil {
		return err
	}
	defer st.close()
	k := &controller{store: st, log: slog.New(slog.NewTextHandler(s.err, &slog.HandlerOptions{Level: slog.LevelInfo}))}
	var in *intake
	if addr := c.String("receive"); addr != "" {
		if in, err = openIntake(ctx, addr); err != nil {
			return err
		}
		defer in.close()
		go func() { // ends when in is closed
			if <-in.ended; !errors.Is(in.err, http.ErrServerClosed) {
				k.log.Error(in.failed())
			}
		}()
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.String("listen"))
	if err != nil {
		return cannotRun(fmt.Errorf("controller: %w", err), "choose another address with --listen")
	}
	defer listener.Close()
	k.secure = !isLoopback(listener.Addr())
	if err := k.connect(c, listener.Addr()); err != nil {
		return err
	}
	defer k.close()
	if k.runs, err = newRuns(ctx, runsConfig{
		Hub: k.hub, JS: k.js, Dir: st.runs(), Owner: st.id, Log: k.log, Grace: c.Duration("grace"), Reserve: reserve, Intake: in,
	}); err != nil {
		return cannotRun(fmt.Errorf("controller: %w", err), "")
	}
	access := engine.Join{Address: "http://" + advertised(c.String("advertise"), listener.Addr())}
	var cert *tls.Certificate
	if k.secure {
		if cert, err = engine.Certificate(st.dir); err != nil {
			return cannotRun(err, "")
		}
		access.Address = strings.Replace(access.Address, "http://", "https://", 1)
		access.Token, access.Fingerprint = st.apiToken, engine.Fingerprint(cert)
	}
	if err := engine.WriteJoin(st.path("access.json"), access); err != nil {
		return cannotRun(err, "")
	}
	fmt.Fprintf(s.err, "controller: %s\ncommands:   --controller %s\nworkers:    headroom worker --join %s\n", access.Address, st.path("access.json"), st.path("join.json"))
	if in != nil {
		fmt.Fprintf(s.err, "profiles:   http://%s\n", advertised(c.String("advertise"), in.addr))
	}
	return k.serve(ctx, listener, cert, access.Token)
}

// connect starts the built-in NATS server, or connects to another.
func (k *controller) connect(c *cli.Context, api net.Addr) error {
	var err error
	replicas := 1
	if url := c.String("nats"); url != "" {
		replicas = c.Int("replicas")
		if replicas != 1 && replicas != 3 {
			return badInput("1 survives nothing, 3 survive the loss of a server", "controller: --replicas is %d, not 1 or 3", replicas)
		}
		err = k.joinSystem(url, c.String("creds"), c.String("worker-creds"))
	} else if c.IsSet("creds") || c.IsSet("worker-creds") {
		return badInput("the built-in server needs none", "controller: --creds or --worker-creds without --nats")
	} else {
		err = k.embed(c, api)
	}
	if err != nil {
		return err
	}
	if k.js, err = jetstream.New(k.conn); err != nil {
		return cannotRun(fmt.Errorf("controller: %w", err), "")
	}
	ctx, cancel := context.WithTimeout(c.Context, 30*time.Second)
	defer cancel()
	if err := bus.CreateStreams(ctx, k.js, bus.StreamsConfig{Replicas: replicas}); err != nil {
		hint := "is there space under the store?"
		switch {
		case errors.Is(err, bus.ErrNoJetStream):
			hint = "start nats-server with --jetstream, and give the account that --creds belongs to JetStream limits"
		case errors.Is(err, bus.ErrPermission):
			hint = "what the controller and the workers need is listed in docs/runbooks/fleet.md"
		case k.server == nil:
			hint = "are there as many servers as --replicas asks for, and do the account's JetStream limits leave space?"
		}
		return cannotRun(fmt.Errorf("controller: %w", err), hint)
	}
	began := time.Now()
	hub := bus.HubConfig{Conn: k.conn, Version: version, Now: func() time.Duration { return time.Since(began) }, Log: k.log}
	if k.server != nil {
		hub.Left = k.server.Left
	}
	k.hub, err = bus.NewHub(hub)
	if err != nil {
		return cannotRun(fmt.Errorf("controller: %w", err), "")
	}
	return nil
}

// joinSystem connects to a NATS system of the user's own, and writes the join file:
// with the workers' credentials, if they have some of their own.
func (k *controller) joinSystem(url, creds, workers string) error {
	for flag, name := range map[string]string{"creds": creds, "worker-creds": workers} {
		if name == "" {
			continue
		}
		if err := engine.CheckCredentials(name); err != nil {
			return badInput("nsc generate creds writes one", "controller: --%s: %w", flag, err)
		}
	}
	var err error
	if k.conn, err = engine.Connect(engine.Dial{URL: url, Credentials: creds, Name: "headroom controller", Log: k.log}); err != nil {
		hint := "is the NATS system up, and can this machine reach it?"
		if engine.IsAuth(err) {
			hint = "--creds must be of a user of that system that has not expired or been revoked"
		}
		return cannotRun(fmt.Errorf("controller: %w", err), hint)
	}
	name, err := filepath.Abs(cmp.Or(workers, creds))
	if err != nil || workers == "" && creds == "" {
		name = ""
	}
	return engine.WriteJoin(k.store.path("join.json"), engine.Join{Address: url, Credentials: name})
}

// embed starts the built-in server and writes the join file.
func (k *controller) embed(c *cli.Context, api net.Addr) error {
	listen := c.String("listen-workers")
	if listen == "" {
		listen = k.store.lastWorkers(nextPort(api, c.String("listen")))
	}
	cfg := engine.Config{Dir: k.store.path("nats"), Listen: listen, Token: k.store.workerToken, Permit: bus.Permissions, Log: k.log}
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return badInput("write it as host:port", "controller: --listen-workers: %w", err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		if cfg.Certificate, err = engine.Certificate(k.store.dir); err != nil {
			return cannotRun(err, "")
		}
	}
	if k.server, err = engine.Start(cfg); err != nil {
		return cannotRun(fmt.Errorf("controller: %w", err), "choose another address with --listen-workers, and see that no other controller uses the store")
	}
	if k.conn, err = k.server.Connect("controller"); err != nil {
		return cannotRun(fmt.Errorf("controller: %w", err), "")
	}
	addr, err := net.ResolveTCPAddr("tcp", k.server.Addr())
	if err != nil {
		return cannotRun(fmt.Errorf("controller: %w", err), "")
	}
	join := engine.Join{Address: "nats://" + advertised(c.String("advertise"), addr), Token: k.store.workerToken}
	if cfg.Certificate != nil {
		join.Address = strings.Replace(join.Address, "nats://", "tls://", 1)
		join.Fingerprint = engine.Fingerprint(cfg.Certificate)
	}
	return engine.WriteJoin(k.store.path("join.json"), join)
}

func (k *controller) close() {
	if k.runs != nil {
		k.runs.close()
	}
	if k.hub != nil {
		k.hub.Close()
	}
	k.conn.Close()
	if k.server != nil {
		k.server.Close()
	}
}

// serve answers commands until ctx ends.
func (k *controller) serve(ctx context.Context, l net.Listener, cert *tls.Certificate, token string) error {
	srv := &http.Server{
		Handler: api.Handler(api.Config{
			Runs: k.runs, Follow: k.runs.follow, Token: token,
			Workers: func() []api.Worker { return workersOf(k.hub.Workers()) },
		}),
		ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(k.log.Handler(), slog.LevelWarn),
	}
	if cert != nil {
		l = tls.NewListener(l, &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{*cert}, NextProtos: []string{"http/1.1"}})
	}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(l) }()
	var err error
	select {
	case <-ctx.Done():
		k.runs.close()
	case err = <-failed:
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if serr := srv.Shutdown(end); err == nil && serr != nil && !errors.Is(serr, context.DeadlineExceeded) {
		err = serr
	}
	if err != nil && !errors.Is(err, http.ErrServerClosed) {
		return cannotRun(fmt.Errorf("controller: %w", err), "")
	}
	return nil
}

func workersOf(list []bus.Info) []api.Worker {
	var out []api.Worker
	for _, i := range list {
		out = append(out, api.Worker{ID: i.ID, Name: i.Name, Version: i.Version, MaxRPS: i.MaxRPS, Labels: i.Labels, CPUs: i.CPUs, OS: i.OS, Arch: i.Arch, Run: i.Run, CeilingRPS: ceiling(i.Calibration)})
	}
	return out
}

func ceiling(c *loadgen.Calibration) float64 {
	if c == nil {
		return 0
	}
	return c.CeilingRPS
}

func isLoopback(a net.Addr) bool {
	t, ok := a.(*net.TCPAddr)
	return ok && t.IP.IsLoopback()
}

// nextPort is the address of the API with the next port; any free one if the API's
// was not chosen.
func nextPort(api net.Addr, asked string) string {
	host, port, err := net.SplitHostPort(api.String())
	if err != nil {
		return "127.0.0.1:0"
	}
	if strings.HasSuffix(asked, ":0") {
		return net.JoinHostPort(host, "0")
	}
	n, err := strconv.Atoi(port)
	if err != nil || n >= 65535 {
		return net.JoinHostPort(host, "0")
	}
	return net.JoinHostPort(host, strconv.Itoa(n+1))
}

// advertised is host:port under which others reach an address: of one that stands
// for all, the machine's first that is not loopback.
func advertised(host string, a net.Addr) string {
	h, port, err := net.SplitHostPort(a.String())
	if err != nil {
		return a.String()
	}
	ip := net.ParseIP(h)
	if host == "" && ip != nil && ip.IsUnspecified() {
		addrs, err := net.InterfaceAddrs()
		if err == nil {
			for _, x := range addrs {
				if n, ok := x.(*net.IPNet); ok && !n.IP.IsLoopback() && !n.IP.IsLinkLocalUnicast() {
					host = n.IP.String()
					break
				}
			}
		}
	}
	return net.JoinHostPort(cmp.Or(host, h), port)
}

// size reads 64MiB.
func size(text string) (uint64, error) {
	for _, u := range []struct {
		suffix string
		by     uint64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"B", 1}} {
		if number, ok := strings.CutSuffix(text, u.suffix); ok {
			n, err := strconv.ParseUint(strings.TrimSpace(number), 10, 40)
			if err != nil || n > 1<<40/u.by {
				return 0, fmt.Errorf("%q is no size", text)
			}
			return n * u.by, nil
		}
	}
	return 0, fmt.Errorf("%q is no size", text)
}

// path is a file of the store.
func (s *store) path(name string) string { return filepath.Join(s.dir, name) }
