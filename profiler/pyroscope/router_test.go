package pyroscope

import (
	"encoding/base64"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// Several drills at once: each has the profiles of its own target, and a sender that
// belongs to none is told so.
func TestRouterLeadsToTheRightRun(t *testing.T) {
	shop, till := start(t, ReceiverConfig{}), start(t, ReceiverConfig{})
	router, err := NewRouter(RouterConfig{Now: shop.hand.clock().Now})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(router)
	defer srv.Close()
	for _, x := range []struct {
		b *inbox
		m Match
	}{{shop, Match{Service: "shop", Labels: map[string]string{"pod": "a"}}}, {till, Match{Service: "till"}}} {
		route, err := router.Open(x.m.Service, x.m)
		if err != nil {
			t.Fatal(err)
		}
		defer route.Close()
		route.Deliver(x.b.Receiver)
		x.b.BeginStep(t.Context(), 0, time.Minute)
		x.b.hand.set(5 * time.Second)
		x.b.srv.URL = srv.URL
	}
	push := func(services ...string) string {
		var series []string
		for _, s := range services {
			series = append(series, `{"labels":[{"name":"service_name","value":"`+s+`"}],"samples":[{"rawProfile":"`+base64.StdEncoding.EncodeToString(cpu(t, 1))+`"}]}`)
		}
		return `{"series":[` + strings.Join(series, ",") + `]}`
	}
	for _, c := range []struct {
		name       string
		send       func() (int, string)
		status     int
		text       string
		shop, till int
	}{
		{"to the one", func() (int, string) {
			return shop.ingest(t, "name=shop%7Bpod%3Da%7D", map[string][]byte{"profile": cpu(t, 1)})
		}, 200, "", 1, 0},
		{"of another pod", func() (int, string) {
			return shop.ingest(t, "name=shop%7Bpod%3Db%7D", map[string][]byte{"profile": cpu(t, 1)})
		}, 422, `no run takes the profiles of "shop on b"`, 1, 0},
		{"to the other", func() (int, string) {
			return shop.ingest(t, "name=till", map[string][]byte{"profile": cpu(t, 1)})
		}, 200, "", 1, 1},
		{"one push to both, and one to nobody", func() (int, string) {
			return shop.post(t, pushPath, "application/json", []byte(push("till", "bank")), nil)
		}, 200, "", 1, 2},
		{"a push to nobody", func() (int, string) {
			return shop.post(t, pushPath, "application/json", []byte(push("bank", "bank")), nil)
		}, 422, "bank", 1, 2},
		{"two in one push", func() (int, string) {
			return shop.post(t, pushPath, "application/json", []byte(push("till", "till")), nil)
		}, 200, "", 1, 4},
	} {
		status, text := c.send()
		if status != c.status || !strings.Contains(text, c.text) || len(shop.kept()) != c.shop || len(till.kept()) != c.till {
			t.Errorf("%s: status %d, %s; kept %d and %d", c.name, status, text, len(shop.kept()), len(till.kept()))
		}
	}
	till.stop()
	if status, text := shop.ingest(t, "name=till", map[string][]byte{"profile": cpu(t, 1)}); status != 422 || !strings.Contains(text, "no run takes") {
		t.Errorf("after one is over: status %d, %s", status, text)
	}
	shop.stop()
	if status, text := shop.ingest(t, "name=shop", map[string][]byte{"profile": cpu(t, 1)}); status != 422 || !strings.Contains(text, "no run takes profiles now") {
		t.Errorf("after both are over: status %d, %s", status, text)
	}
}

func TestRouterBeforeARun(t *testing.T) {
	b := start(t, ReceiverConfig{})
	router, err := NewRouter(RouterConfig{Now: b.hand.clock().Now})
	if err != nil {
		t.Fatal(err)
	}
	b.srv.Config.Handler = router
	send := func() string {
		status, text := b.ingest(t, "name=shop", map[string][]byte{"profile": cpu(t, 1)})
		if status != 422 {
			t.Errorf("status %d", status)
		}
		return text
	}
	if text := send(); !strings.Contains(text, "no run takes profiles now") {
		t.Error(text)
	}
	route, err := router.Open("r", Match{Service: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	if text := send(); !strings.Contains(text, "not begun") {
		t.Error(text)
	}
	for m, taken := range map[string]bool{"shop": true, "": true, "till": false} {
		other, err := router.Open("r2", Match{Service: m})
		if errors.Is(err, ErrTaken) != taken {
			t.Errorf("%q: %v", m, err)
		}
		if err == nil {
			other.Close()
		}
	}
	route.Close()
	route.Close()
	if _, err := router.Open("r2", Match{}); err != nil {
		t.Error(err)
	}
}

func TestMatchesThatOverlap(t *testing.T) {
	shop := Match{Service: "shop", Labels: map[string]string{"pod": "a"}}
	for _, c := range []struct {
		other Match
		want  bool
	}{
		{Match{}, true},
		{Match{Service: "shop"}, true},
		{Match{Service: "till"}, false},
		{Match{Labels: map[string]string{"pod": "b"}}, false},
		{Match{Service: "shop", Labels: map[string]string{"zone": "x"}}, true},
	} {
		if shop.overlaps(c.other) != c.want || c.other.overlaps(shop) != c.want {
			t.Errorf("%+v: want %v", c.other, c.want)
		}
	}
}
