package pprofhttp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Kinds of failure that a caller may want to tell apart with errors.Is.
var (
	// ErrAbsent: the target serves no profiles there, or not this one.
	ErrAbsent = errors.New("no such profile")
	// ErrDenied: the target asks for credentials or refuses.
	ErrDenied = errors.New("not allowed")
	// ErrBusy: a CPU profile is being taken already; only one can be.
	ErrBusy = errors.New("the CPU profiler is in use")
	// ErrTooLarge: the profile is above a bound.
	ErrTooLarge = errors.New("the profile is too large")
	// ErrNotProfile: what was sent is not a profile.
	ErrNotProfile = errors.New("not a pprof profile")
)

// Bounds that hold unless Config says otherwise, in bytes.
const (
	DefaultMaxBytes   = 64 << 20
	DefaultMaxDecoded = 512 << 20
)

// Patience is how long a capture may take beyond the seconds that it lasts:
// symbolising and sending the profile of a busy target.
const Patience = 20 * time.Second

// Doer sends a request: *http.Client, or one that enforces an allow-list.
type Doer interface {
	Do(*http.Request) (*http.Response, error)
}

// Config says where the profiles are.
type Config struct {
	// URL is the base, such as http://127.0.0.1:8080/debug/pprof. A query in it
	// is sent with each request.
	URL string
	// HTTP sends the requests. Its timeout, if it has one, must be longer than
	// the captures asked for.
	HTTP Doer
	// Auth is sent as the Authorization header; empty for none.
	Auth string
	// MaxBytes bounds a profile as sent, MaxDecoded after decompression; 0 is
	// DefaultMaxBytes and DefaultMaxDecoded.
	MaxBytes, MaxDecoded int64
}

// Client fetches profiles. It is safe for concurrent use.
type Client struct {
	base       *url.URL
	http       Doer
	auth       string
	maxBytes   int64
	maxDecoded int64
	// longest is the number of seconds that the server was found to write for;
	// 0 while it has refused none.
	longest atomic.Int64
}

// New returns a client. It does not fetch anything yet, so it fails only if the
// address is none.
func New(cfg Config) (*Client, error) {
	base, err := url.Parse(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("pprof: %w", err)
	}
	if base.Host == "" || (base.Scheme != "http" && base.Scheme != "https") {
		return nil, fmt.Errorf("pprof %q: not an http or https address", cfg.URL)
	}
	if cfg.HTTP == nil {
		return nil, errors.New("pprof: no HTTP client given")
	}
	c := &Client{base: base, http: cfg.HTTP, auth: cfg.Auth, maxBytes: cfg.MaxBytes, maxDecoded: cfg.MaxDecoded}
	if c.maxBytes <= 0 {
		c.maxBytes = DefaultMaxBytes
	}
	if c.maxDecoded <= 0 {
		c.maxDecoded = DefaultMaxDecoded
	}
	return c, nil
}

// kinds are the types of capture and what net/http/pprof calls them.
var kinds = map[string]string{
	"cpu":       "profile",
	"allocs":    "allocs",
	"heap":      "heap",
	"mutex":     "mutex",
	"block":     "block",
	"goroutine": "goroutine",
	"trace":     "trace",
}

// Types lists the types that can be captured, in the order in which a reader
// wants them; trace, which is no profile, is the last.
func Types() []string {
	return []string{"cpu", "allocs", "mutex", "block", "goroutine", "heap", "trace"}
}

// Capture fetches one profile of the type: cpu and trace over so many seconds;
// of the others the change over so many seconds, or with 0 what they hold now,
// which for heap is after a garbage collection. The result is gzip-compressed,
// whole, and within the bounds; a trace is as the runtime writes it.
//
// A server may refuse to write for that long (its WriteTimeout); then it is
// asked for half the time, down to one second. It may be taking a CPU profile
// for somebody else; then it is asked again each second for what is left of the
// time. So a profile may span less than asked for. Errors wrap ErrAbsent,
// ErrDenied, ErrBusy, ErrTooLarge or ErrNotProfile where they are of that kind.
func (c *Client) Capture(ctx context.Context, typ string, seconds int) ([]byte, error) {
	name, ok := kinds[typ]
	switch {
	case !ok:
		return nil, fmt.Errorf("capture %q: unknown type; hint: one of %s", typ, strings.Join(Types(), ", "))
	case seconds < 0 || (typ == "cpu" || typ == "trace") && seconds == 0:
		return nil, fmt.Errorf("capture %s: %d seconds is no span", typ, seconds)
	}
	for {
		if most := int(c.longest.Load()); most > 0 {
			seconds = min(seconds, most)
		}
		data, err := c.fetch(ctx, name, seconds)
		var short *tooLongError
		switch {
		case errors.As(err, &short) && seconds > 1:
			seconds /= 2
			c.longest.Store(int64(seconds))
			continue
		case errors.Is(err, ErrBusy) && seconds > 1:
			if pause(ctx, time.Second) {
				seconds--
				continue
			}
		}
		if err != nil {
			return nil, fmt.Errorf("capture %s: %w", typ, err)
		}
		return data, nil
	}
}

