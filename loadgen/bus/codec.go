package bus

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/headroom-project/headroom/loadgen/observation"
)

// batch is what one message in the stream holds: the windows that a worker closed
// at one instant.
type batch struct {
	// Epoch is that of the assignment that the windows belong to.
	Epoch uint64
	// Final says that the worker sends nothing more under this assignment.
	Final   bool
	Windows []*observation.Window
}

// The encoding is made for thousands of workers: numbers are varints, a histogram
// is the distance to the next bucket that is not empty and its count. That is an
// eighth of the CPU of the HDR V2 form, which compresses.
const codecVersion = 1

// Limits of a batch: beyond them it is from no worker.
const (
	maxWindows  = 4096
	maxRequests = 4096
	maxBuckets  = 1 << 16
)

const (
	flagLast = 1 << iota
	flagIdle
)

// encodeBatch writes a batch.
func encodeBatch(b batch) []byte {
	e := encoder{buf: make([]byte, 0, 4096)}
	e.uint(codecVersion)
	e.uint(b.Epoch)
	e.bool(b.Final)
	e.uint(uint64(len(b.Windows)))
	for _, w := range b.Windows {
		e.window(w)
	}
	return e.buf
}

type encoder struct{ buf []byte }

func (e *encoder) uint(v uint64) { e.buf = binary.AppendUvarint(e.buf, v) }

func (e *encoder) bool(v bool) {
	if v {
		e.uint(1)
	} else {
		e.uint(0)
	}
}

func (e *encoder) text(s string) {
	e.uint(uint64(len(s)))
	e.buf = append(e.buf, s...)
}

func (e *encoder) window(w *observation.Window) {
	flags := uint64(0)
	if w.Last {
		flags |= flagLast
	}
	if w.Idle {
		flags |= flagIdle
	}
	for _, v := range []uint64{
		w.Seq, uint64(w.Step), uint64(w.Second), uint64(max(w.At, 0)), uint64(max(w.Over, 0)),
		w.Planned, w.Sent, w.Followed, w.Dropped, uint64(max(w.InFlight, 0)), w.Waited, flags,
		uint64(max(w.Busy, 0)), uint64(max(w.CPU, 0)), uint64(len(w.Lacked)), uint64(len(w.Requests)),
	} {
		e.uint(v)
	}
	for _, name := range slices.Sorted(maps.Keys(w.Lacked)) {
		e.text(name)
		e.uint(w.Lacked[name])
	}
	for _, name := range slices.Sorted(maps.Keys(w.Requests)) {
		e.text(name)
		e.tally(w.Requests[name])
	}
}

func (e *encoder) tally(t *observation.Tally) {
	for _, v := range []uint64{t.OK, t.Failed, t.BytesIn, t.BytesOut, t.Clipped, uint64(len(t.Errors))} {
		e.uint(v)
	}
	for _, class := range slices.Sorted(maps.Keys(t.Errors)) {
		e.text(class)
		e.uint(t.Errors[class])
	}
	e.histogram(t.Response)
	e.histogram(t.Service)
	e.histogram(t.SendLag)
}

func (e *encoder) histogram(h *hdrhistogram.PackedHistogram) {
	if h == nil {
		e.uint(0)
		return
	}
	e.uint(uint64(h.Populated()))
	last := int64(0)
	h.ForEachBucket(func(value, count int64) bool {
		e.uint(uint64(value - last))
		e.uint(uint64(count))
		last = value
		return true
	})
}

// decodeBatch reads a batch. The windows have no worker: who sent them is known
// from the subject.
func decodeBatch(data []byte) (batch, error) {
	d := decoder{buf: data}
	if v := d.uint(); d.err == nil && v != codecVersion {
		return batch{}, fmt.Errorf("decode windows: version %d, want %d", v, codecVersion)
	}
	b := batch{Epoch: d.uint(), Final: d.uint() != 0}
	n := d.count(maxWindows)
	for i := 0; i < n && d.err == nil; i++ {
		b.Windows = append(b.Windows, d.window())
	}
	if d.err == nil && len(d.buf) > 0 {
		d.err = fmt.Errorf("%d bytes follow the last window", len(d.buf))
	}
	if d.err != nil {
		return batch{}, fmt.Errorf("decode windows: %w", d.err)
	}
	return b, nil
}

