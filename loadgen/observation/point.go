package observation

// Quantiles are latencies in milliseconds.
type Quantiles struct {
	Mean float64 `json:"mean_ms"`
	P50  float64 `json:"p50_ms"`
	P90  float64 `json:"p90_ms"`
	P95  float64 `json:"p95_ms"`
	P99  float64 `json:"p99_ms"`
	P999 float64 `json:"p999_ms"`
	Max  float64 `json:"max_ms"`
}

// Use is the mean use of one resource over a step.
type Use struct {
	Used float64 `json:"used"`
	// Limit is 0 when there is none or none is known.
	Limit float64 `json:"limit"`
	// LimitBefore is the limit at the begin of the step if that was another, and
	// both held for more than one reading; 0 if the limit stayed.
	LimitBefore float64 `json:"limit_before,omitempty"`
	Unit        string  `json:"unit"`
	// Samples is how many readings the mean is from.
	Samples int `json:"samples,omitempty"`
	// Summed says that each reading was of a counter: a mean over the time since the one
	// before, and not the state at an instant.
	Summed bool `json:"-"`
	// Variance is that of the use over one second, in the square of the unit, by how the
	// readings of a counter differ of which no two overlap; Apart is how many those are. Both are
	// 0 if they are not known.
	Variance float64 `json:"-"`
	Apart    int     `json:"-"`
}

// Figures are what was observed of a set of hits.
type Figures struct {
	Sent   uint64 `json:"sent"`
	OK     uint64 `json:"ok"`
	Failed uint64 `json:"failed"`
	// Throughput counts hits that ended OK, per second.
	Throughput float64           `json:"throughput_rps"`
	ErrorRatio float64           `json:"error_ratio"`
	Errors     map[string]uint64 `json:"errors,omitempty"`
	Response   Quantiles         `json:"response"`
	Service    Quantiles         `json:"service"`
	SendLag    Quantiles         `json:"send_lag"`
}

// Second is what was observed of the hits planned in one second of a step,
// over all workers: the unit that is resampled for intervals.
type Second struct {
	// Second counts from 0 at the step's begin; At is its drill time in seconds.
	Second int
	// Width is how many seconds it holds: 1, or more in steps that last longer
	// than MaxSeconds.
	Width   int
	At      float64
	Planned uint64
	Dropped uint64
	Tally   *Tally // over all request names; never nil
	// Profiled says that profiles of the target were being taken in it.
	Profiled bool
}

// Point is a step reduced for the model.
type Point struct {
	Step int
	Kind string
	// Offered is the planned load and Figures.Throughput what was served, in
	// requests/s, over Seconds (warm-up left out).
	Offered float64
	Seconds float64
	// Users is how many waited for answers in a closed step, and Think the time in s for
	// which each paused before a request; both 0 in an open one.
	Users int
	Think float64
	Figures
	// InFlight is the mean number of hits in flight, as the integral of the
	// response times over the step (Little's law gives the same by N = X R).
	InFlight float64
	Dropped  uint64
	// Waited counts hits that came due while every connection was busy.
	Waited uint64
	// Lacked counts hits that got no connection because a worker lacked something.
	Lacked map[string]uint64
	// Workers is how many sent hits of the step, and Latest are those that sent latest,
	// MaxLags at most, the worst first.
	Workers int
	Latest  []WorkerLag
	// Busy is the share of the time that the engine of the busiest worker, Busiest, was
	// at work, and Given the share for which its thread had a core; 0 if not known.
	Busiest     string
	Busy, Given float64
	Requests    map[string]Figures
	// Tallies are what Requests are of, warm-up left out; nil for a point that came
	// from a table.
	Tallies   map[string]*Tally
	Resources map[string]Use
	// Locks is who waited for locks of the target, the longest wait first.
	Locks []LockWait
	// LockSeconds is for how long that was seen, in s; 0 if it is not known.
	LockSeconds float64
	// Valid is false if the generator, not the target, shaped the figures, or
	// if the step is too short to say anything; WhyInvalid names each cause.
	Valid      bool
	WhyInvalid []string
	// Cut says why the step was ended early. Its quantiles are then "worse
	// than": censored.
	Cut string
	// Short says why the step was ended early though no objective was certain to break: it
	// is whole, and shorter than it was planned.
	Short string
	// Windows are the seconds after the warm-up, in order; nil for a point
	// that came from a table.
	Windows []Second
	// Flow is what ended in each second from the begin of the step, warm-up and
	// drain included, in order; nil for a point that came from a table.
	Flow []Flow
	// Discarded is the time in seconds that was left out as warm-up.
	Discarded float64
}

// Flow is what ended in one second of drill time, whatever second it was planned
// in, over all workers.
type Flow struct {
	// From and To bound it, in seconds from the begin of the step. Seconds after
	// the step's end, in which its queue drains, are there too.
	From, To   float64
	OK, Failed uint64
	// InFlight is the number of hits in flight at To, of all workers.
	InFlight int
}
