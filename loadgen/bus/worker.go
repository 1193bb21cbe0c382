package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/headroom-project/headroom/loadgen/attack"
)

// WorkerConfig is what a worker needs.
type WorkerConfig struct {
	// Conn is the worker's own connection; ID the id that it was admitted with.
	Conn *nats.Conn
	ID   string
	// Name is for people; it need not be unique.
	Name    string
	Version string
	// MaxRPS is the most that this worker sends, 0 for no bound of its own.
	MaxRPS float64
	Labels map[string]string
	// Allow is what this worker may hit, whatever a scenario says; nil for
	// loopback only.
	Allow *attack.AllowList
	// Now is a monotonic clock. It need not agree with anyone's.
	Now func() time.Duration
	// CPU tells what this process has used so far and how many cores it may use;
	// nil if that is not known.
	CPU func() (used time.Duration, cores float64)
	// Log takes what happens; nil discards it.
	Log *slog.Logger
}

// ErrRefused is wrapped when the controller does not take a worker.
var ErrRefused = errors.New("the controller refused this worker")

// helloEvery is how often a worker says that it is there.
const helloEvery = time.Second

// Worker serves drills, one at a time.
type Worker struct {
	cfg WorkerConfig
	js  jetstream.JetStream

	mu      sync.Mutex
	session *session
	// input is kept from the last drill, so that a controller that comes back
	// need not send it again.
	input    *Input
	digest   string
	sessions sync.WaitGroup
}

// NewWorker checks the configuration.
func NewWorker(cfg WorkerConfig) (*Worker, error) {
	if cfg.Conn == nil || cfg.ID == "" || cfg.Name == "" || cfg.Now == nil {
		return nil, errors.New("worker: incomplete configuration")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Allow == nil {
		var err error
		if cfg.Allow, err = attack.NewAllowList(nil); err != nil {
			return nil, err
		}
	}
	js, err := jetstream.New(cfg.Conn)
	if err != nil {
		return nil, fmt.Errorf("worker: %w", err)
	}
	return &Worker{cfg: cfg, js: js}, nil
}

// Run serves until ctx ends, or the controller refuses the worker. Load that runs
// when ctx ends is stopped and accounted for before Run returns.
func (w *Worker) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for _, s := range []struct {
		subject string
		handle  nats.MsgHandler
	}{
		{workerSubject + w.cfg.ID + assignVerb, func(m *nats.Msg) { w.assigned(ctx, m) }},
		{workerSubject + w.cfg.ID + orderVerb, w.ordered},
		{runSubject + "*" + killVerb, w.killed},
	} {
		sub, err := w.cfg.Conn.Subscribe(s.subject, s.handle)
		if err != nil {
			return fmt.Errorf("worker: subscribe: %w", err)
		}
		defer func() { _ = sub.Unsubscribe() }()
	}
	err := w.announce(ctx)
	if s := w.current(); s != nil {
		s.stop("the worker was ended")
	}
	w.sessions.Wait()
	if err == nil {
		bye, cancel := context.WithTimeout(context.WithoutCancel(ctx), helloEvery)
		defer cancel()
		_ = w.say(bye, true)
	}
	return err
}

// announce says hello each second until ctx ends.
func (w *Worker) announce(ctx context.Context) error {
	tick := time.NewTicker(helloEvery)
	defer tick.Stop()
	for {
		if err := w.say(ctx, false); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		if w.cfg.Conn.IsClosed() {
			return fmt.Errorf("worker: connection closed: %w", w.cfg.Conn.LastError())
		}
	}
}

// say says hello or goodbye. It returns an error only if the worker is refused: a
// controller that is away comes back.
func (w *Worker) say(ctx context.Context, goodbye bool) error {
	info := Info{
		Leaving: goodbye,
		ID:      w.cfg.ID, Name: w.cfg.Name, Version: w.cfg.Version, Protocol: Protocol, MaxRPS: w.cfg.MaxRPS,
		Labels: w.cfg.Labels, CPUs: runtime.NumCPU(), OS: runtime.GOOS, Arch: runtime.GOARCH,
	}
	if s := w.current(); s != nil {
		info.Run = s.asg.Run
	}
	var reply welcome
	if err := w.ask(ctx, helloSubject, helloEvery, info, &reply); err != nil {
		return nil
	}
	if reply.Refused != "" {
		return fmt.Errorf("%w: %s", ErrRefused, reply.Refused)
	}
	return nil
}

// ask sends a request of this worker and reads the answer.
func (w *Worker) ask(ctx context.Context, subject string, within time.Duration, v, reply any) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	m, err := w.cfg.Conn.RequestWithContext(ctx, subject+w.cfg.ID, encode(v))
	if err != nil {
		return err
	}
	return decode(m.Data, reply)
}

// current is the session that runs, nil if there is none.
func (w *Worker) current() *session {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.session
}

