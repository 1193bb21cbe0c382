package scenarios

import (
	"encoding"
	"reflect"
	"strings"
)

// field is a key of a mapping, as the decoder and the schema see it.
type field struct {
	key string
	// goName is the name of the struct's field, under which its comment is found.
	goName string
	index  int
	typ    reflect.Type
	// required says that the key must be written: it has neither omitempty nor
	// rule:"optional".
	required bool
}

// fieldsOf lists the keys of a struct type, in the order of the source.
func fieldsOf(t reflect.Type) []field {
	var out []field
	for i := range t.NumField() {
		f := t.Field(i)
		key, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if key == "" || key == "-" {
			continue
		}
		out = append(out, field{key: key, goName: f.Name, index: i, typ: f.Type,
			required: options != "omitempty" && f.Tag.Get("rule") != "optional"})
	}
	return out
}

func keysOf(t reflect.Type) []string {
	var keys []string
	for _, f := range fieldsOf(t) {
		keys = append(keys, f.key)
	}
	return keys
}

// isText says whether a type is written as a text of its own.
func isText(t reflect.Type) bool {
	return reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// pathsOf lists the paths at which a key may stand, for the hint about a key
// that was put in the wrong place. Elements of lists are written as [].
func pathsOf(t reflect.Type, key, prefix string) []string {
	switch {
	case isText(t), isFormed(t) && t.Kind() != reflect.Struct:
		return nil
	case t.Kind() == reflect.Pointer:
		return pathsOf(t.Elem(), key, prefix)
	case t.Kind() == reflect.Slice:
		return pathsOf(t.Elem(), key, prefix+"[]")
	case t.Kind() != reflect.Struct:
		return nil
	}
	var out []string
	for _, f := range fieldsOf(t) {
		path := join(prefix, f.key)
		if f.key == key {
			out = append(out, path)
		}
		out = append(out, pathsOf(f.typ, key, path)...)
	}
	return out
}
