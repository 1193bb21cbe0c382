package scenarios

import (
	"encoding"
	"fmt"
	"maps"
	"net/textproto"
	"net/url"
	"slices"
	"strconv"
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
	s.checkTransport(c)
	if len(t.Requests) == 0 && (t.Requests != nil || c.given("target.requests")) {
		c.quote("target.requests", "", "target.requests is empty", "name a request, such as {name: home, get: /}, or remove the key to GET target.url")
	}
	if len(t.Flow) == 0 && (t.Flow != nil || c.given("target.flow")) {
		c.quote("target.flow", "", "target.flow is empty", "name a request, such as {name: login, post: /login}")
	}
	if len(t.Flow) > 0 && (len(t.Requests) > 0 || c.given("target.requests")) {
		c.quote("target.flow", "", "target has both requests and a flow", "keep one: a mix of requests, or what a user does in order")
	}
	c.requests(t.Requests, "target.requests", false)
	c.requests(t.Flow, "target.flow", true)
}

func indexed(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

// requests checks a list of requests, which in a flow capture values for those
// after them.
func (c *complaints) requests(list []Request, at string, flow bool) {
	first := map[string]int{}
	s := scope{flow: flow, captured: map[string]bool{}, later: map[string]string{}}
	for i := range list {
		for name := range list[i].Capture {
			if _, ok := s.later[name]; !ok {
				s.later[name] = list[i].Name
			}
		}
	}
	for i := range list {
		r, path := &list[i], indexed(at, i)
		if j, ok := first[r.Name]; ok && r.Name != "" {
			c.quoteIfNew(path+".name", r.Name, fmt.Sprintf("%s.name is that of request %d too", path, j), "figures are kept by name, so names must differ")
		} else {
			first[r.Name] = i
		}
		s.fed = r.Feed.File != ""
		r.check(c, path, s)
		for name := range r.Capture {
			s.captured[name] = true
		}
	}
}

// scope is what the templates of a request can use.
type scope struct {
	fed  bool // it has a feed
	flow bool
	// captured are the values of requests before it; later says, by value, which
	// request captures it.
	captured map[string]bool
	later    map[string]string
}

func isRequestNameRune(r rune) bool {
	return r > ' ' && r != 0x7f && !strings.ContainsRune(`<>"`, r) || r == ' '
}

func (r *Request) check(c *complaints, path string, s scope) {
	bad := strings.IndexFunc(r.Name, func(r rune) bool { return !isRequestNameRune(r) }) >= 0
	if r.Name == "" || len(r.Name) > maxName || bad || strings.TrimSpace(r.Name) != r.Name {
		c.quoteIfNew(path+".name", r.Name, path+`.name must have 1 to 64 bytes, without < > " and control characters`, "")
	} else if r.Name == "target" {
		c.add(path+".name", `a request cannot be named "target"`, "guards such as target.cpu > 95% mean the service")
	}
	if !s.flow {
		c.positive(path+".weight", r.Weight, 1e9)
	} else if r.Weight != 0 || c.given(path+".weight") {
		c.quoteIfNew(path+".weight", number(r.Weight), path+".weight cannot be: requests of a flow come in order", "remove it")
	}
	if r.Timeout != 0 || c.given(path+".timeout") {
		c.lasts(path+".timeout", r.Timeout)
	}
	c.form(path+".redirects", string(r.Redirects), new(Redirects))
	r.checkMethod(c, path, s)
	r.checkPairs(c, path, s)
	r.checkHeaders(c, path+".headers", s)
	r.checkBody(c, path, s)
	r.Check.compile(c, path+".check")
	if r.Head != "" && (r.Check.Body != "" || len(r.Check.JSON) > 0) {
		c.add(path+".check.body", path+".check.body cannot hold: HEAD has no body", "use get, or check the status")
	}
	r.checkCapture(c, path+".capture", s.flow)
}

// form complains about a text that its type does not read; "" is the default.
func (c *complaints) form(path, text string, into encoding.TextUnmarshaler) {
	if text == "" {
		return
	}
	if err := into.UnmarshalText([]byte(text)); err != nil {
		message, hint := parts(err)
		c.quoteIfNew(path, text, path+": "+message, hint)
	}
}

func (r *Request) checkBody(c *complaints, path string, s scope) {
	bodies := 0
	for _, set := range []bool{r.Body != "", r.BodyFile != "", len(r.Multipart) > 0} {
		if set {
			bodies++
		}
	}
	switch {
	case r.Body != "" && r.BodyFile != "":
		c.quote(path+".body_file", r.BodyFile, path+" has both body and body_file", "keep one")
	case bodies > 1:
		c.quote(path+".multipart", "", path+" has both a body and multipart", "keep one")
	}
	if r.Template && r.BodyFile == "" {
		c.quote(path+".template", "", path+".template is set, but there is no body_file", "a body is a template anyway")
	}
	c.template(path+".body", r.Body, s)
	r.checkMultipart(c, path+".multipart", s)
}

// checkPairs checks query and cookies.
func (r *Request) checkPairs(c *complaints, path string, s scope) {
	for _, name := range sortedKeys(r.Query) {
		at := path + ".query." + name
		if name == "" {
			c.quote(at, "", path+".query has a parameter without a name", "")
		}
		c.template(at, r.Query[name], s)
	}
	for _, name := range sortedKeys(r.Cookies) {
		at := path + ".cookies." + name
		switch {
		case !isToken(name):
			c.quote(at, name, "cookie's name holds what a name cannot hold", "letters, digits and -")
		case badCookieValue(r.Cookies[name]):
			c.quote(at, "", "value of cookie "+name+" holds a ; or control character", "percent-encode it, as the service that sets it does")
		default:
			c.template(at, r.Cookies[name], s)
		}
	}
	for name := range r.Headers {
		if strings.EqualFold(name, "Cookie") && len(r.Cookies) > 0 {
			c.quote(path+".cookies", "", path+" has both cookies and a header Cookie", "keep one")
		}
	}
}

func badCookieValue(v string) bool { return badHeaderValue(v) || strings.Contains(v, ";") }

func (r *Request) checkCapture(c *complaints, path string, flow bool) {
	if len(r.Capture) > 0 && !flow {
		c.quote(path, "", path+" has no use outside of a flow", "put the requests of one user, in order, under target.flow")
		return
	}
	for _, name := range sortedKeys(r.Capture) {
		at := path + "." + name
		if !isVariable(name) {
			c.quote(at, name, path+": name must be letters, digits and _, and not row", "it is used as {{ .name }}")
		}
		k, err := parseCapture(r.Capture[name])
		if err != nil {
			message, hint := parts(err)
			c.quote(at, r.Capture[name], at+" "+message, hint)
		} else if k.needsBody() && r.Head != "" {
			c.quote(at, r.Capture[name], at+" cannot be: HEAD has no body", "use get, or capture a header")
		}
	}
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

func (r *Request) checkMethod(c *complaints, path string, s scope) {
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
		if c.template(at, m.target, s) {
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

// template complains about a template that cannot be parsed, or that uses what
// is not there, and says whether it is sound.
func (c *complaints) template(path, text string, s scope) bool {
	t, err := parseTemplate(text)
	if err != nil {
		message, hint := parts(err)
		c.quote(path, c.safe(path, text), path+": "+message, hint)
		return false
	}
	if t.uses(actRow) && !s.fed {
		c.quote(path, c.safe(path, text), path+" uses a row, but the request has no feed", "add feed: file.csv")
		return false
	}
	for _, g := range t {
		if g.action == actVar && !s.captured[g.text] {
			c.quote(path, c.safe(path, text), path+" uses ."+g.text+", "+s.missing(g.text), s.hint(g.text))
			return false
		}
	}
	return true
}

// missing says why a value is not there.
func (s *scope) missing(name string) string {
	switch request := s.later[name]; {
	case !s.flow:
		return "but only requests of a flow have captured values"
	case request != "":
		return "which is captured only by the answer to " + strconv.Quote(request)
	}
	return "which no request captures"
}

func (s *scope) hint(name string) string {
	switch {
	case !s.flow:
		return "put the requests of one user, in order, under target.flow"
	case s.later[name] != "":
		return "use it in a later request"
	case len(s.captured) > 0:
		return suggest(name, slices.Sorted(maps.Keys(s.captured)))
	}
	return "add capture: {" + name + ": json " + name + "} to an earlier request"
}

// safe is the text unless it is a value that may be a secret by where it stands.
func (c *complaints) safe(path, text string) string {
	if path == "profiles.auth" {
		return ""
	}
	for _, in := range []string{".headers.", ".query.", ".cookies."} {
		if _, name, ok := strings.Cut(path, in); ok && (in == ".cookies." || isSecretName(name)) {
			return ""
		}
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

func (r *Request) checkHeaders(c *complaints, path string, s scope) {
	if len(r.Headers) > maxHeaders {
		c.quote(path, "", fmt.Sprintf("%s has more than %d headers", path, maxHeaders), "")
	}
	seen := map[string]string{}
	for _, name := range sortedKeys(r.Headers) {
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
			c.template(at, r.Headers[name], s)
		}
	}
}

// badHeaderValue finds what would end a header, or end it for some servers.
func badHeaderValue(v string) bool {
	return strings.IndexFunc(v, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) >= 0
}
