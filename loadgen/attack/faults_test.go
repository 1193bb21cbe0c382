package attack_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/headroom-project/headroom/loadgen/attack"
	"github.com/headroom-project/headroom/loadgen/attack/attacktest"
	"github.com/headroom-project/headroom/scenarios"
)

// fault is what a target answers to every request over HTTP/1.1, and what each hit
// ends as: "" is OK.
type fault struct {
	name   string
	answer func(c net.Conn)
	class  string
}

func says(text string) func(net.Conn) {
	return func(c net.Conn) { _, _ = io.WriteString(c, text) }
}

func pours(head, text string) func(net.Conn) {
	text = strings.Repeat(text, 1+32<<10/len(text))
	return func(c net.Conn) {
		_, _ = io.WriteString(c, head)
		attacktest.Pour(c, text)
	}
}

func drips(head, text string) func(net.Conn) {
	return func(c net.Conn) {
		_, _ = io.WriteString(c, head)
		attacktest.Drip(c, text, 20*time.Millisecond)
	}
}

// faults are after the read of a whole request.
func faults() []fault {
	const ok, chunked = "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	return []fault{
		{"never answers", attacktest.Hang, "timeout"},
		{"slow header", drips(ok, "X-A: b\r\n"), "timeout"},
		{"slow body", drips(ok+"Content-Length: 1000\r\n\r\n", "x"), "timeout"},
		{"slow chunks", drips(chunked, "1\r\nx\r\n"), "timeout"},
		{"interim answers for ever", drips("", "HTTP/1.1 100 Continue\r\n\r\n"), "timeout"},

		{"hangs up", func(net.Conn) {}, "reset"},
		{"resets", attacktest.Reset, "reset"},
		{"resets in the header", func(c net.Conn) { says(ok)(c); attacktest.Reset(c) }, "reset"},
		{"resets in the body", func(c net.Conn) { says(ok + "Content-Length: 10\r\n\r\nabc")(c); attacktest.Reset(c) }, "reset"},
		{"length too great", says(ok + "Content-Length: 10\r\n\r\nabc"), "reset"},
		{"ends in a chunk", says(chunked + "5\r\nab"), "reset"},
		{"ends before the last chunk", says(chunked + "2\r\nab\r\n"), "reset"},

		{"length too small", says(ok + "Content-Length: 2\r\n\r\nabcdef"), ""},
		{"body with a 204", says("HTTP/1.1 204 No Content\r\n\r\nabc"), ""},
		{"ends with the connection", says(ok + "\r\nabc"), ""},

		{"no HTTP", says("220 mail.example ESMTP\r\n"), "protocol"},
		{"HTTP/2", says("\x00\x00\x00\x04\x00\x00\x00\x00\x00"), "protocol"},
		{"no status", says("HTTP/1.1 abc\r\n\r\n"), "protocol"},
		{"two lengths", says(ok + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"), "protocol"},
		{"negative length", says(ok + "Content-Length: -1\r\n\r\n"), "protocol"},
		{"no chunk", says(chunked + "hello\r\n"), "protocol"},
		{"header without end", pours(ok, "X-A: b\r\n"), "protocol"},
		{"line without end", pours(ok, "x"), "protocol"},
		{"chunk extension without end", pours(chunked+"1;", "x"), "protocol"},
		{"trailers without end", pours(chunked+"0\r\n", "X-A: b\r\n"), "protocol"},
		{"1 GB", pours(ok+"Content-Length: 1073741824\r\n\r\n", "x"), "protocol"},
		{"body without end", pours(ok+"\r\n", "x"), "protocol"},
		{"chunks without end", pours(chunked, "1000\r\n"+strings.Repeat("x", 4096)+"\r\n"), "protocol"},
		{"huge chunk", pours(chunked+"40000000\r\n", "x"), "protocol"},
	}
}

// serveFault answers each request so, and hangs up.
func serveFault(answer func(net.Conn)) func(net.Conn, *bufio.Reader, func()) {
	return func(c net.Conn, r *bufio.Reader, received func()) {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, req.Body)
		received()
		answer(c)
	}
}

// rawTarget starts a target for the route of the test.
func rawTarget(t *testing.T, serve func(net.Conn, *bufio.Reader, func())) (*attacktest.Raw, string) {
	t.Helper()
	var cfg *tls.Config
	scheme := "http://"
	if r := routeOf(t); r.secure {
		cfg, scheme = &tls.Config{Certificates: []tls.Certificate{testCertificate()}}, "https://"
		if !r.http1() {
			cfg.NextProtos = []string{"h2"}
		}
	}
	target, err := attacktest.NewRaw(cfg, serve)
	if err != nil {
		t.Fatal(err)
	}
	return target, scheme + target.Addr()
}

// impatient gives a hit a quarter of a second and 64 KiB, and looks at the body so
// that it is kept.
func impatient(s *scenarios.Scenario, _ *attack.Config) {
	s.Target.Timeout = scenarios.Duration(250 * time.Millisecond)
	s.Target.Requests = []scenarios.Request{{Name: "a", Weight: 1, Get: "/", Check: scenarios.Check{Body: `not contains "nothing of the kind"`}}}
}

