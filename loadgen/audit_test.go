package loadgen_test

import (
	"strings"
	"testing"
	"time"

	"github.com/headroom-project/headroom/loadgen"
	"github.com/headroom-project/headroom/loadgen/observation"
)

// steady is a point of 10 s at 100/s whose responses take 50 ms: 5 in flight.
func steady() *observation.Point {
	p := &observation.Point{Valid: true, Offered: 100, Seconds: 10, Discarded: 1, InFlight: 5,
		Figures: observation.Figures{OK: 1000, Response: observation.Quantiles{Mean: 50}}, Resources: map[string]observation.Use{}}
	for i := range 11 {
		p.Flow = append(p.Flow, observation.Flow{From: float64(i), To: float64(i + 1), OK: 100, InFlight: 5})
	}
	return p
}

func TestJudgeAudits(t *testing.T) {
	tests := []struct {
		name   string
		change func(*observation.Point)
		why    string // part of the reason; empty if the point stays valid
	}{
		{"steady", func(*observation.Point) {}, ""},
		{"chance", func(p *observation.Point) { p.InFlight = 8 }, ""},
		{"half the windows lost", func(p *observation.Point) { p.InFlight = 200; each(p, 450) }, "Little's law"},
		{"a gauge without hits", func(p *observation.Point) { p.InFlight = 60 }, "Little's law"},
		{"a backlog grows", func(p *observation.Point) {
			p.InFlight = 2000
			for i := range p.Flow {
				p.Flow[i].InFlight = 100 * i
			}
		}, ""},
		{"cut", func(p *observation.Point) { p.InFlight, p.Cut = 60, "certain" }, ""},
		{"too short", func(p *observation.Point) { p.InFlight, p.Seconds = 60, 3 }, ""},
		{"limit stays", func(p *observation.Point) { p.Resources["cpu"] = observation.Use{Used: 1, Limit: 2, Unit: "cores"} }, ""},
		{"scaled", func(p *observation.Point) {
			p.Resources["cpu"] = observation.Use{Used: 1, LimitBefore: 1, Limit: 2, Unit: "cores"}
		}, "cpu went from 1 to 2 cores"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := steady()
			test.change(p)
			loadgen.Judge(p, nil)
			why := strings.Join(p.WhyInvalid, "; ")
			if p.Valid != (test.why == "") || !strings.Contains(why, test.why) {
				t.Errorf("valid %v because %q, want %q", p.Valid, why, test.why)
			}
		})
	}
}

func each(p *observation.Point, inFlight int) {
	for i := range p.Flow {
		p.Flow[i].InFlight = inFlight
	}
}

// A limit that is another at the end of a step is told, one odd reading is not.
func TestLimitBefore(t *testing.T) {
	tests := []struct {
		name   string
		limits []float64
		want   float64
	}{
		{"constant", []float64{2, 2, 2, 2}, 0},
		{"none", []float64{0, 0, 0, 0}, 0},
		{"one odd at the end", []float64{1, 1, 1, 2}, 0},
		{"one odd in the middle", []float64{1, 1, 2, 1, 1}, 0},
		{"scaled up", []float64{1, 1, 2, 2}, 1},
		{"scaled down", []float64{4, 4, 4, 2, 2}, 4},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := observation.NewReducer()
			r.Begin(observation.StepRecord{Index: 0, Lasts: 10 * time.Second})
			for i, l := range test.limits {
				r.Sample(observation.Sample{At: time.Duration(i+1) * time.Second, Over: time.Second, Resource: "cpu", Used: 0.5, Limit: l, Unit: "cores"})
			}
			p, err := r.Point(0)
			if err != nil {
				t.Fatal(err)
			}
			if got := p.Resources["cpu"].LimitBefore; got != test.want {
				t.Errorf("limit before %v, want %v", got, test.want)
			}
		})
	}
}
