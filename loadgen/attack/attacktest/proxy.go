package attacktest

import (
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
)

// Proxy is an HTTP proxy on a loopback port: it forwards http, and tunnels with
// CONNECT. Close ends it.
type Proxy struct {
	// Forwarded and Tunnels count requests of both kinds.
	Forwarded, Tunnels atomic.Uint64
	// Credentials, if not empty, must come as Proxy-Authorization; else it answers 407.
	Credentials string

	server *httptest.Server
	out    *http.Transport
	mu     sync.Mutex
	closed bool
	conns  map[net.Conn]struct{}
	wg     sync.WaitGroup
}

// NewProxy starts a proxy.
func NewProxy() *Proxy {
	// A connection for each request, so that nothing is sent twice.
	p := &Proxy{conns: map[net.Conn]struct{}{}, out: &http.Transport{DisableKeepAlives: true, DisableCompression: true}}
	p.server = httptest.NewUnstartedServer(p)
	p.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	p.server.Start()
	return p
}

// URL is where the proxy listens.
func (p *Proxy) URL() string { return p.server.URL }

// Close ends the proxy and waits for its goroutines.
func (p *Proxy) Close() {
	p.mu.Lock()
	p.closed = true
	for c := range p.conns {
		_ = c.Close()
	}
	p.mu.Unlock()
	p.server.CloseClientConnections()
	p.server.Close()
	p.wg.Wait()
}

// ServeHTTP forwards or tunnels.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case p.Credentials != "" && r.Header.Get("Proxy-Authorization") != p.Credentials:
		w.WriteHeader(http.StatusProxyAuthRequired)
	case r.Method == http.MethodConnect:
		p.Tunnels.Add(1)
		p.tunnel(w, r)
	case !r.URL.IsAbs():
		w.WriteHeader(http.StatusBadRequest)
	default:
		p.Forwarded.Add(1)
		p.forward(w, r)
	}
}

func (p *Proxy) forward(w http.ResponseWriter, r *http.Request) {
	out := r.Clone(r.Context())
	out.RequestURI = ""
	out.Header.Del("Proxy-Authorization")
	resp, err := p.out.RoundTrip(out)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer resp.Body.Close()
	for name, values := range resp.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(resp.StatusCode)
	_, _ = io.Copy(w, resp.Body)
}

func (p *Proxy) tunnel(w http.ResponseWriter, r *http.Request) {
	target, err := net.Dial("tcp", r.Host)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	client, _, err := w.(http.Hijacker).Hijack()
	if err != nil || !p.keep(client, target) {
		_ = target.Close()
		return
	}
	_, _ = io.WriteString(client, "HTTP/1.1 200 Connection established\r\n\r\n")
	copying := func(to, from net.Conn) func() {
		return func() {
			_, _ = io.Copy(to, from)
			_, _ = to.Close(), from.Close()
		}
	}
	p.wg.Go(copying(target, client))
	p.wg.Go(copying(client, target))
}

// keep takes note of connections that Close must close.
func (p *Proxy) keep(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		if p.closed {
			_ = c.Close()
		} else {
			p.conns[c] = struct{}{}
		}
	}
	return !p.closed
}
