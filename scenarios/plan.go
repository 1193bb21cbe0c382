package scenarios

import "time"

// Kinds of a step.
const (
	KindWarmup  = "warmup"
	KindSearch  = "search"
	KindRefine  = "refine"
	KindConfirm = "confirm"
	KindLoad    = "load"
)

// Step is a period of one offered load inside a plan.
type Step struct {
	Index int    `json:"index"`
	Kind  string `json:"kind"`
	// From and To are the offered loads in requests/s at its begin and end; they
	// differ in a ramp only.
	From  float64       `json:"from"`
	To    float64       `json:"to"`
	Lasts time.Duration `json:"lasts"`
	// Users is the number of virtual users of a closed step, with Think between
	// two requests of one; From and To are then 0.
	Users int           `json:"users,omitempty"`
	Think time.Duration `json:"think,omitempty"`
	// First is the number of hits planned before this step, so that each hit of
	// a drill has a number of its own.
	First uint64 `json:"first"`
}

// Hit is one planned request.
type Hit struct {
	// N numbers the hits of the whole drill, over all slices, from 0.
	N    uint64
	Step int
	// At is its planned instant, from the begin of the step.
	At time.Duration
	// Request indexes the scenario's requests.
	Request int
}

// Plan is a scenario compiled into an exact schedule. It is a pure function of
// the scenario and its seed.
type Plan struct {
	Name     string
	Seed     uint64
	Arrivals Arrivals
	// Weights are the requests' weights, in order.
	Weights []float64
	// Names are the requests' names, in order.
	Names []string
	// Steps is what a fixed load offers; a search has its warm-up only, and the
	// controller adds steps as it learns.
	Steps []Step
	// Search is set when the load is a search, defaults filled in.
	Search *SearchLoad
}

// Slice is worker Index's part of a plan, of Of workers.
type Slice struct {
	Plan  *Plan
	Index int
	Of    int
}
