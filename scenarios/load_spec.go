package scenarios

// Arrivals is how hits are spread within a step.
type Arrivals string

// The arrival processes.
const (
	Poisson  Arrivals = "poisson"  // exponential gaps: independent users
	Constant Arrivals = "constant" // evenly spaced
	Trace    Arrivals = "trace"    // as recorded: a replay has these, and nothing else has
)

// LoadSpec says what is offered. Exactly one of the kinds is set.
type LoadSpec struct {
	// Arrivals is how hits are spread: poisson (default) or constant; a replay
	// has its own, which is trace.
	Arrivals Arrivals `yaml:"arrivals,omitempty" json:"arrivals,omitempty"`
	// Seed makes arrivals and generated values reproducible; 0 draws one for each drill.
	Seed uint64 `yaml:"seed,omitempty" json:"seed,omitempty"`
	// Warmup is a step at the lowest load before the first (default 3s; 0s is
	// none; not for closed).
	Warmup Duration `yaml:"warmup" json:"warmup" rule:"optional"`

	Search   *SearchLoad   `yaml:"search,omitempty" json:"search,omitempty"`
	Constant *ConstantLoad `yaml:"constant,omitempty" json:"constant,omitempty"`
	Steps    *StepsLoad    `yaml:"steps,omitempty" json:"steps,omitempty"`
	Ramp     *RampLoad     `yaml:"ramp,omitempty" json:"ramp,omitempty"`
	Spike    *SpikeLoad    `yaml:"spike,omitempty" json:"spike,omitempty"`
	Sine     *SineLoad     `yaml:"sine,omitempty" json:"sine,omitempty"`
	Replay   *ReplayLoad   `yaml:"replay,omitempty" json:"replay,omitempty"`
	Closed   *ClosedLoad   `yaml:"closed,omitempty" json:"closed,omitempty"`
	// Sequence offers loads of several kinds, one after the other.
	Sequence []SequencePart `yaml:"sequence,omitempty" json:"sequence,omitempty"`
}

// SequencePart is one load of a sequence. Exactly one of the kinds is set.
type SequencePart struct {
	// Warmup is a step at the part's lowest load before it (default none; for
	// the first part, that of the load).
	Warmup Duration `yaml:"warmup,omitempty" json:"warmup,omitempty"`

	Constant *ConstantLoad `yaml:"constant,omitempty" json:"constant,omitempty"`
	Steps    *StepsLoad    `yaml:"steps,omitempty" json:"steps,omitempty"`
	Ramp     *RampLoad     `yaml:"ramp,omitempty" json:"ramp,omitempty"`
	Spike    *SpikeLoad    `yaml:"spike,omitempty" json:"spike,omitempty"`
	Sine     *SineLoad     `yaml:"sine,omitempty" json:"sine,omitempty"`
	Replay   *ReplayLoad   `yaml:"replay,omitempty" json:"replay,omitempty"`
	Closed   *ClosedLoad   `yaml:"closed,omitempty" json:"closed,omitempty"`
}

// SearchLoad looks for the capacity between From and To.
type SearchLoad struct {
	// From is the lowest load, in requests/s (default 50, or a tenth of To if that is less).
	From float64 `yaml:"from,omitempty" json:"from,omitempty"`
	// To is the highest load, in requests/s (default safety.max_rps).
	To float64 `yaml:"to,omitempty" json:"to,omitempty"`
	// Step is how long one refinement step lasts (default 8s).
	Step Duration `yaml:"step,omitempty" json:"step,omitempty"`
	// Budget bounds the whole drill (default 110s).
	Budget Duration `yaml:"budget,omitempty" json:"budget,omitempty"`
}

// ConstantLoad offers one rate.
type ConstantLoad struct {
	// Rate is the load, in requests/s.
	Rate     float64  `yaml:"rate" json:"rate"`
	Duration Duration `yaml:"duration" json:"duration"`
}

// StepsLoad offers one rate after the other, each for Duration.
type StepsLoad struct {
	// Rates are the loads, in requests/s.
	Rates    []float64 `yaml:"rates" json:"rates"`
	Duration Duration  `yaml:"duration" json:"duration"`
}

// RampLoad goes from one rate to another in a straight line.
type RampLoad struct {
	// From is the load at the begin, in requests/s.
	From float64 `yaml:"from" json:"from"`
	// To is the load at the end, in requests/s; it may be the lower one.
	To       float64  `yaml:"to" json:"to"`
	Duration Duration `yaml:"duration" json:"duration"`
}

// SpikeLoad offers a base rate and, once, a higher one. It is a single step,
// since the hits that a spike leaves waiting are a part of what comes after it.
type SpikeLoad struct {
	// Base is the load before and after the spike, in requests/s; it may be 0.
	Base float64 `yaml:"base" json:"base"`
	// Peak is the load of the spike, in requests/s.
	Peak float64 `yaml:"peak" json:"peak"`
	// At is when the spike begins, from the begin of the load.
	At Duration `yaml:"at" json:"at"`
	// Lasts is how long the spike lasts.
	Lasts Duration `yaml:"lasts" json:"lasts"`
	// Duration is that of the whole load.
	Duration Duration `yaml:"duration" json:"duration"`
}

// SineLoad swings about a mean, as traffic does over a day: the rate at time t
// is mean + amplitude * sin(2 pi t / period).
type SineLoad struct {
	// Mean is the load about which it swings, in requests/s.
	Mean float64 `yaml:"mean" json:"mean"`
	// Amplitude is how far it swings, in requests/s, at most the mean.
	Amplitude float64 `yaml:"amplitude" json:"amplitude"`
	// Period is the time of one swing.
	Period   Duration `yaml:"period" json:"period"`
	Duration Duration `yaml:"duration" json:"duration"`
}

// ReplayLoad offers hits at recorded instants. The requests are drawn from the
// mix, not from the recording.
type ReplayLoad struct {
	// File is an access log (common or combined), a .csv with a column of times,
	// or a .har, with at most 5,000,000 arrivals. A log that counts whole seconds
	// has the arrivals of each second spread over it evenly.
	File string `yaml:"file" json:"file"`
	// Speed divides the recorded times: 2 offers twice the load in half the time
	// (default 1).
	Speed float64 `yaml:"speed,omitempty" json:"speed,omitempty"`
}

// ClosedLoad is Users virtual users, each with one request at a time.
type ClosedLoad struct {
	// Users is how many there are.
	Users int `yaml:"users" json:"users"`
	// Think is the pause of a user between two requests.
	Think    Duration `yaml:"think,omitempty" json:"think,omitempty"`
	Duration Duration `yaml:"duration" json:"duration"`
}
