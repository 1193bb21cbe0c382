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
	list      []compiled
	seed      uint64
	now       func() time.Time
	transport Transport
	flow      bool
	variables int    // how many names are captured
	run       string // the run's id, for the header Baggage
}

// compiled is one request.
type compiled struct {
	name, method string
	url          rendering
	headers      []compiledHeader
	fixedHeaders []HeaderField // all headers, if none is dynamic
	body         rendering
	feed         *feed
	reuse        bool // of the feed's rows
	checks       checks
	captures     []capture
	timeout      time.Duration
	hops         int  // redirects to follow
	stay         bool // on the host
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
// is not set, a file that cannot be read or is too large, a feed with ragged
// rows or too few of them, a certificate that is none.
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
	b := builder{complaints: c, in: in, feeds: map[string]*feed{}, variables: map[string]int{}}
	if s.Profiles.Baggage {
		b.baggage = baggage(s.Name)
	}
	base := b.base(s.Target.URL)
	r := &Requests{seed: s.Load.Seed, now: in.Now, flow: len(s.Target.Flow) > 0, transport: b.transport(&s.Target)}
	list, at := s.Target.mix()
	for i := range list {
		b.slot = 0
		r.list = append(r.list, b.request(&list[i], indexed(at, i), base, &s.Target))
	}
	if len(r.list) == 0 {
		c.quote("target.requests", "", "target.requests is empty", "load the scenario with Load or Validate it, which fill in the defaults")
	}
	r.variables = len(b.variables)
	b.enoughRows(s, r, at)
	if err := problemsOf(c.list); err != nil {
		return nil, err
	}
	return r, nil
}

// enoughRows complains about feeds that must not reuse rows and have fewer than
// a fixed load has hits.
func (b *builder) enoughRows(s *Scenario, r *Requests, at string) {
	var hits uint64
	planned := false
	for i := range r.list {
		if r.list[i].feed == nil || r.list[i].reuse {
			continue
		}
		if !planned {
			p, err := CompileWith(s, b.in)
			if err != nil {
				return // which Compile says
			}
			for _, step := range p.Steps {
				hits += p.Count(step)
			}
			planned = true
		}
		if rows := r.list[i].feed.rows(); uint64(rows) < hits {
			path := indexed(at, i) + ".feed"
			b.quote(path, r.list[i].feed.name, fmt.Sprintf("%s has %d rows, but %d hits are planned and reuse is false", path, rows, hits), "add rows, offer less, or set reuse: true")
		}
	}
}

// Len is the number of requests.
func (r *Requests) Len() int { return len(r.list) }

// builder compiles requests and collects what is wrong with them.
type builder struct {
	*complaints
	in    Inputs
	feeds map[string]*feed
	slot  uint64
	// variables are the slots of the names that have been captured so far.
	variables map[string]int
	baggage   template // of the header Baggage, nil for none
}

