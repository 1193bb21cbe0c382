package attack_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/headroom-project/headroom/loadgen/attack"
	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

// bench is an attack on a server, and what came of it.
type bench struct {
	at      time.Duration // when the first step began
	t       testing.TB
	attack  *attack.Attack
	sends   *scenarios.Requests
	now     func() time.Duration
	mu      sync.Mutex
	windows []*observation.Window
	idle    chan struct{}
}

// TestEngines is the conformance suite of the engines, over each way that they
// can take.
func TestEngines(t *testing.T) {
	// A hit waits for a connection only where one carries a hit at a time.
	http1 := func(r route) bool { return r.http1() }
	// What is seen at a raw socket, or kept by a proxy, is for itself.
	direct := func(r route) bool { return r.direct() }
	noLeaks(t)
	for _, r := range routes() {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel() // little load, much waiting
			for _, test := range []struct {
				name string
				run  func(*testing.T)
				fits func(route) bool
			}{
				{"EveryPlannedHitIsSentOnceAndBooked", testEveryPlannedHitIsSentOnceAndBooked, nil},
				{"ResponseTimeRunsFromThePlannedInstant", testResponseTimeRunsFromThePlannedInstant, http1},
				{"CutEndsAStepAndBooksTheRest", testCutEndsAStepAndBooksTheRest, nil},
				{"KillCancelsWhatIsInFlight", testKillCancelsWhatIsInFlight, nil},
				{"ClosedLoadHasOneRequestAUser", testClosedLoadHasOneRequestAUser, nil},
				{"WhoThinksHasNothingInFlight", testWhoThinksHasNothingInFlight, nil},
				{"ErrorClasses", testErrorClasses, direct},
				{"TheRequestIsSentAsWritten", testTheRequestIsSentAsWritten, direct},
				{"AConnectionThatWasClosedIsNotUsedAgain", testAConnectionThatWasClosedIsNotUsedAgain, direct},
				{"KillIsSilentAtTheTarget", testKillIsSilentAtTheTarget, direct},
				{"RawResults", testRawResults, direct},
				{"BaggageLabelsProfiles", testBaggageLabelsProfiles, nil},
				{"StepsAreContiguous", testStepsAreContiguous, direct},
				{"HoldBridgesTheTimeUntilTheNextStep", testHoldBridgesTheTimeUntilTheNextStep, direct},
				{"HoldEndsWithoutANextStep", testHoldEndsWithoutANextStep, direct},
				{"ACutEndsAHold", testACutEndsAHold, direct},
			} {
				if test.fits == nil || test.fits(r) {
					t.Run(test.name, test.run)
				}
			}
		})
	}
}

// noLeaks fails the test if a goroutine is left when everything has been closed.
func noLeaks(t *testing.T) { t.Cleanup(func() { goleak.VerifyNone(t) }) }

// newBench prepares an attack on a URL with a constant load.
func newBench(t testing.TB, url string, change func(*scenarios.Scenario, *attack.Config)) *bench {
	t.Helper()
	s, err := scenarios.ForURL(url, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.Load = scenarios.LoadSpec{Arrivals: scenarios.Constant, Seed: 1, Constant: &scenarios.ConstantLoad{Rate: 100, Duration: scenarios.Duration(time.Second)}}
	s.Target.Timeout = scenarios.Duration(2 * time.Second)
	began := time.Now()
	b := &bench{t: t, now: func() time.Duration { return time.Since(began) }, idle: make(chan struct{}, 1)}
	cfg := attack.Config{Worker: "w", MaxBody: 1 << 20, Now: b.now, Emit: b.emit}
	if cfg.Allow, err = attack.NewAllowList(nil); err != nil {
		t.Fatal(err)
	}
	routeOf(t).take(t, s, &cfg)
	if change != nil {
		change(s, &cfg)
	}
	plan, err := scenarios.Compile(s)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Slice = plan.Slice(0, 1)
	if cfg.Requests, err = scenarios.CompileRequests(s, scenarios.Inputs{Open: files}); err != nil {
		t.Fatal(err)
	}
	b.sends = cfg.Requests
	if b.attack, err = attack.New(cfg); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) emit(w *observation.Window) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.windows = append(b.windows, w)
}

