package scenarios

import (
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

// minimal is a scenario to which a test adds what it is about.
const minimal = `version: 1
target: {url: "http://127.0.0.1:8080"}
load: {search: {}}
`

func mustLoad(t *testing.T, src string, sets ...string) *Scenario {
	t.Helper()
	s, err := Load("test.yaml", []byte(src), LoadOptions{Set: sets})
	if err != nil {
		t.Fatalf("load: %v\n%s", err, src)
	}
	return s
}

func problemsIn(t *testing.T, err error) []Problem {
	t.Helper()
	var p *Problems
	if !errors.As(err, &p) {
		t.Fatalf("error is %T, want *Problems: %v", err, err)
	}
	return p.List
}

func design(t testing.TB) string {
	t.Helper()
	src, err := os.ReadFile("testdata/design.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(src)
}

func TestLoadDesignExample(t *testing.T) {
	s := mustLoad(t, design(t))
	buy := s.Target.Requests[1]
	if got := s.Target.Requests[0].Get; got != "/items/{{ int 1 1000 }}" {
		t.Errorf("get = %q", got)
	}
	if got := buy.Headers["Authorization"]; got != "Bearer ${TOKEN}" {
		t.Errorf("Authorization = %q", got)
	}
	if buy.Check.Body != `contains "ok"` || !buy.Check.Status.Has(201) || buy.Check.Status.Has(200) {
		t.Errorf("check = %+v", buy.Check)
	}
	if got := time.Duration(s.Load.Search.Step); got != 10*time.Second {
		t.Errorf("step = %v", got)
	}
	if len(s.Guards) != 3 || s.Guards[2].Metric != "target.cpu" || s.Guards[2].For != 10*time.Second {
		t.Errorf("guards = %v", s.Guards)
	}
	if got := len(s.Warnings()); got != 0 {
		t.Errorf("%d warnings, want 0: %q", got, s.Warnings())
	}
}

func TestLoadFillsDefaults(t *testing.T) {
	s := mustLoad(t, `version: 1
target: {url: "http://127.0.0.1:8080/a/b?x=1"}
load: {search: {}}
`)
	want := &Scenario{
		Version: 1, Name: "test",
		Target: Target{URL: "http://127.0.0.1:8080", Timeout: Duration(10 * time.Second), MaxBody: 16 << 20,
			Requests: []Request{{Name: "/a/b", Weight: 1, Get: "/a/b?x=1"}}},
		Load: LoadSpec{Arrivals: Poisson, Warmup: Duration(3 * time.Second),
			Search: &SearchLoad{From: 50, To: 10000, Step: Duration(8 * time.Second), Budget: Duration(110 * time.Second)}},
		Objectives: []Objective{{Metric: "p99", Op: "<", Value: 250}, {Metric: "errors", Op: "<", Value: 0.01}},
		Guards:     []Guard{{Objective: Objective{Metric: "errors", Op: ">", Value: 0.5}, For: 5 * time.Second}},
		Safety:     Safety{MaxRPS: 10000},
	}
	if !reflect.DeepEqual(s, want) {
		t.Errorf("got  %+v\nwant %+v", s, want)
	}
	if s := mustLoad(t, minimal+"guards: []\n"); s.Guards == nil || len(s.Guards) != 0 {
		t.Errorf("an empty list of guards became %v", s.Guards)
	}
	if s := mustLoad(t, minimal+"safety: {max_rps: 100}\n"); s.Load.Search.From != 10 || s.Load.Search.To != 100 {
		t.Errorf("search under max_rps 100 is %+v", s.Load.Search)
	}
	closed := mustLoad(t, "version: 1\ntarget: {url: 'http://[::1]:80'}\nload: {closed: {users: 2, duration: 1s}}")
	if closed.Load.Warmup != 0 {
		t.Errorf("closed load has a warm-up of %v", closed.Load.Warmup)
	}
}

// TestLoadProblems has, for each mistake, the whole text that a person reads.
func TestLoadProblems(t *testing.T) {
	request := func(r string) string {
		return "version: 1\ntarget:\n  url: http://127.0.0.1\n  requests:\n    - " + r + "\nload: {search: {}}\n"
	}
	load := func(l string) string {
		return "version: 1\ntarget: {url: 'http://127.0.0.1'}\nload: " + l + "\n"
	}
	tests := []loadProblem{
		{"empty", "", `1:1: file is empty`},
		{"only a comment", "# hello\n", `1:1: file is empty`},
		{"two documents", minimal + "---\na: 1\n", `file holds more than one document`},
		{"no YAML", "version: 1\n  target: [", `2:1: not valid YAML`},
		{"not a mapping", "- a\n- b\n", `1:1: the scenario must be a mapping, not a list`},
		{"unknown key", minimal + "objectvies: []\n", `4:1: unknown key: "objectvies" (hint: did you mean "objectives"?)`},
		{"key elsewhere", load("{rate: 5}"), `3:8: unknown key in load: "rate" (hint: there is load.constant.rate, load.sequence[].constant.rate)`},
		{"key twice", minimal + "name: a\nname: b\n", `5:1: key is there twice: "name"`},
		{"missing", "version: 1\nload: {search: {}}\n", `1:1: target is missing (hint: add target`},
		{"null", "version: 1\ntarget:\nload: {search: {}}\n", `target has no value`},
		{"wrong version", strings.Replace(minimal, "1", "2", 1), `1:10: version must be 1: "2"`},
		{"wrong type", load("{constant: {rate: fast, duration: 1s}}"), `3:25: load.constant.rate must be a number, not text: "fast"`},
		{"quoted number", load("{constant: {rate: '5', duration: 1s}}"), `must be a number, not text`},
		{"number for text", minimal + "name: 5\n", `4:7: name must be text, not a number: "5" (hint: put it in quotes)`},
		{"fraction", load("{closed: {users: 1.5, duration: 1s}}"), `load.closed.users must be a whole number`},
		{"huge integer", load("{closed: {users: 99999999999999999999, duration: 1s}}"), `load.closed.users`},
		{"no unit", load("{constant: {rate: 5, duration: 10}}"), `3:38: load.constant.duration must be text, not a number: "10" (hint: write a number with a unit`},
		{"list for mapping", load("[search]"), `3:7: load must be a mapping, not a list`},
		{"text for list", minimal + "objectives: p99 < 5ms\n", `objectives must be a list, not text: "p99 < 5ms" (hint: write [p99 < 5ms])`},
		{"negative rate", load("{constant: {rate: -5, duration: 1s}}"), `3:25: load.constant.rate must be above 0 and at most 10000000: "-5"`},
		{"infinite rate", load("{constant: {rate: .inf, duration: 1s}}"), `must be a finite number: ".inf"`},
		{"no number", load("{constant: {rate: .nan, duration: 1s}}"), `must be a finite number`},
		{"zero duration", load("{constant: {rate: 5, duration: 0s}}"), `load.constant.duration must be above 0s and at most 744h: "0s"`},
		{"zero timeout", "version: 1\ntarget: {url: 'http://127.0.0.1', timeout: 0s}\nload: {search: {}}", `2:44: target.timeout must be above 0s`},
		{"rate above safety", load("{constant: {rate: 20000, duration: 1s}}"), `load.constant.rate is above safety.max_rps, which is 10000: "20000" (hint: raise`},
		{"no load", load("{}"), `3:7: load says no kind (hint: add one of search`},
		{"two loads", load("{search: {}, closed: {users: 1, duration: 1s}}"), `load has more than one kind: search, closed`},
		{"search upside down", load("{search: {from: 500, to: 50}}"), `3:23: load.search.from (500) must be below load.search.to (50)`},
		{"flat ramp", load("{ramp: {from: 5, to: 5, duration: 1s}}"), `load.ramp goes from 5 to 5`},
		{"no rates", load("{steps: {rates: [], duration: 1s}}"), `3:23: load.steps.rates is empty`},
		{"tight budget", load("{search: {step: 30s, budget: 60s}}"), `load.search.budget (1m) has no room for three steps of 30s`},
		{"arrivals", load("{arrivals: poison, search: {}}"), `3:18: load.arrivals: unknown arrivals: "poison" (hint: did you mean "poisson"?)`},
		{"no requests", "version: 1\ntarget: {url: 'http://127.0.0.1', requests: []}\nload: {search: {}}", `2:45: target.requests is empty`},
		{"same name", "version: 1\ntarget:\n  url: http://127.0.0.1\n  requests: [{name: a, get: /}, {name: a, get: /b}]\nload: {search: {}}", `4:40: target.requests[1].name is that of request 0 too: "a"`},
		{"no method", request("{name: a}"), `target.requests[0] has no method`},
		{"misspelt method", request("{name: a, gett: /}"), `5:17: unknown key in target.requests[0]: "gett" (hint: did you mean "get"?)`},
		{"two methods", request("{name: a, get: /, post: /}"), `5:31: target.requests[0] has more than one method: get, post`},
		{"zero weight", request("{name: a, get: /, weight: 0}"), `target.requests[0].weight must be above 0`},
		{"relative path", request("{name: a, get: items}"), `target.requests[0].get is neither a path nor a URL: "items" (hint: begin it with /`},
		{"template for host", request("{name: a, get: 'http://{{ .row.h }}/', feed: f.csv}"), `has a template in its host`},
		{"line break in header", request(`{name: a, get: /, headers: {X-A: "b\r\nX-C: d"}}`), `5:40: value of header X-A holds a line break`},
		{"header's name", request(`{name: a, get: /, headers: {"X A": b}}`), `header's name holds`},
		{"header twice", request(`{name: a, get: /, headers: {X-A: b, x-a: c}}`), `header is there twice`},
		{"header of the connection", request(`{name: a, get: /, headers: {Content-Length: "5"}}`), `belongs to the connection`},
		{"template syntax", request(`{name: a, get: "/{{ int 1 }}"}`), `template: int has the wrong arguments: "/{{ int 1 }}" (hint: write {{ int 1 1000 }})`},
		{"row without feed", request(`{name: a, get: "/{{ .row.x }}"}`), `uses a row, but the request has no feed`},
		{"two bodies", request(`{name: a, post: /, body: x, body_file: y}`), `has both body and body_file`},
		{"status", request(`{name: a, get: /, check: {status: 20}}`), `check.status must be from 100 to 599: "20"`},
		{"body check", request(`{name: a, get: /, check: {body: ok}}`), `check.body is no condition that is known: "ok" (hint: write it like contains "ok")`},
		{"bad URL", strings.Replace(minimal, "http://127", "127", 1), `is no URL: "127.0.0.1:8080" (hint: did you mean "http://127.0.0.1:8080"?)`},
		{"scheme", strings.Replace(minimal, "http", "ftp", 1), `2:15: target.url must be http or https`},
		{"port", strings.Replace(minimal, "8080", "80801", 1), `has a port outside`},
		{"unknown metric", minimal + "objectives: [p98 < 5ms]\n", `4:14: objectives[0]: unknown metric "p98": "p98 < 5ms" (hint: did you mean "p90"?)`},
		{"unknown request", minimal + "objectives: [brwose.p99 < 5ms]\n", `names the request "brwose", which is not there`},
		{"objective turned", minimal + "objectives: [p99 > 5ms]\n", `(hint: did you mean "p99 < 5ms"?)`},
		{"no objectives", minimal + "objectives: []\n", `objectives is empty`},
		{"guard's time", minimal + "guards: [errors > 5% for ever]\n", `guard's time "ever" is no time`},
		{"allow", minimal + "safety: {allow: ['http://x']}\n", `safety.allow[0] is no address`},
		{"survive", minimal + "capacity: {redundancy: {zones: 2, survive: 2}}\n", `must be from 0 to less than zones`},
		{"bytes", minimal + "name: \xff\n", `4:7: byte is no UTF-8`},
		{"merge key", minimal + "capacity: {<<: {}}\n", `merge keys are not supported`},
	}
	checkProblems(t, tests)
}

// loadProblem is a mistake and a part of the text that a person reads.
type loadProblem struct{ name, src, want string }

func checkProblems(t *testing.T, tests []loadProblem) {
	t.Helper()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Load("test.yaml", []byte(tt.src), LoadOptions{})
			if err == nil {
				t.Fatal("no error")
			}
			list := problemsIn(t, err)
			if len(list) != 1 {
				t.Errorf("%d problems, want 1:\n%v", len(list), err)
			}
			if !strings.HasPrefix(err.Error(), "test.yaml:") || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got  %s\nwant %s", err, tt.want)
			}
		})
	}
}

