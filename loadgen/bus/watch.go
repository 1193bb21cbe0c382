package bus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/headroom-project/headroom/loadgen"
	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

// watchEvery is how often the fleet looks for workers that are lost.
const watchEvery = 20 * time.Millisecond

// SkewGoal is how far apart workers may begin before the report warns of it.
const SkewGoal = 5 * time.Millisecond

// watch looks after the workers until the drill is over for all of them, and then
// lets the windows end.
func (f *Fleet) watch(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			f.stream.stop()
			return
		}
		f.mu.Lock()
		news, over := f.look(f.cfg.Now())
		f.mu.Unlock()
		// Not under the lock: who is told may be waiting for it.
		for _, n := range news {
			f.notify(n)
		}
		if over {
			f.stream.stop()
			return
		}
	}
}

// look decides what is to be done at drill time now. The caller holds the lock.
func (f *Fleet) look(now time.Duration) (news []observation.FleetRecord, over bool) {
	news = append(news, f.begunAll()...)
	for _, m := range f.list {
		news = append(news, f.refusals(m, now)...)
		if m.lost || m.final && (f.finished || f.killed > 0) {
			continue
		}
		switch stopped := now > m.heard+f.cfg.Terms.Lease+margin; {
		case m.final:
			// It said that it ends: nothing of it runs any more.
			news = append(news, f.lose(m, now, cmp.Or(m.condemned, "it left the fleet"))...)
		case stopped && m.condemned != "":
			news = append(news, f.lose(m, now, m.condemned)...)
		case stopped:
			m.condemned = fmt.Sprintf("nothing was heard of it for %.1f s", (now - m.heard).Seconds())
			if f.cfg.InProcess {
				m.condemned = fmt.Sprintf("this process stood still for %.1f s, and what had come due meanwhile is not sent; hint: begin the drill anew, and let it run", (now - m.heard).Seconds())
			}
			news = append(news, f.lose(m, now, m.condemned)...)
		}
	}
	over = true
	// Without workers there is nothing to wait for but what they have seen.
	ending := f.finished || f.killed > 0 || !slices.ContainsFunc(f.list, func(m *member) bool { return !m.lost })
	for _, m := range f.list {
		done, missing := f.settle(m, now, ending)
		over = over && done
		news = append(news, missing...)
	}
	return news, over && ending
}

// refusals deals with shares that a worker was given and did not take: nobody offers
// them from here on.
func (f *Fleet) refusals(m *member, now time.Duration) (news []observation.FleetRecord) {
	for ; m.refused < len(m.last.Refused); m.refused++ {
		x := m.last.Refused[m.refused]
		if x.Order == 0 || x.Order > uint64(len(m.orders)) || m.orders[x.Order-1].Take == nil {
			continue // no such share was given
		}
		t := m.orders[x.Order-1].Take
		held := len(m.shares)
		m.shares = slices.DeleteFunc(m.shares, func(s share) bool { return s == t.Share })
		if len(m.shares) == held {
			continue // it has been told already
		}
		news = append(news, f.degrade(observation.FleetRecord{
			What: observation.FleetNote, From: t.From, Until: max(now, t.From),
			Text: fmt.Sprintf("worker %s did not take the part that it was given of a lost worker's share: %s", m.name, strings.ToValidUTF8(x.Why[:min(len(x.Why), maxText)], "")),
		}, ""))
	}
	return news
}

