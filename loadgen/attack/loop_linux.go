package attack

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
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
type loop struct {
	t        *timeline
	rec      *recorder
	requests *scenarios.Requests
	now      func() time.Duration
	timeout  time.Duration
	maxBody  int64
	limit    int // connections, or virtual users
	precise  bool
	origins  map[string]*origin

	epoll, event int // file descriptors; event wakes the loop
	events       []unix.EpollEvent
	conns        map[int32]*conn
	busy         list     // connections with a hit, the oldest first
	pending      hitQueue // due, waiting for a connection
	thinking     hitQueue // closed: virtual users until they ask again
	users        int      // closed: virtual users that are free
	inFlight     atomic.Int64
	tick         time.Duration // economical: when hits may next wake the loop
	message      scenarios.Message
	read         []byte

	mu     sync.Mutex // guards closed, and event against it
	closed bool
}

// origin is where connections go to.
type origin struct {
	addr unix.Sockaddr
	host string
	v6   bool
	err  error   // why it cannot be reached
	idle []*conn // the last used at the end
}

// conn is one connection and what it is in the middle of.
type conn struct {
	fd        int32
	origin    *origin
	connected bool
	out       []byte // of the request, what is not written yet
	buf       []byte // backs out
	resp      response
	hit       *hit
	since     time.Duration // when the hit was sent, or the connection left idle
	prev      *conn         // in busy
	next      *conn
}

// list is a list of connections in the order of their sending.
type list struct{ first, last *conn }

func (l *list) push(c *conn) {
	c.prev, c.next = l.last, nil
	if l.last != nil {
		l.last.next = c
	} else {
		l.first = c
	}
	l.last = c
}

func (l *list) remove(c *conn) {
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		l.first = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	} else {
		l.last = c.prev
	}
	c.prev, c.next = nil, nil
}

// hitQueue is a first-in-first-out queue.
type hitQueue struct {
	hits []*hit
	head int
}

func (q *hitQueue) len() int { return len(q.hits) - q.head }
func (q *hitQueue) push(h *hit) {
	if q.head > 1024 && q.head > len(q.hits)/2 {
		q.hits = append(q.hits[:0], q.hits[q.head:]...)
		q.head = 0
	}
	q.hits = append(q.hits, h)
}
func (q *hitQueue) front() *hit { return q.hits[q.head] }
func (q *hitQueue) pop() *hit {
	h := q.hits[q.head]
	q.hits[q.head] = nil
	q.head++
	return h
}

// loops says that this system has the loop engine.
const loops = true

// loop drives the hits by an event loop.
func (a *Attack) loop(ctx context.Context) error {
	l, err := newLoop(ctx, a, a.cfg.Requests.Hosts())
	if err != nil {
		return fmt.Errorf("attack: %w", err)
	}
	defer l.close()
	a.timeline.setNotify(l.wake)
	stop := a.aside(ctx, l.state, a.timeline.kill)
	defer stop()
	return l.run()
}

// state tells the recorder what is in flight; it is called from its goroutine.
func (l *loop) state() (inFlight int, idle bool) {
	n := int(l.inFlight.Load())
	return n, n == 0 && l.t.isIdle()
}

