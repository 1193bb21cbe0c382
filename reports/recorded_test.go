package reports

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

// What a drill predicted is of its own objectives, in whichever order they are given, and
// has no interval, which is then none in JSON either.
func TestPredictedIsOfTheDrillsObjectives(t *testing.T) {
	for _, test := range []struct {
		slo  []string
		want bool
	}{
		{nil, true},
		{[]string{"errors < 0.1%", "p99 < 100ms"}, true},
		{[]string{"p99 < 60ms"}, false},
	} {
		t.Run(strings.Join(test.slo, ","), func(t *testing.T) {
			q := Question{}
			for _, text := range test.slo {
				o, err := scenarios.ParseObjective(text)
				if err != nil {
					t.Fatal(err)
				}
				q.Objectives = append(q.Objectives, o)
			}
			r, err := ComputeFor(poolBundle(t), q)
			if err != nil {
				t.Fatal(err)
			}
			x := r.Capacity
			if x == nil || x.Bound != "" || (x.Predicted != nil) != test.want {
				t.Fatalf("%+v, want predicted: %t", x, test.want)
			}
			data, err := json.Marshal(x.Predicted)
			if err != nil || test.want && strings.Contains(string(data), "low") {
				t.Errorf("%s %v", data, err)
			}
			notes := strings.Join(keyFigures(r, "-")[0].Notes, "; ")
			if strings.Contains(notes, "before that") != (test.want && x.Check == nil) {
				t.Error(notes)
			}
		})
	}
}

// What a drill recorded of its prediction is shown with its interval, if it has one.
func TestPredictedHasTheIntervalThatWasRecorded(t *testing.T) {
	e := poolBundle(t)
	for i := range e.Journal {
		if end := e.Journal[i].End; end != nil {
			end.PredictedRPS, end.PredictedLow, end.PredictedHigh = 380, 371, 394
		}
	}
	r, err := Compute(e)
	if err != nil {
		t.Fatal(err)
	}
	if p := r.Capacity.Predicted; p == nil || *p != (Prediction{Value: 380, Low: 371, High: 394, Confidence: 0.9}) {
		t.Errorf("%+v", p)
	}
	r.Capacity.Check = nil
	if notes := strings.Join(keyFigures(r, "-")[0].Notes, "; "); !strings.Contains(notes, "predicted 380 (371-394) before that") {
		t.Error(notes)
	}
}

// What is predicted of a confirmation is an interval, whose upper end may be beyond all.
func TestCheckHasAnInterval(t *testing.T) {
	for _, test := range []struct {
		check Check
		want  string
	}{
		{Check{RPS: 390, PredictedMS: 40, ObservedMS: 44}, "p99 there predicted 40 ms, observed 44 ms"},
		{Check{RPS: 390, PredictedMS: 40, ObservedMS: 44, PredictedLow: 31, PredictedHigh: 58}, "p99 there predicted 40 ms (31 ms-58 ms), observed 44 ms"},
		{Check{RPS: 390, PredictedMS: 40, ObservedMS: 44, PredictedLow: 31}, "p99 there predicted 40 ms (31 ms or more), observed 44 ms"},
	} {
		f := capacityFigure(&Capacity{RPS: Estimate{Value: 390}, Check: &test.check}, 0, "-")
		if notes := strings.Join(f.Notes, "; "); !strings.Contains(notes, test.want) {
			t.Errorf("%q, want %q", notes, test.want)
		}
	}
}

// Whether a saturation was seen, and how well each ceiling is known, are fields.
func TestSaturationSaysWhetherItWasSeen(t *testing.T) {
	r, err := Compute(poolBundle(t))
	if err != nil {
		t.Fatal(err)
	}
	if r.Saturation == nil || !r.Saturation.Measured {
		t.Fatalf("%+v, want one that was measured", r.Saturation)
	}
	first := r.Saturation.Bottlenecks[0]
	if !(first.Low > 0 && first.Low < first.RPS && first.RPS < first.High) || first.Method == "" {
		t.Errorf("%+v", first)
	}
	if first.AfterFixRPS > 0 && !(first.AfterFixLow > 0 && first.AfterFixLow < first.AfterFixRPS) {
		t.Errorf("%+v", first)
	}
	data, err := json.Marshal(r.Saturation)
	if err != nil || !strings.Contains(string(data), `"measured":true`) || !strings.Contains(string(data), `"rps_low":`) {
		t.Errorf("%s %v", data, err)
	}
	below := fitTable(t, "50,50,6,10,0.3,2\n100,100,7,10,0.5,2\n200,200,9,10,0.9,2\n300,300,17,10,1.3,2\n400,400,48,10,1.7,2\n", Question{})
	if below.Saturation == nil || below.Saturation.Measured {
		t.Errorf("%+v, want one that was not", below.Saturation)
	}
}

