package importer

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/headroom-project/headroom/capacity/table"
)

// maxLine bounds a line in bytes.
const maxLine = 16 << 20

var (
	errTooLarge = fmt.Errorf("the file is larger than %d GiB; cut it into parts, and give them all", MaxBytes>>30)
	errLongLine = fmt.Errorf("a line is longer than %d MiB", maxLine>>20)
)

// limited bounds what is read in all, and of one line: of one record of a CSV file,
// whose quoted fields may hold line ends.
type limited struct {
	r          io.Reader
	left, line int64
	run        int64
	csv        bool
	quoted     bool
}

// Read is io.Reader.
func (l *limited) Read(b []byte) (int, error) {
	n, err := l.r.Read(b)
	if l.left -= int64(n); l.left < 0 {
		return 0, errTooLarge
	}
	for _, c := range b[:n] {
		if c == '"' {
			l.quoted = !l.quoted
		}
		if c == '\n' && !(l.csv && l.quoted) {
			l.run = 0
			continue
		}
		if l.run++; l.run > l.line {
			return 0, errLongLine
		}
	}
	return n, err
}

// lines calls do with each line that relevant says yes to, and notes what is wrong
// with it. A last line that was cut off, as of a tool that was killed, is left out.
func lines(in *input, relevant func([]byte) bool, do func([]byte) error) error {
	p := &table.Problems{Name: in.name}
	for line := 1; ; line++ {
		b, err := in.ReadBytes('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		last := err != nil
		if relevant(b) {
			if err := do(b); err != nil && !last {
				p.Add(line, 0, "", "%v", err)
				if errors.Is(err, errTooMany) || len(p.List) == 20 {
					return p.Err()
				}
			}
		}
		if last {
			return p.Err()
		}
	}
}

// rows reads a CSV file with a header, row by row.
type rows struct {
	in       *csv.Reader
	at       map[string]int
	record   []string
	line     int // that the record begins in
	problems *table.Problems
}

func newRows(in *input) (*rows, error) { return newRowsBy(in, ',') }

// newRowsBy is newRows with another delimiter than a comma.
func newRowsBy(in *input, delimiter rune) (*rows, error) {
	r := bareRows(in, delimiter, nil)
	head, err := r.in.Read()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", in.name, err)
	}
	for i, name := range head {
		r.at[strings.TrimSpace(strings.TrimPrefix(name, "\ufeff"))] = i
	}
	return r, nil
}

// bareRows reads a file without a header, whose columns have names.
func bareRows(in *input, delimiter rune, names []string) *rows {
	in.limit.csv = true
	r := &rows{in: csv.NewReader(in), at: map[string]int{}, problems: &table.Problems{Name: in.name}}
	r.in.Comma = delimiter
	r.in.FieldsPerRecord = -1
	r.in.ReuseRecord = true
	for i, name := range names {
		r.at[name] = i
	}
	return r
}

// next reports whether there is another row. A last row that was cut off, as of a
// tool that was killed, is left out.
func (r *rows) next() bool {
	for {
		record, err := r.in.Read()
		if errors.Is(err, io.EOF) {
			return false
		}
		if err != nil {
			line := r.line // the last that could be read
			var parse *csv.ParseError
			if errors.As(err, &parse) {
				line, err = parse.Line, parse.Err
			}
			r.problems.Add(line, 0, "", "%v", err)
			return false
		}
		r.record = record
		r.line, _ = r.in.FieldPos(0)
		if len(record) < len(r.at) {
			line := r.line
			if _, err := r.in.Read(); errors.Is(err, io.EOF) {
				return false
			}
			r.problems.Add(line, 0, "", "%d fields, and the header has %d", len(record), len(r.at))
			if len(r.problems.List) >= 20 {
				return false
			}
			continue
		}
		return true
	}
}

// get returns a field by its column's name, empty if there is no such column.
func (r *rows) get(name string) string {
	if i, ok := r.at[name]; ok && i < len(r.record) {
		return strings.TrimSpace(r.record[i])
	}
	return ""
}

func (r *rows) has(name string) bool { _, ok := r.at[name]; return ok }

// wrong notes a problem with the present row.
func (r *rows) wrong(column, hint, format string, args ...any) {
	r.problems.Add(r.line, r.at[column]+1, hint, format, args...)
}

// instant reads a time: a number of seconds, milliseconds, microseconds or
// nanoseconds since 1970, told apart by its size, RFC 3339, or a date and time as
// JMeter may be set to write them (of no zone: only differences count).
func instant(text string) (time.Time, error) {
	if v, err := strconv.ParseInt(text, 10, 64); err == nil {
		switch {
		case v < 1e11:
			return time.Unix(v, 0), nil
		case v < 1e14:
			return time.UnixMilli(v), nil
		case v < 1e17:
			return time.UnixMicro(v), nil
		}
		return time.Unix(0, v), nil
	}
	if v, err := strconv.ParseFloat(text, 64); err == nil && v > 0 && v < 1e11 {
		return time.UnixMicro(int64(v * 1e6)), nil
	}
	if t, err := time.Parse("2006/01/02 15:04:05", text); err == nil { // fractions are read besides
		return t, nil
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return t, fmt.Errorf("%.40q is no time", text)
	}
	return t, nil
}

// millis reads a time in milliseconds.
func millis(text string) (time.Duration, error) {
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || !(v >= 0 && v < 1e9) {
		return 0, fmt.Errorf("%.40q is no time in milliseconds", text)
	}
	return time.Duration(v * float64(time.Millisecond)), nil
}

// classOf names why a hit failed, by what tools say.
func classOf(status, message string) string {
	text := strings.ToLower(message)
	switch {
	case strings.Contains(text, "timeout") || strings.Contains(text, "timed out") || strings.Contains(text, "deadline"):
		return "timeout"
	case strings.Contains(text, "refused") || strings.Contains(text, "dial"):
		return "dial"
	case strings.Contains(text, "reset") || strings.Contains(text, "eof") || strings.Contains(text, "prematurely"):
		return "reset"
	case len(status) == 3 && (status[0] == '4' || status[0] == '5'):
		return "status"
	}
	return "check"
}
