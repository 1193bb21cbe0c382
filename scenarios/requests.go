package scenarios

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Limits of the files of a scenario.
const (
	maxBodyFile = 16 << 20 // bytes
	maxFeedFile = 64 << 20 // bytes
	maxFeedRows = 2_000_000
)

// Inputs are what requests need from the world.
type Inputs struct {
	// Open opens a file that the scenario names; relative names are relative to
	// the scenario, which the caller resolves. CompileRequests closes it. nil
	// refuses all files.
	Open func(name string) (io.ReadCloser, error)
	// Env looks up a variable of the environment, as os.LookupEnv. nil knows none.
	Env func(name string) (string, bool)
	// Now is the clock of {{ now }}; nil is time.Now.
	Now func() time.Time
}

// Requests are the requests of a scenario, ready to be rendered. They hold
// secrets (the environment's values), do not change, and may be used from many
// goroutines.
type Requests struct {
	list []compiled
	seed uint64
	now  func() time.Time
}

// compiled is one request.
type compiled struct {
	name, method string
	url          rendering
	headers      []compiledHeader
	fixedHeaders []HeaderField // all headers, if none is dynamic
	body         rendering
	feed         *feed
	status       int
	check        *bodyCheck
}

type compiledHeader struct {
	name  string
	value rendering
}

// rendering is a template with everything filled in that does not change from
// hit to hit.
type rendering struct {
	// fixed is the whole text if no action is left, and bytes are the same.
	fixed   string
	bytes   []byte
	dynamic template // empty if fixed
}

// CompileRequests reads the files, fills in the environment and parses the
// templates of a scenario as Load returns it. The values that templates draw
// depend on s.Load.Seed and the hit. The error is a *Problems: a variable that
// is not set, a file that cannot be read or is too large, a feed with ragged rows.
func CompileRequests(s *Scenario, in Inputs) (*Requests, error) {
	if in.Open == nil {
		in.Open = func(name string) (io.ReadCloser, error) {
			return nil, fmt.Errorf("open %s: files are not available here", name)
		}
	}
	if in.Env == nil {
		in.Env = func(string) (string, bool) { return "", false }
	}
	if in.Now == nil {
		in.Now = time.Now
	}
	c := newComplaints("")
	b := builder{complaints: c, in: in, feeds: map[string]*feed{}}
	base := b.base(s.Target.URL)
	r := &Requests{seed: s.Load.Seed, now: in.Now}
	for i := range s.Target.Requests {
		b.slot = 0
		r.list = append(r.list, b.request(&s.Target.Requests[i], fmt.Sprintf("target.requests[%d]", i), base))
	}
	if len(r.list) == 0 {
		c.quote("target.requests", "", "target.requests is empty", "load the scenario with Load or Validate it, which fill in the defaults")
	}
	if err := problemsOf(c.list); err != nil {
		return nil, err
	}
	return r, nil
}

// Len is the number of requests.
func (r *Requests) Len() int { return len(r.list) }

// Hosts lists the host:port pairs that requests may go to, sorted, with the
// default ports written out: what must be allowed before the drill.
func (r *Requests) Hosts() []string {
	var hosts []string
	for i := range r.list {
		text := r.list[i].url.fixed
		if len(r.list[i].url.dynamic) > 0 {
			text = r.list[i].url.dynamic[0].text
		}
		scheme, rest, _ := strings.Cut(text, "://")
		host, _, _ := strings.Cut(strings.ReplaceAll(rest, "?", "/"), "/")
		u := url.URL{Host: host}
		if u.Port() == "" {
			host += map[string]string{"http": ":80", "https": ":443"}[scheme]
		}
		hosts = append(hosts, host)
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}

// builder compiles requests and collects what is wrong with them.
type builder struct {
	*complaints
	in    Inputs
	feeds map[string]*feed
	slot  uint64
}

// origin is what paths are put after, and the credentials that its URL holds.
type origin struct {
	prefix, authorization string
}

func (b *builder) base(raw string) origin {
	u := b.url("target.url", raw)
	if u == nil {
		return origin{}
	}
	o := origin{authorization: basic(u)}
	u.User = nil
	o.prefix = strings.TrimSuffix(u.String(), "/")
	return o
}

// basic is the Authorization that the user info of a URL stands for (RFC 7617).
func basic(u *url.URL) string {
	if u.User == nil {
		return ""
	}
	password, _ := u.User.Password()
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(u.User.Username()+":"+password))
}

func (b *builder) request(r *Request, path string, base origin) compiled {
	out := compiled{name: r.Name, status: r.Check.Status}
	methods := r.methods()
	if len(methods) != 1 {
		b.quote(path, r.Name, path+" must have one method", "such as get: /")
		return out
	}
	out.method = methods[0].name
	if r.Feed != "" {
		out.feed = b.feed(r.Feed, path+".feed")
	}
	at, target := path+"."+methods[0].key, methods[0].target
	if err := checkRequestTarget(target); err != nil {
		message, hint := parts(err)
		b.quote(at, target, at+" "+message, hint)
		return out
	}
	authorization := base.authorization
	if target[0] == '/' {
		target = base.prefix + target
	} else {
		target, authorization = withoutUser(target)
	}
	out.url = b.render(target, at, out.feed, asURL)
	b.headers(&out, r, path+".headers", authorization)
	out.body = b.body(r, path, out.feed)
	if r.Check.Body != "" {
		check, err := parseBodyCheck(r.Check.Body)
		if err != nil {
			message, hint := parts(err)
			b.quote(path+".check.body", r.Check.Body, path+".check.body "+message, hint)
		}
		out.check = check
	}
	return out
}

