package pyroscope

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"math"
	"net/http"
	"strings"
	"time"
)

// An agent sends the profiles of all its types at once, five and more, and does
// not send again what was refused: so requests wait a little for a slot.
const (
	maxQueue  = 64
	queueTime = 5 * time.Second
)

// enter admits a request, or refuses it before its body is read. open are the routes
// of the runs that it may be for; who enters must leave.
func (r *Router) enter(w http.ResponseWriter, req *http.Request) (open []Route, leave func(), err error) {
	if req.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return nil, nil, refuse(http.StatusMethodNotAllowed, "profiles are sent by POST")
	}
	if !r.authorised(req) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="headroom"`)
		return nil, nil, refuse(http.StatusUnauthorized, "the token is missing or wrong; hint: send it as Authorization: Bearer TOKEN, or as the password of basic authentication")
	}
	if open, err = r.open(); err != nil {
		return nil, nil, err
	}
	entered := open // a refusal returns none
	depart := func() {
		for _, route := range entered {
			route.to.working.Done()
		}
	}
	wait := r.flooded()
	if wait == 0 {
		if free, ok := r.slot(req); ok {
			return open, func() { free(); depart() }, nil
		}
		wait = time.Second
	}
	defer depart()
	w.Header().Set("Retry-After", fmt.Sprint(math.Ceil(wait.Seconds())))
	for _, route := range open {
		route.to.warn("profiles were refused because too many came at once")
	}
	return nil, nil, refuse(http.StatusTooManyRequests, "too many requests: no more than %g a second, and %d at once", r.cfg.Limits.Rate, r.cfg.Limits.Concurrent)
}

// open counts a request in with every run that is going on, and returns the routes to
// them as they are now.
func (r *Router) open() (open []Route, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var refused []error
	for _, route := range r.routes {
		if err := route.enter(); err != nil {
			refused = append(refused, err)
			continue
		}
		open = append(open, *route)
	}
	switch {
	case len(open) > 0:
		return open, nil
	case len(refused) == 1:
		return nil, refused[0]
	}
	return nil, errNoRun
}

var errNoRun = refuse(http.StatusUnprocessableEntity, "no run takes profiles now")

// enter counts a request in with the run.
func (r *Route) enter() error {
	if r.to == nil {
		return refuse(http.StatusUnprocessableEntity, "the run has not begun")
	}
	return r.to.enter()
}

// flooded is how long to wait if requests come above the rate, else 0.
func (r *Router) flooded() time.Duration {
	now := r.cfg.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	wait, _ := r.flood.take(now)
	return wait
}

// slot waits until the request may be read into memory.
func (r *Router) slot(req *http.Request) (free func(), ok bool) {
	select {
	case r.queue <- struct{}{}:
	default:
		return nil, false
	}
	defer func() { <-r.queue }()
	limit := time.NewTimer(queueTime)
	defer limit.Stop()
	select {
	case r.slots <- struct{}{}:
		return func() { <-r.slots }, true
	case <-limit.C:
	case <-req.Context().Done():
	}
	return nil, false
}

// authorised compares in constant time.
func (r *Router) authorised(req *http.Request) bool {
	if r.cfg.Token == "" {
		return true
	}
	given := ""
	if scheme, token, ok := strings.Cut(req.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		given = strings.TrimSpace(token)
	} else if _, password, ok := req.BasicAuth(); ok {
		given = password
	}
	a, b := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(r.cfg.Token))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}
