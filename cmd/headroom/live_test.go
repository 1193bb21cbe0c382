package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/headroom-project/headroom/loadgen"
	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

// The status line has what the drill is about in 80 columns, and says less where
// there is less room; it is never wrapped.
func TestTheStatusLineFits(t *testing.T) {
	status := loadgen.Status{
		Step: scenarios.Step{Index: 12, Kind: scenarios.KindConfirm, From: 1385, To: 1385}, Achieved: 1381,
		P50: 33.62, P99: 2061.7, ErrorRatio: 0.0123, InFlight: 1289, TargetCPU: 0.6, Left: 95 * time.Second,
	}
	for width, want := range map[int][]string{
		80: {"step 12", "1385->1381/s", "p50 33.6 ms", "p99 2062 ms", "err 1.2%", "cpu 0.60", "95s left"},
		40: {"step 12", "1385->1381/s", "p50 33.6 ms"},
		0:  {"step 12", "95s left", "1289 in flight"},
	} {
		var out bytes.Buffer
		l := &live{w: &out, terminal: true, width: width}
		l.Second(status)
		line := strings.TrimPrefix(out.String(), "\r\x1b[K")
		for _, part := range want {
			if !strings.Contains(line, part) {
				t.Errorf("width %d: %q lacks %q", width, line, part)
			}
		}
		if width > 0 && utf8.RuneCountInString(line) >= width {
			t.Errorf("width %d: %q has %d columns", width, line, utf8.RuneCountInString(line))
		}
	}
}

func TestStepLinesFit80Columns(t *testing.T) {
	var out bytes.Buffer
	objective, err := scenarios.ParseObjective("p999 < 100ms")
	if err != nil {
		t.Fatal(err)
	}
	l := &live{w: &out, objs: []scenarios.Objective{objective}}
	l.StepEnds(observation.Point{Kind: scenarios.KindWarmup, Offered: 50})
	l.StepEnds(observation.Point{
		Step: 12, Kind: scenarios.KindConfirm, Offered: 12850, Valid: true, Resources: map[string]observation.Use{"cpu": {Used: 1.234, Limit: 2}},
		Figures: observation.Figures{OK: 9, Failed: 1, Throughput: 12833, ErrorRatio: 0.0123, Response: observation.Quantiles{P50: 1.234, P99: 12345, P999: 20000}},
	})
	lines := strings.Split(strings.TrimRight(out.String(), "\n"), "\n")
	if len(lines) != 3 {
		t.Fatalf("%d lines, want a head and two steps:\n%s", len(lines), out.String())
	}
	for _, line := range lines {
		if n := utf8.RuneCountInString(line); n > 80 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	if !strings.Contains(lines[2], "broke p999") {
		t.Errorf("%q does not say what broke", lines[2])
	}
}
