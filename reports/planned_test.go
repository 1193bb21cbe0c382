package reports

import (
	"strings"
	"testing"
	"time"

	"github.com/headroom-project/headroom/capacity/planning"
	"github.com/headroom-project/headroom/scenarios"
)

// The day on which a demand uses the capacity up has an interval, by that of the capacity; a
// plan for one replica comes to the same days, and goes by the first.
func TestDayHasAnInterval(t *testing.T) {
	now := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	r := fitTable(t, rising, Question{Demand: &scenarios.Demand{Peak: 200, Growth: "5%/month"}, Now: now})
	h := r.Headroom
	if d := h.ExhaustedBetween; len(d) != 2 || !(d[0] < h.ExhaustedOn && h.ExhaustedOn < d[1]) {
		t.Fatalf("on %s, between %v", h.ExhaustedOn, d)
	}
	if notes := strings.Join(headroomFigure(h, r.Capacity, "-").Notes, "; "); !strings.Contains(notes, "used up on "+h.ExhaustedOn+" ("+h.ExhaustedBetween[0]+" to "+h.ExhaustedBetween[1]+")") {
		t.Error(notes)
	}
	s, ok := ServiceOf(r)
	g, err := scenarios.ParseGrowth("5%/month")
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	p, err := planning.Make(s, planning.Config{Peak: 200, Growth: &g, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	if p.Replicas != 1 || p.ExhaustedOn != h.ExhaustedBetween[0] || p.ExhaustedExpectedOn != h.ExhaustedOn || p.ExhaustedBetween[1] != h.ExhaustedBetween[1] {
		t.Errorf("the plan says %s, %s and %v, run.json %s and %v", p.ExhaustedOn, p.ExhaustedExpectedOn, p.ExhaustedBetween, h.ExhaustedOn, h.ExhaustedBetween)
	}
	if said := usedUpOn(p); !strings.Contains(said, p.ExhaustedOn+" by the low end") || !strings.Contains(said, p.ExhaustedExpectedOn+" by its value") {
		t.Error(said)
	}
	// Of a capacity that is at least so much, no day is the latest.
	r = fitTable(t, "50,50,6,10,,\n100,100,7,10,,\n200,200,8,10,,\n", Question{Demand: &scenarios.Demand{Peak: 80, Growth: "5%/month"}, Now: now})
	if h := r.Headroom; r.Capacity.Bound != "above" || len(h.ExhaustedBetween) != 2 || h.ExhaustedBetween[1] != "" {
		t.Errorf("%q %+v", r.Capacity.Bound, h)
	}
}
