package scenarios

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"text/template/parse"
)

// A template is text with actions in {{ }} and references ${NAME} to the
// environment. The syntax is that of text/template, whose parser is used, cut
// down to single function calls: what is rendered for every hit must cost
// nanoseconds and must not be able to loop.
//
//	{{ seq }}  {{ seq 1000 }}   the hit's number, counted from 0 or from a start
//	{{ int 1 6 }}               a whole number, both ends included
//	{{ uuid }}                  a random UUID (version 4)
//	{{ pick a b "c d" }}        one of the words
//	{{ now }}  {{ now unix }}  {{ now unixms }}  {{ now "2006-01-02" }}
//	{{ .row.sku }}  {{ row "stock unit" }}   a column of the feed
//	{{ .token }}                a value that an earlier request of a flow captured
//	{{ env "NAME" }}            the same as ${NAME}
//	{{ "{{" }}                  a text as it is
type template []segment

// segment is a literal or one action.
type segment struct {
	action action
	// text is the literal, the name of a variable or a column, or a time's layout.
	text string
	// low and high bound an int; low is the start of a seq.
	low, high int64
	choices   []string
	// column indexes the feed's rows; slot tells apart the actions of a request
	// that draw from the same hit.
	column int
	slot   uint64
	// use is where the text goes, which decides how it is escaped.
	use use
}

type action int

const (
	actLiteral action = iota
	actSeq
	actInt
	actUUID
	actPick
	actNow
	actRow
	actEnv
	actVar // column is the slot of the variable
	// Of the header Baggage alone; they cannot be written.
	actRun
	actStep
)

// Layouts of now that are no layout of package time.
const (
	layoutUnix   = "unix"
	layoutUnixMS = "unixms"
)

