package main

import (
	"sync"

	"github.com/headroom-project/headroom/loadgen"
	"github.com/headroom-project/headroom/loadgen/api"
	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

// events are what followers of a run are told. It is the run's loadgen.Progress.
type events struct {
	mu   sync.Mutex
	n    int
	list []api.Event
	more chan struct{}
	over bool
}

// maxEvents bounds the events that are kept for followers who come late: the
// seconds are dropped first come first out.
const maxEvents = 4096

func newEvents() *events { return &events{more: make(chan struct{})} }

// stepBegins is the data of api.EventStepBegins.
type stepBegins struct {
	Step   scenarios.Step `json:"step"`
	Reason string         `json:"reason,omitempty"`
}

func (e *events) add(kind string, data any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.over {
		return
	}
	e.n++
	e.list = append(e.list, api.Event{N: e.n, Kind: kind, Data: data})
	if len(e.list) > maxEvents {
		e.list = e.list[len(e.list)-maxEvents:]
	}
	e.over = kind == api.EventEnd
	close(e.more)
	e.more = make(chan struct{})
}

// after returns the events after number n, and a channel that is closed when there
// are more.
func (e *events) after(n int) ([]api.Event, <-chan struct{}, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []api.Event
	for _, x := range e.list {
		if x.N > n {
			out = append(out, x)
		}
	}
	return out, e.more, e.over
}

// StepBegins is part of loadgen.Progress.
func (e *events) StepBegins(step scenarios.Step, reason string) {
	e.add(api.EventStepBegins, stepBegins{step, reason})
}

// Second is part of loadgen.Progress.
func (e *events) Second(s loadgen.Status) { e.add(api.EventSecond, s) }

// StepEnds is part of loadgen.Progress. The seconds of the point are left out: they
// are in the bundle.
func (e *events) StepEnds(p observation.Point) {
	p.Windows, p.Flow = nil, nil
	e.add(api.EventStepEnds, p)
}

// Says is part of loadgen.Progress.
func (e *events) Says(text string) { e.add(api.EventNote, text) }
