package attack_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/headroom-project/headroom/loadgen/attack"
	"github.com/headroom-project/headroom/scenarios"
)

// shop knows which token and cookie it gave to whom.
type shop struct {
	mu     sync.Mutex
	users  map[string]string // token by cookie
	counts map[string]int    // requests by path
	now    map[string]int    // requests of a user at a time
	most   int
	wrong  []string
}

func newShop() *shop {
	return &shop{users: map[string]string{}, counts: map[string]int{}, now: map[string]int{}}
}

func (s *shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.counts[r.URL.Path]++
	n := len(s.users) + 1
	if r.URL.Path == "/login" {
		sid, token := fmt.Sprintf("s%d", n), fmt.Sprintf("t%d", n)
		s.users[sid] = token
		s.mu.Unlock()
		w.Header().Set("Set-Cookie", "sid="+sid+"; Path=/; HttpOnly")
		_ = json.NewEncoder(w).Encode(map[string]any{"auth": map[string]string{"token": token}})
		return
	}
	c, err := r.Cookie("sid")
	sid := ""
	if err == nil {
		sid = c.Value
	}
	if token := s.users[sid]; token == "" || r.Header.Get("Authorization") != "Bearer "+token {
		s.wrong = append(s.wrong, fmt.Sprintf("%s: cookie %q with %q", r.URL.Path, sid, r.Header.Get("Authorization")))
	}
	s.now[sid]++
	s.most = max(s.most, s.now[sid])
	s.mu.Unlock()
	<-time.After(5 * time.Millisecond)
	w.Header().Set("Location", "/orders/"+sid)
	s.mu.Lock()
	s.now[sid]--
	s.mu.Unlock()
	if strings.HasPrefix(r.URL.Path, "/fail") {
		w.WriteHeader(http.StatusInternalServerError)
	}
}

// buying is a flow of three that ends with a request to last.
func buying(last string) []scenarios.Request {
	auth := map[string]string{"Authorization": "Bearer {{ .token }}"}
	return []scenarios.Request{
		{Name: "login", Post: "/login", Body: `{"user": {{ seq }}}`, Capture: map[string]string{"token": "json auth.token"}},
		{Name: "order", Post: "/order", Headers: auth, Capture: map[string]string{"id": `header Location matches "/orders/(.*)"`}},
		{Name: "look", Get: last, Headers: auth},
	}
}

// flowing are the routes that flows are tried over: one of each kind that matters
// to them.
func flowing(r route) bool { return r.name == "vegeta" || r.name == "http2" || r.name == "proxy" }

// In an open load each arrival is a user who logs in and uses what came of it.
// Loads count requests, so that a third as many arrive.
func TestFlowInAnOpenLoad(t *testing.T) {
	overRoutesAtOnce(t, flowing, func(t *testing.T) {
		target := newShop()
		srv, received := counting(t, target.ServeHTTP)
		defer srv.Close()
		b := newBench(t, srv.URL, func(s *scenarios.Scenario, _ *attack.Config) {
			s.Target.Requests, s.Target.Flow = nil, buying("/orders/{{ .id }}")
		})
		r := b.run(context.Background(), constant(150, time.Second), constant(150, time.Second))
		planned, sent, good, failed, dropped, errors := r.Totals()
		if len(target.wrong) > 0 || target.counts["/login"] != 100 || target.most != 1 {
			t.Errorf("%d logins, %d requests of a user at a time, wrong: %v", target.counts["/login"], target.most, target.wrong)
		}
		// Only users who are on their way when a step ends do not go on.
		if planned < 290 || planned > 300 || planned != good || sent != planned || received.Load() != sent {
			t.Errorf("planned %d, sent %d, received %d, ok %d, failed %d (%v), dropped %d", planned, sent, received.Load(), good, failed, errors, dropped)
		}
		p, err := r.Point(0)
		if err != nil {
			t.Fatal(err)
		}
		if p.Offered != 150 || p.Requests["login"].OK != 50 || p.Requests["order"].OK == 0 || p.Requests["look"].OK == 0 {
			t.Errorf("offered %g, %+v", p.Offered, p.Requests)
		}
		// Each request is timed from when its user was ready for it, not from the
		// arrival: the last two do the same and take the same.
		order, look := p.Requests["order"].Response.P50, p.Requests["look"].Response.P50
		if look < 5 || look > 1.7*order {
			t.Errorf("the last request took %g ms, the one before it %g", look, order)
		}
	})
}

// A failed request ends the flow of its user; the others go on.
func TestFlowEndsWithAFailure(t *testing.T) {
	noLeaks(t)
	for class, change := range map[string]func([]scenarios.Request){
		"status": func(f []scenarios.Request) { f[1].Post = "/fail" },
		"check":  func(f []scenarios.Request) { f[1].Capture = map[string]string{"id": "json no.such"} },
	} {
		target := newShop()
		srv, received := counting(t, target.ServeHTTP)
		b := newBench(t, srv.URL, func(s *scenarios.Scenario, _ *attack.Config) {
			f := buying("/orders/{{ .id }}")
			change(f)
			s.Target.Requests, s.Target.Flow = nil, f
		})
		r := b.run(context.Background(), constant(90, time.Second))
		srv.Close()
		planned, sent, good, _, _, errors := r.Totals()
		if good != 30 || errors[class] < 29 || planned != good+errors[class] || sent != planned || received.Load() != sent {
			t.Errorf("%s: planned %d, sent %d, received %d, ok %d, %v", class, planned, sent, received.Load(), good, errors)
		}
	}
}

