package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/headroom-project/headroom/scenarios/demo"
)

func demoCommand(s streams) *cli.Command {
	return &cli.Command{
		Name:  "demo",
		Usage: "serve a target whose limit is known exactly",
		Description: `Serves a target that gives out at a known load. GET /truth says which limit it has,
at which load, and how many requests of the load it has received. It has
/debug/pprof and /metrics.`,
		OnUsageError: usageError,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "listen", Value: "127.0.0.1:8080", Usage: "`ADDRESS` to listen on; port 0 takes a free one"},
			&cli.StringFlag{Name: "limit", Value: demo.LimitShop, Usage: "what gives out: " + strings.Join(demo.Limits(), ", ")},
			&cli.Float64Flag{Name: "capacity", Usage: "the load in `RPS` at which it gives out (default 400)"},
			selfProfileFlag(),
			&cli.BoolFlag{Name: "until-stdin-closes", Hidden: true, Usage: "end when standard input ends, and not on an interrupt"},
		},
		Action: func(c *cli.Context) error { return serveDemo(c.Context, s, c) },
	}
}

func serveDemo(ctx context.Context, s streams, c *cli.Context) error {
	limit := c.String("limit")
	if n := demo.GOMAXPROCS(limit); n > 0 {
		runtime.GOMAXPROCS(n)
	}
	target, err := demo.New(demo.Config{Limit: limit, CapacityRPS: c.Float64("capacity")})
	if err != nil {
		return badInput("", "%w", err)
	}
	defer target.Close()
	stop, err := profileSelf(c, s)
	if err != nil {
		return err
	}
	defer stop()
	ln, err := net.Listen("tcp", c.String("listen"))
	if err != nil {
		return cannotRun(fmt.Errorf("demo: %w", err), "choose another address with --listen; port 0 takes a free one")
	}
	fmt.Fprintf(s.out, "listening on http://%s\n", ln.Addr())
	if c.Bool("until-stdin-closes") {
		// The drill that started it still needs it when it is interrupted.
		signal.Ignore(os.Interrupt)
		parent, gone := context.WithCancel(context.WithoutCancel(ctx))
		go func() {
			_, _ = io.Copy(io.Discard, s.in)
			gone()
		}()
		ctx = parent
	}
	server := &http.Server{Handler: target.Handler(), ReadHeaderTimeout: 30 * time.Second}
	done := make(chan error, 1)
	go func() { done <- server.Serve(ln) }()
	select {
	case <-ctx.Done():
		return server.Close()
	case err := <-done:
		return cannotRun(fmt.Errorf("demo: %w", err), "")
	}
}

// demoProcess is a demo target in a process of its own.
type demoProcess struct {
	cmd   *exec.Cmd
	stdin io.Closer
	url   string
}

// startDemo starts this program again as the shop demo, on a free loopback port.
func startDemo(ctx context.Context, stderr io.Writer) (*demoProcess, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("start demo target: %w", err)
	}
	cmd := exec.Command(self, "demo", "--listen", "127.0.0.1:0", "--limit", demo.LimitShop, "--until-stdin-closes")
	if n := demo.GOMAXPROCS(demo.LimitShop); n > 0 {
		cmd.Env = append(os.Environ(), "GOMAXPROCS="+strconv.Itoa(n))
	}
	ownGroup(cmd)
	cmd.Stderr = stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start demo target: %w", err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start demo target: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start demo target: %w", err)
	}
	d := &demoProcess{cmd: cmd, stdin: stdin}
	line := make(chan string, 1)
	go func() {
		text, _ := bufio.NewReader(stdout).ReadString('\n')
		line <- text
	}()
	select {
	case text := <-line:
		url, ok := strings.CutPrefix(strings.TrimSpace(text), "listening on ")
		if !ok {
			d.stop()
			return nil, errors.New("start demo target: it did not say where it listens")
		}
		d.url = url
		return d, nil
	case <-time.After(20 * time.Second):
		d.stop()
		return nil, errors.New("start demo target: it did not listen within 20 s")
	case <-ctx.Done():
		d.stop()
		return nil, errVerdict(exitInterrupted)
	}
}

// stop ends the process and waits for it.
func (d *demoProcess) stop() {
	_ = d.stdin.Close()
	done := make(chan struct{})
	go func() { _ = d.cmd.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(3 * time.Second):
		_ = d.cmd.Process.Kill()
		<-done
	}
}
