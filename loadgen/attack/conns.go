package attack

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"

	"github.com/valyala/fasthttp"
)

// conns knows every open connection, so that a kill can end what is in flight.
type conns struct {
	mu     sync.Mutex
	open   map[*trackedConn]struct{}
	killed bool
}

type trackedConn struct {
	net.Conn
	set *conns
}

// errKilled is what hits end with that a kill cancelled.
var errKilled = errors.New("drill was stopped")

func newConns() *conns { return &conns{open: map[*trackedConn]struct{}{}} }

func (s *conns) add(c net.Conn) (net.Conn, error) {
	t := &trackedConn{Conn: c, set: s}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.killed {
		_ = c.Close()
		return nil, errKilled
	}
	s.open[t] = struct{}{}
	return t, nil
}

func (t *trackedConn) Close() error {
	t.set.mu.Lock()
	delete(t.set.open, t)
	t.set.mu.Unlock()
	return t.Conn.Close()
}

// kill closes every connection, and those that come later.
func (s *conns) kill() {
	s.mu.Lock()
	s.killed = true
	open := s.open
	s.open = map[*trackedConn]struct{}{}
	s.mu.Unlock()
	for c := range open {
		_ = c.Conn.Close()
	}
}

func (s *conns) isKilled() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.killed
}

// dialError marks an error that came before anything was sent.
type dialError struct{ err error }

func (e *dialError) Error() string { return e.err.Error() }
func (e *dialError) Unwrap() error { return e.err }

// classify returns the error class of a failed hit, and whether its request was
// written to a connection.
func classify(err error) (class string, sent bool) {
	var dial *dialError
	var dns *net.DNSError
	notSent := errors.As(err, &dial)
	switch {
	case errors.Is(err, errKilled):
		return "cancelled", !notSent
	case errors.Is(err, ErrBlocked):
		return "blocked", false
	case errors.As(err, &dns):
		return "dns", false
	case isTLS(err):
		return "tls", false
	case isTimeout(err):
		return "timeout", !notSent && !errors.Is(err, fasthttp.ErrTLSHandshakeTimeout)
	case notSent, errors.Is(err, fasthttp.ErrNoFreeConns):
		return "dial", false
	case isReset(err):
		return "reset", true
	}
	return "protocol", true
}

func isTLS(err error) bool {
	var (
		record *tls.RecordHeaderError
		cert   *tls.CertificateVerificationError
		alert  tls.AlertError
		auth   x509.UnknownAuthorityError
		host   x509.HostnameError
		bad    x509.CertificateInvalidError
	)
	return errors.As(err, &record) || errors.As(err, &cert) || errors.As(err, &alert) ||
		errors.As(err, &auth) || errors.As(err, &host) || errors.As(err, &bad)
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.Is(err, fasthttp.ErrTimeout) || errors.Is(err, fasthttp.ErrDialTimeout) ||
		errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &t) && t.Timeout()
}

func isReset(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, fasthttp.ErrConnectionClosed) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, net.ErrClosed)
}
