package scenarios

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"strings"
)

// The comments of the types are the descriptions of the schema: there is one
// text to keep right.
//
//go:embed scenario.go source_spec.go request_spec.go load_spec.go
var typesSource embed.FS

// Schema is the JSON Schema (draft 2020-12) of a scenario file, for editors and
// for checks outside of Headroom. It is made from the types that Load decodes
// into and knows structure: keys, types, what is required, one method, one load.
// Load checks more: rates, templates, names.
func Schema() ([]byte, error) {
	comments, err := parseComments(typesSource)
	if err != nil {
		return nil, fmt.Errorf("schema: read the types' comments: %w", err)
	}
	g := generator{comments: comments, defs: map[string]any{}}
	root := g.object(reflect.TypeFor[Scenario]())
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "Headroom scenario"
	root["$defs"] = g.defs
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false) // < is the most common character of objectives
	enc.SetIndent("", "  ")
	if err := enc.Encode(root); err != nil {
		return nil, fmt.Errorf("schema: encode: %w", err)
	}
	return out.Bytes(), nil
}

// generator makes a definition for each struct and text type.
type generator struct {
	comments map[string]string // by Type and Type.Field
	defs     map[string]any
}

// of is the schema of a type: inline for plain ones, a reference for others.
func (g *generator) of(t reflect.Type) map[string]any {
	switch {
	case t.Kind() == reflect.Pointer:
		return g.of(t.Elem())
	case isText(t):
		return g.define(t, g.text)
	case isFormed(t):
		return g.define(t, g.forms)
	case t.Kind() == reflect.Struct:
		return g.define(t, g.object)
	case t.Kind() == reflect.Slice:
		return map[string]any{"type": "array", "items": g.of(t.Elem()), "maxItems": maxItems}
	case t.Kind() == reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": g.of(t.Elem()), "maxProperties": maxHeaders}
	case t.Kind() == reflect.Bool:
		return map[string]any{"type": "boolean"}
	case t.Kind() == reflect.Float64:
		return map[string]any{"type": "number", "minimum": 0}
	case t.Kind() == reflect.Int, t.Kind() == reflect.Uint64:
		return map[string]any{"type": "integer", "minimum": 0}
	default:
		return map[string]any{"type": "string"}
	}
}

func (g *generator) define(t reflect.Type, make func(reflect.Type) map[string]any) map[string]any {
	if _, ok := g.defs[t.Name()]; !ok {
		g.defs[t.Name()] = nil // in case the type refers to itself
		g.defs[t.Name()] = make(t)
	}
	return map[string]any{"$ref": "#/$defs/" + t.Name()}
}

func (g *generator) object(t reflect.Type) map[string]any {
	properties := map[string]any{}
	required := []string{}
	for _, f := range fieldsOf(t) {
		p := g.of(f.typ)
		if text := g.comments[t.Name()+"."+f.goName]; text != "" {
			p["description"] = text
		}
		properties[f.key] = p
		if f.required {
			required = append(required, f.key)
		}
	}
	out := map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		out["required"] = required
	}
	if text := g.comments[t.Name()]; text != "" {
		out["description"] = text
	}
	g.rules(t, out, properties)
	return out
}

// rules are what the types themselves do not say.
func (g *generator) rules(t reflect.Type, out, properties map[string]any) {
	oneOf := func(keys ...string) {
		var cases []any
		for _, k := range keys {
			cases = append(cases, map[string]any{"required": []string{k}})
		}
		out["oneOf"] = cases
	}
	constrain := func(key, keyword string, value any) { properties[key].(map[string]any)[keyword] = value }
	switch t {
	case reflect.TypeFor[Scenario]():
		constrain("version", "const", 1)
		constrain("objectives", "minItems", 1)
	case reflect.TypeFor[Target]():
		constrain("requests", "minItems", 1)
		constrain("flow", "minItems", 1)
	case reflect.TypeFor[Request]():
		oneOf("get", "post", "put", "patch", "delete", "head", "options")
		constrain("weight", "exclusiveMinimum", 0)
	case reflect.TypeFor[LoadSpec]():
		oneOf(loadKinds()...)
		constrain("sequence", "minItems", 1)
	case reflect.TypeFor[SequencePart]():
		oneOf(partKinds()...)
	case reflect.TypeFor[StepsLoad]():
		constrain("rates", "minItems", 1)
	case reflect.TypeFor[Profiles]():
		constrain("types", "minItems", 1)
		constrain("types", "items", map[string]any{"enum": ProfileTypes()})
	case reflect.TypeFor[Prometheus]():
		constrain("sets", "items", map[string]any{"enum": PrometheusSets()})
	case reflect.TypeFor[ResourceQuery]():
		constrain("unit", "enum", ResourceUnits())
	}
}

