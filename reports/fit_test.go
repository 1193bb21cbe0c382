package reports

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	points "github.com/headroom-project/headroom/capacity/table"
	"github.com/headroom-project/headroom/scenarios"
)

// fitTable fits a table of loads and p99s in ms, ten seconds each.
func fitTable(t *testing.T, rows string, q Question) *Run {
	t.Helper()
	x, err := points.Read("t.csv", strings.NewReader("offered_rps,throughput_rps,p99_ms,seconds,cpu_used,cpu_limit\n"+rows))
	if err != nil {
		t.Fatal(err)
	}
	if q.Objectives == nil {
		q.Objectives = []scenarios.Objective{{Metric: "p99", Op: "<", Value: 50}}
	}
	return Fit(Measured{Name: "t", Source: "t.csv", Points: x.Points, Seed: 1}, q)
}

const rising = "50,50,6,10,0.3,2\n100,100,7,10,0.5,2\n200,200,9,10,0.9,2\n300,300,17,10,1.3,2\n400,400,48,10,1.7,2\n440,430,160,10,1.9,2\n"

func TestFitSaysWhatWouldIdentifyTheCapacity(t *testing.T) {
	for name, c := range map[string]struct {
		rows, verdict, reason string
		demand                float64
	}{
		"crossing":                   {rising, Pass, "a capacity was found", 0},
		"crossing above the demand":  {rising, Pass, "covers the demand", 200},
		"crossing below the demand":  {rising, Fail, "below the demand", 800},
		"all meet":                   {"50,50,6,10,,\n100,100,7,10,,\n", Invalid, "run a step above 100 req/s", 0},
		"all meet, and the demand":   {"50,50,6,10,,\n100,100,7,10,,\n", Pass, "covers the demand", 80},
		"all meet, short of demand":  {"50,50,6,10,,\n100,100,7,10,,\n", Invalid, "run a step above 100 req/s", 800},
		"none meets":                 {"50,50,600,10,,\n100,100,700,10,,\n", Fail, "below 50 req/s", 0},
		"one load":                   {"50,50,6,10,,\n", Invalid, "all points are at 50 req/s", 0},
		"one load, several times":    {"50,50,6,10,,\n50,50,7,10,,\n", Invalid, "all points are at 50 req/s", 0},
		"loads in descending order":  {"440,430,160,10,,\n300,300,17,10,,\n100,100,7,10,,\n", Pass, "a capacity was found", 0},
		"too few hits":               {"1,1,10,1,,\n2,2,12,1,,\n3,3,80,1,,\n", Invalid, "p99: too few hits, 3 at most", 0},
		"up and down":                {"100,100,10,30,,\n200,200,90,30,,\n300,300,12,30,,\n400,400,95,30,,\n500,500,13,30,,\n", Invalid, "broke at 200 req/s and 400 req/s and held at 300 req/s and 500 req/s", 0},
		"up and down, p50 good":      {"50,50,10,30,,\n100,100,900,30,,\n300,300,900,30,,\n350,350,900,30,,\n400,400,12,30,,\n600,600,13,30,,\n", Invalid, "the steps contradict each other", 0},
		"rates alone":                {"10,10,8,,,\n20,20,9,,,\n40,40,12,,,\n60,60,30,,,\n70,70,120,,,\n", Pass, "a capacity was found", 0},
		"throughput falls when full": {"100,100,7,10,,\n200,200,9,10,,\n400,250,900,10,,\n800,150,2000,10,,\n", Pass, "a capacity was found", 0},
	} {
		t.Run(name, func(t *testing.T) {
			q := Question{}
			if c.demand > 0 {
				q.Demand = &scenarios.Demand{Peak: c.demand}
			}
			r := fitTable(t, c.rows, q)
			if r.Verdict != c.verdict || !strings.Contains(strings.Join(r.Reasons, "\n"), c.reason) {
				t.Errorf("%s: %q, want %s: %s", r.Verdict, r.Reasons, c.verdict, c.reason)
			}
		})
	}
}

