package attack

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync"
	"time"

	"github.com/headroom-project/headroom/scenarios"
)

// dialer makes connections to targets: directly, or through the scenario's proxy.
// The allow-list is asked for every address that is connected to, and for the
// target behind a proxy too.
type dialer struct {
	allow *AllowList
	proxy *url.URL // nil for none
	tls   *tls.Config
	conns *conns

	mu      sync.Mutex
	allowed map[string]time.Time // names of targets behind the proxy, and until when
}

func newDialer(r *scenarios.Requests, allow *AllowList, conns *conns) *dialer {
	t := r.Transport()
	return &dialer{allow: allow, proxy: t.Proxy, tls: t.TLS, conns: conns, allowed: map[string]time.Time{}}
}

// open connects to host, which may have a port, over TLS if secure; alpn are the
// protocols that are offered then. The raw connection is the one below TLS.
func (d *dialer) open(ctx context.Context, host string, secure bool, alpn ...string) (conn, raw net.Conn, err error) {
	addr, name := dialAddress(host, secure)
	via := addr
	if d.proxy != nil {
		via, _ = dialAddress(d.proxy.Host, false)
		if err := d.check(ctx, name); err != nil {
			return nil, nil, err
		}
	}
	if raw, err = d.allow.Dial(ctx, "tcp", via, 0); err != nil {
		if d.proxy != nil {
			err = fmt.Errorf("%w: %w", ErrProxy, err)
		}
		return nil, nil, err
	}
	if conn, err = d.conns.add(raw); err != nil {
		return nil, nil, err
	}
	if d.proxy != nil && secure {
		if err := d.tunnel(ctx, conn, addr); err != nil {
			_ = conn.Close()
			return nil, nil, err
		}
	}
	if !secure {
		return conn, raw, nil
	}
	cfg := d.tls.Clone()
	cfg.ServerName, cfg.NextProtos = name, alpn
	t := tls.Client(conn, cfg)
	if err := t.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, nil, &tlsError{err}
	}
	return t, raw, nil
}

// checkedFor is how long a name's addresses are taken for known. The proxy
// resolves it anew anyway; this keeps a drill from being one of the name server.
const checkedFor = time.Second

// check asks the allow-list about a target that the proxy connects to.
func (d *dialer) check(ctx context.Context, name string) error {
	now := time.Now()
	if d.known(name, now) {
		return nil
	}
	if err := d.allow.CheckName(ctx, name); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.allowed) > 1000 {
		clear(d.allowed) // redirects may name any number of hosts
	}
	d.allowed[name] = now.Add(checkedFor)
	return nil
}

// known says that a target has been checked a moment ago.
func (d *dialer) known(name string, now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return now.Before(d.allowed[name])
}

// dialAddress is host with its port written out, and the name alone.
func dialAddress(host string, secure bool) (addr, name string) {
	parsed := url.URL{Host: host}
	port := parsed.Port()
	switch {
	case port == "" && secure:
		port = "443"
	case port == "":
		port = "80"
	}
	return net.JoinHostPort(parsed.Hostname(), port), parsed.Hostname()
}

// ErrProxy is wrapped by errors of a proxy that cannot be reached, or does not
// connect to the target.
var ErrProxy = errors.New("proxy")

// tunnel asks the proxy at the other end of conn for a connection to addr (RFC
// 9110, 9.3.6).
func (d *dialer) tunnel(ctx context.Context, conn net.Conn, addr string) error {
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return err
		}
	}
	m := scenarios.Message{Method: "CONNECT", Header: d.credentials()}
	if _, err := conn.Write(appendRequest(nil, &m, addr, addr)); err != nil {
		return fmt.Errorf("%w: ask it to connect: %w", ErrProxy, err)
	}
	l := &link{conn: conn, in: make([]byte, 4<<10)}
	l.resp.reset(false, false, true, 0)
	if err := l.read(); err != nil {
		return fmt.Errorf("%w: read its answer: %w", ErrProxy, err)
	}
	if l.resp.status < 200 || l.resp.status > 299 {
		return fmt.Errorf("%w refused to connect to the target: status %d", ErrProxy, l.resp.status)
	}
	return conn.SetDeadline(time.Time{}) // it was the tunnel's, not the connection's
}

// credentials are what a proxy is told who asks.
func (d *dialer) credentials() []scenarios.HeaderField {
	if d.proxy == nil || d.proxy.User == nil {
		return nil
	}
	password, _ := d.proxy.User.Password()
	pair := d.proxy.User.Username() + ":" + password
	return []scenarios.HeaderField{{Name: "Proxy-Authorization", Value: "Basic " + base64.StdEncoding.EncodeToString([]byte(pair))}}
}
