package reports

import (
	"github.com/headroom-project/headroom/capacity"
	"github.com/headroom-project/headroom/loadgen/observation"
	"strings"
)

// Schema is the name of the format of run.json.
const Schema = "headroom.run/v1"

// Verdicts of a drill.
const (
	Pass    = "pass"
	Fail    = "fail"
	Invalid = "invalid"
)

// Run is run.json: all that a report shows. Fields are added, never changed in
// meaning, within v1.
type Run struct {
	Schema    string  `json:"schema"`
	ID        string  `json:"id"`
	Name      string  `json:"name"`
	Started   string  `json:"started"` // RFC 3339
	DurationS float64 `json:"duration_s"`
	Target    string  `json:"target"`

	// Verdict is pass, fail or invalid; Reasons says why, the first in a sentence.
	Verdict  string   `json:"verdict"`
	Reasons  []string `json:"reasons"`
	Warnings []string `json:"warnings"`
	// Ended is done, guard, interrupted, failed or cut-off.
	Ended string `json:"ended"`
	// EndedDetail says in a phrase why it did not run its course: which guard,
	// what could not be reached. Empty if it did.
	EndedDetail string `json:"ended_detail,omitempty"`

	Environment map[string]any `json:"environment"`
	Objectives  []Objective    `json:"objectives"`
	Totals      Totals         `json:"totals"`
	// BytesPerRequest is the mean size of an answer, 0 if it is not known.
	BytesPerRequest float64 `json:"bytes_per_request,omitempty"`
	Steps           []Step  `json:"steps"`

	// The four below are nil when the data does not support them; Missing and
	// Warnings say why.
	Capacity   *Capacity   `json:"capacity,omitempty"`
	Saturation *Saturation `json:"saturation,omitempty"`
	Headroom   *Headroom   `json:"headroom,omitempty"`
	Cost       *Cost       `json:"cost,omitempty"`
	// Bounded is the bound of utilisation that the drill kept; nil if it had none.
	Bounded *Bounded `json:"bounded,omitempty"`
	// Contention is what requests in flight cost one another; nil where the steps
	// do not identify it.
	Contention *Contention `json:"contention,omitempty"`

	// Demand is what a request takes, function by function; nil without profiles.
	Demand *Demand `json:"demand,omitempty"`
	// Profiling says what taking profiles cost; nil if none were taken.
	Profiling *Profiling `json:"profiling,omitempty"`

	// Attribution is what each request takes; nil unless the mix varied.
	Attribution *Attribution `json:"attribution,omitempty"`

	// Timeline holds one entry a second over the whole drill.
	Timeline []Tick `json:"timeline"`
	// Flames holds flame graphs, made from the captures.
	Flames []Flame `json:"flames,omitempty"`
	// StepFlames are smaller ones of other steps, for the page. They are not part
	// of run.json, which they would make many times as large.
	StepFlames []Flame `json:"-"`
	// Missing says what the report would show if the target offered it, and how
	// to make it do so.
	Missing []string `json:"missing,omitempty"`
	// Method says in sentences how it was measured.
	Method []string `json:"method"`
	// NoGround says why nothing may rest on the capacity of a drill that ended; empty if it may.
	NoGround string `json:"-"`
}

// Unfounded says why nothing may rest on the capacity: the drill did not come to an end, what is
// left of its evidence is not whole, its steps contradict each other, or have too few hits. Empty
// if it may.
func (r *Run) Unfounded() string {
	if r.Unfinished() {
		return strings.Join(r.Reasons, "; ")
	}
	return r.NoGround
}

// Unfinished says that the drill did not come to an end of its own, nor by a guard.
func (r *Run) Unfinished() bool {
	switch r.Ended {
	case CutOff, observation.EndInterrupted, observation.EndFailed:
		return true
	}
	return false
}

// Bounded is a bound of utilisation, as ratios of a resource's limit.
type Bounded struct {
	MaxUtilisation float64 `json:"max_utilisation"`
	// Most is the greatest use that a step had in the mean, and Resource of what; 0 and empty
	// if nothing with a limit was read.
	Most     float64 `json:"most"`
	Resource string  `json:"resource,omitempty"`
}

