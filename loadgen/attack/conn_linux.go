package attack

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

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

func newOrigin(ap netip.AddrPort, host string) *origin {
	o := &origin{host: host, v6: ap.Addr().Unmap().Is6()}
	if o.v6 {
		o.addr = &unix.SockaddrInet6{Port: int(ap.Port()), Addr: ap.Addr().As16()}
	} else {
		o.addr = &unix.SockaddrInet4{Port: int(ap.Port()), Addr: ap.Addr().Unmap().As4()}
	}
	return o
}

// prepared is a request that is the same for every hit.
type prepared struct {
	origin *origin
	bytes  []byte
	body   uint64 // bytes
	isHead bool
}

// prepare renders the requests that do not change.
func (l *loop) prepare() {
	l.prepared = make([]prepared, l.requests.Len())
	for i := range l.prepared {
		if !l.requests.Fixed(i) {
			continue
		}
		h := hit{}
		h.Request = i
		if p, err := l.render(&h, nil); err == nil {
			l.prepared[i] = p
		}
	}
}

// render writes the request of a hit into b.
func (l *loop) render(h *hit, b []byte) (prepared, error) {
	m := &l.message
	l.requests.Render(h.Hit, m)
	if m.Err != nil {
		return prepared{}, m.Err
	}
	host, path := splitURL(m.URL)
	o := l.origin(host)
	if o == nil {
		return prepared{}, &dialError{fmt.Errorf("%s is no host of the scenario", host)}
	}
	return prepared{o, appendRequest(b, m, o.host, path), uint64(len(m.Body)), m.Method == "HEAD"}, nil
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

// start sends a hit over a connection that is kept, or a new one.
func (l *loop) start(h *hit) {
	if !h.closed {
		l.t.orders.number(h)
	}
	p, err := l.prepared[h.Request], error(nil)
	fixed := p.origin != nil
	if !fixed {
		if p, err = l.render(h, l.out[:0]); err == nil {
			l.out = p.bytes
		}
	}
	h.sent = l.now()
	l.latest = h.sent
	if err != nil {
		l.end(h, err)
		return
	}
	c, err := l.connect(p.origin, h.sent)
	if err != nil {
		l.end(h, &dialError{err})
		return
	}
	c.out = p.bytes
	if !fixed {
		// The bytes are the connection's until they are written.
		c.buf, l.out = l.out, c.buf
	}
	c.hit, c.since = h, h.sent
	h.out = p.body
	c.resp.reset(l.requests.NeedsBody(h.Request), l.requests.NeedsHeader(h.Request), p.isHead, l.maxBody)
	l.busy.push(c)
	if c.connected {
		l.write(c)
	}
}

// unpaced keeps the kernel from holding requests back: BBR, where it is the
// default, spaces the packets of a connection by what it believes of the path,
// and after a stall that is wrong by far (0.3 ms for each request, on loopback).
func unpaced(fd int) {
	if unix.SetsockoptString(fd, unix.IPPROTO_TCP, unix.TCP_CONGESTION, "cubic") != nil {
		_ = unix.SetsockoptString(fd, unix.IPPROTO_TCP, unix.TCP_CONGESTION, "reno")
	}
}

// connect returns the connection that was used last, or one that is being made.
func (l *loop) connect(o *origin, now time.Duration) (*conn, error) {
	if o.err != nil {
		return nil, o.err
	}
	for len(o.idle) > 0 {
		c := o.idle[len(o.idle)-1]
		o.idle = o.idle[:len(o.idle)-1]
		// The loop hears of a peer's close as it comes, so that what is idle here
		// was open a moment ago.
		if now-c.since < maxIdle {
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
	unpaced(fd)
	if err = unix.Connect(fd, o.addr); err != nil && err != unix.EINPROGRESS {
		_ = unix.Close(fd)
		return nil, os.NewSyscallError("connect", err)
	}
	c := &conn{fd: int32(fd), origin: o, connected: err == nil}
	c.resp.budget = l.kept
	ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET, Fd: c.fd}
	if err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		_ = unix.Close(fd)
		return nil, os.NewSyscallError("epoll_ctl", err)
	}
	for len(l.conns) <= fd {
		l.conns = append(l.conns, nil)
	}
	l.conns[fd] = c
	return c, nil
}

const (
	// pruneAfter is how often the loop looks for connections that were idle for too
	// long, and pruneMost how many it then closes: a stall leaves thousands, and to
	// close one takes microseconds in which nothing is sent.
	pruneAfter = 10 * time.Millisecond
	pruneMost  = 8
)

// prune closes connections that nobody has needed for long: those at the begin of
// idle, since the last used are used first.
func (l *loop) prune(now time.Duration) {
	l.prunes = now + pruneAfter
	for _, o := range l.origins {
		n := 0
		for n < min(len(o.idle), pruneMost) && now-o.idle[n].since >= maxIdle {
			l.shut(o.idle[n])
			n++
		}
		o.idle = slices.Delete(o.idle, 0, n)
	}
}

// conn is the open connection with a descriptor, nil if there is none.
func (l *loop) conn(fd int32) *conn {
	if int(fd) >= len(l.conns) {
		return nil
	}
	return l.conns[fd]
}

// shut closes a connection that has no hit.
func (l *loop) shut(c *conn) {
	c.resp.drop()
	l.conns[c.fd] = nil
	_ = unix.Close(int(c.fd))
}

// send writes to a socket. It goes past the checks that files need, and past the
// scheduler, since it does not block.
func send(fd int32, b []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), unix.MSG_NOSIGNAL, 0, 0)
	return int(n), errno
}

