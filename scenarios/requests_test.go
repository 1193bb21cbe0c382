package scenarios

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// world is a set of files and variables.
func world(files, env map[string]string) Inputs {
	return Inputs{
		Open: func(name string) (io.ReadCloser, error) {
			text, ok := files[name]
			if !ok {
				return nil, fmt.Errorf("open %s: no such file", name)
			}
			return io.NopCloser(strings.NewReader(text)), nil
		},
		Env: func(name string) (string, bool) { v, ok := env[name]; return v, ok },
		Now: func() time.Time { return time.Unix(1700000000, 123e6).UTC() },
	}
}

func withRequests(requests string) string {
	return "version: 1\ntarget:\n  url: http://127.0.0.1:8080/base/\n  requests: " + requests + "\nload: {search: {}, seed: 3}\n"
}

func mustCompile(t testing.TB, requests string, in Inputs) *Requests {
	t.Helper()
	s, err := Load("test.yaml", []byte(withRequests(requests)), LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := CompileRequests(s, in)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRenderDesignExample(t *testing.T) {
	s := mustLoad(t, design(t))
	r, err := CompileRequests(s, world(map[string]string{"skus.csv": "sku,price\nA1,5\nB2,6\n"}, map[string]string{"TOKEN": "s3cret"}))
	if err != nil {
		t.Fatal(err)
	}
	var m Message
	r.Render(Hit{N: 3, Request: 1}, &m)
	if m.Name != "buy" || m.Method != "POST" || m.URL != "http://127.0.0.1:8080/orders" {
		t.Errorf("got %+v", m)
	}
	want := []HeaderField{{"Authorization", "Bearer s3cret"}, {"Content-Type", "application/json"}}
	if fmt.Sprint(m.Header) != fmt.Sprint(want) {
		t.Errorf("header = %v", m.Header)
	}
	if ok, _ := regexp.Match(`^\{"id":"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}","sku":"B2"\}$`, m.Body); !ok {
		t.Errorf("body = %s", m.Body)
	}
	if !r.NeedsBody(1) || r.NeedsBody(0) || r.Len() != 2 || fmt.Sprint(r.Hosts()) != "[127.0.0.1:8080]" {
		t.Errorf("needs %v %v, hosts %v", r.NeedsBody(0), r.NeedsBody(1), r.Hosts())
	}
}

func TestRender(t *testing.T) {
	files := map[string]string{"f.csv": "a,b c\nx,\"1 2\"\ny,/p?q=ü\n", "raw": "{{ seq }} ${A}"}
	env := map[string]string{"A": "va", "T": "{{ seq }}", "EMPTY": ""}
	tests := []struct{ request, url, body string }{
		{`{name: a, get: /}`, "http://127.0.0.1:8080/base/", ""},
		{`{name: a, get: "/x?y=1"}`, "http://127.0.0.1:8080/base/x?y=1", ""},
		{`{name: a, get: "https://Other/x"}`, "https://Other/x", ""},
		{`{name: a, get: "/a b/ü%20%zz"}`, "http://127.0.0.1:8080/base/a%20b/%C3%BC%20%25zz", ""},
		{`{name: a, get: "/{{ seq }}/{{ seq 100 }}"}`, "http://127.0.0.1:8080/base/7/107", ""},
		{`{name: a, get: "/{{ row \"b c\" }}", feed: f.csv}`, "http://127.0.0.1:8080/base//p?q=%C3%BC", ""},
		{`{name: a, get: "/{{ .row.a }}-{{- row a }}", feed: f.csv}`, "http://127.0.0.1:8080/base/y-y", ""},
		{`{name: a, post: "/${A}", body: "${A}${T}{{ env \"A\" }}${EMPTY}"}`, "http://127.0.0.1:8080/base/va", "va{{ seq }}va"},
		{`{name: a, post: /, body: '{{ now }} {{ now unix }} {{ now "unixms" }} {{ now "2006-01-02" }}'}`, "http://127.0.0.1:8080/base/", "2023-11-14T22:13:20.123Z 1700000000 1700000000123 2023-11-14"},
		{`{name: a, post: /, body: '{{ pick only }} {{ int 4 4 }} {{ "{{ ${" }} $A ${A B}{{/* no */}}'}`, "http://127.0.0.1:8080/base/", "only 4 {{ ${ $A ${A B}"},
		{`{name: a, post: /, body_file: raw}`, "http://127.0.0.1:8080/base/", "{{ seq }} ${A}"},
		{`{name: a, get: "/{{ pick \"a b\" \"a b\" }}"}`, "http://127.0.0.1:8080/base/a%20b", ""},
	}
	for _, tt := range tests {
		r := mustCompile(t, "["+tt.request+"]", world(files, env))
		var m Message
		r.Render(Hit{N: 7}, &m)
		if m.URL != tt.url || string(m.Body) != tt.body {
			t.Errorf("%s\ngot  %s %q\nwant %s %q", tt.request, m.URL, m.Body, tt.url, tt.body)
		}
		if _, err := http.NewRequest(m.Method, m.URL, nil); err != nil {
			t.Errorf("%s: %v", tt.request, err)
		}
	}
}

func TestCompileRequestsProblems(t *testing.T) {
	big := strings.Repeat("x", maxBodyFile+1)
	files := map[string]string{
		"ragged.csv": "a,b\n1,2\n3\n", "empty.csv": "", "header.csv": "a,b\n", "twice.csv": "a,a\n1,2\n", "quote.csv": "a\n\"x\n",
		"lines.csv": "a\n\"x\ny\"\n", "f.csv": "sku\n1\n", "big": big, "noname.csv": "a,\n1,2\n",
	}
	tests := []struct{ request, want string }{
		{`{name: a, get: "/${NOPE}"}`, `target.requests[0].get needs a variable that is not set: "${NOPE}" (hint: export NOPE=... before the drill)`},
		{`{name: a, get: "/{{ env NOPE }}"}`, `"${NOPE}"`},
		{`{name: a, get: /, feed: nope.csv}`, `target.requests[0].feed: cannot read the file: open nope.csv: no such file: "nope.csv"`},
		{`{name: a, get: "/{{ .row.a }}", feed: ragged.csv}`, `ragged.csv:3:1: row has 1 fields, the header has 2: "3" (hint:`},
		{`{name: a, get: /, feed: empty.csv}`, `empty.csv:1:1: feed has no rows`},
		{`{name: a, get: /, feed: header.csv}`, `header.csv:1:1: feed has no rows`},
		{`{name: a, get: /, feed: twice.csv}`, `feed has two columns named "a"`},
		{`{name: a, get: /, feed: noname.csv}`, `feed has a column without a name`},
		{`{name: a, get: /, feed: quote.csv}`, `quote.csv:2:4: feed is no CSV`},
		{`{name: a, get: "/{{ .row.skv }}", feed: f.csv}`, `uses a column that f.csv does not have: "skv" (hint: did you mean "sku"?)`},
		{`{name: a, get: /, headers: {X: "{{ .row.a }}"}, feed: lines.csv}`, `data row 1 of lines.csv holds a line break`},
		{`{name: a, get: /, headers: {X: "${CRLF}"}}`, `the value, filled in, holds a line break`},
		{`{name: a, get: /, headers: {X: '{{ "\r\n" }}'}}`, `the value, filled in, holds a line break`},
		{`{name: a, get: /, headers: {X: '{{ pick "\r\n" b }}'}}`, `a choice holds a line break`},
		{`{name: a, post: /, body_file: big}`, `target.requests[0].body_file: file is larger than 16MiB, the limit: "big"`},
	}
	for _, tt := range tests {
		s, err := Load("test.yaml", []byte(withRequests("["+tt.request+"]")), LoadOptions{})
		if err != nil {
			t.Errorf("%s: %v", tt.request, err)
			continue
		}
		_, err = CompileRequests(s, world(files, map[string]string{"CRLF": "a\r\nb"}))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s\ngot  %v\nwant %s", tt.request, err, tt.want)
			continue
		}
		if list := problemsIn(t, err); len(list) != 1 {
			t.Errorf("%s: %d problems:\n%v", tt.request, len(list), err)
		}
	}
}

// endless is a file that never ends: reading must stop at the limit.
type endless struct{ read int64 }

func (e *endless) Read(p []byte) (int, error) { e.read += int64(len(p)); return len(p), nil }
func (e *endless) Close() error               { return nil }

func TestFilesAreReadUpToTheirLimit(t *testing.T) {
	for request, limit := range map[string]int64{`{name: a, post: /, body_file: f}`: maxBodyFile, `{name: a, get: /, feed: f}`: maxFeedFile} {
		s, err := Load("t", []byte(withRequests("["+request+"]")), LoadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		file := &endless{}
		_, err = CompileRequests(s, Inputs{Open: func(string) (io.ReadCloser, error) { return file, nil }})
		if err == nil || !strings.Contains(err.Error(), Size(limit).String()) || file.read > 2*limit {
			t.Errorf("%s: %v after %d bytes", request, err, file.read)
		}
	}
}

func TestUserInfoBecomesAHeader(t *testing.T) {
	s, err := ForURL("http://user:pw@127.0.0.1/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := CompileRequests(s, Inputs{})
	if err != nil {
		t.Fatal(err)
	}
	var m Message
	r.Render(Hit{}, &m)
	if m.URL != "http://127.0.0.1/x" || len(m.Header) != 1 || m.Header[0].Value != "Basic dXNlcjpwdw==" {
		t.Errorf("got %+v", m)
	}
	r = mustCompile(t, `[{name: a, get: "https://u@h/x"}, {name: b, get: "http://h:1?{{ seq }}"}]`, Inputs{})
	r.Render(Hit{}, &m)
	if m.URL != "https://h/x" || m.Header[0].Value != "Basic dTo=" || fmt.Sprint(r.Hosts()) != "[h:1 h:443]" {
		t.Errorf("got %+v, hosts %v", m, r.Hosts())
	}
}

// Drawn values depend on the seed, the hit and the place, and on nothing else.
func TestDrawnValuesAreDeterministic(t *testing.T) {
	const requests = `[{name: a, post: "/{{ int 1 1000000000 }}", headers: {X: "{{ uuid }}"}, body: "{{ uuid }} {{ uuid }} {{ pick a b c }}"}]`
	text := func(r *Requests, n uint64) string {
		var m Message
		r.Render(Hit{N: n}, &m)
		return fmt.Sprintf("%s %v %s", m.URL, m.Header, m.Body)
	}
	a, b := mustCompile(t, requests, Inputs{}), mustCompile(t, requests, Inputs{})
	seen := map[string]bool{}
	for n := range uint64(1000) {
		got := text(a, n)
		if got != text(b, n) {
			t.Fatalf("hit %d differs between two compilations", n)
		}
		seen[got] = true
		f := strings.Fields(got)
		if f[1] == "[{X" && f[2] == f[3] || f[3] == f[4] {
			t.Fatalf("two places draw the same: %s", got)
		}
	}
	if len(seen) != 1000 {
		t.Errorf("%d different messages of 1000", len(seen))
	}
	b.seed++
	if text(a, 0) == text(b, 0) {
		t.Error("the seed does not matter")
	}
}

// An int covers its bounds evenly: 60,000 draws of six faces, chi-squared with
// five degrees of freedom below 30 (error rate 1.5e-5, seeded).
func TestIntIsUniform(t *testing.T) {
	r := mustCompile(t, `[{name: a, get: "/{{ int -2 3 }}"}]`, Inputs{})
	counts := map[string]float64{}
	var m Message
	for n := range uint64(60_000) {
		r.Render(Hit{N: n}, &m)
		counts[m.URL[strings.LastIndex(m.URL, "/"):]]++
	}
	chi := 0.0
	for _, c := range counts {
		chi += (c - 10_000) * (c - 10_000) / 10_000
	}
	if len(counts) != 6 || counts["/-2"] == 0 || counts["/3"] == 0 || chi > 30 {
		t.Errorf("chi-squared %v, counts %v", chi, counts)
	}
	r = mustCompile(t, `[{name: a, get: "/{{ int -9223372036854775808 9223372036854775807 }}"}]`, Inputs{})
	r.Render(Hit{}, &m)
}

func TestStaticRequestsAllocateNothing(t *testing.T) {
	r := mustCompile(t, `[{name: a, post: /x, headers: {X-A: b, X-B: "${A}"}, body: hello}]`, world(nil, map[string]string{"A": "v"}))
	var m Message
	if n := testing.AllocsPerRun(100, func() { r.Render(Hit{N: 5}, &m) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if string(m.Body) != "hello" || len(m.Header) != 2 {
		t.Errorf("got %+v", m)
	}
}

func TestRenderIsSafeForConcurrentUse(t *testing.T) {
	r := mustCompile(t, `[{name: a, post: "/{{ seq }}", headers: {X: "{{ seq }}"}, body: "{{ seq }}"}]`, Inputs{})
	var group sync.WaitGroup
	for g := range uint64(4) {
		group.Go(func() {
			var m Message
			for i := range uint64(500) {
				n := fmt.Sprint(g*1000 + i)
				r.Render(Hit{N: g*1000 + i}, &m)
				if !strings.HasSuffix(m.URL, "/"+n) || m.Header[0].Value != n || string(m.Body) != n {
					t.Errorf("hit %s: %+v", n, m)
					return
				}
			}
		})
	}
	group.Wait()
}

func TestVerify(t *testing.T) {
	r := mustCompile(t, `[{name: a, get: /}, {name: b, get: /, check: {status: 404}}, {name: c, get: /, check: {body: contains "o\"k"}}]`, Inputs{})
	tests := []struct {
		request, status int
		body, class     string
	}{
		{0, 200, "", ""}, {0, 399, "", ""}, {0, 400, "", ClassStatus}, {0, 503, "", ClassStatus},
		{1, 404, "", ""}, {1, 200, "", ClassStatus},
		{2, 200, `xo"ky`, ""}, {2, 200, "ok", ClassCheck}, {2, 500, `o"k`, ClassStatus},
	}
	for _, tt := range tests {
		if class, detail := r.Verify(tt.request, tt.status, []byte(tt.body)); class != tt.class || (class == "") != (detail == "") {
			t.Errorf("%+v: got %q, %q", tt, class, detail)
		}
	}
}

func TestTemplateErrors(t *testing.T) {
	for _, text := range []string{
		"{{", "{{ }}", "{{ seq", "{{ uuuid }}", "{{ if seq }}x{{ end }}", "{{ range .row }}{{ end }}", "{{ seq | printf }}", "{{ $x := seq }}",
		"{{ define \"x\" }}{{ end }}", "{{ template \"x\" }}", "{{ .row }}", "{{ .env.x }}", "{{ .row.a.b }}", "{{ . }}", "{{ int 1 }}", "{{ int 2 1 }}",
		"{{ int 1 2 3 }}", "{{ int 1.5 2 }}", "{{ seq 1 2 }}", "{{ seq x }}", "{{ pick }}", "{{ pick (seq) }}", "{{ now 1 2 }}", "{{ row }}", "{{ row 1 2 }}",
		"{{ env }}", "{{ env \"a b\" }}", "{{ uuid 4 }}", "{{ \"a\" \"b\" }}", "{{ end }}", "{{ 5 }}", "{{ nil }}", "{{ break }}",
	} {
		if got, err := parseTemplate(text); err == nil {
			t.Errorf("%s became %+v", text, got)
		} else if m, _ := parts(err); !strings.HasPrefix(m, "template: ") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func BenchmarkRender(b *testing.B) {
	for name, request := range map[string]string{
		"static":  `[{name: a, get: /x, headers: {X-A: b}}]`,
		"dynamic": `[{name: a, post: "/items/{{ int 1 1000 }}", headers: {X-A: b}, body: '{"id":"{{ uuid }}"}'}]`,
	} {
		b.Run(name, func(b *testing.B) {
			r := mustCompile(b, request, Inputs{})
			var m Message
			b.ReportAllocs()
			for n := uint64(0); b.Loop(); n++ {
				r.Render(Hit{N: n}, &m)
			}
		})
	}
}
