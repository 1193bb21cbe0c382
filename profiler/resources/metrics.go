package resources

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
)

// Doer sends a request: *http.Client, or one that enforces an allow-list.
type Doer interface {
	Do(*http.Request) (*http.Response, error)
}

// MetricsConfig says which metrics page is read.
type MetricsConfig struct {
	// URL of the page, such as http://127.0.0.1:8080/metrics.
	URL string
	// HTTP sends the requests; it is up to it which addresses may be reached,
	// and how long that may take.
	HTTP Doer
}

// maxPage bounds a metrics page, in bytes after decompression.
const maxPage = 8 << 20

// metrics reads a Prometheus text page.
type metrics struct {
	url  string
	http Doer
}

// NewMetrics returns a reader of the target's own Prometheus page. It does not
// fetch it yet, so it fails only if the address is none.
func NewMetrics(cfg MetricsConfig) (Reader, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("metrics page: %w", err)
	}
	if u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, fmt.Errorf("metrics page %q: not an http or https address", cfg.URL)
	}
	if cfg.HTTP == nil {
		return nil, errors.New("metrics page: no HTTP client given")
	}
	return &metrics{url: u.String(), http: cfg.HTTP}, nil
}

// Source is "metrics".
func (m *metrics) Source() string { return SourceMetrics }

// Read fetches the page once.
func (m *metrics) Read(ctx context.Context) ([]Reading, error) {
	page, err := m.fetch(ctx)
	if err != nil {
		return nil, fmt.Errorf("read metrics page: %w", err)
	}
	readings, err := parsePage(page)
	if err != nil {
		return nil, fmt.Errorf("read metrics page %s: %w", m.redacted(), err)
	}
	return readings, nil
}

// redacted is the address without what may be secret in it.
func (m *metrics) redacted() string {
	u, err := url.Parse(m.url)
	if err != nil {
		return ""
	}
	u.User, u.RawQuery = nil, ""
	return u.String()
}

func (m *metrics) fetch(ctx context.Context) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, m.url, nil)
	if err != nil {
		return nil, err
	}
	// The older text format only: it is what the parser reads, and it has no
	// exemplars.
	req.Header.Set("Accept", "text/plain;version=0.0.4;q=1,*/*;q=0.1")
	resp, err := m.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if err := usable(resp); err != nil {
		return nil, fmt.Errorf("%s: %w", m.redacted(), err)
	}
	page, err := io.ReadAll(io.LimitReader(resp.Body, maxPage+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.redacted(), err)
	}
	if len(page) > maxPage {
		return nil, fmt.Errorf("%s: the page is larger than %d MiB; hint: give a page with the process's own metrics only", m.redacted(), maxPage>>20)
	}
	return page, nil
}

// usable says why a response is no metrics page.
func usable(resp *http.Response) error {
	switch code := resp.StatusCode; {
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		return fmt.Errorf("%s; hint: let the address that drills read it, or set resources.metrics: none", resp.Status)
	case code == http.StatusNotFound:
		return fmt.Errorf("%s; hint: give the page's address in resources.metrics", resp.Status)
	case code != http.StatusOK:
		return errors.New(resp.Status)
	}
	if kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err == nil && kind == "text/html" {
		return errors.New("it is a web page, not a metrics page; hint: give the page's address in resources.metrics")
	}
	return nil
}
