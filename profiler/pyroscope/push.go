package pyroscope

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/pprof/profile"

	"github.com/headroom-project/headroom/loadgen/observation"
)

// PusherConfig says where captures are sent and how they are labelled.
type PusherConfig struct {
	Server *Server
	// Clock must be given.
	Clock Clock
	// Service is the label service_name; Run and Scenario are labels, too.
	Service, Run, Scenario string
	// Drain bounds how long Close waits for what is left: default 10 s.
	Drain time.Duration
	// OnWarning is handed what the report must say, each once, from any goroutine.
	OnWarning func(string)
}

// Pusher sends captures to a Pyroscope server, one after the other, beside the
// drill: it never holds that up. What does not fit into its queue is left out,
// and what the server does not take after a few attempts, with a warning.
type Pusher struct {
	cfg   PusherConfig
	queue chan push
	stop  context.CancelFunc
	done  chan struct{}

	mu     sync.Mutex
	warned map[string]bool
	bytes  int // in the queue
	closed bool
}

type push struct {
	capture observation.Capture
	data    []byte
	offered float64
}

// Bounds of the queue, and of the attempts at one push.
const (
	maxPushes     = 256
	maxPushBytes  = 64 << 20
	pushAttempts  = 3
	firstPushWait = 500 * time.Millisecond
)

