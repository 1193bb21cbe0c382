package attack

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/headroom-project/headroom/scenarios"
)

// patience bounds the connection to one origin before a drill.
const patience = 5 * time.Second

// Preflight connects once to everything that the requests go to, as the load will:
// through the proxy, over TLS, with HTTP/2's greeting. It sends no request, so that
// the target's count stays the load's. The error wraps ErrBlocked, ErrProxy,
// ErrNotHTTP2 or what the system says; addr is what could not be reached.
func Preflight(ctx context.Context, r *scenarios.Requests, allow *AllowList) (addr string, err error) {
	d := newDialer(r, allow, newConns())
	defer d.conns.kill()
	for _, origin := range r.Origins() {
		scheme, host, _ := strings.Cut(origin, "://")
		if err := d.probe(ctx, host, scheme == "https", r.Transport().Protocol); err != nil {
			return host, err
		}
	}
	return "", nil
}

// probe connects to host and sees whether the protocol is spoken there.
func (d *dialer) probe(ctx context.Context, host string, secure bool, p scenarios.Protocol) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var alpn []string
	if p == scenarios.HTTP2 {
		alpn = []string{"h2"}
	}
	conn, _, err := d.open(ctx, host, secure, alpn...)
	if err != nil {
		return err
	}
	defer conn.Close()
	if t, ok := conn.(*tls.Conn); ok && p == scenarios.HTTP2 {
		return choseHTTP2(t)
	}
	if p == scenarios.H2C {
		return greet(conn, time.Now().Add(patience))
	}
	return nil
}

// choseHTTP2 looks at what the target chose by ALPN.
func choseHTTP2(t *tls.Conn) error {
	if chosen := t.ConnectionState().NegotiatedProtocol; chosen != "h2" {
		return &tlsError{fmt.Errorf("%w: by ALPN it chose %q", ErrNotHTTP2, chosen)}
	}
	return nil
}

// greet sends HTTP/2's preface with empty settings, and reads the header of the
// frame that must come first: the target's settings (RFC 9113, 3.4 and 4.1).
func greet(conn net.Conn, deadline time.Time) error {
	if err := conn.SetDeadline(deadline); err != nil {
		return err
	}
	const settings = 4
	if _, err := io.WriteString(conn, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"); err != nil {
		return err
	}
	var frame [9]byte
	if _, err := io.ReadFull(conn, frame[:]); err != nil {
		return fmt.Errorf("%w: it answers the greeting with: %w", ErrNotHTTP2, err)
	}
	if frame[3] != settings || frame[5]|frame[6]|frame[7]|frame[8] != 0 {
		return fmt.Errorf("%w: it answers the greeting with %q", ErrNotHTTP2, frame[:])
	}
	return nil
}