// full is a target that serves 100/s at most, and lets whatever is more wait.
const full = "20,20,64,60,0.2,1\n40,40,87,60,0.4,1\n56,56,125,60,0.56,1\n81,81,179,60,0.81,1\n99,97.6,1250,60,0.99,1\n116,101,4840,60,1,1\n148,100,18700,60,1,1\n"

// No objective is lenient enough to be met above saturation for long, and one on the
// throughput asks for a load that meets the others too.
func TestFitAsksForThroughput(t *testing.T) {
	serves := func(x float64) scenarios.Objective {
		return scenarios.Objective{Metric: "throughput", Op: ">", Value: x}
	}
	below := func(ms float64) scenarios.Objective {
		return scenarios.Objective{Metric: "p99", Op: "<", Value: ms}
	}
	for name, c := range map[string]struct {
		objectives      []scenarios.Objective
		verdict, reason string
		least, most     float64
	}{
		"lenient":              {[]scenarios.Objective{below(30000)}, Pass, "a capacity was found", 92, 101},
		"throughput":           {[]scenarios.Objective{serves(80)}, Pass, "a capacity was found", 92, 101},
		"more than it serves":  {[]scenarios.Objective{serves(120)}, Fail, "throughput > 120 holds at no load", 92, 101},
		"about what it serves": {[]scenarios.Objective{serves(98)}, Invalid, "lies inside the interval", 92, 101},
		"both, perhaps":        {[]scenarios.Objective{serves(98), below(70)}, Invalid, "lies inside the interval", 20, 40},
		"both, at no load":     {[]scenarios.Objective{serves(110), below(70)}, Fail, "throughput > 110 holds at no load", 20, 40},
		"both, at some":        {[]scenarios.Objective{serves(25), below(179.5)}, Pass, "a capacity was found", 60, 99},
	} {
		t.Run(name, func(t *testing.T) {
			r := fitTable(t, full, Question{Objectives: c.objectives})
			if r.Verdict != c.verdict || !strings.Contains(strings.Join(r.Reasons, "\n"), c.reason) {
				t.Errorf("%s: %q, want %s: %s", r.Verdict, r.Reasons, c.verdict, c.reason)
			}
			if x := r.Capacity; x == nil || x.RPS.Value < c.least || x.RPS.Value > c.most || x.Bound != "" {
				t.Errorf("capacity %+v, want %g to %g", x, c.least, c.most)
			}
			for _, s := range r.Steps {
				if mark(&s) == "broke" && s.OfferedRPS < 25 {
					t.Errorf("a step at %g/s broke %v", s.OfferedRPS, c.objectives)
				}
			}
		})
	}
	r := fitTable(t, "20,20,64,60,,\n40,40,67,60,,\n56,56,68,60,,\n", Question{Objectives: []scenarios.Objective{serves(90), below(20000)}})
	if r.Verdict != Invalid || !strings.Contains(r.Reasons[0], "run a step above") {
		t.Errorf("throughput that was not asked for: %s %q", r.Verdict, r.Reasons)
	}
}

// Steps at one load, some of which broke for sure, do not all count as held by their mean.
func TestFitOfContraryStepsReachesDown(t *testing.T) {
	rows := ""
	for _, p99 := range []string{"30,40,41,42", "42,44,46,54"} {
		for i, v := range strings.Split(p99, ",") {
			rows += fmt.Sprintf("%d,%d,%s,400,,\n", 100*(i+1)-len(rows)/100, 100*(i+1), v)
		}
	}
	r := fitTable(t, rows, Question{})
	if x := r.Capacity; x == nil || x.RPS.Low > 400 || !strings.Contains(strings.Join(r.Warnings, "\n"), "but not in each") {
		t.Errorf("%+v\n%q", x, r.Warnings)
	}
}

