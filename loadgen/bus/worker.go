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

	"github.com/headroom-project/headroom/loadgen"
	"github.com/headroom-project/headroom/loadgen/attack"
	"github.com/headroom-project/headroom/scenarios"
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
	// Given is what a worker in the controller's own process runs, with requests that
	// are ready to be sent, instead of the input of each drill; nil elsewhere. Now is
	// then the drill clock itself.
	Given *Compiled
	// Raw takes the result of every hit that this worker sends, nil for none.
	Raw *attack.Raw
	// Calibration is what this machine can do, nil if that is not known.
	Calibration *loadgen.Calibration
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
	// input is kept as it came from the last drill, so that a controller that comes
	// back need not send it again, and can ask for it.
	input    []byte
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
		{workerSubject + w.cfg.ID + recallVerb, w.recalled},
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
		Calibration: w.cfg.Calibration,
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
	switch old := w.current(); {
	case old == nil || old.asg.Run != a.Run && old.leaves():
	case old.asg.Run != a.Run:
		return refuse("the worker is busy with run %s", old.asg.Run)
	case old.asg.Epoch >= a.Epoch:
		return refuse("epoch %d of run %s is over, epoch %d holds", a.Epoch, a.Run, old.asg.Epoch)
	default:
		old.stop("another controller took the run over")
		<-old.ended
	}
	compiled, err := w.compile(ctx, a)
	if err != nil {
		return nil, ready{Error: err.Error(), Blocked: errors.Is(err, attack.ErrBlocked)}
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

// compile makes the input of a drill ready to run, and sees whether this worker can
// reach what is to be hit.
func (w *Worker) compile(ctx context.Context, a assignment) (*Compiled, error) {
	if w.cfg.Given != nil {
		return w.cfg.Given, nil
	}
	data, err := w.fetch(ctx, a)
	if err != nil {
		return nil, err
	}
	in, err := decodeInput(data, a.Digest)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	w.input, w.digest = data, a.Digest
	w.mu.Unlock()
	compiled, err := in.Compile()
	if err != nil {
		return nil, fmt.Errorf("compile the scenario: %w", err)
	}
	compiled.Requests.SetRun(a.Run)
	return compiled, reach(ctx, compiled.Requests, compiled.Allow.Within(w.cfg.Allow))
}

// reach connects once to each host as the load will: a worker that cannot reach the
// target, or may not, takes no part. No request is sent.
func reach(ctx context.Context, r *scenarios.Requests, allow *attack.AllowList) error {
	host, err := attack.Preflight(ctx, r, allow)
	switch {
	case errors.Is(err, attack.ErrBlocked):
		return fmt.Errorf("connect to %s: %w; hint: the scenario's safety.allow and the worker's own --allow must both have it", host, err)
	case err != nil:
		return fmt.Errorf("connect to %s: %w", host, err)
	}
	return nil
}

// fetchIn bounds the wait for one part of the input.
const fetchIn = 10 * time.Second

// fetch gets the input of a run, part by part, unless it is there already.
func (w *Worker) fetch(ctx context.Context, a assignment) ([]byte, error) {
	w.mu.Lock()
	data, digest := w.input, w.digest
	w.mu.Unlock()
	if data != nil && digest == a.Digest {
		return data, nil
	}
	if a.Size < 0 || a.Size > MaxInput {
		return nil, fmt.Errorf("fetch scenario: %d bytes, more than %d", a.Size, MaxInput)
	}
	data = make([]byte, 0, a.Size)
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
	return data, nil
}

// recalled gives the controller a part of the input that this worker has; nothing at
// its end, or if it has another.
func (w *Worker) recalled(m *nats.Msg) {
	var r recallRequest
	if decode(m.Data, &r) != nil {
		return
	}
	w.mu.Lock()
	data, digest := w.input, w.digest
	w.mu.Unlock()
	if digest != r.Digest || r.Offset < 0 || r.Offset > len(data) {
		data, r.Offset = nil, 0
	}
	_ = m.Respond(data[r.Offset:min(r.Offset+inputPart, len(data))])
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
