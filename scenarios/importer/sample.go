package importer

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/headroom-project/headroom/scenarios"
)

// generated is a value that a template draws for each hit. It stands in JSON as
// it is, quotes included if it is text.
type generated string

const (
	maxSchemaDepth = 8
	maxProperties  = 100
)

// said is what a schema itself gives as a value: an example, a default, a
// constant, the first of an enumeration.
func (o *document) said(schema map[string]any) (any, bool) {
	for _, key := range []string{"example", "const", "default"} {
		if v, ok := schema[key]; ok && v != nil {
			return v, true
		}
	}
	for _, key := range []string{"examples", "enum"} {
		if list := asList(schema[key]); len(list) > 0 {
			return list[0], true
		}
	}
	return nil, false
}

// sample makes a value of a schema.
func (o *document) sample(schema map[string]any, depth int) any {
	if v, ok := o.said(schema); ok {
		return v
	}
	if depth > maxSchemaDepth {
		return nil
	}
	if all := asList(schema["allOf"]); len(all) > 0 {
		merged := maps.Clone(schema)
		delete(merged, "allOf")
		for _, part := range all {
			o.merge(merged, o.follow(part))
		}
		return o.sample(merged, depth+1)
	}
	for _, key := range []string{"oneOf", "anyOf"} {
		if list := asList(schema[key]); len(list) > 0 {
			return o.sample(o.follow(list[0]), depth+1)
		}
	}
	switch kindOf(schema) {
	case "object":
		return o.object(schema, depth)
	case "array":
		item := o.sample(o.follow(schema["items"]), depth+1)
		n := min(max(int(numberOr(schema["minItems"], 1)), 1), 10)
		list := make([]any, n)
		for i := range list {
			list[i] = item
		}
		return list
	case "integer":
		return integer(schema)
	case "number":
		return numberOr(schema["minimum"], 1)
	case "boolean":
		return true
	case "null":
		return nil
	}
	return sampleText(schema)
}

// merge adds a schema's properties and what else it says to another.
func (o *document) merge(into, from map[string]any) {
	for _, key := range keys(from) {
		old, both := into[key]
		switch {
		case !both:
			into[key] = from[key]
		case key == "properties":
			joined := maps.Clone(asMap(old))
			maps.Copy(joined, asMap(from[key]))
			into[key] = joined
		case key == "required":
			into[key] = append(append([]any(nil), asList(old)...), asList(from[key])...)
		}
	}
}

// kindOf is the type of a schema; OpenAPI 3.1 allows a list of them.
func kindOf(schema map[string]any) string {
	kind := text(schema["type"])
	for _, k := range asList(schema["type"]) {
		if kind == "" && text(k) != "null" {
			kind = text(k)
		}
	}
	switch {
	case kind == "" && schema["properties"] != nil:
		return "object"
	case kind == "" && schema["items"] != nil:
		return "array"
	}
	return kind
}

// object has the properties that are required, and those that say a value; all
// of them if it says nothing about either. What only the server writes is left
// out.
func (o *document) object(schema map[string]any, depth int) map[string]any {
	required := map[string]bool{}
	for _, name := range asList(schema["required"]) {
		required[text(name)] = true
	}
	out := map[string]any{}
	properties := asMap(schema["properties"])
	for _, name := range keys(properties) {
		p := o.follow(properties[name])
		_, said := o.said(p)
		if p["readOnly"] == true || len(required) > 0 && !required[name] && !said || len(out) >= maxProperties {
			continue
		}
		out[name] = o.sample(p, depth+1)
	}
	return out
}

func numberOr(v any, otherwise float64) float64 {
	n := otherwise
	switch v := v.(type) {
	case int:
		n = float64(v)
	case float64:
		n = v
	case json.Number:
		if f, err := v.Float64(); err == nil {
			n = f
		}
	}
	if math.IsNaN(n) || math.IsInf(n, 0) || math.Abs(n) > 1e15 {
		return otherwise
	}
	return n
}

// integer is drawn between the bounds of a schema, or from 1 to 1000.
func integer(schema map[string]any) any {
	low := math.Ceil(numberOr(schema["minimum"], 1))
	high := math.Floor(numberOr(schema["maximum"], max(low, 0)+999))
	if schema["exclusiveMinimum"] == true {
		low++
	}
	if schema["exclusiveMaximum"] == true {
		high--
	}
	if low >= high {
		return low
	}
	return generated(fmt.Sprintf("{{ int %.0f %.0f }}", low, high))
}

// sampleText is a text by its format, or of the least length.
func sampleText(schema map[string]any) any {
	switch text(schema["format"]) {
	case "uuid":
		return generated("{{ uuid }}")
	case "date":
		return generated(`{{ now "` + time.DateOnly + `" }}`)
	case "date-time":
		return generated("{{ now }}")
	case "email":
		return "user@example.com"
	case "uri", "url":
		return "http://example.com/"
	case "ipv4":
		return "192.0.2.1"
	case "byte":
		return "dGV4dA=="
	}
	sample := "text"
	if least := int(min(numberOr(schema["minLength"], 0), 1000)); least > len(sample) {
		sample = strings.Repeat(sample, least/len(sample)+1)[:least]
	}
	if most := int(numberOr(schema["maxLength"], 1000)); most >= 0 && most < len(sample) {
		sample = sample[:most]
	}
	return sample
}

// scalar is the text of a value that is no list and no object.
func scalar(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case nil:
		return ""
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case time.Time:
		if v.Equal(v.Truncate(24 * time.Hour)) {
			return v.Format(time.DateOnly)
		}
		return v.Format(time.RFC3339Nano)
	}
	return fmt.Sprint(v)
}

// writeJSON writes a value as a template that renders to JSON. Numbers that are
// drawn stand bare, texts that are drawn in quotes.
func writeJSON(v any) string {
	var b strings.Builder
	writeValue(&b, v, 0)
	return b.String()
}

func writeValue(b *strings.Builder, v any, depth int) {
	switch v := v.(type) {
	case generated:
		if strings.HasPrefix(string(v), "{{ int ") {
			b.WriteString(string(v))
		} else {
			b.WriteString(`"` + string(v) + `"`)
		}
	case map[string]any:
		b.WriteString("{")
		for i, name := range keys(v) {
			if i > 0 {
				b.WriteString(", ")
			}
			writeText(b, name)
			b.WriteString(": ")
			writeNested(b, v[name], depth)
		}
		b.WriteString("}")
	case []any:
		b.WriteString("[")
		for i, x := range v {
			if i > 0 {
				b.WriteString(", ")
			}
			writeNested(b, x, depth)
		}
		b.WriteString("]")
	case bool, int, int64, uint64, float64, json.Number, nil:
		raw, err := json.Marshal(v)
		if err != nil {
			raw = []byte("null")
		}
		b.Write(raw)
	default:
		writeText(b, scalar(v))
	}
}

func writeNested(b *strings.Builder, v any, depth int) {
	if depth > 2*maxSchemaDepth {
		v = nil
	}
	writeValue(b, v, depth+1)
}

func writeText(b *strings.Builder, s string) {
	raw, err := json.Marshal(s)
	if err != nil {
		raw = []byte(`""`)
	}
	b.WriteString(scenarios.Literal(string(raw)))
}
