package capacity

import (
	"strings"
	"testing"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

// A ceiling that was passed is none, and what a request takes beyond it is not quoted.
func TestPassedCeilingIsNoLimit(t *testing.T) {
	t.Parallel()
	for _, most := range []float64{480, 520} {
		passed(t, most)
	}
}

// passed offers a load that was answered above the ceiling of the cores.
func passed(t *testing.T, most float64) {
	t.Helper()
	var points []observation.Point
	for i, x := range []float64{40, 80, 120, 160, 200, 240, 280, most} {
		used := 0.1 + 0.005*x*(1+0.002*float64(i%3-1))
		if x == most {
			used = 1.9
		}
		points = append(points, observation.Point{
			Step: i, Kind: scenarios.KindLoad, Offered: x, Seconds: 60, Valid: true,
			Figures:   observation.Figures{Throughput: x, OK: uint64(60 * x), Response: observation.Quantiles{P50: 4, P99: 25 + 20*x/520, Mean: 5 + 5*x/520}},
			Resources: map[string]observation.Use{"cpu": {Used: used, Limit: 2, Unit: "cores"}},
		})
	}
	a := Analyse(points, Spec{Objectives: p99})
	for _, w := range a.Warnings {
		if strings.Contains(w, "0/s): frequency") || strings.Contains(w, "no resource with a known limit") || strings.Contains(w, "no measured resource nears") {
			t.Error(w)
		}
	}
	if a.Saturation != nil {
		for _, b := range a.Saturation.Bottlenecks {
			if b.Resource == "cpu" && b.RPS < most {
				t.Errorf("cpu is said to end at %v, and %v/s were answered", b.RPS, most)
			}
		}
	}
}

// used has responses of a queue, and a use of the cores as given.
func used(cpu func(x float64) float64) []observation.Point {
	var points []observation.Point
	for i, r := range [][3]float64{{40, 23.471, 5.051}, {80, 23.343, 5.208}, {120, 24.333, 5.495}, {160, 25.412, 5.952}, {200, 28.368, 6.667}, {240, 32.539, 7.812}, {280, 41.301, 9.804}} {
		points = append(points, observation.Point{
			Step: i, Kind: scenarios.KindLoad, Offered: r[0], Seconds: 60, Valid: true, InFlight: r[0] * r[2] / 1000,
			Figures:   observation.Figures{Throughput: r[0], OK: uint64(60 * r[0]), Response: observation.Quantiles{P50: 0.7 * r[2], P99: r[1], Mean: r[2]}},
			Resources: map[string]observation.Use{"cpu": {Used: cpu(r[0]), Limit: 2, Unit: "cores", Samples: 1}},
		})
	}
	return points
}

// Cores that are in use at any load, or less the higher it is, are neither idle nor a law.
func TestCoresThatDoNotGrow(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cpu         func(float64) float64
		want, never string
	}{
		"flat":  {func(float64) float64 { return 1.9 }, "cpu was used at 95% of its limit", "no measured resource is near"},
		"falls": {func(x float64) float64 { return 1.7 - 0.005*x }, "less of cpu is used at a higher load", "cpu was used at"},
		"grows": {func(x float64) float64 { return 0.1 + 0.005*x }, "", "less of cpu"},
	} {
		said := strings.Join(Analyse(used(c.cpu), Spec{Objectives: p99}).Warnings, "\n")
		if !strings.Contains(said, c.want) || strings.Contains(said, c.never) {
			t.Errorf("%s: %s", name, said)
		}
	}
}

// Numbers in flight that contradict Little's law are counted, and nothing is fitted to them.
func TestContentionNeedsLittlesLaw(t *testing.T) {
	t.Parallel()
	points := used(func(x float64) float64 { return 0.1 + 0.005*x })
	for i := range points {
		points[i].Resources = nil
	}
	if a := Analyse(points, Spec{Objectives: p99}); a.Contention == nil {
		t.Fatal("no contention in figures that agree")
	}
	for i := range points {
		points[i].InFlight *= 2
	}
	a := Analyse(points, Spec{Objectives: p99})
	if a.Contention != nil || !strings.Contains(strings.Join(a.Warnings, "\n"), "(7 of 7 steps are off)") {
		t.Errorf("%+v %q", a.Contention, a.Warnings)
	}
}

// One figure has one interval.
func TestSaturationHasTheIntervalOfItsBottleneck(t *testing.T) {
	t.Parallel()
	s := Analyse(used(func(x float64) float64 { return 0.1 + 0.005*x }), Spec{Objectives: p99}).Saturation
	if b := s.Bottlenecks[0]; s.Value.Value != b.RPS || s.Low != b.Low || s.High != b.High {
		t.Errorf("%+v, and %+v", s.Value, b)
	}
}

// A confirmation that broke is said where the capacity is put at its load, and not where it
// lies below it.
func TestBrokenConfirmationIsWarnedOf(t *testing.T) {
	t.Parallel()
	all := digest(used(func(x float64) float64 { return 0.1 + 0.005*x }))
	for _, c := range []struct {
		value, low float64
		want       string
	}{
		{448, 425, "the confirmation at 448/s broke an objective, though a step near it held: plan with 425/s, the low end"},
		{448, 448, "though a step near it held: plan with less"},
		{430, 425, ""},
	} {
		f := found{value: c.value, low: c.low, high: 524, refuted: 448}
		said := strings.Join(f.doubts(all, Spec{Objectives: p99}), "\n")
		if c.want == "" && strings.Contains(said, "the confirmation") || !strings.Contains(said, c.want) {
			t.Errorf("%+v: %s", c, said)
		}
	}
}

// Bytes have one unit in a sentence, and what hardly any of is used is not warned of.
func TestEvidenceOfBytes(t *testing.T) {
	t.Parallel()
	f := fit{name: "memory", unit: "bytes", limit: 2e9, line: line{base: 5e8, demand: 1e6}, peak: 0.4, times: 1}
	if got := f.evidence(); got != "476.8 MiB at rest, 976.6 KiB for each request/s, limit 1.863 GiB; 40% of it was the most seen" {
		t.Error(got)
	}
}

// A demand that drifts matters where the resource may give out, not at a thousandth of it.
func TestDriftOfWhatHardlyAnyIsUsed(t *testing.T) {
	t.Parallel()
	all := digest(used(func(x float64) float64 { return 0.1 + 0.005*x }))
	for peak, want := range map[float64]int{0.001: 0, 0.5: 1} {
		var a Analysis
		a.sameDemand(&fit{name: cpu, unit: "cores", limit: 2, line: line{base: 0.1, demand: 0.005}, peak: peak, exercised: true, drifted: true, drift: 0.007}, all)
		if len(a.Warnings) != want {
			t.Errorf("%g of the limit: %q", peak, a.Warnings)
		}
	}
}

// Shares of hits are in plain figures.
func TestSharesInWords(t *testing.T) {
	t.Parallel()
	for ratio, want := range map[float64]string{1: "100%", 0.467: "47%", 0.0213: "2.1%", 0.0005: "0.05%"} {
		if got := percent(ratio); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
