package reports

import (
	"strings"
	"testing"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

// What is only known to be at least, or at most, something is shown as that, and what
// has no price is no cost of 0.
func TestBoundsAreShown(t *testing.T) {
	point := func(load, p99 float64) observation.Point {
		x := observation.Point{Kind: scenarios.KindLoad, Valid: true, Offered: load, Seconds: 10}
		x.Throughput, x.OK, x.Sent, x.Response.P99 = load, uint64(10*load), uint64(10*load), p99
		return x
	}
	o, err := scenarios.ParseObjective("p99<50ms")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		points []observation.Point
		want   string
	}{
		{[]observation.Point{point(100, 20), point(200, 20), point(400, 20)}, "≥ "},
		{[]observation.Point{point(1000, 120), point(2000, 140), point(3000, 160)}, "≤ "},
	} {
		q := Question{Objectives: []scenarios.Objective{o}, Demand: &scenarios.Demand{Peak: 300}, Prices: &scenarios.Prices{VCPUHour: 0.04}}
		r := Fit(Measured{Name: "x", Points: c.points, Seed: 1}, q)
		shown := false
		for _, f := range keyFigures(r, "-") {
			shown = shown || f.Name == "Headroom" && strings.HasPrefix(f.Value, c.want)
		}
		if !shown {
			t.Errorf("no headroom %sof %+v", c.want, keyFigures(r, "-"))
		}
		if r.Cost != nil || !strings.Contains(strings.Join(r.Warnings, "\n"), "no cost") {
			t.Errorf("a cost of %+v without anything that has a price", r.Cost)
		}
	}
}

// Whether a demand inside the interval is met cannot be told, and everything else can: the
// figures are there. A run that was cut short has none.
func TestAnOpenDemandHidesNothing(t *testing.T) {
	open := sampleRun()
	open.Verdict, open.Headroom.DemandRPS = Invalid, 390
	open.Reasons = []string{"the demand of 390 req/s lies inside the interval of the capacity"}
	cut := sampleRun()
	cut.Verdict, cut.Headroom.DemandRPS, cut.Ended = Invalid, 390, "interrupted"
	elsewhere := sampleRun()
	elsewhere.Verdict, elsewhere.Headroom.DemandRPS = Invalid, 700
	for _, c := range []struct {
		name  string
		run   *Run
		shown bool
	}{{"open", open, true}, {"cut short", cut, false}, {"invalid for another reason", elsewhere, false}} {
		for form, write := range map[string]func(*strings.Builder) error{
			"text": func(b *strings.Builder) error { return Text(b, c.run, TextOptions{}) },
			"html": func(b *strings.Builder) error { return HTML(b, c.run) },
		} {
			var b strings.Builder
			if err := write(&b); err != nil {
				t.Fatal(err)
			}
			if shown := strings.Contains(b.String(), "not confirmed") || strings.Contains(b.String(), "confirmed at 392"); shown != c.shown {
				t.Errorf("%s, %s: the capacity is shown: %v", c.name, form, shown)
			}
			if !strings.Contains(b.String(), "Cannot tell") && c.name != "cut short" {
				t.Errorf("%s, %s: it does not say that it cannot tell", c.name, form)
			}
		}
	}
}
