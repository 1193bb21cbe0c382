package demo

import (
	"math"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// The mix of the scenario, times what each request takes, is the truth that the
// shop states.
func TestShopScenarioMeetsTheStatedLimits(t *testing.T) {
	var scenario struct {
		Target struct {
			URL      string
			Requests []struct {
				Name   string
				Weight int
			}
		}
	}
	const base = `http://127.0.0.1:8080`
	if err := yaml.Unmarshal([]byte(ShopScenario(base)), &scenario); err != nil {
		t.Fatal(err)
	}
	if scenario.Target.URL != base {
		t.Errorf("target is %q", scenario.Target.URL)
	}
	for _, capacity := range []float64{1, 400, highestShopCapacity} {
		s, err := newShop(capacity)
		if err != nil {
			t.Fatal(err)
		}
		takes := map[string]shopRequest{}
		for _, r := range shopMix() {
			takes[r.name] = r
		}
		var held, cpu, weights float64
		for _, r := range scenario.Target.Requests {
			held += float64(r.Weight) * float64(takes[r.Name].hold) * s.hold.Seconds()
			cpu += float64(r.Weight) * float64(takes[r.Name].render) * s.renderer.unit.Seconds()
			weights += float64(r.Weight)
		}
		if got := float64(len(s.database.slots)) * weights / held; math.Abs(got/capacity-1) > 1e-4 {
			t.Errorf("the pool serves %g/s of the mix, want %g", got, capacity)
		}
		if got := weights / cpu; math.Abs(got/capacity-shopCPUOverPool) > 1e-3 {
			t.Errorf("one core serves %g/s of the mix, want %g", got, shopCPUOverPool*capacity)
		}
	}
}

func TestShopScenarioQuotesTheURL(t *testing.T) {
	const odd = "http://127.0.0.1:1/a: b#\"\n- c"
	var scenario struct{ Target struct{ URL string } }
	if err := yaml.Unmarshal([]byte(ShopScenario(odd)), &scenario); err != nil {
		t.Fatal(err)
	}
	if scenario.Target.URL != odd {
		t.Errorf("URL came back as %q", scenario.Target.URL)
	}
}

// The pages of the shop wait for the pool, not for one another's rendering.
func TestShopHoldsNoConnectionWhileRendering(t *testing.T) {
	s, err := newShop(100)
	if err != nil {
		t.Fatal(err)
	}
	held := -1
	s.renderer.run = func(int, uint64) uint64 {
		held = s.database.read(time.Now()).held
		return 0
	}
	target := &Target{limit: limit{serve: s.serve}, metrics: newMetrics(nil, nil)}
	target.control = target.controlMux()
	serveOne(target)
	if held != 0 {
		t.Errorf("%d connections were held while a page was rendered", held)
	}
}
