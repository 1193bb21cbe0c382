package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/headroom-project/headroom/loadgen/api"
	"github.com/headroom-project/headroom/loadgen/engine"
	"github.com/headroom-project/headroom/reports"
)

// rig is a controller and workers in processes of their own, and a target that
// counts.
type rig struct {
	t       *testing.T
	bin     string // this test binary under the name headroom
	store   string
	control *process
	workers []*process
	target  *httptest.Server

	mu       sync.Mutex
	arrivals []time.Time
}

// process is a running headroom.
type process struct {
	*exec.Cmd
	log bytes.Buffer
	mu  sync.Mutex
}

func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Write(b)
}

func (p *process) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// newRig starts a controller with a store in dir, and n workers.
func newRig(t *testing.T, dir string, n int, flags ...string) *rig {
	t.Helper()
	r := &rig{t: t, store: filepath.Join(dir, "store")}
	r.target = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.URL.Path != "/" {
			http.NotFound(w, q) // a look for profiles or metrics is no hit
			return
		}
		r.mu.Lock()
		r.arrivals = append(r.arrivals, time.Now())
		r.mu.Unlock()
		_, _ = io.WriteString(w, "ok")
	}))
	t.Cleanup(r.target.Close)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r.bin = filepath.Join(t.TempDir(), "headroom")
	if err := os.Symlink(self, r.bin); err != nil {
		t.Fatal(err)
	}
	r.controller(flags...)
	for i := range n {
		r.workers = append(r.workers, r.start("worker", "--join", filepath.Join(r.store, "join.json"), "--name", fmt.Sprintf("w%d", i+1)))
	}
	r.until("the workers have joined", func() bool {
		list, err := r.client().Workers(context.Background())
		return err == nil && len(list) == n
	})
	return r
}

// controller starts the controller, and returns when it answers.
func (r *rig) controller(flags ...string) {
	r.t.Helper()
	r.control = r.start(append([]string{"controller", "--store", r.store, "--listen", "127.0.0.1:0"}, flags...)...)
	r.until("the controller is up", func() bool { return strings.Contains(r.control.said(), "workers:") })
}

// start runs a headroom until the test ends.
func (r *rig) start(args ...string) *process {
	r.t.Helper()
	p := &process{Cmd: exec.Command(r.bin, args...)}
	p.Stderr, p.Stdout = p, p
	if err := p.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		_ = p.Process.Kill()
		_ = p.Wait()
		if r.t.Failed() {
			r.t.Logf("%s said:\n%s", args[0], p.said())
		}
	})
	return p
}

func (r *rig) until(what string, ok func() bool) {
	r.t.Helper()
	for limit := time.Now().Add(30 * time.Second); !ok(); <-time.After(20 * time.Millisecond) {
		if time.Now().After(limit) {
			r.t.Fatalf("not within 30 s: %s", what)
		}
	}
}

func (r *rig) client() *api.Client {
	r.t.Helper()
	j, err := engine.ReadJoin(filepath.Join(r.store, "access.json"))
	if err != nil {
		r.t.Fatal(err)
	}
	return &api.Client{URL: j.Address, Token: j.Token, HTTP: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
}

// submit begins a drill of evenly spaced hits.
func (r *rig) submit(rate int, lasts time.Duration, more string) api.Run {
	r.t.Helper()
	run, err := r.client().Submit(context.Background(), "", api.Submission{Scenario: fmt.Sprintf(`version: 1
name: fleet
target: {url: %q, timeout: 1s}
load: {warmup: 0s, seed: 7, arrivals: constant, constant: {rate: %d, duration: %s}}
guards: []
profiles: {pprof: none}
resources: {metrics: none}
%s
`, r.target.URL, rate, lasts, more)})
	if err != nil {
		r.t.Fatal(err)
	}
	return run
}

// received is what the target has counted.
func (r *rig) received() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.arrivals)
}

// flowing waits until hits arrive.
func (r *rig) flowing() {
	r.t.Helper()
	n := r.received()
	r.until("hits arrive", func() bool { return r.received() > n+20 })
}

// last is when the last hit arrived.
func (r *rig) last() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.arrivals[len(r.arrivals)-1]
}

// ended waits for the end of a run, and returns it with its report.
func (r *rig) ended(id string) (api.Run, *reports.Run) {
	r.t.Helper()
	var run api.Run
	var files []api.File
	r.until2(90*time.Second, "the run has ended", func() bool {
		var err error
		run, files, err = r.client().Run(context.Background(), id)
		return err == nil && run.State != api.StateRunning
	})
	dir := filepath.Join(r.t.TempDir(), "bundle")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := r.client().Fetch(context.Background(), id, dir, files); err != nil {
		r.t.Fatal(err)
	}
	report, err := computeBundle(dir)
	if err != nil {
		r.t.Fatalf("%v (%+v)", err, run)
	}
	return run, report
}

