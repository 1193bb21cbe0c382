package importer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/headroom-project/headroom/scenarios"
)

// document is an OpenAPI document as a tree of maps, lists and scalars.
type document struct {
	d    *draft
	root map[string]any
}

// openAPI makes a request of each operation: parameters and bodies from
// examples, defaults and enumerations, or else from their schemas.
func openAPI(d *draft, r io.Reader) error {
	root, err := readDocument(r)
	if err != nil {
		return err
	}
	o := &document{d: d, root: root}
	switch version := text(root["openapi"]); {
	case root["swagger"] != nil:
		return errors.New("document is OpenAPI 2, which is not read (hint: convert it to OpenAPI 3)")
	case !strings.HasPrefix(version, "3."):
		return fmt.Errorf("document is not OpenAPI 3: its openapi is %q", cut(version, 20))
	}
	origin := o.server()
	paths := asMap(root["paths"])
	for _, path := range keys(paths) {
		if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") {
			continue // an extension
		}
		entry := o.follow(paths[path])
		for _, method := range []string{"get", "head", "options", "post", "put", "patch", "delete"} {
			if op := asMap(entry[method]); op != nil {
				o.operation(origin, path, strings.ToUpper(method), entry, op)
			}
		}
		if entry["trace"] != nil {
			d.note("Operations with the method TRACE are left out: scenarios do not know it.")
		}
	}
	d.note("All requests have the same weight: an OpenAPI document knows no frequencies.")
	return nil
}

// readDocument reads YAML or JSON. The YAML reader refuses aliases that blow up.
func readDocument(r io.Reader) (map[string]any, error) {
	src, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	if len(src) > MaxOpenAPI {
		return nil, errors.New("too large to be parsed") // Import says the limit
	}
	src = bytes.TrimPrefix(src, []byte("\ufeff"))
	var root map[string]any
	if bytes.HasPrefix(bytes.TrimSpace(src), []byte("{")) {
		dec := json.NewDecoder(bytes.NewReader(src))
		dec.UseNumber()
		if err := dec.Decode(&root); err == nil {
			return root, nil
		}
	}
	if err := yaml.Unmarshal(src, &root); err != nil {
		return nil, fmt.Errorf("document is neither JSON nor YAML with keys that are texts: %w", err)
	}
	if root == nil {
		return nil, errors.New("document is empty")
	}
	return root, nil
}

func asMap(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}

func asList(v any) []any {
	l, _ := v.([]any)
	return l
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

func keys(m map[string]any) []string {
	names := make([]string, 0, len(m))
	for k := range m {
		names = append(names, k)
	}
	slices.Sort(names)
	return names
}

const maxRefs = 20 // references one after the other

// follow is a value with its $ref, if it is one, followed inside the document.
func (o *document) follow(v any) map[string]any {
	m := asMap(v)
	for range maxRefs {
		ref, isRef := m["$ref"].(string)
		if !isRef {
			return m
		}
		pointer, local := strings.CutPrefix(ref, "#/")
		if !local {
			o.d.note("References to other documents are not followed: %s.", cut(strings.ToValidUTF8(ref, "?"), 60))
			return nil
		}
		var at any = o.root
		for _, key := range strings.Split(pointer, "/") {
			key = strings.NewReplacer("~1", "/", "~0", "~").Replace(key)
			if unescaped, err := url.PathUnescape(key); err == nil {
				key = unescaped
			}
			at = asMap(at)[key]
		}
		m = asMap(at)
	}
	o.d.note("A reference that leads to itself is not followed.")
	return nil
}

var placeholder = regexp.MustCompile(`\{([^{}]+)\}`)

// server is the origin of the first server; its path becomes the target's.
func (o *document) server() string {
	first := asMap(nil)
	if servers := asList(o.root["servers"]); len(servers) > 0 {
		first = asMap(servers[0])
		if len(servers) > 1 {
			o.d.note("Of %d servers the first is taken.", len(servers))
		}
	}
	raw := placeholder.ReplaceAllStringFunc(text(first["url"]), func(m string) string {
		return scalar(asMap(asMap(first["variables"])[m[1:len(m)-1]])["default"])
	})
	u, err := url.Parse(raw)
	if raw == "" || err != nil || u.Host != "" && u.Scheme != "http" && u.Scheme != "https" || strings.ContainsAny(raw, "{$") || !scenarios.CanHold(raw) {
		return ""
	}
	if path := u.EscapedPath(); strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "//") {
		o.d.base = strings.TrimSuffix(path, "/")
	}
	if o.d.opt.URL != "" && o.d.base != "" {
		if given, err := url.Parse(o.d.opt.URL); err == nil && strings.Trim(given.Path, "/") == "" {
			o.d.opt.URL = strings.TrimSuffix(o.d.opt.URL, "/") + o.d.base
		}
	}
	if u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + withoutDefaultPort(u)
}

