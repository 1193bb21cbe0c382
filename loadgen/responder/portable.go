//go:build !linux

package responder

import (
	"bytes"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// portable answers with a goroutine for each connection.
type portable struct {
	received atomic.Uint64
	mu       sync.Mutex // guards what follows
	rhythm   rhythm
	conns    map[net.Conn]struct{}
	wg       sync.WaitGroup
}

// Start runs a responder on a free loopback port.
func Start(cfg Config) (*Target, error) {
	ln, err := listen()
	if err != nil {
		return nil, err
	}
	p := &portable{rhythm: rhythm{stall: cfg.Stall, period: cfg.Period}, conns: map[net.Conn]struct{}{}}
	p.wg.Go(func() { p.accept(ln) })
	return &Target{addr: ln.Addr().String(), close: func() {
		_ = ln.Close()
		p.mu.Lock()
		for c := range p.conns {
			_ = c.Close()
		}
		p.mu.Unlock()
		p.wg.Wait()
	}}, nil
}

func (p *portable) accept(ln net.Listener) {
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		p.conns[c] = struct{}{}
		p.mu.Unlock()
		p.wg.Go(func() { p.serve(c) })
	}
}

func (p *portable) serve(c net.Conn) {
	defer func() {
		p.mu.Lock()
		delete(p.conns, c)
		p.mu.Unlock()
		_ = c.Close()
	}()
	buf, n := make([]byte, 4096), 0
	for {
		k, err := c.Read(buf[n:])
		if err != nil || n+k == len(buf) {
			return
		}
		if n += k; requests(buf[:n]) == 0 {
			continue
		}
		reply := answer
		if bytes.HasPrefix(buf, asksFor) {
			reply = counted(p.received.Load())
		} else {
			p.received.Add(1)
			p.mu.Lock()
			until := p.rhythm.until(time.Now())
			p.mu.Unlock()
			if !until.IsZero() {
				time.Sleep(time.Until(until))
			}
		}
		n = 0
		if _, err := c.Write(reply); err != nil {
			return
		}
	}
}
