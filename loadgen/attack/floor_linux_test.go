package attack_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/headroom-project/headroom/loadgen/attack"
	"github.com/headroom-project/headroom/loadgen/responder"
	"github.com/headroom-project/headroom/scenarios"
)

// figure is a measurement of the floor; the middle of several by p99 counts.
type figure struct{ p50, p99, lag99, cpu float64 } // ms, ms, ms, us

const (
	floorRate   = 10_000
	floorRounds = 5
	hitRate     = 40_000
)

// BenchmarkFloor shows what a target that answers at once seems to take, at
// 10,000 req/s: the machine itself (a thread that only sleeps), the loop in both
// pacings, vegeta's Attacker, and vegeta's command line where it is on the path.
// The rounds take turns, so that what else the machine does hits all alike.
// machine-away-% is the share of the time in which a core was away for half a
// millisecond or more: above 1%, no p99 can be below that.
func BenchmarkFloor(b *testing.B) {
	url := apart(b, responder.Config{})
	tools := []struct {
		name string
		run  func(testing.TB, string) figure
	}{
		{"machine", sleeper},
		{"precise", func(t testing.TB, u string) figure { return floor(t, u, attack.EngineLoop, true) }},
		{"economical", func(t testing.TB, u string) figure { return floor(t, u, attack.EngineLoop, false) }},
		{"attacker", func(t testing.TB, u string) figure { return floor(t, u, attack.EngineVegeta, true) }},
	}
	if _, err := exec.LookPath("vegeta"); err == nil {
		tools = append(tools, struct {
			name string
			run  func(testing.TB, string) figure
		}{"vegeta-cli", vegetaFloor})
	} else {
		b.Log("left out: vegeta's command line is not on the path (make bench puts it there)")
	}
	for range b.N {
		seen := map[string][]figure{}
		var gone []float64
		for range floorRounds {
			gone = append(gone, away())
			for _, tool := range tools {
				seen[tool.name] = append(seen[tool.name], tool.run(b, url))
			}
		}
		slices.Sort(gone)
		b.ReportMetric(100*gone[len(gone)/2], "machine-away-%")
		for _, tool := range tools {
			list := seen[tool.name]
			slices.SortFunc(list, func(x, y figure) int { return int(1e6 * (x.p99 - y.p99)) })
			f := list[len(list)/2]
			b.ReportMetric(f.p50, tool.name+"-p50-ms")
			b.ReportMetric(f.p99, tool.name+"-p99-ms")
			b.ReportMetric(f.lag99, tool.name+"-lag99-ms")
			b.ReportMetric(f.cpu, tool.name+"-us/req")
		}
	}
}

// used is the CPU time of this process.
func used() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func floor(t testing.TB, url, engine string, precise bool) figure {
	bench := newBench(t, url, func(s *scenarios.Scenario, cfg *attack.Config) { cfg.Engine, cfg.Precise = engine, precise })
	before := used()
	r := bench.run(context.Background(), constant(floorRate, 2*time.Second))
	spent := used() - before
	p, err := r.Point(0)
	if err != nil {
		t.Fatal(err)
	}
	if p.OK != 2*floorRate {
		t.Fatalf("%d of %d hits are OK", p.OK, 2*floorRate)
	}
	return figure{p.Response.P50, p.Response.P99, p.SendLag.P99, float64(spent.Microseconds()) / float64(p.OK)}
}

// sleeper is how late the machine wakes a thread that sleeps until 60 us before an
// instant, and then looks at the clock: nothing that paces can be better.
func sleeper(testing.TB, string) figure {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	const n = 2 * floorRate
	late := make([]float64, 0, n)
	began, before := time.Now(), used()
	for i := range n {
		due := time.Duration(i) * time.Second / floorRate
		for {
			left := due - time.Since(began)
			if left <= 0 {
				late = append(late, float64(-left)/1e6)
				break
			}
			if left > 60*time.Microsecond {
				ts := unix.NsecToTimespec(int64(left - 60*time.Microsecond))
				_, _, _ = syscall.RawSyscall6(unix.SYS_CLOCK_NANOSLEEP, unix.CLOCK_MONOTONIC, 0, uintptr(unsafe.Pointer(&ts)), 0, 0, 0)
			}
		}
	}
	slices.Sort(late)
	p99 := late[n*99/100]
	return figure{late[n/2], p99, p99, float64((used() - before).Microseconds()) / n}
}

