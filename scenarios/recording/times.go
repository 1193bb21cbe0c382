package recording

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Formats of a recording.
const (
	Log = "log" // common or combined access log
	CSV = "csv" // a table with a column of times
	Har = "har" // HTTP archive
)

// FormatOf tells the format of a file by its name: .csv and .har, and anything
// else is an access log.
func FormatOf(name string) string {
	for _, f := range []string{CSV, Har} {
		if strings.HasSuffix(strings.ToLower(name), "."+f) {
			return f
		}
	}
	return Log
}

// ErrTooMany is the error of a recording with more arrivals than are asked for.
var ErrTooMany = errors.New("too many arrivals")

// Times reads the instants of arrivals, as offsets from the first one, in order.
//
// A log that was recorded in whole seconds does not know more; the n arrivals of
// a second are put at its (k+1/2)/n, since n hits at once are not what arrived. A
// CSV file has the times in its only column, or in the one whose header is
// time, timestamp, at or t: seconds with any number of decimals (Unix time or
// from any other instant), or RFC 3339.
//
// The error is ErrTooMany if there are more than most, or a *LineError.
func Times(format string, r io.Reader, most int) ([]time.Duration, error) {
	c := collector{most: most, whole: true}
	var err error
	switch format {
	case Log:
		err = ReadLog(r, func(_ int, e Entry) error {
			c.whole = c.whole && e.Whole
			return c.add(e.Time.UnixNano())
		})
	case CSV:
		c.whole = false
		err = c.table(r)
	case Har:
		c.whole = false
		err = c.archive(r)
	default:
		err = fmt.Errorf("unknown format %q", format)
	}
	if err != nil {
		return nil, err
	}
	if len(c.nanos) == 0 {
		return nil, errors.New("recording has no arrivals")
	}
	slices.Sort(c.nanos)
	if c.whole {
		spread(c.nanos)
	}
	offsets := make([]time.Duration, len(c.nanos))
	for i, at := range c.nanos {
		if offsets[i] = time.Duration(at - c.nanos[0]); offsets[i] < 0 {
			return nil, errors.New("recording spans more than 292 years")
		}
	}
	return offsets, nil
}

// collector collects the instants of arrivals in nanoseconds.
type collector struct {
	nanos []int64
	most  int
	whole bool
}

func (c *collector) add(nanos int64) error {
	if len(c.nanos) >= c.most {
		return ErrTooMany
	}
	c.nanos = append(c.nanos, nanos)
	return nil
}

// spread puts the arrivals of each second evenly over it.
func spread(nanos []int64) {
	for begin := 0; begin < len(nanos); {
		end := begin
		for end < len(nanos) && nanos[end] == nanos[begin] {
			end++
		}
		n := int64(end - begin)
		second := nanos[begin]
		for k := range n {
			nanos[begin+int(k)] = second + (2*k+1)*int64(time.Second)/(2*n)
		}
		begin = end
	}
}

func (c *collector) archive(r io.Reader) error {
	h, err := ReadHAR(r)
	if err != nil {
		return err
	}
	for i, e := range h.Log.Entries {
		if e.Started.IsZero() {
			return fmt.Errorf("entry %d of the archive has no startedDateTime", i)
		}
		if err := c.add(e.Started.UnixNano()); err != nil {
			return err
		}
	}
	return nil
}

func (c *collector) table(r io.Reader) error {
	rows := csv.NewReader(r)
	rows.ReuseRecord = true
	rows.FieldsPerRecord = -1
	column := -1
	for first := true; ; first = false {
		record, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		var syntax *csv.ParseError
		if errors.As(err, &syntax) {
			return &LineError{syntax.Line, syntax.Err}
		} else if err != nil {
			return err
		}
		line, _ := rows.FieldPos(0)
		if first {
			header, at, err := timeColumn(record)
			if err != nil {
				return &LineError{line, err}
			}
			if column = at; header {
				continue
			}
		}
		if column >= len(record) {
			return &LineError{line, fmt.Errorf("row has %d fields, the time is field %d", len(record), column+1)}
		}
		nanos, err := parseTime(strings.TrimSpace(record[column]))
		if err != nil {
			return &LineError{line, err}
		}
		if err := c.add(nanos); err != nil {
			return err
		}
	}
}

// timeColumn finds the column of times in the first row, and says whether that
// row is a header.
func timeColumn(first []string) (header bool, column int, err error) {
	for i, name := range first {
		name = strings.ToLower(strings.TrimSpace(strings.TrimPrefix(name, "\ufeff")))
		if slices.Contains([]string{"time", "timestamp", "at", "t"}, name) {
			return true, i, nil
		}
	}
	if len(first) != 1 {
		return false, 0, errors.New("no column is named time, timestamp, at or t")
	}
	_, err = parseTime(strings.TrimSpace(first[0]))
	return err != nil, 0, nil
}

// parseTime reads seconds, to the nanosecond, or RFC 3339.
func parseTime(text string) (nanos int64, err error) {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		if t.Year() < 1700 || t.Year() > 2200 {
			return 0, fmt.Errorf("time %q is out of range", shown(text))
		}
		return t.UnixNano(), nil
	}
	whole, fraction, _ := strings.Cut(text, ".")
	fraction = (fraction + "000000000")[:9]
	seconds, err := strconv.ParseInt(whole, 10, 64)
	part, ferr := strconv.ParseUint(fraction, 10, 32)
	const most = 1 << 33 // seconds; far above any time, far below what overflows
	if err != nil || ferr != nil || seconds < 0 || seconds > most {
		return 0, fmt.Errorf("%q is neither a number of seconds nor a time like 2026-01-31T12:00:00Z", shown(text))
	}
	return seconds*1e9 + int64(part), nil
}
