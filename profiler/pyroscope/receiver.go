package pyroscope

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/headroom-project/headroom/loadgen/observation"
)

// ReceiverConfig says what a Receiver takes and where it hands that on. The
// callbacks are called one at a time, and only while Run runs.
type ReceiverConfig struct {
	// Clock must be given.
	Clock Clock
	// Total bounds what is kept of the drill, in bytes: default 2 GiB.
	Total int64
	// Linger bounds how long Run waits, after its context has ended, for the
	// profiles of the last step: default 20 s. It waits no longer than the sender
	// has taken between two profiles so far.
	Linger time.Duration
	// Hurry, if it is closed, ends the wait.
	Hurry <-chan struct{}
	// OnCapture is handed each profile with the bytes that were sent. It returns
	// when they are kept: then the sender is told so.
	OnCapture func(observation.Capture, []byte)
	// OnWarning is handed what the report must say, each once.
	OnWarning func(string)
	// OnWait is told how long Run will go on at most after its context has ended.
	OnWait func(time.Duration)
}

// Receiver takes the profiles of one drill: give it to a Route, run it, tell it the
// steps. Its methods may be called from any goroutine.
type Receiver struct {
	cfg ReceiverConfig
	// arrived is signalled when a profile is kept.
	arrived chan struct{}

	mu      sync.Mutex
	phase   phase
	steps   steps
	bytes   int64
	count   int
	got     map[int]*tally
	warned  map[string]bool
	senders map[string]*sender
	working sync.WaitGroup // requests that it may have a part in
	keep    sync.Mutex     // one callback at a time
}

type phase int

const (
	phaseIdle phase = iota
	phaseRunning
	phaseOver
)

// sender is one series of profiles: of one instance and kind.
type sender struct {
	until  time.Duration // end of the last one, in drill time
	every  time.Duration // how long they span
	behind time.Duration // the least time from a profile's end to its arrival
}

// NewReceiver returns a Receiver. It fails if the configuration makes no sense.
func NewReceiver(cfg ReceiverConfig) (*Receiver, error) {
	if cfg.Clock.Now == nil || cfg.Clock.Wall == nil {
		return nil, errors.New("profile receiver: no clock given")
	}
	if cfg.Total <= 0 {
		cfg.Total = 2 << 30
	}
	if cfg.Linger <= 0 {
		cfg.Linger = 20 * time.Second
	}
	if cfg.OnCapture == nil {
		cfg.OnCapture = func(observation.Capture, []byte) {}
	}
	if cfg.OnWait == nil {
		cfg.OnWait = func(time.Duration) {}
	}
	if cfg.OnWarning == nil {
		cfg.OnWarning = func(string) {}
	}
	return &Receiver{
		cfg: cfg, arrived: make(chan struct{}, 1),
		got: map[int]*tally{}, warned: map[string]bool{}, senders: map[string]*sender{},
	}, nil
}

// BeginStep says that a step begins now.
func (r *Receiver) BeginStep(_ context.Context, step int, _ time.Duration) {
	at := r.cfg.Clock.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.steps.begin(step, at)
}

// EndStep says that a step ends now.
func (r *Receiver) EndStep(step int) {
	at := r.cfg.Clock.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.steps.end(step, at)
}

// Run takes profiles until ctx ends, and then those of the last step that are
// still on their way. After that the Receiver refuses what comes; Run returns
// when no callback is under way. It fails only if it was called before.
func (r *Receiver) Run(ctx context.Context) error {
	r.mu.Lock()
	if r.phase != phaseIdle {
		r.mu.Unlock()
		return errors.New("profile receiver: it has run before; hint: make a new one for each drill")
	}
	r.phase = phaseRunning
	r.mu.Unlock()

	<-ctx.Done()
	r.linger()
	r.mu.Lock()
	r.phase = phaseOver
	r.mu.Unlock()
	r.working.Wait()
	r.conclude()
	return nil
}

