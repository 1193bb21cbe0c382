package bustest

import (
	"context"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/headroom-project/headroom/loadgen"
	"github.com/headroom-project/headroom/loadgen/bus"
	"github.com/headroom-project/headroom/loadgen/observation"
)

// Drill is a whole drill over a fleet, and what is recorded of it.
type Drill struct {
	Outcome  loadgen.Outcome
	Err      error
	Evidence *observation.Evidence
	Reducer  *observation.Reducer
}

// Run runs a drill with its controller, as a process of it would.
func Run(t testing.TB, f loadgen.Fleet, now func() time.Duration, in *bus.Input, change ...func(*loadgen.Config)) Drill {
	t.Helper()
	c, err := in.Compile()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "bundle")
	record, err := observation.Record(dir, in.Scenario)
	if err != nil {
		t.Fatal(err)
	}
	cfg := loadgen.Config{
		ID: "t", Scenario: c.Scenario, Plan: c.Plan, Fleet: f, Record: record, Now: now, Started: time.Now(), Lead: 250 * time.Millisecond,
	}
	for _, f := range change {
		f(&cfg)
	}
	var d Drill
	d.Outcome, d.Err = loadgen.Run(context.Background(), cfg)
	if err := record.Close(); err != nil {
		t.Error(err)
	}
	if d.Evidence, err = observation.Open(dir); err != nil {
		t.Fatal(err)
	}
	d.Reducer = d.Evidence.Reduce()
	return d
}

// Sent is how many hits the merged windows say were sent.
func (d Drill) Sent() uint64 {
	_, sent, _, _, _, _ := d.Reducer.Totals()
	return sent
}

// Fleet returns what happened to the workers.
func (d Drill) Fleet(what string) []observation.FleetRecord {
	var out []observation.FleetRecord
	for _, e := range d.Evidence.Journal {
		if e.Fleet != nil && e.Fleet.What == what {
			out = append(out, *e.Fleet)
		}
	}
	return out
}

// Proxy carries TCP connections to a server, until it is severed. What is sent then
// is lost without a word, as in a network that is down.
type Proxy struct {
	URL string
	// Delay holds everything back by so much, each way.
	Delay time.Duration

	mu      sync.Mutex
	severed chan struct{} // closed by Heal; nil if it is whole
	conns   []net.Conn
}

// NewProxy starts a proxy to the server that url names.
func NewProxy(t testing.TB, url string, delay time.Duration) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{URL: "nats://" + l.Addr().String(), Delay: delay}
	t.Cleanup(func() { _ = l.Close(); p.Heal() })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", strings.TrimPrefix(url, "nats://"))
			if err != nil {
				_ = in.Close()
				continue
			}
			p.mu.Lock()
			p.conns = append(p.conns, in, out)
			p.mu.Unlock()
			go p.carry(in, out)
			go p.carry(out, in)
		}
	}()
	return p
}

func (p *Proxy) carry(from, to net.Conn) {
	type packet struct {
		data []byte
		due  time.Time
	}
	queue := make(chan packet, 1<<14)
	go func() {
		defer to.Close()
		for x := range queue {
			time.Sleep(time.Until(x.due))
			if _, err := to.Write(x.data); err != nil {
				return
			}
		}
	}()
	defer close(queue)
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		lost := p.cut()
		if err != nil {
			if lost != nil {
				<-lost // that one side has ended is lost, too
			}
			if err != io.EOF {
				_ = to.Close()
			}
			return
		}
		if lost == nil {
			queue <- packet{append([]byte(nil), buf[:n]...), time.Now().Add(p.Delay)}
		}
	}
}

// Sever loses everything until Heal. A connection that has lost something is of no
// use after that; the worker has to make a new one.
func (p *Proxy) Sever() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.severed == nil {
		p.severed = make(chan struct{})
	}
}

// Heal carries everything again, and ends the connections that lost something.
func (p *Proxy) Heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.severed != nil {
		close(p.severed)
		p.severed = nil
	}
	for _, c := range p.conns {
		_ = c.Close()
	}
	p.conns = nil
}

// cut is not nil while the proxy is severed.
func (p *Proxy) cut() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.severed == nil {
		return nil
	}
	return p.severed
}
