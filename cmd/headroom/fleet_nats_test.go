package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/headroom-project/headroom/loadgen/api"
	"github.com/headroom-project/headroom/loadgen/engine/enginetest"
)

// What docs/runbooks/fleet.md says that a NATS system must permit, and no more.
var (
	controllerMay = enginetest.Permissions{
		Publish:   []string{"hr.>", "$JS.API.>", "$JS.FC.>", "$KV.HEADROOM_RUNS.>", "$O.HEADROOM_EVIDENCE.>"},
		Subscribe: []string{"hr.>", "_INBOX.>"},
		Respond:   true,
	}
	workerMay = enginetest.Permissions{
		Publish:   []string{"hr.hello.*", "hr.clock.*", "hr.lease.*", "hr.input.*", "hr.window.*.*"},
		Subscribe: []string{"hr.worker.*.>", "hr.run.*.kill", "_INBOX.>"},
		Respond:   true,
	}
)

// TestANATSSystemOfOnesOwn: operator and accounts by JWT, a controller and workers
// with credentials that permit what they need and nothing else.
func TestANATSSystemOfOnesOwn(t *testing.T) {
	t.Parallel() // little load, much waiting
	sys := enginetest.New(t, enginetest.Config{})
	flags := []string{"--nats", sys.URL, "--creds", sys.Credentials("controller", controllerMay), "--worker-creds", sys.Credentials("worker", workerMay)}
	r := newRig(t, t.TempDir(), 2, flags...)
	run := r.submit(200, 4*time.Second, "")
	r.flowing()
	// The runs outlive the controller in this system, too.
	if err := r.control.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = r.control.Wait()
	r.controller(flags...)
	got, report := r.ended(run.ID)
	if got.State != api.StateDone || len(report.Steps) != 2 {
		t.Errorf("the run ended as %+v after %d steps", got, len(report.Steps))
	}
	if sent := int(report.Totals.Sent); sent != r.received() || sent < 800 {
		t.Errorf("the windows say %d hits were sent, the target received %d", sent, r.received())
	}
	for _, p := range append(r.workers, r.control) {
		if said := p.said(); strings.Contains(strings.ToLower(said), "permissions violation") {
			t.Errorf("more is needed than the runbook says:\n%s", said)
		}
	}
	if _, err := r.client().Stop(context.Background(), run.ID); err != nil {
		t.Errorf("stop a run that has ended: %v", err)
	}
}

// TestNATSSystemsThatDoNotDo: one clear error each, with a hint and its exit code.
func TestNATSSystemsThatDoNotDo(t *testing.T) {
	t.Parallel() // it waits
	good, bare, empty := enginetest.New(t, enginetest.Config{}), enginetest.New(t, enginetest.Config{NoJetStream: true}), enginetest.New(t, enginetest.Config{NoAccountJetStream: true})
	nonsense := filepath.Join(t.TempDir(), "nonsense.creds")
	if err := os.WriteFile(nonsense, []byte("no credentials"), 0o600); err != nil {
		t.Fatal(err)
	}
	narrow := controllerMay
	narrow.Publish = []string{"hr.>"}
	for _, x := range []struct {
		what  string
		nats  string
		creds string
		code  int
		says  []string
	}{
		{"an account that is not known", good.URL, good.Stranger(), 5, []string{"uthorization", "hint:", "revoked"}},
		{"no credentials", good.URL, "", 5, []string{"uthorization", "hint:"}},
		{"a file that is none", good.URL, nonsense, 2, []string{"no user JWT", "hint:"}},
		{"a file that is not there", good.URL, "none.creds", 2, []string{"none.creds", "hint:"}},
		{"a server without JetStream", bare.URL, bare.Credentials("controller", controllerMay), 5, []string{"JetStream is not enabled", "hint:", "--jetstream"}},
		{"an account without JetStream", empty.URL, empty.Credentials("controller", controllerMay), 5, []string{"JetStream is not enabled", "hint:"}},
		{"a user that may not", good.URL, good.Credentials("narrow", narrow), 5, []string{"does not permit", "hint:", "runbooks/fleet.md"}},
		{"nobody there", "nats://127.0.0.1:1", "", 5, []string{"hint:", "up"}},
	} {
		args := []string{"controller", "--store", t.TempDir(), "--listen", "127.0.0.1:0", "--nats", x.nats}
		if x.creds != "" {
			args = append(args, "--creds", x.creds)
		}
		began := time.Now()
		var said bytes.Buffer
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		code := run(ctx, append([]string{"headroom"}, args...), streams{strings.NewReader(""), &said, &said})
		cancel()
		out := said.String()
		if code != x.code {
			t.Errorf("%s: exit code %d, want %d\n%s", x.what, code, x.code, out)
		}
		for _, want := range x.says {
			if !strings.Contains(out, want) {
				t.Errorf("%s: %q is not in\n%s", x.what, want, out)
			}
		}
		if took := time.Since(began); took > 15*time.Second {
			t.Errorf("%s: it took %v to say so", x.what, took)
		}
	}
}
