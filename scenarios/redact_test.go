package scenarios

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestRedactHeader(t *testing.T) {
	for _, tt := range []struct{ name, value, want string }{
		{"Authorization", "Bearer ${TOKEN}", "Bearer ${TOKEN}"},
		{"Authorization", "Bearer abc.def", "Bearer REDACTED"},
		{"authorization", "abc", "REDACTED"},
		{"Proxy-Authorization", "Basic dTpw", "Basic REDACTED"},
		{"Cookie", "sid=abc; user=${USER}; x", "sid=REDACTED; user=${USER};REDACTED"},
		{"X-Api-Key", "pre-${KEY}-post", "REDACTED${KEY}REDACTED"},
		{"X-Api-Key", "{{ .row.key }}{{ uuid }}", `{{ row "key" }}{{ uuid }}`},
		{"X-Api-Key", `{{ pick secret1 "secret2" }}`, "REDACTED"},
		{"X-Amz-Security-Token", "abc", "REDACTED"},
		{"X-Api-Key", "{{ broken", "REDACTED"},
		{"X-Hub-Signature-256", "sha256=abc", "REDACTED"},
	} {
		if !isSecretName(tt.name) {
			t.Errorf("%s is no secret", tt.name)
		}
		if got := redactHeader(tt.name, tt.value); got != tt.want {
			t.Errorf("%s: %s became %s, want %s", tt.name, tt.value, got, tt.want)
		}
	}
	for _, name := range []string{"Content-Type", "Accept", "X-Request-Id", "User-Agent"} {
		if isSecretName(name) {
			t.Errorf("%s is a secret", name)
		}
	}
}

// No secret that is written in a scenario comes through, wherever it may stand.
func TestYAMLHoldsNoSecret(t *testing.T) {
	const secret = "hunter2"
	s := mustLoad(t, `version: 1
target:
  url: http://user:hunter2@127.0.0.1:8080
  requests:
    - name: a
      get: http://u:hunter2@127.0.0.1/x?api_key=hunter2&q=shoes&token=${T}
      query: {api_token: hunter2, size: "5"}
      multipart: [{name: password, value: hunter2}]
      headers: {Authorization: Bearer hunter2, Cookie: sid=hunter2, X-Api-Key: hunter2, X-Auth-Token: hunter2, Accept: text/html}
    - {name: b, get: /, cookies: {any: hunter2, other: "${T}"}}
  proxy: http://u:hunter2@127.0.0.1:3128
load: {search: {}}
profiles: {pprof: "http://u:hunter2@127.0.0.1/debug/pprof", pyroscope: {url: "http://hunter2@127.0.0.1", service: x}}
resources: {metrics: "http://127.0.0.1/metrics?secret=hunter2", prometheus: "http://u:hunter2@127.0.0.1"}
`)
	before := s.Target.Requests[0].Headers["Authorization"]
	text, err := s.YAML()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), secret) {
		t.Errorf("the secret is in\n%s", text)
	}
	for _, keep := range []string{"q=shoes", "size: \"5\"", "other: ${T}", "token=${T}", "text/html"} {
		if !strings.Contains(string(text), keep) {
			t.Errorf("%s is gone from\n%s", keep, text)
		}
	}
	if s.Target.Requests[0].Headers["Authorization"] != before {
		t.Error("the scenario itself was changed")
	}
	if _, err := Load("test.yaml", text, LoadOptions{}); err != nil {
		t.Errorf("what was written cannot be read: %v\n%s", err, text)
	}
}

// A problem must not print a secret either.
func TestProblemsHoldNoSecret(t *testing.T) {
	for _, header := range []string{`Authorization: "hunter2\r\n"`, `X-Api-Key: "hunter2{{"`, `Cookie: [hunter2]`, `X-Token: 1234567`} {
		_, err := Load("t", []byte(withRequests("[{name: a, get: /, headers: {"+header+"}}]")), LoadOptions{})
		if err == nil || strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "1234567") {
			t.Errorf("%s: %v", header, err)
		}
	}
	_, err := ForURL("http://u:hunter2@127.0.0.1:99999/", nil)
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
}

