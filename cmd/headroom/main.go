// Command headroom finds the load at which a service stops meeting its
// objectives, says which resource gives out and why, what a request costs and
// how much room is left.
//
// Its roles are commands. This package is the only place that wires the stages
// together, maps errors to exit codes, and reads the environment and files.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	os.Exit(run(context.Background(), os.Args, streams{os.Stdin, os.Stdout, os.Stderr}))
}

// drains returns a context that the first signal ends, so that a drill drains
// and still writes its bundle; the second signal ends the process on the spot.
// The returned function gives signals back their usual meaning.
func drains(ctx context.Context, s streams, quit func(code int)) (context.Context, func()) {
	ctx, stop := context.WithCancel(ctx)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		select {
		case <-signals:
		case <-done:
			return
		}
		fmt.Fprintln(s.err, "\ninterrupted: no more load is sent; waiting for what is in flight (interrupt again to quit at once)")
		stop()
		select {
		case <-signals:
			quit(exitInterrupted)
		case <-done:
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(done)
		stop()
	}
}

// streams are where a command reads from and writes to: results go to out,
// progress and warnings to err.
type streams struct {
	in  io.Reader
	out io.Writer
	err io.Writer
}

// run runs one command and returns the exit code of the process.
func run(ctx context.Context, args []string, s streams) int {
	app := newApp(s, os.Exit)
	err := app.RunContext(ctx, intersperse(app, args))
	if err == nil {
		return exitOK
	}
	if text := describe(err); text != "" {
		fmt.Fprint(s.err, text)
	}
	return exitCode(err)
}
