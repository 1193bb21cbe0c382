package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/headroom-project/headroom/reports"
)

// Steps that all held, of a target with a pool of two.
const heldPoints = `offered_rps,throughput_rps,p99_ms,seconds,p50_ms,mean_ms,pool.shop_used,pool.shop_limit
50,50,6.1,10,3,3.2,0.28,2
100,100,6.9,10,3.1,3.4,0.49,2
200,200,9.1,10,3.4,4,0.91,2
300,299,17,10,4.2,5.6,1.32,2
400,398,48,10,8,12,1.75,2
440,431,160,10,40,48,1.93,2
`

// An earlier drill that would have been predicted well narrows the interval of a
// prediction, and one that cannot be read is bad input.
func TestFitIsCalibratedByPastDrills(t *testing.T) {
	points := filepath.Join(t.TempDir(), "points.csv")
	if err := os.WriteFile(points, []byte(heldPoints), 0o600); err != nil {
		t.Fatal(err)
	}
	fit := func(code int, more ...string) (reports.Run, string) {
		var out, errs bytes.Buffer
		args := append([]string{"headroom", "fit", points, "--slo", "p99<1s", "--json"}, more...)
		if got := run(context.Background(), args, streams{nil, &out, &errs}); got != code {
			t.Fatalf("%v: exit code %d, want %d\n%s", more, got, code, &errs)
		}
		var r reports.Run
		if code == exitOK {
			if err := json.Unmarshal(out.Bytes(), &r); err != nil {
				t.Fatal(err)
			}
		}
		return r, errs.String()
	}
	alone, _ := fit(exitOK)
	calibrated, _ := fit(exitOK, "--past", filepath.Join("..", "..", "capacity", "testdata", "pool"))
	a, b := alone.Capacity.RPS, calibrated.Capacity.RPS
	if alone.Capacity.Bound != "predicted" || a.Value != b.Value || !(b.High < a.High) || b.High < b.Value {
		t.Errorf("alone %s %+v, with a past drill %+v: want the same value and a narrower interval", alone.Capacity.Bound, a, b)
	}
	if _, said := fit(exitBadInput, "--past", "nowhere"); !strings.Contains(said, "hint:") {
		t.Errorf("no hint in %q", said)
	}
}
