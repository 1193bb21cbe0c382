package scenarios

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestRenderQueryAndCookies(t *testing.T) {
	files := map[string]string{"f.csv": "a\nx&y=z #é+\n", "b.txt": "hello {{ .row.a }} ${A}"}
	env := map[string]string{"A": "va"}
	tests := []struct{ request, url, cookie, body string }{
		{`{name: a, get: /x, query: {q: a b&c, "p[]": "${A}"}}`, "/x?p%5B%5D=va&q=a%20b%26c", "", ""},
		{`{name: a, get: "/x?y=1", query: {q: ""}}`, "/x?y=1&q=", "", ""},
		{`{name: a, get: "/x", query: {q: "{{ .row.a }}-{{ seq }}"}, feed: f.csv}`, "/x?q=x%26y%3Dz%20%23%C3%A9%2B-7", "", ""},
		{`{name: a, get: "/x", query: {t: '{{ now "15:04 MST" }}'}}`, "/x?t=22%3A13%20UTC", "", ""},
		{`{name: a, get: /, cookies: {sid: "${A}", n: "{{ seq }}"}}`, "/", "n=7; sid=va", ""},
		{`{name: a, get: /, cookies: {sid: abc}}`, "/", "sid=abc", ""},
		{`{name: a, post: /, body_file: b.txt, template: true, feed: f.csv}`, "/", "", "hello x&y=z #é+ va"},
		{`{name: a, post: /, body_file: b.txt}`, "/", "", "hello {{ .row.a }} ${A}"},
	}
	for _, tt := range tests {
		r := mustCompile(t, "["+tt.request+"]", world(files, env))
		var m Message
		r.Render(Hit{N: 7}, &m)
		cookie := ""
		for _, h := range m.Header {
			if h.Name == "Cookie" {
				cookie = h.Value
			}
		}
		if m.URL != "http://127.0.0.1:8080/base"+tt.url || cookie != tt.cookie || string(m.Body) != tt.body || m.Err != nil {
			t.Errorf("%s\ngot  %s %q %q %v", tt.request, m.URL, cookie, m.Body, m.Err)
		}
		if _, err := url.Parse(m.URL); err != nil {
			t.Error(err)
		}
	}
}

