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
)

// The hits of a drill have numbers of their own, also behind a closed step of which one
// worker sends much more than the other: three users over two workers, who ask when they
// are answered.
func TestNumbersAreNotUsedAgainAfterAClosedStep(t *testing.T) {
	var mu sync.Mutex
	seen := map[string]int{}
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		seen[r.URL.Query().Get("n")]++
	}))
	defer srv.Close()
	n := bustest.Single(t)
	n.Worker(nil)
	n.Worker(nil)
	in := &bus.Input{Scenario: []byte(fmt.Sprintf(`version: 1
name: test
target: {url: %q, timeout: 2s, requests: [{name: a, get: "/?n={{ seq }}"}]}
load: {warmup: 0s, seed: 7, sequence: [{closed: {users: 3, duration: 300ms}}, {closed: {users: 3, duration: 300ms}}]}
guards: []
`, srv.URL))}
	f, now := n.Fleet("closed", in, 2, nil)
	d := bustest.Run(t, f, now, in, func(c *loadgen.Config) { c.Lead = 50 * time.Millisecond })
	if d.Err != nil || len(d.Outcome.Points) != 2 {
		t.Fatalf("%d points, %v", len(d.Outcome.Points), d.Err)
	}
	mu.Lock()
	defer mu.Unlock()
	for n, times := range seen {
		if times != 1 {
			t.Errorf("number %s came %d times", n, times)
		}
	}
	if uint64(len(seen)) != d.Sent() || len(seen) < 20 {
		t.Errorf("%d numbers, %d sent", len(seen), d.Sent())
	}
}
