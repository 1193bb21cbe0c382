package table

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

// Bounds of a table.
const (
	// MaxBytes is the greatest size of a table.
	MaxBytes = 8 << 20
	// MaxRows is the greatest number of its rows.
	MaxRows = 20000
	// maxColumns is the greatest number of its columns.
	maxColumns = 200
)

// Table is what was read.
type Table struct {
	Points []observation.Point
	// Columns are the names in the header.
	Columns []string
	// Gaps are those of the columns that are empty in some row.
	Gaps []string
	// Warnings name what looks odd but may be so.
	Warnings []string
}

// Has says whether a metric of an objective (p99, errors ...) can be read off the
// table, and if not, which column is missing.
func (t *Table) Has(metric string) (column string, ok bool) {
	switch metric {
	case "errors":
		column = "error_ratio"
	case "throughput":
		column = "throughput_rps"
	default:
		column = metric + "_ms"
	}
	if slices.Contains(t.Gaps, column) {
		return column + " in each row", false
	}
	return column, slices.Contains(t.Columns, column)
}

// Read reads a table; name is what errors call it. The error is of type *Problems
// if the table is at fault.
func Read(name string, r io.Reader) (*Table, error) {
	b, err := io.ReadAll(io.LimitReader(r, MaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	p := &Problems{Name: name}
	if len(b) > MaxBytes {
		p.Add(0, 0, "keep one row for each step or window", "the table is larger than %d MiB", MaxBytes>>20)
		return nil, p
	}
	text := strings.TrimPrefix(string(b), "\ufeff")
	if !strings.Contains(text, "\n") {
		text = strings.ReplaceAll(text, "\r", "\n") // line ends of old spreadsheets
	}
	t, rows := parse(text, p)
	if len(p.List) == 0 {
		examine(rows, p, t)
	}
	if err := p.Err(); err != nil {
		return nil, err
	}
	for _, x := range rows {
		t.Points = append(t.Points, x.point())
	}
	return t, nil
}

func parse(text string, p *Problems) (*Table, []row) {
	in := csv.NewReader(strings.NewReader(text))
	in.FieldsPerRecord = -1
	in.Comment = '#'
	in.TrimLeadingSpace = true
	head, err := in.Read()
	if errors.Is(err, io.EOF) {
		p.Add(1, 0, "begin with the line offered_rps,throughput_rps,p99_ms", "the table is empty")
		return &Table{}, nil
	}
	if err != nil {
		p.syntax(err)
		return &Table{}, nil
	}
	t := &Table{}
	line, _ := in.FieldPos(0)
	use := header(head, line, p, t)
	if len(p.List) > 0 {
		return t, nil
	}
	var rows []row
	for {
		record, err := in.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			p.syntax(err)
			break
		}
		line, _ := in.FieldPos(0)
		if len(rows) == MaxRows {
			p.Add(line, 0, "keep one row for each step or window", "more than %d rows", MaxRows)
			break
		}
		if len(record) != len(use) {
			hint := ""
			if len(record) > len(use) {
				hint = "a decimal is written with a point, and thousands without a separator: 1234.5"
			}
			p.Add(line, 0, hint, "%d fields, and the header has %d", len(record), len(use))
			continue
		}
		rows = append(rows, read(record, line, use, p, len(rows)))
		for i, text := range record {
			if strings.TrimSpace(text) == "" && !slices.Contains(t.Gaps, t.Columns[i]) {
				t.Gaps = append(t.Gaps, t.Columns[i])
			}
		}
	}
	if len(rows) == 0 && len(p.List) == 0 {
		p.Add(line, 0, "add a row for each load that was offered", "no row below the header")
	}
	return t, rows
}

func (p *Problems) syntax(err error) {
	var parse *csv.ParseError
	if errors.As(err, &parse) {
		p.Add(parse.Line, 0, "", "%v", parse.Err)
		return
	}
	p.Add(0, 0, "", "%v", err)
}

// header returns what to do with each field.
func header(head []string, line int, p *Problems, t *Table) []column {
	if len(head) == 1 && strings.ContainsAny(head[0], ";\t") {
		p.Add(line, 1, "separate fields by commas, and write decimals with a point", "the header has one field: %.60q", head[0])
		return nil
	}
	if len(head) > maxColumns {
		p.Add(line, 0, "", "%d columns, more than %d", len(head), maxColumns)
		return nil
	}
	byName := map[string]column{}
	for _, c := range columns() {
		byName[c.name] = c
	}
	use := make([]column, len(head))
	for i, name := range head {
		name = strings.TrimSpace(name)
		c, ok := byName[name]
		if !ok {
			c, ok = resource(name)
		}
		switch {
		case !ok:
			p.Add(line, i+1, suggest(name), "unknown column %.60q", name)
		case slices.Contains(t.Columns, name):
			p.Add(line, i+1, "", "column %s is there twice", name)
		}
		use[i] = c
		t.Columns = append(t.Columns, name)
	}
	for _, c := range columns() {
		if c.required && !slices.Contains(t.Columns, c.name) && !(c.name == p99Column && slices.ContainsFunc(t.Columns, isLower)) {
			p.Add(line, 0, "required are offered_rps, throughput_rps and p99_ms (or p95_ms, p90_ms, p50_ms, where p99 is not known)", "column %s is missing", c.name)
		}
	}
	for i, name := range t.Columns {
		if r, ok := strings.CutSuffix(name, limitSuffix); ok && validName(r) && !slices.Contains(t.Columns, r+usedSuffix) {
			p.Add(line, i+1, "", "column %s has no column %s%s beside it", name, r, usedSuffix)
		}
	}
	return use
}

// read reads one row. An empty field of an optional column is a figure that was
// not taken.
func read(record []string, line int, use []column, p *Problems, n int) row {
	x := row{line: line, has: map[string]bool{}}
	x.Step, x.Kind, x.Valid = n, scenarios.KindLoad, true
	x.Resources = map[string]observation.Use{}
	for i, text := range record {
		text = strings.TrimSpace(text)
		c := use[i]
		if text == "" {
			if c.required {
				p.Add(line, i+1, "", "%s is empty", c.name)
			}
			continue
		}
		if v, ok := number(text, c, line, i+1, p); ok {
			c.set(&x, v)
			x.has[c.name] = true
		}
	}
	for r, u := range x.Resources {
		if !x.has[r+usedSuffix] {
			delete(x.Resources, r)
			continue
		}
		x.Resources[r] = u
	}
	return x
}

func number(text string, c column, line, at int, p *Problems) (float64, bool) {
	v, err := strconv.ParseFloat(text, 64)
	switch {
	case err != nil:
		hint := plain(text)
		if share, ok := perCent(text); ok && c.name == "error_ratio" {
			hint = fmt.Sprintf("a ratio is from 0 to 1: write %g", share)
		}
		if hint == "" {
			hint = unitHint(c.name)
		}
		p.Add(line, at, hint, "%s: %.40q is no number", c.name, text)
	case math.IsNaN(v) || math.IsInf(v, 0):
		p.Add(line, at, "leave the row out, or the field empty if the column is optional", "%s: %s is not a finite number", c.name, text)
	case v < 0:
		p.Add(line, at, "", "%s: %s is negative", c.name, text)
	case c.open && v == 0:
		p.Add(line, at, "", "%s: 0 is not above 0", c.name)
	case c.name == "error_ratio" && v > 1 && v <= 100:
		p.Add(line, at, fmt.Sprintf("a ratio is from 0 to 1: if this is per cent, write %g", v/100), "error_ratio: %s is above 1", text)
	case v > c.high:
		p.Add(line, at, unitHint(c.name), "%s: %s is above %g", c.name, text, c.high)
	case c.name == "step" && v != math.Trunc(v):
		p.Add(line, at, "", "step: %s is no whole number", text)
	default:
		return v, true
	}
	return 0, false
}

// perCent is the ratio that 5% stands for.
func perCent(text string) (share float64, ok bool) {
	text, ok = strings.CutSuffix(text, "%")
	v, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	return v / 100, ok && err == nil && v >= 0 && v <= 100
}

// grouped is a number whose thousands are separated, by a comma, a point, a space of some
// kind, an apostrophe or an underscore.
var grouped = regexp.MustCompile(`^[0-9]{1,3}([,. \x{00a0}\x{2009}\x{202f}'’_][0-9]{3})+([.,][0-9]+)?$`)

// plain says how to write a number that is written with a comma or with separators of
// thousands; empty if it is none.
func plain(text string) string {
	const decimals, thousands = "write decimals with a point", "leave out separators of thousands"
	if decimal := strings.Replace(text, ",", ".", 1); decimal != text && isNumber(decimal) {
		if whole := strings.Replace(text, ",", "", 1); grouped.MatchString(text) && !strings.HasPrefix(text, "0") {
			return fmt.Sprintf("%s: %s; or %s: %s", decimals, decimal, thousands, whole)
		}
		return decimals + ": " + decimal
	}
	if !grouped.MatchString(text) {
		return ""
	}
	// The last separator is the decimal point where it is another one.
	whole, decimal, hint := text, "", thousands
	if at := strings.LastIndexAny(text, ".,"); at >= 0 && strings.Count(text, text[at:at+1]) == 1 {
		whole, decimal = text[:at], "."+text[at+1:]
		if text[at] == ',' {
			hint += ", and " + decimals
		}
	}
	separator, _ := utf8.DecodeRuneInString(strings.TrimLeft(whole, digits))
	if whole = strings.ReplaceAll(whole, string(separator), ""); strings.Trim(whole, digits) != "" {
		return "" // separators of two kinds
	}
	return hint + ": " + whole + decimal
}

const digits = "0123456789"

func isNumber(text string) bool {
	_, err := strconv.ParseFloat(text, 64)
	return err == nil
}

func unitHint(name string) string {
	switch {
	case strings.HasSuffix(name, "_ms"):
		return "write milliseconds as a plain number: 12.5"
	case strings.HasSuffix(name, "_rps"):
		return "write requests per second as a plain number: 400"
	}
	return ""
}

// point completes a row: counts follow from what was served.
func (x *row) point() observation.Point {
	p := x.Point
	// Without the length of a step nothing is known of its sampling error; the
	// laws take it for a second, which makes intervals wide rather than narrow.
	served := p.Throughput * max(p.Seconds, 1)
	p.OK = uint64(served)
	if p.ErrorRatio > 0 && p.ErrorRatio < 1 {
		p.Failed = uint64(served * p.ErrorRatio / (1 - p.ErrorRatio))
	}
	if p.ErrorRatio >= 1 {
		p.Failed = uint64(p.Offered * max(p.Seconds, 1))
	}
	p.Sent = p.OK + p.Failed
	if !x.has["in_flight"] && x.has["mean_ms"] {
		p.InFlight = p.Throughput * p.Response.Mean / 1000 // Little's law
	}
	return p
}