// newLoop resolves the origins and opens what the loop waits with.
func newLoop(ctx context.Context, a *Attack, hosts []string) (*loop, error) {
	l := &loop{
		t: a.timeline, rec: a.rec, requests: a.cfg.Requests, now: a.cfg.Now, timeout: a.cfg.Requests.Timeout(0), maxBody: a.cfg.MaxBody,
		limit: a.connections(), precise: a.cfg.Precise, origins: map[string]*origin{}, users: a.cfg.Users,
		events: make([]unix.EpollEvent, 256), conns: map[int32]*conn{}, read: make([]byte, 64<<10),
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

func newOrigin(ap netip.AddrPort, host string) *origin {
	o := &origin{host: host, v6: ap.Addr().Unmap().Is6()}
	if o.v6 {
		o.addr = &unix.SockaddrInet6{Port: int(ap.Port()), Addr: ap.Addr().As16()}
	} else {
		o.addr = &unix.SockaddrInet4{Port: int(ap.Port()), Addr: ap.Addr().Unmap().As4()}
	}
	return o
}

func (l *loop) close() {
	for _, c := range l.conns {
		_ = unix.Close(int(c.fd))
	}
	clear(l.conns)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	_ = unix.Close(l.event)
	_ = unix.Close(l.epoll)
}

// wake makes the loop look at its timeline. Any goroutine may call it, also when
// the loop has ended.
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
	for {
		now := l.now()
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
		if err := l.poll(); err != nil {
			return err
		}
	}
}

// quantum is how long the loop may sleep although a hit is due, unless it is to
// be precise: at high rates, being woken costs several times what a hit does, and
// a millisecond's hits share one wake-up. It shows as send lag.
const quantum = time.Millisecond

// batch is how many hits are sent before answers are looked at.
const batch = 4

// launch sends what is due. wait says that nothing more is to be done before at,
// or before something comes if at is negative.
func (l *loop) launch(now time.Duration) (wait bool, at time.Duration, finished bool) {
	l.expire(now)
	for range batch {
		if l.pending.len() > 0 && l.free() {
			h := l.pending.pop()
			if cut, isCut, killed := l.t.state(h.Step); killed || isCut && cut < now {
				l.drop(h)
				continue
			}
			l.start(h)
			continue
		}
		if l.thinking.len() > 0 && l.thinking.front().due <= now {
			l.ask(l.thinking.pop(), now)
			continue
		}
		if l.closedBusy() {
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
func (l *loop) closedBusy() bool {
	return l.users == 0 && l.t.cur != nil && l.t.begun && l.t.cur.step.Users > 0 && !l.ended()
}

// ended says that the closed step at hand is over or cut.
func (l *loop) ended() bool {
	o := l.t.cur
	cut, isCut, killed := l.t.state(o.step.Index)
	now := l.now()
	return killed || now >= o.at+o.step.Lasts || isCut && now >= cut
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
	_, _, killed := l.t.state(-1)
	for l.thinking.len() > 0 {
		l.thinking.pop()
		l.inFlight.Add(-1)
	}
	if !killed {
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
			return
		}
		l.ask(h, now)
		return
	}
	if l.pending.len() > 0 || !l.free() {
		l.rec.waited(h)
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
		return
	}
	l.start(h)
}

// free says that one more connection may be used.
func (l *loop) free() bool { return int(l.inFlight.Load())-l.pending.len()-l.thinking.len() <= l.limit }

func (l *loop) drop(h *hit) {
	if !h.closed {
		l.rec.dropped(h)
	}
	l.settle(h)
}

// settle gives back what a hit held.
func (l *loop) settle(h *hit) {
	if h.closed {
		l.users++
	}
	if l.inFlight.Add(-1) == 0 {
		l.rec.poke()
	}
}

// start sends a hit over a connection that is kept, or a new one.
func (l *loop) start(h *hit) {
	m := &l.message
	l.requests.Render(h.Hit, m)
	h.sent = l.now()
	if m.Err != nil {
		l.book(h, m.Err)
		return
	}
	host, path := splitURL(m.URL)
	o := l.origin(host)
	if o == nil {
		l.book(h, &dialError{fmt.Errorf("%s is no host of the scenario", host)})
		return
	}
	c, err := l.connect(o)
	if err != nil {
		l.book(h, &dialError{err})
		return
	}
	c.hit, c.since = h, h.sent
	c.buf = appendRequest(c.buf[:0], m, o.host, path)
	c.out = c.buf
	h.out = uint64(len(m.Body))
	c.resp.reset(l.requests.NeedsBody(h.Request), l.requests.NeedsHeader(h.Request), m.Method == "HEAD", l.maxBody)
	l.busy.push(c)
	if c.connected {
		l.write(c)
	}
}

// origin finds where a URL's host leads to; its port may have been left out.
func (l *loop) origin(host string) *origin {
	o := l.origins[host]
	if o == nil {
		if o = l.origins[host+":80"]; o != nil {
			l.origins[host] = &origin{addr: o.addr, v6: o.v6, err: o.err, host: host}
		}
	}
	return o
}

// connect returns the connection that was used last, or one that is being made.
func (l *loop) connect(o *origin) (*conn, error) {
	if o.err != nil {
		return nil, o.err
	}
	for len(o.idle) > 0 {
		c := o.idle[len(o.idle)-1]
		o.idle = o.idle[:len(o.idle)-1]
		// The loop hears of a peer's close as it comes, so that what is idle here
		// was open a moment ago.
		if l.now()-c.since < maxIdle {
			return c, nil
		}
		l.shut(c)
	}
	family := unix.AF_INET
	if o.v6 {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	if err = unix.Connect(fd, o.addr); err != nil && err != unix.EINPROGRESS {
		_ = unix.Close(fd)
		return nil, os.NewSyscallError("connect", err)
	}
	c := &conn{fd: int32(fd), origin: o, connected: err == nil}
	ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET, Fd: c.fd}
	if err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		_ = unix.Close(fd)
		return nil, os.NewSyscallError("epoll_ctl", err)
	}
	l.conns[c.fd] = c
	return c, nil
}

// shut closes a connection that has no hit.
func (l *loop) shut(c *conn) {
	delete(l.conns, c.fd)
	_ = unix.Close(int(c.fd))
}

// write writes what is left of the request.
func (l *loop) write(c *conn) {
	for len(c.out) > 0 {
		n, err := unix.Write(int(c.fd), c.out)
		switch {
		case err == unix.EAGAIN:
			return
		case err == unix.EINTR:
			continue
		case err != nil:
			l.fail(c, os.NewSyscallError("write", err))
			return
		}
		c.hit.wrote = true
		c.out = c.out[n:]
	}
}

// poll takes what has come, without waiting.
func (l *loop) poll() error {
	_, err := l.wait(0)
	return err
}

// spin is how long before an instant the loop stops sleeping in precise mode: a
// sleeper is woken some tens of microseconds late on virtual machines.
const spin = 60 * time.Microsecond

// await returns when something has come, or at the instant (never if negative).
func (l *loop) await(at time.Duration) error {
	for {
		left := time.Duration(-1)
		if at >= 0 {
			left = max(at-l.now(), 0)
			if l.precise {
				left -= min(left, spin)
			}
		}
		n, err := l.wait(left)
		if err != nil || n > 0 || at >= 0 && l.now() >= at {
			return err
		}
	}
}

// short is a wait that is not worth giving up the scheduler's processor for.
const short = 100 * time.Microsecond

// wait waits for events for at most d (for ever if negative) and handles them.
func (l *loop) wait(d time.Duration) (int, error) {
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
	case unix.EINTR:
		return 0, nil
	default:
		return 0, os.NewSyscallError("epoll_pwait2", errno)
	}
	for i := range int(n) {
		ev := &l.events[i]
		if ev.Fd == int32(l.event) {
			var drain [8]byte
			_, _ = unix.Read(l.event, drain[:])
			continue
		}
		if c := l.conns[ev.Fd]; c != nil {
			l.handle(c, ev.Events)
		}
	}
	return int(n), nil
}

// handle acts on what epoll says of a connection.
func (l *loop) handle(c *conn, events uint32) {
	if !c.connected {
		if events&(unix.EPOLLOUT|unix.EPOLLERR|unix.EPOLLHUP) == 0 {
			return
		}
		if code, err := unix.GetsockoptInt(int(c.fd), unix.SOL_SOCKET, unix.SO_ERROR); err != nil || code != 0 {
			l.fail(c, &dialError{os.NewSyscallError("connect", syscall.Errno(code))})
			return
		}
		c.connected = true
	}
	if c.hit != nil && len(c.out) > 0 && events&unix.EPOLLOUT != 0 {
		l.write(c)
	}
	if events&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		l.receive(c, events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0)
	}
}

