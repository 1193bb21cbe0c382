package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/headroom-project/headroom/loadgen"
	"github.com/headroom-project/headroom/loadgen/attack"
	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

// session is one worker's part in one drill: from its assignment until its last
// window is stored.
type session struct {
	w        *Worker
	asg      assignment
	compiled *Compiled
	allow    *attack.AllowList
	clock    *drillClock
	offset   offset // at the begin
	pub      *publisher
	log      *slog.Logger
	ended    chan struct{} // closed when nothing of it runs
	halt     chan struct{} // closed by stop
	haltOnce sync.Once
	quiet    chan struct{} // closed when the last attack has ended
	done     chan struct{} // closed when the last window is stored, or given up
	aside    sync.WaitGroup
	spent    usage

	mu       sync.Mutex
	parts    []*part
	running  int    // attacks
	over     bool   // none runs, and none will
	seen     uint64 // the number of the last order
	offers   []offer
	cut      map[int]bool
	finished bool
	seq      uint64
	open     []*observation.Window // of the message that is being filled
	late     *time.Duration
	failed   string
	refused  []refusal
	drift    time.Duration
	recent   offset // of the last renewals
}

// part is one slice of the plan that this worker offers: its own, or one that it
// took over. attack, share and kill do not change.
type part struct {
	share    share
	slice    scenarios.Slice
	attack   *attack.Attack
	kill     context.CancelFunc
	idle     bool
	inFlight int
}

// pings is how many round trips the offset is measured by.
const pings = 16

// newSession prepares to attack. Nothing is sent yet.
func newSession(ctx context.Context, w *Worker, a assignment, c *Compiled) (*session, error) {
	s := &session{
		w: w, asg: a, compiled: c, log: w.cfg.Log.With("run", a.Run), cut: map[int]bool{},
		allow: c.Allow.Within(w.cfg.Allow),
		ended: make(chan struct{}), halt: make(chan struct{}), quiet: make(chan struct{}), done: make(chan struct{}),
		pub: newPublisher(w.js, windowSubject+a.Run+"."+w.cfg.ID, fmt.Sprintf("%s/%d/%s", a.Run, a.Epoch, w.cfg.ID)),
	}
	var err error
	if s.offset, err = s.measure(ctx); err != nil {
		return nil, fmt.Errorf("measure the clock's offset: %w", err)
	}
	s.recent = s.offset
	s.clock = newDrillClock(w.cfg.Now, s.offset, w.cfg.Now()+a.Lease)
	s.spent.read(w.cfg)
	p, err := s.newPart(a.Share, scenarios.Late{})
	if err != nil {
		return nil, err
	}
	s.parts = []*part{p}
	return s, nil
}

// measure finds the offset to drill time by round trips; the quickest counts. In the
// controller's own process there is none: both have the same clock.
func (s *session) measure(ctx context.Context) (offset, error) {
	if s.w.cfg.Given != nil {
		return offset{}, nil
	}
	best := offset{err: time.Hour}
	for range pings {
		asked := s.w.cfg.Now()
		var reply clockReply
		if err := s.w.ask(ctx, clockSubject, time.Second, clockRequest{Run: s.asg.Run}, &reply); err != nil {
			return best, err
		}
		best = best.better(measure(asked, s.w.cfg.Now(), reply.Now))
	}
	return best, nil
}

// newPart makes the attack for a share.
func (s *session) newPart(x share, late scenarios.Late) (*part, error) {
	p := &part{share: x, idle: true}
	p.slice = s.compiled.Plan.Slice(x.Index, x.Of)
	p.slice.Late = late
	cfg := loadgen.AttackConfig(s.compiled.Scenario, p.slice)
	cfg.Requests, cfg.Allow, cfg.Worker, cfg.Now = s.compiled.Requests, s.allow, s.w.cfg.Name, s.clock.Now
	cfg.Raw = s.w.cfg.Raw
	cfg.Emit = func(w *observation.Window) { s.emit(p, w) }
	var err error
	p.attack, err = attack.New(cfg)
	return p, err
}

