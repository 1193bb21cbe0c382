package attack

import (
	"sync"
	"sync/atomic"
	"time"
)

// entry is what became of one hit.
type entry struct {
	n, order        uint64 // the hit's number in the plan, and in the order of sending
	due, sent, done time.Duration
	stamp           time.Duration // due, in the order of sending
	in, out         uint64        // body bytes
	class           string        // error class, empty if OK
	step, second    int32
	request         int32
	status          int16 // of the answer, 0 if there was none
	lack            lack
	followed        uint16
	closed, wrote   bool
}

// count is how many hits were planned, dropped, or had to wait for a connection.
type count struct {
	cellKey
	planned, dropped, waited uint64
}

// beginning says that a step begins behind the entries of a block.
type beginning struct {
	step     int
	at, ends time.Duration
	floor    int // the first second to book under
}

// block holds what a driver has booked since the last one.
type block struct {
	ends   []entry
	counts []count
	// urls are those that the hits of ends asked for, and text their length in all;
	// nil if they are not kept.
	urls   []string
	text   int
	begins *beginning
	// told is set in the last block that the driver hands over when asked to.
	told *telling
}

// telling is what a driver says of itself when it hands over its book.
type telling struct {
	at        time.Duration
	inFlight  int
	idle      bool
	busy, cpu time.Duration // since the last telling; 0 if it is not known
}

const (
	// blockSize is the number of hits in a block. To sum it up takes the recorder
	// some 0.1 ms, in which it may keep a target on the same machine from its core:
	// eight times as many hits showed as a p99 of 0.9 ms at 10,000/s.
	blockSize = 256
	// maxText is the length of the URLs in a block, in bytes, from which on it is full.
	maxText = 32 << 10
	// maxQueue bounds the blocks that wait for the recorder. A driver that meets
	// it waits too, which shows as send lag: memory stays flat.
	maxQueue = 256
	// maxSpare bounds the empty blocks that are kept: what a moment of backlog took
	// (8 MB at most) is given back.
	maxSpare = 16
)

// ledger is where a driver books hits. Booking costs it a copy; the summing up
// and the writing is the recorder's, in a goroutine of its own. The event loop
// books without a lock, and hands its book over when asked; the goroutines of
// vegeta share one.
type ledger struct {
	shared bool
	// urls says that the URLs of hits are kept: what was asked for in a flow cannot
	// be told from the hit's number.
	urls bool
	now  func() time.Duration
	// wake makes the loop look at asked; it is nil in a shared ledger.
	wake   func()
	asked  atomic.Bool
	handed chan struct{}
	// filled tells the recorder that blocks are waiting.
	filled chan struct{}

	cur *block // guarded by mu if shared, else the loop's own

	mu    sync.Mutex
	room  sync.Cond
	queue []*block
	spare []*block
}

func newLedger(shared bool, now func() time.Duration) *ledger {
	l := &ledger{shared: shared, now: now, handed: make(chan struct{}, 1), filled: make(chan struct{}, 1), cur: newBlock()}
	l.room.L = &l.mu
	return l
}

func newBlock() *block {
	return &block{ends: make([]entry, 0, blockSize), counts: make([]count, 0, 16)}
}

func (l *ledger) lock() {
	if l.shared {
		l.mu.Lock()
	}
}

func (l *ledger) unlock() {
	if l.shared {
		l.mu.Unlock()
	}
}

func (l *ledger) planned(h *hit) { l.count(h, count{planned: 1}) }
func (l *ledger) dropped(h *hit) { l.count(h, count{dropped: 1}) }
func (l *ledger) waited(h *hit)  { l.count(h, count{waited: 1}) }

// count adds c to the counts of the hit's second.
func (l *ledger) count(h *hit, c count) {
	l.lock()
	k := cellKey{h.Step, h.second}
	b := l.cur
	if n := len(b.counts); n == 0 || b.counts[n-1].cellKey != k {
		if n == blockSize {
			l.push()
			b = l.cur
		}
		b.counts = append(b.counts, count{cellKey: k})
	}
	x := &b.counts[len(b.counts)-1]
	x.planned += c.planned
	x.dropped += c.dropped
	x.waited += c.waited
	l.unlock()
}

// ended books a hit that has ended. A hit of a closed step is planned thereby.
func (l *ledger) ended(h *hit) {
	l.lock()
	if len(l.cur.ends) == blockSize || l.cur.text >= maxText {
		l.push()
	}
	if l.urls {
		l.cur.urls, l.cur.text = append(l.cur.urls, h.url), l.cur.text+len(h.url)
	}
	l.cur.ends = append(l.cur.ends, entry{
		n: h.N, order: h.order, due: h.due, sent: h.sent, done: h.done, stamp: h.stamp, in: h.in, out: h.out, class: h.class,
		step: int32(h.Step), second: int32(h.second), request: int32(h.Request),
		status: int16(h.status), lack: h.lack, followed: uint16(h.followed), closed: h.closed, wrote: h.wrote,
	})
	l.unlock()
}

// begin says that a step begins.
func (l *ledger) begin(b beginning) {
	l.lock()
	l.cur.begins = &b
	l.push()
	l.unlock()
}

// push queues the present block and takes an empty one. In a shared ledger the
// caller holds the lock, which may be given up meanwhile.
func (l *ledger) push() {
	if !l.shared {
		l.mu.Lock()
		defer l.mu.Unlock()
	}
	l.queue = append(l.queue, l.cur)
	l.cur = l.empty()
	select {
	case l.filled <- struct{}{}:
	default:
	}
	for len(l.queue) > maxQueue {
		l.room.Wait()
	}
}

// empty returns a block to fill; the caller holds the lock.
func (l *ledger) empty() *block {
	n := len(l.spare)
	if n == 0 {
		return newBlock()
	}
	b := l.spare[n-1]
	l.spare = l.spare[:n-1]
	return b
}

// ask has the loop hand over its book; false if it has ended.
func (l *ledger) ask(stop <-chan struct{}) bool {
	l.asked.Store(true)
	l.wake()
	select {
	case <-l.handed:
		return true
	case <-stop:
		return false
	}
}

// tell hands the book over if that was asked for. Only a loop calls it.
func (l *ledger) tell(t func() telling) {
	if !l.asked.Load() {
		return
	}
	l.asked.Store(false)
	told := t()
	l.cur.told = &told
	l.push()
	select {
	case l.handed <- struct{}{}:
	default:
	}
}

// take returns the blocks that wait, and the present one if it is shared.
func (l *ledger) take() []*block {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.shared && len(l.cur.ends)+len(l.cur.counts) > 0 {
		l.queue = append(l.queue, l.cur)
		l.cur = l.empty()
	}
	out := l.queue
	l.queue = nil
	l.room.Broadcast()
	return out
}

// give takes back a block that was read.
func (l *ledger) give(b *block) {
	clear(b.urls)
	b.ends, b.counts, b.urls, b.text, b.begins, b.told = b.ends[:0], b.counts[:0], b.urls[:0], 0, nil, nil
	l.mu.Lock()
	if len(l.spare) < maxSpare {
		l.spare = append(l.spare, b)
	}
	l.mu.Unlock()
}
