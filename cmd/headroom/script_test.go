package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/pprof"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets scripts run this program as the command headroom.
func TestMain(m *testing.M) {
	if os.Getenv(hotTargetEnv) != "" {
		serveHotTarget()
		return
	}
	testscript.Main(m, map[string]func(){
		"headroom": func() {
			os.Exit(run(context.Background(), os.Args, streams{os.Stdin, os.Stdout, os.Stderr}))
		},
	})
}

// TestScripts runs what users type. Each script may use targets that misbehave:
// $OK answers, $BROKEN answers 500, $CLOSES hangs up, $HANGS never answers,
// $ENDLESS never ends its body, $AUTH asks for credentials, $SELFSIGNED has a
// certificate that nobody trusts, $PROMETHEUS
// answers range queries, $DOWN is not there, $TAKEN is an address in use.
// $PROFILED uses CPU, and serves profiles to whoever has the token s3cret.
func TestScripts(t *testing.T) {
	targets := map[string]string{}
	for name, h := range map[string]http.HandlerFunc{
		"OK":     func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") },
		"BROKEN": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
		"CLOSES": func(w http.ResponseWriter, _ *http.Request) {
			if c, _, err := w.(http.Hijacker).Hijack(); err == nil {
				_ = c.Close()
			}
		},
		"PROMETHEUS": rangeQuery,
		"HANGS":      func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"ENDLESS": func(w http.ResponseWriter, r *http.Request) {
			for b := make([]byte, 32<<10); r.Context().Err() == nil; {
				if _, err := w.Write(b); err != nil {
					return
				}
			}
		},
	} {
		srv := httptest.NewServer(h)
		t.Cleanup(srv.Close)
		targets[name] = srv.URL + "/"
	}
	auth := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, ok := r.BasicAuth(); !ok || user != "alice" || password != "hunter2" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	t.Cleanup(auth.Close)
	targets["AUTH"] = strings.Replace(auth.URL, "http://", "http://alice:hunter2@", 1) + "/"
	selfSigned := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }))
	selfSigned.Config.ErrorLog = log.New(io.Discard, "", 0)
	t.Cleanup(selfSigned.Close)
	sampled := runtime.SetMutexProfileFraction(1)
	t.Cleanup(func() { runtime.SetMutexProfileFraction(sampled) })
	profiled := httptest.NewServer(profiledTarget(func() int { return 200_000 }))
	t.Cleanup(profiled.Close)
	targets["PROFILED"] = profiled.URL + "/"
	targets["SELFSIGNED"] = selfSigned.URL + "/"
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	targets["DOWN"] = fmt.Sprintf("http://%s/", ln.Addr())
	_ = ln.Close()
	targets["TAKEN"] = auth.Listener.Addr().String()

	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			for name, url := range targets {
				env.Setenv(name, url)
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "traffic": traffic},
	})
}

// profiledTarget spends a millisecond or so on each request.
func profiledTarget(rounds func() int) http.Handler {
	mux := http.NewServeMux()
	guarded := func(h http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "Bearer s3cret" {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			h(w, r)
		}
	}
	mux.HandleFunc("/debug/pprof/", guarded(pprof.Index))
	mux.HandleFunc("/debug/pprof/profile", guarded(pprof.Profile))
	mux.HandleFunc("/debug/pprof/trace", guarded(pprof.Trace))
	var ledger sync.Mutex
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, spendCPU(rounds()))
		ledger.Lock()
		defer ledger.Unlock()
		time.Sleep(3 * time.Millisecond) // what others wait for
	})
	return mux
}

// spendCPU is what the profiles of $PROFILED show.
//
//go:noinline
func spendCPU(rounds int) uint64 {
	x := uint64(1)
	for range rounds {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
	}
	return x
}

// exits runs a command and compares its exit code: exits 2 headroom drill ..., or
// 0|3 where a busy machine may make the measurement invalid.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND ...")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	if err != nil {
		var exit interface{ ExitCode() int }
		if e, ok := err.(interface{ ExitCode() int }); ok {
			exit = e
		}
		if exit == nil {
			ts.Fatalf("%v", err)
		}
		code = exit.ExitCode()
	}
	if !slices.Contains(strings.Split(args[0], "|"), fmt.Sprint(code)) {
		ts.Fatalf("%v: exit code %d, want %s", args[1:], code, args[0])
	}
}
