package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/headroom-project/headroom/reports"
)

// threadCPU is the CPU time of this thread.
func threadCPU() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts); err != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}

// drillHot drills the target with steps and returns what was found.
func drillHot(t *testing.T, url, path, rates, each string) reports.Run {
	t.Helper()
	dir := t.TempDir()
	scenario := filepath.Join(dir, "hot.yaml")
	text := fmt.Sprintf("version: 1\nname: hot\ntarget: {url: %s, requests: [{name: hot, get: %s}]}\nload: {steps: {rates: %s, duration: %s}}\nobjectives: [p99 < 5s]\n", url, path, rates, each)
	if err := os.WriteFile(scenario, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, progress bytes.Buffer
	code := run(context.Background(), []string{"headroom", "drill", scenario, "--json", "--out", filepath.Join(dir, "bundle")}, streams{strings.NewReader(""), &out, &progress})
	t.Logf("%s", progress.String())
	if code != exitOK {
		t.Fatalf("exit code %d", code)
	}
	var r reports.Run
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// The demand table recovers what two functions are known to take, names the one
// that grows with the load, and puts the waiting down to the function that holds
// the lock. With 900 samples 10% is three standard errors: a false alarm in 400.
func TestDemandOfKnownFunctions(t *testing.T) {
	if testing.Short() {
		t.Skip("takes about a minute; run without -short to have it")
	}
	url := startHotTarget(t)
	r := drillHot(t, url, "/", "[20, 50, 80, 110]", "17s")
	var truth hotTruth
	resp, err := http.Get(url + "/truth")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&truth); err != nil {
		t.Fatal(err)
	}
	if r.Demand == nil || r.Demand.Profiles[0].Kind != "cpu" {
		t.Fatalf("no demand: %+v", r.Demand)
	}
	t.Logf("%s", r.Demand.Summary)
	want := float64(truth.ConstantCPU) / float64(truth.Requests)
	for _, f := range r.Demand.Profiles[0].Functions {
		switch {
		case strings.HasSuffix(f.Name, ".constantWork"):
			t.Logf("constant: %.0f ± %.0f ns from %d samples, truth %.0f: %+.1f%%", f.PerRequest, f.Error, f.Samples, want, 100*(f.PerRequest/want-1))
			if f.Samples < 700 || math.Abs(f.PerRequest-want) > 0.1*want || f.Growing {
				t.Errorf("constant: %+v, want %.0f ns within 10%% from 900 samples", f, want)
			}
		case strings.HasSuffix(f.Name, ".growingWork"):
			t.Logf("growing: slope %.0f ± %.0f ns for each request/s, truth %d", f.Slope, f.SlopeError, growingCost)
			if !f.Growing || math.Abs(f.Slope-float64(growingCost)) > 4*f.SlopeError {
				t.Errorf("growing: %+v, want it named, with a slope of %d", f, growingCost)
			}
		case f.Growing && f.Share > 0.05:
			t.Errorf("%s is said to grow: %+v", f.Name, f)
		}
	}
	if !strings.Contains(r.Demand.Summary, "growingWork grows with the load") {
		t.Errorf("the summary does not name what grows: %s", r.Demand.Summary)
	}
	if len(r.Demand.Waits) == 0 || !strings.Contains(r.Demand.Waits[0].Function, "hotTarget).write") || r.Demand.Waits[0].Kind != "lock" {
		t.Errorf("waits: %+v, want the ledger's lock first", r.Demand.Waits)
	}
}

// What default capture costs a target: blocks in which profiles are taken against
// those beside them in which none are. Run by make bench-profiler.
func TestCostOfCapture(t *testing.T) {
	if os.Getenv("HEADROOM_BENCH_PROFILER") == "" {
		t.Skip("make bench-profiler runs it: it needs the machine to itself for two minutes")
	}
	r := drillHot(t, startHotTarget(t), "/render", "[700, 701, 702, 703, 704, 705, 706, 707, 708, 709, 710, 711]", "10s")
	if r.Profiling == nil || r.Profiling.CPU == nil {
		t.Fatalf("profiling: %+v", r.Profiling)
	}
	p := r.Profiling
	share := p.ProfiledS / p.MeasuredS
	t.Logf("CPU per request while profiles are taken: %s of %d pairs of blocks; over the drill, of which %.0f%% is profiled: %+.2f%%",
		p.CPU, p.CPU.Pairs, 100*share, 100*p.CPU.Value*share)
	if p.P50 != nil && p.P99 != nil {
		t.Logf("p50 %s, p99 %s", p.P50, p.P99)
	}
	t.Logf("the target: %s", r.Demand.Summary)
	if p.CPU.Value*share > 0.02 {
		t.Errorf("default capture costs more than 2%% CPU")
	}
}