// NewPusher returns a Pusher that has begun, and must be closed.
func NewPusher(cfg PusherConfig) (*Pusher, error) {
	switch {
	case cfg.Server == nil:
		return nil, errors.New("push profiles: no server given")
	case cfg.Clock.Now == nil || cfg.Clock.Wall == nil:
		return nil, errors.New("push profiles: no clock given")
	}
	if cfg.Drain <= 0 {
		cfg.Drain = 10 * time.Second
	}
	if cfg.OnWarning == nil {
		cfg.OnWarning = func(string) {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &Pusher{cfg: cfg, queue: make(chan push, maxPushes), stop: cancel, done: make(chan struct{}), warned: map[string]bool{}}
	go p.run(ctx)
	return p, nil
}

// Push queues a capture that was taken at an offered load, in requests/s. It does
// not wait; data must not be changed afterwards. A capture without a profile, or
// that a server cannot take, is passed over.
func (p *Pusher) Push(c observation.Capture, data []byte, offered float64) {
	if len(data) == 0 || !knownType(c.Type) {
		return
	}
	p.mu.Lock()
	fits := !p.closed && p.bytes+len(data) <= maxPushBytes
	if fits {
		select {
		case p.queue <- push{c, data, offered}:
			p.bytes += len(data)
		default:
			fits = false
		}
	}
	p.mu.Unlock()
	if !fits {
		p.warn("some captures were not sent to the Pyroscope server: it takes them too slowly; all are in the bundle")
	}
}

// Close sends what is left, for as long as it may, and ends the Pusher.
func (p *Pusher) Close() {
	p.mu.Lock()
	again := p.closed
	p.closed = true
	if !again {
		close(p.queue)
	}
	p.mu.Unlock()
	limit := time.AfterFunc(p.cfg.Drain, p.stop)
	<-p.done
	limit.Stop()
	p.stop()
}

func (p *Pusher) run(ctx context.Context) {
	defer close(p.done)
	for x := range p.queue {
		p.mu.Lock()
		p.bytes -= len(x.data)
		p.mu.Unlock()
		if err := p.try(ctx, x); err != nil {
			p.warn(fmt.Sprintf("captures were not sent to the Pyroscope server: %v; all are in the bundle", err))
		}
	}
}

// try sends one capture, a few times if the failure may pass.
func (p *Pusher) try(ctx context.Context, x push) error {
	request, err := p.request(x)
	if err != nil {
		return err
	}
	wait := firstPushWait
	for attempt := 1; ; attempt++ {
		_, err := p.cfg.Server.call(ctx, pushPath, request)
		if err == nil || attempt == pushAttempts || !passing(err) {
			return err
		}
		pause := time.NewTimer(wait)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return err
		}
		wait *= 2
	}
}

// names are the label __name__ of a type of capture.
var names = map[string]string{
	"cpu": "process_cpu", "allocs": "memory", "heap": "memory", "mutex": "mutex", "block": "block", "goroutine": "goroutines",
}

// request is a PushRequest with one profile.
func (p *Pusher) request(x push) (message, error) {
	data, err := p.timed(x)
	if err != nil {
		return nil, err
	}
	var series message
	for _, l := range p.labels(x) {
		series = series.bytes(fieldSeriesLabels, message(nil).text(fieldLabelName, l[0]).text(fieldLabelValue, l[1]))
	}
	sample := message(nil).bytes(fieldRawProfile, data).text(fieldRawProfileID, uuid())
	return message(nil).bytes(fieldSeries, series.bytes(fieldSeriesSamples, sample)), nil
}

// labels are those of a capture, in order.
func (p *Pusher) labels(x push) [][2]string {
	labels := map[string]string{
		labelName: names[x.capture.Type], labelService: p.cfg.Service,
		"headroom_run": p.cfg.Run, "headroom_scenario": p.cfg.Scenario, "headroom_type": x.capture.Type,
		"headroom_step":        strconv.Itoa(x.capture.Step),
		"headroom_offered_rps": strconv.FormatFloat(x.offered, 'f', -1, 64),
	}
	for _, key := range []string{"instance", "pod", "region", "version"} {
		if v := x.capture.Labels[key]; v != "" {
			labels[key] = v
		}
	}
	var list [][2]string
	for name, value := range labels {
		list = append(list, [2]string{name, value})
	}
	slices.SortFunc(list, func(a, b [2]string) int { return slices.Compare(a[:], b[:]) })
	return list
}

// timed is the profile with the time at which it was taken, by which a server
// stores it. One that says so already stays as it is.
func (p *Pusher) timed(x push) ([]byte, error) {
	prof, err := profile.ParseData(x.data)
	if err != nil {
		return nil, fmt.Errorf("read the capture: %w", err)
	}
	if narrowed := narrow(prof, x.capture); !narrowed && prof.TimeNanos > 0 && prof.DurationNanos > 0 {
		return x.data, nil
	}
	at := x.capture.From
	if x.capture.Type != "cpu" {
		at = x.capture.To
	}
	if prof.TimeNanos <= 0 {
		prof.TimeNanos = p.cfg.Clock.wall(at).UnixNano()
	}
	if prof.DurationNanos <= 0 {
		prof.DurationNanos = int64(x.capture.To - x.capture.From)
	}
	return encoded(prof)
}

// narrow drops from a memory profile what another capture of the step holds: a
// server would add up what both say. It reports whether it did.
func narrow(p *profile.Profile, c observation.Capture) bool {
	keep := map[string]string{"heap": "inuse_", "allocs": "alloc_"}[c.Type]
	if keep == "" || c.Source == observation.CaptureReceived {
		return false
	}
	var types []*profile.ValueType
	var kept []int
	for i, st := range p.SampleType {
		if strings.HasPrefix(st.Type, keep) {
			types, kept = append(types, st), append(kept, i)
		}
	}
	if len(kept) == 0 || len(kept) == len(p.SampleType) {
		return false
	}
	p.SampleType, p.DefaultSampleType = types, ""
	for _, s := range p.Sample {
		var values []int64
		for _, i := range kept {
			values = append(values, s.Value[i])
		}
		s.Value = values
	}
	return true
}

// uuid is a random one (version 4).
func uuid() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// warn hands a warning on, the first time.
func (p *Pusher) warn(text string) {
	p.mu.Lock()
	known := p.warned[text] || len(p.warned) >= 10
	p.warned[text] = true
	p.mu.Unlock()
	if !known {
		p.cfg.OnWarning(text)
	}
}
