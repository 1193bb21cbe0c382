package attack_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/headroom-project/headroom/loadgen/attack"
	"github.com/headroom-project/headroom/scenarios"
)

// follows makes the scenario a single request that follows redirects.
func follows(redirects string, r scenarios.Request) func(*scenarios.Scenario, *attack.Config) {
	return func(s *scenarios.Scenario, _ *attack.Config) {
		r.Name, r.Weight, r.Redirects = "a", 1, scenarios.Redirects(redirects)
		s.Target.Requests = []scenarios.Request{r}
	}
}

// Sent and followed add up to what the target counted, and the time is that to
// the last answer; cookies that are set on the way are sent on.
func TestRedirectsAreFollowed(t *testing.T) {
	overRoutesAtOnce(t, func(r route) bool { return r.name != "loop" }, func(t *testing.T) {
		srv, received := counting(t, func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/start":
				w.Header().Set("Set-Cookie", "sid=s1; Path=/")
				w.Header().Set("Location", "next?x=1")
				w.WriteHeader(http.StatusFound)
			case "/next":
				<-time.After(20 * time.Millisecond)
				w.Header().Set("Location", "/end#part")
				w.WriteHeader(http.StatusTemporaryRedirect)
			case "/end":
				c, err := r.Cookie("sid")
				if err != nil || c.Value != "s1" || r.Header.Get("Authorization") != "Bearer x" || r.Method != http.MethodGet || r.ContentLength > 0 {
					t.Errorf("%s with %v and %v, %d bytes", r.Method, c, r.Header, r.ContentLength)
				}
				fmt.Fprint(w, "done")
			}
		})
		defer srv.Close()
		var p planned
		b := newBench(t, srv.URL, func(s *scenarios.Scenario, cfg *attack.Config) {
			follows("follow 5", scenarios.Request{Post: "/start", Body: "hello",
				Headers: map[string]string{"Authorization": "Bearer x", "Content-Type": "text/plain"}, Check: scenarios.Check{Body: `is "done"`}})(s, cfg)
			p.keep(t)(s, cfg)
		})
		r := b.run(context.Background(), constant(40, time.Second))
		planned, sent, good, _, _, errors := r.Totals()
		if planned != 40 || sent != 40 || good != 40 || r.Followed() != 80 || received.Load() != sent+r.Followed() {
			t.Errorf("planned %d, sent %d, ok %d (%v), followed %d, received %d", planned, sent, good, errors, r.Followed(), received.Load())
		}
		if p, err := r.Point(0); err != nil || p.Service.P50 < 20 {
			t.Errorf("service p50 = %g ms, %v: the time of the hops is missing", p.Service.P50, err)
		}
		if err := p.raw.Close(); err != nil {
			t.Fatal(err)
		}
		m, seen := decodeRaw(t, &p.out)
		if m.Requests != 40 || seen[0].URL != srv.URL+"/start" || seen[0].Method != http.MethodPost || seen[0].Code != http.StatusOK {
			t.Errorf("%d raw results, the first %+v; want 40 of what was asked for first", m.Requests, seen[0])
		}
	})
}

