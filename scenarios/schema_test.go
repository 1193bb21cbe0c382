package scenarios

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"
)

func compiledSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	text, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("scenario.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("scenario.json") // checks it against its metaschema too
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// instance is what an editor makes of a scenario file.
func instance(src string) (any, error) {
	var v any
	if err := yaml.Unmarshal([]byte(mask(src)), &v); err != nil {
		return nil, err
	}
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return jsonschema.UnmarshalJSON(strings.NewReader(unmask(string(text))))
}

func TestSchemaAcceptsScenarios(t *testing.T) {
	schema := compiledSchema(t)
	sources := map[string]string{"design": design(t), "minimal": minimal, "no guards": minimal + "guards: []\n"}
	for _, e := range Library() {
		src, err := LibraryFile(e.Name)
		if err != nil {
			t.Fatal(err)
		}
		sources[e.Name] = string(src)
	}
	for name, src := range sources {
		v, err := instance(src)
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(v); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		s := genScenario().Draw(t, "scenario")
		if err := s.Validate(); err != nil {
			t.Fatal(err)
		}
		text, err := s.YAML()
		if err != nil {
			t.Fatal(err)
		}
		v, err := instance(string(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(v); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
	})
}

// The schema and Load refuse the same mistakes of structure.
func TestSchemaRejectsWhatLoadRejects(t *testing.T) {
	schema := compiledSchema(t)
	target := "version: 1\ntarget: {url: 'http://127.0.0.1'}\n"
	requests := func(r string) string { return strings.Replace(minimal, `8080"`, `8080", requests: `+r, 1) }
	for _, src := range []string{
		"[]", "version: 1\n", strings.Replace(minimal, "version: 1", "version: 2", 1),
		minimal + "objectvies: []\n", minimal + "name: 5\n", minimal + "objectives: []\n", minimal + "objectives: p99 < 5ms\n", minimal + "objectives: [p99]\n",
		minimal + "capacity: {demand: {}}\n", minimal + "resources: {process: -1}\n", minimal + "safety: {max_rps: fast}\n",
		target + "load: {}\n", target + "load: {search: {}, ramp: {from: 1, to: 2, duration: 1s}}\n", target + "load: {constant: {rate: 5}}\n",
		target + "load: {constant: {rate: 5, duration: 5}}\n", target + "load: {constant: {rate: -5, duration: 5s}}\n", target + "load: {constant: {rate: 5, duration: soon}}\n",
		target + "load: {steps: {rates: [], duration: 1s}}\n", target + "load: {search: {}, arrivals: steady}\n", target + "load: {sequence: []}\n", target + "load: {sequence: [{}]}\n", target + "load: {sequence: [{search: {}}]}\n", target + "load: {spike: {base: 1, peak: 2}}\n", target + "load:\n",
		target + "load: {closed: {users: 1.5, duration: 1s}}\n",
		requests("[]"), requests("[{name: a}]"), requests("[{get: /}]"), requests("[{name: a, get: /, post: /}]"), requests("[{name: a, get: /, weight: 0}]"),
		requests("[{name: a, get: /, headers: {X: 5}}]"), requests("[{name: a, get: /, check: {state: 5}}]"),
		requests("[{name: a, get: /, check: {status: 99}}]"), requests("[{name: a, get: /, check: {status: [6xx]}}]"), requests("[{name: a, get: /, feed: {reuse: true}}]"),
		requests("[{name: a, get: /, feed: 5}]"), requests("[{name: a, get: /, multipart: [{value: x}]}]"), requests("[{name: a, get: /, redirects: 5}]"), requests("[{name: a, get: /, template: 'true'}]"),
		strings.Replace(minimal, `8080"`, `8080", flow: []`, 1), strings.Replace(minimal, `8080"`, `8080", protocol: spdy`, 1), strings.Replace(minimal, `8080"`, `8080", tls: {insecure: 1}`, 1),
		strings.Replace(minimal, `8080"`, `8080", max_body: 5`, 1),
	} {
		if _, err := Load("test.yaml", []byte(src), LoadOptions{}); err == nil {
			t.Errorf("Load accepts\n%s", src)
		}
		v, err := instance(src)
		if err != nil {
			t.Fatal(err)
		}
		if schema.Validate(v) == nil {
			t.Errorf("the schema accepts\n%s", src)
		}
	}
}

// Every key is described, so that an editor can explain it.
func TestSchemaDescribesKeys(t *testing.T) {
	text, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	type object struct {
		Description string                     `json:"description"`
		Properties  map[string]json.RawMessage `json:"properties"`
		Defs        map[string]json.RawMessage `json:"$defs"`
		Ref         string                     `json:"$ref"`
	}
	var root object
	if err := json.Unmarshal(text, &root); err != nil {
		t.Fatal(err)
	}
	check := func(name string, raw json.RawMessage) {
		var o object
		if err := json.Unmarshal(raw, &o); err != nil {
			t.Fatal(err)
		}
		if o.Description == "" {
			t.Errorf("%s has no description", name)
		}
		for key, raw := range o.Properties {
			var p object
			if err := json.Unmarshal(raw, &p); err != nil || p.Description == "" && p.Ref == "" {
				t.Errorf("%s.%s has no description (%v)", name, key, err)
			}
		}
	}
	check("Scenario", text)
	for name, raw := range root.Defs {
		check(name, raw)
	}
}
