package pyroscope

import (
	"context"
	"io"
)

// cancelled is a response's body that releases its request's context at the end.
type cancelled struct {
	io.ReadCloser
	cancel context.CancelFunc
}

// Close ends the request.
func (c *cancelled) Close() error {
	defer c.cancel()
	return c.ReadCloser.Close()
}
