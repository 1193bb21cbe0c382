package pyroscope

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// covered is the part of a step of which there are whole profiles.
type covered struct {
	// from and to bound it, in drill time.
	from, to time.Duration
	// ask bounds the timestamps of these profiles, by the wall clock.
	ask [2]time.Time
}

// cover finds which profiles lie wholly in a step. A server selects profiles by
// their timestamp, which is when they begin (CPU) or end (all other types), so
// that the range of the step itself would bring in a profile that reaches into
// the next, or misses one. times are the timestamps that the server has; known is
// false if it cannot say: then the profiles are taken to be an interval apart.
func (p *Puller) cover(j *job, times []time.Time, known bool) (covered, error) {
	every := p.every(times)
	at := make([]time.Duration, len(times))
	for i, t := range times {
		at[i] = p.cfg.Clock.drill(t)
	}
	from, to := j.span.from+settle, j.span.to
	if to-from < every {
		return covered{}, &shortStep{to - j.span.from, every}
	}
	now := p.cfg.Clock.Now()
	last := j.span.to + every + grace // when the last profile must have come
	if !known {
		if now < last {
			return covered{}, &waitError{last}
		}
		return p.blind(j, from, to, every), nil
	}
	var whole []time.Duration
	for _, t := range at {
		b, e := stamped(j.kind.typ, t, every)
		if b >= from-every/10 && e <= to+every/10 {
			whole = append(whole, t)
		}
	}
	if len(whole) == 0 {
		if now < last {
			return covered{}, &waitError{min(last, now+retry)}
		}
		return covered{}, errNothing
	}
	begin, _ := stamped(j.kind.typ, whole[0], every)
	_, end := stamped(j.kind.typ, whole[len(whole)-1], every)
	if end+every <= to && now < last {
		return covered{}, &waitError{min(last, now+retry)} // another one will fit
	}
	// Timestamps are whole milliseconds to the server.
	return covered{max(begin, j.span.from), min(end, j.span.to),
		[2]time.Time{p.cfg.Clock.wall(whole[0]).Add(-time.Millisecond), p.cfg.Clock.wall(whole[len(whole)-1]).Add(time.Millisecond)}}, nil
}

// blind covers what profiles at any phase must lie in.
func (p *Puller) blind(j *job, from, to, every time.Duration) covered {
	if j.kind.typ == "cpu" {
		return covered{from, to, [2]time.Time{p.cfg.Clock.wall(from), p.cfg.Clock.wall(to - every)}}
	}
	return covered{from, to, [2]time.Time{p.cfg.Clock.wall(from + every), p.cfg.Clock.wall(to)}}
}

// every is the interval between profiles: as configured, else the median of those
// seen.
func (p *Puller) every(times []time.Time) time.Duration {
	if p.cfg.Interval > 0 || len(times) < 3 {
		return cmp.Or(p.cfg.Interval, usualInterval)
	}
	var gaps []time.Duration
	for i := range times[1:] {
		gaps = append(gaps, times[i+1].Sub(times[i]))
	}
	slices.Sort(gaps)
	return max(gaps[len(gaps)/2], time.Second)
}

// shortStep: no profile fits into the step.
type shortStep struct{ lasts, every time.Duration }

func (e *shortStep) Error() string {
	return fmt.Sprintf("a step of %v holds no whole profile, for the target uploads every %v; hint: offer longer steps, or have it upload more often (UploadRate of pyroscope-go) and set profiles.pyroscope.interval",
		e.lasts.Round(100*time.Millisecond), e.every.Round(100*time.Millisecond))
}
