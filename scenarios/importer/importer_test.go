package importer

import (
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/headroom-project/headroom/scenarios"
)

var update = flag.Bool("update", false, "write the golden files")

// check holds a result to what the package promises: it is valid, it can be
// written and read back, and compiled.
func check(t testing.TB, s *scenarios.Scenario) []byte {
	t.Helper()
	if err := s.Validate(); err != nil {
		t.Fatalf("not valid: %v", err)
	}
	text, err := s.YAML()
	if err != nil {
		t.Fatal(err)
	}
	back, err := scenarios.Load(s.Name+".yaml", text, scenarios.LoadOptions{})
	if err != nil {
		t.Fatalf("cannot be read back: %v\n%s", err, text)
	}
	if !reflect.DeepEqual(back, s) {
		t.Fatalf("is read back as another:\n%+v\n%+v\n%s", back, s, text)
	}
	if _, err := scenarios.Compile(s); err != nil {
		t.Fatal(err)
	}
	return text
}

// Each kind is known by its content, and becomes the scenario and the notes that
// people have looked at.
func TestGolden(t *testing.T) {
	for _, tt := range []struct {
		file, kind string
		opt        Options
	}{
		{"targets.vegeta", VegetaHTTP, Options{}},
		{"targets.vegeta-json", VegetaJSON, Options{}},
		{"session.har", HAR, Options{URL: "http://127.0.0.1:9000"}},
		{"shop.openapi", OpenAPI, Options{}},
		{"access.log", AccessLog, Options{}},
	} {
		t.Run(tt.kind, func(t *testing.T) {
			src, err := os.ReadFile(filepath.Join("testdata", tt.file))
			if err != nil {
				t.Fatal(err)
			}
			if got := Detect(src); got != tt.kind {
				t.Errorf("detected as %q", got)
			}
			s, notes, err := Import(Auto, tt.file, strings.NewReader(string(src)), tt.opt)
			if err != nil {
				t.Fatal(err)
			}
			got := string(check(t, s))
			if !strings.Contains(string(src), "hunter2") && tt.kind != VegetaJSON && tt.kind != OpenAPI || strings.Contains(got, "hunter2") {
				t.Errorf("the secret of the source is in the scenario, or not even in the source:\n%s", got)
			}
			for _, n := range notes {
				got += "# " + n + "\n"
			}
			golden := filepath.Join("testdata", tt.file+".golden.yaml")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("differs from %s; go test -update writes it\n%s", golden, got)
			}
		})
	}
}

// Imported requests render to what was recorded, braces and references included.
func TestImportedRequestsRender(t *testing.T) {
	src := "POST http://h:1/a%7B%7Bb?x={{y}}&z=${HOME}\nX: {{{ ${A}${B}\n\nGET http://h:1/\n"
	s, _, err := Import(Auto, "t", strings.NewReader(src), Options{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := scenarios.CompileRequests(s, scenarios.Inputs{})
	if err != nil {
		t.Fatal(err)
	}
	var m scenarios.Message
	r.Render(scenarios.Hit{}, &m)
	if m.URL != "http://h:1/a%7B%7Bb?x=%7B%7By%7D%7D&z=$%7BHOME%7D" || m.Header[0].Value != "{{{ ${A}${B}" {
		t.Errorf("%s %q", m.URL, m.Header)
	}
}

func TestMaxRequests(t *testing.T) {
	src := "GET http://h/a\nGET http://h/b\nGET http://h/b\nGET http://h/c\nGET http://h/c\nGET http://h/c\n"
	s, notes, err := Import(VegetaHTTP, "t", strings.NewReader(src), Options{MaxRequests: 2})
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Target.Requests) != 2 || s.Target.Requests[0].Get != "/c" || s.Target.Requests[0].Weight != 3 || s.Target.Requests[1].Weight != 2 {
		t.Errorf("%+v", s.Target.Requests)
	}
	if !strings.Contains(strings.Join(notes, "\n"), "Of 3 different requests the 2 most frequent are kept; the others are 16.7% of the hits.") {
		t.Errorf("notes %q", notes)
	}
}

func TestErrors(t *testing.T) {
	for _, tt := range []struct{ kind, src, want string }{
		{Auto, "", "cannot tell what it is (hint: name the kind: vegeta, vegeta-json, har, openapi, log)"},
		{Auto, "hello", "cannot tell what it is"},
		{"postman", "{}", `unknown kind "postman"`},
		{VegetaHTTP, "GET\n", "line 1: target is not a method and a URL"},
		{VegetaHTTP, "GET ftp://x\n", `line 1: URL "ftp://x" cannot be sent`},
		{VegetaHTTP, "GET http://x/\nnonsense\n", "line 2: header has no colon"},
		{VegetaHTTP, "PURGE http://x/\n", "source has no request that a scenario can send: Targets with the method PURGE"},
		{VegetaHTTP, strings.Repeat("x", maxTargetLine+1), "line 1: longer than 1MiB"},
		{VegetaJSON, "{\"method\":\"GET\"}\n", "line 1: target has no method, or no url"},
		{VegetaJSON, "\n{]\n", "line 2: target is no JSON object of vegeta"},
		{HAR, "{}", "archive has no entries"},
		{OpenAPI, "swagger: '2.0'\n", "document is OpenAPI 2, which is not read (hint: convert it to OpenAPI 3)"},
		{OpenAPI, "openapi: 4.0.0\n", `document is not OpenAPI 3: its openapi is "4.0.0"`},
		{OpenAPI, "openapi: 3.1.0\npaths: {}\n", "source has no request"},
		{OpenAPI, "- a\n", "document is neither JSON nor YAML"},
		{AccessLog, "x\n", "line 1: line has no time"},
		{AccessLog, "", "log has no requests"},
	} {
		_, _, err := Import(tt.kind, "t.x", strings.NewReader(tt.src), Options{})
		if err == nil || !strings.HasPrefix(err.Error(), "import t.x: ") || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s %.30q: %v, want %s", tt.kind, tt.src, err, tt.want)
		}
	}
	if _, _, err := Import(VegetaHTTP, "t", strings.NewReader("GET http://h/"), Options{MaxRequests: 5000}); err == nil {
		t.Error("5000 requests were taken")
	}
	if _, _, err := Import(VegetaHTTP, "t", strings.NewReader("GET http://h/"), Options{URL: "nonsense"}); err == nil {
		t.Error("a URL that is none was taken")
	}
}