// Redirects that lead nowhere, in a circle, or to where nothing may be sent, are
// failures of named classes, with an exact count of what was sent.
func TestRedirectsThatFail(t *testing.T) {
	for _, c := range []struct {
		name, redirects, location string
		class                     string
		received                  uint64 // by hit
		ok                        bool
	}{
		{"loop", "follow 3", "/loop", "protocol", 4, false},
		{"no URL", "follow 3", "http://[", "protocol", 1, false},
		{"other scheme", "follow 3", "ftp://127.0.0.1/x", "protocol", 1, false},
		{"blocked", "follow 3", "http://192.0.2.1/", "blocked", 1, false},
		{"nothing there", "follow 3", "http://127.0.0.1:1/", "dial", 1, false},
		{"no such name", "follow 3", "http://nowhere.invalid/", "dns", 1, false},
		{"not followed", "no", "/loop", "", 1, true},
		{"no location", "follow 3", "", "", 1, true},
		{"other host", "follow 3 same host", "http://localhost:1/", "", 1, true},
	} {
		t.Run("vegeta/"+strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
			noLeaks(t)
			srv, received := counting(t, func(w http.ResponseWriter, _ *http.Request) {
				if c.location != "" {
					w.Header().Set("Location", c.location)
				}
				w.WriteHeader(http.StatusFound)
			})
			defer srv.Close()
			b := newBench(t, srv.URL, follows(c.redirects, scenarios.Request{Get: "/"}))
			r := b.run(context.Background(), constant(20, 500*time.Millisecond))
			planned, sent, good, _, _, errors := r.Totals()
			if c.ok && good != planned || !c.ok && errors[c.class] != planned {
				t.Errorf("planned %d, ok %d, %v; want all %q", planned, good, errors, c.class)
			}
			if planned != 10 || sent != 10 || received.Load() != sent*c.received || r.Followed() != sent*(c.received-1) {
				t.Errorf("planned %d, sent %d, followed %d, received %d", planned, sent, r.Followed(), received.Load())
			}
		})
	}
}

// A name that is allowed must not open the way to another one, nor credentials
// leave their host.
func TestRedirectsKeepSecrets(t *testing.T) {
	noLeaks(t)
	var mu sync.Mutex
	got := map[string]http.Header{}
	seen := func(w http.ResponseWriter, r *http.Request, to string) {
		mu.Lock()
		defer mu.Unlock()
		r.Header.Set("Host", r.Host)
		got[r.URL.Path] = r.Header.Clone()
		if to != "" {
			http.Redirect(w, r, to, http.StatusSeeOther)
		}
	}
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { seen(w, r, "") }))
	defer other.Close()
	// The same machine by another name is another host.
	elsewhere := strings.Replace(other.URL, "127.0.0.1", "localhost", 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen(w, r, map[string]string{"/start": "/same", "/same": elsewhere + "/away"}[r.URL.Path])
	}))
	defer srv.Close()
	b := newBench(t, srv.URL, follows("follow 3", scenarios.Request{Put: "/start", Body: "x", Cookies: map[string]string{"a": "b"},
		Headers: map[string]string{"Authorization": "Bearer x", "Host": "shop.example", "X-A": "b", "Content-Type": "text/x"}}))
	r := b.run(context.Background(), constant(1, time.Second))
	if _, _, good, _, _, errors := r.Totals(); good != 1 {
		t.Fatalf("%d ok (%v)", good, errors)
	}
	u, _ := url.Parse(elsewhere)
	for path, want := range map[string][5]string{
		"/start": {"Bearer x", "a=b", "shop.example", "b", "text/x"},
		"/same":  {"Bearer x", "a=b", "shop.example", "b", ""},
		"/away":  {"", "", u.Host, "b", ""},
	} {
		h := got[path]
		if have := [5]string{h.Get("Authorization"), h.Get("Cookie"), h.Get("Host"), h.Get("X-A"), h.Get("Content-Type")}; have != want {
			t.Errorf("%s got %q, want %q", path, have, want)
		}
	}
}

// The deadline is that of the hit, not of each hop.
func TestTimeoutCoversRedirects(t *testing.T) {
	noLeaks(t)
	srv, _ := counting(t, func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(120 * time.Millisecond):
		case <-r.Context().Done():
		}
		http.Redirect(w, r, "/", http.StatusFound)
	})
	defer srv.Close()
	b := newBench(t, srv.URL, func(s *scenarios.Scenario, cfg *attack.Config) {
		follows("follow 20", scenarios.Request{Get: "/"})(s, cfg)
		s.Target.Timeout = scenarios.Duration(300 * time.Millisecond)
	})
	r := b.run(context.Background(), constant(10, 500*time.Millisecond))
	if planned, _, _, _, _, errors := r.Totals(); errors["timeout"] != planned || planned == 0 {
		t.Errorf("planned %d, %v", planned, errors)
	}
}

