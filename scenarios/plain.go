package scenarios

import "strings"

// Plain reports whether every request goes over http, without TLS. Hosts cannot
// be templates, so that this is known before the first hit.
func (r *Requests) Plain() bool {
	for i := range r.list {
		text := r.list[i].url.fixed
		if len(r.list[i].url.dynamic) > 0 {
			text = r.list[i].url.dynamic[0].text
		}
		if !strings.HasPrefix(text, "http://") {
			return false
		}
	}
	return true
}
