package observation

import "time"

// Sample is one reading of a target resource, with its limit.
type Sample struct {
	// At is the drill time of the reading.
	At time.Duration
	// Over is the time that Used is the mean over; 0 for an instantaneous gauge.
	Over time.Duration
	// Step is the step that was being offered, -1 between steps.
	Step int
	// Source says who read it: process, cgroup, metrics, generator.
	Source string
	// Resource is its name: cpu, memory, pool.shop, goroutines ...
	Resource string
	// Used is what was used, in Unit; Limit is what there is, 0 if there is
	// no limit or none is known.
	Used, Limit float64
	// Unit is cores, bytes, slots, count, bytes/s, ratio.
	Unit string
}

// Ways in which a capture came.
const (
	CaptureFetched   = "pprof"     // from the target's net/http/pprof
	CaptureReceived  = "received"  // the target or its agent sent it
	CapturePyroscope = "pyroscope" // from a Pyroscope server
)

// Capture is one profile that was taken from the target during a step. A step
// may have several of a type: of several instances, or of successive parts of
// the step. Each counts for the time from From to To.
type Capture struct {
	Step int `json:"step"`
	// Type is cpu, allocs, mutex, block, goroutine, heap, trace or counters.
	Type string `json:"type"`
	// File is its path inside the evidence folder: profiles/step-03.cpu.pb.gz.
	File string `json:"file,omitempty"`
	// From and To bound it in drill time.
	From time.Duration `json:"from"`
	To   time.Duration `json:"to"`
	// Samples is the number of samples it holds (the sum of the first sample
	// type's counts): its relative error is about 1/sqrt(Samples).
	Samples int64 `json:"samples"`
	// Error says why there is no file, if there is none.
	Error string `json:"error,omitempty"`
	// Source is one of the ways above; empty for CaptureFetched.
	Source string `json:"source,omitempty"`
	// Labels are those that it came with, such as service_name and instance.
	Labels map[string]string `json:"labels,omitempty"`
	// Inside is the share of its time that lies in its step, where that is not
	// all of it: profiles that a target sends do not begin and end with steps.
	Inside float64 `json:"inside,omitempty"`
	// Until is when the target was done with it, in drill time: To, and the time
	// that it took to write and send it. 0 in records that do not say.
	Until time.Duration `json:"until,omitempty"`
	// Instances is how many instances of the target are in the file, and Of how
	// many there are; both 0 for a target of one. Note says what of it is missing.
	Instances int    `json:"instances,omitempty"`
	Of        int    `json:"of,omitempty"`
	Note      string `json:"note,omitempty"`
	// Counters holds by how much exact totals of the target grew between From and
	// To: mallocs (objects), total_alloc (bytes), gc_cycles; of a capture of type
	// counters, which has no file.
	Counters map[string]float64 `json:"counters,omitempty"`
	// Locks is what a mutex profile says, the longest wait first, at most MaxLocks: what
	// the search goes by before the file is read.
	Locks []LockWait `json:"locks,omitempty"`
}

// MaxLocks bounds the locks of one capture.
const MaxLocks = 20

// LockWait is how long goroutines of the target waited for the locks that a function
// holds.
type LockWait struct {
	Function string `json:"function"`
	// Seconds of waiting, summed over goroutines, per second.
	Seconds float64 `json:"seconds"`
	// Contentions is how often in a second it was passed on to one who waited; 0 if not
	// known.
	Contentions float64 `json:"contentions"`
}

// wholly is the share of a capture's time that must lie in its step for it to
// speak for the step: a tenth of another load is within the error of profiles.
const wholly = 0.9

// Usable says whether figures of the step may be computed from the capture: it
// has a file with samples, and they are the step's own.
func (c Capture) Usable() bool {
	return c.File != "" && c.Samples > 0 && (c.Inside == 0 || c.Inside >= wholly)
}

// CountersType is the type of a capture that holds counters and no profile.
const CountersType = "counters"

// Profiled reports whether the target was being profiled for this capture at
// any time between from and to, in drill time, even if nothing came of it. A
// target that profiles itself does so all the time.
func (c *Capture) Profiled(from, to time.Duration) bool {
	if c.Source != "" && c.Source != CaptureFetched {
		return false
	}
	until := max(c.To, c.Until)
	return c.From < until && from < until && c.From < to
}

// Kinds of a journal entry.
const (
	EntryDrill   = "drill" // the first entry: what is run, where, by whom
	EntryStep    = "step"  // a step begins
	EntryStepEnd = "step_end"
	EntryCapture = "capture"
	EntryWarning = "warning" // something that the report must say
	EntryGuard   = "guard"   // a guard ended the drill
	EntryFleet   = "fleet"   // something happened to the workers
	EntryEnd     = "end"     // the last entry; a bundle without one was cut off
)

// Entry is one line of the journal. Exactly the field that its Kind names is set.
type Entry struct {
	Kind string `json:"kind"`
	// At is the drill time of the entry.
	At time.Duration `json:"at"`

	Drill   *DrillRecord `json:"drill,omitempty"`
	Step    *StepRecord  `json:"step,omitempty"`
	StepEnd *StepEnd     `json:"step_end,omitempty"`
	Capture *Capture     `json:"capture,omitempty"`
	End     *EndRecord   `json:"end,omitempty"`
	Fleet   *FleetRecord `json:"fleet,omitempty"`
	// Text is set for a warning and a guard.
	Text string `json:"text,omitempty"`
}

