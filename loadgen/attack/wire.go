package attack

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/url"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
)

// wire sends requests over connections that it keeps: HTTP/1.1, one request at a
// time on each, never a retry, because a retried hit would count twice at the
// target. It has no goroutine of its own. fasthttp parses and formats; its
// client is not used since its cleaners outlive it.
type wire struct {
	dial    func(ctx context.Context, addr string) (net.Conn, error)
	now     func() time.Duration
	timeout time.Duration
	maxBody int
	tls     *tls.Config
	conns   *conns

	mu   sync.Mutex
	idle map[string][]*link // by origin, the last used at the end
}

// link is one connection with its buffers.
type link struct {
	conn   net.Conn
	raw    net.Conn // below TLS
	origin string
	r      *bufio.Reader
	w      *bufio.Writer
	used   time.Duration // when it was last used, in drill time
}

const (
	// maxIdle is how long a connection may be idle. Servers commonly close idle
	// ones after 5 s, and a request that meets such a close would count as failed.
	maxIdle = 3 * time.Second
	// probeAfter is after how much idleness a connection is looked at before it
	// is used again.
	probeAfter = 100 * time.Millisecond

	readBuffer  = 16 << 10 // also bounds a response's header
	writeBuffer = 4 << 10
)

// originOf is the scheme, host and port of a URL, and what to dial for it.
func originOf(u *fasthttp.URI) (name, addr, host string, secure bool) {
	host = string(u.Host())
	secure = string(u.Scheme()) == "https"
	parsed := url.URL{Host: host}
	port := parsed.Port()
	if port == "" {
		port = "80"
		if secure {
			port = "443"
		}
	}
	addr = net.JoinHostPort(parsed.Hostname(), port)
	return string(u.Scheme()) + "://" + addr, addr, parsed.Hostname(), secure
}

// do sends req and reads resp. wrote says whether the request was written.
func (w *wire) do(req *fasthttp.Request, resp *fasthttp.Response) (wrote bool, err error) {
	deadline := time.Now().Add(w.timeout)
	l, err := w.acquire(req, deadline)
	if err != nil {
		return false, &dialError{err}
	}
	if err := l.conn.SetDeadline(deadline); err != nil {
		w.discard(l)
		return false, err
	}
	if err = req.Write(l.w); err == nil {
		err = l.w.Flush()
	}
	if err != nil {
		w.discard(l)
		return true, err
	}
	resp.SkipBody = req.Header.IsHead()
	if err := resp.ReadLimitBody(l.r, w.maxBody); err != nil {
		w.discard(l)
		return true, err
	}
	// A server that has sent more than the answer is out of step.
	if resp.ConnectionClose() || req.ConnectionClose() || l.r.Buffered() > 0 {
		w.discard(l)
	} else {
		w.release(l)
	}
	return true, nil
}

// acquire takes the connection that was used last, or makes one.
func (w *wire) acquire(req *fasthttp.Request, deadline time.Time) (*link, error) {
	name, addr, host, secure := originOf(req.URI())
	for {
		l := w.pop(name)
		if l == nil {
			break
		}
		idle := w.now() - l.used
		if idle < probeAfter || idle < maxIdle && alive(l.raw) {
			return l, nil
		}
		w.discard(l)
	}
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	raw, err := w.dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	conn, err := w.conns.add(raw)
	if err != nil {
		return nil, err
	}
	l := &link{conn: conn, raw: raw, origin: name}
	if secure {
		cfg := w.tls.Clone()
		cfg.ServerName = host
		t := tls.Client(conn, cfg)
		if err := t.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
			return nil, &tlsError{err}
		}
		l.conn = t
	}
	l.r, l.w = bufio.NewReaderSize(l.conn, readBuffer), bufio.NewWriterSize(l.conn, writeBuffer)
	return l, nil
}

func (w *wire) pop(name string) *link {
	w.mu.Lock()
	defer w.mu.Unlock()
	stack := w.idle[name]
	if len(stack) == 0 {
		return nil
	}
	l := stack[len(stack)-1]
	stack[len(stack)-1] = nil
	w.idle[name] = stack[:len(stack)-1]
	return l
}

// release keeps a connection, and closes the one that has been idle longest if
// that is too long.
func (w *wire) release(l *link) {
	l.used = w.now()
	var old *link
	w.mu.Lock()
	stack := append(w.idle[l.origin], l)
	if l.used-stack[0].used > maxIdle {
		old = stack[0]
		stack = append(stack[:0], stack[1:]...)
	}
	w.idle[l.origin] = stack
	w.mu.Unlock()
	if old != nil {
		w.discard(old)
	}
}

func (w *wire) discard(l *link) { _ = l.conn.Close() }

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

// tlsError marks a failed handshake.
type tlsError struct{ err error }

func (e *tlsError) Error() string { return "tls handshake: " + e.err.Error() }
func (e *tlsError) Unwrap() error { return e.err }

// errKilled is what hits end with that a kill cancelled.
var errKilled = errors.New("drill was stopped")