// pause waits, and reports whether it did to the end.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// fetch gets one profile and checks its bounds.
func (c *Client) fetch(ctx context.Context, name string, seconds int) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(seconds)*time.Second+Patience)
	defer cancel()
	query := url.Values{}
	switch {
	case seconds > 0:
		query.Set("seconds", strconv.Itoa(seconds))
	case name == "heap":
		query.Set("gc", "1") // what is live, not what is yet to be collected
	}
	resp, err := c.get(ctx, name, query)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if err := refusal(resp, name); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, c.maxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("receive the profile: %w", err)
	}
	if int64(len(data)) > c.maxBytes {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, c.maxBytes)
	}
	if name == "trace" {
		if err := looksLikeTrace(data); err != nil {
			return nil, err
		}
		return data, nil
	}
	return normalise(data, c.maxDecoded)
}

// get sends a request for a path below the base.
func (c *Client) get(ctx context.Context, name string, query url.Values) (*http.Response, error) {
	u := *c.base
	u.Path = strings.TrimSuffix(u.Path, "/") + "/" + name
	u.RawPath = ""
	all := u.Query()
	for k, v := range query {
		all[k] = v
	}
	u.RawQuery = all.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	if c.auth != "" {
		req.Header.Set("Authorization", c.auth)
	}
	return c.http.Do(req)
}

// tooLongError is the server's refusal to write for as long as asked.
type tooLongError struct{ said string }

func (e *tooLongError) Error() string {
	return fmt.Sprintf("the server refuses to profile for so long: %s; hint: raise its WriteTimeout", e.said)
}

// refusal turns a response that is no profile into an error.
func refusal(resp *http.Response, name string) error {
	code := resp.StatusCode
	if code == http.StatusOK {
		return nil
	}
	said := saying(resp.Body)
	switch {
	case code == http.StatusUnauthorized:
		return fmt.Errorf("%w: %s; hint: set profiles.auth, such as Bearer ${TOKEN} or Basic name:${PASSWORD}, or profiles.pprof: none", ErrDenied, resp.Status)
	case code == http.StatusForbidden:
		return fmt.Errorf("%w: %s; hint: let the machine that drills reach /debug/pprof, or set profiles.pprof: none", ErrDenied, resp.Status)
	case code == http.StatusNotFound:
		return fmt.Errorf("%w: %s; hint: a Go target serves them with import _ \"net/http/pprof\"; another path goes into profiles.pprof", ErrAbsent, resp.Status)
	case code == http.StatusInternalServerError && name == "profile" && strings.Contains(said, "CPU profiling"):
		return fmt.Errorf("%w: %s; hint: something else profiles the target, such as a continuous profiler", ErrBusy, said)
	case code == http.StatusBadRequest && strings.Contains(said, "WriteTimeout"):
		return &tooLongError{said}
	}
	return fmt.Errorf("%s: %s", resp.Status, said)
}

// saying is the begin of an error's body, on one line and printable.
func saying(body io.Reader) string {
	const most = 200
	b, err := io.ReadAll(io.LimitReader(body, most))
	if err != nil && len(b) == 0 {
		return "no more was said"
	}
	text := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\ufffd' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(string(b), " "))
	if text = strings.Join(strings.Fields(text), " "); text == "" {
		return "no more was said"
	}
	return text
}

// Available is what a target offers.
type Available struct {
	// Types are the types that can be captured, a subset of Types() in its order.
	Types []string
}

// Has reports whether a type can be captured.
func (a Available) Has(typ string) bool { return slices.Contains(a.Types, typ) }
