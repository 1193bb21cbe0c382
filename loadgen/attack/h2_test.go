package attack_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/headroom-project/headroom/loadgen/attack"
	"github.com/headroom-project/headroom/loadgen/attack/attacktest"
	"github.com/headroom-project/headroom/scenarios"
)

func overHTTP2(t *testing.T, run func(*testing.T)) {
	overRoutesAtOnce(t, func(r route) bool { return !r.http1() && !r.proxied }, run)
}

// Over HTTP/2 too, the path and the body are sent as they are written, and nothing
// is added but the user agent and the length.
func TestHTTP2RequestIsSentAsWritten(t *testing.T) {
	overHTTP2(t, func(t *testing.T) {
		seen := make(chan string, 10)
		srv, _ := counting(t, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			seen <- fmt.Sprintf("%s %s %s %v %s", r.Method, r.RequestURI, r.Host, r.Header, body)
		})
		defer srv.Close()
		for path, host := range map[string]string{"/a%2Fb/../c//d?x=%20y&z=a+b": "", "//two/slashes?": "shop.example"} {
			b := newBench(t, srv.URL, func(s *scenarios.Scenario, _ *attack.Config) {
				r := scenarios.Request{Name: "a", Weight: 1, Post: srv.URL + path, Body: "hi", Headers: map[string]string{"X-A": "b"}}
				want := strings.TrimPrefix(strings.TrimPrefix(srv.URL, "http://"), "https://")
				if host != "" {
					r.Headers["Host"], want = host, host
				}
				host = want
				s.Target.Requests = []scenarios.Request{r}
			})
			b.run(context.Background(), constant(1, time.Second))
			want := fmt.Sprintf("POST %s %s map[Content-Length:[2] User-Agent:[headroom] X-A:[b]] hi", path, host)
			if got := <-seen; got != want {
				t.Errorf("sent\n%s, want\n%s", got, want)
			}
		}
	})
}

// connections counts those that a server accepts.
func connections(t *testing.T, change func(*http.Server)) (srv *httptest.Server, opened func() int) {
	t.Helper()
	srv = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		<-time.After(10 * time.Millisecond)
		ok(w, r)
	}))
	var mu sync.Mutex
	n := 0
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		mu.Lock()
		defer mu.Unlock()
		if s == http.StateNew {
			n++
		}
	}
	srv.Config.Protocols = new(http.Protocols)
	srv.Config.Protocols.SetUnencryptedHTTP2(true)
	if change != nil {
		change(srv.Config)
	}
	srv.Start()
	return srv, func() int {
		mu.Lock()
		defer mu.Unlock()
		return n
	}
}

// One connection carries what the target takes on it; with a bound, as many are
// open; where both are few, hits wait, and it shows as send lag.
func TestHTTP2Connections(t *testing.T) {
	few := func(s *http.Server) { s.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: 2} }
	for _, c := range []struct {
		name        string
		server      func(*http.Server)
		connections int
		least, most int
		waits       bool
	}{
		{"one", nil, 0, 1, 1, false},
		{"spread", nil, 3, 3, 3, false},
		{"as-many-as-needed", few, 0, 2, 200, false},
		{"bounded", few, 1, 1, 1, true},
	} {
		t.Run("h2c/"+c.name, func(t *testing.T) {
			srv, opened := connections(t, c.server)
			defer srv.Close()
			b := newBench(t, srv.URL, func(s *scenarios.Scenario, cfg *attack.Config) {
				cfg.Connections = c.connections
				s.Target.Timeout = scenarios.Duration(10 * time.Second)
			})
			r := b.run(context.Background(), constant(300, time.Second))
			planned, sent, good, _, _, errors := r.Totals()
			if good != planned || sent != planned || planned != 300 {
				t.Errorf("planned %d, sent %d, ok %d, %v", planned, sent, good, errors)
			}
			if n := opened(); n < c.least || n > c.most {
				t.Errorf("%d connections, want %d to %d", n, c.least, c.most)
			}
			p, err := r.Point(0)
			if err != nil {
				t.Fatal(err)
			}
			// Two at a time of 10 ms each are 200/s: the last of 300 waits for 500 ms.
			if c.waits && (p.SendLag.P90 < 100 || p.Waited == 0) {
				t.Errorf("send lag p90 = %g ms, %d waited: waiting for a stream is hidden", p.SendLag.P90, p.Waited)
			}
		})
	}
}

