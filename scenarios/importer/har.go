package importer

import (
	"encoding/base64"
	"io"
	"net/textproto"
	"net/url"
	"slices"
	"strings"

	"github.com/headroom-project/headroom/scenarios"
	"github.com/headroom-project/headroom/scenarios/recording"
)

// harArchive adds the requests of an archive to the origin that has most of
// them, by how often they were sent.
func harArchive(d *draft, r io.Reader) error {
	h, err := recording.ReadHAR(r)
	if err != nil {
		return err
	}
	for i := range h.Log.Entries {
		d.harEntry(&h.Log.Entries[i])
	}
	d.note("Requests are drawn by how often they were recorded, not in the order of the recording.")
	return nil
}

func (d *draft) harEntry(e *recording.HAREntry) {
	it := &item{method: strings.ToUpper(e.Request.Method)}
	var ok bool
	switch it.origin, it.target, ok = d.split(e.Request.URL); {
	case !ok || it.origin == "":
		d.note("Entries whose URL is not http or https are left out.")
		return
	case !setMethod(&scenarios.Request{}, it.method, "/"):
		d.note("Entries with the method %s are left out: scenarios do not know it.", cut(strings.ToValidUTF8(it.method, "?"), 20))
		return
	case e.Response.Status >= 400 && e.Response.Status <= 599:
		d.note("Requests that were answered with %d are checked for that status.", e.Response.Status)
		it.request.Check.Status = scenarios.Statuses{{From: e.Response.Status, To: e.Response.Status}}
	}
	var list []header
	for _, f := range e.Request.Headers {
		if d.ofBrowser(f.Name) {
			continue
		}
		list = append(list, header{f.Name, f.Value})
	}
	if e.Request.PostData != nil {
		list = d.harBody(&it.request, e.Request.PostData, list)
	}
	d.headers(&it.request, list)
	d.add(it)
}

// ofBrowser says whether a header tells about the browser, its cache or the
// connection rather than about the request, and notes the first of them.
func (d *draft) ofBrowser(name string) bool {
	switch c := textproto.CanonicalMIMEHeaderKey(name); {
	case strings.HasPrefix(name, ":"), c == "Host", isConnection(c):
		return true
	case c == "Cookie":
		d.note("The cookies of the recorded session are left out: set cookies, or log in with a flow.")
		return true
	case strings.HasPrefix(c, "Sec-"), strings.HasPrefix(c, "If-"),
		slices.Contains([]string{"User-Agent", "Referer", "Accept-Encoding", "Cache-Control", "Pragma", "Dnt", "Priority", "Upgrade-Insecure-Requests"}, c):
		d.note("Headers of the browser (User-Agent, Sec-..., caching) are left out.")
		return true
	}
	return false
}

// harBody carries a body over, and returns the headers without those that the
// body's form brings itself.
func (d *draft) harBody(r *scenarios.Request, p *recording.HARPost, list []header) []header {
	kind, _, _ := strings.Cut(p.MimeType, ";")
	text := p.Text
	if p.Encoding == "base64" {
		if raw, err := base64.StdEncoding.DecodeString(text); err == nil {
			text = string(raw)
		}
	}
	switch {
	case strings.EqualFold(strings.TrimSpace(kind), "multipart/form-data") && len(p.Params) > 0:
		d.harForm(r, p.Params)
		return slices.DeleteFunc(list, func(h header) bool { return strings.EqualFold(h.name, "Content-Type") })
	case text == "" && len(p.Params) > 0:
		form := url.Values{}
		for _, f := range p.Params {
			form.Add(f.Name, f.Value)
		}
		text = form.Encode()
	}
	if isForm(kind) {
		text = strings.TrimPrefix(d.query(text), "?")
		if d.fits(text) {
			r.Body = text
		}
		return list
	}
	d.body(r, text)
	return list
}

func isForm(kind string) bool {
	return strings.EqualFold(strings.TrimSpace(kind), "application/x-www-form-urlencoded")
}

func (d *draft) harForm(r *scenarios.Request, params []recording.HARField) {
	for _, f := range params {
		if len(r.Multipart) >= 100 {
			d.note("A form has more than 100 fields; the others are left out.")
			return
		}
		if f.Name == "" || !isValue(f.Name) {
			d.note("A field of a form whose name cannot be sent is left out.")
			continue
		}
		if !d.fits(f.Value) {
			continue
		}
		part := scenarios.Part{Name: f.Name, Value: scenarios.Literal(f.Value)}
		if scenarios.IsSecretName(f.Name) && f.Value != "" {
			part.Value = d.secret(f.Name)
		}
		if f.FileName != "" {
			d.note("The content of a file in a form was not recorded: its field is sent as text. Name a file there.")
		}
		if f.ContentType != "" && isValue(f.ContentType) {
			part.Type = f.ContentType
		}
		r.Multipart = append(r.Multipart, part)
	}
}
