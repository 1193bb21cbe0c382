package scenarios

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// isJSONFeed tells a feed's format by its name.
func isJSONFeed(name string) bool {
	name = strings.ToLower(name)
	return strings.HasSuffix(name, ".json") || strings.HasSuffix(name, ".jsonl") || strings.HasSuffix(name, ".ndjson")
}

// parseJSONFeed reads objects, in a list or one after the other. All must have
// the keys of the first, in any order. A string is its text, null is nothing,
// and any other value is its JSON text.
func parseJSONFeed(name string, data []byte) (*feed, *Problem) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	p := jsonFeed{feed: &feed{name: name}, data: data, dec: json.NewDecoder(bytes.NewReader(data))}
	list := bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("["))
	if list {
		if _, err := p.dec.Token(); err != nil {
			return nil, p.problem("feed is no JSON: "+err.Error(), "")
		}
	}
	for !list || p.dec.More() {
		problem, done := p.row()
		if problem != nil {
			return nil, problem
		}
		if done {
			break
		}
	}
	if list {
		if _, err := p.dec.Token(); err != nil {
			return nil, p.problem("feed is no JSON: "+err.Error(), "")
		}
	}
	if len(p.feed.cells) == 0 {
		return nil, &Problem{File: name, Line: 1, Column: 1, Message: "feed has no rows", Hint: "write objects such as {\"sku\": \"A1\"}, in a list or one a line"}
	}
	return p.feed, nil
}

// jsonFeed is a feed that is being read.
type jsonFeed struct {
	feed *feed
	data []byte
	dec  *json.Decoder
}

// problem is one at the place that was read to.
func (p *jsonFeed) problem(message, hint string) *Problem {
	read := p.data[:min(int(p.dec.InputOffset()), len(p.data))]
	// What stands before the next value belongs to it.
	rest := p.data[len(read):]
	read = p.data[:len(p.data)-len(bytes.TrimLeft(rest, " \t\r\n,"))]
	line := 1 + bytes.Count(read, []byte("\n"))
	column := len([]rune(string(read[bytes.LastIndexByte(read, '\n')+1:]))) + 1
	return &Problem{File: p.feed.name, Line: line, Column: column, Message: message, Hint: hint}
}

func (p *jsonFeed) row() (problem *Problem, done bool) {
	if len(p.feed.columns) > 0 && p.feed.rows() >= maxFeedRows {
		return p.problem(fmt.Sprintf("feed has more than %d rows, the limit", maxFeedRows), ""), false
	}
	// The place of a row is where it begins.
	at := *p.problem("", "")
	var raw map[string]json.RawMessage
	err := p.dec.Decode(&raw)
	switch {
	case errors.Is(err, io.EOF):
		return nil, true
	case err != nil || raw == nil:
		at.Message, at.Hint = "feed has a row that is no JSON object", "write objects such as {\"sku\": \"A1\"}, in a list or one a line"
		return &at, false
	}
	if p.feed.columns == nil {
		for key := range raw {
			p.feed.columns = append(p.feed.columns, key)
		}
		slices.Sort(p.feed.columns)
		if len(raw) == 0 {
			at.Message = "feed's first row has no keys"
			return &at, false
		}
	}
	for _, column := range p.feed.columns {
		value, found := raw[column]
		if !found || len(raw) != len(p.feed.columns) {
			at.Text = column
			at.Message = fmt.Sprintf("row has %d keys, the first row has %d", len(raw), len(p.feed.columns))
			if !found {
				at.Message = "row lacks a key that the first row has"
			}
			at.Hint = "all rows must have the same keys; a value may be null"
			return &at, false
		}
		v := valueOf(value)
		if v.kind == 'n' {
			v.text = ""
		}
		p.feed.cells = append(p.feed.cells, v.text)
	}
	return nil, false
}
