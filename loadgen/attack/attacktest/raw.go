package attacktest

import (
	"bufio"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Raw is a target that does with a connection whatever it is told to. Close ends
// it.
type Raw struct {
	// Received counts what serve reports.
	Received atomic.Uint64

	listener net.Listener
	serve    func(c net.Conn, r *bufio.Reader, received func())
	tls      *tls.Config
	mu       sync.Mutex
	conns    map[net.Conn]struct{}
	wg       sync.WaitGroup
}

// NewRaw starts a target on a loopback port that calls serve with each connection,
// over TLS if there is a configuration, and closes it afterwards. serve calls
// received for each request that it has seen.
func NewRaw(cfg *tls.Config, serve func(c net.Conn, r *bufio.Reader, received func())) (*Raw, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	t := &Raw{listener: ln, serve: serve, tls: cfg, conns: map[net.Conn]struct{}{}}
	t.wg.Go(t.accept)
	return t, nil
}

// Addr is where the target listens.
func (t *Raw) Addr() string { return t.listener.Addr().String() }

// Close ends the target and waits for its goroutines.
func (t *Raw) Close() {
	_ = t.listener.Close()
	t.mu.Lock()
	for c := range t.conns {
		_ = c.Close()
	}
	t.mu.Unlock()
	t.wg.Wait()
}

func (t *Raw) accept() {
	for {
		c, err := t.listener.Accept()
		if err != nil {
			return
		}
		t.mu.Lock()
		t.conns[c] = struct{}{}
		t.mu.Unlock()
		t.wg.Go(func() { t.handle(c) })
	}
}

func (t *Raw) handle(raw net.Conn) {
	defer func() {
		t.mu.Lock()
		delete(t.conns, raw)
		t.mu.Unlock()
		_ = raw.Close()
	}()
	c := raw
	if t.tls != nil {
		secure := tls.Server(raw, t.tls)
		if secure.Handshake() != nil {
			return
		}
		c = secure
	}
	t.serve(c, bufio.NewReader(c), func() { t.Received.Add(1) })
}

// Reset closes a connection so that the peer sees a reset. It is for connections
// without TLS, and closes others.
func Reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}

// Hang waits until the peer has closed the connection.
func Hang(c net.Conn) {
	var b [512]byte
	for {
		if _, err := c.Read(b[:]); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
	}
}

// Drip writes text over and over again, a byte at a time with a pause, until the
// peer has closed the connection.
func Drip(c net.Conn, text string, pause time.Duration) {
	for i := 0; ; i++ {
		if _, err := c.Write([]byte{text[i%len(text)]}); err != nil {
			return
		}
		time.Sleep(pause)
	}
}

// Pour writes text over and over again as fast as the peer takes it.
func Pour(c net.Conn, text string) {
	for b := []byte(text); ; {
		if _, err := c.Write(b); err != nil {
			return
		}
	}
}
