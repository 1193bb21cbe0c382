//go:build unix

package bus_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/headroom-project/headroom/loadgen/bus"
	"github.com/headroom-project/headroom/loadgen/bus/bustest"
	"github.com/headroom-project/headroom/loadgen/observation"
)

// TestSimulatedFleet is what `make bench-fleet` runs: simulated workers publish real
// encoded windows once a second, one controller reads, keeps and merges them. It prints
// CPU, memory and lag. HEADROOM_BENCH_WORKERS sets how many, HEADROOM_BENCH_REQUESTS
// how many request names each window has, HEADROOM_BENCH_SECONDS how long.
func TestSimulatedFleet(t *testing.T) {
	workers := number("HEADROOM_BENCH_WORKERS", 20)
	names := number("HEADROOM_BENCH_REQUESTS", 1)
	seconds := number("HEADROOM_BENCH_SECONDS", 2)
	n := bustest.Single(t)
	read := make(chan result, 1)
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(seconds)*4*time.Second+30*time.Second)
	defer cancel()
	record, err := observation.Record(filepath.Join(t.TempDir(), "bundle"), nil)
	if err != nil {
		t.Fatal(err)
	}
	batches := simulated(workers, names, seconds)
	size := len(batches[0][0])
	runtime.GC()
	began, before := time.Now(), spent()
	go func() { read <- merge(ctx, n, record, workers, seconds) }()
	publish(t, n.Conn, batches, began)
	r := <-read
	used := spent() - before
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if r.windows != workers*seconds {
		t.Fatalf("%d windows were merged, want %d", r.windows, workers*seconds)
	}
	// The last second is published at its begin: to keep up is to be done within it.
	lag := func(second int) float64 { return r.done[second].Sub(began).Seconds() - float64(second) }
	share := func(busy time.Duration) string {
		return fmt.Sprintf("%v a window, %.2f of a core", (busy / time.Duration(r.windows)).Round(time.Microsecond), busy.Seconds()/float64(seconds))
	}
	t.Logf("%d workers, %d request names, %d s, windows of %d bytes; decode %s; merge %s; the whole process, with server and workers: %.2f cores; a second is merged and kept %.2f s after its begin, the last one %.2f s; %d bytes on disk a window; heap %d MB",
		workers, names, seconds, size, share(r.decoding), share(r.merging), used.Seconds()/float64(seconds), lag(0), lag(seconds-1), r.disk/int64(r.windows), m.HeapAlloc>>20)
}

func number(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil && n > 0 {
		return n
	}
	return otherwise
}

// result is what the reading side did.
type result struct {
	windows           int
	decoding, merging time.Duration
	disk              int64       // bytes of evidence
	done              []time.Time // when all windows of a second were merged, and kept
}

// simulated makes the messages of every worker, second by second.
func simulated(workers, names, seconds int) [][][]byte {
	out := make([][][]byte, seconds)
	for s := range out {
		// Not all alike: the evidence would be compressed better than it is.
		var different [][]byte
		for k := range min(workers, 1000) {
			different = append(different, bus.EncodeForBench(1, uint64(s+1), windowOf(names, s, k)))
		}
		for i := range workers {
			out[s] = append(out[s], different[i%len(different)])
		}
	}
	return out
}

// windowOf is a window of 300 hits, over three orders of magnitude.
func windowOf(names, second, worker int) *observation.Window {
	w := &observation.Window{
		Seq: uint64(second + 1), Second: second, At: time.Duration(second+1) * time.Second, Over: time.Second,
		Planned: 300, Sent: 300, Last: true, Requests: map[string]*observation.Tally{},
	}
	for k := range names {
		tally := observation.NewTally()
		for i := range 300 / names {
			d := time.Duration(1+(i*i*7919+second+i*worker*31+k*997)%5000) * 10 * time.Microsecond
			tally.Add(d, d-d/20, d/20, "")
		}
		w.Requests[fmt.Sprintf("request-%d", k)] = tally
	}
	return w
}

// publish sends each second's messages within that second, without waiting for each
// to be stored, as many workers do at once.
func publish(t *testing.T, nc *nats.Conn, batches [][][]byte, began time.Time) {
	t.Helper()
	for s, list := range batches {
		time.Sleep(time.Until(began.Add(time.Duration(s) * time.Second)))
		for i, data := range list {
			m := nats.NewMsg(fmt.Sprintf("hr.window.bench.W%d", i))
			m.Data = data
			m.Header.Set(nats.MsgIdHdr, fmt.Sprintf("bench/%d/%d", i, s))
			if err := nc.PublishMsg(m); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
}

// merge does what a controller does with each window: one goroutine reads and decodes
// it, another hands it to the evidence, which has its own, and merges it.
func merge(ctx context.Context, n *bustest.Net, record *observation.Recorder, workers, seconds int) result {
	var r result
	out := make(chan *observation.Window, 1024)
	go func() {
		defer close(out)
		bus.ReadForBench(ctx, n.JS, "bench", workers*seconds, func(worker string, data []byte) {
			began := time.Now()
			list, err := bus.DecodeForBench(data)
			r.decoding += time.Since(began)
			if err != nil {
				return
			}
			for _, w := range list {
				w.Worker = worker
				out <- w
			}
		})
	}()
	reducer := observation.NewReducer()
	reducer.Begin(observation.StepRecord{Lasts: time.Hour})
	for w := range out {
		if record.Window(w) != nil {
			continue
		}
		began := time.Now()
		reducer.Add(w)
		r.merging += time.Since(began)
		if r.windows++; r.windows%workers == 0 && record.Flush() == nil {
			r.done = append(r.done, time.Now())
		}
	}
	if record.Close() == nil {
		if info, err := os.Stat(filepath.Join(record.Dir(), observation.WindowsFile)); err == nil {
			r.disk = info.Size()
		}
	}
	return r
}