// run attacks until the drill is over, and returns when the last window is stored
// or given up. standBy is called once orders are taken.
func (s *session) run(ctx context.Context, standBy func()) {
	defer close(s.ended)
	// The publisher outlives ctx: what was observed is to be stored.
	store, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()
	s.aside.Go(func() { s.renew(store) })
	s.aside.Go(func() { s.watch(ctx) })
	s.mu.Lock()
	s.start(s.parts[0])
	s.mu.Unlock()
	standBy()
	stored := make(chan error, 1)
	go func() { stored <- s.pub.run(store) }()
	<-s.quiet
	s.confess(store)
	s.flush(true)
	s.pub.close()
	keep := time.NewTimer(s.asg.Keep)
	defer keep.Stop()
	var err error
	select {
	case err = <-stored:
	case <-keep.C:
		giveUp()
		err = <-stored
	}
	close(s.done)
	s.aside.Wait()
	if err != nil {
		s.log.Error("windows are lost", "error", err)
	}
}

// start runs a part; the caller holds the lock. No part is started after the last one
// has ended: what it saw would follow the last message.
func (s *session) start(p *part) {
	ctx, kill := context.WithCancel(context.Background())
	p.kill = kill
	s.running++
	go func() {
		defer kill()
		if err := p.attack.Run(ctx); err != nil && !errors.Is(err, context.Canceled) {
			s.fail(err.Error())
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.running--; s.running == 0 {
			s.over = true
			close(s.quiet)
		}
	}()
}

// confess tells the controller why this worker ends, if it is not because the drill
// is over, before the last message tells it that it has ended.
func (s *session) confess(ctx context.Context) {
	s.mu.Lock()
	failed := s.failed
	s.mu.Unlock()
	if failed != "" {
		s.log.Error("this worker cannot go on", "error", failed)
		s.renewOnce(ctx)
	}
}

// stop ends all load and cancels what is in flight. It may be called often.
func (s *session) stop(why string) {
	s.haltOnce.Do(func() {
		s.log.Info("load stopped", "why", why)
		s.clock.stop()
		s.mu.Lock()
		defer s.mu.Unlock()
		close(s.halt)
		for _, p := range s.parts {
			if p.kill != nil {
				p.kill()
			}
		}
	})
}

func (s *session) stopped() bool {
	select {
	case <-s.halt:
		return true
	default:
		return false
	}
}

// leaveIn is how long the end of a session may take whose last window is stored.
const leaveIn = time.Second

// leaves says that the drill is over for this worker. Its controller may know that
// before the worker does.
func (s *session) leaves() bool {
	select {
	case <-s.quiet:
	default:
		return false
	}
	limit := time.NewTimer(leaveIn)
	defer limit.Stop()
	select {
	case <-s.ended:
		return true
	case <-limit.C:
		return false
	}
}

// fail tells the controller that this worker cannot go on.
func (s *session) fail(why string) {
	s.mu.Lock()
	if s.failed == "" {
		s.failed = why
	}
	s.mu.Unlock()
}

// watch stops the load when the lease runs out, or the worker is to end.
func (s *session) watch(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	end := ctx.Done()
	for {
		select {
		case <-timer.C:
			left := time.Duration(s.clock.deadline.Load()) - s.w.cfg.Now()
			if left <= 0 || s.clock.lapsed.Load() {
				s.stop("the lease ran out")
				return
			}
			timer.Reset(left)
		case <-end:
			s.stop("the worker was ended")
			return
		case <-s.halt:
			return
		case <-s.done:
			return
		}
	}
}

// emit takes a window of one part: all parts of a worker count as one.
func (s *session) emit(p *part, w *observation.Window) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seq++
	w.Seq = s.seq
	p.inFlight = w.InFlight
	if w.Last {
		p.idle = w.Idle
	}
	w.InFlight = 0
	idle := true
	for _, x := range s.parts {
		w.InFlight += x.inFlight
		idle = idle && x.idle
	}
	w.Idle = w.Idle && idle
	s.open = append(s.open, w)
	if w.Last {
		s.send(false)
	}
}

// flush sends what is open.
func (s *session) flush(final bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.send(final)
}

// send queues the open windows; the caller holds the lock, so that messages are in
// the order of their windows.
func (s *session) send(final bool) {
	s.pub.add(encodeBatch(batch{Epoch: s.asg.Epoch, Final: final, Windows: s.open}))
	s.open = nil
}
