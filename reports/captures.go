package reports

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/profiler"
)

// span is a time of the drill.
type span struct{ from, to time.Duration }

// taken are the captures of one type in one step, as one.
type taken struct {
	point *observation.Point
	typ   string
	files []string
	spans []span // when it was captured, in order, apart from one another
	// missing is the factor by which what was captured falls short, because some
	// instances are not in it: 1 if all are.
	missing float64
	samples int64
}

// seconds is how long the capture lasted in all.
func (t *taken) seconds() float64 {
	sum := time.Duration(0)
	for _, s := range t.spans {
		sum += s.to - s.from
	}
	return sum.Seconds()
}

// taken gathers the captures of a type in a step; nil if there is none that can
// be used.
func (c *computation) taken(p *observation.Point, typ string) *taken {
	_, _, captures := c.reducer.Record(p.Step)
	t := &taken{point: p, typ: typ, missing: 1}
	have, of := 0, 0
	source := sourceOf(captures, typ)
	for _, x := range captures {
		if x.Type != typ || !x.Usable() || cmp.Or(x.Source, observation.CaptureFetched) != source {
			continue
		}
		t.files = append(t.files, x.File)
		t.samples += x.Samples
		t.spans = append(t.spans, span{x.From, x.To})
		if x.Of > 0 && x.Instances > 0 && x.Instances <= x.Of {
			have, of = have+x.Instances, of+x.Of
		}
	}
	if len(t.files) == 0 {
		return nil
	}
	if of > 0 {
		t.missing = float64(have) / float64(of)
	}
	t.spans = union(t.spans, 0)
	return t
}

// sourceOf is the source that captures of a type are taken from, where a step has
// them from several: they show the same requests, which must not count twice. What
// was fetched comes first, since its time is the step's own.
func sourceOf(captures []observation.Capture, typ string) string {
	for _, source := range []string{observation.CaptureFetched, observation.CaptureReceived, observation.CapturePyroscope} {
		if slices.ContainsFunc(captures, func(x observation.Capture) bool {
			return x.Type == typ && x.Usable() && cmp.Or(x.Source, observation.CaptureFetched) == source
		}) {
			return source
		}
	}
	return ""
}

// union joins spans that overlap, or are less than a gap apart.
func union(spans []span, gap time.Duration) []span {
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	var out []span
	for _, s := range spans {
		if n := len(out); n > 0 && s.from <= out[n-1].to+gap {
			out[n-1].to = max(out[n-1].to, s.to)
		} else if s.to > s.from {
			out = append(out, s)
		}
	}
	return out
}

// served is how many hits ended OK within a span of drill time while a step was
// offered. Within one window they are taken to be evenly spread.
func (c *computation) served(p *observation.Point, s span) float64 {
	rec, _, _ := c.reducer.Record(p.Step)
	from, to := (s.from - rec.Start).Seconds(), (s.to - rec.Start).Seconds()
	sum := 0.0
	for _, f := range p.Flow {
		if both := min(f.To, to) - max(f.From, from); both > 0 && f.To > f.From {
			sum += float64(f.OK) * both / (f.To - f.From)
		}
	}
	return sum
}

// requests is how many requests what was captured is the cost of.
func (c *computation) requests(t *taken) float64 {
	sum := 0.0
	for _, s := range t.spans {
		sum += c.served(t.point, s)
	}
	return sum * t.missing
}

// profile reads the captures of a type in a step, merged. What cannot be read is
// left out, with a warning; nil if nothing is left.
func (c *computation) profile(t *taken) [][]byte {
	var out [][]byte
	for _, file := range t.files {
		data, err := c.evidence.Profile(file, maxProfile)
		if err == nil {
			_, err = profiler.Summarise(data)
		}
		if errors.Is(err, fs.ErrNotExist) {
			c.lacks(file)
			continue
		}
		if err != nil {
			c.warn(file + ": " + err.Error())
			continue
		}
		out = append(out, data)
	}
	if len(out) < len(t.files) {
		// The others are of other times: without their times, what is left is less.
		t.missing *= float64(len(out)) / float64(len(t.files))
	}
	return out
}

// loads are what was captured of a type at each load that counts: steps that are
// valid and were not cut, or if there are fewer than two of these, all.
func (c *computation) loads(typ string) []profiler.Load {
	var sound, all []profiler.Load
	for i := range c.points {
		p := &c.points[i]
		t := c.taken(p, typ)
		if t == nil || !judged(p.Kind) { // of another mix, a request takes something else
			continue
		}
		l := profiler.Load{Step: p.Step, RPS: p.Throughput, Seconds: t.seconds(), Pprofs: c.profile(t)}
		l.Requests = c.requests(t)
		if len(l.Pprofs) == 0 || !(l.Requests > 0) {
			continue
		}
		all = append(all, l)
		if p.Valid && p.Cut == "" {
			sound = append(sound, l)
		}
	}
	if len(sound) >= 2 {
		return sound
	}
	return all
}

// lacks notes a capture that the bundle does not hold, once.
func (c *computation) lacks(file string) {
	if !slices.Contains(c.absent, file) {
		c.absent = append(c.absent, file)
	}
}

// absentProfiles warns of captures that the bundle does not hold: in one line, as it is
// mostly the whole folder that was not copied.
func (c *computation) absentProfiles() {
	if text := c.absentText(); text != "" {
		c.warn(text)
	}
}

func (c *computation) absentText() string {
	switch len(c.absent) {
	case 0:
		return ""
	case 1:
		return c.absent[0] + " is not in the bundle: what it would show is left out"
	}
	return fmt.Sprintf("%d profiles that the journal names are not in the bundle, such as %s: what they would show is left out; hint: copy its folder profiles too", len(c.absent), c.absent[0])
}
