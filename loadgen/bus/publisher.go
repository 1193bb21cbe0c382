package bus

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// publisher brings a worker's windows into the stream: in order, each until it is
// stored. What cannot be stored is kept.
type publisher struct {
	js      jetstream.JetStream
	subject string
	prefix  string // of message ids

	mu     sync.Mutex
	queue  [][]byte
	n      uint64 // messages that left the queue
	closed bool
	wake   chan struct{}
}

// storeIn bounds one attempt to store a message.
const storeIn = 2 * time.Second

// retryAfter is the pause after an attempt that failed.
const retryAfter = 100 * time.Millisecond

func newPublisher(js jetstream.JetStream, subject, prefix string) *publisher {
	return &publisher{js: js, subject: subject, prefix: prefix, wake: make(chan struct{}, 1)}
}

// add queues a message; it does not block.
func (p *publisher) add(data []byte) {
	p.mu.Lock()
	p.queue = append(p.queue, data)
	p.mu.Unlock()
	p.poke()
}

// close says that nothing follows.
func (p *publisher) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.poke()
}

func (p *publisher) poke() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// unstored counts messages that are not stored yet.
func (p *publisher) unstored() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.queue)
}

// head returns the message to store next, its number, and whether there is none
// and will be none.
func (p *publisher) head() (data []byte, n uint64, done bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queue) == 0 {
		return nil, 0, p.closed
	}
	return p.queue[0], p.n + 1, false
}

func (p *publisher) stored() {
	p.mu.Lock()
	p.queue[0] = nil
	p.queue, p.n = p.queue[1:], p.n+1
	p.mu.Unlock()
}

// run stores messages until close was called and all are stored, or ctx ends. The
// same message keeps its id however often it is sent, so that it counts once.
func (p *publisher) run(ctx context.Context) error {
	for {
		data, n, done := p.head()
		switch {
		case done:
			return nil
		case data == nil:
			select {
			case <-p.wake:
			case <-ctx.Done():
				return ctx.Err()
			}
			continue
		}
		try, cancel := context.WithTimeout(ctx, storeIn)
		_, err := p.js.Publish(try, p.subject, data, jetstream.WithMsgID(fmt.Sprintf("%s/%d", p.prefix, n)), jetstream.WithRetryAttempts(0))
		cancel()
		if err == nil {
			p.stored()
			continue
		}
		select {
		case <-time.After(retryAfter):
		case <-ctx.Done():
			return fmt.Errorf("%d messages with windows could not be stored: %w", p.unstored(), err)
		}
	}
}
