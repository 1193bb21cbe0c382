package pprofhttp

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// counterNames are the lines of the text that runtime/pprof writes of a heap,
// and what Counters calls them.
var counterNames = map[string]string{
	"# Mallocs":     "mallocs",
	"# TotalAlloc":  "total_alloc",
	"# NumGC":       "gc_cycles",
	"# NumForcedGC": "gc_forced",
}

// Counters reads heap?debug=1, which ends with exact totals of the target's
// runtime since it began (runtime.MemStats): where a profile samples, these
// count. They are mallocs (objects allocated), total_alloc (their bytes),
// gc_cycles, and gc_forced, which are those of them that were asked for. It
// fails if the target does not write them all; the error wraps ErrAbsent,
// ErrDenied, ErrTooLarge or ErrNotProfile where it is of that kind.
func (c *Client) Counters(ctx context.Context) (map[string]float64, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	resp, err := c.get(ctx, "heap", url.Values{"debug": {"1"}})
	if err != nil {
		return nil, fmt.Errorf("read counters: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("read counters: %w", refusal(resp, "heap"))
	}
	x, err := parseCounters(resp.Body, c.maxBytes)
	if err != nil {
		return nil, fmt.Errorf("read counters: %w", err)
	}
	return x, nil
}

// parseCounters reads the text as it comes and keeps none of it: the stacks
// before the counters may be megabytes.
func parseCounters(body io.Reader, most int64) (map[string]float64, error) {
	x := map[string]float64{}
	limited := &io.LimitedReader{R: body, N: most}
	lines := bufio.NewScanner(limited)
	lines.Buffer(make([]byte, 0, 4096), 1<<20)
	for lines.Scan() {
		name, value, ok := strings.Cut(lines.Text(), " = ")
		counter := counterNames[name]
		if !ok || counter == "" {
			continue
		}
		v, err := strconv.ParseFloat(value, 64)
		if err != nil || !(v >= 0) || math.IsInf(v, 0) {
			return nil, fmt.Errorf("%w: %s is no count", ErrNotProfile, name)
		}
		x[counter] = v
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return nil, fmt.Errorf("%w: a line of it is too long", ErrNotProfile)
	case err != nil:
		return nil, err
	case limited.N <= 0:
		return nil, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, most)
	case len(x) != len(counterNames):
		return nil, fmt.Errorf("%w: heap?debug=1 has %d of %d counters", ErrNotProfile, len(x), len(counterNames))
	}
	return x, nil
}
