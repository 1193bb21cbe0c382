package attack

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

// parseAll feeds text in pieces of n bytes.
func parseAll(r *response, text string, n int) (rest string, done bool, err error) {
	for len(text) > 0 {
		piece := text[:min(n, len(text))]
		k, done, err := r.feed([]byte(piece))
		if err != nil || done {
			return text[k:], done, err
		}
		if k != len(piece) {
			return text, false, errors.New("bytes were left over, and the response is not whole")
		}
		text = text[k:]
	}
	return "", r.eof(), nil
}

func TestResponses(t *testing.T) {
	cases := []struct {
		name, text, body, rest string
		status                 int
		closing, head          bool
	}{
		{name: "length", text: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloNEXT", status: 200, body: "hello", rest: "NEXT"},
		{name: "no reason", text: "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", status: 200},
		{name: "chunked", text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n1\r\n!\r\n0\r\nTrailer: x\r\n\r\nN", status: 200, body: "hello!", rest: "N"},
		{name: "until close", text: "HTTP/1.1 200 OK\r\n\r\nhello", status: 200, body: "hello", closing: true},
		{name: "close", text: "HTTP/1.1 500 X\r\nConnection: Close\r\nContent-Length: 1\r\n\r\nx", status: 500, body: "x", closing: true},
		{name: "1.0", text: "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", status: 200, body: "x", closing: true},
		{name: "1.0 chunked", text: "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", status: 200, body: "0\r\n\r\n", closing: true},
		{name: "1.0 alive", text: "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx", status: 200, body: "x"},
		{name: "interim", text: "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\nN", status: 204, rest: "N"},
		{name: "early hints", text: "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", status: 200, body: "x"},
		{name: "head", text: "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nN", status: 200, rest: "N", head: true},
		{name: "mixed line ends", text: "HTTP/1.1 200 OK\r\nConnection: close\n\r\nhi\r\n\r\n", status: 200, body: "hi\r\n\r\n", closing: true},
		{name: "an empty line in the body", text: "HTTP/1.1 200 OK\nContent-Length: 6\n\nhi\r\n\r\n", status: 200, body: "hi\r\n\r\n"},
		{name: "bare newlines", text: "HTTP/1.1 200 OK\nContent-Length: 2\n\nhi", status: 200, body: "hi"},
	}
	for _, c := range cases {
		for n := 1; n <= len(c.text); n++ {
			var r response
			r.reset(true, true, c.head, 1<<20)
			rest, done, err := parseAll(&r, c.text, n)
			if err != nil || !done || r.status != c.status || string(r.body) != c.body || r.closing != c.closing || rest != c.rest {
				t.Errorf("%s in pieces of %d: done %v, %v, status %d, body %q, closing %v, rest %q", c.name, n, done, err, r.status, r.body, r.closing, rest)
			}
		}
	}
}

func TestHeaderValues(t *testing.T) {
	var r response
	r.reset(false, true, false, 1<<20)
	if _, done, err := parseAll(&r, "HTTP/1.1 200 OK\r\nX-A: one\r\nx-a:  two \r\nContent-Length: 0\r\n\r\n", 7); !done || err != nil {
		t.Fatal(done, err)
	}
	if got := r.values("X-a"); len(got) != 2 || got[0] != "one" || got[1] != "two" {
		t.Errorf("values %q, want one and two", got)
	}
}

func TestMalformedResponses(t *testing.T) {
	for name, text := range map[string]string{
		"no http":           "I am no HTTP\r\n\r\n",
		"switch":            "HTTP/1.1 101 Switching Protocols\r\n\r\n",
		"status":            "HTTP/1.1 2x0 OK\r\n\r\n",
		"field":             "HTTP/1.1 200 OK\r\nnonsense\r\n\r\n",
		"length":            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		"two lengths":       "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
		"huge length":       "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\n",
		"chunk size":        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
		"chunk end":         "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n",
		"encoding":          "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
		"endless head":      "HTTP/1.1 200 OK\r\n" + strings.Repeat("X: y\r\n", 20000),
		"endless chunk ext": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;" + strings.Repeat("x", 10000),
		"big chunk":         "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n",
		"big body":          "HTTP/1.1 200 OK\r\n\r\n" + strings.Repeat("x", 2<<20),
	} {
		var r response
		r.reset(false, false, false, 1<<20)
		if _, done, err := parseAll(&r, text, 1000); err == nil || done {
			t.Errorf("%s: done %v, no error", name, done)
		}
	}
	var r response
	r.reset(false, false, false, 1<<20)
	if _, done, err := parseAll(&r, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi", 100); done || err != nil {
		t.Errorf("a body that is cut off: done %v, %v", done, err)
	}
}

// What net/http and this parser both take must be the same to both, and bytes
// must come out the same however they are cut.
func FuzzResponse(f *testing.F) {
	f.Add("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", uint8(3))
	f.Add("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", uint8(1))
	f.Add("HTTP/1.1 100 C\r\n\r\nHTTP/1.0 204 x\r\n\r\n", uint8(7))
	f.Add("HTTP/1.0 200 \n\r\n\r\n", uint8(1))
	f.Add("HTTP/1.0 200 \nTrAnsfer-EnCoding:Chunked\n\n0\n0000000\n\n", uint8('.'))
	f.Fuzz(func(t *testing.T, text string, n uint8) {
		var whole, pieces response
		whole.reset(true, true, false, 1<<16)
		pieces.reset(true, true, false, 1<<16)
		rest, done, err := parseAll(&whole, text, max(1, len(text)))
		rest2, done2, err2 := parseAll(&pieces, text, 1+int(n))
		if done != done2 || (err == nil) != (err2 == nil) || done && (rest != rest2 || !bytes.Equal(whole.body, pieces.body) || whole.status != pieces.status) {
			t.Fatalf("in one piece: %v %v %d %q; in several: %v %v %d %q", done, err, whole.status, whole.body, done2, err2, pieces.status, pieces.body)
		}
		if len(pieces.line) > maxHead+1<<10 || len(pieces.body) > 1<<16 {
			t.Fatalf("%d and %d bytes kept", len(pieces.line), len(pieces.body))
		}
		if !done || whole.status < 200 || whole.status == 101 {
			return
		}
		theirs, err := http.ReadResponse(bufio.NewReader(strings.NewReader(text)), nil)
		if err != nil || theirs.StatusCode != whole.status {
			return // it skips no interim answers, and is stricter in places
		}
		body, err := io.ReadAll(theirs.Body)
		if err == nil && !bytes.Equal(body, whole.body) {
			t.Fatalf("body %q, net/http reads %q", whole.body, body)
		}
	})
}
