package scenarios

import (
	"encoding"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Limits of lists and mappings in a scenario.
const (
	maxItems   = 1000
	maxHeaders = 100
)

// decoder walks the tree of a file along the Go types. It goes on after a
// problem, so that all of them are reported.
type decoder struct{ *complaints }

// decode reads n into v, which lies at path.
func (d *decoder) decode(n *node, v reflect.Value, path string) {
	d.places[path] = n.at
	if n.tag == "!!null" {
		d.breaks(path, "", fmt.Sprintf("%s has no value", orFile(path)), "give it one, or remove the key")
		return
	}
	t := v.Type()
	switch {
	case isFormed(t):
		v.Addr().Interface().(formed).decodeForm(d, n, path)
	case isText(t):
		d.text(n, v, path)
	case t.Kind() == reflect.Pointer:
		v.Set(reflect.New(t.Elem()))
		d.decode(n, v.Elem(), path)
	case t.Kind() == reflect.Struct:
		d.mapping(n, v, path)
	case t.Kind() == reflect.Slice:
		d.list(n, v, path)
	case t.Kind() == reflect.Map:
		d.texts(n, v, path)
	default:
		d.scalar(n, v, path)
	}
}

func orFile(path string) string {
	if path == "" {
		return "the scenario"
	}
	return path
}

func (d *decoder) mismatch(n *node, path, want, hint string) {
	d.breaks(path, d.safe(path, n.text), fmt.Sprintf("%s must be %s, not %s", orFile(path), want, n.describe()), hint)
}

// describe says what a person wrote, in a person's words.
func (n *node) describe() string {
	switch n.kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.tag {
	case "!!str":
		return "text"
	case "!!int", "!!float":
		return "a number"
	case "!!bool":
		return "true or false"
	case "!!timestamp":
		return "a date"
	}
	return "a value of type " + n.tag
}

func (d *decoder) mapping(n *node, v reflect.Value, path string) {
	fields := fieldsOf(v.Type())
	if n.kind != yaml.MappingNode {
		d.mismatch(n, path, "a mapping", "its keys: "+strings.Join(keysOf(v.Type()), ", "))
		return
	}
	seen := map[string]bool{}
	for i := range n.keys {
		key := n.keys[i].text
		f := slices.IndexFunc(fields, func(f field) bool { return f.key == key })
		at := join(path, key)
		switch {
		case n.keys[i].kind != yaml.ScalarNode:
			d.unknownKey(&n.keys[i], v.Type(), path)
		case seen[key]:
			d.point(n.keys[i].at, key, "key is there twice", "")
		case f < 0:
			d.unknownKey(&n.keys[i], v.Type(), path)
		default:
			d.decode(&n.items[i], v.Field(fields[f].index), at)
		}
		seen[key] = true
	}
	for _, f := range fields {
		if at := join(path, f.key); f.required && !seen[f.key] {
			d.breaks(at, "", at+" is missing", requiredHint(at))
		}
	}
}

func requiredHint(path string) string {
	switch path {
	case "version":
		return "add version: 1"
	case "target":
		return "add target: {url: http://127.0.0.1:8080}"
	case "load":
		return "add load: {search: {}}"
	}
	return ""
}

// point records a problem at a place that is no value's.
func (d *decoder) point(at place, text, message, hint string) {
	d.complaints.list = append(d.complaints.list, Problem{File: at.file, Line: at.line, Column: at.column,
		Text: shown(text), Message: message, Hint: hint})
}

func (d *decoder) unknownKey(key *node, t reflect.Type, path string) {
	message := "unknown key"
	if path != "" {
		message += " in " + path
	}
	hint := suggest(key.text, keysOf(t))
	if !strings.HasPrefix(hint, "did you") {
		if paths := pathsOf(reflect.TypeFor[Scenario](), key.text, ""); len(paths) > 0 {
			hint = "there is " + strings.Join(paths[:min(len(paths), 3)], ", ")
		}
	}
	d.point(key.at, key.text, message, hint)
	// What the key was meant to be is not missing as well.
	d.broken[path+".*"] = true
}

func (d *decoder) list(n *node, v reflect.Value, path string) {
	if n.kind != yaml.SequenceNode {
		d.mismatch(n, path, "a list", "write ["+n.text+"]")
		return
	}
	if len(n.items) > maxItems {
		d.breaks(path, "", fmt.Sprintf("%s has %d entries, more than %d", path, len(n.items), maxItems), "")
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.items), len(n.items)))
	for i := range n.items {
		d.decode(&n.items[i], v.Index(i), fmt.Sprintf("%s[%d]", path, i))
	}
}