func (r *rig) until2(within time.Duration, what string, ok func() bool) {
	r.t.Helper()
	for limit := time.Now().Add(within); !ok(); <-time.After(50 * time.Millisecond) {
		if time.Now().After(limit) {
			r.t.Fatalf("not within %v: %s", within, what)
		}
	}
}

// TestSIGKILLOfAWorker: at most what it sent since its last stored window is
// missing, and the report says how many.
func TestSIGKILLOfAWorker(t *testing.T) {
	t.Parallel() // little load, much waiting
	r := newRig(t, t.TempDir(), 3)
	run := r.submit(300, 8*time.Second, "")
	r.flowing()
	<-time.After(2500 * time.Millisecond)
	killed := time.Now()
	if err := r.workers[0].Process.Kill(); err != nil {
		t.Fatal(err)
	}
	got, report := r.ended(run.ID)
	if waited := time.Since(killed); waited > 35*time.Second {
		t.Errorf("the end of a drill of 8 s waited %v for a worker that is dead", waited)
	}
	missing := r.received() - int(report.Totals.Sent)
	said, _ := report.Environment["hits_unaccounted"].(uint64)
	// 100 hits/s are its share; a window is stored each second, a little late.
	if got.State != api.StateDone || missing < 0 || missing > 160 || uint64(missing) > said {
		t.Errorf("%+v: %d hits are missing, the report says at most %d", got, missing, said)
	}
	if report.Environment["workers_lost"] != 1 || len(report.Warnings) == 0 {
		t.Errorf("the report does not tell of the loss: %v %v", report.Environment, report.Warnings)
	}
}

// TestSIGKILLOfTheController: all load stops within the lease; the controller comes
// back and goes on, with the file and the secret that it has not stored. It no longer
// receives profiles, which the report says.
func TestSIGKILLOfTheController(t *testing.T) {
	t.Parallel() // little load, much waiting
	r := newRig(t, t.TempDir(), 2, "--receive", "127.0.0.1:0")
	run, err := r.client().Submit(context.Background(), "", api.Submission{
		Scenario: fmt.Sprintf(`version: 1
name: fleet
target:
  url: %q
  timeout: 1s
  requests: [{name: one, get: "/?sku={{ .row.sku }}", feed: skus.csv, headers: {X-Token: "${TOKEN}"}}]
load: {warmup: 0s, seed: 7, arrivals: constant, constant: {rate: 200, duration: 6s}}
guards: []
profiles: {pprof: none, receive: {service: shop}}
resources: {metrics: none}
`, r.target.URL),
		Files: map[string][]byte{"skus.csv": []byte("sku\none-of-the-f1les\n")}, Env: map[string]string{"TOKEN": "s3cret-of-the-environment"},
	})
	if err != nil {
		t.Fatal(err)
	}
	r.flowing()
	<-time.After(1500 * time.Millisecond)
	killed := time.Now()
	if err := r.control.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = r.control.Wait()
	<-time.After(4 * time.Second)
	if after := r.last().Sub(killed); after > 2900*time.Millisecond {
		t.Errorf("hits arrived until %v after the controller was killed", after)
	}
	r.controller()
	got, report := r.ended(run.ID)
	if got.State != api.StateDone {
		t.Errorf("the run ended as %+v", got)
	}
	if sent := int(report.Totals.Sent); sent != r.received() {
		t.Errorf("the windows say %d hits were sent, the target received %d", sent, r.received())
	}
	for _, secret := range []string{"one-of-the-f1les", "s3cret-of-the-environment"} {
		if file := holding(t, r.store, secret); file != "" {
			t.Errorf("%s holds %q", file, secret)
		}
	}
	if said := fmt.Sprint(report.Warnings); !strings.Contains(said, "no longer taken since the controller was started again") {
		t.Errorf("the report does not say that profiles are lost: %s", said)
	}
	if len(report.Steps) != 2 || report.Steps[0].Valid || !report.Steps[1].Valid {
		t.Errorf("steps %+v, want the first invalid, and the same again", report.Steps)
	}
}

