package attack

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/headroom-project/headroom/scenarios"
)

// loop sends plain HTTP/1.1 from one thread: it paces, writes, reads and books,
// and waits in epoll for whatever comes first. What a request costs is then
// little more than its system calls, and no goroutine has to be woken for it.
//
// Its system calls never block but for the waiting, so that they are made without
// telling the scheduler: it would else look after the thread every 20 us.
type loop struct {
	t        *timeline
	book     *ledger
	poke     func() // tells the recorder that the worker has fallen idle
	requests *scenarios.Requests
	now      func() time.Duration
	timeout  time.Duration
	maxBody  int64
	limit    int // connections, or virtual users
	precise  bool
	origins  map[string]*origin
	prepared []prepared // by request

	epoll, event int // file descriptors; event wakes the loop
	events       []unix.EpollEvent
	conns        []*conn  // by file descriptor
	busy         list     // connections with a hit, the oldest first
	pending      hitQueue // due, waiting for a connection
	thinking     hitQueue // closed: virtual users until they ask again
	users        int      // closed: virtual users that are free
	inFlight     atomic.Int64
	asleep       atomic.Int64  // of these, the hits of users who think
	prunes       time.Duration // when idle connections are looked at next
	tick         time.Duration // economical: when hits may next wake the loop
	message      scenarios.Message
	kept         *budget // of the bodies that are looked at
	read, out    []byte
	slept        time.Duration // in all, with nothing to do
	latest       time.Duration // when a hit was last sent
	before       ran

	mu     sync.Mutex // guards closed, and event against it
	closed bool
}

// ran is how far the thread was at an instant.
type ran struct{ at, slept, cpu time.Duration }

// loops says that this system has the loop engine.
const loops = true

// loop drives the hits by an event loop.
func (a *Attack) loop(ctx context.Context) error {
	l, err := newLoop(ctx, a, a.cfg.Requests.Hosts())
	if err != nil {
		return fmt.Errorf("attack: %w", err)
	}
	defer l.close()
	a.book.wake = l.wake
	a.timeline.setNotify(l.wake)
	stop := a.aside(ctx, l.state, a.timeline.kill)
	defer stop()
	return l.run()
}

// state tells the recorder what is in flight; it is called from its goroutine.
func (l *loop) state() (inFlight int, idle bool) {
	n := int(l.inFlight.Load())
	return max(n-int(l.asleep.Load()), 0), n == 0 && l.t.isIdle()
}

// newLoop resolves the origins and opens what the loop waits with.
func newLoop(ctx context.Context, a *Attack, hosts []string) (*loop, error) {
	l := &loop{
		t: a.timeline, book: a.book, poke: a.rec.poke, requests: a.cfg.Requests, now: a.cfg.Now, timeout: a.cfg.Requests.Timeout(0), maxBody: a.cfg.MaxBody,
		limit: a.connections(), precise: a.cfg.Precise, origins: map[string]*origin{}, users: a.cfg.Users,
		events: make([]unix.EpollEvent, 256), read: make([]byte, 64<<10), kept: newBudget(maxKept),
	}
	for _, host := range hosts {
		ap, err := a.cfg.Allow.Resolve(ctx, host)
		if err != nil {
			// Not the end of the drill: it is what comes of each hit.
			l.origins[host] = &origin{host: host, err: err}
			continue
		}
		l.origins[host] = newOrigin(ap, host)
	}
	l.prepare()
	var err error
	if l.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if l.event, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		_ = unix.Close(l.epoll)
		return nil, os.NewSyscallError("eventfd", err)
	}
	err = unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, l.event, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(l.event)})
	if err != nil {
		l.close()
		return nil, os.NewSyscallError("epoll_ctl", err)
	}
	return l, nil
}

func (l *loop) close() {
	for _, c := range l.conns {
		if c != nil {
			_ = unix.Close(int(c.fd))
		}
	}
	clear(l.conns)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	_ = unix.Close(l.event)
	_ = unix.Close(l.epoll)
}

// wake makes the loop look at its timeline and at what it is asked. Any goroutine
// may call it, also when the loop has ended.
func (l *loop) wake() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	one := [8]byte{1}
	_, _ = unix.Write(l.event, one[:])
}

