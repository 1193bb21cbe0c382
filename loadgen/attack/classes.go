package attack

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"

	"github.com/headroom-project/headroom/scenarios"
)

// dialError marks an error that came before anything was sent.
type dialError struct{ err error }

func (e *dialError) Error() string { return e.err.Error() }
func (e *dialError) Unwrap() error { return e.err }

// tlsError marks a failed handshake.
type tlsError struct{ err error }

func (e *tlsError) Error() string { return "tls handshake: " + e.err.Error() }
func (e *tlsError) Unwrap() error { return e.err }

// errKilled is what hits end with that a kill cancelled.
var errKilled = errors.New("drill was stopped")

// classify returns the error class of a failed hit.
func classify(err error) string {
	var dial *dialError
	var dns *net.DNSError
	var handshake *tlsError
	switch {
	case errors.Is(err, scenarios.ErrNoRow), errors.Is(err, scenarios.ErrNoValue), errors.Is(err, scenarios.ErrBadValue):
		return "check" // the request could not be made
	case errors.Is(err, errKilled):
		return "cancelled"
	case errors.Is(err, ErrBlocked):
		return "blocked"
	case errors.As(err, &dns):
		return "dns"
	case isTimeout(err):
		return "timeout"
	case errors.As(err, &handshake):
		return "tls"
	case errors.As(err, &dial):
		return "dial"
	case isReset(err), wasRefused(err):
		return "reset"
	}
	return "protocol"
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) ||
		errors.As(err, &t) && t.Timeout()
}

func isReset(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, net.ErrClosed)
}
