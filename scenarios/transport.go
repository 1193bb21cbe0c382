package scenarios

import (
	"crypto/tls"
	"crypto/x509"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Transport is how requests are sent, with files read: what a worker needs
// besides the messages. It does not change.
type Transport struct {
	// Protocol is HTTP1, HTTP2 (over TLS) or H2C.
	Protocol Protocol
	// Proxy is an HTTP proxy; nil for none. It may hold a password.
	Proxy *url.URL
	// TLS is a configuration to clone; its ServerName is empty.
	TLS *tls.Config
}

// Transport is how all requests are sent.
func (r *Requests) Transport() *Transport { return &r.transport }

// Timeout bounds request i, from sending to the last byte; redirects included.
func (r *Requests) Timeout(i int) time.Duration { return r.list[i].timeout }

// Redirects is how many redirects of request i are followed, and whether only
// those that stay on the host; 0 makes a redirect the answer. Each hop must pass
// the allow-list.
func (r *Requests) Redirects(i int) (hops int, sameHost bool) { return r.list[i].hops, r.list[i].stay }

// FollowsRedirects says whether any request does.
func (r *Requests) FollowsRedirects() bool {
	return slices.ContainsFunc(r.list, func(c compiled) bool { return c.hops > 0 })
}

const maxPEM = 1 << 20 // bytes of a file of certificates

func (b *builder) transport(t *Target) Transport {
	out := Transport{Protocol: t.Protocol, TLS: &tls.Config{MinVersion: tls.VersionTLS12}}
	if out.Protocol == "" {
		out.Protocol = HTTP1
	}
	if t.Proxy != "" {
		out.Proxy = b.url("target.proxy", t.Proxy)
	}
	if t.TLS == nil {
		return out
	}
	out.TLS.InsecureSkipVerify = t.TLS.Insecure
	if t.TLS.CA != "" {
		pem := b.pem(t.TLS.CA, "target.tls.ca")
		out.TLS.RootCAs = x509.NewCertPool()
		if pem != nil && !out.TLS.RootCAs.AppendCertsFromPEM(pem) {
			b.quote("target.tls.ca", t.TLS.CA, "target.tls.ca holds no certificate", "PEM begins with -----BEGIN CERTIFICATE-----")
		}
	}
	if t.TLS.Cert != "" && t.TLS.Key != "" {
		cert, key := b.pem(t.TLS.Cert, "target.tls.cert"), b.pem(t.TLS.Key, "target.tls.key")
		if cert == nil || key == nil {
			return out
		}
		pair, err := tls.X509KeyPair(cert, key)
		if err != nil {
			b.quote("target.tls.cert", t.TLS.Cert, "target.tls: "+strings.TrimPrefix(err.Error(), "tls: "), "cert and key must be PEM, and belong together")
		}
		out.TLS.Certificates = []tls.Certificate{pair}
	}
	return out
}

// pem reads a file of certificates or keys; nil if that fails.
func (b *builder) pem(name, path string) []byte {
	data, err := b.read(name, maxPEM)
	if err != nil {
		message, hint := parts(err)
		b.quote(path, name, path+": "+message, hint)
		return nil
	}
	return data
}

// checkTransport checks protocol, proxy and TLS.
func (s *Scenario) checkTransport(c *complaints) {
	t := &s.Target
	c.form("target.redirects", string(t.Redirects), new(Redirects))
	c.form("target.protocol", string(t.Protocol), new(Protocol))
	if t.Proxy != "" || c.given("target.proxy") {
		u := c.url("target.proxy", t.Proxy)
		switch {
		case u != nil && (u.Scheme != "http" || strings.Trim(u.Path, "/") != "" || u.RawQuery != ""):
			c.quote("target.proxy", "", "target.proxy must be http, without path and query", "write it like http://127.0.0.1:3128")
		case u != nil && t.Protocol == H2C:
			c.quote("target.protocol", "", "target.protocol h2c cannot go through a proxy", "use http1 or http2, or no proxy")
		}
	}
	if scheme := map[Protocol]string{HTTP2: "https", H2C: "http"}[t.Protocol]; scheme != "" {
		s.checkScheme(c, scheme)
	}
	if t.TLS == nil {
		return
	}
	if (t.TLS.Cert == "") != (t.TLS.Key == "") {
		c.quote("target.tls", "", "target.tls has one of cert and key", "a client's certificate needs both")
	}
	if t.TLS.CA != "" && t.TLS.Insecure {
		c.quote("target.tls.insecure", "", "target.tls has a ca, but insecure does not look at it", "keep one")
	}
}

// checkScheme complains about URLs that the protocol cannot be spoken to.
func (s *Scenario) checkScheme(c *complaints, scheme string) {
	wrong := func(path, raw string) {
		if got, _, found := strings.Cut(raw, "://"); found && got != scheme {
			c.quote(path, "", path+" must be "+scheme+" for protocol "+string(s.Target.Protocol), "http2 is spoken over TLS, h2c without it")
		}
	}
	wrong("target.url", s.Target.URL)
	list, at := s.Target.mix()
	for i := range list {
		for _, m := range list[i].methods() {
			wrong(indexed(at, i)+"."+m.key, m.target)
		}
	}
}