// Objective is an objective and whether it held at the load asked for.
type Objective struct {
	Text   string `json:"text"`
	Metric string `json:"metric"` // p99, errors ...
	// Threshold is in the unit of the metric: ms, ratio or requests/s.
	Threshold float64 `json:"threshold"`
	Unit      string  `json:"unit"` // ms, ratio, rps
	Met       *bool   `json:"met,omitempty"`
	Observed  float64 `json:"observed"`
}

// Totals count hits over the whole drill: planned = ok + failed + dropped.
type Totals struct {
	Planned uint64 `json:"planned"`
	// Sent counts requests written to a connection.
	Sent uint64 `json:"sent"`
	// Followed counts the requests that were sent besides because answers were
	// redirects: the target has counted Sent + Followed.
	Followed uint64 `json:"followed,omitempty"`
	OK       uint64 `json:"ok"`
	Failed   uint64 `json:"failed"`
	Dropped  uint64 `json:"dropped"`
	// Errors counts failed hits by class.
	Errors map[string]uint64 `json:"errors,omitempty"`
}

// Step is one step as measured, warm-up seconds left out.
type Step struct {
	Index         int     `json:"index"`
	Kind          string  `json:"kind"`
	Reason        string  `json:"reason,omitempty"`
	OfferedRPS    float64 `json:"offered_rps"`
	ThroughputRPS float64 `json:"throughput_rps"`
	Users         int     `json:"users,omitempty"`
	Seconds       float64 `json:"seconds"`
	DiscardedS    float64 `json:"discarded_s"`
	// ProfiledS is in how many of Seconds profiles of the target were taken.
	ProfiledS  float64               `json:"profiled_s,omitempty"`
	Sent       uint64                `json:"sent"`
	OK         uint64                `json:"ok"`
	Failed     uint64                `json:"failed"`
	Dropped    uint64                `json:"dropped"`
	Response   observation.Quantiles `json:"response"`
	Service    observation.Quantiles `json:"service"`
	SendLag    observation.Quantiles `json:"send_lag"`
	ErrorRatio float64               `json:"error_ratio"`
	Errors     map[string]uint64     `json:"errors,omitempty"`
	InFlight   float64               `json:"in_flight"`
	// Busy is the share of the time that the generator's thread was at work, of the
	// busiest worker; 0 if it is not known.
	Busy       float64  `json:"generator_busy,omitempty"`
	Valid      bool     `json:"valid"`
	WhyInvalid []string `json:"why_invalid,omitempty"`
	// Cut says why the step was ended early, its outcome being known, and Short why it was
	// though no objective was certain to break.
	Cut   string `json:"cut,omitempty"`
	Short string `json:"short,omitempty"`
	// Met says whether every objective held; nil for a warm-up.
	Met       *bool                          `json:"met,omitempty"`
	Resources map[string]observation.Use     `json:"resources"`
	Requests  map[string]observation.Figures `json:"requests"`
	Captures  []CaptureRef                   `json:"captures"`
}

// CaptureRef points to a profile in the bundle.
type CaptureRef struct {
	Type    string `json:"type"`
	File    string `json:"file"`
	Samples int64  `json:"samples"`
	Error   string `json:"error,omitempty"`
	// Note says what is missing from the file.
	Note string `json:"note,omitempty"`
}

// Estimate is a value with its interval, how it was made, and what weakens it.
type Estimate struct {
	Value      float64  `json:"value"`
	Low        float64  `json:"low"`
	High       float64  `json:"high"`
	Confidence float64  `json:"confidence,omitempty"`
	Method     string   `json:"method,omitempty"`
	Warnings   []string `json:"warnings,omitempty"`
}

// Prediction is an Estimate whose interval may not be known: drills used to record the
// value alone of the estimate before a confirmation, and no interval is from 0 to 0.
type Prediction struct {
	Value      float64 `json:"value"`
	Low        float64 `json:"low,omitempty"`
	High       float64 `json:"high,omitempty"`
	Confidence float64 `json:"confidence,omitempty"`
}

