package attack

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/headroom-project/headroom/scenarios"
)

// h2 sends requests over HTTP/2, over TLS (ALPN h2) or without it (prior
// knowledge), by net/http's connections for a single origin: these never retry,
// where http.Transport would.
type h2 struct {
	dialer  *dialer
	now     func() time.Duration
	maxBody int64
	kept    *budget
	limit   int // connections to one origin; 0 for none
	conns   *http.Transport
	scheme  string
	buffers sync.Pool // *[]byte, to read bodies through

	mu    sync.Mutex
	pools map[string]*h2pool // by host
}

// newH2 returns a sender for the protocol of the requests, which is HTTP2 or H2C.
func newH2(d *dialer, cfg Config, kept *budget) *h2 {
	p := cfg.Requests.Transport().Protocol
	h := &h2{dialer: d, now: cfg.Now, maxBody: cfg.MaxBody, kept: kept, limit: cfg.Connections, scheme: "https", pools: map[string]*h2pool{}}
	h.buffers.New = func() any { b := make([]byte, 32<<10); return &b }
	var protocols http.Protocols
	protocols.SetHTTP2(p == scenarios.HTTP2)
	protocols.SetUnencryptedHTTP2(p == scenarios.H2C)
	if p == scenarios.H2C {
		h.scheme = "http"
	}
	h.conns = &http.Transport{
		Protocols: &protocols, DisableCompression: true, MaxResponseHeaderBytes: maxHead,
		DialContext:    func(ctx context.Context, _, addr string) (net.Conn, error) { return h.open(ctx, addr) },
		DialTLSContext: func(ctx context.Context, _, addr string) (net.Conn, error) { return h.open(ctx, addr) },
	}
	return h
}

// ErrNotHTTP2 is wrapped by errors about a target that does not speak HTTP/2.
var ErrNotHTTP2 = errors.New("the target does not speak HTTP/2")

// open makes a connection on which HTTP/2 is to be spoken.
func (h *h2) open(ctx context.Context, addr string) (net.Conn, error) {
	conn, _, err := h.dialer.open(ctx, addr, h.scheme == "https", "h2")
	if err != nil {
		return nil, err
	}
	if t, ok := conn.(*tls.Conn); ok {
		if err := choseHTTP2(t); err != nil {
			_ = conn.Close()
			return nil, err
		}
	}
	return conn, nil
}

func (h *h2) pool(host string) *h2pool {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.pools[host]
	if p == nil {
		addr, _ := dialAddress(host, h.scheme == "https")
		p = &h2pool{limit: h.limit, dial: func(ctx context.Context) (*http.ClientConn, error) {
			return h.conns.NewClientConn(ctx, h.scheme, addr)
		}}
		h.pools[host] = p
	}
	return p
}

// resends bounds how often a request is sent again that the target has said it
// did not look at: each needs a connection.
const resends = 10

func (h *h2) do(m *scenarios.Message, a ask) (reply, error) {
	ctx, cancel := context.WithDeadline(context.Background(), a.deadline)
	defer cancel()
	host, path := splitURL(m.URL)
	for attempt := 0; ; attempt++ {
		r, err := h.once(ctx, m, a, host, path)
		if err == nil || attempt == resends || !wasIgnored(err) || ctx.Err() != nil {
			return r, err
		}
	}
}

// once sends the request over one connection.
func (h *h2) once(ctx context.Context, m *scenarios.Message, a ask, host, path string) (r reply, err error) {
	pool := h.pool(host)
	c := pool.free()
	if c == nil {
		waiting, done := h.dialer.conns.withDeadline(a.deadline)
		var waited bool
		c, waited, err = pool.take(waiting)
		done()
		if err != nil {
			return r, &dialError{err}
		}
		// Without a bound, what was waited for is a connection that is being made,
		// which is a part of the service time.
		if waited && h.limit > 0 {
			r.sent = h.now()
		}
	}
	var wrote atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { wrote.Store(true) }})
	resp, err := c.RoundTrip(h.request(ctx, m, host, path))
	if err == nil {
		err = h.read(&r, resp, a)
	}
	if err != nil {
		r.release()
	}
	// An answer may come before the trace is told of the writing. What the target
	// says it has not looked at it has not counted.
	r.wrote = (resp != nil || wrote.Load()) && !wasIgnored(err) && !isCode(err, codeRefused)
	return r, err
}

// request is m for net/http, which leaves an opaque path as it is written.
func (h *h2) request(ctx context.Context, m *scenarios.Message, host, path string) *http.Request {
	authority, header := host, make(http.Header, len(m.Header)+1)
	for _, f := range m.Header {
		switch {
		case strings.EqualFold(f.Name, "Host"):
			authority = f.Value
		case strings.EqualFold(f.Name, "Content-Length"), strings.EqualFold(f.Name, "Transfer-Encoding"):
		default:
			header.Add(f.Name, oneLine(f.Value))
		}
	}
	if header.Get("User-Agent") == "" {
		header.Set("User-Agent", "headroom")
	}
	req := &http.Request{
		Method: m.Method, Host: authority, Header: header, ContentLength: int64(len(m.Body)),
		URL: &url.URL{Scheme: h.scheme, Host: host, Opaque: "//" + authority + path},
	}
	if len(m.Body) > 0 {
		req.Body = io.NopCloser(bytes.NewReader(m.Body))
	}
	return req.WithContext(ctx)
}

// oneLine makes a value fit for a header, as appendField does.
func oneLine(value string) string {
	return strings.Map(func(r rune) rune {
		if r == '\r' || r == '\n' || r == 0 {
			return ' '
		}
		return r
	}, value)
}

// read reads the body up to its limit, and keeps what is asked for.
func (h *h2) read(r *reply, resp *http.Response, a ask) error {
	defer func() { _ = resp.Body.Close() }()
	r.Status, r.kept = resp.StatusCode, h.kept
	if a.header {
		r.Header = resp.Header.Values
	}
	if resp.ContentLength > h.maxBody {
		return errBodyMax
	}
	buffer := h.buffers.Get().(*[]byte)
	defer h.buffers.Put(buffer)
	for {
		n, err := resp.Body.Read(*buffer)
		if r.size += int64(n); r.size > h.maxBody {
			return errBodyMax
		}
		if a.body {
			var kerr error
			if r.Body, kerr = h.kept.keptBody(r.Body, (*buffer)[:n], &r.held); kerr != nil {
				return kerr
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// close closes all connections.
func (h *h2) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range h.pools {
		p.close()
	}
}
