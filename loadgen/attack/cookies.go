package attack

import (
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"

	"github.com/headroom-project/headroom/scenarios"
)

// cookies are those that a target has set for one virtual user, or along the
// redirects of one hit. The zero value is empty; a nil one keeps none.
type cookies struct{ jar *cookiejar.Jar }

// take keeps the cookies of an answer to a request for u.
func (c *cookies) take(u string, answer scenarios.Response) {
	if c == nil || answer.Header == nil {
		return
	}
	lines := answer.Header("Set-Cookie")
	if len(lines) == 0 {
		return
	}
	from, err := url.Parse(u)
	if err != nil {
		return
	}
	if c.jar == nil {
		// Without options nothing can go wrong.
		c.jar, _ = cookiejar.New(nil)
	}
	var set []*http.Cookie
	for _, line := range lines {
		if k, err := http.ParseSetCookie(line); err == nil {
			set = append(set, k)
		}
	}
	c.jar.SetCookies(from, set)
}

// with returns m with the cookies that are meant for its URL. What the scenario
// says itself of a cookie stays.
func (c *cookies) with(m *scenarios.Message) *scenarios.Message {
	if c == nil || c.jar == nil {
		return m
	}
	to, err := url.Parse(m.URL)
	if err != nil {
		return m
	}
	kept := c.jar.Cookies(to)
	if len(kept) == 0 {
		return m
	}
	out := *m
	out.Header = make([]scenarios.HeaderField, 0, len(m.Header)+1)
	var pairs []string
	own := map[string]bool{}
	for _, f := range m.Header {
		if !strings.EqualFold(f.Name, "Cookie") {
			out.Header = append(out.Header, f)
			continue
		}
		pairs = append(pairs, f.Value)
		for pair := range strings.SplitSeq(f.Value, ";") {
			name, _, _ := strings.Cut(strings.TrimSpace(pair), "=")
			own[name] = true
		}
	}
	for _, k := range kept {
		if !own[k.Name] {
			pairs = append(pairs, k.Name+"="+k.Value)
		}
	}
	out.Header = append(out.Header, scenarios.HeaderField{Name: "Cookie", Value: strings.Join(pairs, "; ")})
	return &out
}