// receive reads all there is: the events are edge-triggered. When the peer has
// hung up, its end is read as well, so that the connection is not used again.
func (l *loop) receive(c *conn, hungUp bool) {
	for l.conns[c.fd] == c {
		n, err := unix.Read(int(c.fd), l.read)
		switch {
		case err == unix.EAGAIN:
			return
		case err == unix.EINTR:
			continue
		case err != nil:
			l.lost(c, os.NewSyscallError("read", err))
			return
		case n == 0:
			l.lost(c, errClosed)
			return
		}
		if !l.parse(c, l.read[:n]) {
			return
		}
		if n < len(l.read) && !hungUp {
			return // what comes later is another edge
		}
	}
}

var errClosed = fmt.Errorf("the target closed the connection: %w", syscall.ECONNRESET)

// parse feeds what was read; false means that the connection is gone.
func (l *loop) parse(c *conn, b []byte) bool {
	if c.hit == nil {
		l.forget(c) // the target speaks without being asked
		return false
	}
	n, done, err := c.resp.feed(b)
	if err != nil {
		l.fail(c, err)
		return false
	}
	if !done {
		return true
	}
	keep := !c.resp.closing && n == len(b) && len(c.out) == 0
	l.succeed(c, keep)
	return keep
}

// lost ends a connection that the target has closed.
func (l *loop) lost(c *conn, err error) {
	switch {
	case c.hit == nil:
		l.forget(c)
	case errors.Is(err, errClosed) && c.resp.eof():
		l.succeed(c, false)
	default:
		l.fail(c, err)
	}
}

// forget drops an idle connection.
func (l *loop) forget(c *conn) {
	for i, x := range c.origin.idle {
		if x == c {
			c.origin.idle = append(c.origin.idle[:i], c.origin.idle[i+1:]...)
			break
		}
	}
	l.shut(c)
}

// succeed books a whole answer.
func (l *loop) succeed(c *conn, keep bool) {
	h := c.hit
	h.done = l.now()
	h.in = uint64(c.resp.size)
	h.class, _ = l.requests.VerifyResponse(h.Request, c.resp.answer())
	c.hit = nil
	l.busy.remove(c)
	if keep {
		c.since = h.done
		c.origin.idle = append(c.origin.idle, c)
	} else {
		l.shut(c)
	}
	l.rec.ended(h)
	l.settle(h)
}

// fail books a hit that went wrong, and closes its connection.
func (l *loop) fail(c *conn, err error) {
	h := c.hit
	c.hit = nil
	l.busy.remove(c)
	l.shut(c)
	l.book(h, err)
}

func (l *loop) book(h *hit, err error) {
	h.done = l.now()
	h.class = classify(err)
	l.rec.ended(h)
	l.settle(h)
}

// expire ends the hits whose time is over.
func (l *loop) expire(now time.Duration) {
	for c := l.busy.first; c != nil && now >= c.since+l.timeout; c = l.busy.first {
		l.fail(c, os.ErrDeadlineExceeded)
	}
}
