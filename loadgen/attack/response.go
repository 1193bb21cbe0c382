package attack

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/headroom-project/headroom/scenarios"
)

// Limits of what a response may hold besides its body.
const (
	maxHead      = 64 << 10 // status line and header, in bytes
	maxChunkLine = 4 << 10  // a chunk's size with its extensions, or a trailer field
	maxTrailers  = 128
)

// What a response parser is in the middle of.
type parse int

const (
	inHead parse = iota
	inBody
	untilEOF
	inChunkSize
	inChunk
	inChunkEnd
	inTrailer
	parsed
)

// response parses one HTTP/1.x response as its bytes come (RFC 9112). It keeps
// no more of it than its limits, and the body only if asked to.
type response struct {
	state parse
	line  []byte // of head, chunk line or trailer, as far as it came
	left  int64  // bytes of the body or chunk that are to come
	lines int    // trailers so far

	status  int
	size    int64 // bytes of the body so far
	body    []byte
	keep    bool // keep the body
	budget  *budget
	held    int64  // bytes taken from the budget
	fields  []byte // the header's fields, if they are to be kept
	header  bool   // keep the fields
	noBody  bool   // the answer to HEAD
	maxBody int64  // bytes
	// closing says that the connection cannot be used again.
	closing bool
}

// smallBody is what a response may keep of its body without asking, in bytes, and
// what a connection keeps of it for the next.
const smallBody = 64 << 10

// budget bounds what the bodies that are kept of all responses take together.
type budget struct{ left atomic.Int64 }

// maxKept is the budget of a worker in bytes. Without it, a thousand answers of
// target.max_body each would be more memory than there is.
const maxKept = 512 << 20

func newBudget(bytes int64) *budget {
	b := &budget{}
	b.left.Store(bytes)
	return b
}

// take takes bytes, unless there are not as many left.
func (b *budget) take(bytes int64) bool {
	if b == nil || b.left.Add(-bytes) >= 0 {
		return true
	}
	b.left.Add(bytes)
	return false
}

func (b *budget) give(bytes int64) {
	if b != nil {
		b.left.Add(bytes)
	}
}

// keptBody appends bytes to a body that is kept; held is what its budget has given
// for it so far.
func (b *budget) keptBody(body, more []byte, held *int64) ([]byte, error) {
	if need := len(body) + len(more); need > cap(body) {
		size := max(need, 2*cap(body))
		if cost := int64(size - smallBody); cost > *held {
			if !b.take(cost - *held) {
				return body, errKept
			}
			*held = cost
		}
		body = append(make([]byte, 0, size), body...)
	}
	return append(body, more...), nil
}

var (
	errKept    = errors.New("response bodies that are looked at take more than 512 MiB together")
	errHead    = errors.New("malformed response header")
	errBodyMax = errors.New("response body is larger than target.max_body")
	errChunk   = errors.New("malformed chunk in response body")
)

// reset prepares for the next response; buffers are kept.
func (r *response) reset(keepBody, keepHeader, noBody bool, maxBody int64) {
	r.drop()
	*r = response{line: r.line[:0], body: r.body[:0], fields: r.fields[:0], budget: r.budget,
		keep: keepBody, header: keepHeader, noBody: noBody, maxBody: maxBody}
}

// drop gives a large body back.
func (r *response) drop() {
	if r.held > 0 {
		r.budget.give(r.held)
		r.body, r.held = nil, 0
	}
}

// values returns the values of a header field, by any case of its name.
func (r *response) values(name string) []string {
	var out []string
	for b := r.fields; len(b) > 0; {
		var line []byte
		line, b = cutLine(b)
		if i := bytes.IndexByte(line, ':'); i > 0 && strings.EqualFold(string(line[:i]), name) {
			out = append(out, string(bytes.TrimSpace(line[i+1:])))
		}
	}
	return out
}

// answer is what checks look at.
func (r *response) answer() scenarios.Response {
	a := scenarios.Response{Status: r.status, Body: r.body}
	if r.header {
		a.Header = r.values
	}
	return a
}

// feed takes bytes as they were read. It returns how many belong to this
// response; when done is true, it is whole.
func (r *response) feed(b []byte) (n int, done bool, err error) {
	for n < len(b) && r.state != parsed {
		k, err := r.step(b[n:])
		if err != nil {
			return n, false, err
		}
		n += k
	}
	return n, r.state == parsed, nil
}