// A redirect from the HTTP/2 target to plain HTTP is sent with HTTP/1.1.
func TestRedirectToTheOtherScheme(t *testing.T) {
	t.Run("http2", func(t *testing.T) {
		noLeaks(t)
		plain := httptest.NewServer(http.HandlerFunc(ok))
		defer plain.Close()
		srv, _ := counting(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, plain.URL, http.StatusFound) })
		defer srv.Close()
		b := newBench(t, srv.URL, follows("follow 1", scenarios.Request{Get: "/", Check: scenarios.Check{Body: `is "ok"`}}))
		r := b.run(context.Background(), constant(10, time.Second))
		if planned, _, good, _, _, errors := r.Totals(); good != planned || r.Followed() != planned {
			t.Errorf("planned %d, ok %d, followed %d, %v", planned, good, r.Followed(), errors)
		}
	})
}

// The allow-list holds for the proxy and for the target behind it, which is never
// asked by us.
func TestProxyKeepsToTheAllowList(t *testing.T) {
	for name, target := range map[string]string{"forward": "http://192.0.2.1/", "connect": "https://192.0.2.1/"} {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			asked := 0
			proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
			defer proxy.Close()
			b := newBench(t, target, func(s *scenarios.Scenario, _ *attack.Config) { s.Target.Proxy = proxy.URL })
			r := b.run(context.Background(), constant(10, time.Second))
			if planned, sent, _, _, _, errors := r.Totals(); errors["blocked"] != planned || sent != 0 || asked != 0 {
				t.Errorf("planned %d, sent %d, %v, the proxy was asked %d times", planned, sent, errors, asked)
			}
		})
	}
	t.Run("the proxy itself", func(t *testing.T) {
		noLeaks(t)
		b := newBench(t, "http://127.0.0.1:1/", func(s *scenarios.Scenario, _ *attack.Config) { s.Target.Proxy = "http://192.0.2.1:3128" })
		r := b.run(context.Background(), constant(10, time.Second))
		if planned, _, _, _, _, errors := r.Totals(); errors["blocked"] != planned {
			t.Errorf("planned %d, %v", planned, errors)
		}
	})
}

// What a proxy refuses is a failure to connect; nothing has reached the target.
func TestProxyThatRefuses(t *testing.T) {
	noLeaks(t)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
	defer proxy.Close()
	b := newBench(t, "https://127.0.0.1:1/", func(s *scenarios.Scenario, _ *attack.Config) { s.Target.Proxy = proxy.URL })
	r := b.run(context.Background(), constant(10, time.Second))
	if planned, sent, _, _, _, errors := r.Totals(); errors["dial"] != planned || sent != 0 {
		t.Errorf("planned %d, sent %d, %v", planned, sent, errors)
	}
}

// A proxy sees the whole URL as it was written, and its credentials; the target's
// own header is untouched.
func TestForwardedRequestIsSentAsWritten(t *testing.T) {
	noLeaks(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	seen := make(chan string, 1)
	var wg sync.WaitGroup
	wg.Go(func() {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		b := make([]byte, 4096)
		n, _ := c.Read(b)
		seen <- string(b[:n])
		fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	})
	defer wg.Wait()
	defer ln.Close()
	b := newBench(t, "http://127.0.0.1:1", func(s *scenarios.Scenario, _ *attack.Config) {
		s.Target.Proxy = "http://me:secret@" + ln.Addr().String()
		s.Target.Requests = []scenarios.Request{{Name: "a", Weight: 1, Get: "/a%2Fb/../c//d?x=%20y"}}
	})
	b.run(context.Background(), constant(1, time.Second))
	want := "GET http://127.0.0.1:1/a%2Fb/../c//d?x=%20y HTTP/1.1\r\nProxy-Authorization: Basic bWU6c2VjcmV0\r\n" +
		"Host: 127.0.0.1:1\r\nUser-Agent: headroom\r\n\r\n"
	if got := <-seen; got != want {
		t.Errorf("sent %q, want %q", got, want)
	}
}
