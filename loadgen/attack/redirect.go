package attack

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/headroom-project/headroom/scenarios"
)

// What is wrong with redirects that are to be followed; their class is protocol.
var (
	errHops     = errors.New("more redirects than the scenario follows")
	errLocation = errors.New("redirect leads nowhere")
)

// redirected returns the request that the answer to m asks for; nil if the answer
// is no redirect, or leads to another host and must not.
//
// The method and the body change as in browsers (WHATWG Fetch, 4.4): a 303 makes
// everything but HEAD a GET, a 301 and a 302 make a POST one, and a 307 and a 308
// change nothing.
func redirected(m *scenarios.Message, answer scenarios.Response, sameHost bool) (*scenarios.Message, error) {
	switch answer.Status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	default:
		return nil, nil
	}
	location := answer.Header("Location")
	if len(location) == 0 {
		return nil, nil
	}
	from, err := url.Parse(m.URL)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errLocation, err)
	}
	to, err := from.Parse(location[0])
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", errLocation, err)
	case to.Scheme != "http" && to.Scheme != "https" || to.Hostname() == "":
		return nil, fmt.Errorf("%w: %q", errLocation, location[0])
	case sameHost && !strings.EqualFold(to.Hostname(), from.Hostname()):
		return nil, nil
	}
	to.Fragment, to.User, to.RawQuery = "", nil, escapeQuery(to.RawQuery)
	next := &scenarios.Message{Name: m.Name, Method: m.Method, URL: to.String(), Body: m.Body}
	// A reference takes some hosts, such as 0::, that a whole URL must not have.
	if _, err := url.Parse(next.URL); err != nil {
		return nil, fmt.Errorf("%w: %w", errLocation, err)
	}
	if answer.Status == http.StatusSeeOther && m.Method != http.MethodHead ||
		answer.Status < http.StatusSeeOther && m.Method == http.MethodPost {
		next.Method, next.Body = http.MethodGet, nil
	}
	next.Header = slices.DeleteFunc(slices.Clone(m.Header), func(f scenarios.HeaderField) bool {
		return dropped(f.Name, next.Body == nil && m.Body != nil, from, to)
	})
	return next, nil
}

// escapeQuery escapes what must not stand in the first line of a request and what
// browsers escape besides (WHATWG URL, 4.1): url.Parse takes a query as it is.
func escapeQuery(q string) string {
	var out strings.Builder
	for i := range len(q) {
		if c := q[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`"<>`, c) >= 0 {
			fmt.Fprintf(&out, "%%%02X", c)
		} else {
			out.WriteByte(c)
		}
	}
	return out.String()
}

// dropped says whether a header is not sent to where a redirect leads: what
// describes a body that is gone, and what was meant for another host, or for TLS.
func dropped(name string, bodyGone bool, from, to *url.URL) bool {
	switch name = strings.ToLower(name); name {
	case "host":
		return !strings.EqualFold(from.Host, to.Host)
	case "authorization", "cookie", "proxy-authorization":
		return !strings.EqualFold(from.Hostname(), to.Hostname()) || from.Scheme == "https" && to.Scheme == "http"
	}
	return bodyGone && strings.HasPrefix(name, "content-")
}
