package importer

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"net/textproto"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/headroom-project/headroom/scenarios"
)

// Limits of what a scenario file holds of one source.
const (
	maxBody   = 64 << 10  // bytes of one body
	maxBodies = 512 << 10 // bytes of all bodies
	maxItems  = 20_000    // different requests, before the most frequent are chosen
)

// item is a request of a source. Its target is a template, relative to origin;
// texts in request are templates too.
type item struct {
	method string
	// origin is scheme://host, or empty if the source names none.
	origin  string
	target  string
	request scenarios.Request // all but method and name
	name    string            // "" is made from method and target
	count   float64
}

// draft is a scenario that is being made.
type draft struct {
	name    string
	opt     Options
	items   []*item
	known   map[string]*item // by what makes them the same
	notes   []string
	times   map[string]int // how often a note was made
	bodies  int
	over    float64 // hits of requests beyond maxItems
	strange bool    // keep requests to other origins
	// base is the path that the target's URL has besides its origin.
	base     string
	load     scenarios.LoadSpec
	capacity scenarios.Capacity
}

func newDraft(name string, opt Options) (*draft, error) {
	if opt.MaxRequests == 0 {
		opt.MaxRequests = DefaultRequests
	}
	if opt.MaxRequests < 1 || opt.MaxRequests > mostRequests {
		return nil, fmt.Errorf("at most %d requests are not from 1 to %d", opt.MaxRequests, mostRequests)
	}
	return &draft{name: name, opt: opt, known: map[string]*item{}, times: map[string]int{}, load: defaultLoad()}, nil
}

// note says something once, however often it is found.
func (d *draft) note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if d.times[text] == 0 {
		if len(d.notes) >= 200 {
			return
		}
		d.notes = append(d.notes, text)
	}
	d.times[text]++
}

// add takes an item, and counts it to the one that is the same.
func (d *draft) add(it *item) {
	if it.count == 0 {
		it.count = 1
	}
	key := fmt.Sprintf("%s %s%s %v", it.method, it.origin, it.target, it.request)
	if same := d.known[key]; same != nil {
		same.count += it.count
		return
	}
	if len(d.items) >= maxItems {
		d.over += it.count
		return
	}
	d.known[key] = it
	d.items = append(d.items, it)
}

// setMethod puts the target of a method; false if scenarios do not know it.
func setMethod(r *scenarios.Request, method, target string) bool {
	at := map[string]*string{"GET": &r.Get, "POST": &r.Post, "PUT": &r.Put, "PATCH": &r.Patch, "DELETE": &r.Delete, "HEAD": &r.Head, "OPTIONS": &r.Options}[method]
	if at == nil {
		return false
	}
	*at = target
	return true
}

// finish chooses the target and the most frequent requests, and validates.
func (d *draft) finish() (*scenarios.Scenario, []string, error) {
	origin := d.mainOrigin()
	s := &scenarios.Scenario{Version: 1, Name: baseName(d.name), Load: d.load, Capacity: d.capacity}
	s.Target.URL = d.targetURL(origin)
	kept := d.choose(origin)
	if len(kept) == 0 {
		return nil, nil, fmt.Errorf("source has no request that a scenario can send%s", d.why())
	}
	names := map[string]bool{}
	for _, it := range kept {
		r := it.request
		target := it.target
		if it.origin != "" && it.origin != origin {
			target = it.origin + target
			d.note("Requests to %s keep their host: a drill needs it in safety.allow, unless it is this machine.", it.origin)
		}
		setMethod(&r, it.method, target)
		r.Name = uniqueName(it, names)
		r.Weight = it.count
		s.Target.Requests = append(s.Target.Requests, r)
	}
	d.notAllowed(s.Target.URL)
	if err := s.Validate(); err != nil {
		return nil, nil, err
	}
	// What cannot be read back is no scenario file: it may be too large for one.
	text, err := s.YAML()
	if err == nil {
		_, err = scenarios.Load(s.Name+".yaml", text, scenarios.LoadOptions{})
	}
	if err != nil {
		return nil, nil, fmt.Errorf("what was imported makes no scenario file (hint: import fewer requests): %w", err)
	}
	return s, d.sentences(), nil
}

// why quotes the first note, for a source of which nothing is left.
func (d *draft) why() string {
	if len(d.notes) == 0 {
		return ""
	}
	return ": " + d.notes[0]
}

func (d *draft) sentences() []string {
	out := make([]string, len(d.notes))
	for i, n := range d.notes {
		if out[i] = n; d.times[n] > 1 {
			out[i] = fmt.Sprintf("%s (%d times)", n, d.times[n])
		}
	}
	return out
}