// decoder reads from the front of buf; after an error it yields zeros.
type decoder struct {
	buf []byte
	err error
}

var errShort = errors.New("message ends too early")

func (d *decoder) fail(err error) {
	if d.err == nil {
		d.err = err
	}
	d.buf = nil
}

func (d *decoder) uint() uint64 {
	v, n := binary.Uvarint(d.buf)
	if n <= 0 {
		d.fail(errShort)
		return 0
	}
	d.buf = d.buf[n:]
	return v
}

// count reads a number of things, of which there are at most limit.
func (d *decoder) count(limit int) int {
	v := d.uint()
	if v > uint64(limit) {
		d.fail(fmt.Errorf("%d of something of which there may be %d", v, limit))
		return 0
	}
	return int(v)
}

func (d *decoder) text() string {
	n := d.count(maxText * 4)
	if n > len(d.buf) {
		d.fail(errShort)
		return ""
	}
	s := string(d.buf[:n])
	d.buf = d.buf[n:]
	return s
}

// whole reads a number that must fit a non-negative int64.
func (d *decoder) whole() int64 {
	v := d.uint()
	if v > 1<<62 {
		d.fail(fmt.Errorf("number %d is too large", v))
		return 0
	}
	return int64(v)
}

func (d *decoder) window() *observation.Window {
	w := &observation.Window{
		Seq: d.uint(), Step: int(d.whole()), Second: int(d.whole()),
		At: time.Duration(d.whole()), Over: time.Duration(d.whole()),
		Planned: d.uint(), Sent: d.uint(), Followed: d.uint(), Dropped: d.uint(), InFlight: int(d.whole()), Waited: d.uint(),
	}
	flags := d.uint()
	w.Last, w.Idle = flags&flagLast != 0, flags&flagIdle != 0
	w.Busy, w.CPU = time.Duration(d.whole()), time.Duration(d.whole())
	lacked, n := d.count(maxRequests), d.count(maxRequests)
	for i := 0; i < lacked && d.err == nil; i++ {
		if w.Lacked == nil {
			w.Lacked = make(map[string]uint64, lacked)
		}
		name := d.text()
		w.Lacked[name] = d.uint()
	}
	for i := 0; i < n && d.err == nil; i++ {
		if w.Requests == nil {
			w.Requests = make(map[string]*observation.Tally, n)
		}
		name := d.text()
		w.Requests[name] = d.tally()
	}
	return w
}

func (d *decoder) tally() *observation.Tally {
	t := &observation.Tally{OK: d.uint(), Failed: d.uint(), BytesIn: d.uint(), BytesOut: d.uint(), Clipped: d.uint()}
	n := d.count(maxRequests)
	for i := 0; i < n && d.err == nil; i++ {
		if t.Errors == nil {
			t.Errors = make(map[string]uint64, n)
		}
		class := d.text()
		t.Errors[class] = d.uint()
	}
	t.Response, t.Service, t.SendLag = d.histogram(), d.histogram(), d.histogram()
	return t
}

func (d *decoder) histogram() *hdrhistogram.PackedHistogram {
	h := observation.NewHistogram()
	n := d.count(maxBuckets)
	value := int64(0)
	for i := 0; i < n && d.err == nil; i++ {
		value += d.whole()
		if count := d.whole(); d.err == nil {
			if value < 0 || value > observation.HighestMicros {
				d.fail(fmt.Errorf("a latency of %d us is outside the bounds", value))
			} else if err := h.RecordValues(value, count); err != nil {
				d.fail(err)
			}
		}
	}
	return h
}
