package attack

import (
	"context"
	"net"
	"sync"
	"time"
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
