package scenarios

import (
	"strings"
	"testing"
)

func TestLibrary(t *testing.T) {
	entries := Library()
	if len(entries) < 5 {
		t.Fatalf("%d entries", len(entries))
	}
	for _, e := range entries {
		src, err := LibraryFile(e.Name)
		if err != nil {
			t.Fatal(err)
		}
		s, err := Load(e.Name+".yaml", src, LoadOptions{})
		if err != nil {
			t.Errorf("%s: %v", e.Name, err)
			continue
		}
		if s.Name != e.Name || len(e.Summary) < 20 || strings.Contains(e.Summary, "\n") {
			t.Errorf("%s is named %s, summary %q", e.Name, s.Name, e.Summary)
		}
		if w := s.Warnings(); len(w) > 0 {
			t.Errorf("%s warns: %v", e.Name, w)
		}
		if _, err := Compile(s); err != nil {
			t.Errorf("%s: %v", e.Name, err)
		}
		if _, err := CompileRequests(s, Inputs{}); err != nil {
			t.Errorf("%s: %v", e.Name, err)
		}
		checkRoundTrip(t, s)
	}
	if _, err := LibraryFile("rmap"); err == nil || !strings.Contains(err.Error(), `did you mean "ramp"?`) {
		t.Errorf("got %v", err)
	}
	if _, err := LibraryFile("../library/ramp"); err == nil {
		t.Error("a path was taken for a name")
	}
}