// begunAll tells once how far apart the workers began.
func (f *Fleet) begunAll() []observation.FleetRecord {
	if f.started || len(f.offers) == 0 || f.cfg.InProcess {
		return nil
	}
	var least, most, clock time.Duration
	for i, m := range f.list {
		if m.lost {
			continue
		}
		if m.last.Late == nil {
			return nil
		}
		if i == 0 {
			least, most = *m.last.Late, *m.last.Late
		}
		least, most, clock = min(least, *m.last.Late), max(most, *m.last.Late), max(clock, m.last.ClockError)
	}
	f.started = true
	r := observation.FleetRecord{What: observation.FleetStarted, Skew: most - least + clock, ClockError: clock}
	if r.Skew > SkewGoal {
		r.Text = fmt.Sprintf("the workers began up to %.1f ms apart (their clocks are known to %.1f ms): arrivals are as planned on each, but not among them",
			millis(r.Skew), millis(clock))
	}
	return []observation.FleetRecord{r}
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// lose takes a worker out of the drill, which has stopped, and does what the
// scenario says about its share.
func (f *Fleet) lose(m *member, now time.Duration, why string) []observation.FleetRecord {
	m.lost, m.lostAt, m.condemned = true, now, why
	r := observation.FleetRecord{
		What: observation.FleetLost, Worker: f.windowName(m, f.cfg.Epoch), From: m.told, Until: now,
		Text: fmt.Sprintf("worker %s was lost at %.1f s of the drill: %s", m.name, now.Seconds(), why),
	}
	var alive []*member
	for _, x := range f.list {
		if !x.lost {
			alive = append(alive, x)
		}
	}
	if f.finished || f.killed > 0 {
		return []observation.FleetRecord{r}
	}
	if len(alive) == 0 {
		f.err = fmt.Errorf("every worker was lost, the last was %s: %s", m.name, why)
		if f.cfg.InProcess {
			f.err = errors.New(why)
		}
		return []observation.FleetRecord{r}
	}
	switch policy := f.plan.policy; policy {
	case scenarios.LostAbort:
		r.Abort = true
		return []observation.FleetRecord{r}
	case scenarios.LostDegrade:
		return []observation.FleetRecord{f.degrade(r, "")}
	}
	if why := f.cannotTake(m, alive); why != "" {
		return []observation.FleetRecord{f.degrade(r, why)}
	}
	from := now + takeLead
	f.giveAway(m, alive, from)
	r.Until = from + settleIn
	return []observation.FleetRecord{r, {
		What: observation.FleetRebalanced, Worker: r.Worker,
		Text: fmt.Sprintf("its share was given to %d others from %.1f s on, %.1f s after it was last heard of", len(alive), from.Seconds(), (from - m.heard).Seconds()),
	}}
}

// takeLead is how far ahead a share is given away, so that its first hits are not
// late; settleIn is how long new connections may disturb the figures after that.
const (
	takeLead = 60 * time.Millisecond
	settleIn = time.Second
)

// degrade goes on without the share: what is offered from here on is less.
func (f *Fleet) degrade(r observation.FleetRecord, why string) observation.FleetRecord {
	for _, o := range f.offers {
		// The rest of the step that runs is not what was planned. What is held until
		// the next one is in no figure.
		if o.end > r.Until && !o.Hold {
			r.Until = o.end
		}
	}
	r.Share = f.share()
	r.Text += fmt.Sprintf("; the drill goes on with %.0f%% of the offered load", 100*r.Share)
	if why != "" {
		r.Text += ", because " + why
	}
	return r
}

// share is the part of the plan that the workers left offer.
func (f *Fleet) share() float64 {
	sum := 0.0
	for _, m := range f.list {
		for _, s := range m.shares {
			if !m.lost {
				sum += 1 / float64(s.Of)
			}
		}
	}
	return sum
}

// giveAway splits a lost worker's shares evenly: of k workers, the j-th takes every
// k-th of its hits.
func (f *Fleet) giveAway(m *member, alive []*member, from time.Duration) {
	for _, s := range m.shares {
		for j, x := range alive {
			piece := share{Index: s.Index + j*s.Of, Of: s.Of * len(alive)}
			x.shares = append(x.shares, piece)
			f.send(x, order{Take: &take{Share: piece, From: from, Budget: f.budget(x, f.plan.maxRPS)}})
		}
	}
}

// settle says whether nothing more is to be expected of a worker. Of one that was
// lost, it says how much is missing. ending says that the drill waits for nothing
// else.
func (f *Fleet) settle(m *member, now time.Duration, ending bool) (done bool, news []observation.FleetRecord) {
	switch {
	case m.final || m.settled:
		return true, nil
	case m.lost && now < m.lostAt+f.cfg.Terms.Keep && !(ending && f.gone(m, now)):
		return false, nil
	case !m.lost && (f.killed == 0 || now < f.killed+f.cfg.Terms.Lease+storeIn):
		return false, nil
	}
	m.settled = true
	hits := f.untold(m)
	if hits == 0 && m.lost && f.uncounted(m) {
		return true, []observation.FleetRecord{{
			What: observation.FleetMissing, Worker: f.windowName(m, f.cfg.Epoch),
			Text: fmt.Sprintf("of worker %s nothing is stored after %.1f s: what its virtual users sent until it stopped is in no figure, and a closed load does not say how much that may be", m.name, m.told.Seconds()),
		}}
	}
	if hits == 0 {
		return true, nil
	}
	return true, []observation.FleetRecord{{
		What: observation.FleetMissing, Worker: f.windowName(m, f.cfg.Epoch), Hits: hits,
		Text: fmt.Sprintf("of worker %s nothing is stored after %.1f s: up to %d hits that it sent until it stopped are in no figure", m.name, m.told.Seconds(), hits),
	}}
}

// untold counts the hits that a worker has sent at most and not told of.
func (f *Fleet) untold(m *member) uint64 {
	return f.plan.between(m.shares, f.offers, m.told, m.heard+f.cfg.Terms.Lease)
}

// uncounted says that a worker may have sent hits since it last told that no plan
// counts: those of virtual users, who ask when they are answered, and those of a flow
// behind its first.
func (f *Fleet) uncounted(m *member) bool {
	return slices.ContainsFunc(f.offers, func(o running) bool {
		return (o.Step.Users > 0 || f.plan.plan.Flow > 0) && o.At < m.heard+f.cfg.Terms.Lease && o.end > m.told
	})
}

// goneEvery is how often it is looked whether a lost worker is gone.
const goneEvery = 200 * time.Millisecond

// gone says that a lost worker, which has stopped and is fenced, has nothing more to
// tell: it has told of all that it sent, or its process has ended. A worker that is
// only cut off keeps its windows, and hands them in when it comes back.
func (f *Fleet) gone(m *member, now time.Duration) bool {
	if m.looked > 0 && now < m.looked+goneEvery {
		return false
	}
	m.looked = now
	return m.flying == 0 && f.untold(m) == 0 && !f.uncounted(m) || f.hub.cfg.Left != nil && f.hub.cfg.Left(m.info.ID, m.last.From)
}

// planner answers questions about the plan.
type planner struct {
	plan   *scenarios.Plan
	policy scenarios.LostWorker
	maxRPS float64
}

// between counts the hits of shares that are planned in a span of drill time.
func (p planner) between(shares []share, offers []running, from, to time.Duration) (hits uint64) {
	for _, o := range offers {
		if o.end <= from || o.At >= to {
			continue
		}
		for _, s := range shares {
			for h := range p.plan.Slice(s.Index, s.Of).Hits(o.Step) {
				if at := o.At + h.At; at > from && at <= min(to, o.end) {
					hits++
				}
			}
		}
	}
	return hits
}

// budget is the most that a worker may send: its part of the fleet's bound.
func (f *Fleet) budget(m *member, maxRPS float64) float64 {
	part := 0.0
	for _, s := range m.shares {
		part += 1 / float64(s.Of)
	}
	return maxRPS * part
}

// fits checks the plan against the bounds of the workers.
func (f *Fleet) fits(a loadgen.Assignment) error {
	f.plan.policy, f.plan.maxRPS = a.Scenario.LostWorker, a.Scenario.Safety.MaxRPS
	n := float64(len(f.list))
	for _, step := range a.Plan.Steps {
		for _, m := range f.list {
			if own := m.info.MaxRPS; own > 0 && step.Peak()/n > own*rateSlack {
				return fmt.Errorf("begin drill: step %d is %.4g requests/s, so %.4g for each of %d workers, and worker %s takes at most %.4g; hint: use more workers or offer less",
					step.Index, step.Peak(), step.Peak()/n, len(f.list), m.name, own)
			}
		}
	}
	return nil
}

// MaxRPS is the most that the fleet can offer together, 0 for no bound.
func MaxRPS(workers []Info) float64 {
	least := 0.0
	for _, w := range workers {
		if w.MaxRPS > 0 && (least == 0 || w.MaxRPS < least) {
			least = w.MaxRPS
		}
	}
	return least * float64(len(workers))
}

// cannotTake says why the others cannot take a worker's share, if they cannot.
func (f *Fleet) cannotTake(m *member, alive []*member) string {
	peak := 0.0
	for _, o := range f.offers {
		if o.end > f.cfg.Now() {
			peak = max(peak, o.Step.Peak())
		}
	}
	for _, s := range f.plan.plan.Steps {
		peak = max(peak, s.Peak())
	}
	more := 0.0
	for _, s := range m.shares {
		more += 1 / float64(s.Of*len(alive))
	}
	for _, x := range alive {
		part := more
		for _, s := range x.shares {
			part += 1 / float64(s.Of)
		}
		if own := x.info.MaxRPS; own > 0 && peak*part > own*rateSlack {
			return fmt.Sprintf("worker %s takes at most %.4g requests/s", x.name, own)
		}
	}
	return ""
}
