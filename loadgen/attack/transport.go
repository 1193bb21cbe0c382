package attack

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/headroom-project/headroom/scenarios"
)

// transport is the http.RoundTripper that vegeta's worker calls. It looks up
// which hit it is to send, and sends that one: vegeta's own request is a carrier
// of the number only.
type transport struct {
	requests *scenarios.Requests
	hits     *inflight
	book     *ledger
	now      func() time.Duration
	dialer   *dialer
	wire     sender
	h2       sender // nil unless HTTP/2 is spoken
	h2Scheme string
	messages sync.Pool
	keepURL  bool // of each hit
	// state tells when a step was cut, and whether everything was killed.
	state func(step int) (cut time.Duration, isCut, killed bool)

	asleep atomic.Int64 // users who think

	mu      sync.Mutex
	changed chan struct{} // closed when state may have changed
}

func newTransport(cfg Config, hits *inflight, book *ledger) *transport {
	t := &transport{requests: cfg.Requests, hits: hits, book: book, now: cfg.Now, changed: make(chan struct{}), keepURL: book.urls}
	t.messages.New = func() any { return new(scenarios.Message) }
	t.dialer = newDialer(cfg.Requests, cfg.Allow, newConns())
	kept := newBudget(maxKept)
	t.wire = &wire{dialer: t.dialer, now: cfg.Now, maxBody: cfg.MaxBody, kept: kept, idle: map[string][]*link{}}
	if cfg.Requests.Transport().Protocol != scenarios.HTTP1 {
		h := newH2(t.dialer, cfg, kept)
		t.h2, t.h2Scheme = h, h.scheme
	}
	return t
}

// wake makes virtual users that think look at the state of their step.
func (t *transport) wake() {
	t.mu.Lock()
	defer t.mu.Unlock()
	close(t.changed)
	t.changed = make(chan struct{})
}

func (t *transport) change() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.changed
}

// kill cancels everything in flight.
func (t *transport) kill() {
	t.dialer.conns.kill()
	t.wake()
}

func (t *transport) close() {
	t.wire.close()
	if t.h2 != nil {
		t.h2.close()
	}
}

// errVoid ends hits of a closed step that come after its end.
var errVoid = errors.New("the step is over")

// RoundTrip sends the hit that req names. The response body has been read, timed
// and checked when it returns, so that vegeta finds none.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	seq, err := strconv.ParseUint(req.Header.Get("X-Vegeta-Seq"), 10, 64)
	if err != nil {
		return nil, fmt.Errorf("vegeta sent no number: %w", err)
	}
	h := t.hits.get(seq)
	if h == nil {
		return nil, fmt.Errorf("no hit has number %d", seq)
	}
	if h.closed && !t.think(h) {
		h.void = true
		return nil, errVoid
	}
	send := t.sendAlone
	if t.requests.IsFlow() {
		send = t.runFlow
	}
	status, err := send(h)
	if err != nil {
		return nil, err
	}
	return &http.Response{
		Status: http.StatusText(status), StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{}, Body: http.NoBody, Request: req,
	}, nil
}

// think waits as a virtual user does, and plans the hit for now; false means
// that the step has ended meanwhile.
func (t *transport) think(h *hit) bool {
	t.asleep.Add(1)
	defer t.asleep.Add(-1)
	until := t.now() + h.think
	for {
		changed := t.change()
		now := t.now()
		cut, isCut, killed := t.state(h.Step)
		switch {
		case killed || isCut && cut <= now || now >= h.until:
			return false
		case now >= until:
			return h.plan(now)
		}
		timer := time.NewTimer(min(until, h.until) - now)
		select {
		case <-timer.C:
		case <-changed:
		}
		timer.Stop()
	}
}

// sendAlone sends a hit that is no part of a flow.
func (t *transport) sendAlone(h *hit) (status int, err error) {
	var jar *cookies
	if hops, _ := t.requests.Redirects(h.Request); hops > 0 {
		jar = new(cookies)
	}
	return t.send(h, nil, jar)
}

// send sends the hit, for a virtual user if there is one, and books what came of
// it in it.
func (t *transport) send(h *hit, user *scenarios.User, jar *cookies) (status int, err error) {
	msg := t.messages.Get().(*scenarios.Message)
	if t.h2 == nil {
		defer t.messages.Put(msg) // else its body may still be in use
	}
	if user != nil {
		_ = user.Render(h.Hit, msg) // it says so in msg too
	} else {
		t.requests.Render(h.Hit, msg)
	}
	h.sent = t.now()
	if msg.Err != nil {
		h.done, h.class = h.sent, classify(msg.Err)
		return 0, msg.Err
	}
	if t.keepURL {
		h.url = msg.URL
	}
	r, err := t.exchange(h, msg, jar)
	h.done = t.now()
	if err != nil {
		if user != nil {
			user.Failed()
		}
		if t.dialer.conns.isKilled() {
			err = fmt.Errorf("%w: %w", errKilled, err)
		}
		h.class = classify(err)
		if !h.wrote {
			h.lack = lackOf(err)
		}
		return 0, err
	}
	defer r.release()
	h.status = r.Status
	if user != nil {
		h.class, _ = user.Answer(r.Response)
	} else {
		h.class, _ = t.requests.VerifyResponse(h.Request, r.Response)
	}
	return r.Status, nil
}

// exchange sends a message, follows redirects as far as the scenario says, and
// returns the last answer.
func (t *transport) exchange(h *hit, m *scenarios.Message, jar *cookies) (reply, error) {
	hops, sameHost := t.requests.Redirects(h.Request)
	a := ask{
		deadline: time.Now().Add(t.requests.Timeout(h.Request)),
		body:     t.requests.NeedsBody(h.Request), header: jar != nil || t.requests.NeedsHeader(h.Request),
	}
	for hop := 0; ; hop++ {
		m = jar.with(m)
		r, err := t.senderFor(m.URL).do(m, a)
		h.book(hop, m, &r)
		if hop == 0 && r.sent != 0 {
			t.book.waited(h)
		}
		if err != nil {
			return r, err
		}
		jar.take(m.URL, r.Response)
		if hops == 0 {
			return r, nil
		}
		next, err := redirected(m, r.Response, sameHost)
		if err == nil && next == nil {
			return r, nil
		}
		r.release()
		if err == nil && hop == hops {
			err = errHops
		}
		if err != nil {
			return reply{}, err
		}
		m = next
	}
}

// book notes what one message of a hit has come to.
func (h *hit) book(hop int, m *scenarios.Message, r *reply) {
	h.in += uint64(r.size)
	h.out += uint64(len(m.Body))
	switch {
	case hop > 0 && r.wrote:
		h.followed++
	case hop == 0:
		h.wrote = r.wrote
		if r.sent != 0 {
			h.sent = r.sent
		}
	}
}

// senderFor is what sends to a URL: HTTP/2 where the scenario says so, and
// HTTP/1.1 for the other scheme, to which a redirect may lead.
func (t *transport) senderFor(u string) sender {
	if t.h2 != nil && strings.HasPrefix(u, t.h2Scheme+"://") {
		return t.h2
	}
	return t.wire
}
