package scenarios

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// hintedError is an error of a single value, before its place is known.
type hintedError struct{ message, hint string }

func (e *hintedError) Error() string {
	if e.hint == "" {
		return e.message
	}
	return e.message + " (hint: " + e.hint + ")"
}

func hinted(hint, format string, args ...any) error {
	return &hintedError{message: fmt.Sprintf(format, args...), hint: hint}
}

// parts separates an error into message and hint.
func parts(err error) (message, hint string) {
	var h *hintedError
	if errors.As(err, &h) {
		return h.message, h.hint
	}
	return err.Error(), ""
}

// maxShown bounds, in runes, how much of an offending text is quoted.
const maxShown = 60

// maxProblems bounds how many problems are listed: nobody reads more.
const maxProblems = 100

// Problem is one thing that is wrong with a scenario.
type Problem struct {
	// File is the name given to Load, or "--set" for an override.
	File string `json:"file,omitempty"`
	// Line and Column count from 1, Column in characters. Line is 0 when the
	// problem has no place in a file. For an override, Line is its ordinal.
	Line   int `json:"line,omitempty"`
	Column int `json:"column,omitempty"`
	// Text is the offending text, cut to 60 characters; it may be empty.
	Text    string `json:"text,omitempty"`
	Message string `json:"message"`
	// Hint is the next step, if there is an obvious one.
	Hint string `json:"hint,omitempty"`
}

// String is `file:line:column: message: "text" (hint: ...)`.
func (p Problem) String() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File + ":")
		if p.Line > 0 {
			b.WriteString(strconv.Itoa(p.Line) + ":" + strconv.Itoa(p.Column) + ":")
		}
		b.WriteString(" ")
	}
	b.WriteString(p.Message)
	if p.Text != "" {
		fmt.Fprintf(&b, ": %q", p.Text)
	}
	if p.Hint != "" {
		b.WriteString(" (hint: " + p.Hint + ")")
	}
	return b.String()
}

// Problems is the error of everything in this package that reads what a person
// wrote: all problems at once, by place.
type Problems struct {
	List []Problem `json:"problems"`
}

// Error is one line for each problem.
func (p *Problems) Error() string {
	lines := make([]string, len(p.List))
	for i, q := range p.List {
		lines[i] = q.String()
	}
	return strings.Join(lines, "\n")
}

// problemsOf sorts a list into an error; nil if there is nothing in it.
func problemsOf(list []Problem) error {
	if len(list) == 0 {
		return nil
	}
	slices.SortStableFunc(list, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	list = slices.Compact(list)
	if more := len(list) - maxProblems; more > 0 {
		list = append(list[:maxProblems:maxProblems], Problem{File: list[0].File, Message: fmt.Sprintf("and %d more problems", more)})
	}
	return &Problems{List: list}
}

// place is where a value was written.
type place struct {
	file         string
	line, column int
	text         string
}

// complaints collects problems by the path of the value they are about
// (load.constant.rate), and knows where each path was written.
type complaints struct {
	file   string
	places map[string]place
	// broken holds paths that could not be read: a value that is not there
	// must not be complained about a second time.
	broken map[string]bool
	list   []Problem
}

func newComplaints(file string) *complaints {
	return &complaints{file: file, places: map[string]place{}, broken: map[string]bool{}}
}

// add records a problem of the value at path and quotes the value.
func (c *complaints) add(path, message, hint string) {
	c.quote(path, c.places[path].text, message, hint)
}

// quote is add for a value that must be quoted differently, or not at all.
func (c *complaints) quote(path, text, message, hint string) {
	for p := path; ; p = parent(p) {
		if c.broken[p] {
			return
		}
		if p == "" {
			break
		}
	}
	at := c.where(path)
	c.list = append(c.list, Problem{File: at.file, Line: at.line, Column: at.column,
		Text: shown(text), Message: message, Hint: hint})
}

// breaks is quote for a value that could not be read at all.
func (c *complaints) breaks(path, text, message, hint string) {
	c.quote(path, text, message, hint)
	c.broken[path] = true
}

// where is the place of the value at path, or of what should have held it.
func (c *complaints) where(path string) place {
	for p := path; ; p = parent(p) {
		if at, ok := c.places[p]; ok {
			return at
		}
		if p == "" {
			return place{file: c.file}
		}
	}
}

// parent is the path without its last key or index.
func parent(path string) string {
	return path[:max(strings.LastIndexAny(path, ".["), 0)]
}

// join is the path of a key inside the value at path.
func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func shown(text string) string {
	if utf8.RuneCountInString(text) <= maxShown {
		return text
	}
	return string([]rune(text)[:maxShown-1]) + "…"
}

// suggest is `did you mean "x"?` for the nearest of the known words, or the
// list of them if it is short and none is near.
func suggest(word string, known []string) string {
	best, distance := "", max(len(word)/3, 1)+1
	for _, k := range known {
		if d := editDistance(strings.ToLower(word), strings.ToLower(k)); d < distance {
			best, distance = k, d
		}
	}
	if best != "" {
		return "did you mean " + strconv.Quote(best) + "?"
	}
	if len(known) == 0 || len(known) > 14 {
		return ""
	}
	return "known: " + strings.Join(known, ", ")
}

// editDistance counts the insertions, deletions, replacements and swaps of
// neighbours that turn a into b (optimal string alignment). Words too long to be
// a typo of each other are far apart.
func editDistance(a, b string) int {
	const tooLong = 64
	if len(a) > tooLong || len(b) > tooLong {
		return tooLong
	}
	var before []int
	prev := make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := prev[j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			row[j] = min(prev[j]+1, row[j-1]+1, change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, prev = prev, row
	}
	return prev[len(b)]
}
