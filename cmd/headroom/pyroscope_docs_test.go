package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/headroom-project/headroom/scenarios"
)

var (
	shellBlock = regexp.MustCompile("(?s)```sh\n(.*?)```")
	yamlBlock  = regexp.MustCompile("(?s)```yaml\n(.*?)```")
)

// Every command of docs/pyroscope.md runs as it stands, but for its ports, and
// every piece of a scenario is one.
func TestPyroscopeDocs(t *testing.T) {
	t.Parallel() // little load, much waiting
	text, err := os.ReadFile("../../docs/pyroscope.md")
	if err != nil {
		t.Fatal(err)
	}
	pieces := yamlBlock.FindAllStringSubmatch(string(text), -1)
	if len(pieces) < 4 {
		t.Fatalf("%d pieces of scenarios", len(pieces))
	}
	for _, m := range pieces {
		src := "version: 1\ntarget: {url: http://127.0.0.1:8080}\nload: {search: {}}\n" + m[1]
		if _, err := scenarios.Load("doc.yaml", []byte(src), scenarios.LoadOptions{}); err != nil {
			t.Errorf("%s\n%v", m[1], err)
		}
	}
	if testing.Short() {
		t.Skip("the commands take 40 seconds; run without -short to have them")
	}
	commands := shellBlock.FindAllStringSubmatch(string(text), -1)
	if len(commands) != 5 {
		t.Fatalf("%d commands", len(commands))
	}
	demo, receiver, dir := freePort(t), freePort(t), t.TempDir()
	places := strings.NewReplacer("127.0.0.1:8080", demo, "127.0.0.1:4040", receiver, "/var/lib/headroom", "store", "access.json", "store/access.json")
	line := func(i int) []string { return strings.Fields(places.Replace(commands[i][1])) }
	target := exec.Command(line(0)[0], line(0)[1:]...)
	if err := target.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = target.Process.Kill(); _ = target.Wait() }()
	waitFor(t, demo)
	for _, i := range []int{1, 3, 4} {
		if i == 3 {
			defer fleetOf(t, dir, append(line(2), "--listen", "127.0.0.1:0"), demo)()
		}
		cmd := exec.Command(line(i)[0], append(line(i)[1:], "--out", filepath.Join(dir, "b", string(rune('0'+i))))...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil && !bytes.Contains(out, []byte("INVALID")) { // invalid on a busy machine
			t.Errorf("%v: %v\n%s", cmd.Args, err, out)
		}
	}
	if got, _ := filepath.Glob(filepath.Join(dir, "b", "1", "profiles", "step-01.cpu.*")); len(got) == 0 {
		t.Error("no CPU profile of step 1 was received")
	}
}

// fleetOf starts a controller in a folder by a command, and a worker, and writes the
// scenario that they are to run.
func fleetOf(t *testing.T, dir string, controller []string, target string) (stop func()) {
	t.Helper()
	text := "version: 1\ntarget: {url: http://" + target + "}\nload: {warmup: 0s, constant: {rate: 20, duration: 2s}}\nobjectives: [errors < 1%]\n"
	if err := os.WriteFile(filepath.Join(dir, "checkout.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var started []*exec.Cmd
	for _, args := range [][]string{controller, {"headroom", "worker", "--join", "store/join.json"}} {
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Dir = dir
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		started = append(started, cmd)
		for limit := time.Now().Add(20 * time.Second); !fileExists(filepath.Join(dir, "store", "access.json")) && time.Now().Before(limit); {
			time.Sleep(20 * time.Millisecond)
		}
	}
	return func() {
		for _, cmd := range started {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	}
}