// A source that never ends is read up to its limit only.
func TestSourcesHaveLimits(t *testing.T) {
	long := strings.Repeat(" ", 60_000) + "\n"
	for kind, begin := range map[string]string{VegetaHTTP: "#" + long, OpenAPI: "openapi: 3.0.0\n#" + long, VegetaJSON: long} {
		_, _, err := Import(kind, "t", &endless{begin: begin}, Options{})
		if err == nil || !strings.Contains(err.Error(), "larger than") {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

// endless repeats its begin for ever.
type endless struct {
	begin string
	at    int
}

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.begin[e.at:])
	e.at = (e.at + n) % len(e.begin)
	return n, nil
}

// Whatever the source, the result is an error or what check holds it to.
func FuzzImport(f *testing.F) {
	// Small seeds: the fuzzer spends its time on what it finds, not on cutting it
	// down.
	f.Add(uint8(0), "GET http://127.0.0.1/a?b=c\nA: b\n@f\n\nPOST http://h/\n")
	f.Add(uint8(0), `{"method":"POST","url":"http://h/b","body":"eyJ9","header":{"A":["a","b"]}}`)
	f.Add(uint8(0), `{"log":{"entries":[{"request":{"method":"POST","url":"http://h/","headers":[{"name":"A","value":"b"}],"postData":{"mimeType":"multipart/form-data","params":[{"name":"token","value":"{{"}]}}}]}}`)
	f.Add(uint8(0), "openapi: 3.0.0\nservers: [{url: 'http://h/v1'}]\npaths: {/a/{b}: {post: {requestBody: {content: {application/json: {schema: {properties: {a: {type: integer}}}}}}}}}\n")
	f.Add(uint8(4), "openapi: 3.0.0\nsecurity: [{k: []}]\ncomponents: {securitySchemes: {k: {type: apiKey, in: cookie, name: c}}}\npaths: {/: {get: {parameters: [{name: q, in: query, required: true, schema: {allOf: [{enum: [a]}]}}]}}}\n")
	f.Add(uint8(4), `{"openapi":"3.1.0","paths":{"/{{a}}/#?":{"get":{"parameters":[{"$ref":"#/paths"},{"name":"a","in":"cookie","example":[{}]}]}}}}`)
	f.Add(uint8(5), `h - - [31/Jan/2026:12:00:00 +0000] "GET /a{{/9/?x=}}&y=\x22 HTTP/1.1" 200 5`)
	f.Add(uint8(1), "GET http://[::1]:80/{${A}}?api_key=5\nX: \\\n")
	f.Fuzz(func(t *testing.T, kind uint8, src string) {
		s, _, err := Import(append([]string{Auto}, Kinds()...)[int(kind)%6], "fuzz", strings.NewReader(src), Options{})
		if err != nil {
			if strings.Contains(err.Error(), "makes no scenario file") && !strings.Contains(err.Error(), "larger") {
				t.Fatal(err)
			}
			return
		}
		check(t, s)
		env := func(string) (string, bool) { return "x", true }
		if _, err := scenarios.CompileRequests(s, scenarios.Inputs{Env: env}); err != nil && !strings.Contains(err.Error(), "cannot read the file") {
			t.Fatal(err)
		}
	})
}