// A target may end a connection at any request. What it says it has not looked at
// goes over another connection, and every hit is counted once, as the target does.
func TestHTTP2GoAway(t *testing.T) {
	overHTTP2(t, func(t *testing.T) {
		var n atomic.Uint64
		srv, received := counting(t, func(w http.ResponseWriter, r *http.Request) {
			if n.Add(1)%20 == 0 {
				w.Header().Set("Connection", "close") // it ends the connection, gracefully
			}
			ok(w, r)
		})
		defer srv.Close()
		b := newBench(t, srv.URL, func(s *scenarios.Scenario, _ *attack.Config) {
			s.Target.Timeout = scenarios.Duration(20 * time.Second)
		})
		r := b.run(context.Background(), constant(400, time.Second))
		planned, sent, good, _, _, errors := r.Totals()
		if good != planned || sent != planned || received.Load() != sent {
			t.Errorf("planned %d, sent %d, received %d, ok %d, %v", planned, sent, received.Load(), good, errors)
		}
	})
}

// Frames of HTTP/2 (RFC 9113, 6).
const (
	frameData, frameHeaders, frameReset, frameSettings, frameGoAway = 0, 1, 3, 4, 7
	endStream, endHeaders                                           = 1, 4
)

func writeFrame(c net.Conn, kind, flags byte, stream uint32, payload string) {
	b := []byte{byte(len(payload) >> 16), byte(len(payload) >> 8), byte(len(payload)), kind, flags}
	_, _ = c.Write(append(binary.BigEndian.AppendUint32(b, stream), payload...))
}

func readFrame(r io.Reader) (kind byte, stream uint32, err error) {
	var head [9]byte
	if _, err = io.ReadFull(r, head[:]); err != nil {
		return 0, 0, err
	}
	_, err = io.CopyN(io.Discard, r, int64(head[0])<<16|int64(head[1])<<8|int64(head[2]))
	return head[3], binary.BigEndian.Uint32(head[5:]) & 0x7fffffff, err
}

// serveFrames greets, and calls answer for each request.
func serveFrames(answer func(c net.Conn, stream uint32)) func(net.Conn, *bufio.Reader, func()) {
	return func(c net.Conn, r *bufio.Reader, received func()) {
		if _, err := r.Discard(len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")); err != nil {
			return
		}
		writeFrame(c, frameSettings, 0, 0, "")
		for {
			kind, stream, err := readFrame(r)
			if err != nil {
				return
			}
			if kind == frameHeaders {
				received()
				answer(c, stream)
			}
		}
	}
}

// Heads of answers, in HPACK: 0x88 is :status 200, 0x0f 0x0d a literal
// content-length (RFC 7541, 6).
const (
	head200    = "\x88"
	headLength = "\x88\x0f\x0d\x02"
)

