package attack_test

import (
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/headroom-project/headroom/loadgen/attack"
	"github.com/headroom-project/headroom/loadgen/attack/attacktest"
	"github.com/headroom-project/headroom/scenarios"
)

// route is a way for hits to a target: an engine, and what it speaks.
type route struct {
	name, engine string
	secure       bool
	protocol     scenarios.Protocol
	proxied      bool
}

// routes are all ways that this system has. The conformance suite is run over
// each of them.
func routes() []route {
	all := []route{
		{name: "vegeta", engine: attack.EngineVegeta},
		{name: "tls", engine: attack.EngineVegeta, secure: true},
		{name: "http2", engine: attack.EngineVegeta, secure: true, protocol: scenarios.HTTP2},
		{name: "h2c", engine: attack.EngineVegeta, protocol: scenarios.H2C},
		{name: "proxy", engine: attack.EngineVegeta, proxied: true},
		{name: "tunnel", engine: attack.EngineVegeta, secure: true, proxied: true},
		{name: "tunnel-http2", engine: attack.EngineVegeta, secure: true, proxied: true, protocol: scenarios.HTTP2},
	}
	for _, e := range attack.Engines() {
		if e == attack.EngineLoop {
			all = append(all, route{name: "loop", engine: e})
		}
	}
	return all
}

func (r route) http1() bool  { return r.protocol == "" }
func (r route) direct() bool { return r.http1() && !r.proxied && !r.secure }

// routeOf is the route that a test is for: the second part of its name; else
// vegeta's.
func routeOf(t testing.TB) route {
	_, rest, _ := strings.Cut(t.Name(), "/")
	name, _, _ := strings.Cut(rest, "/")
	name, _, _ = strings.Cut(name, "#") // a route that is taken several times
	for _, r := range routes() {
		if r.name == name {
			return r
		}
	}
	return route{name: "vegeta", engine: attack.EngineVegeta}
}

// overRoutes runs a test over the routes that fit.
func overRoutes(t *testing.T, fits func(route) bool, run func(*testing.T)) {
	for _, r := range routes() {
		if fits == nil || fits(r) {
			t.Run(r.name, run)
		}
	}
}

// overRoutesAtOnce does so at once, which suits little load and much waiting. What is left
// behind is looked for when all have ended.
func overRoutesAtOnce(t *testing.T, fits func(route) bool, run func(*testing.T)) {
	noLeaks(t)
	overRoutes(t, fits, func(t *testing.T) {
		t.Parallel()
		run(t)
	})
}

// start starts a server that speaks what the test's route wants.
func start(t testing.TB, h http.Handler) *httptest.Server {
	t.Helper()
	r := routeOf(t)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if want := 1; r.http1() != (req.ProtoMajor == want) {
			t.Errorf("over %s, %s is spoken", r.name, req.Proto)
		}
		h.ServeHTTP(w, req)
	}))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	switch {
	case r.secure:
		srv.EnableHTTP2 = !r.http1()
		srv.StartTLS()
	default:
		srv.Config.Protocols = new(http.Protocols)
		srv.Config.Protocols.SetHTTP1(true)
		srv.Config.Protocols.SetUnencryptedHTTP2(true)
		srv.Start()
	}
	return srv
}

// testCA is the certificate of httptest's servers, in PEM.
var testCA = sync.OnceValue(func() string {
	srv := httptest.NewTLSServer(http.NotFoundHandler())
	defer srv.Close()
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}))
})

// files are what scenarios of these tests name.
func files(name string) (io.ReadCloser, error) {
	if name == "ca.pem" {
		return io.NopCloser(strings.NewReader(testCA())), nil
	}
	return os.Open(name)
}

// take makes the scenario take the route of the test, through a proxy of its own
// if it needs one.
func (r route) take(t testing.TB, s *scenarios.Scenario, cfg *attack.Config) {
	t.Helper()
	cfg.Engine = r.engine
	s.Target.Protocol = r.protocol
	if r.secure {
		s.Target.TLS = &scenarios.TLS{CA: "ca.pem"}
	}
	if r.proxied {
		p := attacktest.NewProxy()
		t.Cleanup(func() {
			if p.Forwarded.Load()+p.Tunnels.Load() == 0 {
				t.Errorf("nothing came through the proxy")
			}
			p.Close()
		})
		s.Target.Proxy = p.URL()
	}
}