// In a closed load each user runs the flow again and again, thinks between its
// requests, and stops asking at the end of the step.
func TestFlowInAClosedLoad(t *testing.T) {
	overRoutesAtOnce(t, flowing, func(t *testing.T) {
		target := newShop()
		srv, received := counting(t, target.ServeHTTP)
		defer srv.Close()
		const think = 20 * time.Millisecond
		b := newBench(t, srv.URL, func(s *scenarios.Scenario, cfg *attack.Config) {
			s.Target.Requests, s.Target.Flow = nil, buying("/orders/{{ .id }}")
			s.Load = scenarios.LoadSpec{Arrivals: scenarios.Poisson, Seed: 1, Closed: &scenarios.ClosedLoad{Users: 6, Think: scenarios.Duration(think), Duration: scenarios.Duration(time.Second)}}
			cfg.Users = 6
		})
		r := b.run(context.Background(), scenarios.Step{Kind: scenarios.KindLoad, Users: 6, Think: think, Lasts: time.Second})
		planned, sent, good, failed, _, errors := r.Totals()
		if len(target.wrong) > 0 || target.most != 1 || planned != good || sent != planned || received.Load() != sent {
			t.Errorf("planned %d, sent %d, received %d, ok %d, failed %d (%v), wrong %v", planned, sent, received.Load(), good, failed, errors, target.wrong)
		}
		// Six users with at least 20 ms between two requests of one.
		if planned < 60 || planned > 6*50 {
			t.Errorf("%d requests of 6 users who think for 20 ms in 1 s", planned)
		}
	})
}

// A cut lets no user ask any more, not even those who think.
func TestCutEndsFlows(t *testing.T) {
	noLeaks(t)
	target := newShop()
	seen := make(chan struct{}, 1000)
	srv, received := counting(t, func(w http.ResponseWriter, r *http.Request) {
		target.ServeHTTP(w, r)
		seen <- struct{}{}
	})
	defer srv.Close()
	b := newBench(t, srv.URL, func(s *scenarios.Scenario, cfg *attack.Config) {
		s.Target.Requests, s.Target.Flow = nil, buying("/orders/{{ .id }}")
		s.Load = scenarios.LoadSpec{Arrivals: scenarios.Poisson, Seed: 1, Closed: &scenarios.ClosedLoad{Users: 5, Duration: scenarios.Duration(time.Minute)}}
		cfg.Users = 5
	})
	var wg sync.WaitGroup
	wg.Go(func() {
		for range 5 {
			<-seen
		}
		b.attack.Cut(0)
	})
	began := time.Now()
	r := b.run(context.Background(), scenarios.Step{Kind: scenarios.KindLoad, Users: 5, Think: 30 * time.Second, Lasts: time.Minute})
	wg.Wait()
	if planned, sent, good, _, _, _ := r.Totals(); planned != 5 || good != 5 || sent != received.Load() {
		t.Errorf("planned %d, ok %d, sent %d, received %d", planned, good, sent, received.Load())
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("users who think for 30 s held the end up for %v", took)
	}
}

// Raw results have the URLs that were asked for, with what users captured in them.
func TestRawResultsOfFlowsHaveTheirURLs(t *testing.T) {
	overRoutesAtOnce(t, flowing, func(t *testing.T) {
		var mu sync.Mutex
		asked := map[string]int{}
		target := newShop()
		srv, received := counting(t, func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			asked[r.Method+" "+r.URL.RequestURI()]++
			mu.Unlock()
			target.ServeHTTP(w, r)
		})
		defer srv.Close()
		var p planned
		b := newBench(t, srv.URL, func(s *scenarios.Scenario, cfg *attack.Config) {
			s.Target.Requests, s.Target.Flow = nil, buying("/orders/{{ .id }}?n={{ seq }}")
			p.keep(t)(s, cfg)
		})
		b.run(context.Background(), constant(150, time.Second))
		if err := p.raw.Close(); err != nil {
			t.Fatal(err)
		}
		_, seen := decodeRaw(t, &p.out)
		for _, res := range seen {
			what := res.Method + " " + strings.TrimPrefix(res.URL, srv.URL)
			if asked[what]--; asked[what] < 0 {
				t.Errorf("%s %q was not asked for", res.Method, res.URL)
			}
		}
		if n := uint64(len(seen)); n != received.Load() || len(asked) < 40 {
			t.Errorf("%d results, the target received %d of %d kinds", n, received.Load(), len(asked))
		}
	})
}
