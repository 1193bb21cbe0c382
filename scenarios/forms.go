package scenarios

import (
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// formed is a type that is written in more than one form, so that the short
// cases stay short.
type formed interface {
	// decodeForm reads n, which lies at path.
	decodeForm(d *decoder, n *node, path string)
}

func isFormed(t reflect.Type) bool {
	return reflect.PointerTo(t).Implements(reflect.TypeFor[formed]())
}

// sameHost is what follows the number of hops that must stay on the host.
const sameHost = " same host"

// UnmarshalText reads no, follow N or follow N same host.
func (r *Redirects) UnmarshalText(text []byte) error {
	const hint = "write no, follow 5 or follow 5 same host"
	if string(text) == "no" {
		*r = "no"
		return nil
	}
	n, found := strings.CutPrefix(string(text), "follow ")
	n, stay := strings.CutSuffix(n, sameHost)
	hops, err := strconv.Atoi(strings.TrimSpace(n))
	if !found || err != nil || hops < 1 || hops > maxRedirects {
		return hinted(hint, "must be no, or follow and a number from 1 to %d", maxRedirects)
	}
	*r = Redirects("follow " + strconv.Itoa(hops))
	if stay {
		*r += sameHost
	}
	return nil
}

const maxRedirects = 20

// Hops is how many redirects are followed; 0 is none.
func (r Redirects) Hops() int {
	n, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(string(r), "follow "), sameHost))
	return n
}

// SameHost says that redirects to another host are not followed.
func (r Redirects) SameHost() bool { return strings.HasSuffix(string(r), sameHost) }

// UnmarshalText reads the name of a protocol.
func (p *Protocol) UnmarshalText(text []byte) error {
	switch v := Protocol(text); v {
	case HTTP1, HTTP2, H2C:
		*p = v
		return nil
	}
	return hinted(suggest(string(text), []string{string(HTTP1), string(HTTP2), string(H2C)}), "unknown protocol")
}

// UnmarshalText reads what is done about a lost worker.
func (l *LostWorker) UnmarshalText(text []byte) error {
	switch v := LostWorker(text); v {
	case LostRebalance, LostDegrade, LostAbort:
		*l = v
		return nil
	}
	return hinted(suggest(string(text), []string{string(LostRebalance), string(LostDegrade), string(LostAbort)}), "must be rebalance, degrade or abort")
}

// reuses says whether the rows begin again after the last.
func (f Feed) reuses() bool { return f.Reuse == nil || *f.Reuse }

// MarshalYAML writes the name of the file alone if that is all.
func (f Feed) MarshalYAML() (any, error) {
	if f.Reuse == nil {
		return f.File, nil
	}
	type plain Feed
	return plain(f), nil
}

func (f *Feed) decodeForm(d *decoder, n *node, path string) {
	if n.kind == yaml.MappingNode {
		d.mapping(n, reflect.ValueOf(f).Elem(), path)
		if f.File == "" && d.given(path+".file") {
			d.quote(path+".file", "", path+".file is empty", "name a .csv, .json or .jsonl file")
		}
		return
	}
	d.scalar(n, reflect.ValueOf(&f.File).Elem(), path)
}

// MarshalYAML writes a single status as a number, ranges as text, and several
// as a list.
func (s Statuses) MarshalYAML() (any, error) {
	var out []any
	for _, r := range s {
		if r.From == r.To {
			out = append(out, r.From)
		} else {
			out = append(out, r.String())
		}
	}
	if len(out) == 1 {
		return out[0], nil
	}
	return out, nil
}

// String is 201 or 200-204.
func (r StatusRange) String() string {
	if r.From == r.To {
		return strconv.Itoa(r.From)
	}
	return strconv.Itoa(r.From) + "-" + strconv.Itoa(r.To)
}

// Has says whether a status is among them.
func (s Statuses) Has(status int) bool {
	for _, r := range s {
		if status >= r.From && status <= r.To {
			return true
		}
	}
	return false
}

var statusForm = regexp.MustCompile(`^(?:([1-5])xx|([0-9]{3})(?:-([0-9]{3}))?)$`)

func parseStatus(text string) (StatusRange, bool) {
	m := statusForm.FindStringSubmatch(text)
	if m == nil {
		return StatusRange{}, false
	}
	if m[1] != "" {
		class, _ := strconv.Atoi(m[1])
		return StatusRange{class * 100, class*100 + 99}, true
	}
	from, _ := strconv.Atoi(m[2])
	to := from
	if m[3] != "" {
		to, _ = strconv.Atoi(m[3])
	}
	return StatusRange{from, to}, from >= 100 && to <= 599 && from <= to
}

func (s *Statuses) decodeForm(d *decoder, n *node, path string) {
	items := []node{*n}
	if n.kind == yaml.SequenceNode {
		items = n.items
		if len(items) == 0 || len(items) > maxItems {
			d.breaks(path, "", fmt.Sprintf("%s must have from 1 to %d entries", path, maxItems), "remove the key for the default, below 400")
			return
		}
	}
	for i := range items {
		at := path
		if n.kind == yaml.SequenceNode {
			at = fmt.Sprintf("%s[%d]", path, i)
			d.places[at] = items[i].at
		}
		r, ok := parseStatus(items[i].text)
		if items[i].kind != yaml.ScalarNode || !ok {
			d.breaks(at, items[i].text, at+" must be from 100 to 599", "write 201, 2xx, 200-204 or a list of them")
			continue
		}
		*s = append(*s, r)
	}
}