// mainOrigin is the origin of most hits.
func (d *draft) mainOrigin() string {
	hits := map[string]float64{}
	for _, it := range d.items {
		hits[it.origin] += it.count
	}
	best := ""
	for _, it := range d.items {
		if o := it.origin; o != "" && (best == "" || hits[o] > hits[best]) {
			best = o
		}
	}
	return best
}

func (d *draft) targetURL(origin string) string {
	switch {
	case d.opt.URL != "":
		return d.opt.URL
	case origin != "":
		return origin + d.base
	}
	d.note("The source names no host: the target is http://127.0.0.1:8080.")
	return "http://127.0.0.1:8080" + d.base
}

// notAllowed notes what a drill will ask for.
func (d *draft) notAllowed(target string) {
	u, err := url.Parse(target)
	if err != nil {
		return
	}
	addr, err := netip.ParseAddr(u.Hostname())
	if u.Hostname() == "localhost" || err == nil && addr.IsLoopback() {
		return
	}
	d.note("The target %s is not this machine: a drill needs it in safety.allow.", u.Hostname())
}

// choose keeps what can be sent to the target, the most frequent first.
func (d *draft) choose(origin string) []*item {
	var kept []*item
	var all, lost float64
	for _, it := range d.items {
		if it.origin != "" && it.origin != origin && !d.strange {
			d.note("Requests to %s are left out: the target is %s.", it.origin, origin)
			continue
		}
		all += it.count
		kept = append(kept, it)
	}
	slices.SortStableFunc(kept, func(a, b *item) int { return cmp.Compare(b.count, a.count) })
	if len(kept) > d.opt.MaxRequests {
		for _, it := range kept[d.opt.MaxRequests:] {
			lost += it.count
		}
		d.note("Of %d different requests the %d most frequent are kept; the others are %.1f%% of the hits.", len(kept), d.opt.MaxRequests, 100*(lost+d.over)/(all+d.over))
		kept = kept[:d.opt.MaxRequests]
	}
	return kept
}

// baseName is the name of a file without folder and extension, as a scenario
// can be named; Validate would refuse another.
func baseName(name string) string {
	name = filepath.Base(filepath.ToSlash(name))
	name = strings.TrimSuffix(name, filepath.Ext(name))
	name = strings.Map(func(r rune) rune {
		if r < 128 && (unicode.IsLetter(r) || unicode.IsDigit(r)) || r == '.' || r == '_' {
			return r
		}
		return '-'
	}, name)
	if name = strings.Trim(name[:min(len(name), 64)], "-._"); name == "" {
		return "imported"
	}
	return name
}

// uniqueName names a request by its method and path, and is different each time.
func uniqueName(it *item, taken map[string]bool) string {
	name := it.name
	if name == "" {
		path, _, _ := strings.Cut(it.target, "?")
		name = it.method + " " + path
	}
	name = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || strings.ContainsRune(`<>"`, r) {
			return '-'
		}
		return r
	}, strings.ToValidUTF8(name, "-"))
	base := strings.TrimSpace(cut(name, 64))
	if base == "" || base == "target" {
		base = "request"
	}
	name = base
	for n := 2; taken[name]; n++ {
		suffix := fmt.Sprintf(" %d", n)
		name = strings.TrimSpace(cut(base, 64-len(suffix))) + suffix
	}
	taken[name] = true
	return name
}

// cut shortens a text to at most n bytes, at the end of a character.
func cut(text string, n int) string {
	if len(text) <= n {
		return text
	}
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}

// header is a header of a source.
type header struct{ name, value string }

// headers puts headers into a request. Several of one name are joined, as RFC
// 9110, 5.3 says; credentials become references.
func (d *draft) headers(r *scenarios.Request, list []header) {
	spelt := map[string]string{}
	for _, h := range list {
		canonical := textproto.CanonicalMIMEHeaderKey(h.name)
		switch {
		case isConnection(canonical):
			continue
		case !isToken(h.name) || !isValue(h.value):
			d.note("Header %q cannot be sent and is left out.", cut(strings.ToValidUTF8(h.name, "?"), 40))
			continue
		}
		if r.Headers == nil {
			r.Headers = map[string]string{}
		}
		value := scenarios.Literal(h.value)
		if scenarios.IsSecretName(h.name) {
			value = d.secretHeader(h)
		}
		if first, twice := spelt[canonical]; twice {
			d.note("Header %s is there several times; its values are joined.", first)
			r.Headers[first] += ", " + value
			continue
		}
		if len(r.Headers) >= 100 {
			d.note("A request has more than 100 headers; the others are left out.")
			return
		}
		spelt[canonical] = h.name
		r.Headers[h.name] = value
	}
}