// run offers the steps one after the other and returns their points and totals.
func (b *bench) run(ctx context.Context, steps ...scenarios.Step) *observation.Reducer {
	b.t.Helper()
	r := observation.NewReducer()
	at := b.now() + 10*time.Millisecond
	b.at = at
	for i, s := range steps {
		s.Index = i
		r.Begin(observation.StepRecord{Index: i, Kind: scenarios.KindLoad, From: s.From, To: s.To, Start: at, Lasts: s.Lasts, Users: s.Users})
		b.attack.Offer(s, at)
		at += s.Lasts
	}
	b.attack.Finish()
	err := b.attack.Run(ctx)
	if err != nil && ctx.Err() == nil {
		b.t.Fatal(err)
	}
	for _, w := range b.windows {
		r.Add(w)
	}
	return r
}

func constant(rps float64, lasts time.Duration) scenarios.Step {
	return scenarios.Step{Kind: scenarios.KindLoad, From: rps, To: rps, Lasts: lasts}
}

func counting(t testing.TB, h http.HandlerFunc) (*httptest.Server, *atomic.Uint64) {
	var n atomic.Uint64
	return start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.Add(1)
		h(w, r)
	})), &n
}

func ok(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }

func testEveryPlannedHitIsSentOnceAndBooked(t *testing.T) {
	srv, received := counting(t, ok)
	defer srv.Close()
	b := newBench(t, srv.URL, nil)
	slower := uint64(1) // handshakes through a proxy take most of a core under the race detector
	if raced {
		slower = 5
	}
	r := b.run(context.Background(), constant(500/float64(slower), 600*time.Millisecond), constant(300/float64(slower), 500*time.Millisecond))

	planned, sent, good, failed, dropped, classes := r.Totals()
	if want := (300 + 150) / slower; planned != want || sent != want || good != want || failed+dropped != 0 {
		t.Errorf("planned %d, sent %d, ok %d, failed %d (%v), dropped %d; want %d all ok", planned, sent, good, failed, classes, dropped, want)
	}
	if received.Load() != sent {
		t.Errorf("the target received %d, the windows say %d were sent", received.Load(), sent)
	}
	for i, want := range []uint64{300 / slower, 150 / slower} {
		p, err := r.Point(i)
		if err != nil {
			t.Fatal(err)
		}
		if p.OK != want {
			t.Errorf("step %d has %d hits, want %d", i, p.OK, want)
		}
	}
	last := b.windows[len(b.windows)-1]
	if !last.Idle || last.InFlight != 0 {
		t.Errorf("the last window says idle %v with %d in flight", last.Idle, last.InFlight)
	}
}

// A target that answers nothing for a while must show in the response times of
// all hits that came due meanwhile, even if few connections are there.
func testResponseTimeRunsFromThePlannedInstant(t *testing.T) {
	const stall = 400 * time.Millisecond
	var gate sync.RWMutex
	srv, _ := counting(t, func(w http.ResponseWriter, r *http.Request) {
		gate.RLock()
		defer gate.RUnlock()
		ok(w, r)
	})
	defer srv.Close()
	b := newBench(t, srv.URL, func(_ *scenarios.Scenario, cfg *attack.Config) { cfg.Connections = 4 })
	var wg sync.WaitGroup
	wg.Go(func() {
		gate.Lock()
		defer gate.Unlock()
		<-time.After(stall)
	})
	r := b.run(context.Background(), constant(500, time.Second))
	wg.Wait()
	p, err := r.Point(0)
	if err != nil {
		t.Fatal(err)
	}
	if p.OK != 500 || p.Dropped != 0 {
		t.Fatalf("%d ok, %d dropped, want all 500 ok", p.OK, p.Dropped)
	}
	// 40% of the hits came due in the stall and waited 200 ms on average.
	if p.Response.P90 < 250 {
		t.Errorf("response p90 = %.1f ms: the stall is hidden", p.Response.P90)
	}
	if p.SendLag.P90 < 200 {
		t.Errorf("send lag p90 = %.1f ms: waiting for one of 4 connections is hidden", p.SendLag.P90)
	}
	if p.Waited == 0 {
		t.Error("no hit is said to have waited for a connection")
	}
}

