package attack_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http/httptest"
	"testing"

	"github.com/headroom-project/headroom/loadgen/attack"
	"github.com/headroom-project/headroom/scenarios"
)

// preflight connects to a target as the test's route would.
func preflight(t *testing.T, url string, change func(*scenarios.Scenario)) error {
	t.Helper()
	s, err := scenarios.ForURL(url, nil)
	if err != nil {
		t.Fatal(err)
	}
	routeOf(t).take(t, s, new(attack.Config))
	if change != nil {
		change(s)
	}
	r, err := scenarios.CompileRequests(s, scenarios.Inputs{Open: files})
	if err != nil {
		t.Fatal(err)
	}
	allow, err := attack.NewAllowList(nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = attack.Preflight(context.Background(), r, allow)
	return err
}

// A target that is there is found there, over each route, and asked nothing.
func TestPreflight(t *testing.T) {
	overRoutesAtOnce(t, func(r route) bool { return !r.proxied || r.secure }, func(t *testing.T) {
		srv, received := counting(t, ok)
		defer srv.Close()
		if err := preflight(t, srv.URL, nil); err != nil || received.Load() != 0 {
			t.Errorf("%v, %d requests", err, received.Load())
		}
	})
}

// What cannot be reached says why.
func TestPreflightFails(t *testing.T) {
	plain, secure := httptest.NewServer(nil), httptest.NewTLSServer(nil)
	defer plain.Close()
	defer secure.Close()
	noChange := func(*scenarios.Scenario) {}
	var dns *net.DNSError
	var cert *tls.CertificateVerificationError
	for _, c := range []struct {
		name, url string
		change    func(*scenarios.Scenario)
		is        func(error) bool
	}{
		{"blocked", "http://192.0.2.1/", noChange, func(err error) bool { return errors.Is(err, attack.ErrBlocked) }},
		{"no name", "http://nowhere.invalid/", noChange, func(err error) bool { return errors.As(err, &dns) }},
		{"unknown CA", secure.URL, noChange, func(err error) bool { return errors.As(err, &cert) }},
		{"no h2c", plain.URL, func(s *scenarios.Scenario) { s.Target.Protocol = scenarios.H2C },
			func(err error) bool { return errors.Is(err, attack.ErrNotHTTP2) }},
		{"no proxy", plain.URL, func(s *scenarios.Scenario) { s.Target.Proxy = "http://127.0.0.1:1" },
			func(err error) bool { return errors.Is(err, attack.ErrProxy) }},
	} {
		if err := preflight(t, c.url, c.change); err == nil || !c.is(err) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
