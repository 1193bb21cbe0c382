package loadgen_test

import (
	"context"
	"math"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/headroom-project/headroom/loadgen"
	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/loadgen/responder"
	"github.com/headroom-project/headroom/scenarios"
)

func TestConcernsOfACalibration(t *testing.T) {
	c := loadgen.Calibration{Precise: loadgen.Floor{P99: 0.3}, Economical: loadgen.Floor{P99: 1.5}, CeilingRPS: 100_000}
	for _, x := range []struct {
		objective    string
		rate         float64
		workers      int
		near, beyond string
	}{
		{"p99 < 50ms", 1000, 1, "", ""},
		{"p99 < 0.2ms", 1000, 1, "", "the objective p99 < 0.2ms is below"},
		{"p99 < 0.5ms", 1000, 1, "the objective p99 < 0.5ms is near", ""},
		{"errors < 1%", 80_000, 1, "80000 req/s are near", ""},
		{"errors < 1%", 120_000, 1, "", "120000 req/s are more than"},
		{"errors < 1%", 120_000, 2, "", ""},
	} {
		o, err := scenarios.ParseObjective(x.objective)
		if err != nil {
			t.Fatal(err)
		}
		near, beyond := c.Concerns([]scenarios.Objective{o}, scenarios.Step{From: x.rate, To: x.rate, Lasts: time.Second}, x.workers)
		if got := strings.Join(near, "; "); !strings.HasPrefix(got, x.near) || x.near == "" && got != "" {
			t.Errorf("%s at %v: near %q, want %q", x.objective, x.rate, got, x.near)
		}
		if got := strings.Join(beyond, "; "); !strings.HasPrefix(got, x.beyond) || x.beyond == "" && got != "" {
			t.Errorf("%s at %v: beyond %q, want %q", x.objective, x.rate, got, x.beyond)
		}
	}
}

// Workers share a load evenly: the weakest bounds them all.
func TestWeakestCalibration(t *testing.T) {
	fast := loadgen.Calibration{Schema: loadgen.CalibrationSchema, CPUs: 8, Precise: loadgen.Floor{P99: 0.3}, Economical: loadgen.Floor{P99: 2}, CeilingRPS: 100_000, CeilingCPU: 7}
	slow := loadgen.Calibration{Schema: loadgen.CalibrationSchema, CPUs: 2, Precise: loadgen.Floor{P99: 0.9}, Economical: loadgen.Floor{P99: 1.5}, CeilingRPS: 20_000, CeilingCPU: 9}
	if loadgen.Weakest(nil) != nil {
		t.Error("of none")
	}
	for _, list := range [][]loadgen.Calibration{{fast, slow}, {slow, fast}} {
		if w := loadgen.Weakest(list); w.Precise.P99 != 0.9 || w.Economical.P99 != 2 || w.CeilingRPS != 20_000 || w.CeilingCPU != 9 || w.CPUs != 2 {
			t.Errorf("%+v", w)
		}
	}
	if fast.CPUs != 8 || fast.CeilingRPS != 100_000 {
		t.Error("the list was changed")
	}
	for _, change := range []func(*loadgen.Calibration){
		func(c *loadgen.Calibration) { c.Schema = "x" }, func(c *loadgen.Calibration) { c.CeilingRPS = -1 }, func(c *loadgen.Calibration) { c.Precise.P99 = math.NaN() },
	} {
		c := fast
		if change(&c); c.Check() == nil {
			t.Errorf("%+v passes", c)
		}
	}
	if err := fast.Check(); err != nil {
		t.Error(err)
	}
}

func TestCalibrateMeasures(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 16 s; run without -short to have it")
	}
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	target, err := responder.Start(responder.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	began := time.Now()
	c, err := loadgen.Calibrate(context.Background(), loadgen.CalibrateConfig{URL: target.URL(), CPUs: 2, Now: time.Now, Say: func(string) {}})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []loadgen.Floor{c.Precise, c.Economical} {
		if !(f.P50 > 0 && f.P99 >= f.P50 && f.LagP99 >= f.LagP50 && f.P99 < 1000) {
			t.Errorf("floor %+v", f)
		}
	}
	if c.CeilingRPS < 1000 || c.Engine == "" || time.Since(began) < 15*time.Second {
		t.Errorf("%+v in %v", c, time.Since(began))
	}
}

// A drill beyond its calibration is invalid, and one near it is warned of.
func TestADrillBeyondItsCalibrationIsInvalid(t *testing.T) {
	srv, _ := target(t)
	cfg, rec, _ := setup(t, srv.URL, "load: {warmup: 0s, constant: {rate: 100, duration: 2s}}\nobjectives: [p99 < 2ms]")
	cfg.Calibration = &loadgen.Calibration{Precise: loadgen.Floor{P99: 3}, CeilingRPS: 120}
	out, err := loadgen.Run(context.Background(), cfg)
	if err != nil || len(out.Points) != 1 {
		t.Fatalf("%d points, %v", len(out.Points), err)
	}
	if p := out.Points[0]; p.Valid || !strings.Contains(strings.Join(p.WhyInvalid, "; "), "is below what the generator itself shows") {
		t.Errorf("valid %v: %v", p.Valid, p.WhyInvalid)
	}
	if w := rec.find(observation.EntryWarning); len(w) != 1 || !strings.Contains(w[0].Text, "100 req/s are near") {
		t.Errorf("warnings %+v", w)
	}
}
