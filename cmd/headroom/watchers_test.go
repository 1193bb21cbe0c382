package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/headroom-project/headroom/loadgen"
	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

// Why a target is not profiled is in the report, not only on the screen.
func TestDeniedProfilesAreWarnedOf(t *testing.T) {
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/debug/") {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	defer target.Close()
	s, err := scenarios.ForURL(target.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	j := &job{scenario: s, env: os.LookupEnv}
	if err := j.compile("."); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	watch, err := j.observe(ctx, func(text string) { t.Log(text) })
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	warned := make(chan string, 10)
	w := watch(loadgen.WatchConfig{
		Now: func() time.Duration { return time.Since(began) }, OnSample: func([]observation.Sample) {},
		OnCapture: func(observation.Capture, []byte) {}, OnWarning: func(text string) { warned <- text },
	})
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	select {
	case text := <-warned:
		if !strings.Contains(text, "the target is not profiled: ") || !strings.Contains(text, "401") || !strings.Contains(text, "hint: set profiles.auth") {
			t.Errorf("warning %q", text)
		}
	case <-ctx.Done():
		t.Error("no warning")
	}
	cancel()
	<-done
}