// operation adds the request of one operation.
func (o *document) operation(origin, path, method string, entry, op map[string]any) {
	if op["deprecated"] == true {
		o.d.note("Operations that are deprecated are left out.")
		return
	}
	it := &item{method: method, origin: origin, name: method + " " + path}
	p := parameters{o: o, request: &it.request, inPath: map[string]string{}, seen: map[string]bool{}}
	// What the operation says comes before what its path says.
	for _, raw := range append(slices.Clone(asList(op["parameters"])), asList(entry["parameters"])...) {
		p.add(o.follow(raw))
	}
	it.target = p.fill(path)
	if !scenarios.CanHold(path) {
		return
	}
	o.security(&it.request, op, method+" "+path)
	o.requestBody(&it.request, o.follow(op["requestBody"]))
	it.request.Check.Status = statuses(asMap(op["responses"]))
	o.d.add(it)
}

// statuses are those of success that an operation may answer with; none if it
// does not say, or if all of them pass anyway.
func statuses(responses map[string]any) scenarios.Statuses {
	var out scenarios.Statuses
	for _, code := range keys(responses) {
		if class, found := strings.CutSuffix(strings.ToUpper(code), "XX"); found && (class == "2" || class == "3") {
			n, _ := strconv.Atoi(class)
			out = append(out, scenarios.StatusRange{From: n * 100, To: n*100 + 99})
		} else if n, err := strconv.Atoi(code); err == nil && n >= 200 && n < 400 {
			out = append(out, scenarios.StatusRange{From: n, To: n})
		}
	}
	return out
}

// parameters fills the parameters of an operation in.
type parameters struct {
	o       *document
	request *scenarios.Request
	inPath  map[string]string
	seen    map[string]bool
}

func (p *parameters) add(m map[string]any) {
	name, in := text(m["name"]), text(m["in"])
	if name == "" || p.seen[in+" "+name] || !scenarios.CanHold(name) {
		return
	}
	p.seen[in+" "+name] = true
	value, known := p.o.parameter(m)
	if m["required"] != true && !known && in != "path" {
		p.o.d.note("Optional parameters without an example are left out.")
		return
	}
	// Any cookie may be a session.
	if scenarios.IsSecretName(name) && in != "path" || in == "cookie" {
		value = p.o.d.secret(name)
	}
	switch in {
	case "path":
		p.inPath[name] = value
	case "query":
		put(&p.request.Query, name, value)
	case "header":
		ignored := slices.ContainsFunc([]string{"Accept", "Content-Type", "Authorization"}, func(s string) bool { return strings.EqualFold(s, name) })
		if isToken(name) && !isConnection(name) && isValue(value) && !ignored {
			put(&p.request.Headers, name, value)
		}
	case "cookie":
		if isToken(name) && isValue(value) && !strings.Contains(value, ";") {
			put(&p.request.Cookies, name, value)
		}
	}
}

func put(m *map[string]string, name, value string) {
	if *m == nil {
		*m = map[string]string{}
	}
	if len(*m) < 100 {
		(*m)[name] = value
	}
}

// pathLiteral escapes what would begin a fragment, a query or a template.
var pathLiteral = strings.NewReplacer("#", "%23", "?", "%3F", "{", "%7B", "}", "%7D", "$", "%24")

// fill puts the values of parameters into a path.
func (p *parameters) fill(path string) string {
	out, rest := "", path
	for {
		m := placeholder.FindStringSubmatchIndex(rest)
		if m == nil {
			return out + pathLiteral.Replace(rest)
		}
		out += pathLiteral.Replace(rest[:m[0]])
		name := rest[m[2]:m[3]]
		value, known := p.inPath[name]
		if !known {
			p.o.d.note("A path has parameters that are not described; they are numbers from 1 to 1000.")
			value = "{{ int 1 1000 }}"
		}
		if !strings.Contains(value, "{{") {
			value = url.PathEscape(value)
		}
		out += strings.ReplaceAll(value, "#", "%23")
		rest = rest[m[1]:]
	}
}

// parameter is the value of a parameter as a template, and whether the document
// says it.
func (o *document) parameter(m map[string]any) (value string, known bool) {
	if v, ok := o.exampleOf(m); ok {
		return o.flat(v), true
	}
	schema := o.follow(m["schema"])
	if schema == nil {
		for _, kind := range keys(asMap(m["content"])) {
			schema = o.follow(asMap(asMap(m["content"])[kind])["schema"])
		}
	}
	_, known = o.said(schema)
	return o.flat(o.sample(schema, 0)), known
}

