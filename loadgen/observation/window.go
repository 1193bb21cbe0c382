package observation

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Bounds of every latency histogram, in microseconds. Values beyond the upper
// bound are recorded as the bound; Tally.Clipped counts them.
const (
	LowestMicros  = 1
	HighestMicros = int64(10 * time.Minute / time.Microsecond)
	// Digits is the number of significant decimal digits: a relative error of 0.1%.
	Digits = 3
)

// Window is what one worker observed, up to one emission, of the hits that were
// planned in one second of one step. A second whose hits end late is reported
// in several windows with different Seq; they add up.
type Window struct {
	Worker string `json:"worker"`
	// Seq numbers the windows of one worker from 1; (Worker, Seq) identifies a
	// window, and the same window stored twice counts once.
	Seq  uint64 `json:"seq"`
	Step int    `json:"step"`
	// Second is the second of the step, from 0, in which the hits were planned.
	Second int `json:"second"`
	// At is the drill time at which the window was closed, and Over how long it
	// was open: its hits ended within (At-Over, At].
	At   time.Duration `json:"at"`
	Over time.Duration `json:"over"`

	// Planned counts hits that came due; each ends as OK, Failed or Dropped.
	Planned uint64 `json:"planned"`
	// Sent counts hits whose request was written to a connection.
	Sent uint64 `json:"sent"`
	// Followed counts the requests that were written besides because an answer was
	// a redirect: the target has counted Sent + Followed.
	Followed uint64 `json:"followed,omitempty"`
	Dropped  uint64 `json:"dropped,omitempty"`
	// InFlight is the number of hits of this worker in flight when the window
	// was closed, whatever their step.
	InFlight int `json:"in_flight"`
	// Waited counts hits that came due while every connection was busy.
	Waited uint64 `json:"waited,omitempty"`
	// Lacked counts hits for which no connection could be opened because this
	// machine lacked something: LackFiles, LackPorts.
	Lacked map[string]uint64 `json:"lacked,omitempty"`
	// Busy is how long the engine was at work while the window was open, and CPU
	// what its thread was given of it; 0 if that is not known. Only a last window
	// says so.
	Busy time.Duration `json:"busy,omitempty"`
	CPU  time.Duration `json:"cpu,omitempty"`
	// Last marks the last window that the worker closed at this instant: whoever
	// has seen it has seen all that ended up to then.
	Last bool `json:"last,omitempty"`
	// Idle says that the worker has nothing in flight and nothing to offer; only
	// a last window says so.
	Idle bool `json:"idle,omitempty"`

	// Requests holds the ended hits by request name.
	Requests map[string]*Tally `json:"requests,omitempty"`
}

// What a worker may lack when it opens a connection.
const (
	LackFiles = "files" // file descriptors
	LackPorts = "ports" // ephemeral ports
)

// Tally sums up ended hits of one request name. All histograms are in
// microseconds and count OK and failed hits alike.
type Tally struct {
	OK     uint64 `json:"ok"`
	Failed uint64 `json:"failed,omitempty"`
	// Errors counts the failed hits by error class (see ErrorClasses).
	Errors   map[string]uint64 `json:"errors,omitempty"`
	BytesIn  uint64            `json:"bytes_in,omitempty"`
	BytesOut uint64            `json:"bytes_out,omitempty"`
	Clipped  uint64            `json:"clipped,omitempty"`

	Response *hdrhistogram.PackedHistogram `json:"-"` // from the planned instant
	Service  *hdrhistogram.PackedHistogram `json:"-"` // from the instant of sending
	SendLag  *hdrhistogram.PackedHistogram `json:"-"` // the difference
}

// ErrorClasses are the stable names under which failed hits are counted.
var ErrorClasses = []string{"dial", "dns", "tls", "timeout", "reset", "protocol", "check", "status", "blocked", "cancelled"}

// NewHistogram returns an empty histogram with the bounds of this package.
func NewHistogram() *hdrhistogram.PackedHistogram {
	return hdrhistogram.NewPacked(LowestMicros, HighestMicros, Digits)
}

// NewTally returns an empty tally.
func NewTally() *Tally {
	return &Tally{Response: NewHistogram(), Service: NewHistogram(), SendLag: NewHistogram()}
}

// Add records one ended hit. class is empty for a hit that is OK.
func (t *Tally) Add(response, service, lag time.Duration, class string) {
	if class == "" {
		t.OK++
	} else {
		t.Failed++
		if t.Errors == nil {
			t.Errors = map[string]uint64{}
		}
		t.Errors[class]++
	}
	t.record(t.Response, response)
	t.record(t.Service, service)
	t.record(t.SendLag, lag)
}

func (t *Tally) record(h *hdrhistogram.PackedHistogram, d time.Duration) {
	us := max(int64(d/time.Microsecond), 0)
	if us > HighestMicros {
		us = HighestMicros
		t.Clipped++
	}
	// The value is inside the bounds, so recording cannot fail.
	_ = h.RecordValue(us)
}

// Merge adds o to t; o is not changed.
func (t *Tally) Merge(o *Tally) {
	t.MergeResponse(o)
	t.Service.Merge(o.Service)
	t.SendLag.Merge(o.SendLag)
}

// MergeResponse adds o to t but for service times and send lags, which Metric does not
// read; o is not changed.
func (t *Tally) MergeResponse(o *Tally) {
	t.OK += o.OK
	t.Failed += o.Failed
	t.BytesIn += o.BytesIn
	t.BytesOut += o.BytesOut
	t.Clipped += o.Clipped
	for class, n := range o.Errors {
		if t.Errors == nil {
			t.Errors = map[string]uint64{}
		}
		t.Errors[class] += n
	}
	t.Response.Merge(o.Response)
}

// Ended is the number of hits that ended, OK or failed.
func (t *Tally) Ended() uint64 { return t.OK + t.Failed }
