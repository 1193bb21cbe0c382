package scenarios

import (
	"slices"
	"strings"
	"testing"
)

func TestProfilesOfSeveralInstances(t *testing.T) {
	const head = "version: 1\ntarget: {url: http://127.0.0.1:8080}\nload: {search: {}}\nprofiles: "
	for src, want := range map[string][]string{
		`{pprof: "http://127.0.0.1:6060/debug/pprof"}`:                                     {"http://127.0.0.1:6060/debug/pprof"},
		`{pprof: [http://127.0.0.1:6060/p, http://127.0.0.1:6061/p], types: [cpu, trace]}`: {"http://127.0.0.1:6060/p", "http://127.0.0.1:6061/p"},
		`{pprof: none}`: {"none"},
	} {
		s := mustLoad(t, head+src+"\n")
		if !slices.Equal(s.Profiles.Pprof, want) || s.Profiles.Pprof.None() != (want[0] == "none") {
			t.Errorf("%s: %v", src, s.Profiles.Pprof)
		}
		text, err := s.YAML()
		if err != nil {
			t.Fatal(err)
		}
		if again := mustLoad(t, string(text)); !slices.Equal(again.Profiles.Pprof, want) || !slices.Equal(again.Profiles.Types, s.Profiles.Types) {
			t.Errorf("%s: read back as %+v", src, again.Profiles)
		}
		instance, err := instance(head + src + "\n")
		if err != nil || compiledSchema(t).Validate(instance) != nil {
			t.Errorf("%s: the schema refuses it: %v", src, compiledSchema(t).Validate(instance))
		}
	}
	for src, want := range map[string]string{
		`{pprof: []}`: "from 1 to 64",
		`{pprof: [http://127.0.0.1:6060/p, none]}`: "profiles.pprof[1]",
		`{pprof: {url: x}}`:                        "must be text",
		`{types: []}`:                              "profiles.types is empty",
		`{types: [cpu, cpus]}`:                     "cpus",
		`{types: [cpu, cpu]}`:                      "twice",
		`{auth: hunter2}`:                          "is no authorization",
		`{auth: Digest hunter2}`:                   "is no authorization",
	} {
		_, err := Load("x.yaml", []byte(head+src+"\n"), LoadOptions{})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want one about %q and no secret", src, err, want)
		}
	}
}

func TestAuthorization(t *testing.T) {
	env := func(name string) (string, bool) {
		v, ok := map[string]string{"T": "abc.def", "P": "hunter2", "BAD": "a\nb"}[name]
		return v, ok
	}
	for text, want := range map[string]string{
		"":                           "",
		"Bearer ${T}":                "Bearer abc.def",
		"Basic alice:${P}":           "Basic YWxpY2U6aHVudGVyMg==",
		"basic YWxpY2U6aHVudGVyMg==": "basic YWxpY2U6aHVudGVyMg==",
	} {
		if got, err := Authorization(text, env); err != nil || got != want {
			t.Errorf("%q: %q, %v; want %q", text, got, err, want)
		}
	}
	for text, want := range map[string]string{"Bearer ${NO}": `"NO"`, "Bearer ${BAD}": "character", "${T}": "no authorization"} {
		if _, err := Authorization(text, env); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want one about %s", text, err, want)
		}
	}
}

func TestAuthorizationIsRedacted(t *testing.T) {
	s := mustLoad(t, "version: 1\ntarget: {url: http://127.0.0.1:8080}\nload: {search: {}}\nprofiles: {auth: Bearer hunter2}\n")
	text, err := s.YAML()
	if err != nil || strings.Contains(string(text), "hunter2") || !strings.Contains(string(text), "Bearer REDACTED") {
		t.Errorf("%v\n%s", err, text)
	}
	if again := mustLoad(t, string(text)); again.Profiles.Auth != "Bearer REDACTED" {
		t.Errorf("read back as %q", again.Profiles.Auth)
	}
}
