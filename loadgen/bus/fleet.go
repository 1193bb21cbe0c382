package bus

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/headroom-project/headroom/loadgen"
	"github.com/headroom-project/headroom/loadgen/attack"
	"github.com/headroom-project/headroom/loadgen/observation"
)

// Terms are the times that a fleet keeps.
type Terms struct {
	// Lease is how long a worker may send without hearing from the controller.
	Lease time.Duration
	// Renew is how often a worker asks.
	Renew time.Duration
	// Keep is how long a worker keeps windows that cannot be stored, and how long a
	// drill waits at its end for those of a worker that was lost.
	Keep time.Duration
}

// DefaultTerms let a fleet survive a partition of two seconds, and give a lost
// worker's share to the others within three.
func DefaultTerms() Terms {
	return Terms{Lease: 2700 * time.Millisecond, Renew: 200 * time.Millisecond, Keep: 45 * time.Second}
}

// margin is added to a lease before a worker counts as stopped: clocks may run at
// rates that differ by a thousandth or so, and what was written last takes a moment
// to arrive.
const margin = 50 * time.Millisecond

// FleetConfig is what a drill over the bus needs.
type FleetConfig struct {
	// Run is the drill's id: a token of letters, digits, - and _.
	Run string
	// Epoch is that of the controller; see Ownership.
	Epoch uint64
	// FirstEpoch is the epoch under which the run began, if it is resumed.
	FirstEpoch uint64
	// Workers are those to use. Reserved, if it is set, is what keeps them for this
	// drill: Close releases it.
	Workers  []Info
	Reserved *Reservation
	// Names are names given to ids earlier, if the run is resumed.
	Names map[string]string
	Input *Input
	// Digest is that of the input as it was first handed out, if the run is
	// resumed: workers that have it need not be sent it again.
	Digest string
	// Now is the drill clock.
	Now   func() time.Duration
	Terms Terms
	// After is the number in the stream after which windows are new.
	After uint64
	// InProcess says that the worker and the stream are in this process: there is no
	// skew to be told, and what was read of the stream is dropped from it.
	InProcess bool
}

// Fleet is a loadgen.Fleet over NATS.
type Fleet struct {
	cfg    FleetConfig
	hub    *Hub
	input  []byte
	digest string
	out    chan *observation.Window
	notify func(observation.FleetRecord)
	cancel context.CancelFunc
	wg     sync.WaitGroup
	stream *windowReader

	mu       sync.Mutex
	members  map[string]*member
	list     []*member // in the order of their shares
	offers   []running
	plan     planner
	began    bool
	finished bool
	killed   time.Duration // when, 0 if it was not
	started  bool          // FleetStarted was told
	err      error
}

// member is a worker of this drill.
type member struct {
	info   Info
	name   string
	shares []share
	orders []order
	heard  time.Duration // when its lease was renewed last
	last   renewal
	told   time.Duration // up to when its windows tell everything
	// flying is how many of its hits were in flight at told.
	flying int
	final  bool // its last window has come
	// refused counts refusals that were dealt with.
	refused int
	// condemned gets no lease any more; lost has stopped for certain.
	condemned string
	lost      bool
	lostAt    time.Duration
	looked    time.Duration // when it was last asked whether it is gone
	settled   bool          // what is missing of it was told
}

// running is a step that was offered.
type running struct {
	offer
	end time.Duration // drill time at which it ends, or was cut
}

// NewFleet prepares a drill; Begin begins it.
func (h *Hub) NewFleet(cfg FleetConfig) (*Fleet, error) {
	if cfg.Run == "" || cfg.Input == nil || cfg.Now == nil || len(cfg.Workers) == 0 {
		return nil, errors.New("fleet: incomplete configuration")
	}
	if cfg.Terms == (Terms{}) {
		cfg.Terms = DefaultTerms()
	}
	if cfg.FirstEpoch == 0 {
		cfg.FirstEpoch = cfg.Epoch
	}
	f := &Fleet{cfg: cfg, hub: h, out: make(chan *observation.Window, 1024), members: map[string]*member{}}
	var err error
	if f.input, f.digest, err = cfg.Input.Encode(); err != nil {
		return nil, err
	}
	if cfg.Digest != "" {
		f.digest = cfg.Digest
	}
	names := map[string]bool{}
	for i, w := range cfg.Workers {
		m := &member{info: w, name: cfg.Names[w.ID], shares: []share{{Index: i, Of: len(cfg.Workers)}}}
		if m.name == "" {
			m.name = w.Name
		}
		if names[m.name] {
			m.name += "-" + w.ID[max(0, len(w.ID)-6):]
		}
		names[m.name] = true
		f.members[w.ID] = m
		f.list = append(f.list, m)
	}
	return f, nil
}

