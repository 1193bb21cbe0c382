package scenarios

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
)

// feed is a file whose rows the templates use.
type feed struct {
	name    string
	columns []string
	cells   []string // row by row
}

func (f *feed) rows() int { return len(f.cells) / len(f.columns) }

func (f *feed) row(i int) []string { return f.cells[i*len(f.columns):][:len(f.columns)] }

// feed reads a file once, however many requests use it.
func (b *builder) feed(name, path string) *feed {
	if f, ok := b.feeds[name]; ok {
		b.broken[path] = f == nil
		return f
	}
	data, err := b.read(name, maxFeedFile)
	if err != nil {
		message, hint := parts(err)
		b.breaks(path, name, path+": "+message, hint)
		b.feeds[name] = nil
		return nil
	}
	parse := parseFeed
	if isJSONFeed(name) {
		parse = parseJSONFeed
	}
	f, problem := parse(name, data)
	if problem != nil {
		b.complaints.list = append(b.complaints.list, *problem)
		b.broken[path] = true
	}
	b.feeds[name] = f
	return f
}

// parseFeed reads CSV (RFC 4180) with a header row. All rows must have as many
// fields as the header: a ragged row means that values are in wrong columns.
func parseFeed(name string, data []byte) (*feed, *Problem) {
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(data, []byte("\ufeff"))))
	r.FieldsPerRecord = -1
	r.ReuseRecord = true
	f := &feed{name: name}
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if p := feedSyntax(name, err); p != nil {
			return nil, p
		}
		line, column := r.FieldPos(0)
		at := Problem{File: name, Line: line, Column: column}
		if f.columns == nil {
			if at.Message = f.header(record); at.Message != "" {
				at.Hint = "the first row names the columns, such as sku,price"
				return nil, &at
			}
			continue
		}
		if len(record) != len(f.columns) {
			at.Text = record[0]
			at.Message = fmt.Sprintf("row has %d fields, the header has %d", len(record), len(f.columns))
			at.Hint = "quote fields that hold commas"
			return nil, &at
		}
		if len(f.cells)/len(f.columns) >= maxFeedRows {
			at.Message = fmt.Sprintf("feed has more than %d rows, the limit", maxFeedRows)
			return nil, &at
		}
		f.cells = append(f.cells, record...)
	}
	if len(f.cells) == 0 {
		return nil, &Problem{File: name, Line: 1, Column: 1, Message: "feed has no rows", Hint: "the first row names the columns, the others are the data"}
	}
	return f, nil
}

func feedSyntax(name string, err error) *Problem {
	if err == nil {
		return nil
	}
	p := &Problem{File: name, Line: 1, Column: 1, Message: "feed is no CSV: " + err.Error()}
	var syntax *csv.ParseError
	if errors.As(err, &syntax) {
		p.Line, p.Column, p.Message = syntax.Line, syntax.Column, "feed is no CSV: "+syntax.Err.Error()
	}
	return p
}

// header takes the names of the columns, and says what is wrong with them.
func (f *feed) header(record []string) string {
	seen := map[string]bool{}
	for _, c := range record {
		switch {
		case c == "":
			return "feed has a column without a name"
		case seen[c]:
			return fmt.Sprintf("feed has two columns named %q", c)
		}
		seen[c] = true
	}
	f.columns = append([]string(nil), record...)
	return ""
}
