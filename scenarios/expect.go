package scenarios

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"
)

// expectation is a condition on a text: clauses that must all hold.
//
//	contains "ok" and not matches "(?i)error"
//
// Texts are quoted as in Go, so a regular expression is best put into backquotes
// (in YAML) or has its backslashes doubled.
type expectation []clause

type clause struct {
	not  bool
	op   string
	text []byte // of contains and is, and of a comparison with a string
	re   *regexp.Regexp
	// literal is what a JSON value is compared with, and number its value if it
	// is one.
	literal jsonValue
	number  float64
}

// subject is what an expectation is about, which decides what may be said.
type subject int

const (
	ofBody subject = iota
	ofHeader
	ofJSON
)

func (s subject) form() string {
	switch s {
	case ofHeader:
		return `write it like contains "json", is "text/html", matches "^a", exists or absent`
	case ofJSON:
		return `write it like == "ok", >= 1, exists or contains "a"`
	}
	return `write it like contains "ok"`
}

const maxClauses = 20

// parseExpectation reads clauses that are joined by and.
func parseExpectation(text string, about subject) (expectation, error) {
	var out expectation
	rest := strings.TrimSpace(text)
	for {
		c, after, err := parseClause(rest, about)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
		if rest = strings.TrimSpace(after); rest == "" {
			return out, nil
		}
		next, found := strings.CutPrefix(rest, "and ")
		if !found || len(out) >= maxClauses {
			return nil, hinted("join conditions by and", "has something after its condition")
		}
		rest = strings.TrimSpace(next)
	}
}

func parseClause(text string, about subject) (c clause, rest string, err error) {
	rest = text
	if after, found := strings.CutPrefix(rest, "not "); found {
		c.not, rest = true, strings.TrimSpace(after)
	}
	c.op, rest = cutOperator(rest)
	switch {
	case c.op == "contains" || c.op == "is" || c.op == "matches":
		return parseQuoted(c, rest, about)
	case (c.op == "exists" || c.op == "absent") && about != ofBody:
		return c, rest, nil
	case strings.ContainsAny(c.op, "=<>") && about == ofJSON && !c.not:
		return parseComparison(c, rest)
	}
	return c, rest, hinted(about.form(), "is no condition that is known")
}

// cutOperator takes a word, or = ! < > in a row, from the begin.
func cutOperator(text string) (op, rest string) {
	end := 0
	for end < len(text) && strings.IndexByte("=!<>", text[end]) >= 0 {
		end++
	}
	if end == 0 {
		for end < len(text) && text[end] >= 'a' && text[end] <= 'z' {
			end++
		}
	}
	return text[:end], strings.TrimSpace(text[end:])
}

func parseQuoted(c clause, rest string, about subject) (clause, string, error) {
	quoted, err := strconv.QuotedPrefix(rest)
	if err != nil || quoted[0] == '\'' {
		return c, rest, hinted(about.form(), "has no quoted text")
	}
	text, err := strconv.Unquote(quoted)
	if err != nil || text == "" && c.op != "is" {
		return c, rest, hinted(about.form(), "has no quoted text")
	}
	c.text = []byte(text)
	if c.op == "matches" {
		if c.re, err = compileRegexp(text); err != nil {
			return c, rest, err
		}
	}
	return c, rest[len(quoted):], nil
}

const maxRegexp = 1000

// compileRegexp bounds the size; the time is linear in any case (RE2).
func compileRegexp(text string) (*regexp.Regexp, error) {
	if len(text) > maxRegexp {
		return nil, hinted("", "has a regular expression of more than %d bytes", maxRegexp)
	}
	re, err := regexp.Compile(text)
	if err != nil {
		return nil, hinted("the syntax is that of RE2; double backslashes, or quote by `", "has no regular expression: %v", err)
	}
	return re, nil
}

// parseComparison reads the literal after == and its like.
func parseComparison(c clause, rest string) (clause, string, error) {
	if !strings.Contains(" == != < <= > >= ", " "+c.op+" ") {
		return c, rest, hinted("there are == != < <= > >=", "has an operator that is not known")
	}
	if quoted, err := strconv.QuotedPrefix(rest); err == nil && quoted[0] != '\'' {
		text, _ := strconv.Unquote(quoted)
		c.literal = jsonValue{kind: '"', text: text}
		rest = rest[len(quoted):]
	} else {
		word, after, _ := strings.Cut(rest, " ")
		rest = after
		number, err := strconv.ParseFloat(word, 64)
		switch {
		case word == "true" || word == "false" || word == "null":
			c.literal = jsonValue{kind: word[0], text: word}
		case err == nil && !strings.ContainsAny(word, "xXnN_"):
			c.literal, c.number = jsonValue{kind: '0', text: word}, number
		default:
			return c, rest, hinted(ofJSON.form(), "compares with no JSON value")
		}
	}
	if c.op != "==" && c.op != "!=" && c.literal.kind != '0' {
		return c, rest, hinted("only numbers have an order", "compares with no number")
	}
	return c, rest, nil
}

// holds judges the values of a text: a header may be there several times, and
// one of them must do. No values means that it is not there.
func (e expectation) holds(values ...[]byte) bool {
	for i := range e {
		if !e[i].holds(values) {
			return false
		}
	}
	return true
}

func (c *clause) holds(values [][]byte) bool {
	switch c.op {
	case "exists":
		return (len(values) > 0) != c.not
	case "absent":
		return (len(values) == 0) != c.not
	}
	for _, v := range values {
		if c.of(v) {
			return !c.not
		}
	}
	return c.not
}

func (c *clause) of(text []byte) bool {
	switch c.op {
	case "contains":
		return bytes.Contains(text, c.text)
	case "is":
		return bytes.Equal(text, c.text)
	}
	return c.re.Match(text)
}

// holdsJSON judges a JSON value. A value of another type is different, and is
// neither below nor above.
func (e expectation) holdsJSON(v jsonValue, found bool) bool {
	var values [][]byte
	if found {
		values = append(values, []byte(v.text))
	}
	for i := range e {
		c := &e[i]
		if c.literal.kind == 0 {
			if !c.holds(values) {
				return false
			}
		} else if !found || !c.compare(v) {
			return false
		}
	}
	return true
}

func (c *clause) compare(v jsonValue) bool {
	equal := v == c.literal
	number, err := strconv.ParseFloat(v.text, 64)
	comparable := v.kind == '0' && c.literal.kind == '0' && err == nil
	if comparable {
		equal = number == c.number
	}
	switch c.op {
	case "==":
		return equal
	case "!=":
		return !equal
	case "<":
		return comparable && number < c.number
	case "<=":
		return comparable && number <= c.number
	case ">":
		return comparable && number > c.number
	}
	return comparable && number >= c.number
}

// String is the condition in canonical text, for what is wrong with an answer.
func (e expectation) String() string {
	var all []string
	for _, c := range e {
		text := c.op
		if c.not {
			text = "not " + text
		}
		switch {
		case c.literal.kind == '"':
			text += " " + strconv.Quote(shown(c.literal.text))
		case c.literal.kind != 0:
			text += " " + c.literal.text
		case c.text != nil:
			text += " " + strconv.Quote(shown(string(c.text)))
		}
		all = append(all, text)
	}
	return strings.Join(all, " and ")
}