// Names are the names of the workers, by id.
func (f *Fleet) Names() map[string]string {
	out := map[string]string{}
	for id, m := range f.members {
		out[id] = m.name
	}
	return out
}

// has says that the worker with this id is part of the drill.
func (f *Fleet) has(id string) bool { return f.members[id] != nil }

// Begin hands out the slices and returns once every worker stands by.
func (f *Fleet) Begin(ctx context.Context, a loadgen.Assignment) ([]string, error) {
	if f.began {
		return nil, errors.New("begin drill: this fleet has begun one already")
	}
	f.began, f.notify, f.plan = true, a.Notify, planner{plan: a.Plan}
	if f.notify == nil {
		f.notify = func(observation.FleetRecord) {}
	}
	if err := f.fits(a); err != nil {
		f.cfg.Reserved.Release()
		return nil, err
	}
	f.hub.mu.Lock()
	f.hub.fleets[f.cfg.Run] = f
	f.hub.mu.Unlock()
	// What runs in the background outlives an interrupt of ctx: the drill is to end
	// in good order.
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	f.cancel = cancel
	var err error
	if f.stream, err = openWindows(run, f.hub.js, f.cfg.Run, f.cfg.After); err != nil {
		f.abandon()
		return nil, fmt.Errorf("begin drill: %w", err)
	}
	if err := f.assign(ctx, a); err != nil {
		f.abandon()
		return nil, fmt.Errorf("begin drill: %w", err)
	}
	f.wg.Go(f.read)
	f.wg.Go(func() { f.watch(run) })
	var names []string
	for _, m := range f.list {
		names = append(names, f.windowName(m, f.cfg.Epoch))
	}
	return names, nil
}

// abandon takes back what Begin has done.
func (f *Fleet) abandon() {
	f.broadcastKill()
	defer f.cfg.Reserved.Release()
	f.hub.mu.Lock()
	delete(f.hub.fleets, f.cfg.Run)
	f.hub.mu.Unlock()
	if f.stream != nil {
		f.stream.stop()
	}
	f.cancel()
	close(f.out)
}

// assignIn bounds how long a worker may take to stand by: it fetches the files and
// compiles the scenario.
const assignIn = 60 * time.Second

