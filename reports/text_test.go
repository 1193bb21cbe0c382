package reports

import (
	"bytes"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, got) {
		t.Errorf("%s differs; if that is meant, run go test ./reports -update\ngot:\n%s\nwant:\n%s", file, got, want)
	}
}

func rendered(t *testing.T, write func(io.Writer, *Run) error, r *Run) string {
	t.Helper()
	var b bytes.Buffer
	if err := write(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func text(opt TextOptions) func(io.Writer, *Run) error {
	return func(w io.Writer, r *Run) error { return Text(w, r, opt) }
}

var goldenRuns = []string{"pool", "minimal", "closed", "invalid", "below", "guard", "ambiguous", "hostile"}

func TestTextGolden(t *testing.T) {
	for _, name := range goldenRuns {
		golden(t, name+".txt", []byte(rendered(t, text(TextOptions{Width: 100}), variants()[name])))
	}
	golden(t, "pool.narrow.txt", []byte(rendered(t, text(TextOptions{Width: 50}), sampleRun())))
	golden(t, "pool.color.txt", []byte(rendered(t, text(TextOptions{Color: true}), sampleRun())))
}

func TestMarkdownGolden(t *testing.T) {
	for _, name := range goldenRuns {
		golden(t, name+".md", []byte(rendered(t, Markdown, variants()[name])))
	}
}

// Lines are never wider than asked, apart from words that cannot be broken.
func TestTextKeepsToItsWidth(t *testing.T) {
	for name, r := range variants() {
		if name == "hostile" {
			continue // its words are longer than any line
		}
		for _, width := range []int{60, 80, 120} {
			for _, line := range strings.Split(rendered(t, text(TextOptions{Width: width}), r), "\n") {
				if utf8.RuneCountInString(line) > width {
					t.Errorf("%s at %d columns: %q", name, width, line)
				}
			}
		}
	}
}

func TestTextLetsNoControlCharacterThrough(t *testing.T) {
	for _, opt := range []TextOptions{{}, {Width: 40}} {
		for _, c := range rendered(t, text(opt), hostileRun()) {
			if c != '\n' && (unicode.IsControl(c) || unicode.Is(unicode.Cf, c)) {
				t.Fatalf("control character %U in the text", c)
			}
		}
	}
}

// Outside of what Markdown itself writes, nothing of the attack is left that
// could be markup.
func TestMarkdownEscapesEverything(t *testing.T) {
	got := rendered(t, Markdown, hostileRun())
	for _, live := range []string{"<script", "<img", "<!--", "</script", "@everyone", "http://", "[x](", "\x1b", "\u202e"} {
		if strings.Contains(got, live) {
			t.Errorf("%q is live in the comment", live)
		}
	}
	for _, line := range strings.Split(got, "\n") {
		if strings.HasPrefix(line, "# h") {
			t.Error("a string of the run began a line of its own")
		}
	}
}

// Hosts of pull requests refuse longer comments.
func TestMarkdownOfHugeRunFitsAComment(t *testing.T) {
	if n := len(rendered(t, Markdown, hugeRun())); n > 65000 {
		t.Errorf("%d bytes are too many for a comment", n)
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, os.ErrClosed }

func TestViewsReportWhatTheyCannotWrite(t *testing.T) {
	for name, view := range map[string]func(io.Writer, *Run) error{"text": text(TextOptions{}), "markdown": Markdown, "html": HTML, "json": JSON} {
		if err := view(failing{}, sampleRun()); err == nil {
			t.Errorf("%s swallows the error of its writer", name)
		}
		if err := view(io.Discard, nil); err == nil {
			t.Errorf("%s shows a run that is not there", name)
		}
	}
}