// A scenario that was changed after the drill changes its verdict, but not silently.
func TestOtherObjectivesThanRecordedAreSaid(t *testing.T) {
	for _, test := range []struct {
		recorded string
		warned   bool
	}{
		{"", false},
		{"{", false},
		{`{"objectives": [{"text": "p99 < 1s"}]}`, false},
		{`{"objectives": [{"text": "p99 < 2s"}]}`, true},
		{`{"objectives": [{"text": "p99 < 1s"}, {"text": "errors < 1%"}]}`, true},
	} {
		t.Run(test.recorded, func(t *testing.T) {
			e := blocksBundle(t)
			e.Journal[0].Drill.ScenarioDigest = "" // as drills were recorded before
			if test.recorded != "" {
				if err := os.WriteFile(filepath.Join(e.Dir, runFile), []byte(test.recorded), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			// What is asked instead does not count.
			r, err := ComputeFor(e, Question{Objectives: []scenarios.Objective{{Metric: "p50", Op: "<", Value: 7}}})
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Contains(strings.Join(r.Warnings, "\n"), "scenario.yaml has the objectives p99 < 1s, but run.json"); got != test.warned {
				t.Errorf("warnings %q", r.Warnings)
			}
		})
	}
}

// The journal of a drill knows what the scenario was, without run.json.
func TestAnotherScenarioThanInTheJournalIsSaid(t *testing.T) {
	for _, test := range []struct {
		name       string
		digest     string // "" for that of the file
		objectives []string
		want       string
		others     bool
	}{
		{"the same", "", []string{"p99 < 1s"}, "", false},
		{"an objective was added", strings.Repeat("0", 64), nil, "scenario.yaml is not the file that the drill wrote", false},
		{"another file", strings.Repeat("0", 64), []string{"p99 < 1s"}, "scenario.yaml is not the file that the drill wrote", false},
		{"other objectives", strings.Repeat("0", 64), []string{"p99 < 2s"}, "scenario.yaml has the objectives p99 < 1s, but journal.jsonl of the drill was made for p99 < 2s", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := blocksBundle(t)
			// run.json says otherwise; the journal is nearer to the drill.
			if err := os.WriteFile(filepath.Join(e.Dir, runFile), []byte(`{"objectives": [{"text": "p99 < 3s"}]}`), 0o600); err != nil {
				t.Fatal(err)
			}
			drill := e.Journal[0].Drill
			if drill.Objectives, drill.ScenarioDigest = test.objectives, test.digest; test.digest == "" {
				drill.ScenarioDigest = observation.Digest(e.Scenario)
			}
			c, err := begin(e, Question{})
			if err != nil {
				t.Fatal(err)
			}
			said := ""
			for _, w := range c.run.Warnings {
				if strings.HasPrefix(w, "scenario.yaml ") {
					said += w
				}
			}
			if (said == "") != (test.want == "") || !strings.HasPrefix(said, test.want) || c.others != test.others {
				t.Errorf("%q, want %q; others %t", said, test.want, c.others)
			}
		})
	}
}

// A folder of profiles that was not copied is one warning.
func TestAbsentProfilesAreCounted(t *testing.T) {
	e := blocksBundle(t)
	c := &computation{evidence: e}
	for range 2 {
		files := make([]string, 30)
		for i := range files {
			files[i] = fmt.Sprintf("profiles/step-%02d.cpu.pb.gz", i)
		}
		c.profile(&taken{files: files})
	}
	c.absentProfiles()
	if len(c.run.Warnings) != 1 || !strings.HasPrefix(c.run.Warnings[0], "30 profiles that the journal names are not in the bundle") {
		t.Errorf("%q", c.run.Warnings)
	}
}

// An objective that no law speaks of does not limit a prediction.
func TestUnpredictedObjectiveIsNoLimit(t *testing.T) {
	r := fitTable(t, "50,50,6,10,0.3,2\n100,100,7,10,0.5,2\n200,200,9,10,0.9,2\n300,300,17,10,1.3,2\n400,400,48,10,1.7,2\n",
		Question{Objectives: []scenarios.Objective{{Metric: "errors", Op: "<", Value: 0.001}}})
	if x := r.Capacity; x == nil || x.Bound != "predicted" || x.Objective != "" || !strings.Contains(strings.Join(r.Warnings, "\n"), " is not predicted: ") || len(x.NotPredicted) != 1 || x.NotPredicted[0] != "errors < 0.1%" {
		t.Fatalf("%+v, warnings %q", x, r.Warnings)
	}
	if notes := strings.Join(keyFigures(r, "-")[0].Notes, "; "); strings.Contains(notes, "limited by") || !strings.Contains(notes, "the target serves no more") {
		t.Error(notes)
	}
}