// slackOff makes the thread's timers exact: the kernel's default lets them be
// 50 us late.
func slackOff() { _ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) }

// run sends until the timeline is over and nothing is in flight.
func (l *loop) run() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if l.precise {
		slackOff()
	}
	l.before = l.ran()
	place := newPlacement(l.before.at, l.precise)
	defer place.close()
	for {
		l.book.tell(l.telling)
		now := l.now()
		if place.stat >= 0 && now >= place.next {
			place.look(now)
		}
		wait, at, finished := l.launch(now)
		if finished {
			return nil
		}
		if wait {
			if err := l.await(at); err != nil {
				return err
			}
			continue
		}
		// More is due, but what has come is looked at in between, so that its
		// time is right.
		if _, err := l.wait(0); err != nil {
			return err
		}
	}
}

// ran reads how far the thread is.
func (l *loop) ran() ran {
	r := ran{at: l.now(), slept: l.slept}
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts) == nil {
		r.cpu = time.Duration(ts.Nano())
	}
	return r
}

// telling is what the loop says of itself.
func (l *loop) telling() telling {
	r := l.ran()
	n, idle := l.state()
	t := telling{at: r.at, inFlight: n, idle: idle, busy: r.at - l.before.at - (r.slept - l.before.slept), cpu: r.cpu - l.before.cpu}
	l.before = r
	return t
}

// quantum is how long the loop may sleep although a hit is due, unless it is to
// be precise: at high rates, being woken costs several times what a hit does, and
// a millisecond's hits share one wake-up. It shows as send lag.
const quantum = time.Millisecond

// unseen is how long hits may be sent before answers are looked at, so that the
// time of an answer is right.
const unseen = 40 * time.Microsecond

// launch sends what is due. wait says that nothing more is to be done before at,
// or before something comes if at is negative.
func (l *loop) launch(now time.Duration) (wait bool, at time.Duration, finished bool) {
	l.expire(now)
	if now >= l.prunes {
		l.prune(now)
	}
	for l.latest = now; l.latest-now < unseen; {
		if l.pending.len() > 0 && l.free() {
			h := l.pending.pop()
			if k := l.t.look(h.Step); k.killed || k.isCut && k.cut < now {
				l.drop(h)
				continue
			}
			l.start(h)
			continue
		}
		if l.thinking.len() > 0 && l.thinking.front().due <= now {
			l.asleep.Add(-1)
			l.ask(l.thinking.pop(), now)
			continue
		}
		if l.closedBusy(now) {
			return true, l.alarm(-1), false
		}
		h, until, what := l.t.advance(now)
		switch what {
		case over:
			return l.finish()
		case unordered:
			return true, l.alarm(-1), false
		case later:
			if !l.precise {
				until = max(until, l.tick)
			}
			return true, l.alarm(until), false
		}
		if now >= l.tick {
			l.tick = now + quantum
		}
		l.take(h, now)
	}
	return false, 0, false
}

// closedBusy says that a closed step is on and every virtual user is busy.
func (l *loop) closedBusy(now time.Duration) bool {
	return l.users == 0 && l.t.cur != nil && l.t.begun && l.t.cur.step.Users > 0 && !l.ended(now)
}

// ended says that the closed step at hand is over or cut.
func (l *loop) ended(now time.Duration) bool {
	o := l.t.cur
	k := l.t.look(o.step.Index)
	return k.killed || now >= o.at+o.step.Lasts || k.isCut && now >= k.cut
}

// alarm is the earliest of at (if it is not negative), a timeout, the end of a
// virtual user's thinking, and the end of a closed step.
func (l *loop) alarm(at time.Duration) time.Duration {
	sooner := func(x time.Duration) {
		if at < 0 || x < at {
			at = x
		}
	}
	if l.busy.first != nil {
		sooner(l.busy.first.since + l.timeout)
	}
	if l.thinking.len() > 0 {
		sooner(l.thinking.front().due)
	}
	if l.t.cur != nil && l.t.begun && l.t.cur.step.Users > 0 {
		sooner(l.t.cur.at + l.t.cur.step.Lasts)
	}
	return at
}

