package attack_test

import (
	"context"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// silence is the promise: from the kill on, nothing new reaches the target after
// it, and nothing that is there is still waited for.
const silence = 200 * time.Millisecond

// testKillIsSilentAtTheTarget measures where it counts: at the target. It takes
// the best of three, since other processes may hold the machine up meanwhile.
func testKillIsSilentAtTheTarget(t *testing.T) {
	var took time.Duration
	for range 3 {
		if took = killed(t); took <= silence {
			t.Logf("silent %v after the kill", took)
			return
		}
	}
	t.Errorf("silent %v after the kill, want %v", took, silence)
}

// killed kills an attack of which half of the requests hang, and returns how long
// after that the target last saw something of it begin, or hold on.
func killed(t *testing.T) time.Duration {
	t.Helper()
	var last atomic.Int64 // Unix ns
	note := func() { last.Store(time.Now().UnixNano()) }
	var n atomic.Int64
	full := make(chan struct{})
	var handlers sync.WaitGroup
	srv, _ := counting(t, func(w http.ResponseWriter, r *http.Request) {
		handlers.Add(1)
		defer handlers.Done()
		note()
		k := n.Add(1)
		if k == 200 {
			close(full)
		}
		if k%2 == 0 {
			<-r.Context().Done()
			note()
			return
		}
		ok(w, r)
	})
	defer srv.Close()
	b := newBench(t, srv.URL, nil)
	ctx, kill := context.WithCancel(context.Background())
	var stopped time.Time
	var wg sync.WaitGroup
	wg.Go(func() {
		<-full
		stopped = time.Now()
		kill()
	})
	b.run(ctx, constant(1000, time.Minute))
	wg.Wait()
	handlers.Wait()
	return time.Unix(0, last.Load()).Sub(stopped)
}

func writeFile(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
