package scenarios

import (
	"embed"
	"strings"
)

//go:embed library/*.yaml
var library embed.FS

// LibraryEntry is a scenario that comes with Headroom, to start from.
type LibraryEntry struct {
	Name string `json:"name"`
	// Summary is the comment at the top of the file, in one line.
	Summary string `json:"summary"`
}

// Library lists the scenarios that come with Headroom, by name.
func Library() []LibraryEntry {
	files, err := library.ReadDir("library")
	if err != nil {
		panic("scenarios: the embedded library is gone: " + err.Error())
	}
	var entries []LibraryEntry
	for _, f := range files {
		name := strings.TrimSuffix(f.Name(), ".yaml")
		src, _ := library.ReadFile("library/" + f.Name())
		entries = append(entries, LibraryEntry{Name: name, Summary: summary(string(src))})
	}
	return entries
}

// LibraryFile is the text of the scenario with a name that Library lists.
func LibraryFile(name string) ([]byte, error) {
	src, err := library.ReadFile("library/" + name + ".yaml")
	if err != nil || strings.ContainsAny(name, `/\`) {
		var names []string
		for _, e := range Library() {
			names = append(names, e.Name)
		}
		return nil, hinted(suggest(name, names), "no scenario is named %q", name)
	}
	return src, nil
}

// summary joins the comment lines at the top of a file.
func summary(src string) string {
	var words []string
	for line := range strings.Lines(src) {
		text, comment := strings.CutPrefix(line, "#")
		if !comment {
			break
		}
		words = append(words, strings.TrimSpace(text))
	}
	return strings.Join(words, " ")
}

// Warnings names the keys that are accepted but not acted upon by this version,
// with what that means: none at present.
func (s *Scenario) Warnings() []string { return nil }
