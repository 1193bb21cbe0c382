package attack

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/headroom-project/headroom/scenarios"
)

// sender sends one request and reads its answer. wire and h2 are senders.
type sender interface {
	// do sends m, whose URL is absolute, and reads the answer, both by the
	// deadline. It never sends twice what the target may have counted. The reply
	// says whether the request was written also when there is an error. It may
	// keep m's body, but not the rest of it, after it has returned.
	do(m *scenarios.Message, a ask) (reply, error)
	// close closes the connections that are kept.
	close()
}

// ask is what is asked of a sender besides the message.
type ask struct {
	deadline     time.Time
	body, header bool // of the answer, to be kept
}

// reply is an answer as far as it is kept; its bytes hold until it is released.
type reply struct {
	scenarios.Response
	// wrote says that the request was written, so that the target may have
	// counted it.
	wrote bool
	// sent is when the request was sent, if it had to wait for the sender before
	// that; else 0.
	sent time.Duration
	size int64 // bytes of the body
	from *wire
	link *link
	kept *budget
	held int64 // bytes that the budget has given
}

// release gives back what the answer's bytes belong to.
func (r *reply) release() {
	if r.link != nil {
		r.from.release(r.link)
		r.link = nil
	}
	if r.held > 0 {
		r.kept.give(r.held)
		r.held = 0
	}
}

// wire sends requests over connections that it keeps: HTTP/1.1, one request at a
// time on each, never a retry, because a retried hit would count twice at the
// target. It has no goroutine of its own.
type wire struct {
	dialer  *dialer
	now     func() time.Duration
	maxBody int64
	kept    *budget

	mu   sync.Mutex
	idle map[string][]*link // by where they lead, the last used at the end
}

// link is one connection with its buffers.
type link struct {
	conn net.Conn
	raw  net.Conn // below TLS
	key  string
	in   []byte
	out  []byte
	resp response
	used time.Duration // when it was last used, in drill time
}

// maxIdle is how long a connection may be idle. Servers commonly close idle ones
// after 5 s, and a request that meets such a close would count as failed.
const maxIdle = 3 * time.Second

func (w *wire) do(m *scenarios.Message, a ask) (reply, error) {
	host, path := splitURL(m.URL)
	secure := strings.HasPrefix(m.URL, "https:")
	l, err := w.acquire(host, secure, a.deadline)
	if err != nil {
		return reply{}, &dialError{err}
	}
	if err := l.conn.SetDeadline(a.deadline); err != nil {
		w.discard(l)
		return reply{}, err
	}
	l.out = w.appendHead(l.out[:0], m, host, path, secure)
	wrote, werr := l.write(m)
	l.resp.reset(a.body, a.header, m.Method == http.MethodHead, w.maxBody)
	// It may also have answered before it hung up on the rest of the body.
	if err := l.read(); err != nil {
		w.discard(l)
		if werr != nil {
			err = werr
		}
		return reply{wrote: wrote}, err
	}
	l.resp.closing = l.resp.closing || werr != nil
	return reply{Response: l.resp.answer(), wrote: wrote, size: l.resp.size, from: w, link: l}, nil
}

// largeBody is when a body is not copied behind its header, in bytes: each
// connection would keep its copy.
const largeBody = 64 << 10

// write sends the request. wrote says that its header was written whole: what a
// target has the header of, it counts.
func (l *link) write(m *scenarios.Message) (wrote bool, err error) {
	head, body := len(l.out), m.Body
	if len(body) <= largeBody {
		l.out = append(l.out, body...)
		body = nil
	}
	n, err := l.conn.Write(l.out)
	if err == nil && len(body) > 0 {
		_, err = l.conn.Write(body)
	}
	return n >= head, err
}

// appendHead writes m's header as it is sent to where the connection leads.
func (w *wire) appendHead(b []byte, m *scenarios.Message, host, path string, secure bool) []byte {
	if w.dialer.proxy == nil || secure {
		return appendHead(b, m, host, path)
	}
	via := *m
	via.Header = append(w.dialer.credentials(), m.Header...)
	return appendHead(b, &via, host, "http://"+host+path)
}

// read reads one answer.
func (l *link) read() error {
	for {
		n, err := l.conn.Read(l.in)
		k, done, perr := l.resp.feed(l.in[:n])
		switch {
		case perr != nil:
			return perr
		case done:
			// A server that has sent more than the answer is out of step.
			l.resp.closing = l.resp.closing || k < n
			return nil
		case errors.Is(err, io.EOF) && l.resp.eof():
			return nil
		case err != nil:
			return err
		}
	}
}

// acquire takes the connection that was used last, or makes one. Those to a proxy
// that forwards lead everywhere, so that the target is looked at each time.
func (w *wire) acquire(host string, secure bool, deadline time.Time) (*link, error) {
	key := host
	switch {
	case secure:
		key = "s:" + host
	case w.dialer.proxy != nil:
		key = "p:"
	}
	for l := w.pop(key); l != nil; l = w.pop(key) {
		if w.now()-l.used < maxIdle && alive(l.raw) {
			return l, w.forwardable(l, host, deadline)
		}
		w.discard(l)
	}
	ctx, cancel := w.dialer.conns.withDeadline(deadline)
	defer cancel()
	conn, raw, err := w.dialer.open(ctx, host, secure)
	if err != nil {
		return nil, err
	}
	l := &link{conn: conn, raw: raw, key: key, in: make([]byte, 16<<10)}
	l.resp.budget = w.kept
	return l, nil
}

// forwardable checks that the target of a request to a proxy is allowed.
func (w *wire) forwardable(l *link, host string, deadline time.Time) error {
	if l.key != "p:" {
		return nil
	}
	_, name := dialAddress(host, false)
	if w.dialer.known(name, time.Now()) {
		return nil
	}
	ctx, cancel := w.dialer.conns.withDeadline(deadline)
	defer cancel()
	err := w.dialer.check(ctx, name)
	if err != nil {
		l.resp.closing = true
		w.release(l)
	}
	return err
}

func (w *wire) pop(key string) *link {
	w.mu.Lock()
	defer w.mu.Unlock()
	stack := w.idle[key]
	if len(stack) == 0 {
		return nil
	}
	l := stack[len(stack)-1]
	stack[len(stack)-1] = nil
	w.idle[key] = stack[:len(stack)-1]
	return l
}

// release keeps a connection if it can be used again, and closes the one that
// has been idle longest if that is too long.
func (w *wire) release(l *link) {
	l.resp.drop()
	if l.resp.closing {
		w.discard(l)
		return
	}
	l.used = w.now()
	var old *link
	w.mu.Lock()
	stack := append(w.idle[l.key], l)
	if l.used-stack[0].used > maxIdle {
		old = stack[0]
		stack = append(stack[:0], stack[1:]...)
	}
	w.idle[l.key] = stack
	w.mu.Unlock()
	if old != nil {
		w.discard(old)
	}
}

func (w *wire) discard(l *link) {
	l.resp.drop()
	_ = l.conn.Close()
}

// close closes the idle connections.
func (w *wire) close() {
	w.mu.Lock()
	idle := w.idle
	w.idle = map[string][]*link{}
	w.mu.Unlock()
	for _, stack := range idle {
		for _, l := range stack {
			w.discard(l)
		}
	}
}