func TestLoadReportsEveryProblemInOrder(t *testing.T) {
	_, err := Load("test.yaml", []byte(`version: 1
nmae: x
target:
  url: http://127.0.0.1
  requests:
    - {name: a, get: /, wieght: 2}
    - {name: a, get: /b, weight: -1}
load:
  constant: {rate: -1, duration: 0s}
objectives: [p99 < 5, errors < 5]
`), LoadOptions{})
	var lines []int
	for _, p := range problemsIn(t, err) {
		lines = append(lines, p.Line)
	}
	if want := []int{2, 6, 7, 7, 9, 9, 10, 10}; !reflect.DeepEqual(lines, want) {
		t.Errorf("problems in lines %v, want %v:\n%v", lines, want, err)
	}
}

func TestLoadLimits(t *testing.T) {
	tests := map[string]struct{ src, want string }{
		"size":    {strings.Repeat("#", maxSource+1), "larger than 1MiB"},
		"depth":   {minimal + "capacity: " + strings.Repeat("[", 40) + strings.Repeat("]", 40), "nested deeper"},
		"entries": {minimal + "safety: {allow: [" + strings.Repeat("a,", maxItems+1) + "]}", "1001 entries, more than 1000"},
		"aliases": {minimal + "a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\n" +
			"c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\n", "more than 50000 values"},
		"problems": {minimal + "safety: {allow: [" + strings.Repeat("'/',", 150) + "]}", "and 50 more problems"},
		"cycle":    {"a: &a [*a]\n", "nested deeper"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Load("test.yaml", []byte(tt.src), LoadOptions{})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

func TestLoadFollowsAliases(t *testing.T) {
	s := mustLoad(t, `version: 1
target:
  url: http://127.0.0.1
  requests:
    - {name: a, get: /, headers: &h {X-A: b}}
    - {name: b, get: /, headers: *h}
load: {search: {}}
`, "target.requests[1].headers.X-A=c")
	if a, b := s.Target.Requests[0].Headers["X-A"], s.Target.Requests[1].Headers["X-A"]; a != "b" || b != "c" {
		t.Errorf("an override through an alias made %q and %q, want b and c", a, b)
	}
}

func TestSet(t *testing.T) {
	s := mustLoad(t, design(t), "load.search=", "load.constant.rate=200", "load.constant.duration=5s",
		"target.requests[0].weight=3", "target.requests[0].get=/x/{{ seq }}", "objectives=[p50 < 9ms]", "target.requests[1].feed=null", "target.requests[1].body=x")
	if s.Load.Search != nil || s.Load.Constant.Rate != 200 {
		t.Errorf("load = %+v", s.Load)
	}
	if r := s.Target.Requests[0]; r.Weight != 3 || r.Get != "/x/{{ seq }}" {
		t.Errorf("request = %+v", r)
	}
	if s.Objectives[0].String() != "p50 < 9ms" || s.Target.Requests[1].Feed.File != "" {
		t.Errorf("objectives %v, feed %q", s.Objectives, s.Target.Requests[1].Feed.File)
	}
}

func TestSetProblems(t *testing.T) {
	tests := []struct{ set, want string }{
		{"load.search.from", `--set:1:1: override is not key.path=value: "load.search.from"`},
		{"load..x=1", `override's key is not a path`},
		{"load.search.frm=1", `--set:1:1: unknown key in load.search: "frm" (hint: did you mean "from"?)`},
		{"load.search.from=-1", `--set:1:18: load.search.from must be above 0 and at most 10000000: "-1"`},
		{"load.search.from=[", `not valid YAML`},
		{"target.requests[0].name=a", `override's index is outside the list of 0`},
		{"target.requests[7]=a", `override's index is outside the list`},
		{"version.x=1", `leads into a value that has no keys`},
		{"load.constant.rate=200", `load has more than one kind: search, constant (hint: keep one; --set load.search= removes one)`},
	}
	for _, tt := range tests {
		_, err := Load("test.yaml", []byte(minimal), LoadOptions{Set: []string{tt.set}})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("--set %s\ngot  %v\nwant %s", tt.set, err, tt.want)
		}
	}
}

func TestForURL(t *testing.T) {
	s, err := ForURL("http://127.0.0.1:8080/items?a=1", []string{"p99<50ms"})
	if err != nil {
		t.Fatal(err)
	}
	if s.Name != "127.0.0.1-8080" || s.Target.URL != "http://127.0.0.1:8080" || s.Target.Requests[0].Get != "/items?a=1" {
		t.Errorf("got %+v", s)
	}
	if len(s.Objectives) != 2 || s.Objectives[1].String() != "errors < 1%" {
		t.Errorf("objectives = %v", s.Objectives)
	}
	if s, err = ForURL("http://localhost", nil); err != nil || s.Objectives[0].String() != "p99 < 250ms" || s.Load.Warmup == 0 {
		t.Errorf("%v, %+v", err, s)
	}
	if s, err = ForURL("http://localhost", []string{"errors < 2%"}); err != nil || len(s.Objectives) != 1 {
		t.Errorf("%v, %+v", err, s)
	}
	for _, raw := range []string{"", "localhost:8080", "http://", "ftp://x", "http://a b/", "http://x/#y", "http://x:0"} {
		if _, err := ForURL(raw, nil); err == nil {
			t.Errorf("ForURL(%q) has no error", raw)
		}
	}
	_, err = ForURL("http://localhost", []string{"p99<50", "p98<5ms"})
	if len(problemsIn(t, err)) < 2 || !strings.Contains(err.Error(), "--slo: ") {
		t.Errorf("bad objectives: %v", err)
	}
}

func TestValidate(t *testing.T) {
	s := &Scenario{Version: 1, Name: "x", Target: Target{URL: "http://127.0.0.1"},
		Load: LoadSpec{Constant: &ConstantLoad{Rate: 5, Duration: Duration(time.Second)}}}
	if err := s.Validate(); err != nil || s.Load.Arrivals != Poisson || len(s.Target.Requests) != 1 {
		t.Errorf("%v, %+v", err, s)
	}
	s.Load.Constant.Rate = -5
	if err := s.Validate(); err == nil || err.Error() != `load.constant.rate must be above 0 and at most 10000000: "-5"` {
		t.Errorf("got %v", err)
	}
}
