package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/headroom-project/headroom/loadgen"
	"github.com/headroom-project/headroom/loadgen/api"
	"github.com/headroom-project/headroom/loadgen/attack"
	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

// evidence waits for the end of a run and returns what it left behind.
func (r *rig) evidence(id string) *observation.Evidence {
	r.t.Helper()
	var files []api.File
	r.until2(90*time.Second, "the run has ended", func() bool {
		run, list, err := r.client().Run(context.Background(), id)
		files = list
		return err == nil && run.State != api.StateRunning
	})
	dir := r.t.TempDir()
	if err := r.client().Fetch(context.Background(), id, dir, files); err != nil {
		r.t.Fatal(err)
	}
	e, err := observation.Open(dir)
	if err != nil {
		r.t.Fatal(err)
	}
	return e
}

// captures are those of a run's evidence.
func captures(e *observation.Evidence) (list []observation.Capture) {
	for _, x := range e.Journal {
		if x.Capture != nil {
			list = append(list, *x.Capture)
		}
	}
	return list
}

// The controller receives what the pyroscope-go of three processes sends, among them
// its own and a worker's, while three runs go on: each run has the profiles of the
// senders that it names, byte for byte.
func TestControllerReceives(t *testing.T) {
	t.Parallel() // little load, much waiting
	addr := freePort(t)
	r := newRig(t, t.TempDir(), 2, "--receive", addr, "--self-profile", "http://"+addr)
	r.start("worker", "--join", filepath.Join(r.store, "join.json"), "--name", "w3", "--self-profile", "http://"+addr)
	r.until("w3 has joined", func() bool {
		list, err := r.client().Workers(context.Background())
		return err == nil && len(list) == 3
	})
	var wire wiretap
	shop := startProfiledDemo(t, wire.before(t, addr).URL)
	begin := func(target, sender string) (api.Run, error) {
		return r.client().Submit(context.Background(), "", api.Submission{Workers: 1, Scenario: fmt.Sprintf(`version: 1
name: receives
target: {url: %q}
load: {warmup: 0s, seed: 7, constant: {rate: 40, duration: 12s}}
guards: []
resources: {metrics: none}
profiles: {receive: %s}
`, target, sender)})
	}
	senders := map[string]string{
		"headroom.demo": "{service: headroom.demo}", "headroom.worker": "{service: headroom.worker, labels: {instance: w3}}",
		"headroom.controller": "{service: headroom.controller}",
	}
	runs := map[string]string{}
	for service, sender := range senders {
		target := r.target.URL
		if service == "headroom.demo" {
			target = shop
		}
		run, err := begin(target, sender)
		if err != nil {
			t.Fatal(err)
		}
		runs[service] = run.ID
	}
	for service, id := range runs {
		e := r.evidence(id)
		list := captures(e)
		var types []string
		for _, c := range list {
			types = append(types, c.Type)
			if c.Source != observation.CaptureReceived || c.Labels["service_name"] != service || c.Step != 0 {
				t.Errorf("run of %s: capture %+v", service, c)
			}
			data, err := e.Profile(c.File, 8<<20)
			if err != nil {
				t.Fatal(err)
			}
			if service == "headroom.demo" && !slices.ContainsFunc(wire.profiles, func(sent []byte) bool { return bytes.Equal(sent, data) }) {
				t.Errorf("%s is not what was sent", c.File)
			}
		}
		if !slices.Contains(types, "cpu") || !slices.Contains(types, "allocs") {
			t.Errorf("run of %s has captures of %v", service, types)
		}
	}
	body, kind := bytes.NewReader(wire.profiles[0]), "application/octet-stream"
	res, err := http.Post("http://"+addr+"/ingest?name=headroom.demo&format=pprof", kind, body)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("with no run on: %s", res.Status)
	}
}

// Two runs cannot take the same profiles, and a controller without --receive none.
func TestProfilesOfOneSender(t *testing.T) {
	t.Parallel() // little load, much waiting
	r := newRig(t, t.TempDir(), 2, "--receive", "127.0.0.1:0")
	text := fmt.Sprintf("version: 1\nname: shop\ntarget: {url: %q}\nload: {warmup: 0s, constant: {rate: 20, duration: 3s}}\nresources: {metrics: none}\nprofiles: {receive: {service: shop}}\n", r.target.URL)
	begin := func() (api.Run, error) {
		return r.client().Submit(context.Background(), "", api.Submission{Workers: 1, Scenario: text})
	}
	run, err := begin()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := begin(); err == nil || !strings.Contains(err.Error(), "409") || !strings.Contains(err.Error(), run.ID) {
		t.Errorf("the same profiles for a second run: %v", err)
	}
	if e := r.evidence(run.ID); !strings.Contains(fmt.Sprint(warningsOf(e)), "no profile was received") {
		t.Errorf("warnings %q", warningsOf(e))
	}
	if run, err = begin(); err != nil {
		t.Errorf("after the first: %v", err)
	}
	r.evidence(run.ID)
	if err := r.control.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_ = r.control.Wait()
	r.controller()
	r.until("the workers are back", func() bool {
		list, err := r.client().Workers(context.Background())
		return err == nil && len(list) == 2
	})
	if _, err := begin(); err == nil || !strings.Contains(err.Error(), "hint: start it with --receive") {
		t.Errorf("without --receive: %v", err)
	}
}

