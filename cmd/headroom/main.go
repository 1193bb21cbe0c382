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
	ctx, stop := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		// The first signal drains the drill and still writes the bundle; the
		// second one ends the process on the spot.
		<-signals
		fmt.Fprintln(os.Stderr, "\ninterrupted: no more load is sent; waiting for what is in flight (interrupt again to quit at once)")
		stop()
		<-signals
		os.Exit(exitInterrupted)
	}()
	os.Exit(run(ctx, os.Args, streams{os.Stdin, os.Stdout, os.Stderr}))
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
	app := newApp(s)
	err := app.RunContext(ctx, intersperse(app, args))
	if err == nil {
		return exitOK
	}
	if text := describe(err); text != "" {
		fmt.Fprint(s.err, text)
	}
	return exitCode(err)
}