// receive reads from a socket, as send writes.
func receive(fd int32, b []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), 0, 0, 0)
	return int(n), errno
}

// write writes what is left of the request.
func (l *loop) write(c *conn) {
	for len(c.out) > 0 {
		n, errno := send(c.fd, c.out)
		switch errno {
		case 0:
		case unix.EAGAIN:
			return
		case unix.EINTR:
			continue
		default:
			l.fail(c, os.NewSyscallError("write", errno))
			return
		}
		c.hit.wrote = true
		c.out = c.out[n:]
	}
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
		l.drain(c, events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0)
	}
}

// drain reads all there is: the events are edge-triggered. When the peer has
// hung up, its end is read as well, so that the connection is not used again.
func (l *loop) drain(c *conn, hungUp bool) {
	for l.conn(c.fd) == c {
		n, errno := receive(c.fd, l.read)
		switch {
		case errno == unix.EAGAIN:
			return
		case errno == unix.EINTR:
			continue
		case errno != 0:
			l.lost(c, os.NewSyscallError("read", errno))
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
	h.in, h.status = uint64(c.resp.size), c.resp.status
	h.class, _ = l.requests.VerifyResponse(h.Request, c.resp.answer())
	c.resp.drop()
	c.hit = nil
	l.busy.remove(c)
	if keep {
		c.since = h.done
		c.origin.idle = append(c.origin.idle, c)
	} else {
		l.shut(c)
	}
	l.book.ended(h)
	l.settle(h)
}

// fail books a hit that went wrong, and closes its connection.
func (l *loop) fail(c *conn, err error) {
	h := c.hit
	c.hit = nil
	l.busy.remove(c)
	l.shut(c)
	l.end(h, err)
}

// end books a hit that came to nothing.
func (l *loop) end(h *hit, err error) {
	h.done = l.now()
	h.class = classify(err)
	if !h.wrote {
		h.lack = lackOf(err)
	}
	l.book.ended(h)
	l.settle(h)
}

// expire ends the hits whose time is over.
func (l *loop) expire(now time.Duration) {
	for c := l.busy.first; c != nil && now >= c.since+l.timeout; c = l.busy.first {
		l.fail(c, os.ErrDeadlineExceeded)
	}
}