func warningsOf(e *observation.Evidence) (list []string) {
	for _, x := range e.Journal {
		if x.Kind == observation.EntryWarning {
			list = append(list, x.Text)
		}
	}
	return list
}

// A drill over the fleet fetches a target's profiles, and sends captures on, as one
// from this machine does; the secrets for that are those of whoever submits it. Then
// it varies the mix.
func TestFleetPullsPushesAndAttributes(t *testing.T) {
	t.Parallel() // little load, much waiting
	r := newRig(t, t.TempDir(), 2)
	var from, to pyroscopeServerDouble
	dir := t.TempDir()
	file, bundle := filepath.Join(dir, "shop.yaml"), filepath.Join(dir, "bundle")
	text := fmt.Sprintf(`version: 1
name: shop
target:
  url: %s
  requests: [{name: browse, weight: 3, get: /}, {name: buy, get: '/?buy'}]
load: {warmup: 0s, search: {from: 50, to: 60, step: 3s, budget: 12s}}
objectives: [p99 < 5s]
resources: {metrics: none}
profiles:
  pyroscope: {url: %s, service: shop, interval: 1s}
  push: {url: %s, tenant: team-a, auth: "Bearer ${PUSH_TOKEN}"}
`, r.target.URL, from.start(t), to.start(t))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	drill := func(env ...string) (code int, said string) {
		cmd := exec.Command(r.bin, "drill", file, "--attribute", "--controller", filepath.Join(r.store, "access.json"), "--out", bundle)
		cmd.Env = append(os.Environ(), env...)
		out, _ := cmd.CombinedOutput()
		return cmd.ProcessState.ExitCode(), string(out)
	}
	if code, said := drill(); code != exitBadInput || !strings.Contains(said, `profiles.push.auth: needs the variable "PUSH_TOKEN"`) {
		t.Errorf("without the secret: exit code %d\n%s", code, said)
	}
	if code, said := drill("PUSH_TOKEN=s3cret"); code != exitOK && code != exitInvalid {
		t.Fatalf("exit code %d\n%s", code, said)
	}
	e, err := observation.Open(bundle)
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, x := range e.Journal {
		if x.Step != nil {
			kinds = append(kinds, x.Step.Kind)
		}
	}
	if !slices.Contains(kinds, "attribute") {
		t.Errorf("steps of the kinds %v", kinds)
	}
	list := captures(e)
	if !slices.ContainsFunc(list, func(c observation.Capture) bool {
		return c.Type == "cpu" && c.Source == observation.CapturePyroscope && c.Samples > 0
	}) {
		t.Errorf("captures %+v", list)
	}
	to.mu.Lock()
	defer to.mu.Unlock()
	if len(to.pushed) == 0 || to.heads[0].Get("Authorization") != "Bearer s3cret" || to.heads[0].Get("X-Scope-OrgID") != "team-a" {
		t.Errorf("%d pushes, with the headers %v", len(to.pushed), to.heads)
	}
}

// Each worker brings its calibration: the load of a step is held against what the
// fleet can send.
func TestFleetIsHeldAgainstItsCalibrations(t *testing.T) {
	t.Parallel() // little load, much waiting
	r := newRig(t, t.TempDir(), 0)
	file := filepath.Join(t.TempDir(), "calibration.json")
	s, err := scenarios.ForURL(r.target.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	requests, err := scenarios.CompileRequests(s, scenarios.Inputs{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(loadgen.Calibration{Schema: loadgen.CalibrationSchema, Engine: attack.EngineFor(requests), CPUs: runtime.NumCPU(), CeilingRPS: 150})
	if err == nil {
		err = os.WriteFile(file, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		r.start("worker", "--join", filepath.Join(r.store, "join.json"), "--name", fmt.Sprintf("w%d", i+1), "--calibration", file)
	}
	r.until("the workers have joined", func() bool {
		list, err := r.client().Workers(context.Background())
		return err == nil && len(list) == 2 && list[0].CeilingRPS == 150
	})
	_, near := r.ended(r.submit(250, 2*time.Second, "").ID)
	if said := fmt.Sprint(near.Warnings); !strings.Contains(said, "250 req/s are near what the generator can send here (300)") {
		t.Errorf("near the ceiling: %s", said)
	}
	_, beyond := r.ended(r.submit(350, 2*time.Second, "").ID)
	if x := beyond.Steps[0]; x.Valid || !strings.Contains(fmt.Sprint(x.WhyInvalid), "350 req/s are more than the generator can send here (300)") {
		t.Errorf("beyond it: valid %v, %s", x.Valid, x.WhyInvalid)
	}
}
