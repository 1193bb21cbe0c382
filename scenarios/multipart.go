package scenarios

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

const maxParts = 100

func (r *Request) checkMultipart(c *complaints, at string, s scope) {
	if len(r.Multipart) == 0 && (r.Multipart != nil || c.given(at)) {
		c.quote(at, "", at+" is empty", "name a field, such as {name: title, value: hello}")
	}
	if len(r.Multipart) > maxParts {
		c.quote(at, "", fmt.Sprintf("%s has %d parts, more than %d", at, len(r.Multipart), maxParts), "")
	}
	for i, p := range r.Multipart {
		at := indexed(at, i)
		if p.Name == "" || badHeaderValue(p.Name) {
			c.quote(at+".name", p.Name, at+".name must be text without line breaks", "")
		}
		if p.Value != "" && p.File != "" {
			c.quote(at+".file", p.File, at+" has both value and file", "keep one")
		}
		if p.Filename != "" && p.File == "" {
			c.quote(at+".filename", p.Filename, at+" has a filename, but no file", "add file: name")
		}
		for key, text := range map[string]string{"filename": p.Filename, "type": p.Type} {
			if badHeaderValue(text) {
				c.quote(at+"."+key, text, at+"."+key+" holds a line break or control character", "")
			}
		}
		c.template(at+".value", p.Value, s)
	}
	for name := range r.Headers {
		if strings.EqualFold(name, "Content-Type") && len(r.Multipart) > 0 {
			c.quote(at, "", at+" has a content type of its own, but the request sets one", "remove the header Content-Type")
		}
	}
}

// quoteDisposition escapes a name as browsers do (WHATWG HTML, 4.10.21.8).
func quoteDisposition(name string) string {
	return strings.NewReplacer(`"`, "%22", "\r", "%0D", "\n", "%0A").Replace(name)
}

// multipart compiles a form (RFC 7578) into a body and its content type.
func (b *builder) multipart(r *Request, at string, f *feed) (rendering, string) {
	parts := make([]template, len(r.Multipart))
	total := 0
	for i, p := range r.Multipart {
		at := indexed(at, i)
		parts[i] = template{{text: partHeader(p)}}
		if p.File == "" {
			for _, s := range b.segments(p.Value, at+".value", f, asIs) {
				parts[i] = joinLiteral(parts[i], s)
			}
			continue
		}
		data, err := b.read(p.File, maxBodyFile)
		if err != nil {
			b.quoteErr(at+".file", p.File, at+".file: ", err)
			continue
		}
		if total += len(data); total > maxBodyFile {
			b.quote(at+".file", p.File, fmt.Sprintf("files of the form are larger than %s together, the limit", Size(maxBodyFile)), "send fewer of them")
			break
		}
		parts[i] = joinLiteral(parts[i], segment{text: string(data)})
	}
	boundary := boundaryFor(r.Name, parts)
	var body template
	for _, p := range parts {
		body = joinLiteral(body, segment{text: "--" + boundary + "\r\n"})
		for _, s := range p {
			body = joinLiteral(body, s)
		}
		body = joinLiteral(body, segment{text: "\r\n"})
	}
	body = joinLiteral(body, segment{text: "--" + boundary + "--\r\n"})
	return settle(body), "multipart/form-data; boundary=" + boundary
}

// boundaryFor is drawn from a name, so that it is the same each time, and drawn
// again while a literal of the parts holds it.
func boundaryFor(name string, parts []template) string {
	for attempt := uint64(0); ; attempt++ {
		key := attempt
		for i := range len(name) {
			key = hash(key, uint64(name[i]))
		}
		boundary := "headroom-" + strconv.FormatUint(hash(key, 1), 36) + strconv.FormatUint(hash(key, 2), 36)
		if !slices.ContainsFunc(parts, func(t template) bool { return holds(t, boundary) }) {
			return boundary
		}
	}
}

func holds(t template, text string) bool {
	for _, s := range t {
		if s.action == actLiteral && strings.Contains(s.text, text) {
			return true
		}
	}
	return false
}

func partHeader(p Part) string {
	header := `Content-Disposition: form-data; name="` + quoteDisposition(p.Name) + `"`
	kind := p.Type
	if p.File != "" {
		name := p.Filename
		if name == "" {
			name = path.Base(strings.ReplaceAll(p.File, `\`, "/"))
		}
		header += `; filename="` + quoteDisposition(name) + `"`
		if kind == "" {
			kind = "application/octet-stream"
		}
	}
	if kind != "" {
		header += "\r\nContent-Type: " + kind
	}
	return header + "\r\n\r\n"
}
