package scenarios

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Limits of a scenario file. They are far above what people write, and low
// enough that a hostile file costs milliseconds.
const (
	maxSource = 1 << 20 // bytes
	maxDepth  = 24      // levels of nesting
	maxNodes  = 50_000  // values, aliases followed
)

// node is a value of a scenario file: a YAML node with aliases and merge keys
// followed, and with its place.
type node struct {
	kind  yaml.Kind // ScalarNode, MappingNode or SequenceNode
	tag   string    // !!str, !!int, !!float, !!bool, !!null ... of a scalar
	text  string    // of a scalar
	at    place
	keys  []node // of a mapping; keys[i] names items[i]
	items []node // of a mapping or sequence
}

// The braces of {{ templates }} and ${NAMES} would end a plain value inside
// { } or [ ], so that `{get: /items/{{ int 1 9 }}}` were no YAML. While YAML
// is parsed, stand-ins from a private-use area take their place, rune for rune,
// which keeps the columns right.
const (
	maskFirst = '\uf8d0'
	masked    = "{}[],"
)

var templateOrName = regexp.MustCompile(`\{\{[^\n]*?\}\}|\$\{[A-Za-z_][A-Za-z0-9_]*\}`)

func mask(src string) string {
	return templateOrName.ReplaceAllStringFunc(src, func(s string) string {
		return strings.Map(func(r rune) rune {
			if i := strings.IndexRune(masked, r); i >= 0 {
				return maskFirst + rune(i)
			}
			return r
		}, s)
	})
}

func isMask(r rune) bool { return r >= maskFirst && r < maskFirst+rune(len(masked)) }

func unmask(s string) string {
	return strings.Map(func(r rune) rune {
		if isMask(r) {
			return rune(masked[r-maskFirst])
		}
		return r
	}, s)
}

// parseSource reads one YAML document. The error is a Problem's text and place.
func parseSource(file string, src []byte) (*node, *Problem) {
	if len(src) > maxSource {
		return nil, &Problem{File: file, Line: 1, Column: 1, Message: fmt.Sprintf("file of %d bytes is larger than %s", len(src), Size(maxSource))}
	}
	text := string(bytes.TrimPrefix(src, []byte("\ufeff")))
	if p := unreadable(file, text); p != nil {
		return nil, p
	}
	dec := yaml.NewDecoder(strings.NewReader(mask(text)))
	var doc yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return nil, &Problem{File: file, Line: 1, Column: 1, Message: "file is empty", Hint: "`headroom scenario show constant-smoke` prints one to start from"}
	} else if err != nil {
		return nil, syntaxProblem(file, err)
	}
	var second yaml.Node
	if err := dec.Decode(&second); err == nil {
		return nil, &Problem{File: file, Line: second.Line, Column: max(second.Column, 1), Message: "file holds more than one document", Hint: "one scenario a file"}
	} else if !errors.Is(err, io.EOF) {
		return nil, syntaxProblem(file, err)
	}
	e := expander{file: file}
	root := e.expand(doc.Content[0], 0)
	return &root, e.problem
}

// unreadable finds bytes that are no text and runes that mask needs.
func unreadable(file, text string) *Problem {
	line, column := 1, 1
	for i, r := range text {
		_, width := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == utf8.RuneError && width == 1:
			return &Problem{File: file, Line: line, Column: column, Message: "byte is no UTF-8", Hint: "save the file as UTF-8"}
		case isMask(r):
			return &Problem{File: file, Line: line, Column: column, Message: "private-use character cannot stand in a scenario"}
		case r == '\n':
			line, column = line+1, 0
		}
		column++
	}
	return nil
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

func syntaxProblem(file string, err error) *Problem {
	text := err.Error()
	p := &Problem{File: file, Line: 1, Column: 1, Hint: "check the indentation, and quote values that hold : # { or ["}
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		text = text[len(m[0]):]
		if n, err := strconv.Atoi(m[1]); err == nil {
			p.Line = n
		}
	}
	p.Message = "not valid YAML: " + unmask(text)
	return p
}

// expander copies a YAML tree, following aliases. Every copy counts against
// maxNodes, so nested aliases cannot blow up.
type expander struct {
	file    string
	nodes   int
	problem *Problem
}

func (e *expander) fail(n *yaml.Node, message, hint string) node {
	if e.problem == nil {
		e.problem = &Problem{File: e.file, Line: n.Line, Column: n.Column, Text: shown(unmask(n.Value)), Message: message, Hint: hint}
	}
	return node{kind: yaml.ScalarNode, tag: "!!null"}
}

func (e *expander) expand(n *yaml.Node, depth int) node {
	e.nodes++
	switch {
	case e.problem != nil:
		return node{}
	case e.nodes > maxNodes:
		return e.fail(n, fmt.Sprintf("file holds more than %d values", maxNodes), "aliases count as often as they are used")
	case depth > maxDepth:
		return e.fail(n, fmt.Sprintf("value is nested deeper than %d levels", maxDepth), "")
	}
	out := node{kind: n.Kind, at: place{file: e.file, line: n.Line, column: n.Column}}
	switch n.Kind {
	case yaml.AliasNode:
		if n.Alias == nil {
			return e.fail(n, "alias of nothing", "")
		}
		return e.expand(n.Alias, depth+1)
	case yaml.ScalarNode:
		out.tag, out.text = n.ShortTag(), unmask(n.Value)
		out.at.text = out.text
	case yaml.SequenceNode:
		for _, c := range n.Content {
			out.items = append(out.items, e.expand(c, depth+1))
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].ShortTag() == "!!merge" {
				return e.fail(n.Content[i], "merge keys are not supported", "write the keys out, or use an alias for the whole value")
			}
			out.keys = append(out.keys, e.expand(n.Content[i], depth+1))
			out.items = append(out.items, e.expand(n.Content[i+1], depth+1))
		}
	}
	return out
}
