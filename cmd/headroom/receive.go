package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/headroom-project/headroom/loadgen"
	"github.com/headroom-project/headroom/profiler/pyroscope"
)

// receiveToken is the environment's name for the token that senders must show.
const receiveToken = "HEADROOM_RECEIVE_TOKEN"

// listen opens the address of --receive. Only this machine can reach it, unless
// there is a token.
func listen(ctx context.Context, addr string) (net.Listener, error) {
	const form = "write it like 127.0.0.1:4040, or :4040 with " + receiveToken + " set"
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, badInput(form, "--receive %q: %w", addr, err)
	}
	if os.Getenv(receiveToken) == "" {
		ips, err := net.DefaultResolver.LookupIP(ctx, "ip", host)
		if host == "" {
			ips, err = []net.IP{net.IPv4zero}, nil
		}
		if err != nil {
			return nil, badInput(form, "--receive %q: %w", addr, err)
		}
		for _, ip := range ips {
			if !ip.IsLoopback() {
				return nil, badInput("set "+receiveToken+" to a secret that the senders show as a bearer token, or listen on 127.0.0.1",
					"--receive %s: other machines could reach it, and there is no token", addr)
			}
		}
	}
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, cannotRun(fmt.Errorf("--receive: %w", err), "choose a free port, or 127.0.0.1:0 for any")
	}
	return ln, nil
}

// receiving serves a receiver of profiles while a drill runs.
type receiving struct {
	*pyroscope.Receiver
	ln net.Listener
}

// receive makes the watcher that takes what the target's profiler sends. hurry
// ends its wait for the last profiles.
func (j *job) receive(w loadgen.WatchConfig, hurry <-chan struct{}, say func(string)) loadgen.Watcher {
	r, err := pyroscope.NewReceiver(pyroscope.ReceiverConfig{
		Clock: pyroscope.Clock{Now: w.Now, Wall: time.Now}, Token: os.Getenv(receiveToken), Hurry: hurry,
		OnCapture: w.OnCapture, OnWarning: w.OnWarning,
		OnWait: func(d time.Duration) {
			say(fmt.Sprintf("waiting up to %v for the last profiles that the target sends; interrupt to go without", d.Round(time.Second)))
		},
	})
	if err != nil {
		panic(fmt.Sprintf("profile receiver: %v", err)) // only a missing clock makes it fail
	}
	return &receiving{r, j.receiver}
}

// Run serves until the receiver has ended.
func (r *receiving) Run(ctx context.Context) error {
	srv := &http.Server{
		Handler:           r.Receiver,
		ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, WriteTimeout: time.Minute, IdleTimeout: time.Minute,
		MaxHeaderBytes: 64 << 10,
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(r.ln) }()
	err := r.Receiver.Run(ctx)
	// What has not sent its request by now is late for the run.
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if srv.Shutdown(end) != nil {
		_ = srv.Close()
	}
	if serr := <-served; !errors.Is(serr, http.ErrServerClosed) {
		err = errors.Join(err, fmt.Errorf("receive profiles: %w", serr))
	}
	return err
}
