package attack

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/headroom-project/headroom/scenarios"
)

// What a target may say in a redirect leads to a URL that can be sent, without
// credentials of its own and without a line that ends, or to an error.
func FuzzRedirect(f *testing.F) {
	for _, location := range []string{"/a", "//b/c", "https://u:p@c:1/d?e#f", "a b", "http://[::1]/", "\r\nX: y", "%zz", "?", "? ", "/a?b c\xff<d>", "//0::", "", "http://", "mailto:x"} {
		f.Add(location, uint16(302))
	}
	f.Fuzz(func(t *testing.T, location string, status uint16) {
		m := &scenarios.Message{Method: "POST", URL: "http://a.example:8080/x/y?z=1", Body: []byte("b"),
			Header: []scenarios.HeaderField{{Name: "Authorization", Value: "s"}, {Name: "Content-Type", Value: "t"}}}
		next, err := redirected(m, scenarios.Response{Status: int(status), Header: http.Header{"Location": {location}}.Values}, false)
		if err != nil || next == nil {
			return
		}
		u, err := url.Parse(next.URL)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil {
			t.Fatalf("%q leads to %q: %v", location, next.URL, err)
		}
		head := appendHead(nil, next, u.Host, "/")
		if _, path := splitURL(next.URL); strings.ContainsAny(path, " \r\n\t\x00<>") || strings.IndexByte(path, 0xff) >= 0 || strings.ContainsAny(u.Host, " \r\n") {
			t.Fatalf("%q leads to %q", location, next.URL)
		}
		if u.Hostname() != "a.example" && strings.Contains(string(head), "Authorization") {
			t.Fatalf("%q takes the credentials along to %q", location, next.URL)
		}
	})
}

// Kept bodies share a budget, and give it back.
func TestKeptBodiesShareABudget(t *testing.T) {
	b := newBudget(1 << 20)
	head := []byte("HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\n")
	body := make([]byte, 900000)
	fill := func(r *response) error {
		r.budget = b
		r.reset(true, false, false, 1<<30)
		if _, _, err := r.feed(head); err != nil {
			return err
		}
		for rest := body; len(rest) > 0; rest = rest[min(len(rest), 16<<10):] {
			if _, _, err := r.feed(rest[:min(len(rest), 16<<10)]); err != nil {
				return err
			}
		}
		return nil
	}
	var first, second response
	if err := fill(&first); err != nil {
		t.Fatal(err)
	}
	if err := fill(&second); err == nil {
		t.Error("two bodies fit into a budget for one")
	}
	second.drop()
	first.drop()
	if left := b.left.Load(); left != 1<<20 {
		t.Errorf("%d bytes are left of %d", left, 1<<20)
	}
	if err := fill(&second); err != nil {
		t.Errorf("a body does not fit after the others were dropped: %v", err)
	}
}
