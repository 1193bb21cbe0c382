package api

import (
	"crypto/subtle"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"
)

//go:embed openapi.json
var openapi []byte

// OpenAPI is the description of the interface, as served.
func OpenAPI() []byte { return openapi }

// Config is what a server needs.
type Config struct {
	Runs    Runs
	Follow  Follow
	Workers func() []Worker
	// Token must be shown by clients; empty asks for none, which is for loopback
	// alone.
	Token string
}

// Handler serves the interface.
func Handler(cfg Config) http.Handler {
	s := &server{cfg}
	mux := http.NewServeMux()
	for pattern, h := range map[string]func(http.ResponseWriter, *http.Request) error{
		"GET /api/v1/openapi.json":              s.openapi,
		"GET /api/v1/workers":                   s.workers,
		"GET /api/v1/runs":                      s.list,
		"POST /api/v1/runs":                     s.submit,
		"GET /api/v1/runs/{id}":                 s.get,
		"POST /api/v1/runs/{id}/stop":           s.stop,
		"GET /api/v1/runs/{id}/events":          s.events,
		"GET /api/v1/runs/{id}/files/{path...}": s.file,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if err := h(w, r); err != nil {
				refuse(w, err)
			}
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		refuse(w, fmt.Errorf("%w: %s %s; GET /api/v1/openapi.json describes what there is", ErrNotFound, r.Method, r.URL.Path))
	})
	return s.authorised(mux)
}

type server struct{ cfg Config }

// errUnauthorised is for a request without the token.
var errUnauthorised = errors.New("a bearer token is needed: the access file in the controller's store has it")

// authorised lets requests through that show the token. What a browser sends from
// another page is refused: it can reach loopback, too.
func (s *server) authorised(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		switch {
		case s.cfg.Token != "" && subtle.ConstantTimeCompare([]byte(token), []byte(s.cfg.Token)) != 1:
			w.Header().Set("WWW-Authenticate", "Bearer")
			refuse(w, errUnauthorised)
		case r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != "" && r.Header.Get("Sec-Fetch-Site") != "none":
			refuse(w, fmt.Errorf("%w: requests from web pages are refused", errForbidden))
		default:
			next.ServeHTTP(w, r)
		}
	})
}

var errForbidden = errors.New("forbidden")

// Problem is an error as it is answered (RFC 9457).
type Problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
}

// refuse answers an error.
func refuse(w http.ResponseWriter, err error) {
	status := http.StatusInternalServerError
	var tooLarge *http.MaxBytesError
	switch {
	case errors.Is(err, errUnauthorised):
		status = http.StatusUnauthorized
	case errors.Is(err, errForbidden):
		status = http.StatusForbidden
	case errors.As(err, &tooLarge):
		status = http.StatusRequestEntityTooLarge
	case errors.Is(err, ErrNotFound):
		status = http.StatusNotFound
	case errors.Is(err, ErrConflict):
		status = http.StatusConflict
	case errors.Is(err, ErrInvalid):
		status = http.StatusUnprocessableEntity
	case errors.Is(err, ErrUnavailable):
		status = http.StatusServiceUnavailable
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(Problem{Title: http.StatusText(status), Status: status, Detail: err.Error()})
}

// reply answers with JSON. What cannot be written any more, nobody reads.
func reply(w http.ResponseWriter, status int, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n'))
	return nil
}

func (s *server) openapi(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(openapi)
	return nil
}

func (s *server) workers(w http.ResponseWriter, _ *http.Request) error {
	list := s.cfg.Workers()
	if list == nil {
		list = []Worker{}
	}
	return reply(w, http.StatusOK, map[string]any{"workers": list})
}

func (s *server) list(w http.ResponseWriter, r *http.Request) error {
	list, err := s.cfg.Runs.List(r.Context())
	if err != nil {
		return err
	}
	if list == nil {
		list = []Run{}
	}
	return reply(w, http.StatusOK, map[string]any{"runs": list})
}

func (s *server) submit(w http.ResponseWriter, r *http.Request) error {
	key := r.Header.Get("Idempotency-Key")
	if len(key) > MaxKey || !utf8.ValidString(key) {
		return fmt.Errorf("%w: the idempotency key is longer than %d bytes", ErrInvalid, MaxKey)
	}
	x, err := ReadSubmission(http.MaxBytesReader(w, r.Body, MaxBody))
	if err != nil {
		return err
	}
	run, created, err := s.cfg.Runs.Submit(r.Context(), key, x)
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/api/v1/runs/"+run.ID)
	status := http.StatusOK
	if created {
		status = http.StatusCreated
	}
	return reply(w, status, run)
}

// ReadSubmission reads and checks the body of a submission.
func ReadSubmission(r io.Reader) (Submission, error) {
	var x Submission
	d := json.NewDecoder(r)
	d.DisallowUnknownFields()
	if err := d.Decode(&x); err != nil {
		return x, fmt.Errorf("%w: the body is no submission: %w", ErrInvalid, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return x, fmt.Errorf("%w: something follows the submission", ErrInvalid)
	}
	switch {
	case x.Scenario == "":
		return x, fmt.Errorf("%w: scenario is empty", ErrInvalid)
	case x.Workers < 0 || x.Workers > MaxWorkers:
		return x, fmt.Errorf("%w: workers is %d, not between 0 and %d", ErrInvalid, x.Workers, MaxWorkers)
	case math.IsNaN(x.MaxUtilisation) || x.MaxUtilisation < 0 || x.MaxUtilisation > 1:
		return x, fmt.Errorf("%w: max_utilisation is %v, not between 0 and 1", ErrInvalid, x.MaxUtilisation)
	}
	return x, nil
}

// details is a run with the files of its bundle.
type details struct {
	Run
	Files []File `json:"files"`
}

func (s *server) get(w http.ResponseWriter, r *http.Request) error {
	run, files, err := s.cfg.Runs.Get(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	if files == nil {
		files = []File{}
	}
	return reply(w, http.StatusOK, details{run, files})
}

func (s *server) stop(w http.ResponseWriter, r *http.Request) error {
	if err := s.cfg.Runs.Stop(r.Context(), r.PathValue("id")); err != nil {
		return err
	}
	run, _, err := s.cfg.Runs.Get(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	return reply(w, http.StatusAccepted, run)
}

// events answers with one event a line, until the run is over.
func (s *server) events(w http.ResponseWriter, r *http.Request) error {
	n, err := strconv.Atoi(r.URL.Query().Get("after"))
	if err != nil && r.URL.Query().Has("after") || n < 0 {
		return fmt.Errorf("%w: after is no number of an event", ErrInvalid)
	}
	events, more, over, err := s.cfg.Follow(r.PathValue("id"), n)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	out, flush := json.NewEncoder(w), http.NewResponseController(w)
	for {
		for _, e := range events {
			if err := out.Encode(e); err != nil {
				return nil // the client is gone
			}
			n = e.N
		}
		if err := flush.Flush(); err != nil || over {
			return nil
		}
		select {
		case <-more:
		case <-r.Context().Done():
			return nil
		}
		if events, more, over, err = s.cfg.Follow(r.PathValue("id"), n); err != nil {
			return nil
		}
	}
}

func (s *server) file(w http.ResponseWriter, r *http.Request) error {
	f, err := s.cfg.Runs.Open(r.Context(), r.PathValue("id"), r.PathValue("path"))
	if err != nil {
		return err
	}
	defer f.Close()
	// Never shown by a browser as a page of the controller's.
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Disposition", "attachment")
	_, _ = io.Copy(w, f)
	return nil
}
