package profiler

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/profiler/resources"
)

// Profiles is where a session takes captures from; *pprofhttp.Client is one.
type Profiles interface {
	// Capture fetches one profile of a type over so many seconds, or with 0 what
	// is at the moment, in pprof's format, gzip-compressed, of bounded size; the
	// data is the caller's. It may span less than asked for, and come with an
	// error that says what of it is missing. It returns soon after ctx ends. It
	// is called concurrently for several types.
	Capture(ctx context.Context, typ string, seconds int) ([]byte, error)
}

// Counter reads exact totals of a target; *pprofhttp.Client is one.
type Counter interface {
	// Counters returns totals since the target began, by name; the map is the
	// caller's. It returns soon after ctx ends.
	Counters(ctx context.Context) (map[string]float64, error)
}

// Config says what a session looks at and where it hands that on. All callbacks
// are called from within Run, never two at a time; while one blocks, sampling
// goes on only as far as it has been asked for already.
type Config struct {
	// Pprof is nil if the target serves no profiles.
	Pprof Profiles
	// Counters is nil where exact totals come from elsewhere, or from nowhere.
	Counters Counter
	// Instances is how many instances of the target Pprof captures as one:
	// default 1.
	Instances int
	// Types are the types of capture: default DefaultTypes.
	Types []string
	// Readers look at the target's resources; their sources differ.
	Readers []resources.Reader
	// Every is the interval between two looks of a reader: default one second.
	Every time.Duration
	// MaxCapture bounds how long a long step is profiled, over all its blocks:
	// default 30 s.
	MaxCapture time.Duration
	// Now is the drill's clock. It must be given.
	Now func() time.Duration

	// OnSample is handed samples as they are read; the slice is the callee's.
	OnSample func([]observation.Sample)
	// OnCapture is handed each capture with its data, gzip-compressed; or, with
	// Error set, without.
	OnCapture func(observation.Capture, []byte)
	// OnWarning is handed what the report must say: one sentence for each reader
	// that failed, the first time.
	OnWarning func(string)
}

// DefaultTypes are the types of capture that are taken unless others are asked
// for.
func DefaultTypes() []string {
	return []string{"cpu", "allocs", "heap", "mutex", "block", "goroutine"}
}

// Session watches a target while it is drilled. Run does the work; BeginStep
// and EndStep tell it what is being offered, from any goroutine, without
// waiting.
type Session struct {
	cfg      Config
	started  atomic.Bool
	commands chan command
	// nudges ask each reader to look at once.
	nudges []chan struct{}
}

// command tells Run that a step began or ended.
type command struct {
	begin bool
	step  int
	at    time.Duration
	lasts time.Duration
	// follow arranges that the step ends with its context, until stop is called.
	follow func() (stop func() bool)
}

// maxCommands is how many commands may wait for Run. It takes them within
// microseconds, unless a callback blocks it; steps take seconds.
const maxCommands = 64

// NewSession returns a session. It fails if the configuration makes no sense.
func NewSession(cfg Config) (*Session, error) {
	if cfg.Now == nil {
		return nil, errors.New("profiler session: no clock given")
	}
	if cfg.Every <= 0 {
		cfg.Every = time.Second
	}
	if cfg.MaxCapture < time.Second {
		cfg.MaxCapture = 30 * time.Second
	}
	if cfg.Types == nil {
		cfg.Types = DefaultTypes()
	}
	if cfg.OnSample == nil {
		cfg.OnSample = func([]observation.Sample) {}
	}
	if cfg.OnCapture == nil {
		cfg.OnCapture = func(observation.Capture, []byte) {}
	}
	if cfg.OnWarning == nil {
		cfg.OnWarning = func(string) {}
	}
	s := &Session{cfg: cfg, commands: make(chan command, maxCommands)}
	seen := map[string]bool{}
	for _, r := range cfg.Readers {
		if seen[r.Source()] {
			return nil, fmt.Errorf("profiler session: two readers are called %q", r.Source())
		}
		seen[r.Source()] = true
		s.nudges = append(s.nudges, make(chan struct{}, 1))
	}
	return s, nil
}

// BeginStep says that a step begins now and is to last so long. Captures are
// planned over blocks of it, with others between that are left alone; they end
// with EndStep or with ctx, whichever is first. A step that was still open ends.
func (s *Session) BeginStep(ctx context.Context, index int, lasts time.Duration) {
	s.tell(command{
		begin: true, step: index, at: s.cfg.Now(), lasts: lasts,
		follow: func() func() bool { return context.AfterFunc(ctx, func() { s.EndStep(index) }) },
	})
}

// EndStep says that a step ends now, on time or early. A capture whose span is
// over may still be received for a moment; any other is given up.
func (s *Session) EndStep(index int) {
	s.tell(command{step: index, at: s.cfg.Now()})
}

// tell hands a command to Run, and asks for a look, so that an interval of
// samples begins and ends with the step.
func (s *Session) tell(c command) {
	select {
	case s.commands <- c:
	default: // Run has ended, or has been stuck for as many steps
	}
	s.nudge()
}

// nudge asks every reader to look at once.
func (s *Session) nudge() {
	for _, nudge := range s.nudges {
		select {
		case nudge <- struct{}{}:
		default:
		}
	}
}

// Run watches until ctx ends, which is no error. It returns when all that it
// began has ended: within a second of ctx, if readers and captures keep to
// their contracts. It fails only if it was called before.
func (s *Session) Run(ctx context.Context) error {
	if !s.started.CompareAndSwap(false, true) {
		return errors.New("profiler session: it has run before; hint: make a new one for each drill")
	}
	looks := make(chan look)
	readers := s.watch(ctx, looks)
	shots := make(chan shot)
	st := newState(s.cfg, shots)
	st.nudge = s.nudge
	for running := true; running; {
		select {
		case <-ctx.Done():
			running = false
		case c := <-s.commands:
			st.obey(ctx, c)
		case l := <-looks:
			// A look was asked for after the command, so that goes first.
			s.obeyAll(ctx, st)
			st.take(l)
		case sh := <-shots:
			st.deliver(sh)
		}
	}
	s.obeyAll(ctx, st)
	st.endAll()
	for st.flying > 0 {
		st.deliver(<-shots)
	}
	readers.Wait()
	return nil
}

// obeyAll takes the commands that wait.
func (s *Session) obeyAll(ctx context.Context, st *state) {
	for {
		select {
		case c := <-s.commands:
			st.obey(ctx, c)
		default:
			return
		}
	}
}
