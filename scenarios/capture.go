package scenarios

import (
	"net/http"
	"regexp"
	"strings"
)

// capture takes one value out of an answer.
type capture struct {
	name   string
	slot   int
	kind   string // json, header, cookie, matches
	path   jsonPath
	header string // or the cookie's name
	re     *regexp.Regexp
}

const captureForm = `write it like json token, header Location, cookie sid or matches "id=([0-9]+)"`

// variableForm is what can stand after the dot of {{ .name }}.
var variableForm = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

func isVariable(name string) bool {
	return variableForm.MatchString(name) && len(name) <= maxName && name != "row"
}

// parseCapture reads where a value is found.
func parseCapture(text string) (c capture, err error) {
	kind, rest, _ := strings.Cut(strings.TrimSpace(text), " ")
	c.kind, rest = kind, strings.TrimSpace(rest)
	switch kind {
	case "json":
		c.path, err = parseJSONPath(rest)
		return c, err
	case "matches":
		quoted, after, err := parseQuoted(clause{op: "matches"}, rest, ofBody)
		if err == nil && strings.TrimSpace(after) != "" {
			err = hinted(captureForm, "has something after the regular expression")
		}
		c.re = quoted.re
		return c, err
	case "header", "cookie":
		c.header, rest, _ = strings.Cut(rest, " ")
		if !isToken(c.header) {
			return c, hinted(captureForm, "names no %s", kind)
		}
		if rest = strings.TrimSpace(rest); rest == "" {
			return c, nil
		}
		inner, err := parseCapture(rest)
		if err != nil || inner.kind != "matches" || kind != "header" {
			return c, hinted(captureForm, "has something after the name")
		}
		c.re = inner.re
		return c, nil
	}
	return c, hinted(captureForm, "is no place to take a value from")
}

// needsBody says whether the value is in the body.
func (c *capture) needsBody() bool { return c.kind == "json" || c.kind == "matches" }

// from is the value in an answer.
func (c *capture) from(r Response) (string, bool) {
	switch c.kind {
	case "json":
		v, found := c.path.find(r.Body)
		return v.text, found && v.kind != 'n'
	case "matches":
		m := c.re.FindSubmatch(r.Body)
		if m == nil {
			return "", false
		}
		return string(m[min(1, len(m)-1)]), true
	case "cookie":
		return c.cookie(r)
	}
	for _, v := range r.values(c.header) {
		if c.re == nil {
			return v, true
		}
		if m := c.re.FindStringSubmatch(v); m != nil {
			return m[min(1, len(m)-1)], true
		}
	}
	return "", false
}

// cookie is the value of the last Set-Cookie with the name, as a browser has it.
func (c *capture) cookie(r Response) (value string, found bool) {
	for _, line := range r.values("Set-Cookie") {
		if k, err := http.ParseSetCookie(line); err == nil && k.Name == c.header {
			value, found = k.Value, true
		}
	}
	return value, found
}

// String is where the value was looked for.
func (c *capture) String() string {
	if c.header != "" {
		return c.kind + " " + c.header
	}
	return c.kind
}
