package scenarios

import (
	"encoding/hex"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"time"
)

// HeaderField is one header of a message.
type HeaderField struct{ Name, Value string }

// Message is a request as it is to be sent. Header and Body belong to the
// message or, for static requests, to the Requests: they are valid until the
// next Render into the same message, and must not be changed.
type Message struct {
	// Name is the request's name in the figures.
	Name   string
	Method string
	// URL is absolute.
	URL    string
	Header []HeaderField
	Body   []byte
	// Err is set if the hit cannot be sent: ErrNoRow, ErrNoValue or ErrBadValue,
	// wrapped. URL is then empty.
	Err error

	fields  []HeaderField
	scratch []byte
	body    []byte
}

// Render fills m for a hit, reusing its buffers. A static request allocates
// nothing; a dynamic one allocates a string for each dynamic URL and header.
func (r *Requests) Render(h Hit, m *Message) { r.RenderWith(h, nil, m) }

// Fixed says that every hit of request i is the same message.
func (r *Requests) Fixed(i int) bool {
	c := &r.list[i]
	return c.feed == nil && len(c.url.dynamic) == 0 && len(c.body.dynamic) == 0 && (c.fixedHeaders != nil || len(c.headers) == 0)
}

// RenderWith is Render for a virtual user who has captured values; nil is none.
func (r *Requests) RenderWith(h Hit, v *Variables, m *Message) {
	c := &r.list[h.Request]
	d := drawing{requests: r, key: hash(r.seed, h.N, 'v'), hit: h, variables: v}
	if r.flow {
		// The requests of a flow share a number, but not what they draw.
		d.key = hash(d.key, uint64(h.Request))
	}
	if c.feed != nil {
		d.row = c.row(h.N)
		if d.row == nil {
			d.err = ErrNoRow
		}
	}
	m.Name, m.Method, m.URL = c.name, c.method, c.url.fixed
	if len(c.url.dynamic) > 0 {
		m.scratch = d.append(m.scratch[:0], c.url.dynamic)
		m.URL = string(m.scratch)
	}
	m.Header = c.fixedHeaders
	if c.fixedHeaders == nil && len(c.headers) > 0 {
		m.fields = m.fields[:0]
		for i := range c.headers {
			field := HeaderField{Name: c.headers[i].name, Value: c.headers[i].value.fixed}
			if t := c.headers[i].value.dynamic; len(t) > 0 {
				m.scratch = d.append(m.scratch[:0], t)
				field.Value = string(m.scratch)
			}
			m.fields = append(m.fields, field)
		}
		m.Header = m.fields
	}
	m.Body = c.body.bytes
	if len(c.body.dynamic) > 0 {
		m.body = d.append(m.body[:0], c.body.dynamic)
		m.Body = m.body
	}
	if m.Err = d.err; m.Err != nil {
		m.Err = fmt.Errorf("request %s: %w", c.name, d.err)
		m.URL = ""
	}
}

// row is that of a hit; nil if there is none left.
func (c *compiled) row(n uint64) []string {
	rows := uint64(c.feed.rows())
	if n >= rows && !c.reuse {
		return nil
	}
	return c.feed.row(int(n % rows))
}

// drawing renders the actions of one hit.
type drawing struct {
	requests  *Requests
	key       uint64
	hit       Hit
	row       []string
	variables *Variables
	err       error
}

func (d *drawing) append(dst []byte, t template) []byte {
	for i := range t {
		s := &t[i]
		switch s.action {
		case actLiteral:
			dst = append(dst, s.text...)
		case actSeq:
			dst = strconv.AppendInt(dst, s.low+int64(d.hit.N), 10)
		case actInt:
			// The width is 0 when the bounds span all of int64.
			width := uint64(s.high) - uint64(s.low) + 1
			v := d.bits(s.slot)
			if width != 0 {
				v, _ = bits.Mul64(v, width)
			}
			dst = strconv.AppendInt(dst, int64(uint64(s.low)+v), 10)
		case actUUID:
			dst = appendUUID(dst, d.bits(s.slot), mix(d.bits(s.slot)+golden))
		case actPick:
			i, _ := bits.Mul64(d.bits(s.slot), uint64(len(s.choices)))
			dst = appendFor(dst, s.choices[i], s.use)
		case actRow:
			if d.row != nil {
				dst = appendFor(dst, d.row[s.column], s.use)
			}
		case actVar:
			dst = d.variable(dst, s)
		case actRun:
			dst = append(dst, d.requests.run...)
		case actStep:
			dst = strconv.AppendInt(dst, int64(d.hit.Step), 10)
		case actNow:
			dst = appendTime(dst, d.requests.now(), s.text, s.use)
		}
	}
	return dst
}

