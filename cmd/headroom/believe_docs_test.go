package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// quoted are the words of the tool on the page about what not to believe: what stands in
// quotes in the first column of its tables.
func quoted(t *testing.T) []string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "docs", "when-not-to-believe.md"))
	if err != nil {
		t.Fatal(err)
	}
	words := regexp.MustCompile(`"([^"]+)"`)
	var out []string
	for line := range strings.Lines(string(b)) {
		if first, ok := strings.CutPrefix(line, "| "); ok {
			first, _, _ = strings.Cut(first, " | ")
			for _, m := range words.FindAllStringSubmatch(first, -1) {
				out = append(out, m[1])
			}
		}
	}
	return out
}

// spoken are the string literals of the packages below a folder, and those of them that are
// given to warn, add or invalid.
func spoken(t *testing.T, folder string) (all, warned []string) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join("..", "..", folder), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if x, ok := n.(*ast.BasicLit); ok && x.Kind == token.STRING {
				if text, err := strconv.Unquote(x.Value); err == nil {
					all = append(all, text)
				}
			}
			if x, ok := n.(*ast.CallExpr); ok {
				if text, ok := saidBy(x); ok && filepath.Dir(path) == filepath.Join("..", "..", folder) {
					warned = append(warned, text)
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all, warned
}

// saidBy is the text that a call of warn, add or invalid says; of those with a verb alone
// the text is elsewhere.
func saidBy(x *ast.CallExpr) (text string, ok bool) {
	name := ""
	switch f := x.Fun.(type) {
	case *ast.Ident:
		name = f.Name
	case *ast.SelectorExpr:
		name = f.Sel.Name
	}
	if len(x.Args) == 0 || !slices.Contains([]string{"warn", "add", "invalid"}, name) {
		return "", false
	}
	first := x.Args[0]
	if call, is := first.(*ast.CallExpr); is && len(call.Args) > 0 { // fmt.Sprintf
		first = call.Args[0]
	}
	literal, is := first.(*ast.BasicLit)
	if !is || literal.Kind != token.STRING {
		return "", false
	}
	text, err := strconv.Unquote(literal.Value)
	return text, err == nil && strings.Contains(text, " ")
}

// The page quotes what the tool says, and has every warning of the model and of a report.
func TestEveryWarningIsOnThePage(t *testing.T) {
	page := quoted(t)
	if len(page) < 60 {
		t.Fatalf("%d quotations: is the page read as it is written?", len(page))
	}
	var all []string
	for _, folder := range []string{"capacity", "loadgen", "profiler", "reports"} {
		said, _ := spoken(t, folder)
		all = append(all, said...)
	}
	for _, words := range page {
		if !slices.ContainsFunc(all, func(text string) bool { return strings.Contains(text, words) }) {
			t.Errorf("the page quotes %q, which nothing says", words)
		}
	}
	_, model := spoken(t, "capacity")
	_, report := spoken(t, "reports")
	_, step := spoken(t, "loadgen")
	for _, text := range slices.Concat(model, report, step) {
		// What is missing, and how it was measured, is no warning.
		if slices.ContainsFunc(page, func(words string) bool { return strings.Contains(text, words) }) || strings.HasPrefix(text, "%s: %") || strings.HasSuffix(text, ".") {
			continue
		}
		t.Errorf("nothing is on the page about %q", text)
	}
}
