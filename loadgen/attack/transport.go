package attack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/headroom-project/headroom/scenarios"
)

// transport is the http.RoundTripper that vegeta's worker calls. It looks up
// which hit it is to send, and sends that one: vegeta's own request is a carrier
// of the number only.
type transport struct {
	requests *scenarios.Requests
	hits     *inflight
	now      func() time.Duration
	wire     *wire
	conns    *conns
	messages sync.Pool
	// stopped is closed by a kill; virtual users that think wait for it too.
	stopped <-chan struct{}
}

func newTransport(cfg Config, hits *inflight, stopped <-chan struct{}) *transport {
	t := &transport{requests: cfg.Requests, hits: hits, now: cfg.Now, conns: newConns(), stopped: stopped}
	t.messages.New = func() any { return new(scenarios.Message) }
	t.wire = &wire{
		dial: func(ctx context.Context, addr string) (net.Conn, error) {
			return cfg.Allow.Dial(ctx, "tcp", addr, 0)
		},
		now: cfg.Now, maxBody: cfg.MaxBody, conns: t.conns,
		tls: cfg.Requests.Transport().TLS, idle: map[string][]*link{},
	}
	return t
}

// kill cancels everything in flight.
func (t *transport) kill() { t.conns.kill() }

func (t *transport) close() { t.wire.close() }

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
	status, err := t.send(h)
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
	if h.think > 0 {
		timer := time.NewTimer(h.think)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-t.stopped:
			return false
		}
	}
	return h.plan(t.now())
}

// send sends the hit and books what came of it in it.
func (t *transport) send(h *hit) (status int, err error) {
	msg := t.messages.Get().(*scenarios.Message)
	defer t.messages.Put(msg)
	t.requests.Render(h.Hit, msg)
	h.out = uint64(len(msg.Body))

	h.sent = t.now()
	if msg.Err != nil {
		h.done, h.class = h.sent, classify(msg.Err)
		return 0, msg.Err
	}
	l, wrote, err := t.wire.do(msg, t.requests, h.Request)
	h.done, h.wrote = t.now(), wrote
	if err != nil {
		if t.conns.isKilled() {
			err = fmt.Errorf("%w: %w", errKilled, err)
		}
		h.class = classify(err)
		return 0, err
	}
	defer t.wire.release(l)
	h.in = uint64(l.resp.size)
	h.class, _ = t.requests.VerifyResponse(h.Request, l.resp.answer())
	return l.resp.status, nil
}
