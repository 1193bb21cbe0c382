package scenarios

import (
	"net/http"
	"strconv"
)

// Response is an answer, as far as checks and captures look at it.
type Response struct {
	Status int
	// Header returns the values of a header, by any case of its name;
	// http.Header.Values is such a function. nil has none, and conditions on
	// headers then fail.
	Header func(name string) []string
	// Body may be nil if NeedsBody says so. It is not kept.
	Body []byte
}

func (r Response) values(name string) []string {
	if r.Header == nil {
		return nil
	}
	return r.Header(name)
}

// bytes are the values of a header, as an expectation judges them.
func (r Response) bytes(name string) [][]byte {
	var out [][]byte
	for _, v := range r.values(name) {
		out = append(out, []byte(v))
	}
	return out
}

// checks are the conditions on the answers to one request.
type checks struct {
	status  Statuses // none: below 400
	headers []headerCheck
	body    expectation
	json    []jsonCheck
}

type headerCheck struct {
	name string
	want expectation
}

type jsonCheck struct {
	text string // the path as written
	path jsonPath
	want expectation
}

// Classes of a response that is not OK; they are error classes of the record.
const (
	ClassStatus = "status"
	ClassCheck  = "check"
)

// Verify is VerifyResponse for an answer whose header is not known, as a
// condition on it therefore fails.
func (r *Requests) Verify(i int, status int, body []byte) (class, detail string) {
	return r.VerifyResponse(i, Response{Status: status, Body: body})
}

// VerifyResponse judges the answer to request i: class is "" if it is OK,
// ClassStatus if the status is not one of those asked for (by default: is 400
// or above), or ClassCheck if something else is wrong; detail says what.
func (r *Requests) VerifyResponse(i int, answer Response) (class, detail string) {
	c := &r.list[i].checks
	if c.status == nil && answer.Status >= 400 || c.status != nil && !c.status.Has(answer.Status) {
		return ClassStatus, "status " + strconv.Itoa(answer.Status)
	}
	for k := range c.headers {
		h := &c.headers[k]
		if answer.Header == nil {
			return ClassCheck, "header " + h.name + " is not known"
		}
		if !h.want.holds(answer.bytes(h.name)...) {
			return ClassCheck, "header " + h.name + " is not: " + h.want.String()
		}
	}
	if c.body != nil && !c.body.holds(answer.Body) {
		return ClassCheck, "body is not: " + c.body.String()
	}
	for k := range c.json {
		if j := &c.json[k]; !j.want.holdsJSON(j.path.find(answer.Body)) {
			return ClassCheck, "body's " + j.text + " is not: " + j.want.String()
		}
	}
	return "", ""
}

// NeedsBody says whether anything looks at the body of request i's answers.
func (r *Requests) NeedsBody(i int) bool {
	c := &r.list[i]
	needs := c.checks.body != nil || c.checks.json != nil
	for k := range c.captures {
		needs = needs || c.captures[k].needsBody()
	}
	return needs
}

// NeedsHeader says whether anything looks at the header of request i's answers.
func (r *Requests) NeedsHeader(i int) bool {
	c := &r.list[i]
	needs := c.checks.headers != nil
	for k := range c.captures {
		needs = needs || c.captures[k].header != ""
	}
	return needs
}

// checks compiles conditions, which lie at path; what is wrong with them is
// complained about.
func (k *Check) compile(c *complaints, path string) (out checks) {
	out.status = k.Status
	for i, r := range k.Status {
		if r.From < 100 || r.To > 599 || r.From > r.To {
			c.quoteIfNew(path+".status", r.String(), path+".status must be from 100 to 599", "entry "+strconv.Itoa(i))
		}
	}
	for _, name := range sortedKeys(k.Headers) {
		at := path + ".headers." + name
		if !isToken(name) {
			c.quote(at, name, "header's name holds what a name cannot hold", "letters, digits and -")
			continue
		}
		out.headers = append(out.headers, headerCheck{http.CanonicalHeaderKey(name), c.expect(at, k.Headers[name], ofHeader)})
	}
	if k.Body != "" || c.given(path+".body") {
		out.body = c.expect(path+".body", k.Body, ofBody)
	}
	for _, text := range sortedKeys(k.JSON) {
		at := path + ".json." + text
		p, err := parseJSONPath(text)
		if err != nil {
			message, hint := parts(err)
			c.quote(at, text, path+".json: "+message, hint)
			continue
		}
		out.json = append(out.json, jsonCheck{text, p, c.expect(at, k.JSON[text], ofJSON)})
	}
	return out
}

// expect parses a condition, which lies at path.
func (c *complaints) expect(path, text string, about subject) expectation {
	e, err := parseExpectation(text, about)
	if err != nil {
		message, hint := parts(err)
		c.quoteIfNew(path, text, path+" "+message, hint)
	}
	return e
}
