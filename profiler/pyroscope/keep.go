package pyroscope

import (
	"bytes"
	"fmt"
	"net/http"
	"time"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/profiler"
)

// received is a profile that can be kept.
type received struct {
	upload
	kind        string
	samples     int64
	from, until time.Duration // drill time
	behind      time.Duration // from its end to its arrival
}

// maxSpan is the longest time that one profile may span: no agent waits longer.
const maxSpan = time.Hour

// ahead is how far a sender's clock may be ahead without a word about it.
const ahead = time.Second

// late is how long after its end a profile may come without a word about it.
const late = 5 * time.Second

// examine checks a profile and finds its times.
func (r *Receiver) examine(u upload, limits Limits) (received, error) {
	if err := r.full(); err != nil {
		return received{}, err
	}
	p, err := limits.check(u.data)
	if err != nil {
		return received{}, err
	}
	summary, err := profiler.Summarise(u.data)
	if err != nil {
		return received{}, refuse(http.StatusUnprocessableEntity, "the profile is not valid: %w", err)
	}
	x := received{upload: u, kind: kindOf(p, u.hint), samples: summary.Samples}
	arrival := r.cfg.Clock.Now()
	x.from, x.until = r.times(x, summary, arrival)
	if x.until-x.from > maxSpan {
		return received{}, refuse(http.StatusBadRequest, "the profile spans %v, more than %v", x.until-x.from, maxSpan)
	}
	x.behind = arrival - x.until
	if x.behind < -ahead {
		r.warn(fmt.Sprintf("the clock of %s is ahead by %v or more; its profiles were moved back by that", x.who(), (-x.behind).Round(time.Second)))
	}
	if x.behind < 0 {
		x.from, x.until, x.behind = x.from+x.behind, arrival, 0
	}
	if x.until < 0 && x.until >= -max(x.until-x.from, ahead) {
		// pyroscope-go cuts its times down to whole periods: this one ended later
		// than it says, by less than a period, and came as soon as it had.
		x.from, x.until, x.behind = x.from+x.behind, arrival, 0
	}
	if x.until < 0 {
		return received{}, refuse(http.StatusUnprocessableEntity, "the profile ended %v before the run began; hint: if it did not, set the clock of the sender", (-x.until).Round(time.Second))
	}
	return x, nil
}

// times are when a profile was taken, in drill time: as its sender says beside it,
// else as it says itself. Of a CPU profile what it says itself is nearer, if both
// agree: an agent may count the time of its writing in, or cut its times down to
// whole periods of its uploads.
func (r *Receiver) times(x received, s profiler.Summary, arrival time.Duration) (from, until time.Duration) {
	ownFrom, ownUntil := stamped(x.kind, r.cfg.Clock.drill(s.Taken), s.Duration)
	switch {
	case !x.upload.until.IsZero():
		from, until = r.cfg.Clock.drill(x.upload.from), r.cfg.Clock.drill(x.upload.until)
	case !x.upload.from.IsZero():
		from, until = min(r.cfg.Clock.drill(x.upload.from), arrival), arrival
	case !s.Taken.IsZero():
		return ownFrom, ownUntil
	default:
		return arrival - s.Duration, arrival
	}
	period := max(until-from, min(s.Duration, maxReversed))
	if x.kind == "cpu" && !s.Taken.IsZero() && s.Duration > 0 && ownFrom >= from-period && ownUntil <= until+period {
		return ownFrom, ownUntil
	}
	return from, until
}

// stamped is the time of a profile that was taken over a while. The Go runtime
// writes the begin of a CPU profile into it, and the end of every other.
func stamped(kind string, at, over time.Duration) (from, until time.Duration) {
	if kind == "cpu" {
		return at, at + over
	}
	return at - over, at
}

// who names the sender in a warning.
func (x received) who() string {
	name := x.labels[labelService]
	for _, key := range []string{"instance", "pod", "hostname"} {
		if v := x.labels[key]; v != "" {
			name += " on " + v
			break
		}
	}
	return harmless(name)
}

// accept hands a profile on under the step that it lies in. One of no step, from
// before the first or between two, is of no use, and its sender has made no
// mistake.
func (r *Receiver) accept(x received) {
	step, share, number := r.attribute(x)
	if step < 0 {
		return
	}
	c := observation.Capture{
		Step: step, Type: x.kind, From: max(x.from, 0), To: x.until, Samples: x.samples,
		File:   fmt.Sprintf("profiles/step-%02d.%s.%d.%s", step, x.kind, number, extension(x.data)),
		Source: observation.CaptureReceived, Labels: x.labels,
	}
	if share < 1 {
		c.Inside = share
	}
	if x.behind > late {
		r.warn(fmt.Sprintf("profiles of %s came %v after they ended: if its clock is behind, they are counted to the wrong step", x.who(), x.behind.Round(time.Second)))
	}
	r.keep.Lock()
	r.cfg.OnCapture(c, x.data)
	r.keep.Unlock()
	select {
	case r.arrived <- struct{}{}:
	default:
	}
}

// extension tells a compressed profile from one that is not.
func extension(data []byte) string {
	if bytes.HasPrefix(data, gzipMagic) {
		return "pb.gz"
	}
	return "pb"
}

// attribute finds the step, and remembers the sender. number is unique in a run.
func (r *Receiver) attribute(x received) (step int, share float64, number int) {
	now := r.cfg.Clock.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	key := x.kind + " " + x.who()
	s := r.senders[key]
	if s == nil {
		const most = 1000
		if len(r.senders) >= most {
			clear(r.senders)
		}
		s = &sender{behind: x.behind}
		r.senders[key] = s
	}
	s.until, s.every, s.behind = max(s.until, x.until), x.until-x.from, min(s.behind, x.behind)
	step, share = r.steps.of(x.from, x.until, now)
	if step >= 0 {
		r.count++
		r.bytes += int64(len(x.data))
		r.note(step, x, share)
	}
	return step, share, r.count
}