// What YAML writes, Load reads as the same scenario, and canonically: writing it
// again gives the same text.
func TestYAMLRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := genScenario().Draw(t, "scenario")
		if err := s.Validate(); err != nil {
			t.Fatalf("the generated scenario is not valid: %v", err)
		}
		checkRoundTrip(t, s)
	})
}

func checkRoundTrip(t interface{ Fatalf(string, ...any) }, s *Scenario) {
	text, err := s.YAML()
	if err != nil {
		t.Fatalf("write: %v", err)
	}
	back, err := Load("test.yaml", text, LoadOptions{})
	if err != nil {
		t.Fatalf("read back: %v\n%s", err, text)
	}
	if want := s.Redacted(); !reflect.DeepEqual(back, want) {
		t.Fatalf("got  %+v\nwant %+v\n%s", back, want, text)
	}
	again, err := back.YAML()
	if err != nil || string(again) != string(text) {
		t.Fatalf("the second text differs (%v):\n%s\n%s", err, text, again)
	}
}

func genScenario() *rapid.Generator[*Scenario] {
	// Texts that YAML might take for something else.
	awkward := rapid.SampledFrom([]string{"x", "null", "~", "5", "true", "- a", "a: b", "# no", "{{ seq }}", "${A}", "'", `"`, "a\nb\n", " x ", "\t", "ü€", "{a", "[", "*a", "&a", "!x", "%", "@", "a #b", "0x1", "2024-01-01", "<<", "=", "\\", "\x7f", "\u2028"})
	path := rapid.SampledFrom([]string{"/", "/a b", "/{{ int 1 9 }}", "/x?y={{ pick a \"b, c\" }}&z=1", "http://h/{{ seq }}", "/${A}", "/null"})
	return rapid.Custom(func(t *rapid.T) *Scenario {
		d := func(label string) Duration { return Duration(rapid.Int64Range(1, 1e15).Draw(t, label)) }
		rate := func(label string) float64 { return rapid.Float64Range(0.001, 1000).Draw(t, label) }
		s := &Scenario{Version: 1, Name: rapid.StringMatching(`[a-zA-Z0-9][a-zA-Z0-9._-]{0,20}[a-zA-Z0-9]`).Draw(t, "name")}
		s.Target = Target{URL: rapid.SampledFrom([]string{"http://127.0.0.1", "https://[::1]:8443/base"}).Draw(t, "url"), Connections: rapid.IntRange(0, 9).Draw(t, "connections")}
		names := []string{""}
		for i := range rapid.IntRange(1, 3).Draw(t, "requests") {
			r := Request{Name: []string{"null", "b.c d", "5"}[i], Weight: rate("weight"), Post: path.Draw(t, "path"), Body: awkward.Draw(t, "body")}
			if value := awkward.Draw(t, "header"); !badHeaderValue(value) {
				r.Headers = map[string]string{"X-A": value, "null": "x", "5": "5"}
			}
			genExtras(t, &r, awkward)
			names = append(names, r.Name)
			s.Target.Requests = append(s.Target.Requests, r)
		}
		if rapid.Bool().Draw(t, "flow") {
			s.Target.Flow, s.Target.Requests = s.Target.Requests, nil
			for i := range s.Target.Flow {
				s.Target.Flow[i].Weight = 0
				s.Target.Flow[i].Capture = map[string]string{"null": "json a[0]", "y": `matches "x"`}
			}
			s.Target.TLS = &TLS{Insecure: true}
			s.Target.Proxy = "http://127.0.0.1:3128"
			s.Target.Redirects = rapid.SampledFrom([]Redirects{"", "no", "follow 5"}).Draw(t, "redirects")
			s.Target.Protocol = rapid.SampledFrom([]Protocol{"", HTTP1}).Draw(t, "protocol")
		}
		switch rapid.IntRange(0, 8).Draw(t, "kind") {
		case 0:
			from := rate("from")
			s.Load.Search = &SearchLoad{From: from, To: from + rate("to"), Step: 1e9, Budget: d("budget") + 3e9}
		case 1:
			s.Load.Constant = &ConstantLoad{Rate: rate("rate"), Duration: d("duration")}
		case 2:
			s.Load.Steps = &StepsLoad{Rates: rapid.SliceOfN(rapid.Float64Range(0.1, 100), 1, 4).Draw(t, "rates"), Duration: d("duration")}
		case 3:
			s.Load.Ramp = &RampLoad{From: rate("from"), To: 0, Duration: d("duration")}
		case 4:
			s.Load.Closed = &ClosedLoad{Users: rapid.IntRange(1, 99).Draw(t, "users"), Think: d("think"), Duration: d("duration")}
		case 5:
			base, at, lasts := rate("base"), d("at"), d("lasts")
			s.Load.Spike = &SpikeLoad{Base: base, Peak: base + rate("peak"), At: at, Lasts: lasts, Duration: at + lasts + d("rest")/10}
		case 6:
			mean := rate("mean")
			s.Load.Sine = &SineLoad{Mean: mean, Amplitude: mean * rapid.Float64Range(0.01, 1).Draw(t, "amplitude"), Period: d("period") + 1e6, Duration: d("duration")}
		case 7:
			s.Load.Replay = &ReplayLoad{File: awkward.Draw(t, "file"), Speed: rapid.Float64Range(0.01, 100).Draw(t, "speed")}
		case 8:
			s.Load.Sequence = []SequencePart{{Constant: &ConstantLoad{Rate: rate("rate"), Duration: d("duration")}},
				{Warmup: d("warmup"), Replay: &ReplayLoad{File: "a.log", Speed: 1}}, {Ramp: &RampLoad{To: rate("to"), Duration: d("duration")}}}
		}
		if s.Load.Closed == nil {
			s.Load.Warmup = rapid.SampledFrom([]Duration{0, 1e9}).Draw(t, "warmup")
		}
		s.Load.Seed = rapid.Uint64().Draw(t, "seed")
		s.Objectives = rapid.SliceOfN(genObjective(names), 1, 3).Draw(t, "objectives")
		s.Guards = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Guard {
			o := genObjective(names).Draw(t, "condition")
			o.Op = map[string]string{"<": ">", ">": "<"}[o.Op]
			return Guard{Objective: o, For: time.Duration(rapid.Int64Range(0, 1e15).Draw(t, "for"))}
		}), 0, 3).Draw(t, "guards")
		return s
	})
}

