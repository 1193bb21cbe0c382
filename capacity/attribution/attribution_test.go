package attribution

import (
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

// truth are core-seconds for one request.
var truth = map[string]float64{"browse": 0.001, "search": 0.004, "buy": 0.012}

var names = []string{"browse", "buy", "search"}

// step is a step of ten seconds at a load, with a mix, on a server that uses 0.1
// cores at rest, read with a relative error.
func step(kind string, load float64, mix map[string]float64, noise float64, rng *rand.Rand) observation.Point {
	p := observation.Point{Kind: kind, Offered: load, Seconds: 10, Valid: true, Requests: map[string]observation.Figures{}}
	used := 0.1
	for _, name := range names {
		share := mix[name]
		if share == 0 {
			continue
		}
		n := math.Round(load*share*10 + math.Sqrt(load*share*10)*rng.NormFloat64())
		p.Requests[name] = observation.Figures{OK: uint64(max(n, 0))}
		p.OK += uint64(max(n, 0))
		used += truth[name] * n / 10
	}
	p.Throughput = float64(p.OK) / 10
	p.Resources = map[string]observation.Use{"cpu": {Used: used * (1 + noise*rng.NormFloat64()), Limit: 4, Unit: "cores"}}
	return p
}

var usual = map[string]float64{"browse": 0.8, "search": 0.15, "buy": 0.05}

// varied is a drill whose mix is tilted towards each request in turn.
func varied(noise float64, rng *rand.Rand) []observation.Point {
	var points []observation.Point
	for _, load := range []float64{50, 100, 200, 400} {
		points = append(points, step(scenarios.KindSearch, load, usual, noise, rng))
	}
	for range 2 {
		for _, name := range names {
			mix := map[string]float64{}
			for other, share := range usual {
				mix[other] = share / 2
			}
			mix[name] += 0.5
			points = append(points, step(scenarios.KindAttribute, 200, mix, noise, rng))
		}
	}
	return points
}

// Over 100 drills whose readings err by 3%, nine of ten intervals hold the demand
// of a request (90% of 300, less three standard errors: 84%), and the values are
// within a quarter in the median.
func TestDemandOfEachRequest(t *testing.T) {
	covered, all := 0, 0
	worst := map[string]float64{}
	for seed := range uint64(100) {
		a := Analyse(varied(0.03, rand.New(rand.NewPCG(seed, 3))), []string{"cpu", "memory"}, 1)
		if a == nil || !a.Identified || len(a.Resources) != 1 || a.Varied != 6 {
			t.Fatalf("%+v", a)
		}
		for _, r := range a.Resources[0].Requests {
			all++
			if r.Demand.Low <= truth[r.Name] && truth[r.Name] <= r.Demand.High {
				covered++
			}
			worst[r.Name] += math.Abs(r.Demand.Value/truth[r.Name]-1) / 100
		}
	}
	t.Logf("%d of %d intervals cover; mean relative errors %v", covered, all, worst)
	if covered < 84*all/100 {
		t.Errorf("%d of %d intervals cover", covered, all)
	}
	if worst["buy"] > 0.1 || worst["search"] > 0.15 || worst["browse"] > 0.5 {
		t.Errorf("mean relative errors %v", worst)
	}
}

// With one mix throughout, nothing tells the requests apart, however exact the
// readings are.
func TestOneMixIsNotIdentified(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var points []observation.Point
	for _, load := range []float64{50, 100, 200, 400, 390, 380, 370} {
		points = append(points, step(scenarios.KindSearch, load, usual, 0, rng))
	}
	if a := Analyse(points, []string{"cpu"}, 1); a == nil || a.Identified {
		t.Errorf("%+v", a)
	}
}

// What is not about the mix is left out: steps past saturation, cut or invalid.
func TestWhatIsLeftOut(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	points := varied(0, rng)
	wild := step(scenarios.KindSearch, 900, usual, 0, rng)
	wild.Resources["cpu"] = observation.Use{Used: 4, Limit: 4, Unit: "cores"}
	cut, invalid, slow := wild, wild, wild
	cut.Cut, invalid.Valid, slow.Throughput = "cut", false, 400
	a := Analyse(append(points, cut, invalid, slow), []string{"cpu"}, 1)
	if a.Steps != 10 {
		t.Fatalf("%d steps used, want 10", a.Steps)
	}
	for _, r := range a.Resources[0].Requests {
		if math.Abs(r.Demand.Value-truth[r.Name]) > 1e-6 || !r.Known {
			t.Errorf("%s: %+v, want %g", r.Name, r.Demand, truth[r.Name])
		}
	}
	if math.Abs(a.Resources[0].Base-0.1) > 1e-6 {
		t.Errorf("base %g", a.Resources[0].Base)
	}
	if a := Analyse(nil, []string{"cpu"}, 1); a != nil {
		t.Errorf("nothing is %+v", a)
	}
	one := []observation.Point{step(scenarios.KindSearch, 50, map[string]float64{"browse": 1}, 0, rng)}
	if a := Analyse(one, []string{"cpu"}, 1); a != nil {
		t.Errorf("one request is %+v", a)
	}
}

// Without noise, coefficients that are not negative come back, zeros included.
func TestNonNegativeRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 5).Draw(t, "columns")
		want := make([]float64, n)
		for j := range want {
			if rapid.Bool().Draw(t, "there") {
				want[j] = rapid.Float64Range(0.1, 10).Draw(t, "coefficient")
			}
		}
		var x [][]float64
		var y, w []float64
		for range n + 3 {
			row := make([]float64, n)
			for j := range row {
				row[j] = rapid.Float64Range(0.5, 5).Draw(t, "rate")
			}
			x, y, w = append(x, row), append(y, dot(row, want)), append(w, 1)
		}
		got := nonNegative(x, y, w)
		sum := 0.0
		for i := range x {
			if got[i%n] < 0 {
				t.Fatalf("%v", got)
			}
			sum += math.Abs(dot(x[i], got) - y[i])
		}
		if sum > 1e-5 {
			t.Fatalf("off by %g: %v, want %v", sum, got, want)
		}
	})
}