// variable appends a captured value. It comes from the target, so it may hold
// anything.
func (d *drawing) variable(dst []byte, s *segment) []byte {
	value, ok := d.variables.get(s.column)
	switch {
	case !ok:
		d.err = fmt.Errorf("%w: %s", ErrNoValue, s.text)
		return dst
	case s.use.refuses(value):
		d.err = fmt.Errorf("%w: %s", ErrBadValue, s.text)
		return dst
	}
	return appendFor(dst, value, s.use)
}

// bits are those of the action with a slot, for this hit.
func (d *drawing) bits(slot uint64) uint64 { return mix(d.key + slot*golden) }

func appendFor(dst []byte, text string, u use) []byte {
	switch u {
	case asURL:
		return appendURL(dst, text)
	case asQuery:
		return appendQuery(dst, text)
	}
	return append(dst, text...)
}

func appendTime(dst []byte, t time.Time, layout string, u use) []byte {
	switch layout {
	case layoutUnix:
		return strconv.AppendInt(dst, t.Unix(), 10)
	case layoutUnixMS:
		return strconv.AppendInt(dst, t.UnixMilli(), 10)
	}
	if u == asURL || u == asQuery {
		return appendFor(dst, t.Format(layout), u)
	}
	return t.AppendFormat(dst, layout)
}

// appendUUID writes 122 random bits in the form of RFC 9562, version 4.
func appendUUID(dst []byte, high, low uint64) []byte {
	var raw [16]byte
	for i := range 8 {
		raw[i], raw[8+i] = byte(high>>(8*i)), byte(low>>(8*i))
	}
	raw[6] = raw[6]&0x0f | 0x40
	raw[8] = raw[8]&0x3f | 0x80
	for i, part := range [...][]byte{raw[:4], raw[4:6], raw[6:8], raw[8:10], raw[10:]} {
		if i > 0 {
			dst = append(dst, '-')
		}
		dst = hex.AppendEncode(dst, part)
	}
	return dst
}

// appendURL appends text and percent-encodes the bytes that cannot stand in a
// URL. What can is left, so that a column may hold /a/b?x=1; a % that begins no
// escape is encoded.
func appendURL(dst []byte, text string) []byte {
	const digits = "0123456789ABCDEF"
	for i := range len(text) {
		b := text[i]
		bad := b <= ' ' || b >= 0x7f || strings.IndexByte("\"<>\\^`{|}#", b) >= 0
		if b == '%' {
			bad = i+2 >= len(text) || !isHex(text[i+1]) || !isHex(text[i+2])
		}
		if bad {
			dst = append(dst, '%', digits[b>>4], digits[b&15])
		} else {
			dst = append(dst, b)
		}
	}
	return dst
}

// appendQuery appends text as a value of a query: every byte but the unreserved
// ones (RFC 3986, 2.3) is percent-encoded.
func appendQuery(dst []byte, text string) []byte {
	const digits = "0123456789ABCDEF"
	for i := range len(text) {
		b := text[i]
		if b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || strings.IndexByte("-._~", b) >= 0 {
			dst = append(dst, b)
		} else {
			dst = append(dst, '%', digits[b>>4], digits[b&15])
		}
	}
	return dst
}

func isHex(b byte) bool {
	return b >= '0' && b <= '9' || b >= 'a' && b <= 'f' || b >= 'A' && b <= 'F'
}