// eof says that the peer will send no more.
func (r *response) eof() (done bool) {
	if r.state == untilEOF {
		r.state = parsed
	}
	return r.state == parsed
}

func (r *response) step(b []byte) (int, error) {
	switch r.state {
	case inHead:
		return r.head(b)
	case inBody, inChunk, untilEOF:
		return r.content(b)
	case inChunkSize, inChunkEnd, inTrailer:
		return r.chunkLine(b)
	}
	return 0, nil
}

// head collects the header up to its empty line.
func (r *response) head(b []byte) (int, error) {
	// The common case: the whole header is in one read.
	if len(r.line) == 0 {
		if end := headEnd(b); end >= 0 {
			return end, r.parseHead(b[:end])
		}
	}
	before := len(r.line)
	r.line = append(r.line, b...)
	end := headEnd(r.line)
	if end < 0 {
		// What cannot become a response is not waited for.
		if k := min(len(r.line), len(httpName)); string(r.line[:k]) != httpName[:k] {
			return 0, fmt.Errorf("%w: status line %q", errHead, clip(r.line))
		}
		if len(r.line) > maxHead {
			return 0, fmt.Errorf("%w: more than %d bytes", errHead, maxHead)
		}
		return len(b), nil
	}
	err := r.parseHead(r.line[:end])
	r.line = r.line[:0]
	return end - before, err
}

// httpName is what every response begins with.
const httpName = "HTTP/"

// headEnd returns the index behind the first empty line, which ends a header, or -1.
// Lines may end with and without a carriage return.
func headEnd(b []byte) int {
	for at := 0; ; {
		i := bytes.IndexByte(b[at:], '\n')
		if i < 0 {
			return -1
		}
		at += i + 1
		switch rest := b[at:]; {
		case len(rest) > 0 && rest[0] == '\n':
			return at + 1
		case len(rest) > 1 && rest[0] == '\r' && rest[1] == '\n':
			return at + 2
		}
	}
}

// parseHead reads status line and fields.
func (r *response) parseHead(head []byte) error {
	line, rest := cutLine(head)
	old := false
	if old = bytes.HasPrefix(line, []byte("HTTP/1.0 ")); !old && !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return fmt.Errorf("%w: status line %q", errHead, clip(line))
	}
	line = line[len("HTTP/1.1 "):]
	if len(line) < 3 || len(line) > 3 && line[3] != ' ' {
		return fmt.Errorf("%w: status %q", errHead, clip(line))
	}
	status := 0
	for _, c := range line[:3] {
		if c < '0' || c > '9' {
			return fmt.Errorf("%w: status %q", errHead, clip(line))
		}
		status = 10*status + int(c-'0')
	}
	if status < 100 || status == 101 {
		return fmt.Errorf("%w: status %d", errHead, status)
	}
	length, chunked, alive, closing, err := fields(rest)
	if err != nil {
		return err
	}
	if old && chunked {
		// HTTP/1.0 has no chunks: the framing is faulty (RFC 9112, 6.1), and what
		// follows the body cannot be told from it.
		chunked, closing = false, true
	}
	if status < 200 {
		return nil // an interim answer; the real one follows
	}
	if r.header {
		r.fields = append(r.fields[:0], rest...)
	}
	r.status, r.closing = status, closing || old && !alive
	switch {
	case r.noBody || status == 204 || status == 304:
		r.state = parsed
	case chunked:
		r.state = inChunkSize
	case length == 0:
		r.state = parsed
	case length > 0:
		if length > r.maxBody {
			return errBodyMax
		}
		r.state, r.left = inBody, length
	default:
		r.state, r.closing = untilEOF, true
	}
	return nil
}

