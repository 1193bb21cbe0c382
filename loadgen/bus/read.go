package bus

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/headroom-project/headroom/loadgen/observation"
)

// windowReader reads the windows of one run from the stream, in their order. When a
// server is lost, it begins anew after the last message that it has read.
type windowReader struct {
	ctx    context.Context
	cancel context.CancelFunc
	js     jetstream.JetStream
	run    string
	last   uint64 // number in the stream of the last message that was read

	messages jetstream.MessagesContext // nil if it has to be opened
}

// openWindows begins after a number of the stream; 0 begins with the first.
func openWindows(ctx context.Context, js jetstream.JetStream, run string, after uint64) (*windowReader, error) {
	r := &windowReader{js: js, run: run, last: after}
	if err := r.open(ctx); err != nil {
		return nil, fmt.Errorf("read windows: %w", err)
	}
	r.ctx, r.cancel = context.WithCancel(ctx)
	return r, nil
}

// heartbeat makes a server known that is lost.
const heartbeat = 500 * time.Millisecond

func (r *windowReader) open(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, attemptIn)
	defer cancel()
	consumer, err := r.js.CreateConsumer(ctx, windowStream, jetstream.ConsumerConfig{
		FilterSubject: windowSubject + r.run + ".*", DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: r.last + 1,
		AckPolicy: jetstream.AckNonePolicy, InactiveThreshold: time.Minute, MemoryStorage: true, Replicas: 1,
	})
	if err != nil {
		return err
	}
	r.messages, err = consumer.Messages(jetstream.PullMaxMessages(500), jetstream.PullExpiry(4*heartbeat),
		jetstream.PullHeartbeat(heartbeat), jetstream.WithMessagesErrOnMissingHeartbeat(true))
	return err
}

// next waits for a message; false means that the reader was stopped.
func (r *windowReader) next() (jetstream.Msg, bool) {
	for r.ctx.Err() == nil {
		if r.messages == nil && r.open(r.ctx) != nil {
			select {
			case <-time.After(retryAfter):
			case <-r.ctx.Done():
			}
			continue
		}
		msg, err := r.messages.Next(jetstream.NextContext(r.ctx))
		if err != nil {
			r.messages.Stop()
			r.messages = nil
			continue
		}
		meta, err := msg.Metadata()
		if err != nil || meta.Sequence.Stream <= r.last {
			continue
		}
		r.last = meta.Sequence.Stream
		return msg, true
	}
	if r.messages != nil {
		r.messages.Stop()
		r.messages = nil
	}
	return nil, false
}

// forgetEvery is after how many messages those in a stream in memory are dropped.
const forgetEvery = 32

// forget drops what was read. If that fails, the stream drops it when it is old.
func (r *windowReader) forget() {
	ctx, cancel := context.WithTimeout(r.ctx, attemptIn)
	defer cancel()
	if s, err := r.js.Stream(ctx, windowStream); err == nil {
		_ = s.Purge(ctx, jetstream.WithPurgeSequence(r.last+1))
	}
}

// stop makes next return false.
func (r *windowReader) stop() { r.cancel() }

// Stored are the windows of a run that are in the stream.
type Stored struct {
	Windows []*observation.Window
	// Last is the number in the stream of the last message that was read.
	Last uint64
	// Told is the drill time up to which they tell.
	Told time.Duration
}

// ReadStored reads what is stored of a run up to now. names are the workers' names
// by id, first is the epoch under which the run began.
func ReadStored(ctx context.Context, js jetstream.JetStream, run string, names map[string]string, first uint64) (Stored, error) {
	var out Stored
	s, err := js.Stream(ctx, windowStream)
	if err != nil {
		return out, fmt.Errorf("read windows: %w", err)
	}
	r, err := openWindows(ctx, js, run, 0)
	if err != nil {
		return out, err
	}
	defer r.stop()
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(windowSubject+run+".>"))
	if err != nil {
		return out, fmt.Errorf("read windows: %w", err)
	}
	left := uint64(0)
	for _, n := range info.State.Subjects {
		left += n
	}
	for ; left > 0; left-- {
		msg, ok := r.next()
		if !ok {
			return out, fmt.Errorf("read windows: %w", ctx.Err())
		}
		b, err := decodeBatch(msg.Data())
		if err != nil {
			continue
		}
		name := windowName(names[lastToken(msg.Subject())], b.Epoch, first)
		for _, w := range b.Windows {
			w.Worker = name
			out.Windows, out.Told = append(out.Windows, w), max(out.Told, w.At)
		}
	}
	out.Last = r.last
	return out, nil
}

// read hands on windows until the reader is stopped.
func (f *Fleet) read() {
	defer close(f.out)
	n := 0
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
				m.told, m.flying = max(m.told, w.At), w.InFlight
			}
		}
		m.final = m.final || b.Final && b.Epoch == f.cfg.Epoch
		f.mu.Unlock()
		if n++; f.cfg.InProcess && n%forgetEvery == 0 {
			f.stream.forget()
		}
	}
}

// windowName is under which name a worker's windows are recorded. They are numbered
// anew under another epoch, and so have another name.
func (f *Fleet) windowName(m *member, epoch uint64) string {
	return windowName(m.name, epoch, f.cfg.FirstEpoch)
}

func windowName(name string, epoch, first uint64) string {
	if epoch == first {
		return name
	}
	return fmt.Sprintf("%s~%d", name, epoch)
}