// finish waits for what is in flight, or cancels it if everything is killed.
func (l *loop) finish() (wait bool, at time.Duration, finished bool) {
	for l.thinking.len() > 0 {
		l.t.recycle(l.thinking.pop())
		l.asleep.Add(-1)
		l.inFlight.Add(-1)
	}
	if !l.t.look(-1).killed {
		if l.busy.first == nil && l.pending.len() == 0 {
			return false, 0, true
		}
		return true, l.alarm(-1), false
	}
	for l.pending.len() > 0 {
		l.drop(l.pending.pop())
	}
	for l.busy.first != nil {
		l.fail(l.busy.first, errKilled)
	}
	return false, 0, true
}

// take takes a hit that is due.
func (l *loop) take(h *hit, now time.Duration) {
	l.inFlight.Add(1)
	if h.closed {
		l.users--
		h.due = now + h.think
		if h.think > 0 {
			l.thinking.push(h)
			l.asleep.Add(1)
			return
		}
		l.ask(h, now)
		return
	}
	if l.pending.len() > 0 || !l.free() {
		l.book.waited(h)
		l.pending.push(h)
		return
	}
	l.start(h)
}

// ask sends a virtual user's hit, if its step is still on.
func (l *loop) ask(h *hit, now time.Duration) {
	if !h.plan(now) {
		l.users++
		l.inFlight.Add(-1)
		l.t.recycle(h)
		return
	}
	l.start(h)
}

// free says that one more connection may be used.
func (l *loop) free() bool { return l.busy.n < l.limit }

func (l *loop) drop(h *hit) {
	if !h.closed {
		l.book.dropped(h)
	}
	l.settle(h)
}

// settle gives back what a hit held, and the hit.
func (l *loop) settle(h *hit) {
	if h.closed {
		l.users++
	}
	l.t.recycle(h)
	if l.inFlight.Add(-1) == 0 && l.t.cur == nil {
		l.poke()
	}
}

// spin is how long before an instant, and after something has come, the loop does
// not sleep in precise mode: a sleeper is woken some tens of microseconds late on
// virtual machines.
const spin = 60 * time.Microsecond

// await returns when something has come, or at the instant (never if negative).
func (l *loop) await(at time.Duration) error {
	now := l.now()
	awake := now
	if l.precise && l.pending.len() == 0 {
		awake += spin
	}
	for {
		left := time.Duration(-1)
		if at >= 0 {
			left = max(at-now, 0)
			if l.precise {
				left -= min(left, spin)
			}
		}
		if now < awake {
			left = 0
		}
		n, err := l.sleep(left)
		woken := l.now()
		l.slept += woken - now
		if now = woken; err != nil {
			return err
		}
		l.handleAll(n)
		if n > 0 || at >= 0 && now >= at {
			return nil
		}
	}
}

// wait handles what comes within d.
func (l *loop) wait(d time.Duration) (int, error) {
	n, err := l.sleep(d)
	if err == nil {
		l.handleAll(n)
	}
	return n, err
}

// short is a wait that is not worth giving up the scheduler's processor for.
const short = 100 * time.Microsecond

// sleep waits for events for at most d (for ever if negative), and returns how
// many there are.
func (l *loop) sleep(d time.Duration) (int, error) {
	var ts *unix.Timespec
	if d >= 0 {
		t := unix.NsecToTimespec(int64(d))
		ts = &t
	}
	call := syscall.Syscall6
	if d >= 0 && d < short {
		call = syscall.RawSyscall6
	}
	n, _, errno := call(unix.SYS_EPOLL_PWAIT2, uintptr(l.epoll), uintptr(unsafe.Pointer(&l.events[0])),
		uintptr(len(l.events)), uintptr(unsafe.Pointer(ts)), 0, 0)
	switch errno {
	case 0:
		return int(n), nil
	case unix.EINTR:
		return 0, nil
	}
	return 0, os.NewSyscallError("epoll_pwait2", errno)
}

// handleAll acts on the first n events.
func (l *loop) handleAll(n int) {
	for i := range n {
		ev := &l.events[i]
		if ev.Fd == int32(l.event) {
			var drain [8]byte
			_, _ = unix.Read(l.event, drain[:])
			continue
		}
		if c := l.conn(ev.Fd); c != nil {
			l.handle(c, ev.Events)
		}
	}
}
