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

// enter admits a request, or refuses it before its body is read. Who enters must
// leave.
func (r *Receiver) enter(w http.ResponseWriter, req *http.Request) (leave func(), err error) {
	if req.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return nil, refuse(http.StatusMethodNotAllowed, "profiles are sent by POST")
	}
	if !r.authorised(req) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="headroom"`)
		return nil, refuse(http.StatusUnauthorized, "the token is missing or wrong; hint: send it as Authorization: Bearer TOKEN, or as the password of basic authentication")
	}
	wait, err := r.gate()
	if err == nil && wait == 0 {
		if leave, ok := r.slot(req); ok {
			return leave, nil
		}
		wait = time.Second
	}
	if err != nil {
		return nil, err
	}
	defer r.working.Done()
	w.Header().Set("Retry-After", fmt.Sprint(math.Ceil(wait.Seconds())))
	r.warn("profiles were refused because too many came at once")
	return nil, refuse(http.StatusTooManyRequests, "too many requests: no more than %g a second, and %d at once", r.cfg.Limits.Rate, r.cfg.Limits.Concurrent)
}

// gate counts a request in while the drill runs. wait is positive if it comes
// above the rate.
func (r *Receiver) gate() (wait time.Duration, err error) {
	now := r.cfg.Clock.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.phase == phaseOver:
		return 0, refuse(http.StatusUnprocessableEntity, "the run is over; its profiles are no longer taken")
	case r.phase == phaseIdle:
		return 0, refuse(http.StatusUnprocessableEntity, "the run has not begun")
	case r.bytes >= r.cfg.Limits.Total:
		return 0, refuse(http.StatusTooManyRequests, "the run has %d bytes of profiles already, and keeps no more", r.bytes)
	}
	r.working.Add(1)
	wait, _ = r.flood.take(now)
	return wait, nil
}

// slot waits until the request may be read into memory.
func (r *Receiver) slot(req *http.Request) (leave func(), ok bool) {
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
		return func() { <-r.slots; r.working.Done() }, true
	case <-limit.C:
	case <-req.Context().Done():
	}
	return nil, false
}

// authorised compares in constant time.
func (r *Receiver) authorised(req *http.Request) bool {
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

// warn hands a warning on, the first time. Only who is counted in may call it.
func (r *Receiver) warn(text string) {
	const most = 50
	r.mu.Lock()
	known := r.warned[text] || len(r.warned) >= most
	r.warned[text] = true
	r.mu.Unlock()
	if known {
		return
	}
	r.keep.Lock()
	defer r.keep.Unlock()
	r.cfg.OnWarning(text)
}