// isConnection names headers that the transport sets.
func isConnection(canonical string) bool {
	return slices.Contains([]string{"Content-Length", "Transfer-Encoding", "Connection", "Te", "Trailer", "Upgrade", "Keep-Alive", "Proxy-Connection", "X-Vegeta-Seq"}, canonical)
}

func isToken(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
	}) < 0
}

func isValue(s string) bool {
	return scenarios.CanHold(s) && strings.IndexFunc(s, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) < 0
}

// secretHeader keeps the scheme of an Authorization.
func (d *draft) secretHeader(h header) string {
	scheme, _, found := strings.Cut(h.value, " ")
	if found && slices.Contains([]string{"bearer", "basic", "digest", "token", "apikey"}, strings.ToLower(scheme)) {
		return scheme + " " + d.secret(h.name)
	}
	return d.secret(h.name)
}

// secret is a reference in place of a credential.
func (d *draft) secret(name string) string {
	variable := strings.Map(func(r rune) rune {
		if r < 128 && (unicode.IsLetter(r) || unicode.IsDigit(r)) {
			return unicode.ToUpper(r)
		}
		return '_'
	}, cut(name, 60))
	if variable == "" || unicode.IsDigit(rune(variable[0])) {
		variable = "V_" + variable
	}
	d.note("The credential %s is not carried over: export %s before the drill.", cut(strings.ToValidUTF8(name, "?"), 60), variable)
	return "${" + variable + "}"
}

// body puts a body that is text into a request.
func (d *draft) body(r *scenarios.Request, body string) {
	if d.fits(body) {
		r.Body = scenarios.Literal(body)
	}
}

// fits says whether a body can stand in the scenario, and counts it.
func (d *draft) fits(body string) bool {
	switch {
	case !scenarios.CanHold(body):
		d.note("A body that is no text is left out: put it into a file, and name that as body_file.")
		return false
	case len(body) > maxBody:
		d.note("A body of more than %s is left out: put it into a file, and name that as body_file.", scenarios.Size(maxBody))
		return false
	case d.bodies+len(body) > maxBodies:
		d.note("Bodies of more than %s together are left out: put them into files, and name those as body_file.", scenarios.Size(maxBodies))
		return false
	}
	d.bodies += len(body)
	return true
}

// split takes an absolute URL or a path apart: origin, and target as a template
// without its secrets.
func (d *draft) split(raw string) (origin, target string, ok bool) {
	u, err := url.Parse(raw)
	if err != nil || u.Opaque != "" || !scenarios.CanHold(raw) {
		return "", "", false
	}
	if u.Host != "" {
		if u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
			return "", "", false
		}
		if u.User != nil {
			d.note("The user and password in the URL of %s are not carried over: set the header Authorization.", u.Host)
		}
		origin = u.Scheme + "://" + withoutDefaultPort(u)
		if strings.ContainsAny(origin, "{$") {
			return "", "", false
		}
	} else if !strings.HasPrefix(u.Path, "/") {
		return "", "", false
	}
	path := u.EscapedPath()
	if path == "" {
		path = "/"
	}
	// A path that begins with // would be taken for a host.
	if strings.HasPrefix(path, "//") && origin == "" {
		return "", "", false
	}
	return origin, scenarios.Literal(path) + d.query(u.RawQuery), true
}

func withoutDefaultPort(u *url.URL) string {
	if port := u.Port(); port != "" && port != map[string]string{"http": "80", "https": "443"}[u.Scheme] {
		return net.JoinHostPort(u.Hostname(), port)
	}
	if strings.Contains(u.Hostname(), ":") {
		return "[" + u.Hostname() + "]"
	}
	return u.Hostname()
}

// query is a query as a template, with a ? before it.
func (d *draft) query(raw string) string {
	if raw == "" {
		return ""
	}
	pairs := strings.Split(raw, "&")
	for i, p := range pairs {
		key, value, _ := strings.Cut(p, "=")
		name, err := url.QueryUnescape(key)
		if err == nil && value != "" && scenarios.IsSecretName(name) {
			pairs[i] = scenarios.Literal(key) + "=" + d.secret(name)
		} else {
			pairs[i] = scenarios.Literal(p)
		}
	}
	return "?" + strings.Join(pairs, "&")
}
