package scenarios

import (
	"strings"
	"testing"
)

const sourcesHead = "version: 1\ntarget: {url: http://127.0.0.1:8080}\nload: {search: {}}\n"

func TestSources(t *testing.T) {
	s := mustLoad(t, sourcesHead+`
profiles:
  pyroscope: {url: "http://127.0.0.1:4040", service: shop, labels: {region: eu}, tenant: a, auth: "Bearer ${T}", interval: 5s}
  receive: {service: shop, labels: {pod: web-1}}
  push: {url: "http://u:hunter2@127.0.0.1:4040", service: shop-drills, auth: Basic me:hunter2}
  baggage: true
resources:
  prometheus:
    url: http://hunter2@127.0.0.1:9090
    match: job="shop", zone=~"a|b"
    sets: [process, node]
    interval: 15s
    auth: Bearer hunter2
    queries:
    - {name: pool.db, used: 'sum(rate(busy{$match}[$window]))', limit: "12", unit: slots}
`)
	if p := s.Resources.Prometheus; p.Queries[0].Limit != "12" || p.Match != `job="shop", zone=~"a|b"` || !s.Profiles.Baggage || s.Profiles.Pyroscope.Labels["region"] != "eu" {
		t.Errorf("loaded %+v", s)
	}
	text, err := s.YAML()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "hunter2") || !strings.Contains(string(text), "Bearer ${T}") {
		t.Errorf("redacted:\n%s", text)
	}
	if again := mustLoad(t, string(text)); len(again.Resources.Prometheus.Queries) != 1 || again.Profiles.Receive.Labels["pod"] != "web-1" {
		t.Errorf("read back: %+v and %+v", again.Resources.Prometheus, again.Profiles.Receive)
	}
	if short := mustLoad(t, sourcesHead+"resources: {prometheus: http://127.0.0.1:9090}\n"); short.Resources.Prometheus.URL != "http://127.0.0.1:9090" {
		t.Errorf("the short form: %+v", short.Resources.Prometheus)
	} else if text, _ := short.YAML(); !strings.Contains(string(text), "prometheus: http://127.0.0.1:9090\n") {
		t.Errorf("the short form is not kept:\n%s", text)
	}
}

func TestSourceMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"resources: {prometheus: 9090}":                                                                 "resources.prometheus must be text",
		"resources: {prometheus: nowhere}":                                                              "has no scheme",
		"resources: {prometheus: {match: x}}":                                                           "resources.prometheus.url is missing",
		"resources: {prometheus: {url: 'http://x', sets: [prozess]}}":                                   "did you mean",
		"resources: {prometheus: {url: 'http://x', match: '{a=\"b\"}'}}":                                "without braces",
		"resources: {prometheus: {url: 'http://x', auth: hunter2}}":                                     "no authorization",
		"resources: {prometheus: {url: 'http://x', interval: 0s}}":                                      "interval must be above 0s",
		"resources: {prometheus: {url: 'http://x', queries: [{name: A, used: x}]}}":                     "small letters",
		"resources: {prometheus: {url: 'http://x', queries: [{name: a, used: ''}]}}":                    "used must be a query",
		"resources: {prometheus: {url: 'http://x', queries: [{name: a, used: x, unit: mb}]}}":           "no unit",
		"resources: {prometheus: {url: 'http://x', queries: [{name: a, used: x}, {name: a, used: x}]}}": "there twice",
		"resources: {prometheus: {url: 'http://x', query: []}}":                                         "unknown key",
		"profiles: {pyroscope: {url: 'http://x'}}":                                                      "service is missing",
		"profiles: {pyroscope: {url: 'http://x', service: a, labels: {'a b': c}}}":                      "no label name",
		"profiles: {pyroscope: {url: 'http://x', service: a, tenant: 'a b'}}":                           "without spaces",
		"profiles: {receive: {}}":                                                                       "service is missing",
		"profiles: {receive: {service: ''}}":                                                            "service is empty",
		"profiles: {receive: {service: a, labels: {'a b': c}}}":                                         "no label name",
		"profiles: {push: {url: x}}":                                                                    "profiles.push.url",
		"profiles: {push: {url: 'http://x', auth: hunter2}}":                                            "no authorization",
		"profiles: {baggage: perhaps}":                                                                  "must be true or false",
	} {
		_, err := Load("x.yaml", []byte(sourcesHead+text+"\n"), LoadOptions{})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
