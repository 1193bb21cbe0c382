package demo

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/pprof"
	"runtime"
	"strings"
	"sync/atomic"
	"time"
)

const (
	// maxBody bounds a request body, in bytes; a larger one is answered 413.
	maxBody = 1 << 20
	// maxInFlight bounds the requests that wait; more are answered 503 at once.
	maxInFlight = 20_000
	// blockProfileRate records every block of 10 us and longer, and of shorter
	// ones a share.
	blockProfileRate = 10 * time.Microsecond
)

// Target is a service with a known limit.
type Target struct {
	config   Config
	limit    limit
	metrics  *metrics
	control  http.Handler
	received atomic.Uint64
	inFlight atomic.Int64
}

// Truth is what GET /truth answers.
type Truth struct {
	Limit string `json:"limit"`
	// CapacityRPS is the load at which the limit is reached, in requests/s; 0 is
	// no limit.
	CapacityRPS float64 `json:"capacity_rps"`
	// Received counts the requests of the load that have arrived; those for
	// /truth, /metrics and /debug are not among them.
	Received uint64 `json:"received"`
	// Ceilings lists every limit built in, the first to be reached first.
	Ceilings []Ceiling `json:"ceilings,omitempty"`
}

// New builds a target. It turns on mutex and block profiling for the process
// and, for LimitMemory, sets its memory limit, both until Close: a process has
// one target at a time. For CPU limits it calibrates, which takes some 20 ms, and
// the process has to run with GOMAXPROCS(cfg.Limit).
func New(cfg Config) (*Target, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	l, err := newLimit(cfg)
	if err != nil {
		return nil, err
	}
	t := &Target{config: cfg, limit: l, metrics: newMetrics(l.pools, l.cache)}
	t.control = t.controlMux()
	runtime.SetMutexProfileFraction(1)
	runtime.SetBlockProfileRate(int(blockProfileRate))
	return t, nil
}

// Close gives back the process-wide settings that New made. Call it when no
// request is being served any more.
func (t *Target) Close() {
	runtime.SetMutexProfileFraction(0)
	runtime.SetBlockProfileRate(0)
	if t.limit.cache != nil {
		t.limit.cache.close()
	}
}

// Truth is what is known of the target, and how many requests it has received.
func (t *Target) Truth() Truth {
	return Truth{
		Limit:       t.config.Limit,
		CapacityRPS: t.config.CapacityRPS,
		Received:    t.received.Load(),
		Ceilings:    t.limit.ceilings,
	}
}

// Handler serves the target. Its server needs a ReadHeaderTimeout, as every one
// does, and a WriteTimeout of either none or more than the seconds that a CPU
// profile is to last.
func (t *Target) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// A ServeMux would redirect unclean paths, and the load would count less
		// than it sent.
		if isControl(r.URL.Path) {
			t.control.ServeHTTP(w, r)
			return
		}
		t.serveLoad(w, r)
	})
}

// isControl tells requests about the target from those of the load.
func isControl(path string) bool {
	return path == "/truth" || path == "/metrics" || path == "/debug" || strings.HasPrefix(path, "/debug/")
}

// serveLoad counts a request on arrival, reads it to the end and answers it.
func (t *Target) serveLoad(w http.ResponseWriter, r *http.Request) {
	number := t.received.Add(1)
	defer t.inFlight.Add(-1)
	if t.inFlight.Add(1) > maxInFlight {
		t.reply(w, unavailable(anyRequest, "too many requests in flight"))
		return
	}
	if _, err := io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, maxBody)); err != nil {
		t.reply(w, badBody(err))
		return
	}
	t.reply(w, t.limit.serve(r, number))
}

func badBody(err error) answer {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return answer{anyRequest, http.StatusRequestEntityTooLarge, "{\"error\":\"the body is larger than 1 MiB\"}\n"}
	}
	return answer{anyRequest, http.StatusBadRequest, "{\"error\":\"the body could not be read\"}\n"}
}

// reply writes an answer. A client that is gone does not read it: no error of
// the target's.
func (t *Target) reply(w http.ResponseWriter, a answer) {
	t.metrics.count(a)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(a.status)
	_, _ = io.WriteString(w, a.body)
}

func (t *Target) controlMux() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /truth", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(t.Truth()) // as in reply
	})
	mux.Handle("GET /metrics", t.metrics.handler())
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}
