//go:build unix

package bus_test

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/headroom-project/headroom/loadgen"
	"github.com/headroom-project/headroom/loadgen/bus"
	"github.com/headroom-project/headroom/loadgen/bus/bustest"
	"github.com/headroom-project/headroom/loadgen/observation"
)

// local makes a fleet of one worker in this process; the drill clock begins now.
type local struct {
	name string
	make func(testing.TB, *bus.Compiled) (loadgen.Fleet, func() time.Duration)
}

var locals = []local{
	{"memory", func(_ testing.TB, c *bus.Compiled) (loadgen.Fleet, func() time.Duration) {
		now := bustest.Clock()
		return loadgen.NewLocal(loadgen.LocalConfig{Name: "local", Requests: c.Requests, Allow: c.Allow, Now: now}), now
	}},
	{"inprocess", func(t testing.TB, c *bus.Compiled) (loadgen.Fleet, func() time.Duration) {
		now := bustest.Clock()
		f, err := bus.NewInProcess(context.Background(), bus.InProcessConfig{Run: "local", Name: "local", Compiled: c, Now: now})
		if err != nil {
			t.Fatal(err)
		}
		return f, now
	}},
}

// paced is what a drill of a target that answers at once looks like.
type paced struct{ lag50, lag99, p50, p99, cpu, rest float64 } // ms; cpu in us for a hit; rest is the time besides the load

// BenchmarkLocalFleets holds a drill over a server in this process against one over a
// channel: what is lost of pacing, CPU, time and memory. The rounds take turns, so
// that what else the machine does hits both alike; the middle by lag p99 counts.
func BenchmarkLocalFleets(b *testing.B) {
	const rounds, lasts = 7, 2 * time.Second
	url := bustest.Responder(b)
	for range b.N {
		for _, x := range []struct {
			name string
			rate float64
			slo  string
		}{{"2k", 2_000, "p99 < 50ms"}, {"10k", 10_000, "p99 < 50ms"}, {"2k-precise", 2_000, "p99 < 5ms"}} {
			in := bustest.Input(url, x.rate, lasts, fmt.Sprintf("objectives: [%s]", x.slo))
			seen := map[string][]paced{}
			for range rounds {
				for _, l := range locals {
					seen[l.name] = append(seen[l.name], pace(b, l, in, lasts))
				}
			}
			for _, l := range locals {
				list := seen[l.name]
				slices.SortFunc(list, func(a, b paced) int { return cmp.Compare(a.lag99, b.lag99) })
				p := list[len(list)/2]
				b.Logf("%s, %s: send lag p50 %.3f p99 %.3f ms, response p50 %.3f p99 %.3f ms, %.1f us of CPU a hit, %.0f ms besides the load",
					x.name, l.name, p.lag50, p.lag99, p.p50, p.p99, p.cpu, p.rest)
				b.ReportMetric(p.lag99, x.name+"-"+l.name+"-lag99-ms")
				b.ReportMetric(p.cpu, x.name+"-"+l.name+"-us/hit")
			}
		}
		for _, l := range locals {
			start, heap := begun(b, l, bustest.Input(url, 100, time.Second, ""))
			b.Logf("%s: begun in %.1f ms, %.1f MB of heap", l.name, start, heap)
			b.ReportMetric(start, l.name+"-start-ms")
			b.ReportMetric(heap, l.name+"-heap-MB")
		}
	}
}

// spent is the CPU time of this process.
func spent() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func compiled(t testing.TB, in *bus.Input) *bus.Compiled {
	t.Helper()
	c, err := in.Compile()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// pace runs a whole drill, with its evidence.
func pace(t testing.TB, l local, in *bus.Input, lasts time.Duration) paced {
	t.Helper()
	c := compiled(t, in)
	record, err := observation.Record(filepath.Join(t.TempDir(), "bundle"), in.Scenario)
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	began, before := time.Now(), spent()
	f, now := l.make(t, c)
	out, err := loadgen.Run(context.Background(), loadgen.Config{
		ID: "t", Scenario: c.Scenario, Plan: c.Plan, Fleet: f, Record: record, Now: now, Started: began,
	})
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	took, cpu := time.Since(began), spent()-before
	if err != nil || len(out.Points) != 1 {
		t.Fatalf("%d points, %v", len(out.Points), err)
	}
	if err := record.Close(); err != nil {
		t.Error(err)
	}
	p := out.Points[0]
	return paced{p.SendLag.P50, p.SendLag.P99, p.Response.P50, p.Response.P99, float64(cpu.Microseconds()) / (p.Offered * lasts.Seconds()), float64((took - lasts).Milliseconds())}
}

// begun is how long a fleet takes to begin, in ms, and what it then holds, in MB.
func begun(t testing.TB, l local, in *bus.Input) (start, heap float64) {
	t.Helper()
	c := compiled(t, in)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	at := time.Now()
	f, _ := l.make(t, c)
	if _, err := f.Begin(context.Background(), loadgen.Assignment{Plan: c.Plan, Scenario: c.Scenario}); err != nil {
		t.Fatal(err)
	}
	start = float64(time.Since(at).Microseconds()) / 1000
	runtime.GC()
	runtime.ReadMemStats(&after)
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	return start, float64(int64(after.HeapAlloc)-int64(before.HeapAlloc)) / (1 << 20)
}
