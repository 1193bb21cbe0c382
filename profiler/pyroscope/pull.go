package pyroscope

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/pprof/profile"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/profiler"
)

// PullerConfig says what a Puller asks for and where it hands that on. The
// callbacks are called one at a time, and only while Run runs.
type PullerConfig struct {
	Server *Server
	// Clock must be given.
	Clock Clock
	// Service and Labels select the target's profiles.
	Service string
	Labels  map[string]string
	// Types are the types of capture: default all that a server may have, of which
	// those that it does not have are left out without a word but one.
	Types []string
	// Interval is how often the target's agent uploads. If it is 0, the server's
	// timestamps say, or else it is 15 s, as of pyroscope-go. It must be given where
	// several instances upload.
	Interval time.Duration
	// Patience bounds how long Run goes on asking after its context has ended:
	// default the interval and 15 s.
	Patience time.Duration
	// Hurry, if it is closed, ends that.
	Hurry <-chan struct{}

	OnCapture func(observation.Capture, []byte)
	OnWarning func(string)
	// OnWait is told how long Run will go on at most after its context has ended.
	OnWait func(time.Duration)
}

// usualInterval is pyroscope-go's.
const usualInterval = 15 * time.Second

// Puller asks a Pyroscope server for a target's profiles of each step, once they
// can be there: agents upload what they took every so often, so the profiles of a
// step's end come an interval later.
type Puller struct {
	cfg      PullerConfig
	selector string
	kinds    []pulled

	mu      sync.Mutex
	started bool
	steps   steps
	jobs    []*job // that wait
	wake    chan struct{}
}

// job is one type of capture of one step.
type job struct {
	span span
	kind pulled
	// typeID is the main one that the server has; the first that is tried.
	typeID int
	due    time.Duration
	tries  int
	last   error
}

// settle is how long after its begin a step is left alone, as by captures: the
// change of load is not the load.
const settle = time.Second

// grace is how much later than an interval after a step its last profile may come.
const grace = 3 * time.Second

// NewPuller returns a Puller. It fails if the configuration makes no sense.
func NewPuller(cfg PullerConfig) (*Puller, error) {
	switch {
	case cfg.Clock.Now == nil || cfg.Clock.Wall == nil:
		return nil, errors.New("pull profiles: no clock given")
	case cfg.Server == nil || cfg.Service == "":
		return nil, errors.New("pull profiles: no server or no service given")
	}
	if cfg.Patience <= 0 {
		cfg.Patience = cmp.Or(cfg.Interval, usualInterval) + 15*time.Second
	}
	if cfg.OnWait == nil {
		cfg.OnWait = func(time.Duration) {}
	}
	if cfg.OnCapture == nil {
		cfg.OnCapture = func(observation.Capture, []byte) {}
	}
	if cfg.OnWarning == nil {
		cfg.OnWarning = func(string) {}
	}
	p := &Puller{cfg: cfg, selector: selectorOf(cfg.Service, cfg.Labels), wake: make(chan struct{}, 1)}
	for _, x := range allPulled {
		if len(cfg.Types) == 0 || slices.Contains(cfg.Types, x.typ) {
			p.kinds = append(p.kinds, x)
		}
	}
	return p, nil
}

// BeginStep says that a step begins now.
func (p *Puller) BeginStep(_ context.Context, step int, _ time.Duration) {
	at := p.cfg.Clock.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.steps.begin(step, at)
}