// Faults of HTTP/2 are counted under the same classes; what the target refuses
// without looking at it is not counted as sent.
func TestHTTP2Faults(t *testing.T) {
	word := func(code uint32) string { return string(binary.BigEndian.AppendUint32(nil, code)) }
	for _, c := range []struct {
		name   string
		answer func(c net.Conn, stream uint32)
		class  string
		unsent bool
	}{
		{"never answers", func(net.Conn, uint32) {}, "timeout", false},
		{"hangs up", func(c net.Conn, _ uint32) { _ = c.Close() }, "reset", false},
		{"internal error", func(c net.Conn, s uint32) { writeFrame(c, frameReset, 0, s, word(2)) }, "reset", false},
		{"resets in the body", func(c net.Conn, s uint32) {
			writeFrame(c, frameHeaders, endHeaders, s, head200)
			writeFrame(c, frameData, 0, s, "abc")
			writeFrame(c, frameReset, 0, s, word(8))
		}, "reset", false},
		{"refuses", func(c net.Conn, s uint32) { writeFrame(c, frameReset, 0, s, word(7)) }, "reset", true},
		{"goes away", func(c net.Conn, _ uint32) { writeFrame(c, frameGoAway, 0, 0, word(0)+word(11)); _ = c.Close() }, "reset", true},
		{"no HTTP/2", func(c net.Conn, _ uint32) { _, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n") }, "protocol", false},
		{"no status", func(c net.Conn, s uint32) { writeFrame(c, frameHeaders, endHeaders|endStream, s, "") }, "protocol", false},
		{"bad header block", func(c net.Conn, s uint32) { writeFrame(c, frameHeaders, endHeaders|endStream, s, "\xff\xff\xff\xff") }, "protocol", false},
		{"data first", func(c net.Conn, s uint32) { writeFrame(c, frameData, endStream, s, "abc") }, "protocol", false},
		{"length too small", func(c net.Conn, s uint32) {
			writeFrame(c, frameHeaders, endHeaders, s, headLength+"10")
			writeFrame(c, frameData, endStream, s, strings.Repeat("x", 20))
		}, "protocol", false},
		{"length too great", func(c net.Conn, s uint32) {
			writeFrame(c, frameHeaders, endHeaders, s, headLength+"10")
			writeFrame(c, frameData, endStream, s, "abc")
		}, "reset", false},
		{"body without end", func(c net.Conn, s uint32) {
			writeFrame(c, frameHeaders, endHeaders, s, head200)
			for range 20 {
				writeFrame(c, frameData, 0, s, strings.Repeat("x", 16<<10))
			}
		}, "protocol", false},
		{"header without end", func(c net.Conn, s uint32) {
			writeFrame(c, frameHeaders, 0, s, head200)
			for range 20 {
				writeFrame(c, 9, 0, s, strings.Repeat("\x00\x01a\x7f\x00"+strings.Repeat("b", 127), 120))
			}
		}, "protocol", false},
		{"stops in the body", func(c net.Conn, s uint32) {
			writeFrame(c, frameHeaders, endHeaders, s, head200)
			writeFrame(c, frameData, 0, s, "x")
		}, "timeout", false},
	} {
		overHTTP2(t, func(t *testing.T) {
			t.Run(strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
				target, url := rawTarget(t, serveFrames(c.answer))
				defer target.Close()
				b := newBench(t, url, func(s *scenarios.Scenario, cfg *attack.Config) {
					impatient(s, cfg)
					cfg.MaxBody = 64 << 10
				})
				// One after the other: a fault of a connection is one of all its streams.
				before := allocated()
				r := b.run(context.Background(), constant(12, 250*time.Millisecond))
				planned, sent, _, failed, _, errors := r.Totals()
				if errors[c.class] != planned || planned != 3 {
					t.Errorf("planned %d, failed %d %v; want all %q", planned, failed, errors, c.class)
				}
				if want := planned; c.unsent && sent != 0 || !c.unsent && (sent != want || target.Received.Load() != want) {
					t.Errorf("sent %d, received %d", sent, target.Received.Load())
				}
				if took := allocated() - before; took > 16<<20 {
					t.Errorf("3 hits allocated %d MB", took>>20)
				}
			})
		})
	}
}

// A target without HTTP/2 is refused before the drill, and counted as tls in it.
func TestTargetWithoutHTTP2(t *testing.T) {
	t.Run("http2", func(t *testing.T) {
		srv := httptest.NewUnstartedServer(http.HandlerFunc(ok))
		srv.Config.ErrorLog = log.New(io.Discard, "", 0)
		srv.StartTLS()
		defer srv.Close()
		b := newBench(t, srv.URL, nil)
		r := b.run(context.Background(), constant(10, time.Second))
		if planned, sent, _, _, _, errors := r.Totals(); errors["tls"] != planned || sent != 0 {
			t.Errorf("planned %d, sent %d, %v", planned, sent, errors)
		}
	})
	t.Run("h2c", func(t *testing.T) {
		target, err := attacktest.NewRaw(nil, func(c net.Conn, _ *bufio.Reader, _ func()) {
			_, _ = io.WriteString(c, "HTTP/1.1 505 HTTP Version Not Supported\r\n\r\n")
		})
		if err != nil {
			t.Fatal(err)
		}
		defer target.Close()
		b := newBench(t, "http://"+target.Addr(), nil)
		r := b.run(context.Background(), constant(10, time.Second))
		if planned, _, _, failed, _, errors := r.Totals(); failed != planned || errors["timeout"]+errors["blocked"] > 0 {
			t.Errorf("planned %d, failed %d, %v", planned, failed, errors)
		}
	})
}
