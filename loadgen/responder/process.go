package responder

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os/exec"
	"strings"
)

// Serve runs a responder, says its URL in a line on out, and ends it when in ends.
// It is the whole of a process that another one spawned: whoever holds the other
// end of in cannot leave it behind.
func Serve(in io.Reader, out io.Writer, cfg Config) error {
	t, err := Start(cfg)
	if err != nil {
		return err
	}
	defer t.Close()
	if _, err := fmt.Fprintln(out, t.URL()); err != nil {
		return fmt.Errorf("responder: %w", err)
	}
	_, err = io.Copy(io.Discard, in)
	return err
}

// Spawn starts a command that calls Serve with its standard input and output, so
// that the responder has a process of its own. stop ends it and waits for it; it
// also ends with ctx, and with this process.
func Spawn(ctx context.Context, name string, args, env []string) (url string, stop func(), err error) {
	ctx, cancel := context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(cmd.Environ(), env...)
	in, err := cmd.StdinPipe()
	if err != nil {
		cancel()
		return "", nil, fmt.Errorf("responder: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		cancel()
		return "", nil, fmt.Errorf("responder: %w", err)
	}
	stop = func() {
		_ = in.Close()
		cancel()
		_ = cmd.Wait()
	}
	line, err := bufio.NewReader(io.LimitReader(out, 1024)).ReadString('\n')
	if err != nil {
		stop()
		return "", nil, fmt.Errorf("responder: process said nothing: %w", err)
	}
	return strings.TrimSpace(line), stop, nil
}
