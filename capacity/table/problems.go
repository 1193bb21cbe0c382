package table

import (
	"fmt"
	"strings"
)

// mostProblems is how many problems are told at once.
const mostProblems = 20

// Problem is one thing that is wrong with a table.
type Problem struct {
	// Line and Column count from 1; Column is the field of the line, 0 if the
	// problem is the line's or the file's.
	Line, Column int
	Text, Hint   string
}

// Problems is everything that is wrong with a table.
type Problems struct {
	// Name is the file's name.
	Name string
	List []Problem
	// More counts what was found beyond the list.
	More int
}

// Error has a line for each problem, file:line:column first.
func (p *Problems) Error() string {
	var b strings.Builder
	for i, x := range p.List {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(p.Name)
		if x.Line > 0 {
			fmt.Fprintf(&b, ":%d", x.Line)
			if x.Column > 0 {
				fmt.Fprintf(&b, ":%d", x.Column)
			}
		}
		b.WriteString(": " + x.Text)
		if x.Hint != "" {
			b.WriteString("\n  hint: " + x.Hint)
		}
	}
	if p.More > 0 {
		fmt.Fprintf(&b, "\n%s: %d more problems of this kind", p.Name, p.More)
	}
	return b.String()
}

// Add adds a problem; those beyond the first twenty are only counted. line and
// column may be 0, hint may be empty.
func (p *Problems) Add(line, column int, hint, format string, args ...any) {
	if len(p.List) >= mostProblems {
		p.More++
		return
	}
	p.List = append(p.List, Problem{Line: line, Column: column, Text: fmt.Sprintf(format, args...), Hint: hint})
}

// Err is nil if there are no problems.
func (p *Problems) Err() error {
	if len(p.List) == 0 {
		return nil
	}
	return p
}
