package demo

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// shopCPUOverPool is how far the shop's second limit is behind its first.
const shopCPUOverPool = 1.6

// shopRequest is what one request of the shop takes.
type shopRequest struct {
	name string
	// weight is its share in the mix of ShopScenario.
	weight int
	// hold is how long it holds a database connection, render how much it
	// renders; both in units that newShop gives a length.
	hold, render int
}

// The requests of the shop. A checkout is rare and holds a connection longest,
// a search renders most.
func browse() shopRequest   { return shopRequest{name: "browse", weight: 8, hold: 1, render: 2} }
func search() shopRequest   { return shopRequest{name: "search", weight: 3, hold: 2, render: 3} }
func checkout() shopRequest { return shopRequest{name: "checkout", weight: 1, hold: 4, render: 1} }

func shopMix() []shopRequest { return []shopRequest{browse(), search(), checkout()} }

// perRequest is the mean of f over the mix.
func perRequest(f func(shopRequest) int) float64 {
	var sum, weights int
	for _, r := range shopMix() {
		sum += r.weight * f(r)
		weights += r.weight
	}
	return float64(sum) / float64(weights)
}

// shop has a pool of database connections, and recommendations to render on
// every page.
type shop struct {
	database *pool
	hold     time.Duration // of one unit
	renderer *meter
}

func newShop(capacityRPS float64) (*shop, error) {
	slots, meanHold := poolSize(capacityRPS)
	meanCPU := 1 / (shopCPUOverPool * capacityRPS)
	units := perRequest(func(r shopRequest) int { return r.render })
	m, err := newMeter(seconds(meanCPU/units), units, renderRecommendations)
	if err != nil {
		return nil, err
	}
	return &shop{
		database: newPool("shop", slots),
		hold:     seconds(meanHold.Seconds() / perRequest(func(r shopRequest) int { return r.hold })),
		renderer: m,
	}, nil
}

// serve queries the database, gives the connection back, and renders.
func (s *shop) serve(r *http.Request, number uint64) answer {
	kind, status := route(r)
	if err := s.database.visit(r.Context(), time.Duration(kind.hold)*s.hold); err != nil {
		return unavailable(kind.name, "no database connection")
	}
	page := s.renderer.do(kind.render, number)
	return answer{kind: kind.name, status: status, body: `{"page":"` + strconv.FormatUint(page, 16) + "\"}\n"}
}

// route tells what a request is; whatever is unknown is browsing.
func route(r *http.Request) (shopRequest, int) {
	switch {
	case r.Method == http.MethodPost && strings.HasPrefix(r.URL.Path, "/orders"):
		return checkout(), http.StatusCreated
	case strings.HasPrefix(r.URL.Path, "/search"):
		return search(), http.StatusOK
	default:
		return browse(), http.StatusOK
	}
}

// ShopScenario is the scenario, as YAML, that drills a target with LimitShop and
// the default capacity at the given base URL.
func ShopScenario(baseURL string) string {
	return fmt.Sprintf(`# A small shop: most visitors browse, some search, few buy.
version: 1
name: shop
target:
  url: %s
  requests:
    - name: browse
      weight: %d
      get: "/items/{{ int 1 1000 }}"
    - name: search
      weight: %d
      get: "/search?q=item+{{ int 1 200 }}"
    - name: checkout
      weight: %d
      post: /orders
      headers: {Content-Type: application/json}
      body: '{"id":"{{ uuid }}","item":{{ int 1 1000 }}}'
      check: {status: 201}
load:
  arrivals: poisson
  search: {from: 50, to: 2000, step: 5s, budget: 70s}
objectives:
  - p99 < 100ms
  - errors < 0.1%%
guards:
  - errors > 20%% for 5s
  - p99 > 2s for 5s
capacity:
  demand: {peak: 250}
  prices: {vcpu_hour: 0.04, gb_hour: 0.005}
`, strconv.Quote(baseURL), browse().weight, search().weight, checkout().weight)
}
