package reports

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/headroom-project/headroom/capacity"
	points "github.com/headroom-project/headroom/capacity/table"
	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

// fitWhole fits a table with a header of its own to objectives in words.
func fitWhole(t *testing.T, text string, slo ...string) *Run {
	t.Helper()
	x, err := points.Read("t.csv", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	q := Question{}
	for _, s := range slo {
		o, err := scenarios.ParseObjective(s)
		if err != nil {
			t.Fatal(err)
		}
		q.Objectives = append(q.Objectives, o)
	}
	return Fit(Measured{Name: "t", Source: "t.csv", Points: x.Points, Seed: 1}, q)
}

// shedding serves 300/s and turns the rest away at once, so that p99 never breaks.
const shedding = `offered_rps,throughput_rps,p99_ms,p50_ms,seconds,error_ratio,cpu_used,cpu_limit
50,50,20,5,60,0,0.35,2
100,100,21,5.25,60,0,0.6,2
150,150,22,5.5,60,0,0.85,2
200,200,24,6,60,0,1.1,2
250,250,28,7,60,0,1.35,2
300,300,35,8.75,60,0,1.6,2
400,300,45,11.25,60,0.25,1.65,2
600,300,46,11.5,60,0.5,1.75,2
`

// The objective that broke is the one that limits, in whichever order they are given; where
// none did, the target serves no more.
func TestWhatBrokeLimits(t *testing.T) {
	for want, slo := range map[string][][]string{
		"errors < 1%": {{"p99<50ms", "errors<1%"}, {"errors<1%", "p99<50ms"}, {"errors<1%"}},
		"p99 < 40ms":  {{"p99<40ms", "errors<90%"}, {"errors<90%", "p99<40ms"}},
		"":            {{"p99<50ms"}, {"p99<50ms", "errors<90%"}},
	} {
		for _, objectives := range slo {
			if got := fitWhole(t, shedding, objectives...).Capacity.Objective; got != want {
				t.Errorf("%v: limited by %q, want %q", objectives, got, want)
			}
		}
	}
}

// Steps that go down with the load, or differ at one load, are no bound of a capacity.
func TestStepsThatContradictEachOther(t *testing.T) {
	const head = "offered_rps,throughput_rps,p99_ms\n"
	for name, rows := range map[string]string{
		"down":     "300,300,10\n200,200,20\n100,100,80\n",
		"one load": "100,100,10\n100,100,90\n100,100,10\n",
	} {
		r := fitWhole(t, head+rows, "p99<50ms")
		said := strings.Join(append(r.Reasons, r.Warnings...), "\n")
		if r.Verdict != Invalid || !strings.Contains(r.Reasons[0], "the steps contradict each other: p99 < 50ms broke at 100 req/s and held at") {
			t.Errorf("%s: %s, %q", name, r.Verdict, r.Reasons)
		}
		if strings.Contains(said, "at every load") || strings.Contains(said, "all points") {
			t.Errorf("%s: %s", name, said)
		}
		if len(r.Capacity.ContraryRPS) != 1 {
			t.Errorf("%s: %+v", name, r.Capacity)
		}
	}
	r := fitWhole(t, head+"50,50,10\n100,100,10\n", "p99<50ms", "errors<1%")
	if !strings.Contains(r.Reasons[0], "p99 < 50ms and errors < 1% hold at every load") {
		t.Error(r.Reasons)
	}
	for demand, want := range map[float64]string{180: Pass, 300: Invalid} {
		rows := "100,100,10,400,,\n200,200,20,400,,\n400,400,42,400,,\n400,400,90,400,,\n400,400,20,400,,\n"
		if r := fitTable(t, rows, Question{Demand: &scenarios.Demand{Peak: demand}}); r.Verdict != want {
			t.Errorf("a demand of %v: %s %q", demand, r.Verdict, r.Reasons)
		}
	}
	x := fitTable(t, "300,300,10,10,,\n200,200,20,10,,\n100,100,80,10,,\n", Question{Demand: &scenarios.Demand{Peak: 90}})
	if x.Verdict != Invalid {
		t.Errorf("a demand that contradictory steps do not cover: %s %q", x.Verdict, x.Reasons)
	}
}

// A load whose confirmation broke is not what a plan is made with, whatever held beside it.
func TestBrokenConfirmationIsSaid(t *testing.T) {
	r := &Run{Verdict: Pass, Ended: endedDone, Capacity: &Capacity{RPS: Estimate{Value: 448, Low: 425, High: 524}, RefutedAtRPS: 448}, Objectives: []Objective{{Text: "p99 < 150ms", Metric: "p99"}}}
	if s := Sentence(r); !strings.Contains(s, "up to 448 req/s (425-524), but the confirmation at 448 broke: plan with 425.") {
		t.Error(s)
	}
	if f := keyFigures(r, "-")[0]; !strings.Contains(strings.Join(f.Notes, "; "), "the confirmation at 448 broke") || strings.Contains(strings.Join(f.Notes, "; "), "not confirmed") {
		t.Error(f)
	}
	r.Capacity.RPS.Low = 448
	if s := Sentence(r); !strings.Contains(s, "plan with less") {
		t.Error(s)
	}
}

// A demand is in words that fit its unit.
func TestDemandInItsUnit(t *testing.T) {
	for want, b := range map[string]Bottleneck{
		"each request takes a core for 5 ms":              {PerRequest: 0.005, Unit: "cores"},
		"each request holds it for 2.64 ms":               {PerRequest: 0.00264, Unit: capacity.ShareHeld},
		"a request that is alone holds it for 2.64 ms":    {PerRequest: 0.00264, Unit: capacity.ShareHeld, Law: &capacity.Law{Demand: 1, Bend: 1}},
		"0.2 of it for each request/s":                    {PerRequest: 0.2},
		"1.5 calls/s for each request/s":                  {PerRequest: 1.5, Unit: "calls/s"},
		"976.6 KiB for each request/s":                    {PerRequest: 1e6, Unit: "bytes"},
		"each request takes it for 2 ms":                  {PerRequest: 0.002, Unit: "ratio"},
		"a request that is alone takes a slot for 2.5 ms": {PerRequest: 0.0025, Unit: "slots", Law: &capacity.Law{Demand: 1, Bend: 1}},
	} {
		if got := demand(b); got != want && !strings.HasPrefix(want, "976") || strings.HasPrefix(want, "976") && !strings.HasSuffix(got, "KiB for each request/s") {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// What one more request costs may be more than the mean, and is then no part of it.
func TestMarginalAboveLoaded(t *testing.T) {
	c := &Cost{Currency: "EUR", PerMillion: PerMillion{Marginal: Estimate{Value: 0.0857}, Loaded: Estimate{Value: 0.0711}}}
	if notes := strings.Join(costFigure(c).Notes, "; "); strings.Contains(notes, "of it") || !strings.Contains(notes, "0.0857 for a million more") {
		t.Error(notes)
	}
}

// A drill that kept a bound of utilisation says so, and why a step used a little more.
func TestBoundOfUtilisationIsShown(t *testing.T) {
	e := poolBundle(t)
	for i := range e.Journal {
		if d := e.Journal[i].Drill; d != nil {
			d.MaxUtilisation = 0.6
		}
	}
	r, err := Compute(e)
	if err != nil {
		t.Fatal(err)
	}
	if r.Bounded == nil || r.Bounded.MaxUtilisation != 0.6 || !(r.Bounded.Most > 0.6) || r.Bounded.Resource == "" {
		t.Fatalf("%+v", r.Bounded)
	}
	for name, write := range map[string]func(io.Writer, *Run) error{
		"text": func(w io.Writer, r *Run) error { return Text(w, r, TextOptions{Width: 300}) }, "html": HTML, "markdown": Markdown,
	} {
		var b bytes.Buffer
		if err := write(&b, r); err != nil {
			t.Fatal(err)
		}
		if s := b.String(); !strings.Contains(s, "60%") || !strings.Contains(s, "the most seen was") || !strings.Contains(s, "by chance") {
			t.Errorf("%s does not say the bound", name)
		}
	}
	data, err := json.Marshal(r)
	if err != nil || !strings.Contains(string(data), `"bounded":{"max_utilisation":0.6`) {
		t.Error(err)
	}
	if r, err := Compute(poolBundle(t)); err != nil || r.Bounded != nil {
		t.Errorf("%v %+v", err, r.Bounded)
	}
}

// A verdict needs the hits that were planned.
func TestDamagedEvidenceIsNoVerdict(t *testing.T) {
	e := poolBundle(t)
	e.Damage = append(e.Damage, "windows.jsonl.gz can be read only in part: unexpected EOF")
	if r, err := Compute(e); err != nil || r.Verdict != Pass {
		t.Fatalf("%v %+v: nothing is lost", err, r.Reasons)
	}
	e = poolBundle(t)
	file := filepath.Join(e.Dir, observation.WindowsFile)
	if info, err := os.Stat(file); err != nil || os.Truncate(file, info.Size()/2) != nil {
		t.Fatal(err)
	}
	r, err := Compute(e)
	if err != nil || r.Verdict != Invalid || !strings.Contains(r.Reasons[0], "the evidence is damaged") {
		t.Errorf("%v %s %q", err, r.Verdict, r.Reasons)
	}
}

// What a report withholds is not doubted in it.
func TestBrokenOffDrillDoubtsNoCapacity(t *testing.T) {
	seen := capacity.Analysis{Capacity: &capacity.Capacity{}, Saturation: &capacity.Saturation{}}
	seen.Capacity.Warnings, seen.Saturation.Warnings = []string{"the interval is wide"}, []string{"the bottleneck is ambiguous"}
	for how, want := range map[string]int{observation.EndDone: 0, observation.EndGuard: 0, observation.EndInterrupted: 2, observation.EndFailed: 2, CutOff: 2} {
		c := &computation{run: Run{Ended: how}}
		if got := c.withheld(&seen); len(got) != want {
			t.Errorf("%s: %q", how, got)
		}
	}
}

// What is predicted of a load that was offered is not called one that was not.
func TestPredictedAtALoadThatWasOffered(t *testing.T) {
	for most, want := range map[float64]string{520: "the highest load that was offered, and held", 400: "predicted, not offered"} {
		f := capacityFigure(&Capacity{RPS: Estimate{Value: 520, Low: 514, High: 536}, Bound: capacity.Predicted}, most, "-")
		if notes := strings.Join(f.Notes, "; "); !strings.Contains(notes, want) || strings.Contains(notes, "not offered") != (most == 400) {
			t.Errorf("%v: %s", most, notes)
		}
	}
}
