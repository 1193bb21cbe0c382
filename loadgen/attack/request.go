package attack

import (
	"strconv"
	"strings"

	"github.com/headroom-project/headroom/scenarios"
)

// splitURL cuts an absolute http URL into host:port and what is asked of it.
func splitURL(u string) (host, path string) {
	rest := u[strings.Index(u, "://")+3:]
	i := strings.IndexAny(rest, "/?#")
	host, path = rest, "/"
	if i >= 0 {
		host, path = rest[:i], rest[i:]
	}
	if j := strings.IndexByte(path, '#'); j >= 0 {
		path = path[:j]
	}
	if path == "" || path[0] != '/' {
		path = "/" + path
	}
	return host, path
}

// appendRequest writes m as an HTTP/1.1 request for target, which is a path or,
// for a proxy, more.
func appendRequest(b []byte, m *scenarios.Message, host, target string) []byte {
	return append(appendHead(b, m, host, target), m.Body...)
}

// appendHead is appendRequest without the body.
func appendHead(b []byte, m *scenarios.Message, host, target string) []byte {
	b = append(b, m.Method...)
	b = append(b, ' ')
	b = append(b, target...)
	b = append(b, " HTTP/1.1\r\n"...)
	named, agent := false, false
	for _, f := range m.Header {
		switch {
		case strings.EqualFold(f.Name, "Host"):
			named = true
		case strings.EqualFold(f.Name, "User-Agent"):
			agent = true
		case strings.EqualFold(f.Name, "Content-Length"), strings.EqualFold(f.Name, "Transfer-Encoding"):
			continue // the body says it
		}
		b = appendField(b, f.Name, f.Value)
	}
	if !named {
		b = appendField(b, "Host", host)
	}
	if !agent {
		b = append(b, "User-Agent: headroom\r\n"...)
	}
	if len(m.Body) > 0 || m.Method == "POST" || m.Method == "PUT" || m.Method == "PATCH" {
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, int64(len(m.Body)), 10)
		b = append(b, "\r\n"...)
	}
	return append(b, "\r\n"...)
}

// appendField writes a header field. A line end in a value, as a feed may bring
// one, must not begin a field of its own.
func appendField(b []byte, name, value string) []byte {
	b = append(b, name...)
	b = append(b, ": "...)
	from := len(b)
	b = append(b, value...)
	for i := from; i < len(b); i++ {
		if b[i] == '\r' || b[i] == '\n' || b[i] == 0 {
			b[i] = ' '
		}
	}
	return append(b, "\r\n"...)
}
