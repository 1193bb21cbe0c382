package observation

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// queued is how many windows may wait to be written. Whoever hands over more waits.
const queued = 64

// kept is a window that is to be written or, without one, a place in the queue: when
// reached is closed, all before it are written.
type kept struct {
	window  *Window
	reached chan struct{}
}

// keep writes windows until the queue is closed. To encode and to compress a window
// takes longer than to merge it: so that is done beside the merging.
func (r *Recorder) keep() {
	defer close(r.idle)
	var line bytes.Buffer
	for k := range r.queue {
		if k.reached != nil {
			close(k.reached)
			continue
		}
		if r.Err() != nil {
			continue
		}
		line.Reset()
		err := k.window.writeLine(&line)
		r.mu.Lock()
		if err == nil {
			_, err = r.zip.Write(line.Bytes())
		}
		r.fail("write windows", err)
		r.mu.Unlock()
	}
}

// Window hands over a window to be written, which must not be changed from then on;
// Flush makes it readable, and tells of an error in writing it.
func (r *Recorder) Window(w *Window) error {
	r.enqueue(kept{window: w})
	return r.Err()
}

// enqueue reports whether there still is a queue.
func (r *Recorder) enqueue(k kept) bool {
	r.order.Lock()
	defer r.order.Unlock()
	if r.ended {
		return false
	}
	r.queue <- k
	return true
}

// settle returns when the windows that were handed over are written.
func (r *Recorder) settle() {
	reached := make(chan struct{})
	if r.enqueue(kept{reached: reached}) {
		<-reached
	}
}

// end writes what is in the queue and closes it, once.
func (r *Recorder) end() {
	r.order.Lock()
	if !r.ended {
		r.ended = true
		close(r.queue)
	}
	r.order.Unlock()
	<-r.idle
}

// writeLine writes what json.Marshal makes of the window, and a line feed. Tallies are
// turned first into what they encode to: what an encoder returns is copied and checked.
func (w *Window) writeLine(to *bytes.Buffer) error {
	type plain Window
	out := struct {
		*plain
		Requests map[string]tallyJSON `json:"requests,omitempty"`
	}{plain: (*plain)(w)}
	if len(w.Requests) > 0 {
		out.Requests = make(map[string]tallyJSON, len(w.Requests))
		for name, t := range w.Requests {
			out.Requests[name] = t.encoded()
		}
	}
	if err := json.NewEncoder(to).Encode(out); err != nil {
		return fmt.Errorf("encode window: %w", err)
	}
	return nil
}
