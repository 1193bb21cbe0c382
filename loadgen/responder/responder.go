// Package responder answers plain HTTP/1.1 as fast as a server can, or stalls in
// an exact rhythm: a target whose response times are known, to hold the generator
// against and to measure what this machine allows.
//
// It reads no more of a request than its end, knows no bodies, and answers 200.
// GET /received answers how many other requests it has received.
package responder

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Config says how to answer.
type Config struct {
	// Stall is how long nothing is answered at the end of each Period, which are
	// counted from the first request. 0 answers at once.
	Stall, Period time.Duration
	// CPU pins the responder to a core, numbered from 1, where the system can do
	// that; 0 leaves it to the system.
	CPU int
}

// Target is a responder that runs in this process. Close ends it.
type Target struct {
	addr  string
	close func()
}

// URL is where the target answers.
func (t *Target) URL() string { return "http://" + t.addr + "/" }

// Close ends the target, and returns when nothing of it runs any more.
func (t *Target) Close() { t.close() }

// Received asks a target, of this or of another process, how many requests it has
// received.
func Received(url string) (uint64, error) {
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(strings.TrimSuffix(url, "/") + receivedPath)
	if err != nil {
		return 0, fmt.Errorf("count of the responder: %w", err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 64))
	if err != nil {
		return 0, fmt.Errorf("count of the responder: %w", err)
	}
	n, err := strconv.ParseUint(string(b), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("count of the responder: %w", err)
	}
	return n, nil
}

const receivedPath = "/received"

var (
	answer   = []byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	emptyEnd = []byte("\r\n\r\n")
	asksFor  = []byte("GET " + receivedPath)
)

// counted is the answer to GET /received.
func counted(n uint64) []byte {
	text := strconv.FormatUint(n, 10)
	return fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(text), text)
}

// rhythm tells when answers are held back.
type rhythm struct {
	stall, period time.Duration
	began         time.Time
	ended         time.Time // of the last stall, which may have been left early
}

// until is the end of the stall that now lies in; zero if it lies in none.
func (r *rhythm) until(now time.Time) time.Time {
	if r.stall <= 0 {
		return time.Time{}
	}
	if r.began.IsZero() {
		r.began = now
	}
	if now.Before(r.ended) {
		return time.Time{}
	}
	phase := now.Sub(r.began) % r.period
	if phase < r.period-r.stall {
		return time.Time{}
	}
	return now.Add(r.period - phase)
}

// requests is the number of requests whose end lies in b.
func requests(b []byte) int { return bytes.Count(b, emptyEnd) }

// listen returns a listener on a free loopback port.
func listen() (*net.TCPListener, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("responder: %w", err)
	}
	return ln.(*net.TCPListener), nil
}
