package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

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
	if len(commands) != 3 {
		t.Fatalf("%d commands", len(commands))
	}
	demo, receiver := freePort(t), freePort(t)
	line := func(i int) []string {
		return strings.Fields(strings.NewReplacer("127.0.0.1:8080", demo, "127.0.0.1:4040", receiver).Replace(commands[i][1]))
	}
	dir := t.TempDir()
	target := exec.Command(line(0)[0], line(0)[1:]...)
	if err := target.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = target.Process.Kill(); _ = target.Wait() }()
	waitFor(t, demo)
	for _, i := range []int{1, 2} {
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
