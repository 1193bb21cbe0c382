package attack

import (
	"context"
	"net/http"
	"slices"
	"sync"
)

// h2pool keeps the HTTP/2 connections to one origin. Without a limit it opens one,
// and further ones when the target takes no more streams on those there are; with
// a limit it opens that many and spreads the requests evenly.
type h2pool struct {
	dial  func(ctx context.Context) (*http.ClientConn, error)
	limit int // connections; 0 for none

	mu      sync.Mutex
	conns   []*http.ClientConn
	next    int // where the search for a free stream begins
	opening bool

	// waiting has a mutex of its own, since a connection tells of free streams
	// while it is asked for one.
	waitingMu sync.Mutex
	waiting   []chan struct{}
}

// take reserves a stream. It opens a connection if one is due, and else waits for
// a stream until ctx ends; waited says that it had to.
func (p *h2pool) take(ctx context.Context) (c *http.ClientConn, waited bool, err error) {
	for {
		// To be told of what happens from here on, before looking.
		turn := p.queue()
		c, due := p.look(true)
		switch {
		case c != nil:
			p.leave(turn)
			return c, waited, nil
		case due:
			p.leave(turn)
			if err := p.open(ctx); err != nil {
				return nil, waited, err
			}
			continue
		}
		select {
		case <-turn:
			waited = true
		case <-ctx.Done():
			p.leave(turn)
			return nil, true, ctx.Err()
		}
	}
}

// free reserves a stream if there is one and no connection is due.
func (p *h2pool) free() *http.ClientConn {
	c, _ := p.look(false)
	return c
}

// look reserves a stream, or says that a connection is due, which the caller has
// to open then if it said that it would.
func (p *h2pool) look(opens bool) (c *http.ClientConn, due bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns = slices.DeleteFunc(p.conns, func(c *http.ClientConn) bool {
		// A connection that takes no more streams and has none is on its way out.
		gone := c.Err() != nil || c.Available() == 0 && c.InFlight() == 0
		if gone {
			_ = c.Close()
		}
		return gone
	})
	full := p.limit > 0 && len(p.conns) >= p.limit
	if spread := p.limit > 0 && !full && !p.opening; !spread {
		for range p.conns {
			p.next++
			if c := p.conns[p.next%len(p.conns)]; c.Reserve() == nil {
				return c, false
			}
		}
	}
	due = !full && !p.opening
	p.opening = p.opening || due && opens
	return nil, due
}

// open adds a connection; there is one caller at a time.
func (p *h2pool) open(ctx context.Context) error {
	c, err := p.dial(ctx)
	p.mu.Lock()
	p.opening = false
	if err == nil {
		p.conns = append(p.conns, c)
	}
	p.mu.Unlock()
	if err != nil {
		p.wake(1) // somebody else may try
		return err
	}
	c.SetStateHook(func(c *http.ClientConn) {
		if c.Err() != nil {
			p.wake(-1)
		} else {
			p.wake(1)
		}
	})
	p.wake(-1)
	return nil
}

// queue registers a caller who waits for something to change.
func (p *h2pool) queue() chan struct{} {
	turn := make(chan struct{}, 1)
	p.waitingMu.Lock()
	defer p.waitingMu.Unlock()
	p.waiting = append(p.waiting, turn)
	return turn
}

// leave takes a caller off, and hands on a call that was meant for it.
func (p *h2pool) leave(turn chan struct{}) {
	p.waitingMu.Lock()
	i := slices.Index(p.waiting, turn)
	if i >= 0 {
		p.waiting = slices.Delete(p.waiting, i, i+1)
	}
	p.waitingMu.Unlock()
	if i < 0 {
		p.wake(1)
	}
}

// wake calls n of those who wait, the first first; all if n is negative.
func (p *h2pool) wake(n int) {
	p.waitingMu.Lock()
	defer p.waitingMu.Unlock()
	if n < 0 || n > len(p.waiting) {
		n = len(p.waiting)
	}
	for _, turn := range p.waiting[:n] {
		turn <- struct{}{} // there is room for the one call
	}
	p.waiting = slices.Delete(p.waiting, 0, n)
}

func (p *h2pool) close() {
	p.mu.Lock()
	conns := p.conns
	p.conns = nil
	p.mu.Unlock()
	for _, c := range conns {
		_ = c.Close()
	}
}
