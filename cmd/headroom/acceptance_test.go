package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/headroom-project/headroom/reports"
)

// built builds the command once for a test.
func built(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "headroom")
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	if out, err := exec.Command("go", "build", "-o", name, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return name
}

// demoTarget runs a demo in a process of its own and returns its URL.
func demoTarget(t *testing.T, headroom, limit string, rps int) string {
	t.Helper()
	cmd := exec.Command(headroom, "demo", "--listen", "127.0.0.1:0", "--limit", limit, "--capacity", strconv.Itoa(rps), "--until-stdin-closes")
	return listening(t, cmd)
}

// listening starts a target that says where it listens and ends when its standard
// input does, as the test does, and returns its URL.
func listening(t testing.TB, cmd *exec.Cmd) string {
	t.Helper()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimPrefix(strings.TrimSpace(line), "listening on ")
}

// received is what the target counted of the load.
func received(t *testing.T, url string) uint64 {
	t.Helper()
	resp, err := http.Get(url + "/truth")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var truth struct {
		Received uint64 `json:"received"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&truth); err != nil {
		t.Fatal(err)
	}
	return truth.Received
}

// TestKnownCapacity drills demo targets as a user does, and holds the results
// against what is known of them. By itself it drills the pool once;
// HEADROOM_ACCEPTANCE=5 makes five drills of each limit (`make acceptance`).
func TestKnownCapacity(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute and a half; run without -short to have it")
	}
	limits, drills := []string{"pool"}, 1
	if n, err := strconv.Atoi(os.Getenv("HEADROOM_ACCEPTANCE")); err == nil && n > 0 {
		limits, drills = []string{"pool", "lock", "downstream", "cpu"}, n
	}
	if only := os.Getenv("HEADROOM_ACCEPTANCE_LIMIT"); only != "" {
		limits = strings.Split(only, ",")
	}
	headroom := built(t)
	for _, limit := range limits {
		for i := range drills {
			t.Run(fmt.Sprintf("%s/%d", limit, i+1), func(t *testing.T) { drillKnown(t, headroom, limit, 400) })
		}
	}
}

func drillKnown(t *testing.T, headroom, limit string, truth int) {
	url := demoTarget(t, headroom, limit, truth)
	began := time.Now()
	cmd := exec.Command(headroom, "drill", url+"/", "--slo", "p99<150ms", "--json", "--out", filepath.Join(t.ArtifactDir(), "bundle"))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	took := time.Since(began)
	t.Logf("%s", stderr.String())
	if err != nil {
		t.Fatalf("drill: %v", err)
	}
	var r reports.Run
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatal(err)
	}
	if took > 120*time.Second {
		t.Errorf("the drill took %v, want at most 120 s", took)
	}
	if n := received(t, url); n != r.Totals.Sent {
		t.Errorf("%d sent, the target received %d", r.Totals.Sent, n)
	}
	if p := r.Totals; p.Planned != p.OK+p.Failed+p.Dropped {
		t.Errorf("planned %d is not ok %d + failed %d + dropped %d", p.Planned, p.OK, p.Failed, p.Dropped)
	}
	if r.Capacity == nil || r.Saturation == nil || len(r.Saturation.Bottlenecks) == 0 {
		t.Fatalf("no capacity or no saturation: %v %v", r.Reasons, r.Warnings)
	}
	c := r.Capacity.RPS
	t.Logf("%s: capacity %.1f (%.1f-%.1f), confirmed %v, first to give out %s, %.0f s",
		limit, c.Value, c.Low, c.High, r.Capacity.Confirmed, r.Saturation.Bottlenecks[0].Resource, took.Seconds())
	if limit == "cpu" {
		// How much of its core the target gets depends on what else runs here.
		if got := r.Saturation.Bottlenecks[0].Resource; got != "cpu" {
			t.Errorf("first to give out: %s, want cpu", got)
		}
		return
	}
	if math.Abs(c.Value-float64(truth)) > 0.05*float64(truth) {
		t.Errorf("capacity %.1f is not within 5%% of %d", c.Value, truth)
	}
	if c.Low > float64(truth) || c.High < float64(truth) {
		t.Errorf("interval %.1f-%.1f does not contain %d", c.Low, c.High, truth)
	}
}

// TestPredictedCapacity drills demo targets up to 60% of their limit, and then goes
// there: what was predicted has to hold what is found, or has to say that the steps
// do not tell. HEADROOM_ACCEPTANCE=1 makes one such pair of drills of each limit
// (`make acceptance-predicted`, about 20 minutes).
func TestPredictedCapacity(t *testing.T) {
	n, err := strconv.Atoi(os.Getenv("HEADROOM_ACCEPTANCE"))
	if err != nil || n <= 0 {
		t.Skip("takes some minutes for each limit; set HEADROOM_ACCEPTANCE=1 to have it")
	}
	limits := []string{"pool", "lock", "downstream", "cpu", "memory"}
	if only := os.Getenv("HEADROOM_ACCEPTANCE_LIMIT"); only != "" {
		limits = strings.Split(only, ",")
	}
	headroom := built(t)
	for _, limit := range limits {
		for i := range n {
			t.Run(fmt.Sprintf("%s/%d", limit, i+1), func(t *testing.T) { predictKnown(t, headroom, limit, 400) })
		}
	}
}

func predictKnown(t *testing.T, headroom, limit string, truth float64) {
	url := demoTarget(t, headroom, limit, int(truth))
	drill := func(name string, args ...string) reports.Run {
		args = append([]string{"drill", url + "/", "--slo", "p99<150ms", "--json", "--out", filepath.Join(t.ArtifactDir(), name)}, args...)
		var stderr bytes.Buffer
		cmd := exec.Command(headroom, args...)
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("drill: %v\n%s", err, stderr.String())
		}
		var r reports.Run
		if err := json.Unmarshal(out, &r); err != nil {
			t.Fatal(err)
		}
		if r.Capacity == nil || r.Capacity.Bound != "above" && (r.Saturation == nil || len(r.Saturation.Bottlenecks) == 0) {
			t.Fatalf("no capacity or no saturation: %v %v", r.Reasons, r.Warnings)
		}
		if r.Saturation == nil {
			r.Saturation = &reports.Saturation{Bottlenecks: []reports.Bottleneck{{Resource: "none called"}}}
		}
		return r
	}
	below := drill("below", "--max-utilisation", "60%", "--set", fmt.Sprintf("safety.max_rps=%g", 0.6*truth))
	for _, s := range below.Steps {
		if s.OfferedRPS > 0.6*truth {
			t.Errorf("step %d offered %.1f req/s, which is above 60%% of %g", s.Index, s.OfferedRPS, truth)
		}
	}
	p := below.Capacity
	first := below.Saturation.Bottlenecks[0]
	t.Logf("%s: predicted %q %.1f (%.1f-%.1f), first %s (%.2f); bounded %+v", limit, p.Bound, p.RPS.Value, p.RPS.Low, p.RPS.High, first.Resource, first.Probability, below.Bounded)
	there := drill("there")
	found := there.Capacity.RPS
	t.Logf("%s: predicted %q %.1f (%.1f-%.1f), first %s (%.2f); found %.1f (%.1f-%.1f), first %s; check %+v", limit,
		p.Bound, p.RPS.Value, p.RPS.Low, p.RPS.High, first.Resource, first.Probability, found.Value, found.Low, found.High,
		there.Saturation.Bottlenecks[0].Resource, p.Check)
	switch p.Bound {
	case "predicted":
		if p.RPS.Low > found.High || p.RPS.High < found.Low {
			t.Errorf("predicted %.1f-%.1f and found %.1f-%.1f", p.RPS.Low, p.RPS.High, found.Low, found.High)
		}
		if first.Probability >= 0.9 && first.Resource != there.Saturation.Bottlenecks[0].Resource {
			t.Errorf("%s was to give out first, and %s did", first.Resource, there.Saturation.Bottlenecks[0].Resource)
		}
	case "above":
		if limit == "pool" || limit == "cpu" || limit == "lock" {
			t.Errorf("nothing was predicted of a limit that is measured: %v", below.Warnings)
		}
		if p.RPS.Low > found.High {
			t.Errorf("at least %.1f, and found %.1f", p.RPS.Low, found.High)
		}
	default:
		t.Errorf("bound %q of a drill that stayed below", p.Bound)
	}
}
