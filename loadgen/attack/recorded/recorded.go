// Package recorded reads what vegeta's own command wrote (`vegeta attack` and
// `vegeta encode`): gob, JSON lines or CSV, told apart by the first byte. It is
// beside the attack because vegeta's decoders come with vegeta, and this is the
// only place that imports it.
package recorded

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// Hit is one request that vegeta recorded.
type Hit struct {
	// Sent is the instant at which a worker took the hit up, which under load is
	// later than the instant it was due; Latency runs from there.
	Sent    time.Time
	Latency time.Duration
	// Code is the status, 0 if there was no answer.
	Code uint16
	// Error is empty for a hit that vegeta counts as a success.
	Error       string
	Method, URL string
	BytesIn     uint64
	BytesOut    uint64
}

// Each calls do for each hit in r, in order, until it returns an error, which is
// then returned. The error names the number of the record that could not be read.
func Each(r io.Reader, do func(Hit) error) error {
	in := bufio.NewReaderSize(r, 64<<10)
	first, err := in.Peek(1)
	if err != nil {
		return fmt.Errorf("read vegeta results: %w", io.ErrUnexpectedEOF)
	}
	decode := vegeta.NewDecoder(in)
	switch c := first[0]; {
	case c == '{':
		decode = vegeta.NewJSONDecoder(in)
	case c >= '0' && c <= '9':
		decode = vegeta.NewCSVDecoder(in)
	}
	for n := 1; ; n++ {
		var x vegeta.Result
		err := decode(&x)
		if errors.Is(err, io.EOF) && n > 1 {
			return nil
		}
		if err != nil {
			return fmt.Errorf("vegeta result %d: %w", n, err)
		}
		h := Hit{Sent: x.Timestamp, Latency: x.Latency, Code: x.Code, Error: x.Error, Method: x.Method, URL: x.URL, BytesIn: x.BytesIn, BytesOut: x.BytesOut}
		if err := do(h); err != nil {
			return err
		}
	}
}
