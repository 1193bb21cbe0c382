package scenarios

import (
	"net/url"
	"slices"
	"strings"
)

// Plain reports whether every request goes over http, without TLS. Hosts cannot
// be templates, so that this is known before the first hit.
func (r *Requests) Plain() bool {
	return !slices.ContainsFunc(r.list, func(c compiled) bool {
		scheme, _ := c.origin()
		return scheme != "http"
	})
}

// Origins lists where requests go to, as scheme://host:port with the port written
// out, sorted.
func (r *Requests) Origins() []string {
	var all []string
	for i := range r.list {
		scheme, host := r.list[i].origin()
		all = append(all, scheme+"://"+hostPort(scheme, host))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Hosts lists the host:port pairs that requests may go to, the proxy's included,
// sorted, with the default ports written out: what must be allowed before the
// drill.
func (r *Requests) Hosts() []string {
	var hosts []string
	if p := r.transport.Proxy; p != nil {
		hosts = append(hosts, hostPort(p.Scheme, p.Host))
	}
	for i := range r.list {
		hosts = append(hosts, hostPort(r.list[i].origin()))
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}

// LargestBody is the size in bytes of the largest body that is the same each time.
func (r *Requests) LargestBody() int {
	largest := 0
	for i := range r.list {
		largest = max(largest, len(r.list[i].body.bytes))
	}
	return largest
}

// origin is the scheme and the host of the request's URL, which no template can
// change.
func (c *compiled) origin() (scheme, host string) {
	text := c.url.fixed
	if len(c.url.dynamic) > 0 {
		text = c.url.dynamic[0].text
	}
	scheme, rest, _ := strings.Cut(text, "://")
	host, _, _ = strings.Cut(strings.ReplaceAll(rest, "?", "/"), "/")
	return scheme, host
}

func hostPort(scheme, host string) string {
	u := url.URL{Host: host}
	if u.Port() == "" {
		host += map[string]string{"http": ":80", "https": ":443"}[scheme]
	}
	return host
}