// assign asks all workers at once.
func (f *Fleet) assign(ctx context.Context, a loadgen.Assignment) error {
	ctx, cancel := context.WithTimeout(ctx, assignIn)
	defer cancel()
	answers := make([]ready, len(f.list))
	errs := make([]error, len(f.list))
	var wg sync.WaitGroup
	for i, m := range f.list {
		wg.Go(func() {
			msg, err := f.hub.cfg.Conn.RequestWithContext(ctx, workerSubject+m.info.ID+assignVerb, encode(f.assignment(m, a)))
			if err == nil {
				err = decode(msg.Data, &answers[i])
			}
			if err == nil && answers[i].Error != "" {
				err = &refusedError{answers[i]}
			}
			if err != nil {
				errs[i] = fmt.Errorf("worker %s: %w", m.name, err)
				return
			}
			f.mu.Lock()
			m.heard, m.last.ClockError = f.cfg.Now(), answers[i].ClockError
			f.mu.Unlock()
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	want := planDigest(a.Plan)
	for i, r := range answers {
		if r.Plan != want {
			return fmt.Errorf("worker %s compiled another plan (%.12s) than the controller (%.12s)", f.list[i].name, r.Plan, want)
		}
	}
	return nil
}

// refusedError is why a worker takes no part.
type refusedError struct{ answer ready }

func (e *refusedError) Error() string { return e.answer.Error }

// Unwrap gives the error its kind back.
func (e *refusedError) Unwrap() error {
	if e.answer.Blocked {
		return attack.ErrBlocked
	}
	return nil
}

func (f *Fleet) assignment(m *member, a loadgen.Assignment) assignment {
	t := f.cfg.Terms
	return assignment{
		Run: f.cfg.Run, Epoch: f.cfg.Epoch, Digest: f.digest, Size: len(f.input), Share: m.shares[0], Of: len(f.list),
		Lease: t.Lease, Renew: t.Renew, Keep: t.Keep, Budget: f.budget(m, a.Scenario.Safety.MaxRPS),
	}
}

// Steer numbers the order and sends it to all who are left.
func (f *Fleet) Steer(_ context.Context, o loadgen.Order) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.began {
		return errors.New("steer: the drill has not begun")
	}
	var x order
	switch {
	case o.Offer != nil:
		x.Offer = &offer{Step: o.Offer.Step, At: o.Offer.At, Hold: o.Offer.Hold, Began: o.Offer.Began}
		f.endHold(o.Offer.At)
		f.offers = append(f.offers, running{offer: *x.Offer, end: o.Offer.At + o.Offer.Step.Lasts})
	case o.Cut != nil:
		x.Cut = o.Cut
		for i := range f.offers {
			if f.offers[i].Step.Index == *o.Cut {
				f.offers[i].end = min(f.offers[i].end, f.cfg.Now())
			}
		}
	case o.Finish:
		x.Finish, f.finished = true, true
		f.endHold(f.cfg.Now())
	}
	for _, m := range f.list {
		if m.condemned == "" {
			f.send(m, x)
		}
	}
	return nil
}

// endHold notes that what is held ends at a drill time; the caller holds the lock.
func (f *Fleet) endHold(at time.Duration) {
	for i := len(f.offers) - 1; i >= 0 && f.offers[i].Hold; i-- {
		f.offers[i].end = min(f.offers[i].end, at)
	}
}

// send gives one order to a worker; the caller holds the lock. The renewal of the
// lease brings it again if this message is lost.
func (f *Fleet) send(m *member, o order) {
	o.N = uint64(len(m.orders)) + 1
	m.orders = append(m.orders, o)
	_ = f.hub.cfg.Conn.Publish(workerSubject+m.info.ID+orderVerb, encode(orders{Run: f.cfg.Run, Epoch: f.cfg.Epoch, Orders: []order{o}}))
}

// Windows yields what workers observe.
func (f *Fleet) Windows() <-chan *observation.Window { return f.out }

// Kill ends all load at once.
func (f *Fleet) Kill() {
	f.mu.Lock()
	if f.began && f.killed == 0 {
		f.killed = max(f.cfg.Now(), 1)
	}
	f.mu.Unlock()
	f.broadcastKill()
}

func (f *Fleet) broadcastKill() {
	_ = f.hub.cfg.Conn.Publish(runSubject+f.cfg.Run+killVerb, encode(kill{Epoch: f.cfg.Epoch}))
	_ = f.hub.cfg.Conn.Flush()
}

// Close ends what runs, and discards windows that nobody took.
func (f *Fleet) Close() error {
	defer f.cfg.Reserved.Release()
	if !f.began || f.stream == nil {
		return nil
	}
	f.Kill()
	for range f.out {
	}
	f.wg.Wait()
	f.cancel()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hub.over(f)
	return f.err
}

// Busiest is the CPU use of the worker that is nearest to its limit, in cores.
func (f *Fleet) Busiest() (used, limit float64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range f.list {
		if r := m.last; !m.lost && r.Cores > 0 && (limit == 0 || r.CPU/r.Cores > used/limit) {
			used, limit = r.CPU, r.Cores
		}
	}
	return used, limit
}

// renew answers a worker that asks for its lease.
func (f *Fleet) renew(id string, r renewal) lease {
	f.mu.Lock()
	defer f.mu.Unlock()
	m := f.members[id]
	now := f.cfg.Now()
	if m == nil || r.Epoch != f.cfg.Epoch || m.condemned != "" {
		return lease{Over: true, Now: now}
	}
	if f.killed > 0 {
		m.heard = now // it is there, and hands in what it saw
		return lease{Over: true, Now: now}
	}
	if r.Failed != "" {
		m.condemned = r.Failed
		return lease{Over: true, Now: now}
	}
	m.last, m.heard = r, now
	return lease{Orders: m.orders[min(r.Seen, uint64(len(m.orders))):], Now: f.cfg.Now()}
}
