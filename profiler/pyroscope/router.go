package pyroscope

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"
)

// RouterConfig says what a Router admits.
type RouterConfig struct {
	// Now is a monotonic clock. It must be given.
	Now func() time.Duration
	// Limits are those of Pyroscope servers by default.
	Limits Limits
	// Token is asked of senders, as a bearer token or as the password of basic
	// authentication; empty if none is.
	Token string
}

// Router is a server for profiles that agents push. It hands each to the run that
// its sender belongs to: mount it, and open a route for each run. Its methods may be
// called from any goroutine.
type Router struct {
	cfg RouterConfig
	// slots bounds how many requests are in memory, queue how many wait for that.
	slots, queue chan struct{}

	mu     sync.Mutex
	flood  bucket
	routes []*Route
}

// NewRouter returns a Router without routes. It fails without a clock.
func NewRouter(cfg RouterConfig) (*Router, error) {
	if cfg.Now == nil {
		return nil, errors.New("profile router: no clock given")
	}
	cfg.Limits = cfg.Limits.withDefaults()
	return &Router{
		cfg: cfg, slots: make(chan struct{}, cfg.Limits.Concurrent), queue: make(chan struct{}, maxQueue),
		flood: bucket{rate: cfg.Limits.Rate, burst: cfg.Limits.Burst},
	}, nil
}

// Match selects senders by the labels that they show. The zero value selects all.
type Match struct {
	// Service is the label service_name.
	Service string
	Labels  map[string]string
}

func (m Match) selects(labels map[string]string) bool {
	if m.Service != "" && labels[labelService] != m.Service {
		return false
	}
	for name, value := range m.Labels {
		if labels[name] != value {
			return false
		}
	}
	return true
}

// overlaps says that a sender might be selected by both.
func (m Match) overlaps(o Match) bool {
	if m.Service != "" && o.Service != "" && m.Service != o.Service {
		return false
	}
	for name, value := range m.Labels {
		if other, ok := o.Labels[name]; ok && other != value {
			return false
		}
	}
	return true
}

// Route leads the profiles of some senders to one run.
type Route struct {
	router *Router
	run    string
	match  Match
	to     *Receiver // nil until the run begins; the router's lock guards it
}

// ErrTaken says that another run takes the profiles of the same senders.
var ErrTaken = errors.New("another run takes these profiles")

// Open reserves the profiles of some senders for a run, whose name is for people.
// The error is ErrTaken, wrapped, if a profile might belong to two runs.
func (r *Router) Open(run string, m Match) (*Route, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, route := range r.routes {
		if route.match.overlaps(m) {
			return nil, fmt.Errorf("%w: run %s", ErrTaken, route.run)
		}
	}
	route := &Route{router: r, run: run, match: m}
	r.routes = append(slices.Clone(r.routes), route)
	return route, nil
}

// Deliver says that the run has begun, and who takes its profiles.
func (r *Route) Deliver(to *Receiver) {
	r.router.mu.Lock()
	defer r.router.mu.Unlock()
	r.to = to
}

// Close gives the senders free. It may be called again.
func (r *Route) Close() {
	r.router.mu.Lock()
	defer r.router.mu.Unlock()
	r.router.routes = slices.DeleteFunc(slices.Clone(r.router.routes), func(x *Route) bool { return x == r })
}

// delivery is a profile that a run will keep.
type delivery struct {
	to *Receiver
	received
}

// handle admits a request, reads it, and hands on what it brings for the runs that go
// on. One profile that cannot be used costs none of the others: agents do not send
// again what was refused for good. If there is no more room, nothing is taken.
func (r *Router) handle(w http.ResponseWriter, req *http.Request, read func() ([]upload, error)) error {
	open, leave, err := r.enter(w, req)
	if err != nil {
		return err
	}
	defer leave()
	list, err := read()
	if err != nil {
		return err
	}
	var good []delivery
	var refused error // the first of what is not
	for _, u := range list {
		x, err := r.examine(open, u)
		switch {
		case err != nil && statusOf(err) == http.StatusTooManyRequests:
			return err
		case err != nil:
			refused = cmp.Or(refused, err)
		case x.to != nil:
			good = append(good, x)
		}
	}
	if len(good) == 0 && refused == nil && len(list) > 0 {
		return refuse(http.StatusUnprocessableEntity, "no run takes the profiles of %q now; hint: profiles.receive of its scenario names the service and its labels", received{upload: list[0]}.who())
	}
	for _, x := range good {
		x.to.accept(x.received)
	}
	return refused
}

// examine finds the run that a profile is for, and checks it; there is none for that of
// a service that no run looks at.
func (r *Router) examine(open []Route, u upload) (x delivery, err error) {
	if u.bad != nil {
		return x, u.bad
	}
	k := slices.IndexFunc(open, func(x Route) bool { return x.match.selects(u.labels) })
	if k < 0 {
		return x, nil
	}
	x.received, err = open[k].to.examine(u, r.cfg.Limits)
	x.to = open[k].to
	return x, err
}

// ServeHTTP answers /ingest and push.v1.PusherService/Push, below whatever path
// http.StripPrefix mounts it at.
func (r *Router) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	switch req.URL.Path {
	case "/ingest":
		err := r.handle(w, req, func() ([]upload, error) {
			u, err := r.cfg.Limits.readIngest(w, req)
			return []upload{u}, err
		})
		if err != nil {
			http.Error(w, err.Error(), statusOf(err))
		}
	case pushPath:
		if err := r.handle(w, req, func() ([]upload, error) { return r.cfg.Limits.readPush(w, req) }); err != nil {
			connectError(w, err)
			return
		}
		connectEmpty(w, req)
	case "/healthz", "/ready":
		_, _ = fmt.Fprintln(w, "ready")
	default:
		http.Error(w, "this is Headroom's receiver of profiles: it takes POST /ingest and POST "+pushPath, http.StatusNotFound)
	}
}
