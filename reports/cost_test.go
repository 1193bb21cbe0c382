package reports

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/headroom-project/headroom/capacity"
	"github.com/headroom-project/headroom/scenarios"
)

// The cost at the demand, at the peak that it grows to and at the capacity is in run.json,
// and each view says what it is elsewhere than at the demand.
func TestCostAtEachLoadIsShown(t *testing.T) {
	now := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	r := fitTable(t, rising, Question{Demand: &scenarios.Demand{Peak: 200, Growth: "200%/quarter"}, Prices: &scenarios.Prices{VCPUHour: 0.04}, Now: now})
	if r.Cost == nil || len(r.Cost.At) != 3 {
		t.Fatalf("%+v", r.Cost)
	}
	for i, want := range []struct {
		load     string
		replicas int
	}{{"now", 1}, {"peak", 2}, {"capacity", 1}} {
		at := r.Cost.At[i]
		x := at.PerMillion
		each := at.RPS / float64(at.Replicas)
		if at.Load != want.load || at.Replicas != want.replicas || math.Abs(x.Loaded.Value-0.08/0.0036/each) > 1e-6 || len(at.Parts) != 1 {
			t.Errorf("%+v, want %+v", at, want)
		}
		for _, e := range []Estimate{x.Marginal, x.Loaded, x.Idle} {
			if !(e.Low <= e.Value && e.Value <= e.High) || e.Confidence != 0.9 || e.Method == "" {
				t.Errorf("%s: %+v", at.Load, e)
			}
		}
	}
	if r.Cost.At[0].RPS != 200 || r.Cost.AtRPS != 200 || r.Cost.PerMillion.Loaded.Value != r.Cost.At[0].PerMillion.Loaded.Value {
		t.Errorf("%+v", r.Cost)
	}
	for name, write := range map[string]func(io.Writer, *Run) error{
		"text": func(w io.Writer, r *Run) error { return Text(w, r, TextOptions{Width: 200}) }, "markdown": Markdown, "html": HTML,
	} {
		var b bytes.Buffer
		if err := write(&b, r); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(b.String(), "at the forecast peak (") || !strings.Contains(b.String(), "2 replicas)") || !strings.Contains(b.String(), "at the capacity (") {
			t.Errorf("%s does not say what it costs at the peak, or at the capacity:\n%.3000s", name, b.String())
		}
	}
	r = fitTable(t, rising, Question{Prices: &scenarios.Prices{VCPUHour: 0.04}})
	if notes := strings.Join(costFigure(r.Cost).Notes, "; "); len(r.Cost.At) != 1 || strings.Contains(notes, "(") {
		t.Errorf("one load, and %q", notes)
	}
}

// What is not known of a cost is left out of run.json, and said: 0 with an interval would be
// a figure.
func TestMarginalCostThatIsNotKnownIsLeftOut(t *testing.T) {
	const rests = "50,50,6,10,0.3,2\n100,100,7,10,0.31,2\n200,200,9,10,0.29,2\n300,300,17,10,0.3,2\n400,400,48,10,0.31,2\n440,440,160,10,0.29,2\n"
	r := fitTable(t, rests, Question{Demand: &scenarios.Demand{Peak: 200}, Prices: &scenarios.Prices{VCPUHour: 0.04}})
	b, err := json.Marshal(r.Cost)
	if err != nil {
		t.Fatal(err)
	}
	if text := string(b); strings.Contains(text, `"marginal":`) || strings.Contains(text, `"idle":`) || !strings.Contains(text, `"loaded":`) {
		t.Error(text)
	}
	if notes := strings.Join(costFigure(r.Cost).Notes, "; "); !strings.Contains(notes, "what of it is marginal is not known") {
		t.Error(notes)
	}
	if b, err = json.Marshal(fitTable(t, rising, Question{Prices: &scenarios.Prices{VCPUHour: 0.04}}).Cost); err != nil || !strings.Contains(string(b), `"marginal":`) {
		t.Errorf("%s, %v", b, err)
	}
}

// What a request takes is said of one that is alone where others take more.
func TestDemandOfACurvedUse(t *testing.T) {
	straight := Bottleneck{Resource: "cpu", Unit: "cores", PerRequest: 0.004, Law: &capacity.Law{Demand: 0.004}}
	if got := demand(straight); got != "each request takes a core for 4 ms" {
		t.Error(got)
	}
	straight.Law.Pole = 0.001
	if got := demand(straight); got != "a request that is alone takes a core for 4 ms" {
		t.Error(got)
	}
	straight.Unit = "bytes"
	if got := demand(straight); !strings.HasSuffix(got, " for the first request/s") {
		t.Error(got)
	}
}