// A form is read back by Go's own reader as what was written.
func TestMultipart(t *testing.T) {
	files := map[string]string{"dir/a b.png": "\x89PNG\r\n--", "f.csv": "sku\nA1\n"}
	r := mustCompile(t, `[{name: up, post: /, feed: f.csv, multipart: [{name: 'ti"tle', value: "{{ .row.sku }} {{ seq }}"}, {name: pic, file: dir/a b.png, type: image/png}, {name: raw, file: dir/a b.png, filename: x}]}]`, world(files, nil))
	var m Message
	r.Render(Hit{N: 3}, &m)
	kind, params, err := mime.ParseMediaType(m.Header[0].Value)
	if err != nil || kind != "multipart/form-data" || m.Header[0].Name != "Content-Type" {
		t.Fatalf("header %v, %v", m.Header, err)
	}
	parts := multipart.NewReader(bytes.NewReader(m.Body), params["boundary"])
	var got []string
	for {
		p, err := parts.NextPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(p)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%s|%s|%s|%q", p.FormName(), p.FileName(), p.Header.Get("Content-Type"), body))
	}
	want := []string{`ti%22tle|||"A1 3"`, `pic|a b.png|image/png|"\x89PNG\r\n--"`, `raw|x|application/octet-stream|"\x89PNG\r\n--"`}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestBoundaryIsNotInTheParts(t *testing.T) {
	first := boundaryFor("a", nil)
	second := boundaryFor("a", []template{{{text: "x" + first + "y"}}})
	if first == second || boundaryFor("a", nil) != first {
		t.Errorf("boundaries %s and %s", first, second)
	}
}

func TestJSONFeeds(t *testing.T) {
	for name, text := range map[string]string{
		"list.json":    `[{"a": "x", "b": 1.50, "c": null, "d": {"e": [1, 2]}}, {"d": true, "c": "", "b": -0, "a": "ü\n"}]`,
		"lines.jsonl":  "{\"a\": \"x\", \"b\": 1.50, \"c\": null, \"d\": {\"e\": [1, 2]}}\n\n{\"d\": true, \"c\": \"\", \"b\": -0, \"a\": \"ü\\n\"}\n",
		"lines.NDJSON": "\ufeff{\"a\": \"x\", \"b\": 1.50, \"c\": null, \"d\": {\"e\": [1, 2]}} {\"d\": true, \"c\": \"\", \"b\": -0, \"a\": \"ü\\n\"}",
	} {
		f, problem := parseJSONFeed(name, []byte(text))
		if problem != nil || !isJSONFeed(name) {
			t.Errorf("%s: %v", name, problem)
			continue
		}
		if got, want := fmt.Sprintf("%q %q", f.columns, f.cells), `["a" "b" "c" "d"] ["x" "1.50" "" "{\"e\": [1, 2]}" "ü\n" "-0" "" "true"]`; got != want {
			t.Errorf("%s\ngot  %s\nwant %s", name, got, want)
		}
	}
	for text, want := range map[string]string{
		"":                      "f.json:1:1: feed has no rows",
		"[]":                    "f.json:1:1: feed has no rows",
		"[1]":                   "f.json:1:2: feed has a row that is no JSON object",
		"[{\"a\":1},\n {}]":     `f.json:2:2: row lacks a key that the first row has: "a"`,
		"{\"a\":1}\n{\"b\":1}":  `f.json:2:1: row lacks a key that the first row has: "a"`,
		`{"a":1}{"a":1,"b":2}`:  "f.json:1:8: row has 2 keys, the first row has 1",
		"{\"a\":1}\n{\"a\":":    "f.json:2:1: feed has a row that is no JSON object",
		`[{"a":1}`:              "feed is no JSON",
		`[{}]`:                  "feed's first row has no keys",
		"[{\"a\":1},\nnull]":    "f.json:2:1: feed has a row that is no JSON object",
		"{\"a\":1}\n\n  oops\n": "f.json:3:3: feed has a row that is no JSON object",
	} {
		if _, problem := parseJSONFeed("f.json", []byte(text)); problem == nil || !strings.Contains(problem.String(), want) {
			t.Errorf("%q\ngot  %v\nwant %s", text, problem, want)
		}
	}
	r := mustCompile(t, `[{name: a, get: "/{{ .row.id }}", feed: {file: f.jsonl}}]`, world(map[string]string{"f.jsonl": `{"id": 7}{"id": 8}`}, nil))
	var m Message
	for n, want := range []string{"7", "8", "7"} {
		if r.Render(Hit{N: uint64(n)}, &m); !strings.HasSuffix(m.URL, "/"+want) {
			t.Errorf("hit %d goes to %s", n, m.URL)
		}
	}
}

// Rows that must not be used twice are not, by any number of workers, and a hit
// without a row is not sent.
func TestFeedWithoutReuse(t *testing.T) {
	in := world(map[string]string{"f.csv": "id\n0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n"}, nil)
	const request = `[{name: a, get: "/{{ .row.id }}", feed: {file: f.csv, reuse: false}}]`
	cold := strings.Replace(withRequests(request), "search: {}", "search: {}, warmup: 0s", 1)
	s := mustLoad(t, cold)
	p, err := Compile(s)
	if err != nil {
		t.Fatal(err)
	}
	r, err := CompileRequests(s, in)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	refused := 0
	step := Step{From: 40, To: 40, Lasts: time.Second}
	for i := range 3 {
		var m Message
		for h := range p.Slice(i, 3).Hits(step) {
			if r.Render(h, &m); m.Err != nil {
				refused++
				if m.URL != "" || !strings.Contains(m.Err.Error(), "request a: feed has no row left") {
					t.Errorf("%+v", m)
				}
				continue
			}
			seen[m.URL]++
		}
	}
	if len(seen) != 10 || refused != int(p.Count(step))-10 {
		t.Errorf("%d rows used, %d hits refused", len(seen), refused)
	}
	for u, n := range seen {
		if n != 1 {
			t.Errorf("%s was used %d times", u, n)
		}
	}
	fixed := mustLoad(t, strings.Replace(cold, "search: {}", "arrivals: constant, constant: {rate: 11, duration: 1s}", 1))
	if _, err := CompileRequests(fixed, in); err == nil || !strings.Contains(err.Error(), "target.requests[0].feed has 10 rows, but 11 hits are planned and reuse is false") {
		t.Errorf("got %v", err)
	}
	fixed.Load.Constant.Rate = 10
	if _, err := CompileRequests(fixed, in); err != nil {
		t.Error(err)
	}
}

func TestExpectations(t *testing.T) {
	for _, tt := range []struct {
		text  string
		about subject
		value string
		want  bool
	}{
		{`contains "ok"`, ofBody, "it is ok", true},
		{`not contains "ok"`, ofBody, "it is ok", false},
		{`contains "a" and not matches "(?i)error"`, ofBody, "a", true},
		{`contains "a" and not matches "(?i)error"`, ofBody, "a ERROR", false},
		{"matches `id=\\d+`", ofBody, "id=5", true},
		{`is ""`, ofBody, "", true},
		{`contains " and "`, ofBody, "a and b", true},
		{`exists`, ofHeader, "x", true},
		{`not exists`, ofHeader, "x", false},
		{`absent`, ofHeader, "x", false},
		{`is "text/html"`, ofHeader, "text/html", true},
	} {
		e, err := parseExpectation(tt.text, tt.about)
		if err != nil || e.holds([]byte(tt.value)) != tt.want {
			t.Errorf("%s of %q: not %v (%v)", tt.text, tt.value, tt.want, err)
		}
	}
	e, _ := parseExpectation("absent", ofHeader)
	if !e.holds() || e.holds(nil) {
		t.Error("an empty header is there")
	}
	for _, bad := range []string{"", "ok", "contains", "contains ok", `contains ""`, `contains 'o'`, `contains "a" contains "b"`, `contains "a" and`, `contains "a" or "b"`, `matches "("`, "exists", `== "a"`, `not`, `contains "a"x`} {
		if e, err := parseExpectation(bad, ofBody); err == nil {
			t.Errorf("%q became %v", bad, e)
		}
	}
}

func TestJSONExpectations(t *testing.T) {
	const document = `{"status":"ok","n":5.0,"big":12345678901234567890,"on":true,"none":null,"items":[{"id":1},{"id":2}],"a.b":{"c d":"x"},"empty":[]}`
	for _, tt := range []struct {
		path, text string
		want       bool
	}{
		{"status", `== "ok"`, true}, {"$.status", `!= "ok"`, false}, {"status", `contains "o"`, true}, {"status", "exists and matches `^o`", true},
		{"n", "== 5", true}, {"n", ">= 5 and < 6", true}, {"n", "> 5", false}, {"n", `== "5.0"`, false}, {"n", `!= "5.0"`, true},
		{"big", "== 12345678901234567890", true}, {"on", "== true", true}, {"on", "== false", false}, {"none", "== null", true}, {"none", "exists", true},
		{"items[1].id", "==2", true}, {"items[2].id", "absent", true}, {"items[2].id", "!= 1", false}, {"items.id", "exists", false}, {"status.x", "absent", true},
		{`$["a.b"]["c d"]`, `is "x"`, true}, {"nope", "absent", true}, {"nope", `not contains "x"`, true}, {"empty", `is "[]"`, true}, {"empty[0]", "absent", true},
		{"status", "> 1", false}, {"$", `contains "ok"`, true},
	} {
		p, err := parseJSONPath(tt.path)
		if err != nil {
			t.Errorf("%s: %v", tt.path, err)
			continue
		}
		e, err := parseExpectation(tt.text, ofJSON)
		if err != nil || e.holdsJSON(p.find([]byte(document))) != tt.want {
			t.Errorf("%s %s: not %v (%v)", tt.path, tt.text, tt.want, err)
		}
	}
	for _, bad := range []string{"", ".", "a..b", "a[", "a[x]", "a[-1]", "a[1", `a["x]`, "$a", "a[0]b", "a b", "*", "a.*", "a[?(@.b)]", strings.Repeat("a.", 40) + "a"} {
		if p, err := parseJSONPath(bad); err == nil {
			t.Errorf("%q became %v", bad, p)
		}
	}
	for _, bad := range []string{"==", "== ok", "== 0x5", "== NaN", `< "a"`, "=== 1", "not == 1", "== 1 2"} {
		if e, err := parseExpectation(bad, ofJSON); err == nil {
			t.Errorf("%q became %v", bad, e)
		}
	}
	for _, document := range []string{"", "x", "[", `{"status"`, `{"status":`, `{"status":tru`} {
		p, _ := parseJSONPath("status")
		if v, found := p.find([]byte(document)); found {
			t.Errorf("%q holds %+v", document, v)
		}
	}
}

func TestVerifyResponse(t *testing.T) {
	r := mustCompile(t, `[
	  {name: a, get: /, check: {status: [2xx, 304, 400-404], headers: {content-type: contains "json", X-Error: absent}, body: not contains "boom", json: {ok: == true}}},
	  {name: b, get: /, check: {status: 3xx}}, {name: c, get: /, check: {headers: {A: exists}}}]`, Inputs{})
	good := http.Header{"Content-Type": {"text/html", "application/json"}}
	tests := []struct {
		request, status int
		header          http.Header
		body, class     string
	}{
		{0, 200, good, `{"ok":true}`, ""}, {0, 304, good, `{"ok":true}`, ""}, {0, 402, good, `{"ok":true}`, ""},
		{0, 500, good, `{"ok":true}`, ClassStatus}, {0, 305, good, `{"ok":true}`, ClassStatus},
		{0, 200, http.Header{}, `{"ok":true}`, ClassCheck}, {0, 200, good, `{"ok":false}`, ClassCheck}, {0, 200, good, `{"ok":true} boom`, ClassCheck},
		{0, 200, http.Header{"Content-Type": {"json"}, "X-Error": {""}}, `{"ok":true}`, ClassCheck},
		{1, 302, nil, "", ""}, {1, 200, nil, "", ClassStatus},
	}
	for _, tt := range tests {
		class, detail := r.VerifyResponse(tt.request, Response{Status: tt.status, Header: tt.header.Values, Body: []byte(tt.body)})
		if class != tt.class || (class == "") != (detail == "") {
			t.Errorf("%+v: got %q, %q", tt, class, detail)
		}
	}
	if class, detail := r.Verify(2, 200, nil); class != ClassCheck || detail != "header A is not known" {
		t.Errorf("a header that nobody looked at: %q, %q", class, detail)
	}
	if !r.NeedsBody(0) || !r.NeedsHeader(0) || r.NeedsBody(1) || r.NeedsHeader(1) || r.NeedsBody(2) || !r.NeedsHeader(2) {
		t.Error("what is looked at is not what is needed")
	}
}

// A condition that is parsed can be judged on anything.
func FuzzExpectation(f *testing.F) {
	for _, text := range []string{`contains "ok"`, `not is "a" and matches "b+"`, "exists", "absent", `== "x"`, ">= 5 and != null", "== -1e5"} {
		f.Add(text, "a.b[0]", `{"a":{"b":[5]}}`)
	}
	f.Add(`exists`, `$["x\n"][3]`, `[[],{}]`)
	f.Fuzz(func(t *testing.T, text, path, document string) {
		p, err := parseJSONPath(path)
		v, found := jsonValue{}, false
		if err == nil {
			if v, found = p.find([]byte(document)); found && v.kind == 0 {
				t.Fatalf("%s is of no kind", path)
			}
		}
		for _, about := range []subject{ofBody, ofHeader, ofJSON} {
			e, err := parseExpectation(text, about)
			if err != nil {
				continue
			}
			if e.holdsJSON(v, found); about != ofJSON {
				e.holds([]byte(document))
			}
			if len(e) == 0 || e.String() == "" {
				t.Fatalf("%q is no condition", text)
			}
		}
	})
}

// Whatever the bytes, a JSON feed is rows of equal length, or a problem with a
// place.
func FuzzJSONFeed(f *testing.F) {
	for _, text := range []string{`[{"a":1}]`, "{\"a\":\"x\"}\n{\"a\":null}", "[", "{}", `[{"a":[{}]},`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		feed, problem := parseJSONFeed("f.json", data)
		if problem != nil {
			if problem.Line < 1 || problem.Column < 1 || problem.Message == "" {
				t.Fatalf("%+v", problem)
			}
		} else if feed.rows() < 1 || len(feed.cells)%len(feed.columns) != 0 {
			t.Fatalf("%d cells in %d columns", len(feed.cells), len(feed.columns))
		}
	})
}