// EndStep says that a step ends now.
func (p *Puller) EndStep(step int) {
	at := p.cfg.Clock.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	ended, ok := p.steps.end(step, at)
	if !ok || ended.to-ended.from < 2*settle {
		return
	}
	for _, kind := range p.kinds {
		p.jobs = append(p.jobs, &job{span: ended, kind: kind, due: at + grace, last: errNothing})
	}
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// Run asks until ctx ends, and then on for what is still missing, within the
// patience. It fails only if it was called before.
func (p *Puller) Run(ctx context.Context) error {
	p.mu.Lock()
	again := p.started
	p.started = true
	p.mu.Unlock()
	if again {
		return errors.New("pull profiles: it has run before; hint: make a new one for each drill")
	}
	// What is asked outlives the drill by the patience.
	asking, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(hurried(asking, p.cfg.Hurry), cancel)()
	limit := make(<-chan time.Time)
	over := ctx.Done()
	for {
		next := p.ask(asking)
		if over == nil && next < 0 || asking.Err() != nil {
			break
		}
		timer := time.NewTimer(max(next, 10*time.Millisecond))
		if next < 0 {
			timer.Stop()
		}
		select {
		case <-over:
			over = nil
			if next >= 0 {
				p.cfg.OnWait(p.cfg.Patience)
			}
			end := time.NewTimer(p.cfg.Patience)
			defer end.Stop()
			limit = end.C
		case <-limit:
			cancel()
		case <-asking.Done():
		case <-p.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
	p.giveUp()
	return nil
}

// hurried is a context that ends when hurry is closed, or its parent ends.
func hurried(parent context.Context, hurry <-chan struct{}) context.Context {
	ctx, cancel := context.WithCancel(parent)
	go func() {
		defer cancel()
		select {
		case <-hurry:
		case <-parent.Done():
		}
	}()
	return ctx
}

// ask does the jobs that are due. It returns how long until the next is; negative
// if none is left.
func (p *Puller) ask(ctx context.Context) time.Duration {
	p.mu.Lock()
	waiting := p.jobs
	p.jobs = nil
	p.mu.Unlock()
	var left []*job
	for _, j := range waiting {
		if ctx.Err() != nil || j.due > p.cfg.Clock.Now() || !p.do(ctx, j) {
			left = append(left, j)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.jobs = append(left, p.jobs...)
	if len(p.jobs) == 0 {
		return -1
	}
	next := p.jobs[0].due
	for _, j := range p.jobs {
		next = min(next, j.due)
	}
	return max(next-p.cfg.Clock.Now(), 0)
}

// do asks for one capture. It reports whether the job is done: with a capture, or
// because there will never be one.
func (p *Puller) do(ctx context.Context, j *job) bool {
	got, err := p.attempt(ctx, j)
	now := p.cfg.Clock.Now()
	if err == nil {
		p.deliver(j, got)
		return true
	}
	j.last = err
	j.tries++
	j.due = now + min(retry*time.Duration(j.tries), 10*time.Second)
	var w *waitError
	if errors.As(err, &w) {
		j.due = max(w.until, now+retry)
		return false
	}
	j.typeID = (j.typeID + 1) % len(j.kind.main) // another of its names, next time
	if ctx.Err() != nil || passing(err) && now < j.span.to+p.cfg.Patience {
		return false
	}
	p.fail(j, err)
	return true
}

// retry is the least time between two attempts.
const retry = 2 * time.Second

// answer is what a server has of a step.
type answer struct {
	profile  *profile.Profile
	from, to time.Duration
}

// waitError: the profiles of the step's end cannot be there yet.
type waitError struct{ until time.Duration }

func (*waitError) Error() string { return "the profiles of the step's end were not there yet" }

// attempt asks once.
func (p *Puller) attempt(ctx context.Context, j *job) (answer, error) {
	sel := selection{
		typeID: j.kind.main[j.typeID], selector: p.selector,
		from: p.cfg.Clock.wall(j.span.from), until: p.cfg.Clock.wall(j.span.to),
	}
	// A while before the step shows how often the target uploads.
	before := sel
	before.from = sel.from.Add(-4 * usualInterval)
	times, err := p.cfg.Server.times(ctx, before)
	if err != nil && !absent(err) {
		return answer{}, err
	}
	c, err := p.cover(j, times, err == nil)
	if err != nil {
		return answer{}, err
	}
	sel.from, sel.until = c.ask[0], c.ask[1]
	got, err := p.cfg.Server.fetch(ctx, j.kind, sel)
	return answer{got, c.from, c.to}, err
}

// deliver hands a capture on.
func (p *Puller) deliver(j *job, a answer) {
	a.profile.TimeNanos = p.cfg.Clock.wall(a.from).UnixNano()
	a.profile.DurationNanos = int64(a.to - a.from)
	data, err := encoded(a.profile)
	var sum profiler.Summary
	if err == nil {
		sum, err = profiler.Summarise(data)
	}
	if err != nil {
		p.fail(j, err)
		return
	}
	p.cfg.OnCapture(observation.Capture{
		Step: j.span.step, Type: j.kind.typ, From: a.from, To: a.to, Samples: sum.Samples,
		File:   fmt.Sprintf("profiles/step-%02d.%s.pyroscope.pb.gz", j.span.step, j.kind.typ),
		Source: observation.CapturePyroscope, Labels: map[string]string{labelService: p.cfg.Service},
	}, data)
}

// fail hands on that there is no capture.
func (p *Puller) fail(j *job, err error) {
	if errors.Is(err, errNothing) && j.kind.typ != "cpu" && len(p.cfg.Types) == 0 {
		return // agents send what they are set to; CPU is always among it
	}
	p.cfg.OnCapture(observation.Capture{
		Step: j.span.step, Type: j.kind.typ, From: j.span.from, To: j.span.to,
		Source: observation.CapturePyroscope, Error: "pyroscope: " + err.Error(),
	}, nil)
}

// giveUp ends the jobs that are left.
func (p *Puller) giveUp() {
	p.mu.Lock()
	left := p.jobs
	p.jobs = nil
	p.mu.Unlock()
	missing := 0
	for _, j := range left {
		p.fail(j, j.last)
		if j.kind.typ == "cpu" {
			missing++
		}
	}
	if missing > 0 {
		p.cfg.OnWarning(fmt.Sprintf("the Pyroscope server gave no CPU profile of %d steps; hint: check service and labels under profiles.pyroscope, and that steps are twice as long as the interval at which the target uploads", missing))
	}
}