// fields reads what frames the body; length is -1 if it is not said.
func fields(b []byte) (length int64, chunked, alive, closing bool, err error) {
	length = -1
	for len(b) > 0 {
		var line []byte
		line, b = cutLine(b)
		if len(line) == 0 {
			break
		}
		i := bytes.IndexByte(line, ':')
		if i <= 0 {
			return 0, false, false, false, fmt.Errorf("%w: field %q", errHead, clip(line))
		}
		name, value := line[:i], line[i+1:]
		switch {
		case len(name) == 14 && bytes.EqualFold(name, []byte("content-length")):
			n, ok := decimal(bytes.TrimSpace(value))
			if !ok || length >= 0 && n != length {
				return 0, false, false, false, fmt.Errorf("%w: content-length %q", errHead, clip(value))
			}
			length = n
		case len(name) == 17 && bytes.EqualFold(name, []byte("transfer-encoding")):
			if !bytes.EqualFold(bytes.TrimSpace(value), []byte("chunked")) {
				return 0, false, false, false, fmt.Errorf("%w: transfer-encoding %q", errHead, clip(value))
			}
			chunked = true
		case len(name) == 10 && bytes.EqualFold(name, []byte("connection")):
			lower := bytes.ToLower(value)
			closing = closing || bytes.Contains(lower, []byte("close"))
			alive = alive || bytes.Contains(lower, []byte("keep-alive"))
		}
	}
	return length, chunked, alive, closing, nil
}

// cutLine returns the first line without its end, and what follows.
func cutLine(b []byte) (line, rest []byte) {
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		return b, nil
	}
	return bytes.TrimSuffix(b[:i], []byte("\r")), b[i+1:]
}

func decimal(b []byte) (int64, bool) {
	if len(b) == 0 || len(b) > 18 {
		return 0, false
	}
	n := int64(0)
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int64(c-'0')
	}
	return n, true
}

// clip shortens what a message quotes.
func clip(b []byte) []byte { return b[:min(len(b), 60)] }

// content takes bytes of the body.
func (r *response) content(b []byte) (int, error) {
	n := len(b)
	if r.state != untilEOF && int64(n) > r.left {
		n = int(r.left)
	}
	r.size += int64(n)
	if r.size > r.maxBody {
		return 0, errBodyMax
	}
	if r.keep {
		var err error
		if r.body, err = r.budget.keptBody(r.body, b[:n], &r.held); err != nil {
			return 0, err
		}
	}
	r.left -= int64(n)
	if r.state != untilEOF && r.left == 0 {
		if r.state == inChunk {
			r.state = inChunkEnd
		} else {
			r.state = parsed
		}
	}
	return n, nil
}

// chunkLine takes a line between chunks.
func (r *response) chunkLine(b []byte) (int, error) {
	i := bytes.IndexByte(b, '\n')
	n := i + 1
	if i < 0 {
		n = len(b)
	}
	if len(r.line)+n > maxChunkLine {
		return 0, fmt.Errorf("%w: a line of more than %d bytes", errChunk, maxChunkLine)
	}
	r.line = append(r.line, b[:n]...)
	if i < 0 {
		return n, nil
	}
	line := bytes.TrimRight(r.line, "\r\n")
	err := r.endLine(line)
	r.line = r.line[:0]
	return n, err
}

func (r *response) endLine(line []byte) error {
	switch r.state {
	case inChunkEnd:
		if len(line) != 0 {
			return fmt.Errorf("%w: %q behind a chunk", errChunk, clip(line))
		}
		r.state = inChunkSize
	case inTrailer:
		if r.lines++; r.lines > maxTrailers {
			return fmt.Errorf("%w: more than %d trailers", errChunk, maxTrailers)
		}
		if len(line) == 0 {
			r.state = parsed
		}
	case inChunkSize:
		size, ok := hexadecimal(line)
		if !ok {
			return fmt.Errorf("%w: size %q", errChunk, clip(line))
		}
		if size > r.maxBody-r.size {
			return errBodyMax
		}
		r.state, r.left = inChunk, size
		if size == 0 {
			r.state = inTrailer
		}
	}
	return nil
}

// hexadecimal reads a chunk's size, up to its extensions.
func hexadecimal(b []byte) (int64, bool) {
	if i := bytes.IndexByte(b, ';'); i >= 0 {
		b = b[:i]
	}
	b = bytes.TrimSpace(b)
	if len(b) == 0 || len(b) > 15 {
		return 0, false
	}
	n := int64(0)
	for _, c := range b {
		d := int64(0)
		switch {
		case c >= '0' && c <= '9':
			d = int64(c - '0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			d = int64(c|0x20-'a') + 10
		default:
			return 0, false
		}
		n = n<<4 | d
	}
	return n, true
}
