package scenarios

import (
	"reflect"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// PrometheusSets are the ready-made queries of resources.
func PrometheusSets() []string { return []string{"process", "go", "node", "container"} }

// ResourceUnits are the units that a resource may have.
func ResourceUnits() []string {
	return []string{"cores", "bytes", "slots", "count", "bytes/s", "ratio"}
}

// MarshalYAML writes the URL alone if that is all.
func (p Prometheus) MarshalYAML() (any, error) {
	if p.Match == "" && len(p.Sets) == 0 && len(p.Queries) == 0 && p.Interval == 0 && p.Auth == "" {
		return p.URL, nil
	}
	type plain Prometheus
	return plain(p), nil
}

func (p *Prometheus) decodeForm(d *decoder, n *node, path string) {
	if n.kind == yaml.MappingNode {
		d.mapping(n, reflect.ValueOf(p).Elem(), path)
		return
	}
	d.scalar(n, reflect.ValueOf(&p.URL).Elem(), path)
	d.places[path+".url"] = n.at
}

var resourceForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9_.-]{0,62}[a-z0-9])?$`)

// Bounds of what is asked of a server.
const (
	maxQueries = 50
	maxQuery   = 4096 // bytes
)

func (s *Scenario) checkPrometheus(c *complaints) {
	const at = "resources.prometheus"
	p := s.Resources.Prometheus
	if p == nil || c.broken[at] {
		return
	}
	if !c.broken[at+".url"] {
		c.url(at+".url", p.URL)
	}
	c.auth(at+".auth", p.Auth)
	if strings.ContainsAny(p.Match, "{}\n") || len(p.Match) > maxQuery {
		c.quoteIfNew(at+".match", p.Match, at+".match must be label matchers without braces", `write it like job="shop", zone="a"`)
	}
	for i, set := range p.Sets {
		if path := indexed(at+".sets", i); !slices.Contains(PrometheusSets(), set) {
			c.quoteIfNew(path, set, path+" is no set of queries", suggest(set, PrometheusSets()))
		}
	}
	if p.Interval != 0 || c.given(at+".interval") {
		c.lasts(at+".interval", p.Interval)
	}
	if len(p.Queries) > maxQueries {
		c.add(at+".queries", at+".queries has too many entries, more than 50", "")
	}
	c.queries(p.Queries, at+".queries")
}

func (c *complaints) queries(list []ResourceQuery, at string) {
	for i, q := range list {
		path := indexed(at, i)
		if c.broken[path] {
			continue
		}
		if !resourceForm.MatchString(q.Name) && !c.broken[path+".name"] {
			c.quoteIfNew(path+".name", q.Name, path+".name must be small letters, digits, and . _ - inside", "write it like pool.db")
		}
		if slices.ContainsFunc(list[:i], func(o ResourceQuery) bool { return o.Name == q.Name }) {
			c.quoteIfNew(path+".name", q.Name, path+".name is there twice", "")
		}
		if (strings.TrimSpace(q.Used) == "" || len(q.Used) > maxQuery) && !c.broken[path+".used"] {
			c.add(path+".used", path+".used must be a query of at most 4096 characters", `such as sum(rate(db_busy_seconds_total{$match}[$window]))`)
		}
		if len(q.Limit) > maxQuery {
			c.add(path+".limit", path+".limit is longer than 4096 characters", "")
		}
		if q.Unit != "" && !slices.Contains(ResourceUnits(), q.Unit) {
			c.quoteIfNew(path+".unit", q.Unit, path+".unit is no unit", suggest(q.Unit, ResourceUnits()))
		}
	}
}

// auth complains about what is no authorization, without a word of it.
func (c *complaints) auth(path, text string) {
	if text == "" && !c.given(path) {
		return
	}
	if _, _, ok := authScheme(text); !ok {
		c.quote(path, "", path+" is no authorization", "write it like Bearer ${TOKEN} or Basic name:${PASSWORD}")
	}
}

func (s *Scenario) checkPyroscope(c *complaints) {
	if p := s.Profiles.Pyroscope; p != nil {
		const at = "profiles.pyroscope"
		c.url(at+".url", p.URL)
		if p.Service == "" {
			c.quote(at+".service", "", at+".service is empty", "")
		}
		c.auth(at+".auth", p.Auth)
		c.tenant(at+".tenant", p.Tenant)
		if p.Interval != 0 || c.given(at+".interval") {
			c.lasts(at+".interval", p.Interval)
		}
		c.labels(at+".labels", p.Labels)
	}
	if p := s.Profiles.Receive; p != nil {
		const at = "profiles.receive"
		if p.Service == "" {
			c.quote(at+".service", "", at+".service is empty", "")
		}
		c.labels(at+".labels", p.Labels)
	}
	if p := s.Profiles.Push; p != nil {
		c.url("profiles.push.url", p.URL)
		c.auth("profiles.push.auth", p.Auth)
		c.tenant("profiles.push.tenant", p.Tenant)
	}
}

func (c *complaints) labels(at string, labels map[string]string) {
	for _, name := range sortedKeys(labels) {
		if !labelForm.MatchString(name) {
			c.quoteIfNew(at+"."+name, name, at+": "+name+" is no label name", "write it like region")
		}
	}
}

var labelForm = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.]{0,127}$`)

func (c *complaints) tenant(path, text string) {
	if strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) || len(text) > 150 {
		c.quoteIfNew(path, text, path+" must be at most 150 printable characters without spaces", "")
	}
}

// redactPyroscope is a copy without secrets.
func redactPyroscope(p *Pyroscope) *Pyroscope {
	if p == nil {
		return nil
	}
	out := *p
	out.URL, out.Auth = redactURL(p.URL), redactAuth(p.Auth)
	return &out
}

// redactPush is a copy without secrets.
func redactPush(p *ProfilePush) *ProfilePush {
	if p == nil {
		return nil
	}
	out := *p
	out.URL, out.Auth = redactURL(p.URL), redactAuth(p.Auth)
	return &out
}

// redactPrometheus is a copy without secrets.
func redactPrometheus(p *Prometheus) *Prometheus {
	if p == nil {
		return nil
	}
	out := *p
	out.URL, out.Auth = redactURL(p.URL), redactAuth(p.Auth)
	return &out
}

func redactAuth(text string) string {
	if text == "" {
		return ""
	}
	return redactHeader("Authorization", text)
}
