package bus

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// windowReader reads the windows of one run from the stream, in their order.
type windowReader struct {
	messages jetstream.MessagesContext
	stopped  atomic.Bool
}

// openWindows begins after a number of the stream; 0 begins with the first.
func openWindows(ctx context.Context, js jetstream.JetStream, run string, after uint64) (*windowReader, error) {
	cfg := jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{windowSubject + run + ".*"}, DeliverPolicy: jetstream.DeliverAllPolicy,
		InactiveThreshold: time.Minute,
	}
	if after > 0 {
		cfg.DeliverPolicy, cfg.OptStartSeq = jetstream.DeliverByStartSequencePolicy, after+1
	}
	consumer, err := js.OrderedConsumer(ctx, windowStream, cfg)
	if err != nil {
		return nil, fmt.Errorf("read windows: %w", err)
	}
	// Heartbeats of half a second make a lost server known soon.
	messages, err := consumer.Messages(jetstream.PullMaxMessages(500), jetstream.PullExpiry(2*time.Second), jetstream.PullHeartbeat(500*time.Millisecond))
	if err != nil {
		return nil, fmt.Errorf("read windows: %w", err)
	}
	return &windowReader{messages: messages}, nil
}

// next waits for a message; false means that the reader was stopped.
func (r *windowReader) next() (jetstream.Msg, bool) {
	for !r.stopped.Load() {
		m, err := r.messages.Next()
		switch {
		case err == nil:
			return m, true
		case errors.Is(err, jetstream.ErrMsgIteratorClosed) && r.stopped.Load():
			return nil, false
		case errors.Is(err, jetstream.ErrMsgIteratorClosed):
			return nil, false
		}
		// Anything else is mended by the reader itself, which begins anew where it
		// was.
		time.Sleep(20 * time.Millisecond)
	}
	return nil, false
}

func (r *windowReader) stop() {
	if !r.stopped.Swap(true) {
		r.messages.Stop()
	}
}

// read hands on windows until the reader is stopped.
func (f *Fleet) read() {
	defer close(f.out)
	for {
		msg, ok := f.stream.next()
		if !ok {
			return
		}
		id := lastToken(msg.Subject())
		m := f.members[id]
		if m == nil {
			continue
		}
		b, err := decodeBatch(msg.Data())
		if err != nil {
			f.hub.cfg.Log.Warn("windows that cannot be read", "worker", m.name, "error", err)
			continue
		}
		name := f.windowName(m, b.Epoch)
		for _, w := range b.Windows {
			w.Worker = name
			f.out <- w
		}
		f.mu.Lock()
		for _, w := range b.Windows {
			if w.Last && b.Epoch == f.cfg.Epoch {
				m.told = max(m.told, w.At)
			}
		}
		m.final = m.final || b.Final && b.Epoch == f.cfg.Epoch
		f.mu.Unlock()
	}
}

// windowName is under which name a worker's windows are recorded. They are numbered
// anew under another epoch, and so have another name.
func (f *Fleet) windowName(m *member, epoch uint64) string {
	if epoch == f.cfg.FirstEpoch {
		return m.name
	}
	return fmt.Sprintf("%s~%d", m.name, epoch)
}