// Capacity is the highest load that still meets every objective.
type Capacity struct {
	RPS       Estimate `json:"rps"`
	Objective string   `json:"objective"` // the one that breaks first; empty if the target serves no more before one does
	// Bound is "" for a crossing that was measured, "above" if every step met the
	// objectives (capacity is at least Low), "below" if none did (at most High),
	// "predicted" if every step met them and the laws say where they break.
	Bound     string `json:"bound,omitempty"`
	Confirmed bool   `json:"confirmed"`
	Method    string `json:"method"`
	// Predicted is the estimate before the confirmation step, and Check what that
	// step showed beside what the steps before it predict of it.
	Predicted      *Prediction `json:"predicted,omitempty"`
	ConfirmedAtRPS float64     `json:"confirmed_at_rps,omitempty"`
	Check          *Check      `json:"check,omitempty"`
	// RefutedAtRPS is the lowest load whose confirmation broke an objective where RPS is that
	// load, so that its Low is what to plan with; 0 else. ContraryRPS are the loads of steps that
	// broke an objective that others held there or above, where Bound is "above" or they are of a
	// table.
	RefutedAtRPS float64   `json:"refuted_at_rps,omitempty"`
	ContraryRPS  []float64 `json:"contrary_rps,omitempty"`
	// ArrivalsSCV is the squared coefficient of variation of the times between the arrivals
	// of the steps (1 for Poisson), 0 if not known; ProductionSCV that for which responses
	// are predicted.
	ArrivalsSCV   float64 `json:"arrivals_scv,omitempty"`
	ProductionSCV float64 `json:"production_scv,omitempty"`
	// Unidentified says why the steps do not tell where the objectives break, and which step
	// would; empty unless Bound is "above".
	Unidentified string `json:"unidentified,omitempty"`
	// NotPredicted are the objectives of which no law speaks: a capacity whose Bound is
	// "predicted" is not about them.
	NotPredicted []string `json:"not_predicted,omitempty"`
	// Curve is the response that is predicted at loads up to the capacity, if it
	// was not offered.
	Curve []CurvePoint `json:"curve,omitempty"`
}

// Check is what was predicted of the confirmation step beside what was observed.
type Check struct {
	RPS         float64 `json:"rps"`
	PredictedMS float64 `json:"predicted_p99_ms"`
	ObservedMS  float64 `json:"observed_p99_ms"`
	// PredictedLow and PredictedHigh are the interval in which the prediction expects the
	// p99 of a step, from what the law may be off by and what the steps before scattered by.
	// Both are 0 if too few steps tell, PredictedHigh if the low end is saturated.
	PredictedLow  float64 `json:"predicted_p99_low_ms,omitempty"`
	PredictedHigh float64 `json:"predicted_p99_high_ms,omitempty"`
	Confidence    float64 `json:"confidence,omitempty"`
}

// CurvePoint is the response at a load, as predicted.
type CurvePoint struct {
	RPS float64 `json:"rps"`
	P50 float64 `json:"p50_ms"`
	P99 float64 `json:"p99_ms"`
}

// Saturation is the load at which the first resource reaches its limit.
type Saturation struct {
	RPS         Estimate     `json:"rps"`
	Bottlenecks []Bottleneck `json:"bottlenecks"` // the first to give out first
	// Measured says that the target was seen saturated; else RPS is where laws put it.
	Measured bool `json:"measured"`
}

// Bottleneck is a resource that limits the target.
type Bottleneck struct {
	Resource    string  `json:"resource"`
	Probability float64 `json:"probability"`
	// Low and High are the interval of RPS, AfterFixLow and AfterFixHigh that of
	// AfterFixRPS, with the Confidence of the saturation. An end that is not known is 0.
	Low          float64 `json:"rps_low,omitempty"`
	High         float64 `json:"rps_high,omitempty"`
	AfterFixLow  float64 `json:"after_fix_low,omitempty"`
	AfterFixHigh float64 `json:"after_fix_high,omitempty"`
	// Method says in a few words how RPS was found; AfterFixRPS is of the resource law.
	Method string `json:"method,omitempty"`
	// RPS is the load at which it reaches its limit.
	RPS float64 `json:"rps"`
	// AfterFixRPS is the saturation once it is out of the way; 0 if unknown.
	AfterFixRPS float64 `json:"after_fix_rps,omitempty"`
	// PerRequest is its demand: Unit-seconds for one request, where that is alone if Law
	// is curved.
	PerRequest float64 `json:"per_request,omitempty"`
	Unit       string  `json:"unit,omitempty"`
	Limit      float64 `json:"limit,omitempty"`
	// Peak is the most of it that was seen used, as a ratio of Limit.
	Peak float64 `json:"peak,omitempty"`
	// Evidence says in a sentence what shows it.
	Evidence string `json:"evidence,omitempty"`
	// Law is how its use grows with the load; nil if not known.
	Law *capacity.Law `json:"law,omitempty"`
}

