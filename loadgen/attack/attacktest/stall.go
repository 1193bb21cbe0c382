// Package attacktest has targets whose response times are known exactly, to hold
// the generator against.
package attacktest

import (
	"bufio"
	"bytes"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Target answers plain HTTP/1.1 on a loopback port, with as little work as can
// be. Close ends it.
type Target struct {
	// Received counts the requests that were read whole.
	Received atomic.Uint64

	listener net.Listener
	stalled  func(now time.Time) time.Duration
	mu       sync.Mutex
	conns    map[net.Conn]struct{}
	wg       sync.WaitGroup
}

// Fast returns a target that answers at once.
func Fast() (*Target, error) {
	return start(func(time.Time) time.Duration { return 0 })
}

// Stalling returns a target that answers nothing for the last stall of each
// period, counted from the first request, and else at once. Of evenly spread
// arrivals, the share stall/period waits, uniformly between 0 and stall.
func Stalling(stall, period time.Duration) (*Target, error) {
	var once sync.Once
	var began time.Time
	return start(func(now time.Time) time.Duration {
		once.Do(func() { began = now })
		phase := now.Sub(began) % period
		if phase < period-stall {
			return 0
		}
		return period - phase
	})
}

func start(stalled func(time.Time) time.Duration) (*Target, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	t := &Target{listener: ln, stalled: stalled, conns: map[net.Conn]struct{}{}}
	t.wg.Go(t.accept)
	return t, nil
}

// URL is where the target answers.
func (t *Target) URL() string { return "http://" + t.listener.Addr().String() + "/" }

// Close ends the target and waits for its goroutines.
func (t *Target) Close() {
	_ = t.listener.Close()
	t.mu.Lock()
	for c := range t.conns {
		_ = c.Close()
	}
	t.mu.Unlock()
	t.wg.Wait()
}

func (t *Target) accept() {
	for {
		c, err := t.listener.Accept()
		if err != nil {
			return
		}
		t.mu.Lock()
		t.conns[c] = struct{}{}
		t.mu.Unlock()
		t.wg.Go(func() { t.serve(c) })
	}
}

var (
	answer   = []byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	emptyEnd = []byte("\r\n")
)

// serve answers requests without bodies.
func (t *Target) serve(c net.Conn) {
	defer func() {
		t.mu.Lock()
		delete(t.conns, c)
		t.mu.Unlock()
		_ = c.Close()
	}()
	r := bufio.NewReaderSize(c, 4096)
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return
		}
		if !bytes.Equal(line, emptyEnd) {
			continue
		}
		t.Received.Add(1)
		if d := t.stalled(time.Now()); d > 0 {
			time.Sleep(d)
		}
		if _, err := c.Write(answer); err != nil {
			return
		}
	}
}