// quoteErr complains about an error.
func (c *complaints) quoteErr(path, text, prefix string, err error) {
	message, hint := parts(err)
	c.quote(path, text, prefix+message, hint)
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

func (b *builder) request(r *Request, path string, base origin, t *Target) compiled {
	out := compiled{name: r.Name, timeout: time.Duration(r.Timeout), hops: r.Redirects.Hops(), stay: r.Redirects.SameHost()}
	if r.Timeout == 0 {
		out.timeout = time.Duration(t.Timeout)
	}
	if r.Redirects == "" {
		out.hops, out.stay = t.Redirects.Hops(), t.Redirects.SameHost()
	}
	methods := r.methods()
	if len(methods) != 1 {
		b.quote(path, r.Name, path+" must have one method", "such as get: /")
		return out
	}
	out.method = methods[0].name
	if r.Feed.File != "" {
		out.feed, out.reuse = b.feed(r.Feed.File, path+".feed"), r.Feed.reuses()
	}
	at, target := path+"."+methods[0].key, methods[0].target
	if err := checkRequestTarget(target); err != nil {
		b.quoteErr(at, target, at+" ", err)
		return out
	}
	authorization := base.authorization
	if target[0] == '/' {
		target = base.prefix + target
	} else {
		target, authorization = withoutUser(target)
	}
	out.url = b.address(r, target, path, at, out.feed)
	var contentType string
	out.body, contentType = b.body(r, path, out.feed)
	b.headers(&out, r, path, authorization, contentType)
	out.checks = r.Check.compile(b.complaints, path+".check")
	b.captures(&out, r, path+".capture")
	return out
}

// address compiles the URL and its query.
func (b *builder) address(r *Request, target, path, at string, f *feed) rendering {
	t := b.segments(target, at, f, asURL)
	separator := "?"
	if strings.Contains(target, "?") {
		separator = "&"
	}
	for _, name := range sortedKeys(r.Query) {
		t = joinLiteral(t, segment{text: separator + string(appendQuery(nil, name)) + "="})
		for _, s := range b.segments(r.Query[name], path+".query."+name, f, asQuery) {
			t = joinLiteral(t, s)
		}
		separator = "&"
	}
	return settle(t)
}

func (b *builder) captures(out *compiled, r *Request, path string) {
	for _, name := range sortedKeys(r.Capture) {
		c, err := parseCapture(r.Capture[name])
		if err != nil {
			b.quoteErr(path+"."+name, r.Capture[name], path+"."+name+" ", err)
			continue
		}
		slot, known := b.variables[name]
		if !known {
			slot = len(b.variables)
			b.variables[name] = slot
		}
		c.name, c.slot = name, slot
		out.captures = append(out.captures, c)
	}
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

func (b *builder) headers(out *compiled, r *Request, path, authorization, contentType string) {
	add := func(name string, value rendering) {
		out.headers = append(out.headers, compiledHeader{name: name, value: value})
	}
	for _, name := range sortedKeys(r.Headers) {
		add(name, settle(b.segments(r.Headers[name], path+".headers."+name, out.feed, asHeader)))
		if strings.EqualFold(name, "Authorization") {
			authorization = ""
		}
	}
	var cookies template
	for i, name := range sortedKeys(r.Cookies) {
		if i > 0 {
			cookies = joinLiteral(cookies, segment{text: "; "})
		}
		cookies = joinLiteral(cookies, segment{text: name + "="})
		for _, s := range b.segments(r.Cookies[name], path+".cookies."+name, out.feed, asCookie) {
			cookies = joinLiteral(cookies, s)
		}
	}
	if cookies != nil {
		add("Cookie", settle(cookies))
	}
	if contentType != "" {
		add("Content-Type", rendering{fixed: contentType})
	}
	if authorization != "" {
		add("Authorization", rendering{fixed: authorization})
	}
	if b.baggage != nil && !slices.ContainsFunc(out.headers, func(h compiledHeader) bool { return strings.EqualFold(h.name, "Baggage") }) {
		add("Baggage", rendering{dynamic: b.baggage})
	}
	for _, h := range out.headers {
		if len(h.value.dynamic) > 0 {
			out.fixedHeaders = nil
			return
		}
		out.fixedHeaders = append(out.fixedHeaders, HeaderField{Name: h.name, Value: h.value.fixed})
	}
}

const maxTemplateFile = 1 << 20 // bytes

// body compiles a body, and the content type that a form has.
func (b *builder) body(r *Request, path string, f *feed) (rendering, string) {
	switch {
	case len(r.Multipart) > 0:
		return b.multipart(r, path+".multipart", f)
	case r.BodyFile == "":
		return settle(b.segments(r.Body, path+".body", f, asIs)), ""
	}
	path += ".body_file"
	limit := int64(maxBodyFile)
	if r.Template {
		limit = maxTemplateFile
	}
	data, err := b.read(r.BodyFile, limit)
	if err != nil {
		b.quoteErr(path, r.BodyFile, path+": ", err)
		return rendering{}, ""
	}
	if !r.Template {
		return rendering{bytes: data, fixed: string(data)}, ""
	}
	return settle(b.segments(string(data), path, f, asIs)), ""
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
	asCookie
	asURL
	asQuery
)

// refuses says whether a value cannot stand there, and cannot be escaped.
func (u use) refuses(value string) bool {
	return u == asHeader && badHeaderValue(value) || u == asCookie && badCookieValue(value)
}

func (u use) why() string {
	if u == asCookie {
		return "a ; or control character"
	}
	return "a line break or control character"
}

// segments compiles a template: the environment is filled in, columns are looked
// up, literals are joined.
func (b *builder) segments(text, path string, f *feed, u use) template {
	t, err := parseTemplate(text)
	if err != nil {
		b.quoteErr(path, b.safe(path, text), path+": ", err)
		return nil
	}
	var out template
	for _, s := range t {
		out = joinLiteral(out, b.resolve(s, path, f, u))
	}
	return out
}

// settle is what a compiled template renders to.
func settle(t template) rendering {
	switch {
	case len(t) == 0:
		return rendering{}
	case len(t) == 1 && t[0].action == actLiteral:
		return rendering{fixed: t[0].text, bytes: []byte(t[0].text)}
	}
	return rendering{dynamic: t}
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
	case actVar:
		slot, known := b.variables[s.text]
		if !known {
			b.quote(path, s.text, path+" uses a value that no earlier request of a flow captures", "")
		}
		s.column = slot
	case actPick:
		for _, choice := range s.choices {
			if u.refuses(choice) {
				b.quote(path, "", path+": a choice holds "+u.why(), "")
			}
		}
	}
	if u.refuses(s.text) && (s.action == actLiteral || s.action == actNow) {
		b.quote(path, "", path+": the value, filled in, holds "+u.why(), "")
	}
	if s.action == actLiteral {
		s.text = string(appendFor(nil, s.text, u))
	}
	b.slot++
	s.slot, s.use = b.slot, u
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
	for i := 0; (u == asHeader || u == asCookie) && i < f.rows(); i++ {
		if u.refuses(f.row(i)[column]) {
			b.quote(path, "", fmt.Sprintf("%s: data row %d of %s holds %s in column %s", path, i+1, f.name, u.why(), name), "")
			break
		}
	}
	return column
}

func (b *builder) brokenFeed(path string) bool {
	request, _, _ := strings.Cut(path, "]")
	return b.broken[request+"].feed"]
}
