package scenarios

import (
	"errors"
	"io"
	"strings"
	"testing"
	"unicode/utf8"
)

// Whatever Load is given, it answers with a scenario that can be written, read
// back and compiled, or with problems that say something.
func FuzzLoad(f *testing.F) {
	f.Add(design(f), "load.search.from=5")
	for _, e := range Library() {
		src, err := LibraryFile(e.Name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(src), "")
	}
	for _, src := range []string{minimal, "a: &a [*a]", "- {{ ", "{<<: *x}", "version: 1\nversion: 1\n", "? [a]\n: b\n", "\ufeffversion: 1", "!!binary x: y", "%YAML 9.9\n---\n", "a: |\n  x\n b"} {
		f.Add(src, "target.requests[0].get=/{{ seq }}")
	}
	f.Fuzz(func(t *testing.T, src, set string) {
		s, err := Load("fuzz.yaml", []byte(src), LoadOptions{Set: []string{set}})
		if err != nil {
			var p *Problems
			if !errors.As(err, &p) || len(p.List) == 0 {
				t.Fatalf("error is %T: %v", err, err)
			}
			for _, q := range p.List {
				if q.Message == "" || q.File == "" || len(p.List) <= maxProblems && (q.Line < 1 || q.Column < 1) {
					t.Fatalf("a problem without place or message: %+v", q)
				}
			}
			return
		}
		checkRoundTrip(t, s)
		trace := world(nil, nil)
		trace.Open = func(string) (io.ReadCloser, error) { return nil, errors.New("no files here") }
		if _, err := CompileWith(s, trace); err != nil && !strings.Contains(err.Error(), "no files here") {
			t.Fatalf("loaded, but not compiled: %v", err)
		}
	})
}

// What is parsed is written so that it is parsed as the same.
func FuzzObjective(f *testing.F) {
	for _, text := range []string{"p99<50ms", "errors < 0.1%", "browse.p99 <= 2s", "throughput > 1e3", "errors > 20% for 5s", "target.cpu > 95% for 10s", "a for b.p50 < 1ns", "errors < 1e-3%", "throughput > 0x1p-2/s"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if o, err := ParseObjective(text); err == nil {
			back, err := ParseObjective(o.String())
			if err != nil || back != o {
				t.Fatalf("%q is %q, read back as %+v, %v", text, o, back, err)
			}
		}
		if g, err := ParseGuard(text); err == nil {
			back, err := ParseGuard(g.String())
			if err != nil || back != g {
				t.Fatalf("%q is %q, read back as %+v, %v", text, g, back, err)
			}
		}
	})
}

// A template that is parsed can be rendered, and a header made of it holds no
// line break.
func FuzzTemplate(f *testing.F) {
	for _, text := range []string{"x", "{{ seq }}", "{{ int -5 5 }}{{uuid}}", `{{ pick a "b c" }}`, "{{ now unix }}", "{{ .row.sku }}", "${A}${", "{{ env A }}", "{{- \"\\r\\n\" -}}", "{{/**/}}", "{{ now \"\\n\" }}"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := parseTemplate(text); err != nil || !utf8.ValidString(text) {
			return
		}
		s := &Scenario{Version: 1, Name: "fuzz", Target: Target{URL: "http://127.0.0.1", Requests: []Request{{
			Name: "a", Post: "/" + text, Body: text, Headers: map[string]string{"X": text}, Feed: Feed{File: "f.csv"}}}},
			Load: LoadSpec{Search: &SearchLoad{}}}
		if s.Validate() != nil {
			return
		}
		r, err := CompileRequests(s, world(map[string]string{"f.csv": "sku\n1\n"}, map[string]string{"A": "b"}))
		if err != nil {
			return
		}
		var m Message
		r.Render(Hit{N: 5}, &m)
		if badHeaderValue(m.Header[0].Value) {
			t.Fatalf("header is %q", m.Header[0].Value)
		}
		for i := range len(m.URL) {
			if b := m.URL[i]; b <= ' ' || b >= 0x7f {
				t.Fatalf("URL is %q", m.URL)
			}
		}
		_ = redactText(text)
	})
}