// Headroom is (capacity - demand) / capacity.
type Headroom struct {
	DemandRPS      float64   `json:"demand_rps"`
	Now            *Estimate `json:"now,omitempty"`
	AtForecastPeak *Estimate `json:"at_forecast_peak,omitempty"`
	// ExhaustedOn is a date (YYYY-MM-DD), or empty.
	ExhaustedOn string `json:"exhausted_on,omitempty"`
	// ExhaustedBetween are the earliest and the latest such day: the demand at its highest
	// against the low end of the capacity, and at its lowest against the high end. An empty
	// one is not within what is looked at: the horizon of a forecast, a century of growth.
	ExhaustedBetween []string `json:"exhausted_between,omitempty"`
}

// Cost is what requests cost, in Currency.
type Cost struct {
	Currency   string     `json:"currency"`
	PerMillion PerMillion `json:"per_million"`
	// Parts are what Marginal consists of: cpu, memory, egress, as far as they have a
	// price and are known.
	Parts map[string]Estimate `json:"marginal_parts,omitempty"`
	// AtRPS is the load at which they hold.
	AtRPS float64 `json:"at_rps"`
	// At has the cost at each load that is known, that of AtRPS first.
	At   []CostAt `json:"at,omitempty"`
	seen *capacity.Cost
}

// PerMillion is what a million good requests cost. Marginal and Idle are zero, and left out,
// where no use of what has a price was seen to grow with the load: they are not known then.
type PerMillion struct {
	Marginal Estimate `json:"marginal,omitzero"`
	Loaded   Estimate `json:"loaded"`
	Idle     Estimate `json:"idle,omitzero"`
}

// CostAt is the cost at a load.
type CostAt struct {
	// Load is now, peak (that is forecast) or capacity.
	Load string  `json:"load"`
	RPS  float64 `json:"rps"`
	// Replicas is how many carry it.
	Replicas   int                 `json:"replicas"`
	PerMillion PerMillion          `json:"per_million"`
	Parts      map[string]Estimate `json:"marginal_parts,omitempty"`
}

// Tick is one second of the drill.
type Tick struct {
	T          float64 `json:"t"` // drill time, s
	Step       int     `json:"step"`
	Offered    float64 `json:"offered_rps"`
	Throughput float64 `json:"throughput_rps"`
	P50        float64 `json:"p50_ms"`
	P99        float64 `json:"p99_ms"`
	Errors     float64 `json:"error_ratio"`
	InFlight   int     `json:"in_flight"`
	// Discarded marks warm-up.
	Discarded bool `json:"discarded,omitempty"`
	// Profiled marks seconds in which profiles of the target were taken.
	Profiled bool `json:"profiled,omitempty"`
}

// Flame is the flame graph of one capture.
type Flame struct {
	Step    int     `json:"step"`
	Type    string  `json:"type"`    // cpu, allocs, mutex, block
	Unit    string  `json:"unit"`    // nanoseconds, bytes, count
	RPS     float64 `json:"rps"`     // throughput of the step
	Seconds float64 `json:"seconds"` // that the captures span
	Samples int64   `json:"samples"`
	// Requests is how many were served meanwhile.
	Requests float64 `json:"requests,omitempty"`
	File     string  `json:"file"`
	Root     *Frame  `json:"root"`
	// Functions lists the functions with the largest self values.
	Functions []Function `json:"functions"`
}

// Frame is one node of a flame graph: Value includes its children.
type Frame struct {
	Name     string   `json:"name"`
	Value    int64    `json:"value"`
	Children []*Frame `json:"children,omitempty"`
}

// Function is what one function used.
type Function struct {
	Name string `json:"name"`
	Self int64  `json:"self"`
	Cum  int64  `json:"cum"`
	// SelfShare and CumShare are of the profile's total, 0..1.
	SelfShare float64 `json:"self_share"`
	CumShare  float64 `json:"cum_share"`
	// PerRequest is Self divided by the requests served meanwhile.
	PerRequest float64 `json:"per_request"`
}
