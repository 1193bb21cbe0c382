package main

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/grafana/pyroscope-go"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// hotTargetEnv makes this program a target whose costs are known, and hotSendsEnv one
// that sends its profiles to an address.
const (
	hotTargetEnv = "HEADROOM_HOT_TARGET"
	hotSendsEnv  = "HEADROOM_HOT_TARGET_SENDS_TO"
)

// Costs of the target: CPU of the constant function, and of the growing one for
// each request that came in the second before.
const (
	constantCost = 5 * time.Millisecond
	growingCost  = 20 * time.Microsecond
	ledgerHold   = time.Millisecond
)

// hotTruth is what the target counted: the CPU of its threads inside each
// function, by the system's clock of each thread.
type hotTruth struct {
	Requests    int64
	ConstantCPU int64 // ns
	GrowingCPU  int64 // ns
	Ledger      int64 // times that the lock was held
}

// hotTarget has two hot functions and a lock.
type hotTarget struct {
	requests, constant, growing, ledger atomic.Int64

	mu     sync.Mutex // the ledger's
	second sync.Mutex
	at     int64 // the second at hand
	now    int64 // requests of it
	last   int64 // requests of the one before
}

func (h *hotTarget) arrive() (before int64) {
	h.second.Lock()
	defer h.second.Unlock()
	if s := time.Now().Unix(); s != h.at {
		h.last, h.now, h.at = h.now, 0, s
	}
	h.now++
	return h.last
}

func (h *hotTarget) serve(w http.ResponseWriter, _ *http.Request) {
	before := h.arrive()
	h.requests.Add(1)
	h.constant.Add(int64(constantWork(constantCost)))
	h.growing.Add(int64(growingWork(time.Duration(before) * growingCost)))
	h.write()
	_, _ = io.WriteString(w, "ok")
}

// write holds the lock.
//
//go:noinline
func (h *hotTarget) write() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ledger.Add(1)
	time.Sleep(ledgerHold)
}

//go:noinline
func constantWork(cpu time.Duration) time.Duration {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	began := threadCPU()
	x := uint64(1)
	for threadCPU()-began < cpu {
		for range 20_000 { // some 20 us, so that reading the clock is a percent
			x ^= x << 13
			x ^= x >> 7
			x ^= x << 17
		}
	}
	sink.Store(x)
	return threadCPU() - began
}

//go:noinline
func growingWork(cpu time.Duration) time.Duration {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	began := threadCPU()
	x := uint64(1)
	for threadCPU()-began < cpu {
		for range 20_000 {
			x ^= x >> 12
			x ^= x << 25
			x ^= x >> 27
		}
	}
	sink.Store(x)
	return threadCPU() - began
}

var sink atomic.Uint64

// render is what many services do: JSON, compressed.
func render(w http.ResponseWriter, _ *http.Request) {
	type item struct {
		ID    int      `json:"id"`
		Name  string   `json:"name"`
		Tags  []string `json:"tags"`
		Price float64  `json:"price"`
	}
	items := make([]item, 400)
	for i := range items {
		items[i] = item{ID: i, Name: fmt.Sprintf("item %d", i), Tags: []string{"new", "sale"}, Price: float64(i) * 1.07}
	}
	b, err := json.Marshal(items)
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Encoding", "gzip")
	z := gzip.NewWriter(w)
	_, _ = z.Write(b)
	_ = z.Close()
}

// serveHotTarget serves until its standard input ends.
func serveHotTarget() {
	runtime.SetMutexProfileFraction(1)
	if to := os.Getenv(hotSendsEnv); to != "" {
		agent, err := pyroscope.Start(pyroscope.Config{
			ApplicationName: "hot", ServerAddress: to, UploadRate: time.Second,
			ProfileTypes: append([]pyroscope.ProfileType{pyroscope.ProfileGoroutines}, pyroscope.DefaultProfileTypes...),
		})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return
		}
		defer func() { _ = agent.Stop() }()
	}
	h := &hotTarget{}
	mux := http.NewServeMux()
	mux.HandleFunc("/", h.serve)
	mux.HandleFunc("/render", render)
	mux.HandleFunc("/truth", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(hotTruth{h.requests.Load(), h.constant.Load(), h.growing.Load(), h.ledger.Load()})
	})
	mux.Handle("/metrics", promhttp.Handler())
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	fmt.Printf("listening on http://%s\n", ln.Addr())
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = server.Close()
	}()
	_ = server.Serve(ln)
}

// startHotTarget runs the target in a process of its own, on one core.
func startHotTarget(t testing.TB, env ...string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(append(os.Environ(), hotTargetEnv+"=1", "GOMAXPROCS=1"), env...)
	return listening(t, cmd)
}
