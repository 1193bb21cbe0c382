package bus

import (
	"context"
	"fmt"
	"time"

	"github.com/headroom-project/headroom/scenarios"
)

// obey carries out orders that were not carried out yet, in their order.
func (s *session) obey(list []order) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range list {
		// A gap is filled by the next renewal.
		if o.N != s.seen+1 || s.failed != "" || s.over || s.stopped() {
			continue
		}
		s.seen = o.N
		switch {
		case o.Offer != nil:
			s.offer(*o.Offer)
		case o.Cut != nil:
			s.cut[*o.Cut] = true
			for _, p := range s.parts {
				p.attack.Cut(*o.Cut)
			}
		case o.Take != nil:
			s.take(o.N, *o.Take)
		case o.Finish:
			s.finished = true
			for _, p := range s.parts {
				p.attack.Finish()
			}
		}
	}
}

// offer begins a step; the caller holds the lock.
func (s *session) offer(o offer) {
	if rate, most := s.peak(o.Step), s.most(s.asg.Budget); most > 0 && rate > most*rateSlack {
		s.failed = fmt.Sprintf("step %d asks for %.4g requests/s of this worker, above its bound of %.4g", o.Step.Index, rate, most)
		return
	}
	// Clocks that drift apart are set right while nothing is due.
	if len(s.offers) > 0 && s.allIdle() {
		s.clock.shift(s.recent)
	}
	if len(s.offers) == 0 {
		s.measureStart(o.At)
	}
	s.offers = append(s.offers, o)
	for _, p := range s.parts {
		s.offerTo(p, o)
	}
}

func (s *session) offerTo(p *part, o offer) {
	if o.Step.Users > 0 && p.slice.Users(o.Step) == 0 {
		return // fewer users than slices: this one has none
	}
	p.idle = false
	if o.Hold {
		p.attack.Hold(o.Step, o.At, o.Began)
		return
	}
	p.attack.Offer(o.Step, o.At)
}

func (s *session) allIdle() bool {
	for _, p := range s.parts {
		if !p.idle {
			return false
		}
	}
	return true
}

// rateSlack allows for the rounding of shares.
const rateSlack = 1.001

// most is the highest rate that this worker may send at: its lease's and its own.
func (s *session) most(budget float64) float64 {
	most := budget
	if own := s.w.cfg.MaxRPS; own > 0 && (most <= 0 || own < most) {
		most = own
	}
	return most
}

// peak is the highest rate of a step that falls to this worker.
func (s *session) peak(step scenarios.Step) float64 {
	part := 0.0
	for _, p := range s.parts {
		part += 1 / float64(p.share.Of)
	}
	return step.Peak() * part
}

// take adds a share of a worker that was lost; the caller holds the lock. A share
// that cannot be taken is refused, and the controller is told: nobody offers it.
func (s *session) take(n uint64, t take) {
	running, late := s.ongoing(t.From)
	p, err := s.newPart(t.Share, late)
	if err == nil {
		err = s.bears(t, running)
	}
	if err != nil {
		s.refused = append(s.refused, refusal{Order: n, Why: err.Error()})
		s.log.Warn("a share was not taken", "why", err)
		return
	}
	s.parts = append(s.parts, p)
	s.asg.Budget = t.Budget
	for _, o := range running {
		s.offerTo(p, o)
	}
	if s.finished {
		p.attack.Finish()
	}
	s.start(p)
}

// bears says why this worker cannot offer a share of the steps that run besides its
// own, if it cannot.
func (s *session) bears(t take, running []offer) error {
	most := s.most(t.Budget)
	for _, o := range running {
		if rate := s.peak(o.Step) + o.Step.Peak()/float64(t.Share.Of); most > 0 && rate > most*rateSlack {
			return fmt.Errorf("it would send %.4g requests/s, above its bound of %.4g", rate, most)
		}
	}
	return nil
}

