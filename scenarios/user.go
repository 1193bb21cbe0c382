package scenarios

import (
	"errors"
	"fmt"
)

// Variables are the values that a virtual user has captured. The zero value
// holds none. They are for one goroutine at a time.
type Variables struct {
	values []string
	set    []bool
}

// Clear forgets all values.
func (v *Variables) Clear() { clear(v.set) }

// get is the value of a slot.
func (v *Variables) get(slot int) (string, bool) {
	if v == nil || slot >= len(v.set) || !v.set[slot] {
		return "", false
	}
	return v.values[slot], true
}

func (v *Variables) put(slot, of int, value string) {
	if len(v.set) < of {
		v.values = append(v.values, make([]string, of-len(v.values))...)
		v.set = append(v.set, make([]bool, of-len(v.set))...)
	}
	v.values[slot], v.set[slot] = value, true
}

// Why a message cannot be sent.
var (
	// ErrNoRow means that the feed has no row left, and must not reuse one.
	ErrNoRow = errors.New("feed has no row left (hint: add rows, or set reuse: true)")
	// ErrNoValue means that a value is used that was not captured.
	ErrNoValue = errors.New("value was not captured")
	// ErrBadValue means that a captured value would end the header it is put in.
	ErrBadValue = errors.New("captured value holds a line break or control character")
)

// maxCaptured bounds a captured value, in bytes: each virtual user keeps its own.
const maxCaptured = 16 << 10

// IsFlow says whether the requests are a flow, in which case each virtual user
// runs them in order.
func (r *Requests) IsFlow() bool { return r.flow }

// Extract takes the values that request i captures out of its answer, and puts
// them into v. An answer that lacks a value has failed: class is then
// ClassCheck, and v holds what came before it.
func (r *Requests) Extract(i int, answer Response, v *Variables) (class, detail string) {
	for k := range r.list[i].captures {
		c := &r.list[i].captures[k]
		value, found := c.from(answer)
		switch {
		case !found:
			return ClassCheck, fmt.Sprintf("answer has no %s to capture as %s", c, c.name)
		case len(value) > maxCaptured:
			return ClassCheck, fmt.Sprintf("value to capture as %s has more than %d bytes", c.name, maxCaptured)
		}
		v.put(c.slot, r.variables, value)
	}
	return "", ""
}

// User is a virtual user on its way through a flow: which request comes next,
// and the values captured so far. It is for one goroutine at a time.
//
//	for u := requests.NewUser(); ; {
//		if err := u.Render(hit, &message); err == nil {
//			send the message, read the answer
//			class, detail = u.Answer(answer)    // or u.Failed() if none came
//		}
//		if u.Next() == 0 { break }    // through, or failed
//	}
type User struct {
	requests  *Requests
	next      int
	variables Variables
}

// NewUser returns a user at the begin of the flow.
func (r *Requests) NewUser() *User { return &User{requests: r} }

// Next is the index of the user's next request.
func (u *User) Next() int { return u.next }

// Render fills m with the user's next request; h is the hit that began the flow,
// whose number chooses the feed's row and the values that are drawn. On an error the message must
// not be sent, the hit has failed, and the user begins anew.
func (u *User) Render(h Hit, m *Message) error {
	h.Request = u.next
	u.requests.RenderWith(h, &u.variables, m)
	if m.Err != nil {
		u.Failed()
	}
	return m.Err
}

// Answer judges the answer to the request that was rendered, as VerifyResponse
// and Extract do, and takes the user to its next one: after the last request,
// and after one that failed, the first, with nothing captured.
func (u *User) Answer(answer Response) (class, detail string) {
	i := u.next
	if class, detail = u.requests.VerifyResponse(i, answer); class == "" {
		class, detail = u.requests.Extract(i, answer, &u.variables)
	}
	if u.next++; class != "" || u.next == u.requests.Len() {
		u.Failed()
	}
	return class, detail
}

// Failed takes the user back to the begin of the flow.
func (u *User) Failed() {
	u.next = 0
	u.variables.Clear()
}