// DrillRecord says what was run.
type DrillRecord struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Started time.Time `json:"started"`
	Target  string    `json:"target"`
	// Seed reproduces the arrivals and the generated values.
	Seed uint64 `json:"seed"`
	// Workers is how many took part.
	Workers int `json:"workers"`
	// Environment holds headroom, go, os, arch, cpus, engine ... as shown.
	Environment map[string]any `json:"environment"`
	// Objectives are those that it was run for, as a scenario writes them, and
	// ScenarioDigest is what Digest says of the scenario.yaml that is kept beside this. A
	// drill that was recorded before they were kept has neither.
	Objectives     []string `json:"objectives,omitempty"`
	ScenarioDigest string   `json:"scenario_digest,omitempty"`
	// MaxUtilisation is the ratio of their limits that no resource of the target was to be
	// used above, 0 if the search was not bounded by that.
	MaxUtilisation float64 `json:"max_utilisation,omitempty"`
}

// StepRecord says what a step was to offer, and why.
type StepRecord struct {
	Index int    `json:"index"`
	Kind  string `json:"kind"` // warmup, search, refine, confirm, load, attribute
	// From and To are the offered loads at the step's begin and end, in
	// requests/s; they differ in a ramp only. Both are 0 in a closed step.
	From  float64 `json:"from"`
	To    float64 `json:"to"`
	Users int     `json:"users,omitempty"`
	// Think is the pause of each user before a request, its first one left out.
	Think time.Duration `json:"think,omitempty"`
	// Start is its begin in drill time.
	Start time.Duration `json:"start"`
	Lasts time.Duration `json:"lasts"`
	// Discard is how much of the step's begin is warm-up, kept out of the figures.
	Discard time.Duration `json:"discard"`
	// Reason says why this step was chosen.
	Reason string `json:"reason,omitempty"`
	// First is the number of its first hit. Numbers is how many from there on are
	// set aside for an open step and what is offered until the next one begins.
	First   uint64 `json:"first,omitempty"`
	Numbers uint64 `json:"numbers,omitempty"`
	// PredictedRPS is the estimate that a confirmation is to prove, with its interval; 0 in
	// any other step.
	PredictedRPS  float64 `json:"predicted_rps,omitempty"`
	PredictedLow  float64 `json:"predicted_low,omitempty"`
	PredictedHigh float64 `json:"predicted_high,omitempty"`
}

// StepEnd says how a step ended.
type StepEnd struct {
	Index int `json:"index"`
	// Lasted is how long it offered load.
	Lasted time.Duration `json:"lasted"`
	// Cut says why it was ended early; empty if it ran its time.
	Cut string `json:"cut,omitempty"`
	// Short says why it was ended early though no objective was certain to break; what it
	// offered until then counts as that of a shorter step.
	Short string `json:"short,omitempty"`
	// Invalid lists causes of invalidity that windows and samples do not show.
	Invalid []string `json:"invalid,omitempty"`
}

// What a FleetRecord tells of.
const (
	FleetStarted    = "started"    // the first step has begun everywhere
	FleetLost       = "lost"       // a worker is no longer part of the drill
	FleetRebalanced = "rebalanced" // its share was given to the others
	FleetMissing    = "missing"    // hits of a lost worker of which nothing is known
	FleetResumed    = "resumed"    // another controller goes on with the drill
	FleetNote       = "note"       // anything else that the report must say
)

// FleetRecord is something that happened to the workers of a drill.
type FleetRecord struct {
	What string `json:"what"`
	// Worker is its name, empty if it is about all.
	Worker string `json:"worker,omitempty"`
	// Text says it in a sentence, for the report; empty if it needs no saying.
	Text string `json:"text,omitempty"`
	// From and Until bound, in drill time, the planned instants of hits whose
	// figures are not those of a whole fleet: they are kept out of the fit.
	From  time.Duration `json:"from,omitempty"`
	Until time.Duration `json:"until,omitempty"`
	// Hits counts planned hits of which nothing is known, at most.
	Hits uint64 `json:"hits,omitempty"`
	// Share is the part of the offered load that the workers left still offer,
	// 0 if that has not changed.
	Share float64 `json:"share,omitempty"`
	// Skew is how far apart the workers began, ClockError the bound of the error
	// of their drill times. Both are set by FleetStarted.
	Skew       time.Duration `json:"skew,omitempty"`
	ClockError time.Duration `json:"clock_error,omitempty"`
	// Abort says that the scenario wants the drill to end.
	Abort bool `json:"abort,omitempty"`
}

// Ways in which a drill ends.
const (
	EndDone        = "done"
	EndGuard       = "guard"
	EndInterrupted = "interrupted"
	EndFailed      = "failed" // could not run: target unreachable, disk full ...
)

// EndRecord says how the drill ended.
type EndRecord struct {
	How    string `json:"how"`
	Detail string `json:"detail,omitempty"`
	// PredictedRPS is the estimate that the confirmation step was to prove, 0 if
	// there was none.
	PredictedRPS float64 `json:"predicted_rps,omitempty"`
	// PredictedLow and PredictedHigh are its 90% interval; both 0 if it had none, as one
	// that was bounded on one side only, or was recorded before they were kept.
	PredictedLow  float64 `json:"predicted_low,omitempty"`
	PredictedHigh float64 `json:"predicted_high,omitempty"`
}
