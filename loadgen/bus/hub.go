package bus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// HubConfig is what a hub needs.
type HubConfig struct {
	// Conn may do everything.
	Conn *nats.Conn
	// Version is the controller's; workers of another one are refused.
	Version string
	// Now is a monotonic clock.
	Now func() time.Duration
	// Left says that the worker with this id, whose connection was made from this
	// host:port by its own account, has ended its connection itself and made
	// no other: its process has ended. It need not be known; nil if it never is.
	Left func(id, from string) bool
	// Log takes what happens; nil discards it.
	Log *slog.Logger
}

// Hub is where a controller meets its workers: it lists them, and answers what they
// ask of the drills that run.
type Hub struct {
	cfg  HubConfig
	js   jetstream.JetStream
	subs []*nats.Subscription

	mu      sync.Mutex
	members map[string]*listed
	fleets  map[string]*Fleet
	kept    map[string]*Reservation // by the id of the worker
}

// listed is a worker that has said hello.
type listed struct {
	info Info
	seen time.Duration
	over string // the run whose end it was part of last
}

// gone is how long a worker is listed that is not heard of.
const gone = 4 * time.Second

// NewHub begins to answer workers.
func NewHub(cfg HubConfig) (*Hub, error) {
	if cfg.Conn == nil || cfg.Now == nil {
		return nil, errors.New("hub: incomplete configuration")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	js, err := jetstream.New(cfg.Conn)
	if err != nil {
		return nil, fmt.Errorf("hub: %w", err)
	}
	h := &Hub{cfg: cfg, js: js, members: map[string]*listed{}, fleets: map[string]*Fleet{}, kept: map[string]*Reservation{}}
	for _, s := range []struct {
		subject string
		handle  nats.MsgHandler
	}{
		{helloSubject + "*", h.hello}, {clockSubject + "*", h.clock}, {leaseSubject + "*", h.lease}, {inputSubject + "*", h.input},
	} {
		sub, err := cfg.Conn.Subscribe(s.subject, s.handle)
		if err != nil {
			h.Close()
			return nil, fmt.Errorf("hub: subscribe to %s: %w", s.subject, err)
		}
		// A burst of thousands of workers is not to be cut off.
		_ = sub.SetPendingLimits(1<<20, 1<<28)
		h.subs = append(h.subs, sub)
	}
	return h, cfg.Conn.Flush()
}

// Close stops answering.
func (h *Hub) Close() {
	for _, s := range h.subs {
		_ = s.Unsubscribe()
	}
}

// Workers lists the workers that are there, by name.
func (h *Hub) Workers() []Info {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []Info
	for id, m := range h.members {
		if h.cfg.Now()-m.seen > gone {
			delete(h.members, id)
			continue
		}
		out = append(out, m.info)
	}
	slices.SortFunc(out, func(a, b Info) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) })
	return out
}

// hello lists a worker, or refuses it.
func (h *Hub) hello(m *nats.Msg) {
	var i Info
	if err := decode(m.Data, &i); err != nil {
		answer(m, welcome{Refused: "its greeting cannot be read: " + err.Error()})
		return
	}
	// Who asks is known from the subject, which is permitted to that worker alone.
	i.ID = lastToken(m.Subject)
	if err := i.check(); err != nil {
		answer(m, welcome{Refused: err.Error()})
		return
	}
	if why := h.refuse(i); why != "" {
		h.cfg.Log.Warn("worker refused", "worker", i.Name, "why", why)
		answer(m, welcome{Refused: why})
		return
	}
	h.mu.Lock()
	if i.Leaving {
		delete(h.members, i.ID)
		h.mu.Unlock()
		answer(m, welcome{})
		return
	}
	now := &listed{info: i, seen: h.cfg.Now()}
	if before := h.members[i.ID]; before == nil {
		h.cfg.Log.Info("worker joined", "worker", i.Name, "id", i.ID)
	} else if now.over = before.over; i.Run == before.over {
		now.info.Run = "" // it said so before it knew
	}
	h.members[i.ID] = now
	h.mu.Unlock()
	answer(m, welcome{})
}

func (h *Hub) refuse(i Info) string {
	if i.Version == h.cfg.Version && i.Protocol == Protocol {
		return ""
	}
	return fmt.Sprintf("the worker is headroom %s (protocol %d), the controller is headroom %s (protocol %d); install the same version on both",
		i.Version, i.Protocol, h.cfg.Version, Protocol)
}

// fleet finds the drill that a message is about.
func (h *Hub) fleet(run string) *Fleet {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.fleets[run]
}

// clock tells the drill time. A controller that does not have the run is silent:
// another may.
func (h *Hub) clock(m *nats.Msg) {
	var r clockRequest
	if decode(m.Data, &r) != nil {
		return
	}
	if f := h.fleet(r.Run); f != nil {
		answer(m, clockReply{Now: f.cfg.Now()})
	}
}

// over forgets a drill whose workers have ended. They are free: what they said last of
// themselves may be a second old.
func (h *Hub) over(f *Fleet) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.fleets, f.cfg.Run)
	for id, m := range f.members {
		l := h.members[id]
		if l == nil || !m.final {
			continue
		}
		if l.over = f.cfg.Run; l.info.Run == l.over {
			l.info.Run = ""
		}
	}
}

func (h *Hub) lease(m *nats.Msg) {
	var r renewal
	if decode(m.Data, &r) != nil {
		return
	}
	if f := h.fleet(r.Run); f != nil {
		answer(m, f.renew(lastToken(m.Subject), r))
	}
}

// inputPart is how much of the input one answer holds, in bytes.
const inputPart = 512 << 10

func (h *Hub) input(m *nats.Msg) {
	var r inputRequest
	if decode(m.Data, &r) != nil {
		return
	}
	f := h.fleet(r.Run)
	if f == nil || !f.has(lastToken(m.Subject)) || r.Offset < 0 || r.Offset > len(f.input) {
		_ = m.Respond(nil)
		return
	}
	_ = m.Respond(f.input[r.Offset:min(r.Offset+inputPart, len(f.input))])
}

// ErrForgotten says that no worker has the input of a run any more.
var ErrForgotten = errors.New("no worker has its scenario and files any more")

// Recall gets the input with a digest back from the workers that were given it. The
// controller that had it kept none of it, since it may hold secrets.
func (h *Hub) Recall(ctx context.Context, workers []Info, digest string) (*Input, error) {
	for _, w := range workers {
		data, err := h.recall(ctx, w.ID, digest)
		if err != nil {
			h.cfg.Log.Warn("an input is not got back", "worker", w.Name, "error", err)
			continue
		}
		if in, err := decodeInput(data, digest); err == nil {
			return in, nil
		}
	}
	return nil, ErrForgotten
}

// recallIn bounds how long one worker may take to give back an input.
const recallIn = time.Minute

// recall asks one worker, part by part.
func (h *Hub) recall(ctx context.Context, id, digest string) (data []byte, err error) {
	ctx, done := context.WithTimeout(ctx, recallIn)
	defer done()
	for len(data) <= MaxInput {
		ask, cancel := context.WithTimeout(ctx, fetchIn)
		m, err := h.cfg.Conn.RequestWithContext(ask, workerSubject+id+recallVerb, encode(recallRequest{Digest: digest, Offset: len(data)}))
		cancel()
		if err != nil {
			return nil, err
		}
		if len(m.Data) == 0 {
			return data, nil
		}
		data = append(data, m.Data...)
	}
	return nil, fmt.Errorf("more than %d bytes", MaxInput)
}
