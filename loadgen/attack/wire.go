package attack

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/headroom-project/headroom/scenarios"
)

// wire sends requests over connections that it keeps: HTTP/1.1, one request at a
// time on each, never a retry, because a retried hit would count twice at the
// target. It has no goroutine of its own.
type wire struct {
	dial    func(ctx context.Context, addr string) (net.Conn, error)
	now     func() time.Duration
	maxBody int64
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
	in     []byte
	out    []byte
	resp   response
	used   time.Duration // when it was last used, in drill time
}

// maxIdle is how long a connection may be idle. Servers commonly close idle ones
// after 5 s, and a request that meets such a close would count as failed.
const maxIdle = 3 * time.Second

// do sends request i, rendered as m, and reads the answer, which l holds until it
// is given back by release. wrote says whether the request was written whole.
func (w *wire) do(m *scenarios.Message, r *scenarios.Requests, i int) (l *link, wrote bool, err error) {
	deadline := time.Now().Add(r.Timeout(i))
	l, host, path, err := w.acquire(m.URL, deadline)
	if err != nil {
		return nil, false, &dialError{err}
	}
	if err := l.conn.SetDeadline(deadline); err != nil {
		w.discard(l)
		return nil, false, err
	}
	l.out = appendRequest(l.out[:0], m, host, path)
	if _, err := l.conn.Write(l.out); err != nil {
		w.discard(l)
		return nil, false, err
	}
	l.resp.reset(r.NeedsBody(i), r.NeedsHeader(i), m.Method == http.MethodHead, w.maxBody)
	if err := l.read(); err != nil {
		w.discard(l)
		return nil, true, err
	}
	return l, true, nil
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

// acquire takes the connection that was used last, or makes one.
func (w *wire) acquire(u string, deadline time.Time) (l *link, host, path string, err error) {
	host, path = splitURL(u)
	secure := strings.HasPrefix(u, "https:")
	name := host
	if secure {
		name = "s:" + host
	}
	for {
		l := w.pop(name)
		if l == nil {
			break
		}
		if w.now()-l.used < maxIdle && alive(l.raw) {
			return l, host, path, nil
		}
		w.discard(l)
	}
	ctx, cancel := w.conns.withDeadline(deadline)
	defer cancel()
	l, err = w.open(ctx, host, secure)
	if err != nil {
		return nil, "", "", err
	}
	l.origin = name
	return l, host, path, nil
}

// open makes a connection to host, which may have a port.
func (w *wire) open(ctx context.Context, host string, secure bool) (*link, error) {
	parsed := url.URL{Host: host}
	port := parsed.Port()
	switch {
	case port == "" && secure:
		port = "443"
	case port == "":
		port = "80"
	}
	raw, err := w.dial(ctx, net.JoinHostPort(parsed.Hostname(), port))
	if err != nil {
		return nil, err
	}
	conn, err := w.conns.add(raw)
	if err != nil {
		return nil, err
	}
	l := &link{conn: conn, raw: raw, in: make([]byte, 16<<10)}
	if secure {
		cfg := w.tls.Clone()
		cfg.ServerName = parsed.Hostname()
		t := tls.Client(conn, cfg)
		if err := t.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
			return nil, &tlsError{err}
		}
		l.conn = t
	}
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

// release keeps a connection if it can be used again, and closes the one that
// has been idle longest if that is too long.
func (w *wire) release(l *link) {
	if l.resp.closing {
		w.discard(l)
		return
	}
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
