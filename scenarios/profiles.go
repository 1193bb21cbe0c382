package scenarios

import (
	"encoding/base64"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxEndpoints bounds the instances that are profiled together.
const maxEndpoints = 64

// None says that the source is turned off.
func (e Endpoints) None() bool { return len(e) == 1 && e[0] == none }

// MarshalYAML writes a single address as a text.
func (e Endpoints) MarshalYAML() (any, error) {
	if len(e) == 1 {
		return e[0], nil
	}
	return []string(e), nil
}

func (e *Endpoints) decodeForm(d *decoder, n *node, path string) {
	items := []node{*n}
	if n.kind == yaml.SequenceNode {
		items = n.items
		if len(items) == 0 || len(items) > maxEndpoints {
			d.breaks(path, "", fmt.Sprintf("%s must have from 1 to %d entries", path, maxEndpoints), "remove the key for the default")
			return
		}
	}
	*e = make(Endpoints, len(items))
	for i := range items {
		at := path
		if n.kind == yaml.SequenceNode {
			at = indexed(path, i)
		}
		d.decode(&items[i], reflect.ValueOf(&(*e)[i]).Elem(), at)
	}
}

// ProfileTypes are the types of profile that can be asked for; the last, trace,
// is taken on request only.
func ProfileTypes() []string {
	return []string{"cpu", "allocs", "heap", "mutex", "block", "goroutine", "trace"}
}

func (s *Scenario) checkProfiles(c *complaints) {
	p := &s.Profiles
	for i, u := range p.Pprof {
		path := indexed("profiles.pprof", i)
		if _, listed := c.places[path]; !listed {
			path = "profiles.pprof"
		}
		if u == none && len(p.Pprof) == 1 || c.broken[path] {
			continue
		}
		c.url(path, u)
	}
	c.auth("profiles.auth", p.Auth)
	if len(p.Types) == 0 && c.given("profiles.types") {
		c.add("profiles.types", "profiles.types is empty", "remove the key for the default; profiles.pprof: none turns profiles off")
	}
	for i, typ := range p.Types {
		path := indexed("profiles.types", i)
		switch {
		case !slices.Contains(ProfileTypes(), typ):
			c.quoteIfNew(path, typ, path+" is no type of profile", suggest(typ, ProfileTypes()))
		case slices.Index(p.Types, typ) < i:
			c.quoteIfNew(path, typ, path+" is there twice", "")
		}
	}
}

// authScheme splits an authorization in its scheme and the rest.
func authScheme(text string) (scheme, rest string, ok bool) {
	scheme, rest, _ = strings.Cut(strings.TrimSpace(text), " ")
	rest = strings.TrimSpace(rest)
	ok = rest != "" && (strings.EqualFold(scheme, "Bearer") || strings.EqualFold(scheme, "Basic"))
	return scheme, rest, ok
}

// Authorization makes the value of an Authorization header of a text like
// Bearer ${TOKEN} or Basic name:${PASSWORD}; empty of an empty one. env looks a
// variable up, as os.LookupEnv. It fails if one is not set, or the result cannot
// be a header; the error quotes no secret.
func Authorization(text string, env func(name string) (string, bool)) (string, error) {
	if text == "" {
		return "", nil
	}
	scheme, rest, ok := authScheme(text)
	if !ok {
		return "", hinted("write it like Bearer ${TOKEN} or Basic name:${PASSWORD}", "is no authorization")
	}
	var missing string
	rest = nameReference.ReplaceAllStringFunc(rest, func(ref string) string {
		name := ref[2 : len(ref)-1]
		value, ok := env(name)
		if !ok {
			missing = name
		}
		return value
	})
	if missing != "" {
		return "", hinted("export "+missing+"=... before the drill", "needs the variable %s, which is not set", strconv.Quote(missing))
	}
	if strings.EqualFold(scheme, "Basic") && strings.Contains(rest, ":") {
		rest = base64.StdEncoding.EncodeToString([]byte(rest))
	}
	if strings.ContainsFunc(rest, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "", hinted("", "holds a character that no header can have")
	}
	return scheme + " " + rest, nil
}