var nameReference = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)\}`)

// parseTemplate reads a template. Errors carry a hint.
func parseTemplate(text string) (template, error) {
	if !strings.Contains(text, "{{") {
		return appendText(nil, text), nil
	}
	tree := parse.New("")
	tree.Mode = parse.SkipFuncCheck
	trees := map[string]*parse.Tree{}
	if _, err := tree.Parse(text, "{{", "}}", trees); err != nil {
		message := err.Error()
		if at := strings.Index(message, ": "); at >= 0 {
			message = message[at+2:]
		}
		return nil, hinted(`a literal {{ is written {{ "{{" }}`, "template: %s", message)
	}
	var t template
	for _, n := range tree.Root.Nodes {
		switch n := n.(type) {
		case *parse.TextNode:
			t = appendText(t, string(n.Text))
		case *parse.ActionNode:
			s, err := parseAction(n.Pipe)
			if err != nil {
				return nil, err
			}
			t = append(t, s)
		default:
			return nil, notSupported(n.String())
		}
	}
	for name := range trees {
		if name != "" {
			return nil, notSupported("define")
		}
	}
	return t, nil
}

func notSupported(what string) error {
	return hinted("there are seq, int, uuid, pick, now, row, env", "template: %s is not supported", shown(what))
}

// appendText adds literal text, in which ${NAME} stands for the environment.
func appendText(t template, text string) template {
	for {
		m := nameReference.FindStringSubmatchIndex(text)
		if m == nil {
			break
		}
		if m[0] > 0 {
			t = append(t, segment{text: text[:m[0]]})
		}
		t = append(t, segment{action: actEnv, text: text[m[2]:m[3]]})
		text = text[m[1]:]
	}
	if text != "" {
		t = append(t, segment{text: text})
	}
	return t
}

func parseAction(pipe *parse.PipeNode) (segment, error) {
	if len(pipe.Decl) > 0 || len(pipe.Cmds) != 1 {
		return segment{}, notSupported("{{ " + pipe.String() + " }}")
	}
	args := pipe.Cmds[0].Args
	switch first := args[0].(type) {
	case *parse.FieldNode:
		if len(args) == 1 && len(first.Ident) == 2 && first.Ident[0] == "row" {
			return segment{action: actRow, text: first.Ident[1]}, nil
		}
		if len(args) == 1 && len(first.Ident) == 1 && isVariable(first.Ident[0]) {
			return segment{action: actVar, text: first.Ident[0]}, nil
		}
	case *parse.StringNode:
		if len(args) == 1 {
			return segment{text: first.Text}, nil
		}
	case *parse.IdentifierNode:
		words, err := wordsOf(args[1:])
		if err != nil {
			return segment{}, err
		}
		return parseCall(first.Ident, words)
	}
	return segment{}, notSupported("{{ " + pipe.String() + " }}")
}

// wordsOf reads arguments: quoted, bare words or numbers.
func wordsOf(args []parse.Node) ([]string, error) {
	words := make([]string, len(args))
	for i, a := range args {
		switch a := a.(type) {
		case *parse.StringNode:
			words[i] = a.Text
		case *parse.IdentifierNode:
			words[i] = a.Ident
		case *parse.NumberNode:
			words[i] = a.Text
		case *parse.BoolNode:
			words[i] = strconv.FormatBool(a.True)
		default:
			return nil, notSupported("argument " + a.String())
		}
	}
	return words, nil
}

func parseCall(name string, words []string) (segment, error) {
	switch name {
	case "seq":
		return parseSeq(words)
	case "int":
		return parseInt(words)
	case "uuid":
		if len(words) == 0 {
			return segment{action: actUUID}, nil
		}
		return segment{}, usage("uuid", "{{ uuid }}")
	case "pick":
		if len(words) > 0 {
			return segment{action: actPick, choices: words}, nil
		}
		return segment{}, usage("pick", `{{ pick a b "c d" }}`)
	case "now":
		switch len(words) {
		case 0:
			return segment{action: actNow, text: "2006-01-02T15:04:05.000Z07:00"}, nil
		case 1:
			return segment{action: actNow, text: words[0]}, nil
		}
		return segment{}, usage("now", `{{ now }}, {{ now unix }} or {{ now "2006-01-02" }}`)
	case "row":
		if len(words) == 1 {
			return segment{action: actRow, text: words[0]}, nil
		}
		return segment{}, usage("row", `{{ row "column" }}`)
	case "env":
		if len(words) == 1 && nameReference.MatchString("${"+words[0]+"}") {
			return segment{action: actEnv, text: words[0]}, nil
		}
		return segment{}, usage("env", `{{ env "NAME" }}`)
	}
	known := []string{"seq", "int", "uuid", "pick", "now", "row", "env"}
	return segment{}, hinted(suggest(name, known), "template: unknown function %q", name)
}

func usage(name, form string) error {
	return hinted("write "+form, "template: %s has the wrong arguments", name)
}

func parseSeq(words []string) (segment, error) {
	s := segment{action: actSeq}
	if len(words) == 0 {
		return s, nil
	}
	var err error
	if s.low, err = strconv.ParseInt(words[0], 10, 64); err != nil || len(words) > 1 {
		return s, usage("seq", "{{ seq }} or {{ seq 1000 }}")
	}
	return s, nil
}

func parseInt(words []string) (segment, error) {
	s := segment{action: actInt}
	if len(words) != 2 {
		return s, usage("int", "{{ int 1 1000 }}")
	}
	var err, errHigh error
	s.low, err = strconv.ParseInt(words[0], 10, 64)
	s.high, errHigh = strconv.ParseInt(words[1], 10, 64)
	if err != nil || errHigh != nil {
		return s, usage("int", "{{ int 1 1000 }}")
	}
	if s.low > s.high {
		return s, hinted(fmt.Sprintf("write {{ int %d %d }}", s.high, s.low), "template: int's bounds are the wrong way round")
	}
	return s, nil
}

// uses says whether the template holds an action.
func (t template) uses(a action) bool {
	for _, s := range t {
		if s.action == a {
			return true
		}
	}
	return false
}
