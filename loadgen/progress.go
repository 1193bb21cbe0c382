package loadgen

import (
	"time"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

// Progress is told what happens while a drill runs. Its methods are called from
// one goroutine and must not block.
type Progress interface {
	// StepBegins tells of a step and why it was chosen.
	StepBegins(step scenarios.Step, reason string)
	// Second tells how the running step does, about once a second.
	Second(Status)
	// StepEnds tells what came of it.
	StepEnds(p observation.Point)
	// Says passes on a warning or a note in one line.
	Says(text string)
}

// Status is how a drill does at an instant.
type Status struct {
	Elapsed time.Duration
	// Left is how long the drill will take at most, as far as is known.
	Left time.Duration
	Step scenarios.Step
	// Of the last second: hits that ended, and how.
	Achieved   float64
	P50, P99   float64 // response time, ms
	ErrorRatio float64
	InFlight   int
	// TargetCPU is in cores, negative if it is not known.
	TargetCPU float64
}
