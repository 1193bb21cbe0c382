// Package api is the controller's HTTP interface: JSON under /api/v1, described by
// an OpenAPI document that the controller serves itself, and a client for it.
//
// A program submits a run, follows its events, and fetches the files of its bundle
// with their checksums. Unless the controller listens on loopback only, every
// request shows a bearer token. A submission with an Idempotency-Key that was used
// before is the run of that time, not another one.
package api

import (
	"context"
	"errors"
	"io"
	"time"
)

// Limits of what is taken from a client.
const (
	// MaxBody bounds a submission in bytes: a scenario with its files.
	MaxBody = 192 << 20
	// MaxKey bounds an idempotency key in bytes.
	MaxKey = 200
	// MaxWorkers bounds the workers that a run may ask for.
	MaxWorkers = 100_000
)

// Kinds of errors that a Runs may return, wrapped.
var (
	ErrNotFound = errors.New("not found")
	// ErrConflict is for what contradicts the state of things: a key that was used
	// for another submission, a stop of a run that another controller owns.
	ErrConflict = errors.New("conflict")
	// ErrInvalid is for a submission that cannot be run as it is.
	ErrInvalid = errors.New("invalid")
	// ErrUnavailable is for what may be possible later: too few workers.
	ErrUnavailable = errors.New("unavailable")
)

// Submission asks for a run.
type Submission struct {
	// Scenario is the text of the scenario.
	Scenario string `json:"scenario"`
	// Files are those that the scenario names, by that name (base64 in JSON).
	Files map[string][]byte `json:"files,omitempty"`
	// Env holds the variables that the scenario names. They are not stored.
	Env map[string]string `json:"env,omitempty"`
	// Workers is how many take part; 0 takes all that are free.
	Workers int `json:"workers,omitempty"`
	// MaxUtilisation bounds the use of the target's resources in a search, as a
	// share of their limits; 0 is no bound.
	MaxUtilisation float64 `json:"max_utilisation,omitempty"`
	// Attribute varies the mix of requests after a search, so that cost and demand
	// can be told by request.
	Attribute bool `json:"attribute,omitempty"`
}

// States of a run.
const (
	StateRunning     = "running"
	StateDone        = "done"
	StateInterrupted = "interrupted"
	StateFailed      = "failed"
)

// Run is a run as the controller knows it.
type Run struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	// State is running, done, interrupted or failed.
	State   string    `json:"state"`
	Started time.Time `json:"started"`
	// Ended is zero while it runs.
	Ended time.Time `json:"ended,omitzero"`
	// How is how the drill ended: done, guard, interrupted, failed.
	How string `json:"how,omitempty"`
	// Detail says why it did not run its course.
	Detail string `json:"detail,omitempty"`
	// Cause is bad_input if it failed since what was asked for cannot be run, which
	// shows only on the way; else empty.
	Cause string `json:"cause,omitempty"`
	// Verdict is pass, fail or invalid once it has ended.
	Verdict string `json:"verdict,omitempty"`
	// Workers are the names of those that take part.
	Workers []string `json:"workers,omitempty"`
	// Controller names the controller that owns it.
	Controller string `json:"controller,omitempty"`
}

// CauseBadInput says that a run failed for what was asked for.
const CauseBadInput = "bad_input"

// Worker is a worker as the controller knows it.
type Worker struct {
	ID      string            `json:"id"`
	Name    string            `json:"name"`
	Version string            `json:"version"`
	MaxRPS  float64           `json:"max_rps,omitempty"`
	Labels  map[string]string `json:"labels,omitempty"`
	CPUs    int               `json:"cpus"`
	OS      string            `json:"os"`
	Arch    string            `json:"arch"`
	// CeilingRPS is what it can send, as its calibration says; 0 if it has none.
	CeilingRPS float64 `json:"ceiling_rps,omitempty"`
	// Run is what it works on, empty if it is free.
	Run string `json:"run,omitempty"`
}

// File is one file of a bundle.
type File struct {
	// Path is relative to the bundle, with slashes.
	Path string `json:"path"`
	Size int64  `json:"size"`
	// SHA256 is its checksum in hexadecimal.
	SHA256 string `json:"sha256"`
}

// Event is something that happened in a run.
type Event struct {
	// N numbers the events of a run from 1, as far as this controller has seen them.
	N int `json:"n"`
	// Kind is step_begins, second, step_ends, note or end.
	Kind string `json:"kind"`
	// Data belongs to the kind: the step, the status of a second, the step's
	// figures, a text, the run.
	Data any `json:"data,omitempty"`
}

// Kinds of events.
const (
	EventStepBegins = "step_begins"
	EventSecond     = "second"
	EventStepEnds   = "step_ends"
	EventNote       = "note"
	EventEnd        = "end"
)

// Runs is what the interface gives access to.
type Runs interface {
	// Submit begins a run, or returns the one that was begun with the same key.
	// An empty key is no key. Errors are ErrInvalid, ErrConflict, ErrUnavailable.
	Submit(ctx context.Context, key string, s Submission) (run Run, created bool, err error)
	// List returns all runs, the latest first.
	List(ctx context.Context) ([]Run, error)
	// Get returns one run and the files of its bundle, none while it runs.
	Get(ctx context.Context, id string) (Run, []File, error)
	// Stop ends all load of a run at once. A run that has ended is no error.
	Stop(ctx context.Context, id string) error
	// Open reads a file of a bundle; the caller closes it.
	Open(ctx context.Context, id, path string) (io.ReadCloser, error)
}

// Follow returns the events of a run after number n, and a channel that is closed
// when there are more; over says that there will be none.
type Follow func(id string, n int) (events []Event, more <-chan struct{}, over bool, err error)