// flat is a value as it stands in a URL: lists with commas.
func (o *document) flat(v any) string {
	switch v := v.(type) {
	case generated:
		return string(v)
	case []any:
		var items []string
		for _, x := range v {
			items = append(items, o.flat(x))
		}
		return strings.Join(items, ",")
	case map[string]any:
		o.d.note("Parameters that are objects are sent as JSON.")
		return writeJSON(v)
	}
	return scenarios.Literal(scalar(v))
}

// exampleOf is the example of a parameter or a media type.
func (o *document) exampleOf(m map[string]any) (any, bool) {
	if v, ok := m["example"]; ok {
		return v, true
	}
	examples := asMap(m["examples"])
	for _, name := range keys(examples) {
		if v, ok := o.follow(examples[name])["value"]; ok {
			return v, true
		}
	}
	return nil, false
}

// security adds what the first way to authenticate needs, as references.
func (o *document) security(r *scenarios.Request, op map[string]any, name string) {
	ways, own := op["security"]
	if !own {
		ways = o.root["security"]
	}
	list := asList(ways)
	if len(list) == 0 {
		return
	}
	schemes := asMap(asMap(o.root["components"])["securitySchemes"])
	for _, scheme := range keys(asMap(list[0])) {
		s := o.follow(schemes[scheme])
		kind, header := text(s["type"]), text(s["name"])
		switch {
		case kind == "http" && strings.EqualFold(text(s["scheme"]), "basic"):
			put(&r.Headers, "Authorization", "Basic "+o.d.secret("BASIC"))
		case kind == "http", kind == "oauth2", kind == "openIdConnect":
			put(&r.Headers, "Authorization", "Bearer "+o.d.secret("TOKEN"))
		case kind == "apiKey" && text(s["in"]) == "query" && header != "" && scenarios.CanHold(header):
			put(&r.Query, header, o.d.secret(header))
		case kind == "apiKey" && text(s["in"]) == "cookie" && isToken(header):
			put(&r.Cookies, header, o.d.secret(header))
		case kind == "apiKey" && isToken(header) && !isConnection(header):
			put(&r.Headers, header, o.d.secret(header))
		default:
			o.d.note("The security scheme of %s is not known and is left out.", cut(strings.ToValidUTF8(name, "?"), 60))
		}
	}
}

// requestBody makes a body of the first form that can be written.
func (o *document) requestBody(r *scenarios.Request, m map[string]any) {
	content := asMap(m["content"])
	kinds := keys(content)
	rank := func(kind string) int {
		kind, _, _ = strings.Cut(strings.ToLower(kind), ";")
		switch {
		case kind == "application/json":
			return 0
		case strings.HasSuffix(kind, "json"):
			return 1
		case isForm(kind):
			return 2
		case kind == "multipart/form-data":
			return 3
		case strings.HasPrefix(kind, "text/"):
			return 4
		}
		return 5
	}
	if len(kinds) == 0 {
		return
	}
	slices.SortStableFunc(kinds, func(a, b string) int { return rank(a) - rank(b) })
	kind := kinds[0]
	media := o.follow(content[kind])
	value, ok := o.exampleOf(media)
	if !ok {
		value = o.sample(o.follow(media["schema"]), 0)
	}
	if !isValue(kind) || strings.Contains(kind, "*") {
		o.d.note("Bodies of the type %s are left out.", cut(strings.ToValidUTF8(kind, "?"), 60))
		return
	}
	switch rank(kind) {
	case 0, 1:
		o.send(r, kind, writeJSON(value))
	case 2:
		o.send(r, kind, o.form(asMap(value)))
	case 3:
		o.multipart(r, asMap(value))
	case 4:
		o.send(r, kind, o.flat(value))
	default:
		o.d.note("Bodies of the type %s are left out: name a file as body_file.", cut(kind, 60))
	}
}

func (o *document) send(r *scenarios.Request, kind, body string) {
	if o.d.fits(body) {
		r.Body = body
		put(&r.Headers, "Content-Type", kind)
	}
}

func (o *document) form(fields map[string]any) string {
	var pairs []string
	for _, name := range keys(fields) {
		value := o.flat(fields[name])
		if !strings.Contains(value, "{{") {
			value = url.QueryEscape(value)
		}
		pairs = append(pairs, url.QueryEscape(name)+"="+value)
	}
	return strings.Join(pairs, "&")
}

func (o *document) multipart(r *scenarios.Request, fields map[string]any) {
	for _, name := range keys(fields) {
		value := o.flat(fields[name])
		if scenarios.IsSecretName(name) && value != "" {
			value = o.d.secret(name)
		}
		if name != "" && isValue(name) && len(r.Multipart) < 100 && o.d.fits(value) {
			r.Multipart = append(r.Multipart, scenarios.Part{Name: name, Value: value})
		}
	}
}
