package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/headroom-project/headroom"

// stages lists, for each folder, which of our folders it may import besides its
// own subfolders: only those before it on the way of the data.
var stages = map[string][]string{
	"scenarios":            {},
	"scenarios/demo":       {},
	"scenarios/importer":   {"scenarios", "scenarios/recording"},
	"scenarios/recording":  {},
	"loadgen/observation":  {},
	"loadgen/attack":       {"scenarios", "loadgen/observation", "loadgen/responder"},
	"loadgen/responder":    {},
	"loadgen/search":       {"scenarios", "loadgen/observation"},
	"loadgen":              {"scenarios", "scenarios/demo", "loadgen/observation", "loadgen/attack", "loadgen/search"},
	"loadgen/engine":       {},
	"loadgen/bus":          {"scenarios", "loadgen", "loadgen/observation", "loadgen/search", "loadgen/attack", "loadgen/engine", "loadgen/responder"},
	"profiler":             {"loadgen/observation"},
	"profiler/pprofhttp":   {},
	"profiler/pyroscope":   {"loadgen/observation", "profiler"},
	"profiler/resources":   {"loadgen/observation"},
	"capacity":             {"scenarios", "loadgen/observation", "loadgen/search"},
	"capacity/table":       {"scenarios", "loadgen/observation"},
	"capacity/importer":    {"scenarios", "loadgen/observation", "loadgen/attack/recorded", "loadgen/attack/recorded/recordedtest", "capacity/table"},
	"capacity/erlang":      {},
	"capacity/planning":    {"scenarios", "capacity", "capacity/erlang"},
	"capacity/scaleout":    {"capacity"},
	"capacity/attribution": {"scenarios", "loadgen/observation"},
	"capacity/forecast":    {"capacity/table"},
	"reports":              {"scenarios", "loadgen", "loadgen/search", "loadgen/observation", "profiler", "capacity", "capacity/planning", "capacity/scaleout", "capacity/forecast", "capacity/attribution", "capacity/table"},
	"cmd/headroom":         {"*"},
}

// only says which packages of others have one importer.
var only = map[string]string{
	"github.com/tsenart/vegeta/":      "loadgen/attack",
	"gonum.org/":                      "capacity",
	"github.com/nats-io/nats-server/": "loadgen/engine",
	"github.com/nats-io/nkeys/":       "loadgen/engine",
	"github.com/nats-io/jwt/":         "loadgen/engine",
	"github.com/chromedp/":            "reports",
}

func TestImportsRunTheWayOfTheData(t *testing.T) {
	seen := map[string]bool{}
	eachImport(t, func(folder, file, imported string) {
		own, ours := strings.CutPrefix(imported, module+"/")
		if !ours {
			return
		}
		stage := stageOf(folder)
		if stage == "" {
			t.Errorf("%s: folder %s is no stage; add it to the list", file, folder)
			return
		}
		seen[stage] = true
		if !allowed(stage, own) {
			t.Errorf("%s imports %s, which is not before %s on the way of the data", file, own, stage)
		}
	})
	for stage := range stages {
		if len(stages[stage]) > 0 && !seen[stage] {
			t.Errorf("stage %s imports nothing of ours: is the list up to date?", stage)
		}
	}
}

func TestImportsOfOthersHaveOnePlace(t *testing.T) {
	eachImport(t, func(folder, file, imported string) {
		for prefix, place := range only {
			if strings.HasPrefix(imported+"/", prefix) && folder != place && !strings.HasPrefix(folder, place+"/") {
				t.Errorf("%s imports %s, which only %s may", file, imported, place)
			}
		}
	})
}

// stageOf is the longest folder in the list that holds folder.
func stageOf(folder string) string {
	for f := folder; f != "."; f = path.Dir(f) {
		if _, ok := stages[f]; ok {
			return f
		}
	}
	return ""
}

// allowed says whether stage may import own: itself, the stages in its own
// subfolders, and those that the list names.
func allowed(stage, own string) bool {
	if own == stage || strings.HasPrefix(own, stage+"/") {
		return true
	}
	for _, ok := range stages[stage] {
		if ok == "*" || own == ok {
			return true
		}
	}
	return false
}

func eachImport(t *testing.T, do func(folder, file, imported string)) {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	files := 0
	err = filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && (name == "node_modules" || name == "testdata" || strings.HasPrefix(name, ".") && p != root) {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") {
			return nil
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), p, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		files++
		for _, i := range parsed.Imports {
			imported, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			do(path.Dir(filepath.ToSlash(rel)), filepath.ToSlash(rel), imported)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 50 {
		t.Fatalf("looked at %d files only: is %s the repository?", files, root)
	}
}
