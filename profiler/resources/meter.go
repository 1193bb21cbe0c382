package resources

import (
	"math"
	"time"

	"github.com/headroom-project/headroom/loadgen/observation"
)

// Meter turns the readings of one source into samples. Its zero value is ready.
// It is not safe for concurrent use.
type Meter struct {
	// Least is the shortest interval that a counter is averaged over. A look that
	// comes sooner begins a new interval and yields no sample of the counter:
	// over a few milliseconds the resolution of the counter (10 ms for the CPU
	// time of a Linux process) would be most of the figure.
	Least time.Duration

	last map[string]mark
}

// mark is a counter as it was last seen.
type mark struct {
	at    time.Duration
	value float64
}

// Samples returns the samples that readings taken at drill time at give. A
// gauge gives one each time; a counter one for the interval since the last
// look, so none the first time, and none when it went backwards, since then
// the target began anew. Step is -1 in each: the caller knows the steps.
func (m *Meter) Samples(at time.Duration, source string, readings []Reading) []observation.Sample {
	if m.last == nil {
		m.last = map[string]mark{}
	}
	samples := make([]observation.Sample, 0, len(readings))
	for _, r := range readings {
		if !sane(r.Value) || !sane(r.Limit) {
			continue
		}
		s := observation.Sample{
			At: at, Step: -1, Source: source,
			Resource: r.Resource, Used: r.Value, Limit: r.Limit, Unit: r.Unit,
		}
		if r.Counter {
			before, known := m.last[r.Resource]
			m.last[r.Resource] = mark{at, r.Value}
			s.Over = at - before.at
			if !known || s.Over <= 0 || s.Over < m.Least || r.Value < before.value {
				continue
			}
			s.Used = (r.Value - before.value) / s.Over.Seconds()
		}
		samples = append(samples, s)
	}
	return samples
}

// sane reports whether v can be a use or a limit.
func sane(v float64) bool {
	return v >= 0 && !math.IsInf(v, 1)
}
