package bus_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/headroom-project/headroom/loadgen"
	"github.com/headroom-project/headroom/loadgen/bus"
	"github.com/headroom-project/headroom/loadgen/bus/bustest"
	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/loadgen/search"
	"github.com/headroom-project/headroom/scenarios"
)

// stairs is a search that offers its rates one after the other.
type stairs []float64

func (s stairs) Next(points []observation.Point, _ time.Duration) search.Decision {
	if len(points) >= len(s) {
		return search.Decision{Done: true}
	}
	rate := s[len(points)]
	return search.Decision{Step: scenarios.Step{Kind: scenarios.KindSearch, From: rate, To: rate, Lasts: 1300 * time.Millisecond}}
}

func (stairs) Cut(observation.Point, uint64) (string, bool) { return "", false }

func (stairs) Above(observation.Point, float64) (string, bool) { return "", false }

// TestAWorkerIsLostWhileTheLoadIsHeld: its share of what is held goes to the others,
// no number is used twice, and the step that is over keeps its figures.
func TestAWorkerIsLostWhileTheLoadIsHeld(t *testing.T) {
	t.Parallel() // little load, much waiting
	var mu sync.Mutex
	seen, received := map[string]int{}, 0
	over := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		received++
		n := received
		seen[r.URL.Query().Get("n")]++
		mu.Unlock()
		if n == 390 {
			close(over)
		}
		// The last hits of the first step, which has 390, keep the search waiting.
		if n > 370 && n <= 390 {
			<-time.After(1500 * time.Millisecond)
		}
	}))
	defer srv.Close()
	n := bustest.Single(t)
	n.Worker(nil)
	n.Worker(nil)
	end := n.Worker(nil)
	go func() {
		<-over
		<-time.After(300 * time.Millisecond)
		end()
	}()
	in := &bus.Input{Scenario: []byte(fmt.Sprintf(`version: 1
name: test
target: {url: %q, timeout: 4s, requests: [{name: a, get: "/?n={{ seq }}"}]}
load: {warmup: 0s, arrivals: constant, search: {from: 50, to: 1000}}
guards: []
`, srv.URL))}
	f, now := n.Fleet("held", in, 3, nil)
	d := bustest.Run(t, f, now, in, func(c *loadgen.Config) {
		c.Search, c.Lead = stairs{300, 100}, 50*time.Millisecond
	})
	if d.Err != nil || d.Outcome.How != observation.EndDone || len(d.Fleet(observation.FleetLost)) != 1 || len(d.Fleet(observation.FleetRebalanced)) != 1 {
		t.Fatalf("ended %q (%s), lost %+v, %v", d.Outcome.How, d.Outcome.Detail, d.Fleet(observation.FleetLost), d.Err)
	}
	mu.Lock()
	defer mu.Unlock()
	if sent := d.Sent(); sent != uint64(received) || sent < 390+130+100 {
		t.Errorf("the windows say %d hits were sent, the target received %d; want as many, and 100 or more that were held", sent, received)
	}
	for n, times := range seen {
		if times != 1 {
			t.Errorf("number %s came %d times", n, times)
		}
	}
	for i, want := range []uint64{390, 130} {
		p, err := d.Reducer.Point(i)
		if err != nil {
			t.Fatal(err)
		}
		// What the lost worker had in flight was cancelled.
		if p.OK+p.Failed != want || p.Dropped != 0 {
			t.Errorf("step %d has %d ok and %d failed, want %d", i, p.OK, p.Failed, want)
		}
	}
}
