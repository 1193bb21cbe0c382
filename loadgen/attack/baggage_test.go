package attack_test

import (
	"bytes"
	"fmt"
	"net/http"
	"runtime/pprof"
	"sync"
	"testing"
	"time"

	"github.com/google/pprof/profile"
	"github.com/grafana/pyroscope-go/x/k6"

	"github.com/headroom-project/headroom/loadgen/attack"
	"github.com/headroom-project/headroom/scenarios"
)

// A target with pyroscope-go's own middleware labels its profiles by run, scenario and
// step: the profile that is looked at is of the goroutine that serves the hit.
func testBaggageLabelsProfiles(t *testing.T) {
	var mu sync.Mutex
	seen := map[string]int{}
	handler := k6.LabelsFromBaggageHandler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		var buf bytes.Buffer
		if err := pprof.Lookup("goroutine").WriteTo(&buf, 0); err != nil {
			t.Error(err)
			return
		}
		labels, err := labelled(&buf)
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, l := range labels {
			seen[l]++
		}
	}))
	srv := start(t, handler)
	defer srv.Close()
	b := newBench(t, srv.URL, func(s *scenarios.Scenario, _ *attack.Config) { s.Name, s.Profiles.Baggage = "till", true })
	b.sends.SetRun("run-1")
	r := b.run(t.Context(), constant(40, 500*time.Millisecond), constant(40, 500*time.Millisecond))
	if _, sent, _, _, _, _ := r.Totals(); sent != 40 {
		t.Errorf("%d hits were sent, want 40", sent)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(seen) != 2 || seen["run-1 till 0"] < 20 || seen["run-1 till 1"] < 20 {
		t.Errorf("goroutines with the labels %v", seen)
	}
}

// labelled returns the labels of the goroutines in a profile that serve hits.
func labelled(buf *bytes.Buffer) (list []string, err error) {
	p, err := profile.Parse(buf)
	if err != nil {
		return nil, err
	}
	for _, s := range p.Sample {
		if run := s.Label["k6_test_run_id"]; len(run) == 1 {
			list = append(list, fmt.Sprintf("%s %s %s", run[0], s.Label["k6_scenario"][0], s.Label["k6_step"][0]))
		}
	}
	return list, nil
}
