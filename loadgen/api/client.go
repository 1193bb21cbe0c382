package api

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
)

// Client talks to a controller.
type Client struct {
	// URL is that of the controller, without /api.
	URL string
	// Token is shown if it is not empty.
	Token string
	HTTP  *http.Client
}

// maxAnswer bounds an answer in bytes, files excepted.
const maxAnswer = 64 << 20

// maxFile bounds one file of a bundle in bytes.
const maxFile = 8 << 30

// StatusError is an answer that says no.
type StatusError struct {
	Status int
	Detail string
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("the controller says %d: %s", e.Status, e.Detail)
}

// do sends a request and returns the answer, whose body the caller closes.
func (c *Client) do(ctx context.Context, method, path, key string, body any) (*http.Response, error) {
	var in io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		in = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.URL+path, in)
	if err != nil {
		return nil, err
	}
	if c.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.Token)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	res, err := c.HTTP.Do(req)
	if err != nil {
		return nil, err
	}
	if res.StatusCode < 300 {
		return res, nil
	}
	defer res.Body.Close()
	var p Problem
	if err := json.NewDecoder(io.LimitReader(res.Body, maxAnswer)).Decode(&p); err != nil || p.Detail == "" {
		p.Detail = res.Status + "; is this a headroom controller?"
	}
	return nil, &StatusError{res.StatusCode, p.Detail}
}

func (c *Client) json(ctx context.Context, method, path, key string, body, into any) error {
	res, err := c.do(ctx, method, path, key, body)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	return json.NewDecoder(io.LimitReader(res.Body, maxAnswer)).Decode(into)
}

// Submit begins a run; with the same key it is the same run.
func (c *Client) Submit(ctx context.Context, key string, s Submission) (Run, error) {
	var r Run
	return r, c.json(ctx, http.MethodPost, "/api/v1/runs", key, s, &r)
}

// Runs lists the runs, the latest first.
func (c *Client) Runs(ctx context.Context) ([]Run, error) {
	var r struct {
		Runs []Run `json:"runs"`
	}
	return r.Runs, c.json(ctx, http.MethodGet, "/api/v1/runs", "", nil, &r)
}

// Run returns one run and the files of its bundle.
func (c *Client) Run(ctx context.Context, id string) (Run, []File, error) {
	var d details
	err := c.json(ctx, http.MethodGet, "/api/v1/runs/"+url.PathEscape(id), "", nil, &d)
	return d.Run, d.Files, err
}

// Stop ends all load of a run.
func (c *Client) Stop(ctx context.Context, id string) (Run, error) {
	var r Run
	return r, c.json(ctx, http.MethodPost, "/api/v1/runs/"+url.PathEscape(id)+"/stop", "", nil, &r)
}

// Workers lists the workers.
func (c *Client) Workers(ctx context.Context) ([]Worker, error) {
	var r struct {
		Workers []Worker `json:"workers"`
	}
	return r.Workers, c.json(ctx, http.MethodGet, "/api/v1/workers", "", nil, &r)
}

// RawEvent is an Event whose data is not decoded.
type RawEvent struct {
	N    int             `json:"n"`
	Kind string          `json:"kind"`
	Data json.RawMessage `json:"data"`
}

// Follow calls do with each event after number n, until the run is over, do returns
// an error, or the connection ends; then the error is io.ErrUnexpectedEOF or says why.
func (c *Client) Follow(ctx context.Context, id string, n int, do func(RawEvent) error) error {
	res, err := c.do(ctx, http.MethodGet, fmt.Sprintf("/api/v1/runs/%s/events?after=%d", url.PathEscape(id), n), "", nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(make([]byte, 64<<10), maxAnswer)
	for lines.Scan() {
		var e RawEvent
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return fmt.Errorf("read event: %w", err)
		}
		if err := do(e); err != nil {
			return err
		}
		if e.Kind == EventEnd {
			return nil
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return io.ErrUnexpectedEOF
}

// Fetch writes the files of a bundle into dir, which is made, and checks each
// against its checksum.
func (c *Client) Fetch(ctx context.Context, id, dir string, files []File) error {
	for _, f := range files {
		if err := c.fetch(ctx, id, dir, f); err != nil {
			return fmt.Errorf("fetch %s of run %s: %w", f.Path, id, err)
		}
	}
	return nil
}

func (c *Client) fetch(ctx context.Context, id, dir string, f File) error {
	local := filepath.FromSlash(f.Path)
	if !filepath.IsLocal(local) {
		return errors.New("its path leads out of the bundle")
	}
	path := &url.URL{Path: f.Path}
	res, err := c.do(ctx, http.MethodGet, "/api/v1/runs/"+url.PathEscape(id)+"/files/"+path.EscapedPath(), "", nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	name := filepath.Join(dir, local)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	out, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(out, sum), io.LimitReader(res.Body, maxFile))
	if cerr := out.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != f.SHA256 || n != f.Size {
		return fmt.Errorf("%d bytes with checksum %.12s arrived, %d with %.12s were sent", n, got, f.Size, f.SHA256)
	}
	return nil
}