func testCutEndsAStepAndBooksTheRest(t *testing.T) {
	seen := make(chan struct{})
	var arrived atomic.Int64
	srv, received := counting(t, func(w http.ResponseWriter, r *http.Request) {
		if arrived.Add(1) == 50 {
			close(seen)
		}
		ok(w, r)
	})
	defer srv.Close()
	b := newBench(t, srv.URL, nil)
	var wg sync.WaitGroup
	wg.Go(func() {
		<-seen
		b.attack.Cut(0)
	})
	r := b.run(context.Background(), constant(200, time.Minute))
	wg.Wait()
	planned, sent, good, failed, dropped, _ := r.Totals()
	if planned < 50 || planned > 500 {
		t.Errorf("planned %d, want a little over 50", planned)
	}
	if planned != good+failed+dropped || sent != received.Load() {
		t.Errorf("planned %d != ok %d + failed %d + dropped %d, or sent %d != received %d", planned, good, failed, dropped, sent, received.Load())
	}
}

func testKillCancelsWhatIsInFlight(t *testing.T) {
	release := make(chan struct{})
	arrived := make(chan struct{}, 1000)
	srv, _ := counting(t, func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	defer srv.Close()
	defer close(release)
	b := newBench(t, srv.URL, nil)
	ctx, kill := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	var killed time.Time
	wg.Go(func() {
		for range 20 {
			<-arrived
		}
		killed = time.Now()
		kill()
	})
	r := b.run(ctx, constant(200, time.Minute))
	wg.Wait()
	if took := time.Since(killed); took > time.Second {
		t.Errorf("the kill took %v", took)
	}
	planned, _, good, failed, dropped, errors := r.Totals()
	if good != 0 || planned != failed+dropped || errors["cancelled"] != failed {
		t.Errorf("planned %d, ok %d, failed %d (%v), dropped %d", planned, good, failed, errors, dropped)
	}
}

// Users who think have asked for nothing: of eight whose answers come at once, hardly one is
// in flight when a second ends. Little's law would not hold of a count that has them all.
func testWhoThinksHasNothingInFlight(t *testing.T) {
	srv := start(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {}))
	defer srv.Close()
	const think = 300 * time.Millisecond
	b := newBench(t, srv.URL, func(s *scenarios.Scenario, cfg *attack.Config) {
		s.Load = scenarios.LoadSpec{Arrivals: scenarios.Poisson, Seed: 1, Closed: &scenarios.ClosedLoad{Users: 8, Think: scenarios.Duration(think), Duration: scenarios.Duration(2500 * time.Millisecond)}}
		cfg.Users = 8
	})
	r := b.run(context.Background(), scenarios.Step{Kind: scenarios.KindLoad, Users: 8, Think: think, Lasts: 2500 * time.Millisecond})
	p := r.Points()[0]
	if len(p.Flow) < 2 || p.OK < 16 {
		t.Fatalf("%d ended in %d seconds", p.OK, len(p.Flow))
	}
	for _, f := range p.Flow[:2] {
		if f.InFlight > 4 {
			t.Errorf("%d in flight after %.1f s, of 8 users of whom most think", f.InFlight, f.To)
		}
	}
}

func testClosedLoadHasOneRequestAUser(t *testing.T) {
	var now, most atomic.Int64
	srv, received := counting(t, func(w http.ResponseWriter, r *http.Request) {
		n := now.Add(1)
		defer now.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		<-time.After(5 * time.Millisecond)
		ok(w, r)
	})
	defer srv.Close()
	b := newBench(t, srv.URL, func(s *scenarios.Scenario, cfg *attack.Config) {
		s.Load = scenarios.LoadSpec{Arrivals: scenarios.Poisson, Seed: 1, Closed: &scenarios.ClosedLoad{Users: 8, Duration: scenarios.Duration(time.Second)}}
		cfg.Users = 8
	})
	r := b.run(context.Background(), scenarios.Step{Kind: scenarios.KindLoad, Users: 8, Lasts: time.Second})
	planned, sent, good, failed, dropped, _ := r.Totals()
	if most.Load() != 8 {
		t.Errorf("%d requests at a time, want 8", most.Load())
	}
	if planned != good || sent != received.Load() || failed+dropped != 0 || good < 300 {
		t.Errorf("planned %d, sent %d, received %d, ok %d, failed %d, dropped %d", planned, sent, received.Load(), good, failed, dropped)
	}
}

