package api_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/headroom-project/headroom/loadgen/api"
)

// fake has one run with one file.
type fake struct {
	submitted map[string]string
	sum       string
}

func (f *fake) Submit(_ context.Context, key string, s api.Submission) (api.Run, bool, error) {
	if before, ok := f.submitted[key]; ok && key != "" {
		if before != s.Scenario {
			return api.Run{}, false, fmt.Errorf("%w: another scenario", api.ErrConflict)
		}
		return api.Run{ID: "r"}, false, nil
	}
	f.submitted[key] = s.Scenario
	return api.Run{ID: "r"}, true, nil
}
func (f *fake) List(context.Context) ([]api.Run, error) { return nil, nil }
func (f *fake) Get(_ context.Context, id string) (api.Run, []api.File, error) {
	if id != "r" {
		return api.Run{}, nil, fmt.Errorf("%w: no run %q", api.ErrNotFound, id)
	}
	return api.Run{ID: id}, []api.File{{Path: "profiles/a b.pb.gz", Size: 4, SHA256: f.sum}}, nil
}
func (f *fake) Stop(context.Context, string) error { return errors.New("broken") }
func (f *fake) Open(context.Context, string, string) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader("data")), nil
}

func serve(t testing.TB, token string) (*httptest.Server, *fake) {
	sum := sha256.Sum256([]byte("data"))
	f := &fake{submitted: map[string]string{}, sum: hex.EncodeToString(sum[:])}
	srv := httptest.NewServer(api.Handler(api.Config{
		Runs: f, Token: token, Workers: func() []api.Worker { return nil },
		Follow: func(string, int) ([]api.Event, <-chan struct{}, bool, error) {
			return []api.Event{{N: 1, Kind: api.EventEnd}}, nil, true, nil
		},
	}))
	t.Cleanup(srv.Close)
	return srv, f
}

func TestAnswers(t *testing.T) {
	srv, _ := serve(t, "secret")
	for _, x := range []struct {
		method, path, body, token, origin string
		want                              int
	}{
		{"GET", "/api/v1/runs", "", "", "", 401},
		{"GET", "/api/v1/runs", "", "wrong", "", 401},
		{"GET", "/api/v1/openapi.json", "", "", "", 401},
		{"GET", "/api/v1/runs", "", "secret", "", 200},
		{"GET", "/api/v1/runs", "", "secret", "http://evil.example", 403},
		{"GET", "/api/v1/runs/x", "", "secret", "", 404},
		{"GET", "/api/v2/runs", "", "secret", "", 404},
		{"POST", "/api/v1/runs", `{"scenario":"a"}`, "secret", "", 201},
		{"POST", "/api/v1/runs", `{"scenario":""}`, "secret", "", 422},
		{"POST", "/api/v1/runs", `{"scenario":"a","workers":-1}`, "secret", "", 422},
		{"POST", "/api/v1/runs", `{"scenario":"a","max_utilisation":2}`, "secret", "", 422},
		{"POST", "/api/v1/runs", `{"scenario":"a","unknown":1}`, "secret", "", 422},
		{"POST", "/api/v1/runs", `{"scenario":"a"}{}`, "secret", "", 422},
		{"POST", "/api/v1/runs", `[`, "secret", "", 422},
		{"POST", "/api/v1/runs/r/stop", "", "secret", "", 500},
		{"GET", "/api/v1/runs/r/events?after=x", "", "secret", "", 422},
		{"GET", "/api/v1/runs/r/events?after=0", "", "secret", "", 200},
	} {
		req, err := http.NewRequest(x.method, srv.URL+x.path, strings.NewReader(x.body))
		if err != nil {
			t.Fatal(err)
		}
		if x.token != "" {
			req.Header.Set("Authorization", "Bearer "+x.token)
		}
		if x.origin != "" {
			req.Header.Set("Origin", x.origin)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if res.StatusCode != x.want {
			t.Errorf("%s %s %s: %d, want %d: %s", x.method, x.path, x.body, res.StatusCode, x.want, body)
		}
		var p api.Problem
		if x.want >= 400 && (json.Unmarshal(body, &p) != nil || p.Detail == "" || p.Status != x.want) {
			t.Errorf("%s %s: the error is %s", x.method, x.path, body)
		}
	}
}

func TestClient(t *testing.T) {
	srv, f := serve(t, "")
	c := &api.Client{URL: srv.URL, HTTP: srv.Client()}
	ctx := context.Background()
	for range 2 { // the same key twice is one run
		if run, err := c.Submit(ctx, "key", api.Submission{Scenario: "a"}); err != nil || run.ID != "r" {
			t.Fatal(run, err)
		}
	}
	var status *api.StatusError
	if _, err := c.Submit(ctx, "key", api.Submission{Scenario: "b"}); !errors.As(err, &status) || status.Status != 409 {
		t.Errorf("one key for two scenarios: %v", err)
	}
	_, files, err := c.Run(ctx, "r")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := c.Fetch(ctx, "r", dir, files); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "profiles", "a b.pb.gz")); err != nil || string(b) != "data" {
		t.Errorf("fetched %q, %v", b, err)
	}
	files[0].Path = "other"
	files[0].SHA256 = strings.Repeat("0", 64)
	if err := c.Fetch(ctx, "r", dir, files); err == nil {
		t.Error("a file with another checksum is taken")
	}
	files[0].Path, files[0].SHA256 = "../out", f.sum
	if err := c.Fetch(ctx, "r", dir, files); err == nil {
		t.Error("a file is written outside the folder")
	}
}

// TestTheDescriptionHasEveryPath: what is described is served, and is no 404 of the
// mux.
func TestTheDescriptionHasEveryPath(t *testing.T) {
	var doc struct {
		OpenAPI string `json:"openapi"`
		Paths   map[string]map[string]any
	}
	if err := json.Unmarshal(api.OpenAPI(), &doc); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(doc.OpenAPI, "3.1.") || len(doc.Paths) != 7 {
		t.Errorf("version %s with %d paths", doc.OpenAPI, len(doc.Paths))
	}
	srv, _ := serve(t, "")
	for path, methods := range doc.Paths {
		for method := range methods {
			if method == "parameters" {
				continue
			}
			url := srv.URL + strings.NewReplacer("{id}", "r", "{path}", "f").Replace(path)
			req, err := http.NewRequest(strings.ToUpper(method), url, bytes.NewReader(nil))
			if err != nil {
				t.Fatal(err)
			}
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
			if res.StatusCode == 404 || res.StatusCode == 405 {
				t.Errorf("%s %s: %s", method, path, res.Status)
			}
		}
	}
}

func FuzzReadSubmission(f *testing.F) {
	f.Add([]byte(`{"scenario":"version: 1","files":{"a.csv":"YQ=="},"env":{"A":"b"},"workers":3,"max_utilisation":0.6}`))
	f.Add([]byte(`{"scenario":"a","workers":1e300}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		x, err := api.ReadSubmission(bytes.NewReader(b))
		if err == nil && (x.Scenario == "" || x.Workers < 0 || x.Workers > api.MaxWorkers || x.MaxUtilisation < 0 || x.MaxUtilisation > 1) {
			t.Errorf("%q is taken", b)
		}
		if err != nil && !errors.Is(err, api.ErrInvalid) {
			t.Errorf("%v is not ErrInvalid", err)
		}
	})
}
