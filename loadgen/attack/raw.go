package attack

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/headroom-project/headroom/scenarios"
)

// RawConfig is what a Raw needs.
type RawConfig struct {
	// To takes the encoded results. It is written to through a buffer.
	To io.Writer
	// Format is gob, csv or json: vegeta's encodings.
	Format string
	// Requests renders what was sent again, for method and URL.
	Requests *scenarios.Requests
	// Started is the wall-clock instant of drill time 0.
	Started time.Time
}

// Raw keeps the result of every hit in an encoding of vegeta's, so that `vegeta
// report`, `plot` and `encode` read it. A result's timestamp is the instant the
// hit was planned for and its latency the response time from then on, so that
// vegeta's figures are free of coordinated omission. Its attack is the name of
// the request, its code 0 if there was no answer, and its error the error class. Its
// URL is the one that was asked for first, whatever redirects led to; empty if the
// request could not be made. Header and body are left out.
//
// vegeta wants timestamps in their order: the arrival of a flow that was sent late,
// after requests of other users, is stamped as late as those.
//
// Memory does not grow with the number of results. Several attacks may share one.
type Raw struct {
	cfg     RawConfig
	mu      sync.Mutex
	buffer  *bufio.Writer
	encode  vegeta.Encoder
	message scenarios.Message
	err     error
}

// RawFormats are the formats of raw results.
var RawFormats = []string{"gob", "csv", "json"}

// NewRaw prepares to write.
func NewRaw(cfg RawConfig) (*Raw, error) {
	r := &Raw{cfg: cfg, buffer: bufio.NewWriterSize(cfg.To, 256<<10)}
	switch cfg.Format {
	case "gob":
		r.encode = vegeta.NewEncoder(r.buffer)
	case "csv":
		r.encode = vegeta.NewCSVEncoder(r.buffer)
	case "json":
		r.encode = vegeta.NewJSONEncoder(r.buffer)
	default:
		return nil, fmt.Errorf("raw results: no format %q; there are %v", cfg.Format, RawFormats)
	}
	return r, nil
}

// add writes the results of hits. urls are what they asked for, or nil if that can be
// told from their numbers. The first error is kept, and nothing is written after it.
func (r *Raw) add(entries []entry, urls []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range entries {
		if r.err != nil {
			return
		}
		res := r.result(&entries[i])
		if urls != nil {
			res.URL = urls[i]
		}
		r.err = r.encode(&res)
	}
}

func (r *Raw) result(e *entry) vegeta.Result {
	r.cfg.Requests.Render(scenarios.Hit{N: e.n, Step: int(e.step), Request: int(e.request)}, &r.message)
	res := vegeta.Result{
		Attack: r.message.Name, Seq: e.order, Code: uint16(e.status),
		Timestamp: r.cfg.Started.Add(e.stamp), Latency: e.done - e.due,
		BytesIn: e.in, BytesOut: e.out, Error: e.class,
		Method: r.message.Method, URL: r.message.URL,
	}
	if e.class == scenarios.ClassStatus {
		res.Error = fmt.Sprintf("%d %s", e.status, http.StatusText(int(e.status)))
	}
	return res
}

// Close writes what is buffered, and returns the first error there was.
func (r *Raw) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.buffer.Flush(); r.err == nil {
		r.err = err
	}
	if r.err != nil {
		return fmt.Errorf("write raw results: %w", r.err)
	}
	return nil
}
