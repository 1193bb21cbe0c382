package recording

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// MaxLine bounds a line of an access log, in bytes.
const MaxLine = 64 << 10

// Entry is one line of an access log.
type Entry struct {
	Time time.Time
	// Whole says that Time was recorded in whole seconds.
	Whole bool
	// Method, Target and Proto are those of the request line; they are empty if
	// it was no HTTP. Target is a path with its query, or what a proxy was asked.
	Method, Target, Proto string
	// Status is 0 and Bytes is -1 if they were not recorded.
	Status int
	Bytes  int64
	// Referer and UserAgent are there in the combined format.
	Referer, UserAgent string
}

// ParseLine reads one line in the common or combined log format. What stands
// before the time, and after the fields of the combined format, is skipped, so
// logs with a virtual host in front or timings at the end can be read as well.
func ParseLine(line string) (Entry, error) {
	e := Entry{Bytes: -1}
	stamp, rest, err := cutTime(line)
	if err != nil {
		return e, err
	}
	if e.Time, e.Whole, err = parseStamp(stamp); err != nil {
		return e, err
	}
	request, rest, ok := cutQuoted(rest)
	if !ok {
		return e, errors.New("line has no quoted request after its time")
	}
	if f := strings.Fields(request); len(f) >= 2 && isMethod(f[0]) {
		e.Method, e.Target = f[0], f[1]
		if len(f) == 3 && strings.HasPrefix(f[2], "HTTP/") {
			e.Proto = f[2]
		}
	}
	status, rest, _ := strings.Cut(strings.TrimLeft(rest, " "), " ")
	if n, err := strconv.Atoi(status); err == nil && n >= 100 && n <= 999 {
		e.Status = n
	}
	size, rest, _ := strings.Cut(strings.TrimLeft(rest, " "), " ")
	if n, err := strconv.ParseInt(size, 10, 64); err == nil && n >= 0 {
		e.Bytes = n
	}
	if e.Referer, rest, ok = cutQuoted(rest); ok {
		e.UserAgent, _, _ = cutQuoted(rest)
	}
	e.Referer, e.UserAgent = orEmpty(e.Referer), orEmpty(e.UserAgent)
	return e, nil
}

func orEmpty(s string) string {
	if s == "-" {
		return ""
	}
	return s
}

// cutTime finds the time, which is the first [ that is followed by a digit.
func cutTime(line string) (stamp, rest string, err error) {
	for at := 0; ; {
		open := strings.IndexByte(line[at:], '[')
		if open < 0 {
			return "", "", errors.New("line has no time in [ ]")
		}
		at += open + 1
		if at < len(line) && line[at] >= '0' && line[at] <= '9' {
			stamp, rest, found := strings.Cut(line[at:], "]")
			if !found {
				return "", "", errors.New("line has no ] after its time")
			}
			return stamp, rest, nil
		}
	}
}

// parseStamp reads 10/Oct/2000:13:55:36 -0700, which may have a fraction of
// the second, or RFC 3339.
func parseStamp(stamp string) (t time.Time, whole bool, err error) {
	// Go reads a fraction after the seconds though the layout has none.
	for _, layout := range []string{"02/Jan/2006:15:04:05 -0700", time.RFC3339} {
		if t, err = time.Parse(layout, stamp); err == nil {
			return t, !strings.ContainsAny(stamp, ".,"), nil
		}
	}
	return t, false, fmt.Errorf("time %q is not like 10/Oct/2000:13:55:36 -0700", shown(stamp))
}

func shown(s string) string {
	const most = 40
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

// cutQuoted takes the text in quotes at the begin of s. Servers write a quote
// inside it as \" or as \x22.
func cutQuoted(s string) (text, rest string, ok bool) {
	s = strings.TrimLeft(s, " ")
	if s == "" || s[0] != '"' {
		return "", s, false
	}
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return unescape(s[1:i]), s[i+1:], true
		}
	}
	return "", s, false
}

// unescape reads the escapes of nginx and Apache: \xHH, \" and \\.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		if s[i] == 'x' && i+2 < len(s) {
			if v, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				b.WriteByte(byte(v))
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// isMethod accepts what the request lines of HTTP begin with.
func isMethod(s string) bool {
	return len(s) <= 20 && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-_") == "" && s != "-"
}

// LineError is an error of one line, which counts from 1.
type LineError struct {
	Line int
	Err  error
}

func (e *LineError) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }
func (e *LineError) Unwrap() error { return e.Err }

// ReadLog gives each entry of an access log to do, in the order of the file. It
// ends with the first error of do, or with a *LineError for a line that cannot
// be read. Empty lines, and comments that begin with #, are skipped.
func ReadLog(r io.Reader, do func(line int, e Entry) error) error {
	return ReadLines(r, func(line int, e Entry, err error) error {
		if err != nil {
			return &LineError{line, err}
		}
		return do(line, e)
	})
}

// ReadLines is ReadLog for a caller who decides about lines that cannot be
// read: do gets what is wrong with them. A line that is too long ends it.
func ReadLines(r io.Reader, do func(line int, e Entry, err error) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 4096), MaxLine)
	n := 0
	for lines.Scan() {
		n++
		text := strings.TrimRight(lines.Text(), "\r")
		if strings.TrimSpace(text) == "" || text[0] == '#' {
			continue
		}
		e, err := ParseLine(text)
		if err := do(n, e, err); err != nil {
			return err
		}
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return &LineError{n + 1, fmt.Errorf("longer than %d bytes", MaxLine)}
	} else if err != nil {
		return fmt.Errorf("read after line %d: %w", n, err)
	}
	return nil
}