// texts reads a mapping of names to texts.
func (d *decoder) texts(n *node, v reflect.Value, path string) {
	if n.kind != yaml.MappingNode {
		d.mismatch(n, path, "a mapping of names to texts", "")
		return
	}
	if len(n.keys) > maxHeaders {
		d.breaks(path, "", fmt.Sprintf("%s has %d entries, more than %d", path, len(n.keys), maxHeaders), "")
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	for i := range n.keys {
		key := &n.keys[i]
		if key.kind != yaml.ScalarNode {
			d.point(key.at, "", "name must be text", "")
			continue
		}
		if v.MapIndex(reflect.ValueOf(key.text)).IsValid() {
			d.point(key.at, key.text, "key is there twice", "")
			continue
		}
		value := reflect.New(v.Type().Elem()).Elem()
		d.decode(&n.items[i], value, join(path, key.text))
		v.SetMapIndex(reflect.ValueOf(key.text), value)
	}
}

// text reads a value that has a text form of its own, such as a time.
func (d *decoder) text(n *node, v reflect.Value, path string) {
	var err error
	unmarshaler := v.Addr().Interface().(encoding.TextUnmarshaler)
	if n.kind != yaml.ScalarNode || n.tag != "!!str" {
		// The type's own error says how it is written; the text 5 has no unit either.
		if err = unmarshaler.UnmarshalText([]byte("?")); err != nil {
			_, hint := parts(err)
			d.mismatch(n, path, "text", hint)
		}
		return
	}
	if err = unmarshaler.UnmarshalText([]byte(n.text)); err != nil {
		message, hint := parts(err)
		d.breaks(path, n.text, path+": "+message, hint)
	}
}

func (d *decoder) scalar(n *node, v reflect.Value, path string) {
	kind := v.Kind()
	if n.kind != yaml.ScalarNode {
		d.mismatch(n, path, wanted(kind), "")
		return
	}
	raw := yaml.Node{Kind: yaml.ScalarNode, Tag: n.tag, Value: n.text}
	switch {
	case kind == reflect.String && n.tag == "!!str":
		v.SetString(n.text)
	case kind == reflect.String:
		d.mismatch(n, path, wanted(kind), "put it in quotes")
	case kind == reflect.Float64 && (n.tag == "!!int" || n.tag == "!!float"):
		var f float64
		if err := raw.Decode(&f); err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			d.breaks(path, n.text, path+" must be a finite number", "")
			return
		}
		v.SetFloat(f)
	case kind == reflect.Bool && n.tag == "!!bool":
		v.SetBool(strings.EqualFold(n.text, "true"))
	case kind == reflect.Int && n.tag == "!!int":
		if err := raw.Decode(v.Addr().Interface()); err != nil {
			d.breaks(path, n.text, path+" is out of range", "")
		}
	case kind == reflect.Uint64 && n.tag == "!!int":
		if err := raw.Decode(v.Addr().Interface()); err != nil {
			d.breaks(path, n.text, path+" must be a whole number from 0 to 2^64-1", "")
		}
	default:
		d.mismatch(n, path, wanted(kind), "")
	}
}

func wanted(kind reflect.Kind) string {
	switch kind {
	case reflect.Float64:
		return "a number"
	case reflect.Int, reflect.Uint64:
		return "a whole number"
	case reflect.Bool:
		return "true or false"
	}
	return "text"
}
