package search

import (
	"strings"
	"testing"
	"time"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

func TestAbove(t *testing.T) {
	cores := func(used float64) observation.Use {
		return observation.Use{Used: used, Limit: 2, Unit: "cores", Summed: true, Samples: 3}
	}
	slots := func(used float64, samples int) observation.Use {
		return observation.Use{Used: used, Limit: 10, Unit: "slots", Samples: samples}
	}
	bytes := func(used float64) observation.Use {
		return observation.Use{Used: used, Limit: 100, Unit: "bytes", Samples: 3}
	}
	for _, c := range []struct {
		name     string
		resource string
		use      observation.Use
		load, s  float64
		whole    float64
		want     bool
	}{
		{"below", "cpu", cores(1.1), 300, 3, 3, false},
		{"above, as chance makes it", "cpu", cores(1.24), 300, 3, 3, false},
		{"above, as chance hardly makes it", "cpu", cores(1.36), 300, 3, 3, true},
		{"with as much to come", "cpu", cores(1.3), 300, 3, 6, false},
		{"with more to come, and far above", "cpu", cores(1.8), 300, 3, 13, true},
		{"the same of many hits", "cpu", cores(1.24), 3000, 3, 3, true},
		{"the same of few", "cpu", cores(1.36), 30, 2, 2, false},
		{"a gauge that was looked at twice", "pool.db", slots(7, 2), 3000, 2, 2, false},
		{"that was looked at often", "pool.db", slots(7, 20), 3000, 20, 20, true},
		{"that was full whenever it was looked at", "pool.db", slots(10, 3), 3000, 3, 6, true},
		{"memory, which a collector moves", "memory", bytes(90), 300, 3, 3, false},
		{"the generator's own", "generator.cpu", cores(2), 300, 3, 3, false},
		{"no limit is known", "threads", observation.Use{Used: 500, Unit: "count"}, 300, 3, 3, false},
		{"for a second", "cpu", cores(2), 300, 1, 1, false},
		{"of one reading", "pool.db", slots(10, 1), 300, 2, 2, false},
		{"nothing that counts", "cpu", cores(2), 300, 0, 0, false},
	} {
		p := observation.Point{
			Kind: scenarios.KindSearch, Offered: c.load, Seconds: c.s, Valid: true,
			Figures: observation.Figures{Throughput: c.load}, Resources: map[string]observation.Use{c.resource: c.use},
		}
		why, above := New(Config{MaxUtilisation: 0.6}).Above(p, c.whole)
		if above != c.want || above != strings.Contains(why, c.resource+" is used at ") || above != strings.HasSuffix(why, "above the allowed 60%") {
			t.Errorf("%s: %v (%q), want %v", c.name, above, why, c.want)
		}
		if _, above := New(Config{}).Above(p, c.whole); above {
			t.Errorf("%s: above no bound at all", c.name)
		}
		p.Throughput, p.Failed = 0, uint64(c.load*c.s)
		if _, above := New(Config{MaxUtilisation: 0.6}).Above(p, c.whole); above != c.want {
			t.Errorf("%s: %v where all hits fail, want %v", c.name, above, c.want)
		}
		p.Kind = scenarios.KindWarmup
		if _, above := New(Config{MaxUtilisation: 0.6}).Above(p, c.whole); above {
			t.Errorf("%s: above in a warm-up", c.name)
		}
	}
}

// A step that ended as it used too much is no broken objective: the search goes on below it,
// and a confirmation is made once more.
func TestAfterAStepThatUsedTooMuch(t *testing.T) {
	at := func(kind string, load, used float64) observation.Point {
		p := step(kind, load, 10)
		p.Throughput = load
		p.Resources = map[string]observation.Use{"cpu": {Used: used, Limit: 1, Unit: "cores", Summed: true, Samples: 6}}
		return p
	}
	s := New(Config{Objectives: p99, MaxUtilisation: 0.6})
	over := at(scenarios.KindSearch, 800, 0.8)
	over.Short, over.Seconds = "cpu is used at 80%, above the allowed 60%", 2
	grown := []observation.Point{at(scenarios.KindSearch, 200, 0.1), at(scenarios.KindSearch, 400, 0.2), over}
	for i := range grown {
		grown[i].Step = i
	}
	if d := s.Next(grown, 20*time.Second); d.Done || d.Step.From >= 620 || d.Step.From < 100 {
		t.Errorf("growth goes on with %+v, want a load that uses less than 60%%", d)
	}
	over = at(scenarios.KindConfirm, 500, 0.7)
	over.Step, over.Short, over.Seconds = 2, "cpu is used at 70%, above the allowed 60%", 4
	confirmed := append(grown[:2:2], over)
	d := s.Next(confirmed, 60*time.Second)
	if d.Done || d.Step.Kind != scenarios.KindConfirm || d.Step.From >= 480 || !strings.Contains(d.Reason, "more than is allowed") {
		t.Errorf("the confirmation is followed by %+v, want one of what uses less than 60%%", d)
	}
	// What was used at that load before, as expected, leaves the load no higher.
	expected := []observation.Point{at(scenarios.KindSearch, 2500, 0.28), at(scenarios.KindRefine, 5000, 0.55), at(scenarios.KindRefine, 5000, 0.55)}
	over = at(scenarios.KindConfirm, 5000, 0.62)
	over.Short, over.Seconds = "cpu is used at 62%, above the allowed 60%", 4
	if d := s.Next(append(expected, over), 60*time.Second); d.Done || d.Step.From > 4750 || d.Step.From < 4000 {
		t.Errorf("the confirmation is followed by %+v, want one of less than 5000/s", d)
	}
	// Nor is it a broken objective where too few hits ended to tell one from chance.
	doubtful := over
	doubtful.OK, doubtful.Sent, doubtful.Response.P99 = 100, 100, 200
	if o := Judge(doubtful, p99); o != Doubtful {
		t.Fatalf("the step is judged %v, want doubtful", o)
	}
	if d := s.Next(append(expected, doubtful), 60*time.Second); d.Done || d.Step.From > 4750 || !strings.Contains(d.Reason, "more than is allowed") {
		t.Errorf("a doubtful confirmation is followed by %+v", d)
	}
	// What was used is a fact where the generator was late, too.
	late := over
	late.Valid, late.Kind, late.WhyInvalid = false, scenarios.KindRefine, []string{"send lag"}
	if x, _ := ceiling(append(expected, late), 0.6, 6); x > 5000*0.6/0.62+1 {
		t.Errorf("%g is allowed after a step above the bound for which the generator was late", x)
	}
	if d := s.Next(append(confirmed, over), 80*time.Second); !d.Done || !strings.Contains(d.Reason, "ended early: cpu is used at 62%") {
		t.Errorf("two confirmations are followed by %+v, want the end", d)
	}
}

// A bounded search whose capacity cannot be predicted makes one longer step, which may go higher:
// one, also where that is ended early.
func TestOneStepIsLonger(t *testing.T) {
	for _, c := range []struct {
		name  string
		each  time.Duration
		short bool
		want  int
	}{
		{"of eight seconds", 8 * time.Second, false, 1},
		{"of one second, shorter than those of growth", time.Second, false, 0},
		{"that is ended early", 8 * time.Second, true, 1},
	} {
		s := New(Config{Objectives: p99, MaxUtilisation: 0.6, Load: scenarios.SearchLoad{Step: scenarios.Duration(c.each), Budget: scenarios.Duration(110 * time.Second)}})
		var points []observation.Point
		longer := 0
		for elapsed := time.Duration(0); ; {
			d := s.Next(points, elapsed)
			if d.Done || len(points) > 40 {
				break
			}
			p := step(d.Step.Kind, d.Step.From, 10)
			p.Step, p.Throughput, p.Discarded = len(points), d.Step.From, Discard(d.Step.Lasts).Seconds()
			p.Seconds = d.Step.Lasts.Seconds() - p.Discarded
			if d.Step.Kind == scenarios.KindRefine && d.Step.Lasts > s.step {
				longer++
				if c.short {
					p.Short, p.Seconds = "cpu", 2
				}
			}
			p.Resources = map[string]observation.Use{"cpu": {Used: d.Step.From / 1000, Limit: 1, Unit: "cores", Summed: true, Samples: 6}}
			points = append(points, p)
			elapsed += d.Step.Lasts + settle
		}
		if longer != c.want {
			t.Errorf("steps %s: %d refinements are longer, want %d", c.name, longer, c.want)
		}
	}
}

// The warm-up is all that the first step has to go by. What rests above the bound ends the drill
// once a lower load told that it does.
func TestTheFirstStepIsBoundedByTheWarmUp(t *testing.T) {
	s := New(Config{Objectives: p99, MaxUtilisation: 0.6})
	at := func(kind string, load, used float64, unit string) observation.Point {
		p := step(kind, load, 10)
		p.Seconds, p.Throughput = 2, load
		p.Resources = map[string]observation.Use{"x": {Used: used, Limit: 1, Unit: unit, Summed: true, Samples: 2}}
		return p
	}
	warm := at(scenarios.KindWarmup, 50, 0.8, "cores")
	if d := s.Next([]observation.Point{warm}, 0); d.Step.Kind != scenarios.KindSearch || d.Step.From > 30 || d.Step.From < 10 || !strings.Contains(d.Reason, "x would go above") {
		t.Errorf("after a warm-up that used 80%%: %+v", d)
	}
	if d := s.Next([]observation.Point{at(scenarios.KindWarmup, 50, 0.1, "cores")}, 0); d.Step.From != DefaultFrom {
		t.Errorf("after a warm-up that used 10%%: %+v", d)
	}
	if d := New(Config{Objectives: p99}).Next([]observation.Point{warm}, 0); d.Step.From != DefaultFrom {
		t.Errorf("without a bound: %+v", d)
	}
	full := at(scenarios.KindWarmup, 50, 0.8, "bytes")
	if d := s.Next([]observation.Point{full}, 0); d.Step.From > 1 {
		t.Errorf("of memory that is full: %+v", d)
	}
	low := at(scenarios.KindSearch, 1, 0.8, "bytes")
	low.Step = 1
	if d := s.Next([]observation.Point{full, low}, 5*time.Second); !strings.Contains(d.Failed, "without load") {
		t.Errorf("and still is at 1/s: %+v", d)
	}
}
