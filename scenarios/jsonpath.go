package scenarios

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
)

// jsonPath leads to one value of a JSON document: keys and indices. It is the
// subset of JSONPath (RFC 9535) that names a single value:
//
//	status   $.status   items[0].id   $["key with.dots"][2]
//
// The $ may be left out. There are no wildcards, slices, filters, negative
// indices and no search in depth.
type jsonPath []jsonStep

// jsonStep is a key, or an index if key is nil.
type jsonStep struct {
	key   *string
	index int
}

const maxJSONSteps = 32

// parseJSONPath reads a path.
func parseJSONPath(text string) (jsonPath, error) {
	const hint = `write it like items[0].id or $["key with.dots"]`
	bad := func(what string) (jsonPath, error) { return nil, hinted(hint, "path %s", what) }
	rest := strings.TrimPrefix(strings.TrimSpace(text), "$")
	whole := rest != strings.TrimSpace(text)
	var path jsonPath
	for rest != "" {
		switch {
		case len(path) >= maxJSONSteps:
			return bad("has more than " + strconv.Itoa(maxJSONSteps) + " steps")
		case rest[0] == '[':
			step, after, ok := bracket(rest)
			if !ok {
				return bad("has a [ without an index or a quoted key, and ]")
			}
			path, rest = append(path, step), after
		default:
			if rest[0] == '.' {
				rest = rest[1:]
			} else if len(path) > 0 || whole {
				return bad("has no dot between two keys")
			}
			end := strings.IndexAny(rest, ".[")
			if end < 0 {
				end = len(rest)
			}
			key := rest[:end]
			if key == "" || strings.ContainsAny(key, "*?@()]\"' \t\n") {
				return bad("has a key that is empty, or must be quoted")
			}
			path, rest = append(path, jsonStep{key: &key}), rest[end:]
		}
	}
	if len(path) == 0 && !whole {
		return bad("is empty")
	}
	return path, nil
}

// bracket reads [5] or ["key"].
func bracket(text string) (step jsonStep, rest string, ok bool) {
	inner := text[1:]
	if quoted, err := strconv.QuotedPrefix(inner); err == nil {
		key, err := strconv.Unquote(quoted)
		rest, ok = strings.CutPrefix(inner[len(quoted):], "]")
		return jsonStep{key: &key}, rest, ok && err == nil
	}
	digits, rest, found := strings.Cut(inner, "]")
	n, err := strconv.ParseUint(digits, 10, 31)
	return jsonStep{index: int(n)}, rest, found && err == nil
}

// jsonValue is what a path leads to.
type jsonValue struct {
	// kind is the first character of the JSON text: " for a string, { and [, t
	// and f, n for null, and 0 for every number.
	kind byte
	// text is that of a string, or the JSON text of anything else.
	text string
}

// find is the value in a document. It reads no further than that value, so what
// follows it need not be JSON; of keys that are there twice the first counts.
func (p jsonPath) find(document []byte) (v jsonValue, found bool) {
	dec := json.NewDecoder(bytes.NewReader(document))
	dec.UseNumber()
	for _, step := range p {
		token, err := dec.Token()
		if err != nil {
			return v, false
		}
		open, _ := token.(json.Delim)
		if step.key != nil && (open != '{' || !toKey(dec, *step.key)) {
			return v, false
		}
		if step.key == nil && (open != '[' || !toIndex(dec, step.index)) {
			return v, false
		}
	}
	var raw json.RawMessage
	if err := dec.Decode(&raw); err != nil {
		return v, false
	}
	return valueOf(raw), true
}

func valueOf(raw json.RawMessage) jsonValue {
	v := jsonValue{kind: raw[0], text: string(raw)}
	switch {
	case v.kind == '"':
		if err := json.Unmarshal(raw, &v.text); err != nil {
			v.text = ""
		}
	case v.kind == '-' || v.kind >= '0' && v.kind <= '9':
		v.kind = '0'
	}
	return v
}

// toKey moves the decoder to the value of a key of the object it is in.
func toKey(dec *json.Decoder, key string) bool {
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return false
		}
		if token == json.Token(key) {
			return true
		}
		if !skipValue(dec) {
			return false
		}
	}
	return false
}

// toIndex moves the decoder to a value of the list it is in.
func toIndex(dec *json.Decoder, index int) bool {
	for range index {
		if !dec.More() || !skipValue(dec) {
			return false
		}
	}
	return dec.More()
}

func skipValue(dec *json.Decoder) bool {
	var raw json.RawMessage
	return dec.Decode(&raw) == nil
}
