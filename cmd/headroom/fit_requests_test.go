package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// saidWith runs a command and returns what it said on stderr.
func saidWith(t *testing.T, code int, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	if got := run(context.Background(), append([]string{"headroom"}, args...), streams{nil, &out, &errs}); got != code {
		t.Fatalf("%q: exit code %d, want %d\n%s%s", args, got, code, &out, &errs)
	}
	return errs.String()
}

var poolDrill = filepath.Join("..", "..", "capacity", "testdata", "pool")

// An objective of a request that is not there is bad input, and no verdict on the drill.
func TestFitRefusesUnknownRequests(t *testing.T) {
	points := filepath.Join(t.TempDir(), "points.csv")
	if err := os.WriteFile(points, []byte(heldPoints), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ source, slo, said, hint string }{
		{poolDrill, "nosuch.p99<10ms", `no request is named "nosuch"; known: browse, search, checkout`, "hint: write it like browse.p99 < 10ms"},
		{poolDrill, "search p99<60ms", "as in search.p99", "hint: did you mean 'search.p99 < 60ms'?"},
		{poolDrill, "p99 search<60ms", "unknown metric", ""},
		{points, "browse.p99<10ms", "the results do not tell requests apart", "hint: ask for all of them: p99 < 10ms"},
	} {
		for _, command := range [][]string{{"fit"}, {"plan", "--peak", "300"}} {
			said := saidWith(t, exitBadInput, append(command, "--slo", test.slo, test.source)...)
			if !strings.Contains(said, test.said) || !strings.Contains(said, test.hint) {
				t.Errorf("%s %s: %q", command[0], test.slo, said)
			}
		}
	}
}

// A past drill of no use is said with what it lacks.
func TestFitSaysWhyAPastDrillIsNoHelp(t *testing.T) {
	dir := cutOff(t, "confirm")
	scenario := filepath.Join(dir, "scenario.yaml")
	data, err := os.ReadFile(scenario)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(scenario, bytes.Replace(data, []byte("p99 < 100ms"), []byte("p99 < 1ms"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	points := filepath.Join(t.TempDir(), "points.csv")
	if err := os.WriteFile(points, []byte(heldPoints), 0o600); err != nil {
		t.Fatal(err)
	}
	said := saidWith(t, exitOK, "fit", points, "--slo", "p99<1s", "--past", dir)
	if !strings.Contains(said, "is no help: its lowest load missed an objective") {
		t.Error(said)
	}
}

// A drill that broke off has no capacity that a plan or the outlook of a forecast could
// rest on, whatever its first steps say, as report and fit have it.
func TestPlanRefusesADrillThatBrokeOff(t *testing.T) {
	history := filepath.Join(t.TempDir(), "history.csv")
	rows := "time,rps\n"
	for d := range 35 {
		rows += fmt.Sprintf("%s,%d\n", time.Date(2026, 1, 5+d, 0, 0, 0, 0, time.UTC).Format(time.DateOnly), 100+d%7)
	}
	if err := os.WriteFile(history, []byte(rows), 0o600); err != nil {
		t.Fatal(err)
	}
	saidWith(t, exitOK, "plan", poolDrill, "--peak", "3000")
	saidWith(t, exitOK, "plan", "--scale-out", poolDrill+"@1", poolDrill+"@2")
	saidWith(t, exitOK, "forecast", history, "--bundle", poolDrill)
	for _, end := range []string{"cut-off", "interrupted"} {
		dir := cutOff(t, "confirm")
		if end == "interrupted" {
			f, err := os.OpenFile(filepath.Join(dir, "journal.jsonl"), os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.WriteString(`{"kind":"end","at":84398616970,"end":{"how":"interrupted"}}` + "\n"); err != nil {
				t.Fatal(err)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
		}
		said := saidWith(t, exitInvalid, "plan", dir, "--peak", "3000")
		if !strings.Contains(said, "cannot be planned with: the drill was ") || !strings.Contains(said, "hint: drill again") {
			t.Errorf("%s: %q", end, said)
		}
		said = saidWith(t, exitInvalid, "plan", "--scale-out", poolDrill+"@1", dir+"@2")
		if !strings.Contains(said, "cannot be planned with: the drill was ") || !strings.Contains(said, "hint: drill again") {
			t.Errorf("scale-out, %s: %q", end, said)
		}
		said = saidWith(t, exitInvalid, "forecast", history, "--bundle", dir)
		if !strings.Contains(said, "cannot be held against: the drill was ") || !strings.Contains(said, "hint: drill again") {
			t.Errorf("forecast, %s: %q", end, said)
		}
	}
}

// Nor does anything rest on a bundle whose evidence was lost in part.
func TestPlanRefusesDamagedEvidence(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "bundle")
	if err := os.CopyFS(dir, os.DirFS(poolDrill)); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(dir, "windows.jsonl.gz"), 20_000); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"plan", dir, "--peak", "3000"}, {"plan", "--scale-out", dir + "@1", poolDrill + "@2"}} {
		if said := saidWith(t, exitInvalid, args...); !strings.Contains(said, "cannot be planned with: the evidence is damaged") {
			t.Errorf("%q: %q", args, said)
		}
	}
}

// cutOff is a copy of a drill whose journal ends where the last step of a kind begins.
func cutOff(t *testing.T, kind string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "bundle")
	if err := os.CopyFS(dir, os.DirFS(poolDrill)); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "journal.jsonl")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.LastIndex(data, []byte(`"kind":"`+kind+`"`))
	if at < 0 {
		t.Fatalf("no step of kind %s", kind)
	}
	if err := os.WriteFile(file, data[:bytes.LastIndexByte(data[:at], '\n')+1], 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}
