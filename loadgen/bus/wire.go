package bus

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/headroom-project/headroom/loadgen"
	"github.com/headroom-project/headroom/scenarios"
)

// Protocol is the version of the messages below. It is raised when a worker and a
// controller of different versions would misunderstand each other.
const Protocol = 3

// Limits of what is taken from the other side.
const (
	maxMessage = 1 << 20 // bytes of a JSON message
	maxText    = 200     // bytes of a name, label or version
	maxLabels  = 32
)

// Info is what a worker says of itself.
type Info struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Version  string `json:"version"`
	Protocol int    `json:"protocol"`
	// MaxRPS is the most that the worker will send, 0 for no bound of its own.
	MaxRPS float64           `json:"max_rps,omitempty"`
	Labels map[string]string `json:"labels,omitempty"`
	CPUs   int               `json:"cpus"`
	OS     string            `json:"os"`
	Arch   string            `json:"arch"`
	// Calibration is what the worker's machine can do, nil if that is not known.
	Calibration *loadgen.Calibration `json:"calibration,omitempty"`
	// Run is what it works on, empty if it is free.
	Run string `json:"run,omitempty"`
	// Leaving says goodbye.
	Leaving bool `json:"leaving,omitempty"`
}

// check refuses what no worker says.
func (i *Info) check() error {
	texts := []string{i.Name, i.Version, i.OS, i.Arch, i.Run}
	if len(i.Labels) > maxLabels {
		return fmt.Errorf("%d labels, more than %d", len(i.Labels), maxLabels)
	}
	for k, v := range i.Labels {
		texts = append(texts, k, v)
	}
	if c := i.Calibration; c != nil {
		if err := c.Check(); err != nil {
			return err
		}
		texts = append(texts, c.Engine)
	}
	for _, t := range texts {
		if len(t) > maxText {
			return fmt.Errorf("a text of %d bytes, more than %d", len(t), maxText)
		}
	}
	if i.Name == "" || i.MaxRPS < 0 || i.CPUs < 0 {
		return fmt.Errorf("worker %q with %g requests/s and %d CPUs", i.Name, i.MaxRPS, i.CPUs)
	}
	return nil
}

// welcome answers an Info.
type welcome struct {
	// Refused says why the worker is not taken.
	Refused string `json:"refused,omitempty"`
}

// share is a part of the plan: hits Index, Index+Of, Index+2*Of ...
type share struct {
	Index int `json:"index"`
	Of    int `json:"of"`
}

// assignment hands a worker its part of a drill.
type assignment struct {
	Run string `json:"run"`
	// Epoch grows with each controller that owns the run: orders of an earlier
	// one are void.
	Epoch uint64 `json:"epoch"`
	// Digest is that of the input, Size its length in bytes.
	Digest string `json:"digest"`
	Size   int    `json:"size"`
	Share  share  `json:"share"`
	// Of is how many workers there are, and so how the connections are divided.
	Of int `json:"of"`
	// Lease is how long a lease lasts, Renew how often it is asked for.
	Lease time.Duration `json:"lease"`
	Renew time.Duration `json:"renew"`
	// Keep is how long windows are kept that cannot be stored.
	Keep time.Duration `json:"keep"`
	// Budget is the most that the worker may send, in requests/s.
	Budget float64 `json:"budget"`
}

// ready answers an assignment.
type ready struct {
	Error string `json:"error,omitempty"`
	// Blocked says that the error is about an address that may not be hit.
	Blocked bool `json:"blocked,omitempty"`
	// Plan is the digest of the compiled plan: the same on every worker.
	Plan string `json:"plan,omitempty"`
	// ClockError bounds the error of the worker's drill time.
	ClockError time.Duration `json:"clock_error,omitempty"`
}

// clockRequest asks for the drill time of a run.
type clockRequest struct {
	Run string `json:"run"`
}

type clockReply struct {
	Now time.Duration `json:"now"`
}

// inputRequest asks for the input of a run, from an offset.
type inputRequest struct {
	Run    string `json:"run"`
	Offset int    `json:"offset"`
}

// recallRequest asks a worker for a part of the input that it has from a run.
type recallRequest struct {
	Digest string `json:"digest"`
	Offset int    `json:"offset"`
}

// renewal asks for a lease.
type renewal struct {
	Run   string `json:"run"`
	Epoch uint64 `json:"epoch"`
	// Seen is the number of the last order that was carried out.
	Seen uint64 `json:"seen"`
	// From is host:port of the worker's connection, as the worker sees it.
	From string `json:"from,omitempty"`
	// Late says how late the worker began the first step, once it has.
	Late *time.Duration `json:"late,omitempty"`
	// ClockError bounds the error of the worker's drill time; Drift is how far the
	// clocks have moved against each other since the run began.
	ClockError time.Duration `json:"clock_error,omitempty"`
	Drift      time.Duration `json:"drift,omitempty"`
	// CPU is what the worker's process used since it last asked, of Cores, in cores.
	CPU   float64 `json:"cpu,omitempty"`
	Cores float64 `json:"cores,omitempty"`
	// Unstored counts messages with windows that are not stored yet.
	Unstored int `json:"unstored,omitempty"`
	// Failed says why the worker cannot go on.
	Failed string `json:"failed,omitempty"`
	// Refused lists the shares of lost workers that this one did not take.
	Refused []refusal `json:"refused,omitempty"`
}

// refusal says why a share was not taken.
type refusal struct {
	// Order is the number of the order that gave the share.
	Order uint64 `json:"order"`
	Why   string `json:"why"`
}

// lease answers a renewal.
type lease struct {
	// Over says that the worker is no longer part of the run: fenced, or there is
	// no such run. It stops at once.
	Over bool `json:"over,omitempty"`
	// Orders are those after the last one that the worker has seen.
	Orders []order `json:"orders,omitempty"`
	// Now is the drill time at the answer.
	Now time.Duration `json:"now"`
}

// order is an Order of the controller, with a number.
type order struct {
	N      uint64 `json:"n"`
	Offer  *offer `json:"offer,omitempty"`
	Cut    *int   `json:"cut,omitempty"`
	Finish bool   `json:"finish,omitempty"`
	Take   *take  `json:"take,omitempty"`
}

// offer is an Offer of the controller.
type offer struct {
	Step  scenarios.Step `json:"step"`
	At    time.Duration  `json:"at"`
	Hold  bool           `json:"hold,omitempty"`
	Began time.Duration  `json:"began,omitempty"`
}

// take gives a worker a share of one that was lost. Of the step that is being
// offered, hits planned before From (drill time) are left out.
type take struct {
	Share share         `json:"share"`
	From  time.Duration `json:"from"`
	// Budget is what the worker may send from now on, in requests/s.
	Budget float64 `json:"budget"`
}

// orders brings orders between two renewals.
type orders struct {
	Run    string  `json:"run"`
	Epoch  uint64  `json:"epoch"`
	Orders []order `json:"orders"`
}

// kill ends the load of a run.
type kill struct {
	Epoch uint64 `json:"epoch"`
}

// decode reads a JSON message.
func decode(data []byte, into any) error {
	if len(data) > maxMessage {
		return fmt.Errorf("message of %d bytes, more than %d", len(data), maxMessage)
	}
	return json.Unmarshal(data, into)
}

// encode writes a JSON message of ours.
func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("encode %T: %v", v, err)) // plain structs can be encoded
	}
	return b
}

// answer answers a request; an error means that the other side will ask again.
func answer(m *nats.Msg, v any) { _ = m.Respond(encode(v)) }