// genExtras draws the keys of a request that are rarer.
func genExtras(t *rapid.T, r *Request, awkward *rapid.Generator[string]) {
	if text := awkward.Draw(t, "cookie"); !badCookieValue(text) && rapid.Bool().Draw(t, "cookies") {
		// A cookie's literal value is redacted, so that it does not come back.
		r.Cookies = map[string]string{"null": "{{ uuid }}", "5": "${A}"}
		r.Query = map[string]string{"null": text, "q": "5"}
	}
	reuse := rapid.Bool().Draw(t, "reuse")
	r.Feed = rapid.SampledFrom([]Feed{{}, {File: "null"}, {File: "a.json", Reuse: &reuse}}).Draw(t, "feed")
	r.Timeout = rapid.SampledFrom([]Duration{0, 1e9}).Draw(t, "timeout")
	r.Check = rapid.SampledFrom([]Check{
		{}, {Status: Statuses{{200, 200}}}, {Status: Statuses{{200, 299}}}, {Status: Statuses{{200, 204}, {304, 304}}},
		{Headers: map[string]string{"null": "exists"}, Body: `not is "x" and contains "# y"`, JSON: map[string]string{"$": "== null", "null": "absent"}},
	}).Draw(t, "check")
	if rapid.Bool().Draw(t, "form") {
		r.Body = ""
		r.Multipart = []Part{{Name: "null", Value: awkward.Draw(t, "value")}, {Name: "f", File: "5", Filename: "~", Type: "true"}}
	} else if rapid.Bool().Draw(t, "file") {
		r.Body, r.BodyFile, r.Template = "", "x", true
	}
}
