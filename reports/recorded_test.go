package reports

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

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
	if x := r.Capacity; x == nil || x.Bound != "predicted" || x.Objective != "" || !strings.Contains(strings.Join(r.Warnings, "\n"), notPredicted) {
		t.Fatalf("%+v, warnings %q", x, r.Warnings)
	}
	if notes := strings.Join(keyFigures(r, "-")[0].Notes, "; "); strings.Contains(notes, "limited by") || !strings.Contains(notes, "the target serves no more") {
		t.Error(notes)
	}
}
