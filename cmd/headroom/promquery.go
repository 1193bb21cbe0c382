package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/headroom-project/headroom/capacity/forecast"
)

const (
	// maxPrometheusPoints is what a Prometheus server gives for one query.
	maxPrometheusPoints = 11000
	maxPrometheusAnswer = 32 << 20
	prometheusToken     = "HEADROOM_PROMETHEUS_TOKEN"
)

// fromPrometheus asks a server for a history in steps of an hour, or of a day for
// more than a year.
func fromPrometheus(c *cli.Context, server string) ([]forecast.Reading, error) {
	query := c.String("query")
	if query == "" {
		return nil, badInput("--query 'sum(rate(http_requests_total[5m]))'", "forecast: --prometheus without --query")
	}
	back, err := span(c.String("range"))
	if err != nil {
		return nil, badInput("write it like 8w or 60d", "--range: %w", err)
	}
	step := time.Hour
	if back/step >= maxPrometheusPoints {
		step = 24 * time.Hour
	}
	end, err := today(c.String("now"))
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(server)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, badInput("write it like http://127.0.0.1:9090", "--prometheus %q is no URL", redactURL(server))
	}
	form := url.Values{
		"query": {query}, "step": {strconv.Itoa(int(step.Seconds()))},
		"start": {strconv.FormatInt(end.Add(-back).Unix(), 10)}, "end": {strconv.FormatInt(end.Unix(), 10)},
	}
	b, err := ask(c.Context, u.JoinPath("api/v1/query_range"), form)
	if err != nil {
		return nil, cannotRun(fmt.Errorf("forecast: %w", err), "check the address, and that the server is up")
	}
	readings, err := forecast.ParsePrometheus(b)
	if err != nil {
		return nil, badInput("try the query in the server's own page", "forecast: %w", err)
	}
	return readings, nil
}

func redactURL(text string) string {
	if i := strings.LastIndex(text, "@"); i >= 0 {
		return "…" + text[i:]
	}
	return text
}

// ask posts a form, so that a long query fits. Answers of 400 and 422 hold what is
// wrong with the query, and are read like others.
func ask(ctx context.Context, u *url.URL, form url.Values) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if token := os.Getenv(prometheusToken); token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxPrometheusAnswer+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read answer of %s: %w", u.Redacted(), err)
	case len(b) > maxPrometheusAnswer:
		return nil, fmt.Errorf("the answer of %s is larger than %d MiB", u.Redacted(), maxPrometheusAnswer>>20)
	case resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusBadRequest && resp.StatusCode != http.StatusUnprocessableEntity:
		return nil, fmt.Errorf("%s answers %s", u.Redacted(), resp.Status)
	}
	return b, nil
}
