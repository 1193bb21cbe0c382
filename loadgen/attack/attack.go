package attack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

// The engines that send hits.
const (
	// EngineLoop is an event loop of one thread, for HTTP/1.1 without TLS on Linux.
	EngineLoop = "loop"
	// EngineVegeta is vegeta's Attacker, for everything.
	EngineVegeta = "vegeta"
)

// Engines lists the engines that this system has.
func Engines() []string {
	if loops {
		return []string{EngineLoop, EngineVegeta}
	}
	return []string{EngineVegeta}
}

// EngineFor is the engine that is taken for requests if none is named: the loop
// where it can be used, since it costs the least.
func EngineFor(r *scenarios.Requests) string {
	if loops && loopable(r) {
		return EngineLoop
	}
	return EngineVegeta
}

// Describe says in words how requests are sent: `the engine loop, HTTP/1.1`.
func Describe(r *scenarios.Requests) string {
	t := r.Transport()
	speaks := map[scenarios.Protocol]string{scenarios.HTTP2: "HTTP/2", scenarios.H2C: "HTTP/2 without TLS"}[t.Protocol]
	if speaks == "" {
		speaks = "HTTP/1.1"
	}
	text := "the engine " + EngineFor(r) + ", " + speaks
	if t.Proxy != nil {
		text += ", through the proxy " + t.Proxy.Host
	}
	return text
}

// loopBody bounds the bodies that the loop sends, in bytes: each of its connections
// keeps a copy.
const loopBody = 1 << 20

// loopable says that the loop can send the requests: over plain HTTP/1.1 to the
// target itself, without large bodies, one answer for each, and with one timeout,
// since it keeps connections in the order in which they time out.
func loopable(r *scenarios.Requests) bool {
	t := r.Transport()
	if t.Protocol != scenarios.HTTP1 || t.Proxy != nil || r.IsFlow() || r.FollowsRedirects() || r.LargestBody() > loopBody {
		return false
	}
	for i := range r.Len() {
		if r.Timeout(i) != r.Timeout(0) {
			return false
		}
	}
	return r.Plain()
}

// Config is what an Attack needs.
type Config struct {
	Slice    scenarios.Slice
	Requests *scenarios.Requests
	// Worker names the windows' origin.
	Worker string
	// Connections bounds the connections; 0 leaves them to MaxConnections. Over
	// HTTP/2, whose connections carry many hits at a time, it is how many there are.
	Connections int
	// Users is the number of virtual users if the plan is closed, else 0.
	Users int
	// MaxBody bounds a response body in bytes.
	MaxBody int64
	Allow   *AllowList
	// Engine is EngineLoop or EngineVegeta; empty takes the loop where it can
	// be used.
	Engine string
	// Precise makes the loop spin before a hit is due, so that it is sent within
	// microseconds of its instant, at the price of CPU.
	Precise bool
	// Now is the drill clock: monotonic, 0 at the drill's begin.
	Now func() time.Duration
	// Emit takes each window; it is called from one goroutine at a time, must
	// not block for long, and owns the window.
	Emit func(*observation.Window)
	// Raw takes the result of every hit, nil for none. It is not closed.
	Raw *Raw
}

// MaxConnections bounds the connections of one worker when the scenario does
// not: more would exhaust the ephemeral ports of one source address.
const MaxConnections = 16384

// Attack offers the steps that it is given. Its methods but Run may be called
// from any goroutine, before and while Run runs.
type Attack struct {
	cfg       Config
	hits      *inflight
	book      *ledger
	rec       *recorder
	timeline  *timeline
	transport *transport
	engine    string
}

// New prepares an attack.
func New(cfg Config) (*Attack, error) {
	if cfg.Requests == nil || cfg.Allow == nil || cfg.Now == nil || cfg.Emit == nil || cfg.Slice.Plan == nil {
		return nil, errors.New("attack: incomplete configuration")
	}
	if cfg.MaxBody <= 0 {
		return nil, fmt.Errorf("attack: body limit %d must be positive", cfg.MaxBody)
	}
	a := &Attack{cfg: cfg, hits: newInflight(), engine: cfg.Engine}
	switch {
	case a.engine == "":
		a.engine = EngineFor(cfg.Requests)
	case a.engine == EngineLoop && !(loops && loopable(cfg.Requests)):
		return nil, errors.New("attack: the loop engine is for HTTP/1.1 without TLS, proxy, redirects and flows, on Linux; hint: leave the engine out")
	}
	a.book = newLedger(a.engine != EngineLoop, cfg.Now)
	a.book.urls = cfg.Raw != nil && cfg.Requests.IsFlow()
	a.rec = newRecorder(cfg, a.book)
	a.transport = newTransport(cfg, a.hits, a.book)
	a.timeline = newTimeline(cfg.Slice, cfg.Now, a.hits, a.book, a.connections())
	a.timeline.poke = a.rec.poke
	a.transport.state = a.timeline.state
	return a, nil
}

