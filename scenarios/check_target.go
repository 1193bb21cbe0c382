package scenarios

import (
	"fmt"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
)

// method is a method of a request and what it is sent to.
type method struct{ name, key, target string }

// methods lists those that are set.
func (r *Request) methods() []method {
	all := []method{
		{"GET", "get", r.Get}, {"POST", "post", r.Post}, {"PUT", "put", r.Put}, {"PATCH", "patch", r.Patch},
		{"DELETE", "delete", r.Delete}, {"HEAD", "head", r.Head}, {"OPTIONS", "options", r.Options},
	}
	return slices.DeleteFunc(all, func(m method) bool { return m.target == "" })
}

func (s *Scenario) checkTarget(c *complaints) {
	t := &s.Target
	u := c.url("target.url", t.URL)
	if u != nil && (u.RawQuery != "" || u.ForceQuery) {
		c.quote("target.url", "", "target.url has a query, but the requests have paths of their own", "move the query into the requests")
	}
	c.lasts("target.timeout", t.Timeout)
	if t.Connections < 0 || t.Connections > maxUsers {
		c.add("target.connections", "target.connections must be from 0, which is no bound, to 1000000", "")
	}
	if t.MaxBody <= 0 || t.MaxBody > 1<<40 {
		c.add("target.max_body", "target.max_body must be above 0B and at most 1TiB", "")
	}
	if len(t.Requests) == 0 && (t.Requests != nil || c.given("target.requests")) {
		c.quote("target.requests", "", "target.requests is empty", "name a request, such as {name: home, get: /}, or remove the key to GET target.url")
	}
	first := map[string]int{}
	for i := range t.Requests {
		r, path := &t.Requests[i], fmt.Sprintf("target.requests[%d]", i)
		if j, ok := first[r.Name]; ok && r.Name != "" {
			c.quoteIfNew(path+".name", r.Name, fmt.Sprintf("%s.name is that of request %d too", path, j), "figures are kept by name, so names must differ")
		} else {
			first[r.Name] = i
		}
		r.check(c, path)
	}
}

func isRequestNameRune(r rune) bool {
	return r > ' ' && r != 0x7f && !strings.ContainsRune(`<>"`, r) || r == ' '
}

func (r *Request) check(c *complaints, path string) {
	bad := strings.IndexFunc(r.Name, func(r rune) bool { return !isRequestNameRune(r) }) >= 0
	if r.Name == "" || len(r.Name) > maxName || bad || strings.TrimSpace(r.Name) != r.Name {
		c.quoteIfNew(path+".name", r.Name, path+`.name must have 1 to 64 bytes, without < > " and control characters`, "")
	} else if r.Name == "target" {
		c.add(path+".name", `a request cannot be named "target"`, "guards such as target.cpu > 95% mean the service")
	}
	c.positive(path+".weight", r.Weight, 1e9)
	r.checkMethod(c, path)
	r.checkHeaders(c, path+".headers")
	if r.Body != "" && r.BodyFile != "" {
		c.quote(path+".body_file", r.BodyFile, path+" has both body and body_file", "keep one")
	}
	c.template(path+".body", r.Body, r.Feed != "")
	if r.Check.Status != 0 || c.given(path+".check.status") {
		if r.Check.Status < 100 || r.Check.Status > 599 {
			c.add(path+".check.status", path+".check.status must be from 100 to 599", "")
		}
	}
	if r.Check.Body != "" || c.given(path+".check.body") {
		if _, err := parseBodyCheck(r.Check.Body); err != nil {
			message, hint := parts(err)
			c.quoteIfNew(path+".check.body", r.Check.Body, path+".check.body "+message, hint)
		}
		if r.Head != "" {
			c.add(path+".check.body", path+".check.body cannot hold: HEAD has no body", "use get, or check the status")
		}
	}
}

