package demo

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// In real time, with the timers of this machine: a number of requests that keep
// the limit busy take as long as the capacity says. Faster than the truth is
// never right; slower by 1% and 30 ms is a machine that had other things to do
// when the last response was due, since all lateness before is made up for.
func TestServedRateIsCapacity(t *testing.T) {
	const capacity, requests, callers = 400, 800, 32
	for _, limit := range []string{LimitPool, LimitLock, LimitDownstream} {
		t.Run(limit, func(t *testing.T) {
			t.Parallel()
			target := newTarget(t, Config{Limit: limit, CapacityRPS: capacity})
			handler := target.Handler()
			var left atomic.Int64
			left.Store(requests)
			began := time.Now()
			var all sync.WaitGroup
			for range callers {
				all.Go(func() {
					for left.Add(-1) >= 0 {
						w := httptest.NewRecorder()
						handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
						if w.Code != http.StatusOK {
							t.Errorf("status %d: %s", w.Code, w.Body)
							return
						}
					}
				})
			}
			all.Wait()
			took := time.Since(began)
			const busy = requests * time.Second / capacity
			const burst = downstreamBurst * time.Second / capacity
			if took < busy-burst || took > busy+busy/100+30*time.Millisecond {
				t.Errorf("%d requests took %v, want %v: %.1f requests/s", requests, took, busy, requests/took.Seconds())
			}
			if got := target.Truth().Received; got != requests {
				t.Errorf("received %d, want %d", got, requests)
			}
		})
	}
}

// A request whose client is gone takes no time at the lock.
func TestLedgerSkipsThoseWhoLeft(t *testing.T) {
	l := &ledger{hold: time.Hour, pause: func(time.Time) { t.Error("paused") }}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.write(gone); err == nil {
		t.Error("wrote for a client that is gone")
	}
}

func newTarget(t *testing.T, cfg Config) *Target {
	t.Helper()
	target, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(target.Close)
	return target
}