// away is the share of a second in which a thread that does nothing but look at the
// clock could not, for half a millisecond or more at a time, summed over the first core
// and the second, since a hit needs both. Each is looked at while the other is idle.
func away() float64 {
	sum := time.Duration(0)
	for core := range 2 {
		gone := make(chan time.Duration)
		go func() {
			runtime.LockOSThread() // and not unlocked: the thread ends with its core
			var set unix.CPUSet
			set.Set(core)
			_ = unix.SchedSetaffinity(0, &set)
			began := time.Now()
			sum, last := time.Duration(0), began
			for last.Sub(began) < time.Second {
				now := time.Now()
				if gap := now.Sub(last); gap >= 500*time.Microsecond {
					sum += gap
				}
				last = now
			}
			gone <- sum
		}()
		sum += <-gone
	}
	return sum.Seconds()
}

// vegetaFloor runs vegeta's command line. Its latency runs from the sending, so
// that its lateness does not show.
func vegetaFloor(t testing.TB, url string) figure {
	return vegetaCLI(t, url, "-rate", fmt.Sprint(floorRate), "-duration", "2s")
}

func vegetaCLI(t testing.TB, url string, args ...string) figure {
	t.Helper()
	var results bytes.Buffer
	cmd := exec.Command("vegeta", append([]string{"attack"}, args...)...)
	cmd.Stdin, cmd.Stdout = strings.NewReader("GET "+url), &results
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	report := exec.Command("vegeta", "report", "-type", "json")
	report.Stdin = &results
	text, err := report.Output()
	if err != nil {
		t.Fatal(err)
	}
	var m struct {
		Requests  float64 `json:"requests"`
		Latencies struct {
			P50 float64 `json:"50th"`
			P99 float64 `json:"99th"`
		} `json:"latencies"`
	}
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	u := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	spent := time.Duration(u.Utime.Nano() + u.Stime.Nano())
	return figure{p50: m.Latencies.P50 / 1e6, p99: m.Latencies.P99 / 1e6, cpu: float64(spent.Microseconds()) / m.Requests}
}

// BenchmarkStallVegeta is what vegeta's command line says of the stalling target
// with 20 workers: the truth is p99 = 180 ms.
func BenchmarkStallVegeta(b *testing.B) {
	if _, err := exec.LookPath("vegeta"); err != nil {
		b.Skip("vegeta's command line is not on the path (make bench puts it there)")
	}
	for range b.N {
		url := apart(b, responder.Config{Stall: 200 * time.Millisecond, Period: 2 * time.Second})
		f := vegetaCLI(b, url, "-rate", "2000", "-duration", "20s", "-workers", "20", "-max-workers", "20")
		b.ReportMetric(f.p50, "p50-ms")
		b.ReportMetric(100*(f.p99/180-1), "p99-off-%")
	}
}

// BenchmarkHit is what a hit allocates on its way through the loop: the summing
// up and the target's answer included, not the target. The rate is one that the loop
// keeps up with, since hits that wait are each in memory; so the time is that of the
// plan, and says nothing.
func BenchmarkHit(b *testing.B) {
	url := apart(b, responder.Config{})
	bench := newBench(b, url, func(_ *scenarios.Scenario, cfg *attack.Config) { cfg.Engine, cfg.Connections = attack.EngineLoop, 16 })
	b.ReportAllocs()
	b.ResetTimer()
	r := bench.run(context.Background(), constant(hitRate, time.Duration(b.N)*time.Second/hitRate))
	b.StopTimer()
	if planned, _, good, _, _, errors := r.Totals(); planned != good {
		b.Fatalf("%d of %d hits are OK: %v", good, planned, errors)
	}
}