func (r *Request) checkMethod(c *complaints, path string) {
	methods := r.methods()
	var keys []string
	for _, k := range []string{"get", "post", "put", "patch", "delete", "head", "options"} {
		if at := path + "." + k; c.given(at) {
			keys = append(keys, k)
		}
	}
	switch {
	case len(methods) == 0 && len(keys) > 0:
		c.quote(path+"."+keys[0], "", path+"."+keys[0]+" is empty", "write a path such as /items")
	case len(methods) == 0 && !c.broken[path+".*"]:
		c.quote(path, r.Name, path+" has no method", "add one, such as get: /")
	case len(methods) > 1:
		c.quote(path+"."+methods[1].key, methods[1].target, path+" has more than one method: "+methods[0].key+", "+methods[1].key, "make them two requests")
	}
	for _, m := range methods {
		at := path + "." + m.key
		if c.template(at, m.target, r.Feed != "") {
			if err := checkRequestTarget(m.target); err != nil {
				message, hint := parts(err)
				c.quote(at, m.target, at+" "+message, hint)
			}
		}
	}
}

// checkRequestTarget accepts a path or an absolute URL whose host is written
// out: a host that a feed or the environment could change would be decided
// about only after the safety rules were read.
func checkRequestTarget(text string) error {
	if strings.Contains(text, "#") {
		return hinted("remove everything from the #, or write %23", "has a fragment, which is never sent")
	}
	if strings.HasPrefix(text, "/") && !strings.HasPrefix(text, "//") {
		return nil
	}
	scheme, rest, found := strings.Cut(text, "://")
	if !found || scheme != "http" && scheme != "https" {
		return hinted("begin it with / or http://", "is neither a path nor a URL")
	}
	host := rest
	if end := strings.IndexAny(rest, "/?"); end >= 0 {
		host = rest[:end]
	}
	if strings.Contains(host, "{{") || strings.Contains(host, "${") {
		return hinted("write the host out, so that it can be allowed or refused before the drill", "has a template in its host")
	}
	u, err := url.Parse(scheme + "://" + host)
	if err != nil || u.Hostname() == "" || !validPort(u.Port()) {
		return hinted("write it like http://127.0.0.1:8080/path", "has no valid host")
	}
	return nil
}

// template complains about a template that cannot be parsed, or that needs a
// feed when there is none, and says whether it is sound.
func (c *complaints) template(path, text string, fed bool) bool {
	t, err := parseTemplate(text)
	if err != nil {
		message, hint := parts(err)
		c.quote(path, c.safe(path, text), path+": "+message, hint)
		return false
	}
	if t.uses(actRow) && !fed {
		c.quote(path, c.safe(path, text), path+" uses a row, but the request has no feed", "add feed: file.csv")
		return false
	}
	return true
}

// safe is the text unless it is the value of a header that may be a secret.
func (c *complaints) safe(path, text string) string {
	if _, header, ok := strings.Cut(path, ".headers."); ok && isSecretName(header) {
		return ""
	}
	return text
}

// isToken accepts the names of HTTP headers (RFC 9110, 5.6.2).
func isToken(s string) bool {
	for i := range len(s) {
		if b := s[i]; b <= ' ' || b >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, b) >= 0 {
			return false
		}
	}
	return s != ""
}

func (r *Request) checkHeaders(c *complaints, path string) {
	if len(r.Headers) > maxHeaders {
		c.quote(path, "", fmt.Sprintf("%s has more than %d headers", path, maxHeaders), "")
	}
	seen := map[string]string{}
	for _, name := range r.headerNames() {
		at := path + "." + name
		canonical := textproto.CanonicalMIMEHeaderKey(name)
		other, twice := seen[canonical]
		seen[canonical] = name
		switch {
		case !isToken(name):
			c.quote(at, name, "header's name holds what a name cannot hold", "letters, digits and -")
		case twice:
			c.quote(at, name, "header is there twice, as "+other+" too", "")
		case slices.Contains([]string{"Content-Length", "Transfer-Encoding", "Connection", "Te", "Trailer", "Upgrade"}, canonical):
			c.quote(at, name, "header belongs to the connection and cannot be set", "remove it")
		case badHeaderValue(r.Headers[name]):
			c.quote(at, c.safe(at, r.Headers[name]), "value of header "+name+" holds a line break or control character", "")
		default:
			c.template(at, r.Headers[name], r.Feed != "")
		}
	}
}

// badHeaderValue finds what would end a header, or end it for some servers.
func badHeaderValue(v string) bool {
	return strings.IndexFunc(v, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) >= 0
}

// headerNames are sorted, so that everything made of them is the same each time.
func (r *Request) headerNames() []string {
	names := make([]string, 0, len(r.Headers))
	for name := range r.Headers {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