// holding is a file under dir that holds a text, plain or within base64; empty if none
// does.
func holding(t *testing.T, dir, text string) (found string) {
	t.Helper()
	forms := [][]byte{[]byte(text)}
	for before := range 3 {
		// Three bytes are four characters: what is next to the text shares some with it.
		whole := text[(3-before)%3:]
		whole = whole[:len(whole)/3*3]
		forms = append(forms, []byte(base64.StdEncoding.EncodeToString([]byte(whole))))
	}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if slices.ContainsFunc(forms, func(form []byte) bool { return bytes.Contains(b, form) }) {
			found = path
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestHoldingFindsBase64(t *testing.T) {
	for before := range 4 {
		dir := t.TempDir()
		text := base64.StdEncoding.EncodeToString([]byte("abc"[:before] + "s3cret-of-the-environment" + "yz"))
		if err := os.WriteFile(filepath.Join(dir, "file"), []byte(`{"env":"`+text+`"}`), 0o600); err != nil {
			t.Fatal(err)
		}
		if holding(t, dir, "s3cret-of-the-environment") == "" {
			t.Errorf("not found behind %d bytes", before)
		}
	}
}

// TestAWorkerThatWasStopped and goes on after its lease has run out sends nothing of
// what came due meanwhile.
func TestAWorkerThatWasStopped(t *testing.T) {
	t.Parallel() // little load, much waiting
	r := newRig(t, t.TempDir(), 1)
	run := r.submit(200, 20*time.Second, "")
	r.flowing()
	p := r.workers[0].Process
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	<-time.After(4 * time.Second)
	before := r.received()
	if err := p.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	got, report := r.ended(run.ID)
	// One hit may have been on its way to the socket when it was stopped.
	if after := r.received() - before; after > 2 {
		t.Errorf("%d hits were sent without a lease", after)
	}
	if sent := int(report.Totals.Sent); sent != r.received() || got.State != api.StateFailed {
		t.Errorf("%+v: the windows say %d hits were sent, the target received %d", got, sent, r.received())
	}
}

// TestRunsStop: from the command to silence at the target, with ten workers.
func TestRunsStop(t *testing.T) {
	t.Parallel() // little load, much waiting
	r := newRig(t, t.TempDir(), 10)
	run := r.submit(500, time.Minute, "")
	r.flowing()
	asked := time.Now()
	if _, err := r.client().Stop(context.Background(), run.ID); err != nil {
		t.Fatal(err)
	}
	got, report := r.ended(run.ID)
	silence := r.last().Sub(asked)
	t.Logf("silence after %v", silence)
	if silence > 2*time.Second || got.State != api.StateInterrupted {
		t.Errorf("silence after %v, %+v", silence, got)
	}
	if sent := int(report.Totals.Sent); sent != r.received() {
		t.Errorf("the windows say %d hits were sent, the target received %d", sent, r.received())
	}
}

// TestCommandsOfTheFleet: a drill from the command line, and what the others show.
func TestCommandsOfTheFleet(t *testing.T) {
	r := newRig(t, t.TempDir(), 2)
	access := filepath.Join(r.store, "access.json")
	out := filepath.Join(t.TempDir(), "bundle")
	do := func(want int, args ...string) string {
		t.Helper()
		cmd := exec.Command(r.bin, args...)
		cmd.Dir = t.TempDir()
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		_ = cmd.Run()
		if code := cmd.ProcessState.ExitCode(); code != want {
			t.Fatalf("%v: exit code %d, want %d\n%s%s", args, code, want, stdout.String(), stderr.String())
		}
		return stdout.String() + stderr.String()
	}
	text := do(0, "drill", r.target.URL, "--rate", "200", "--duration", "3s", "--slo", "p99<2s", "--controller", access, "--out", out, "--json")
	var report reports.Run
	if err := json.NewDecoder(strings.NewReader(text)).Decode(&report); err != nil {
		t.Fatal(err)
	}
	if int(report.Totals.Sent) != r.received() || report.Environment["workers"] != 2.0 {
		t.Errorf("%d sent by %v workers, %d received", report.Totals.Sent, report.Environment["workers"], r.received())
	}
	if _, ok := report.Environment["start_skew_ms"].(float64); !ok {
		t.Error("the start skew is not reported")
	}
	if !strings.Contains(do(0, "fleet", "list", "--controller", access), "w2") {
		t.Error("fleet list does not show w2")
	}
	if !strings.Contains(do(0, "runs", "list", "--controller", access), report.ID) {
		t.Error("runs list does not show the run")
	}
	if !strings.Contains(do(0, "runs", "show", report.ID, "--controller", access), "hits planned") {
		t.Error("runs show does not show the report")
	}
	do(2, "runs", "show", "none", "--controller", access)
	do(2, "drill", r.target.URL, "--workers", "2")
	do(5, "drill", r.target.URL, "--rate", "10", "--controller", access, "--workers", "3")
	// Only the controller can see that there is no such process.
	noProcess := []string{"drill", r.target.URL, "--rate", "10", "--set", "resources.process=3999999"}
	if said := do(2, append(noProcess, "--controller", access)...); !strings.Contains(said, "hint: resources.process is") {
		t.Errorf("no such process: %s", said)
	}
	do(2, noProcess...)
	do(5, "fleet", "list", "--controller", "http://127.0.0.1:1")
}
