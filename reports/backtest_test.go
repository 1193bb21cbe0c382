package reports

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/headroom-project/headroom/capacity"
	"github.com/headroom-project/headroom/loadgen/observation"
)

// poolBundle is a copy of a drill that found its capacity, of which p99 < 100ms is the limit.
func poolBundle(t *testing.T) *observation.Evidence {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "pool")
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("..", "capacity", "testdata", "pool"))); err != nil {
		t.Fatal(err)
	}
	e, err := observation.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// A past drill that calibrates nothing says which of the conditions it does not meet.
func TestBacktestSaysWhyItIsNoHelp(t *testing.T) {
	for _, test := range []struct{ limit, want string }{
		{"100ms", ""},
		{"9s", "it reached no limit"},
		{"1ms", "its lowest load missed an objective"},
	} {
		t.Run(test.limit, func(t *testing.T) {
			e := poolBundle(t)
			e.Scenario = bytes.Replace(e.Scenario, []byte("p99 < 100ms"), []byte("p99 < "+test.limit), 1)
			// The steps that broke down were not offered to a drill that reached no limit.
			if test.limit == "9s" {
				e.Scenario = bytes.Replace(e.Scenario, []byte("errors < 0.1%"), []byte("p50 < 9s"), 1)
				e.Journal = e.Journal[:4]
			}
			past, err := Backtest(e)
			if err != nil {
				t.Fatal(err)
			}
			if (test.want == "") != (len(past.Scores) > 0) || (test.want == "") != (past.NoHelp == "") || !strings.HasPrefix(past.NoHelp, test.want) {
				t.Errorf("%d scores, %q, want %q", len(past.Scores), past.NoHelp, test.want)
			}
		})
	}
}

func TestBacktestSaysWhichStepsAreMissing(t *testing.T) {
	c, err := begin(poolBundle(t), Question{})
	if err != nil {
		t.Fatal(err)
	}
	c.judge()
	observed := capacity.Analyse(c.points, c.spec()).Capacity.Value.Value
	for _, test := range []struct {
		upTo  float64 // requests/s
		wants []string
	}{
		{10, []string{"it did reach its limit, at ", "it has no valid step up to 2.6% of that, 10 req/s"}},
		{110, []string{"it did reach its limit, at ", "its 2 steps up to 28% of that, 110 req/s, do not predict it", "run a step above", "only steps up to 110"}},
	} {
		scores, no := capacity.Backtest(c.points, c.spec(), test.upTo/observed)
		if len(scores) > 0 || no == nil {
			t.Fatalf("up to %g: %d scores", test.upTo, len(scores))
		}
		for _, want := range test.wants {
			if got := noHelp(no); !strings.Contains(got, want) {
				t.Errorf("up to %g: %q, want %q", test.upTo, got, want)
			}
		}
	}
}
