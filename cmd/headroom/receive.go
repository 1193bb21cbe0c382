package main

import (
	"context"
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

// intake is the server that the profilers of targets send to.
type intake struct {
	router   *pyroscope.Router
	addr     net.Addr
	listener net.Listener
	server   *http.Server
	// ended is closed when it serves no more; err, which may be read then, says why.
	ended chan struct{}
	err   error
}

// openIntake serves at the address of --receive until it is closed. Nothing is taken
// until a route is opened.
func openIntake(ctx context.Context, addr string) (*intake, error) {
	ln, err := listen(ctx, addr)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	router, err := pyroscope.NewRouter(pyroscope.RouterConfig{
		Now: func() time.Duration { return time.Since(began) }, Token: os.Getenv(receiveToken),
	})
	if err != nil {
		_ = ln.Close()
		return nil, err
	}
	in := &intake{router: router, addr: ln.Addr(), listener: ln, ended: make(chan struct{}), server: &http.Server{
		Handler:           router,
		ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, WriteTimeout: time.Minute, IdleTimeout: time.Minute,
		MaxHeaderBytes: 64 << 10,
	}}
	go func() {
		defer close(in.ended)
		in.err = in.server.Serve(ln)
	}()
	return in, nil
}

// failed says why it takes no more profiles, empty while it does.
func (in *intake) failed() string {
	select {
	case <-in.ended:
		return fmt.Sprintf("the receiver of profiles at %s has failed, and what is sent to it is lost: %v", in.addr, in.err)
	default:
		return ""
	}
}

// close ends the server. Who has not sent a request by now is late.
func (in *intake) close() {
	end, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if in.server.Shutdown(end) != nil {
		_ = in.server.Close()
	}
	<-in.ended
}

// intakeWatch warns if the receiver fails while the drill runs: what its senders find
// out is not seen here.
type intakeWatch struct {
	stepless
	intake *intake
	warn   func(string)
}

// Run waits for the end of either.
func (w intakeWatch) Run(ctx context.Context) error {
	select {
	case <-ctx.Done():
	case <-w.intake.ended:
	}
	if why := w.intake.failed(); why != "" {
		w.warn(why)
	}
	return nil
}

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

// senders are those whose profiles the scenario asks for: all, if it does not say.
func (j *job) senders() pyroscope.Match {
	if r := j.scenario.Profiles.Receive; r != nil {
		return pyroscope.Match{Service: r.Service, Labels: r.Labels}
	}
	return pyroscope.Match{}
}

// receive makes the watcher that takes what the target's profiler sends. hurry
// ends its wait for the last profiles.
func (j *job) receive(w loadgen.WatchConfig, hurry <-chan struct{}, say func(string)) loadgen.Watcher {
	r, err := pyroscope.NewReceiver(pyroscope.ReceiverConfig{
		Clock: pyroscope.Clock{Now: w.Now, Wall: time.Now}, Hurry: hurry,
		OnCapture: w.OnCapture, OnWarning: w.OnWarning,
		OnWait: func(d time.Duration) {
			say(fmt.Sprintf("waiting up to %v for the last profiles that the target sends; interrupt to go without", d.Round(time.Second)))
		},
	})
	if err != nil {
		panic(fmt.Sprintf("profile receiver: %v", err)) // only a missing clock makes it fail
	}
	j.route.Deliver(r)
	return watchers{r, intakeWatch{intake: j.intake, warn: w.OnWarning}}
}
