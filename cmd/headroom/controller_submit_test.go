package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/headroom-project/headroom/loadgen/api"
	"github.com/headroom-project/headroom/loadgen/bus/bustest"
)

// Submissions with one key that come at one time are one run, also where it takes
// profiles, of which there can be one receiver only; with another scenario they are
// refused.
func TestOneKeyIsOneRun(t *testing.T) {
	target := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer target.Close()
	n := bustest.Single(t)
	in, err := openIntake(context.Background(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer in.close()
	r, err := newRuns(context.Background(), runsConfig{Hub: n.Hub, JS: n.JS, Dir: t.TempDir(), Owner: "a", Log: bustest.Log(t), Intake: in})
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	text := func(rate int) api.Submission {
		return api.Submission{Scenario: fmt.Sprintf("version: 1\nname: shop\ntarget: {url: %q}\nload: {warmup: 0s, seed: 7, constant: {rate: %d, duration: 1m}}\nresources: {metrics: none}\nprofiles: {receive: {service: shop}}\n", target.URL, rate)}
	}
	var mu sync.Mutex
	ids, created := map[string]bool{}, 0
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			run, first, err := r.Submit(context.Background(), "key", text(20))
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Errorf("one of six with a key: %v", err)
			}
			ids[run.ID] = true
			if first {
				created++
			}
		})
	}
	// All are there while the first still waits for a worker.
	<-time.After(300 * time.Millisecond)
	n.Worker(nil)
	wg.Wait()
	if len(ids) != 1 || created != 1 {
		t.Errorf("runs %v, %d were created; want one", ids, created)
	}
	if _, _, err := r.Submit(context.Background(), "key", text(30)); err == nil {
		t.Error("the key was taken for another scenario")
	}
}