func (a *Attack) connections() int {
	switch {
	case a.cfg.Users > 0:
		return a.cfg.Users
	case a.cfg.Connections > 0 && a.transport.h2 == nil:
		return a.cfg.Connections
	}
	return MaxConnections
}

// Offer adds a step, to begin at an instant of the drill clock. Where that is the
// end of the one before, the two are contiguous: no gap lies between their hits
// that the law of the arrivals does not know.
func (a *Attack) Offer(step scenarios.Step, at time.Duration) {
	a.timeline.offer(order{step: step, at: at})
}

// Hold offers a load that only bridges the time until the next offer: it ends as
// soon as that begins, or no more are to come. began is when the step with the same
// number began that it goes on with; its hits are booked behind that one's seconds.
func (a *Attack) Hold(step scenarios.Step, at, began time.Duration) {
	a.timeline.offer(order{step: step, at: at, hold: true, began: began})
}

// Cut ends a step now. Hits in flight go on; hits that came due and were not
// sent are dropped.
func (a *Attack) Cut(step int) {
	a.timeline.cutStep(step)
	a.transport.wake()
}

// Finish says that no more steps come: Run returns when the last hit has ended.
func (a *Attack) Finish() { a.timeline.finish() }

// Run offers load until Finish, or until ctx ends, which cancels what is in
// flight. Every window has been emitted when it returns.
func (a *Attack) Run(ctx context.Context) error {
	drive := a.vegeta
	if a.engine == EngineLoop {
		drive = a.loop
	}
	err := drive(ctx)
	a.rec.finish()
	return cmp.Or(ctx.Err(), err)
}

// aside runs the recorder, and kill when ctx ends, until the returned function
// is called.
func (a *Attack) aside(ctx context.Context, state func() (int, bool), kill func()) (stop func()) {
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { a.rec.run(done, state) })
	wg.Go(func() {
		select {
		case <-ctx.Done():
			kill()
		case <-done:
		}
	})
	return func() {
		close(done)
		wg.Wait()
	}
}

// vegeta lets vegeta's Attacker send the hits.
func (a *Attack) vegeta(ctx context.Context) error {
	workers := uint64(a.connections())
	initial := min(workers, 64)
	if a.cfg.Users > 0 {
		initial = workers
	}
	attacker := vegeta.NewAttacker(
		vegeta.Workers(initial), vegeta.MaxWorkers(workers),
		vegeta.Client(&http.Client{Transport: a.transport, CheckRedirect: noRedirect}),
	)
	stop := a.aside(ctx, a.state, func() {
		a.timeline.kill()
		a.transport.kill()
		attacker.Stop()
	})
	for res := range attacker.Attack(carrier, a.timeline, 0, "") {
		a.collect(res)
	}
	stop()
	for _, h := range a.hits.rest() {
		if !h.closed {
			a.book.dropped(h)
		}
	}
	a.transport.close()
	return nil
}

// carrier gives vegeta a target to number; the transport sends another.
func carrier(t *vegeta.Target) error {
	t.Method, t.URL = http.MethodGet, "http://hit.invalid/"
	return nil
}

func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// state tells the recorder what is in flight, which users who think are not; it is called
// from several goroutines.
func (a *Attack) state() (inFlight int, idle bool) {
	n := a.hits.len()
	return max(n-int(a.transport.asleep.Load()), 0), n == 0 && a.timeline.isIdle()
}

func (a *Attack) collect(res *vegeta.Result) {
	h := a.hits.get(res.Seq)
	if h == nil {
		return
	}
	if !h.void {
		if h.class == "" && h.done == 0 {
			// The transport was never reached: vegeta refused its own carrier.
			h.class, h.sent, h.done = "protocol", a.cfg.Now(), a.cfg.Now()
		}
		a.book.ended(h)
	}
	a.hits.take(res.Seq)
	if n, idle := a.state(); n == 0 && idle {
		a.rec.poke()
	}
}
