package demo

import (
	"encoding/json"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/google/pprof/profile"
)

func TestConfigErrors(t *testing.T) {
	for _, tt := range []struct {
		cfg  Config
		want string
	}{
		{Config{Limit: "disk"}, `unknown limit "disk"`},
		{Config{}, "hint: choose one of pool,"},
		{Config{Limit: LimitNone, CapacityRPS: 10}, "limit none has no capacity"},
		{Config{Limit: LimitPool, CapacityRPS: -1}, "-1 requests/s is out of range"},
		{Config{Limit: LimitPool, CapacityRPS: math.NaN()}, "out of range"},
		{Config{Limit: LimitPool, CapacityRPS: math.Inf(1)}, "out of range"},
		{Config{Limit: LimitPool, CapacityRPS: 0.5}, "from 1 to 100000"},
		{Config{Limit: LimitCPU, CapacityRPS: 5001}, "from 1 to 5000"},
		{Config{Limit: LimitShop, CapacityRPS: 3001}, "from 1 to 3000"},
	} {
		if _, err := New(tt.cfg); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: error %v, want one with %q", tt.cfg, err, tt.want)
		}
	}
}

func TestEveryLimitServesEveryPath(t *testing.T) {
	for _, limit := range Limits() {
		t.Run(limit, func(t *testing.T) {
			target := newTarget(t, Config{Limit: limit})
			server := httptest.NewServer(target.Handler())
			defer server.Close()
			paths := []string{"/", "/items/7", "/search?q=a", "//twice", "/a/../b", "/truth/", "/metricsx", "/debugger"}
			for _, path := range paths {
				if status, body := get(t, server.URL+path); status != http.StatusOK {
					t.Errorf("GET %s: %d %s", path, status, body)
				}
			}
			for _, path := range []string{"/metrics", "/debug/pprof/", "/debug/nothing", "/truth"} {
				get(t, server.URL+path)
			}
			truth := getTruth(t, server.URL)
			if truth.Limit != limit || truth.Received != uint64(len(paths)) {
				t.Errorf("truth is %+v, want limit %s and %d received", truth, limit, len(paths))
			}
			if want := float64(defaultCapacity); limit != LimitNone && (truth.CapacityRPS != want || truth.Ceilings[0].RPS != want) {
				t.Errorf("truth is %+v, want a capacity of %g", truth, want)
			}
		})
	}
}

func TestReceivedIsExact(t *testing.T) {
	target := newTarget(t, Config{Limit: LimitNone})
	server := httptest.NewServer(target.Handler())
	defer server.Close()
	const clients, each = 16, 100
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			for i := range each {
				get(t, server.URL+"/")
				if i%10 == 0 {
					getTruth(t, server.URL)
				}
			}
		})
	}
	all.Wait()
	if got := getTruth(t, server.URL).Received; got != clients*each {
		t.Errorf("received %d, want %d", got, clients*each)
	}
}

func TestBodies(t *testing.T) {
	target := newTarget(t, Config{Limit: LimitShop})
	server := httptest.NewServer(target.Handler())
	defer server.Close()
	for _, tt := range []struct {
		path string
		size int
		want int
	}{
		{"/orders", 0, http.StatusCreated},
		{"/orders", maxBody, http.StatusCreated},
		{"/orders", maxBody + 1, http.StatusRequestEntityTooLarge},
		{"/items/1", 10, http.StatusOK},
	} {
		resp, err := http.Post(server.URL+tt.path, "application/json", strings.NewReader(strings.Repeat("x", tt.size)))
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != tt.want {
			t.Errorf("POST %s with %d bytes: %d, want %d", tt.path, tt.size, resp.StatusCode, tt.want)
		}
	}
}

func TestOverload(t *testing.T) {
	target := newTarget(t, Config{Limit: LimitNone})
	target.inFlight.Store(maxInFlight)
	w := httptest.NewRecorder()
	target.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if w.Code != http.StatusServiceUnavailable || target.Truth().Received != 1 {
		t.Errorf("status %d, received %d, want 503 and 1", w.Code, target.Truth().Received)
	}
}

func TestMetricsPage(t *testing.T) {
	target := newTarget(t, Config{Limit: LimitShop})
	server := httptest.NewServer(target.Handler())
	defer server.Close()
	get(t, server.URL+"/search?q=a")
	_, page := get(t, server.URL+"/metrics")
	for _, want := range []string{
		`go_sql_max_open_connections{db_name="shop"} 4`,
		`go_sql_in_use_connections{db_name="shop"} 0`,
		`go_sql_wait_duration_seconds_total{db_name="shop"} 0`,
		`demo_pool_slots{pool="shop"} 4`,
		`demo_pool_busy_seconds_total{pool="shop"} 0.0133`, // 2 of 1.5 units, 10 ms each
		`demo_http_requests_total{code="200",request="search"} 1`,
		"go_sched_gomaxprocs_threads ",
		"process_cpu_seconds_total ",
		"process_resident_memory_bytes ",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if t.Failed() {
		t.Log(page)
	}
}

// The wait for the lock is in the mutex profile, under the name of its holder.
func TestMutexProfileNamesTheLock(t *testing.T) {
	target := newTarget(t, Config{Limit: LimitLock, CapacityRPS: 1000})
	server := httptest.NewServer(target.Handler())
	defer server.Close()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 10 {
				get(t, server.URL+"/")
			}
		})
	}
	all.Wait()
	_, body := get(t, server.URL+"/debug/pprof/mutex")
	p, err := profile.ParseData([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range p.Function {
		if strings.HasSuffix(f.Name, "(*ledger).write") {
			return
		}
	}
	t.Error("no sample of ledger.write in the mutex profile")
}

// Whatever a request looks like, it is counted once and answered.
func FuzzLoad(f *testing.F) {
	f.Add("GET", "/", "")
	f.Add("POST", "/orders", "{}")
	f.Add("OPTIONS", "*", "")
	f.Add("", "", "\x00")
	f.Add("GET", "/truth/../truth", "")
	target, err := New(Config{Limit: LimitShop, CapacityRPS: highestShopCapacity})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(target.Close)
	f.Fuzz(func(t *testing.T, method, path, body string) {
		if isControl(path) {
			t.Skip("not of the load")
		}
		before := target.Truth().Received
		w := httptest.NewRecorder()
		target.Handler().ServeHTTP(w, &http.Request{Method: method, URL: &url.URL{Path: path}, Body: io.NopCloser(strings.NewReader(body))})
		if after := target.Truth().Received; after != before+1 {
			t.Errorf("received went from %d to %d", before, after)
		}
		if !json.Valid(w.Body.Bytes()) {
			t.Errorf("answer is no JSON: %q", w.Body)
		}
	})
}

func get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
	}
	return resp.StatusCode, string(b)
}

func getTruth(t *testing.T, base string) (truth Truth) {
	t.Helper()
	_, body := get(t, base+"/truth")
	if err := json.Unmarshal([]byte(body), &truth); err != nil {
		t.Errorf("truth %q: %v", body, err)
	}
	return truth
}

func serveOne(target *Target) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	target.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	return w
}