// A table of rates says nothing of how many hits there were, nor for how long.
func TestFitCountsNoHitsOfRates(t *testing.T) {
	for columns, counted := range map[string]bool{"offered_rps,throughput_rps,p99_ms": false, "offered_rps,throughput_rps,p99_ms,seconds": true} {
		end := ""
		if counted {
			end = ",10"
		}
		x, err := points.Read("t.csv", strings.NewReader(columns+"\n100,100,7"+end+"\n200,200,9"+end+"\n"))
		if err != nil {
			t.Fatal(err)
		}
		r := Fit(Measured{Name: "t", Source: "t.csv", Points: x.Points, Seed: 1}, Question{Objectives: []scenarios.Objective{{Metric: "p99", Op: "<", Value: 50}}})
		for name, write := range map[string]func(io.Writer, *Run) error{
			"text": func(w io.Writer, r *Run) error { return Text(w, r, TextOptions{Width: 80}) }, "markdown": Markdown, "html": HTML,
		} {
			var b bytes.Buffer
			if err := write(&b, r); err != nil {
				t.Fatal(err)
			}
			if name == "html" && !strings.Contains(b.String(), `"p50":[null,null]`) {
				t.Errorf("the chart of %s has a p50 that the table does not have", columns)
			}
			if strings.Contains(b.String(), "hits planned") != counted {
				t.Errorf("%s of %s: hits counted is not %v:\n%.2000s", name, columns, counted, b.String())
			}
		}
	}
}

// A demand that grows uses the headroom up on a day that can be worked out.
func TestGrowingDemand(t *testing.T) {
	now := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	r := fitTable(t, rising, Question{Demand: &scenarios.Demand{Peak: 200, Growth: "100%/year"}, Now: now})
	h := r.Headroom
	if h == nil || h.AtForecastPeak == nil || h.Now == nil || h.AtForecastPeak.Value >= h.Now.Value {
		t.Fatalf("%+v", h)
	}
	g, err := scenarios.ParseGrowth("100%/year")
	if err != nil {
		t.Fatal(err)
	}
	after, _ := g.Reaches(r.Capacity.RPS.Value / 200)
	if want := now.Add(after).Format(time.DateOnly); h.ExhaustedOn != want {
		t.Errorf("exhausted on %s, want %s", h.ExhaustedOn, want)
	}
}

// Whatever a table holds, there is a run that every view can show, without a figure
// that is not finite.
func FuzzFit(f *testing.F) {
	f.Add(rising)
	f.Add("1e-6,0,0,0.1,5,5\n1e9,1e9,1e9,1e7,1,2\n")
	f.Add("50,50,6,10,,\n50,0,900000,10,,\n")
	f.Fuzz(func(t *testing.T, rows string) {
		x, err := points.Read("t.csv", strings.NewReader("offered_rps,throughput_rps,p99_ms,seconds,cpu_used,cpu_limit\n"+rows))
		if err != nil || len(x.Points) > 40 {
			return
		}
		q := Question{
			Objectives: []scenarios.Objective{{Metric: "p99", Op: "<", Value: 50}, {Metric: "errors", Op: "<", Value: 0.01}},
			Demand:     &scenarios.Demand{Peak: 100, Growth: "5%/month"}, Prices: &scenarios.Prices{VCPUHour: 0.04},
		}
		r := Fit(Measured{Name: "t", Source: "t.csv", Points: x.Points, Seed: 1}, q)
		if r.Verdict == "" || len(r.Reasons) == 0 {
			t.Fatal("no verdict, or no reason")
		}
		var b bytes.Buffer
		if err := JSON(&b, r); err != nil {
			t.Fatal(err) // a figure that is not finite cannot be encoded
		}
		if !json.Valid(b.Bytes()) {
			t.Fatal("no JSON")
		}
		for _, render := range []func(io.Writer, *Run) error{func(w io.Writer, r *Run) error { return Text(w, r, TextOptions{}) }, Markdown, HTML} {
			if err := render(io.Discard, r); err != nil {
				t.Fatal(err)
			}
		}
	})
}