// assigned takes a slice, and answers when it stands by.
func (w *Worker) assigned(ctx context.Context, m *nats.Msg) {
	var a assignment
	if err := decode(m.Data, &a); err != nil {
		answer(m, ready{Error: err.Error()})
		return
	}
	// Loading a scenario takes time; orders for others must not wait for it.
	w.sessions.Go(func() {
		s, r := w.begin(ctx, a)
		if s == nil {
			answer(m, r)
			return
		}
		s.run(ctx, func() { answer(m, r) })
		w.mu.Lock()
		if w.session == s {
			w.session = nil
		}
		w.mu.Unlock()
	})
}

// begin prepares a session; nil with an error in ready if that is not possible.
func (w *Worker) begin(ctx context.Context, a assignment) (*session, ready) {
	refuse := func(format string, args ...any) (*session, ready) {
		return nil, ready{Error: fmt.Sprintf(format, args...)}
	}
	if old := w.current(); old != nil {
		if old.asg.Run != a.Run {
			return refuse("the worker is busy with run %s", old.asg.Run)
		}
		if old.asg.Epoch >= a.Epoch {
			return refuse("epoch %d of run %s is over, epoch %d holds", a.Epoch, a.Run, old.asg.Epoch)
		}
		old.stop("another controller took the run over")
		<-old.ended
	}
	in, err := w.fetch(ctx, a)
	if err != nil {
		return refuse("%v", err)
	}
	compiled, err := in.Compile()
	if err != nil {
		return refuse("compile the scenario: %v", err)
	}
	compiled.Requests.SetRun(a.Run)
	if err := reach(ctx, compiled.Requests.Hosts(), compiled.Allow.Within(w.cfg.Allow)); err != nil {
		return refuse("%v", err)
	}
	s, err := newSession(ctx, w, a, compiled)
	if err != nil {
		return refuse("%v", err)
	}
	w.mu.Lock()
	w.session = s
	w.mu.Unlock()
	return s, ready{Plan: planDigest(compiled.Plan), ClockError: s.offset.err}
}

// reachIn bounds one connection that is made to see whether the target is there.
const reachIn = 5 * time.Second

// reach connects once to each host: a worker that cannot reach the target, or may
// not, takes no part. No request is sent.
func reach(ctx context.Context, hosts []string, allow *attack.AllowList) error {
	for _, host := range hosts {
		conn, err := allow.Dial(ctx, "tcp", host, reachIn)
		if errors.Is(err, attack.ErrBlocked) {
			return fmt.Errorf("connect to %s: %w; hint: the scenario's safety.allow and the worker's own --allow must both have it", host, err)
		}
		if err != nil {
			return fmt.Errorf("connect to %s: %w", host, err)
		}
		_ = conn.Close()
	}
	return nil
}

// fetchIn bounds the wait for one part of the input.
const fetchIn = 10 * time.Second

// fetch gets the input of a run, part by part.
func (w *Worker) fetch(ctx context.Context, a assignment) (*Input, error) {
	w.mu.Lock()
	in, digest := w.input, w.digest
	w.mu.Unlock()
	if in != nil && digest == a.Digest {
		return in, nil
	}
	if a.Size < 0 || a.Size > MaxInput {
		return nil, fmt.Errorf("fetch scenario: %d bytes, more than %d", a.Size, MaxInput)
	}
	data := make([]byte, 0, a.Size)
	for len(data) < a.Size {
		ask, cancel := context.WithTimeout(ctx, fetchIn)
		m, err := w.cfg.Conn.RequestWithContext(ask, inputSubject+w.cfg.ID, encode(inputRequest{Run: a.Run, Offset: len(data)}))
		cancel()
		if err != nil {
			return nil, fmt.Errorf("fetch scenario: %w", err)
		}
		if len(m.Data) == 0 || len(data)+len(m.Data) > a.Size {
			return nil, fmt.Errorf("fetch scenario: the controller sent %d bytes at %d of %d", len(m.Data), len(data), a.Size)
		}
		data = append(data, m.Data...)
	}
	in, err := decodeInput(data, a.Digest)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	w.input, w.digest = in, a.Digest
	w.mu.Unlock()
	return in, nil
}

// ordered takes orders that come between two renewals.
func (w *Worker) ordered(m *nats.Msg) {
	var o orders
	if err := decode(m.Data, &o); err != nil {
		w.cfg.Log.Warn("orders that cannot be read", "error", err)
		return
	}
	if s := w.current(); s != nil && s.asg.Run == o.Run && s.asg.Epoch == o.Epoch {
		s.obey(o.Orders)
	}
}

// killed ends all load of a run at once.
func (w *Worker) killed(m *nats.Msg) {
	var k kill
	if err := decode(m.Data, &k); err != nil {
		return
	}
	if s := w.current(); s != nil && m.Subject == runSubject+s.asg.Run+killVerb && k.Epoch >= s.asg.Epoch {
		s.stop("the controller ended the load")
	}
}
