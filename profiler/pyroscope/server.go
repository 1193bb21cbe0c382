package pyroscope

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// Doer sends a request: *http.Client, or one that enforces an allow-list.
type Doer interface {
	Do(*http.Request) (*http.Response, error)
}

// ServerConfig says where a Pyroscope server is.
type ServerConfig struct {
	// URL of the server, with the path before its API if there is one.
	URL         string
	Credentials Credentials
	// HTTP sends the requests; it is up to it which addresses may be reached.
	HTTP Doer
}

// Server is a client of a Pyroscope server. It is safe for concurrent use.
type Server struct {
	base   *url.URL
	header http.Header
	http   Doer
}

// NewServer returns a client. It sends nothing yet, so it fails only if the
// address is none.
func NewServer(cfg ServerConfig) (*Server, error) {
	base, err := serverURL(cfg.URL, &cfg.Credentials)
	if err != nil {
		return nil, fmt.Errorf("pyroscope: %w", err)
	}
	if cfg.HTTP == nil {
		return nil, errors.New("pyroscope: no HTTP client given")
	}
	return &Server{base: base, header: cfg.Credentials.header(), http: cfg.HTTP}, nil
}

const (
	// callTime bounds one request.
	callTime = 15 * time.Second
	// maxAnswer bounds an answer, in bytes.
	maxAnswer = 64 << 20
)

// serverError is a server's refusal.
type serverError struct {
	status  int
	code    string // Connect's, if it gave one
	message string
}

func (e *serverError) Error() string {
	text := fmt.Sprintf("the server answered %d %s", e.status, http.StatusText(e.status))
	if e.message != "" {
		text += ": " + e.message
	}
	switch e.status {
	case http.StatusUnauthorized, http.StatusForbidden:
		text += "; hint: it asks for credentials: set auth, and tenant where it has several"
	case http.StatusNotFound:
		text += "; hint: check the address"
	}
	return text
}

// absent reports whether a server does not have what was called: an older one.
func absent(err error) bool {
	var e *serverError
	if !errors.As(err, &e) {
		return false
	}
	switch e.status {
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented, http.StatusUnsupportedMediaType:
		return true
	}
	return e.code == "unimplemented"
}

// passing reports whether trying again may help.
func passing(err error) bool {
	var e *serverError
	if errors.As(err, &e) {
		return e.status == http.StatusTooManyRequests || e.status >= 500 && e.status != http.StatusNotImplemented
	}
	return err != nil && !errors.Is(err, context.Canceled)
}

// call calls a procedure by Connect's unary protocol, with protobuf messages.
func (s *Server) call(ctx context.Context, procedure string, message []byte) ([]byte, error) {
	u := s.base.JoinPath(procedure)
	header := http.Header{"Content-Type": {contentProto}, "Connect-Protocol-Version": {"1"}}
	return s.send(ctx, http.MethodPost, u, message, header)
}

// send sends a request and reads the answer.
func (s *Server) send(ctx context.Context, method string, u *url.URL, body []byte, header http.Header) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for _, h := range []http.Header{s.header, header} {
		for name, values := range h {
			req.Header[name] = values
		}
	}
	resp, err := s.http.Do(req)
	if err != nil {
		// Without the address: it is known, and may hold a secret.
		var cause *url.Error
		if errors.As(err, &cause) {
			err = cause.Err
		}
		return nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("receive the answer: %w", err)
	case len(data) > maxAnswer:
		return nil, fmt.Errorf("the answer is larger than %d MiB", maxAnswer>>20)
	case resp.StatusCode != http.StatusOK:
		return nil, refusalOf(resp.StatusCode, data)
	}
	return data, nil
}

// refusalOf reads an answer that is an error, in Connect's form or as text.
func refusalOf(status int, body []byte) error {
	e := &serverError{status: status}
	var fault connectFault
	if json.Unmarshal(body, &fault) == nil && (fault.Code != "" || fault.Message != "") {
		e.code, e.message = fault.Code, harmless(fault.Message)
	} else {
		e.message = harmless(string(body[:min(len(body), 1000)]))
	}
	return e
}
