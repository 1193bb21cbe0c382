package attack

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/headroom-project/headroom/scenarios"
)

// conns knows every open connection, so that a kill can end what is in flight.
type conns struct {
	mu     sync.Mutex
	open   map[*trackedConn]struct{}
	killed bool
	// stop is closed by a kill, for dials and handshakes on their way.
	stop chan struct{}
}

type trackedConn struct {
	net.Conn
	set *conns
}

func newConns() *conns {
	return &conns{open: map[*trackedConn]struct{}{}, stop: make(chan struct{})}
}

// withDeadline returns a context that ends at the deadline, or when everything
// is killed.
func (s *conns) withDeadline(deadline time.Time) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	done := make(chan struct{})
	go func() {
		select {
		case <-s.stop:
			cancel()
		case <-done:
		}
	}()
	return ctx, sync.OnceFunc(func() { close(done); cancel() })
}

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
	if !s.killed {
		close(s.stop)
	}
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

// classify returns the error class of a failed hit.
func classify(err error) string {
	var dial *dialError
	var dns *net.DNSError
	var handshake *tlsError
	switch {
	case errors.Is(err, scenarios.ErrNoRow), errors.Is(err, scenarios.ErrNoValue), errors.Is(err, scenarios.ErrBadValue):
		return "check" // the request could not be made
	case errors.Is(err, errKilled):
		return "cancelled"
	case errors.Is(err, ErrBlocked):
		return "blocked"
	case errors.As(err, &dns):
		return "dns"
	case isTimeout(err):
		return "timeout"
	case errors.As(err, &handshake):
		return "tls"
	case errors.As(err, &dial):
		return "dial"
	case isReset(err):
		return "reset"
	}
	return "protocol"
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) ||
		errors.As(err, &t) && t.Timeout()
}

func isReset(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, net.ErrClosed)
}
