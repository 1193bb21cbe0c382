package pprofhttp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"time"
)

// probeTime bounds a probe: an idle target answers in milliseconds.
const probeTime = 10 * time.Second

// maxIndex bounds the index page, in bytes.
const maxIndex = 1 << 20

// Probe asks what the target offers, by its index page, and fetches the
// goroutine profile as proof. A target that serves profiles without an index
// is taken to have them all; a capture says if that was wrong. Errors wrap
// ErrAbsent, ErrDenied and ErrNotProfile.
func (c *Client) Probe(ctx context.Context) (Available, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	if _, err := c.fetch(ctx, "goroutine", 0); err != nil {
		if errors.Is(err, ErrNotProfile) {
			err = fmt.Errorf("%w; hint: give the path of net/http/pprof in profiles.pprof", err)
		}
		return Available{}, fmt.Errorf("probe pprof: %w", err)
	}
	page, err := c.index(ctx)
	if err != nil {
		return Available{}, fmt.Errorf("probe pprof: %w", err)
	}
	listed := parseIndex(page)
	if len(listed) == 0 {
		return Available{Types: Types()}, nil
	}
	var a Available
	for _, typ := range Types() {
		if listed[kinds[typ]] {
			a.Types = append(a.Types, typ)
		}
	}
	return a, nil
}

// index fetches the index page; it is empty if there is none.
func (c *Client) index(ctx context.Context) ([]byte, error) {
	resp, err := c.get(ctx, "", nil)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, nil
	}
	return io.ReadAll(io.LimitReader(resp.Body, maxIndex))
}

// link matches a link of net/http/pprof's index, such as
// <a href='allocs?debug=1'> or <a href='profile?debug=1'>. Routers that serve
// an index of their own write full paths.
var link = regexp.MustCompile(`href=["']?([^"'> ?]*/)?([a-z]+)[?"'> ]`)

// parseIndex returns the names of profiles that an index page links to; empty
// if it is not such a page.
func parseIndex(page []byte) map[string]bool {
	listed := map[string]bool{}
	for _, m := range link.FindAllSubmatch(page, -1) {
		listed[string(m[2])] = true
	}
	if !listed["goroutine"] {
		return nil
	}
	return listed
}