// Whatever a target answers is counted under its class, once for each hit, and
// takes little memory.
func TestFaults(t *testing.T) {
	overRoutes(t, func(r route) bool { return r.http1() && !r.proxied }, func(t *testing.T) {
		for _, f := range faults() {
			t.Run(strings.ReplaceAll(f.name, " ", "-"), func(t *testing.T) {
				noLeaks(t)
				target, url := rawTarget(t, serveFault(f.answer))
				defer target.Close()
				b := newBench(t, url, func(s *scenarios.Scenario, cfg *attack.Config) {
					impatient(s, cfg)
					cfg.MaxBody = 64 << 10
				})
				before := allocated()
				r := b.run(context.Background(), constant(100, 100*time.Millisecond))
				planned, sent, good, failed, _, errors := r.Totals()
				if want := errors[f.class]; f.class == "" && good != planned || f.class != "" && want != planned || planned != 10 {
					t.Errorf("planned %d, ok %d, failed %d %v; want all %q", planned, good, failed, errors, f.class)
				}
				if sent != planned || target.Received.Load() != sent {
					t.Errorf("sent %d, received %d", sent, target.Received.Load())
				}
				if took := allocated() - before; took > 16<<20 {
					t.Errorf("10 hits allocated %d MB", took>>20)
				}
			})
		}
	})
}

// allocated is what the process has allocated so far, in bytes. Tests of memory
// bound it, since it grows with the work only, whatever the collector does.
func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

// Bodies of any size are read to their end within a bound of memory if nothing
// looks at them.
func TestLargeBodiesAreNotKept(t *testing.T) {
	overRoutes(t, func(r route) bool { return !r.proxied }, func(t *testing.T) {
		noLeaks(t)
		const size = 64 << 20
		chunk := make([]byte, 256<<10)
		srv, _ := counting(t, func(w http.ResponseWriter, _ *http.Request) {
			for range size / len(chunk) {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		})
		defer srv.Close()
		b := newBench(t, srv.URL, func(s *scenarios.Scenario, cfg *attack.Config) {
			s.Target.Timeout, cfg.MaxBody = scenarios.Duration(time.Minute), 1<<30
		})
		before := allocated()
		r := b.run(context.Background(), constant(4, time.Second))
		if planned, _, good, _, _, errors := r.Totals(); good != planned || planned != 4 {
			t.Errorf("planned %d, ok %d, %v", planned, good, errors)
		}
		// What the target allocates counts too; kept bodies would take their size twice.
		if took := allocated() - before; took > 4*size {
			t.Errorf("4 bodies of %d MB made the process allocate %d MB", size>>20, took>>20)
		}
	})
}

// A target may answer before it has the body, and hang up on the rest.
func TestAnswerBeforeTheBody(t *testing.T) {
	overRoutes(t, func(r route) bool { return r.http1() && !r.proxied }, func(t *testing.T) {
		noLeaks(t)
		target, url := rawTarget(t, func(c net.Conn, r *bufio.Reader, received func()) {
			if _, err := http.ReadRequest(r); err != nil {
				return
			}
			received()
			says("HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")(c)
			_, _ = io.CopyN(io.Discard, c, 128<<10)
		})
		defer target.Close()
		b := newBench(t, url, func(s *scenarios.Scenario, _ *attack.Config) {
			s.Target.Requests = []scenarios.Request{{Name: "a", Weight: 1, Post: "/", Body: strings.Repeat("x", 900<<10)}}
		})
		r := b.run(context.Background(), constant(20, 500*time.Millisecond))
		planned, sent, _, _, _, errors := r.Totals()
		if errors["status"]+errors["reset"] != planned || errors["status"] == 0 {
			t.Errorf("planned %d, %v; want status, or reset where the answer was lost with the connection", planned, errors)
		}
		if sent != target.Received.Load() || sent != planned {
			t.Errorf("planned %d, sent %d, received %d", planned, sent, target.Received.Load())
		}
	})
}

// Names that do not resolve and ports that nobody listens on are counted, and
// nothing is sent.
func TestUnreachable(t *testing.T) {
	for class, host := range map[string]string{"dial": "127.0.0.1:1", "dns": "nowhere.invalid", "blocked": "192.0.2.1"} {
		overRoutesAtOnce(t, func(r route) bool { return !r.proxied }, func(t *testing.T) {
			scheme := "http://"
			if routeOf(t).secure {
				scheme = "https://"
			}
			b := newBench(t, scheme+host, nil)
			r := b.run(context.Background(), constant(50, 200*time.Millisecond))
			if planned, sent, _, _, _, errors := r.Totals(); errors[class] != planned || sent != 0 {
				t.Errorf("planned %d, sent %d, %v; want all %s", planned, sent, errors, class)
			}
		})
	}
}