// withoutUser takes the user info out of an absolute URL, which may be a
// template after its host.
func withoutUser(target string) (string, string) {
	scheme, rest, _ := strings.Cut(target, "://")
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	u, err := url.Parse(scheme + "://" + rest[:end])
	if err != nil {
		return target, ""
	}
	authorization := basic(u)
	u.User = nil
	return u.String() + rest[end:], authorization
}

func (b *builder) headers(out *compiled, r *Request, path, authorization string) {
	fixed := true
	for _, name := range r.headerNames() {
		h := compiledHeader{name: name, value: b.render(r.Headers[name], path+"."+name, out.feed, asHeader)}
		if strings.EqualFold(name, "Authorization") {
			authorization = ""
		}
		fixed = fixed && len(h.value.dynamic) == 0
		out.headers = append(out.headers, h)
	}
	if authorization != "" {
		out.headers = append(out.headers, compiledHeader{name: "Authorization", value: rendering{fixed: authorization}})
	}
	if !fixed {
		return
	}
	for _, h := range out.headers {
		out.fixedHeaders = append(out.fixedHeaders, HeaderField{Name: h.name, Value: h.value.fixed})
	}
}

func (b *builder) body(r *Request, path string, f *feed) rendering {
	if r.BodyFile == "" {
		return b.render(r.Body, path+".body", f, asIs)
	}
	data, err := b.read(r.BodyFile, maxBodyFile)
	if err != nil {
		message, hint := parts(err)
		b.quote(path+".body_file", r.BodyFile, path+".body_file: "+message, hint)
	}
	return rendering{bytes: data, fixed: string(data)}
}

// read reads a file up to a limit.
func (b *builder) read(name string, limit int64) ([]byte, error) {
	f, err := b.in.Open(name)
	if err != nil {
		return nil, hinted("names are relative to the scenario's folder", "cannot read the file: %v", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("cannot read the file: %w", err)
	}
	if int64(len(data)) > limit {
		return nil, hinted("send less, or several smaller requests", "file is larger than %s, the limit", Size(limit))
	}
	return data, nil
}

// use is where a rendered text goes, which decides what it must not hold.
type use int

const (
	asIs use = iota
	asHeader
	asURL
)

// render compiles a template: the environment is filled in, columns are looked
// up, literals are joined.
func (b *builder) render(text, path string, f *feed, u use) rendering {
	t, err := parseTemplate(text)
	if err != nil {
		message, hint := parts(err)
		b.quote(path, b.safe(path, text), path+": "+message, hint)
		return rendering{}
	}
	var out template
	for _, s := range t {
		out = joinLiteral(out, b.resolve(s, path, f, u))
	}
	switch {
	case len(out) == 0:
		return rendering{}
	case len(out) == 1 && out[0].action == actLiteral:
		return rendering{fixed: out[0].text, bytes: []byte(out[0].text)}
	}
	return rendering{dynamic: out}
}

func joinLiteral(t template, s segment) template {
	if last := len(t) - 1; last >= 0 && s.action == actLiteral && t[last].action == actLiteral {
		t[last].text += s.text
		return t
	}
	return append(t, s)
}

func (b *builder) resolve(s segment, path string, f *feed, u use) segment {
	switch s.action {
	case actEnv:
		value, ok := b.in.Env(s.text)
		if !ok {
			b.quote(path, "${"+s.text+"}", path+" needs a variable that is not set", "export "+s.text+"=... before the drill")
		}
		s = segment{text: value}
	case actRow:
		s.column = b.column(s.text, path, f, u)
	case actPick:
		for _, choice := range s.choices {
			if u == asHeader && badHeaderValue(choice) {
				b.quote(path, "", path+": a choice holds a line break or control character", "")
			}
		}
	}
	if u == asHeader && badHeaderValue(s.text) && (s.action == actLiteral || s.action == actNow) {
		b.quote(path, "", path+": the value, filled in, holds a line break or control character", "")
	}
	if u == asURL && s.action == actLiteral {
		s.text = string(appendURL(nil, s.text))
	}
	b.slot++
	s.slot = b.slot
	return s
}

// column finds a column of the feed, whose values must fit their use.
func (b *builder) column(name, path string, f *feed, u use) int {
	if f == nil {
		if !b.brokenFeed(path) {
			b.quote(path, name, path+" uses a row, but the request has no feed", "add feed: file.csv")
		}
		return 0
	}
	column := slices.Index(f.columns, name)
	if column < 0 {
		b.quote(path, name, path+" uses a column that "+f.name+" does not have", suggest(name, f.columns))
		return 0
	}
	for i := 0; u == asHeader && i < f.rows(); i++ {
		if badHeaderValue(f.row(i)[column]) {
			b.quote(path, "", fmt.Sprintf("%s: data row %d of %s holds a line break or control character in column %s", path, i+1, f.name, name), "")
			break
		}
	}
	return column
}

func (b *builder) brokenFeed(path string) bool {
	request, _, _ := strings.Cut(path, "]")
	return b.broken[request+"].feed"]
}