// forms describes the types that are written in more than one form.
func (g *generator) forms(t reflect.Type) map[string]any {
	out := map[string]any{"description": g.comments[t.Name()]}
	switch t {
	case reflect.TypeFor[Feed](), reflect.TypeFor[Prometheus]():
		object := g.object(t)
		delete(object, "description")
		out["oneOf"] = []any{map[string]any{"type": "string"}, object}
	case reflect.TypeFor[Endpoints]():
		one := map[string]any{"type": "string"}
		out["oneOf"] = []any{one, map[string]any{"type": "array", "items": one, "minItems": 1, "maxItems": maxEndpoints}}
	case reflect.TypeFor[Statuses]():
		one := []any{
			map[string]any{"type": "integer", "minimum": 100, "maximum": 599},
			map[string]any{"type": "string", "pattern": statusForm.String()},
		}
		many := map[string]any{"type": "array", "items": map[string]any{"oneOf": one}, "minItems": 1, "maxItems": maxItems}
		out["oneOf"] = append(one, many)
	}
	return out
}

// text describes the types that are written as a text of their own.
func (g *generator) text(t reflect.Type) map[string]any {
	out := map[string]any{"type": "string"}
	if text := g.comments[t.Name()]; text != "" {
		out["description"] = text
	}
	switch t {
	case reflect.TypeFor[Arrivals]():
		out["enum"] = []Arrivals{Poisson, Constant, Trace}
	case reflect.TypeFor[Protocol]():
		out["enum"] = []Protocol{HTTP1, HTTP2, H2C}
	case reflect.TypeFor[LostWorker]():
		out["enum"] = []LostWorker{LostRebalance, LostDegrade, LostAbort}
	case reflect.TypeFor[Redirects]():
		out["pattern"] = `^(no|follow +[0-9]+( same host)? *)$`
	case reflect.TypeFor[Duration]():
		out["pattern"] = `^\s*\+?(0|([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+\s*$`
	case reflect.TypeFor[Size]():
		out["pattern"] = `^\s*[0-9.]+\s*([KkMmGg]?[Ii]?)[Bb]\s*$`
	case reflect.TypeFor[Objective](), reflect.TypeFor[Guard]():
		out["pattern"] = `^[^<>]+(<|>)=?[^<>]+$`
	}
	return out
}

// parseComments reads the comments of types and fields: the text above, or
// behind on the same line.
func parseComments(sources embed.FS) (map[string]string, error) {
	files, err := sources.ReadDir(".")
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, f := range files {
		src, err := sources.ReadFile(f.Name())
		if err != nil {
			return nil, err
		}
		file, err := parser.ParseFile(token.NewFileSet(), f.Name(), src, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		for _, d := range file.Decls {
			if gen, ok := d.(*ast.GenDecl); ok && gen.Tok == token.TYPE {
				commentsOf(gen, out)
			}
		}
	}
	return out, nil
}

// commentsOf adds the comments of one type.
func commentsOf(gen *ast.GenDecl, out map[string]string) {
	spec := gen.Specs[0].(*ast.TypeSpec)
	out[spec.Name.Name] = oneLine(gen.Doc)
	fields, ok := spec.Type.(*ast.StructType)
	if !ok {
		return
	}
	for _, f := range fields.Fields.List {
		for _, name := range f.Names {
			out[spec.Name.Name+"."+name.Name] = oneLine(f.Doc)
		}
	}
}

func oneLine(c *ast.CommentGroup) string {
	return strings.Join(strings.Fields(c.Text()), " ")
}