// ongoing returns the offers that are not over at drill time from, and what is to be
// left out of the first of them; the caller holds the lock.
func (s *session) ongoing(from time.Duration) (list []offer, late scenarios.Late) {
	for i, o := range s.offers {
		end := endOf(o, s.offers[i+1:])
		if s.cut[o.Step.Index] || end <= from {
			continue
		}
		if o.At < from {
			late = scenarios.Late{Step: o.Step.Index, First: o.Step.First, From: from - o.At}
		}
		list = append(list, o)
	}
	return list, late
}

// endOf is the drill time at which an offer ends, given those that came after it: what
// is held gives way to the next offer, and to a step that begins before another piece
// of it, as in an attack.
func endOf(o offer, after []offer) time.Duration {
	end := o.At + o.Step.Lasts
	for i, x := range after {
		if o.Hold && (i == 0 || !x.Hold || x.Step.Lasts == 0) {
			end = min(end, x.At)
		}
	}
	return end
}

// measureStart finds out how late this worker begins at drill time at.
func (s *session) measureStart(at time.Duration) {
	wait := s.clock.toLocal(at) - s.w.cfg.Now()
	s.aside.Go(func() {
		begin := time.NewTimer(max(wait, 0))
		defer begin.Stop()
		select {
		case <-begin.C:
		case <-s.quiet:
			return
		}
		late := s.w.cfg.Now() - s.clock.toLocal(at)
		s.mu.Lock()
		s.late = &late
		s.mu.Unlock()
	})
}

// renew asks for the lease again and again until the session is done. When nobody
// answers, it makes the connection anew: the old one may be waiting for a
// retransmission.
func (s *session) renew(ctx context.Context) {
	tick := time.NewTicker(s.asg.Renew)
	defer tick.Stop()
	silent := s.w.cfg.Now()
	for {
		select {
		case <-s.done:
			return
		case <-tick.C:
		}
		switch answered := s.renewOnce(ctx); {
		case answered:
			silent = s.w.cfg.Now()
		case s.w.cfg.Now()-silent > silence:
			silent = s.w.cfg.Now()
			_ = s.w.cfg.Conn.ForceReconnect()
		}
	}
}

// silence is how long a controller may not answer before the connection is made anew.
const silence = 700 * time.Millisecond

func (s *session) renewOnce(ctx context.Context) (answered bool) {
	asked := s.w.cfg.Now()
	var reply lease
	if err := s.w.ask(ctx, leaseSubject, max(2*s.asg.Renew, 250*time.Millisecond), s.renewal(), &reply); err != nil {
		return false
	}
	s.noteClock(measure(asked, s.w.cfg.Now(), reply.Now))
	if reply.Over {
		s.stop("the controller has given this worker's part away, or ended the run")
		return true
	}
	// The lease counts from the instant of asking: the controller's counts from
	// later.
	if s.clock.extend(asked + s.asg.Lease) {
		s.obey(reply.Orders)
	}
	return true
}

// noteClock follows the clocks; a round trip that took long tells nothing, nor does
// one within the controller's own process.
func (s *session) noteClock(o offset) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.w.cfg.Given != nil || o.err > 4*s.offset.err+time.Millisecond {
		return
	}
	s.recent = o
	s.drift = o.by - s.offset.by
}

func (s *session) renewal() renewal {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := renewal{
		Run: s.asg.Run, Epoch: s.asg.Epoch, Seen: s.seen, From: s.w.cfg.Conn.LocalAddr(), Late: s.late, ClockError: s.offset.err, Drift: s.drift,
		Unstored: s.pub.unstored(), Failed: s.failed, Refused: s.refused,
	}
	r.CPU, r.Cores = s.spent.since(s.w.cfg)
	return r
}

// usage is what a process has used up to a time.
type usage struct{ cpu, at time.Duration }

func (u *usage) read(cfg WorkerConfig) (used time.Duration, cores float64) {
	if cfg.CPU == nil {
		return 0, 0
	}
	used, cores = cfg.CPU()
	u.cpu, u.at = used, cfg.Now()
	return used, cores
}

// since is the mean use since the last look, in cores.
func (u *usage) since(cfg WorkerConfig) (used, cores float64) {
	before := *u
	now, cores := u.read(cfg)
	if d := u.at - before.at; d > 0 {
		used = float64(now-before.cpu) / float64(d)
	}
	return used, cores
}