// linger waits for what the senders have not sent yet of the last step.
func (r *Receiver) linger() {
	if wait := r.missing(); wait > time.Second {
		r.cfg.OnWait(min(wait, r.cfg.Linger))
	}
	limit := time.NewTimer(r.cfg.Linger)
	defer limit.Stop()
	for {
		wait := r.missing()
		if wait <= 0 {
			return
		}
		next := time.NewTimer(wait)
		select {
		case <-r.arrived:
		case <-next.C:
		case <-limit.C:
			next.Stop()
			return
		case <-r.cfg.Hurry:
			next.Stop()
			return
		}
		next.Stop()
	}
}

// slackTime is how much later than usual a profile may come.
const slackTime = 2 * time.Second

// missing is how long a profile that reaches to the end of the last step may
// still take to arrive; 0 if none is due any more.
func (r *Receiver) missing() time.Duration {
	now := r.cfg.Clock.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	end, _ := r.steps.last()
	var wait time.Duration
	for _, s := range r.senders {
		if s.until >= end {
			continue
		}
		// The next one ends a period after the last and takes as long to arrive.
		due := s.until + s.every + max(s.behind, 0) + slackTime
		wait = max(wait, due-now)
	}
	return wait
}

// tally is what came of one step.
type tally struct {
	whole, part int
	every       time.Duration // how long the profiles span that lie in it in part
}

// note counts a profile. The caller holds the lock.
func (r *Receiver) note(step int, x received, share float64) {
	t := r.got[step]
	if t == nil {
		t = &tally{}
		r.got[step] = t
	}
	if (observation.Capture{File: "-", Samples: 1, Inside: share}).Usable() {
		t.whole++
		return
	}
	t.part++
	t.every = max(t.every, x.until-x.from)
}

// worthy is how long a step lasts of which a profile is missed: no warm-up.
const worthy = 5 * time.Second

// conclude says what the report should know about all that came.
func (r *Receiver) conclude() {
	if r.count == 0 {
		r.warn("no profile was received; hint: point the target's profiler at the address of --receive, such as with PYROSCOPE_ADHOC_SERVER_ADDRESS")
		return
	}
	var none []int
	every := time.Duration(0)
	for _, x := range r.steps.list {
		end := x.to
		if x.open {
			end = r.cfg.Clock.Now()
		}
		if t := r.got[x.step]; t != nil && t.whole == 0 && end-x.from >= worthy {
			none = append(none, x.step)
			every = max(every, t.every)
		}
	}
	if len(none) > 0 {
		r.warn(fmt.Sprintf("profiles of step %s were received, but each reaches into another step: they span %v; hint: have the target upload more often (UploadRate of pyroscope-go), or offer longer steps",
			numbers(none), every.Round(100*time.Millisecond)))
	}
}

// numbers lists steps, the first ones if they are many.
func numbers(list []int) string {
	const most = 8
	var b strings.Builder
	for i, n := range list {
		switch {
		case i == most:
			return fmt.Sprintf("%s and %d more", b.String(), len(list)-most)
		case i > 0:
			b.WriteString(", ")
		}
		fmt.Fprint(&b, n)
	}
	return b.String()
}

// enter counts a request in while the drill runs; who is counted in must leave. Run
// does not return before.
func (r *Receiver) enter() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch r.phase {
	case phaseOver:
		return refuse(http.StatusUnprocessableEntity, "the run is over; its profiles are no longer taken")
	case phaseIdle:
		return refuse(http.StatusUnprocessableEntity, "the run has not begun")
	}
	r.working.Add(1)
	return nil
}

// full refuses what comes when the run has kept as much as it may.
func (r *Receiver) full() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.bytes >= r.cfg.Total {
		return refuse(http.StatusTooManyRequests, "the run has %d bytes of profiles already, and keeps no more", r.bytes)
	}
	return nil
}

// warn hands a warning on, the first time. Only who is counted in may call it.
func (r *Receiver) warn(text string) {
	const most = 50
	r.mu.Lock()
	known := r.warned[text] || len(r.warned) >= most
	r.warned[text] = true
	r.mu.Unlock()
	if known {
		return
	}
	r.keep.Lock()
	defer r.keep.Unlock()
	r.cfg.OnWarning(text)
}
