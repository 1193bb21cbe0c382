package profiler

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/google/pprof/profile"
)

// maxName bounds a name, in bytes; that of a Go function with type parameters
// may be a few hundred.
const maxName = 400

// clean makes an untrusted name fit to be shown: valid UTF-8, printable, of
// bounded length.
func clean(name string) string {
	if len(name) > maxName {
		name = strings.ToValidUTF8(name[:maxName-len("…")], "") + "…"
	}
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return '\ufffd'
		}
		return r
	}, name)
}

// names gives locations their function names, each cleaned once.
type names struct {
	functions map[*profile.Function]string
	locations map[*profile.Location][]string
	kinds     map[string]int
}

func newNames() *names {
	return &names{functions: map[*profile.Function]string{}, locations: map[*profile.Location][]string{}, kinds: map[string]int{}}
}

// of returns the names of the functions at a location, the innermost inlined
// one first. There is always at least one.
func (n *names) of(l *profile.Location) []string {
	if known, ok := n.locations[l]; ok {
		return known
	}
	var list []string
	for _, line := range l.Line {
		list = append(list, n.function(line.Function))
	}
	if len(list) == 0 {
		list = []string{fmt.Sprintf("%#x", l.Address)}
	}
	n.locations[l] = list
	return list
}

func (n *names) function(f *profile.Function) string {
	if f == nil {
		return "?"
	}
	name, ok := n.functions[f]
	if !ok {
		if name = clean(f.Name); name == "" {
			name = clean(f.SystemName)
		}
		if name == "" {
			name = "?"
		}
		n.functions[f] = name
	}
	return name
}

// stack returns the names along a sample's stack, leaf first.
func (n *names) stack(s *profile.Sample, into []string) []string {
	into = into[:0]
	for _, l := range s.Location {
		into = append(into, n.of(l)...)
	}
	return into
}

// packageOf is the import path of a Go function's package: "net/http" for
// "net/http.(*conn).serve". It is the whole name if there is no dot.
func packageOf(function string) string {
	path, _, _ := strings.Cut(function, "[") // type arguments may hold paths
	start := strings.LastIndexByte(path, '/') + 1
	if dot := strings.IndexByte(path[start:], '.'); dot >= 0 {
		return path[:start+dot]
	}
	return path
}