func testErrorClasses(t *testing.T) {
	cases := []struct {
		class   string
		sent    bool
		handler http.HandlerFunc
	}{
		{"status", true, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }},
		{"reset", true, func(w http.ResponseWriter, _ *http.Request) {
			c, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				_ = c.Close()
			}
		}},
		{"protocol", true, func(w http.ResponseWriter, _ *http.Request) {
			c, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				_, _ = io.WriteString(c, "I am no HTTP\r\n\r\n")
				_ = c.Close()
			}
		}},
		{"protocol", true, func(w http.ResponseWriter, r *http.Request) {
			chunk := make([]byte, 64<<10)
			for r.Context().Err() == nil {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		}},
		{"timeout", true, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }},
	}
	for _, c := range cases {
		t.Run(c.class, func(t *testing.T) {
			srv, received := counting(t, c.handler)
			defer srv.Close()
			b := newBench(t, srv.URL, func(s *scenarios.Scenario, _ *attack.Config) {
				s.Target.Timeout = scenarios.Duration(300 * time.Millisecond)
			})
			r := b.run(context.Background(), constant(20, time.Second))
			planned, sent, _, failed, _, errors := r.Totals()
			if failed != planned || errors[c.class] != planned || planned != 20 {
				t.Errorf("planned %d, failed %d, classes %v; want all %s", planned, failed, errors, c.class)
			}
			if c.sent && sent != received.Load() {
				t.Errorf("sent %d, received %d", sent, received.Load())
			}
		})
	}
	t.Run("dial", func(t *testing.T) {
		srv, _ := counting(t, ok)
		url := srv.URL
		srv.Close()
		b := newBench(t, url, nil)
		r := b.run(context.Background(), constant(20, time.Second))
		_, sent, _, failed, _, errors := r.Totals()
		if sent != 0 || failed != 20 || errors["dial"] != 20 {
			t.Errorf("sent %d, failed %d, classes %v; want none sent, all dial", sent, failed, errors)
		}
	})
	t.Run("blocked", func(t *testing.T) {
		b := newBench(t, "http://192.0.2.1:9/", nil)
		r := b.run(context.Background(), constant(20, time.Second))
		_, sent, _, _, _, errors := r.Totals()
		if sent != 0 || errors["blocked"] != 20 {
			t.Errorf("sent %d, classes %v; want all blocked", sent, errors)
		}
	})
}

// What is sent is what the scenario says, to the byte: no path is cleaned, no
// header invented but Host, User-Agent and Content-Length.
func testTheRequestIsSentAsWritten(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	seen := make(chan string, 1)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		b := make([]byte, 4096)
		n, _ := c.Read(b)
		seen <- string(b[:n])
		_, _ = io.WriteString(c, "HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n")
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
	})
	b := newBench(t, "http://"+ln.Addr().String(), func(s *scenarios.Scenario, _ *attack.Config) {
		s.Target.Requests = []scenarios.Request{{Name: "a", Weight: 1, Post: "/a%2Fb/../c//d?x=%20y&z=a+b", Body: "hi", Headers: map[string]string{"X-A": "b"}}}
	})
	r := b.run(context.Background(), constant(1, time.Second))
	want := "POST /a%2Fb/../c//d?x=%20y&z=a+b HTTP/1.1\r\nX-A: b\r\nHost: " + ln.Addr().String() +
		"\r\nUser-Agent: headroom\r\nContent-Length: 2\r\n\r\nhi"
	if got := <-seen; got != want {
		t.Errorf("sent %q, want %q", got, want)
	}
	if _, _, good, _, _, errors := r.Totals(); good != 1 {
		t.Errorf("%d ok (%v): interim answers are not the answer", good, errors)
	}
}

// A server may close a connection behind an answer without a word. Hits that are
// sent later must not run into it.
func testAConnectionThatWasClosedIsNotUsedAgain(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var received atomic.Uint64
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			b := make([]byte, 4096)
			if n, _ := c.Read(b); n > 0 {
				received.Add(1)
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			}
			_ = c.Close()
		}
	})
	b := newBench(t, "http://"+ln.Addr().String(), nil)
	r := b.run(context.Background(), constant(30, 2*time.Second))
	_ = ln.Close()
	wg.Wait()
	planned, sent, good, _, _, errors := r.Totals()
	if good != planned || sent != received.Load() {
		t.Errorf("planned %d, ok %d (%v), sent %d, received %d", planned, good, errors, sent, received.Load())
	}
}
