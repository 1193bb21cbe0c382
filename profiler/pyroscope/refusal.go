package pyroscope

import (
	"errors"
	"fmt"
	"net/http"
)

// refusal is why something sent is not taken, and what the sender is told. Its
// status is one of those that Pyroscope servers use: 400 for metadata that make
// no sense, 413 for what is too large, 422 for a profile that cannot be used,
// 429 for too much at once; and 401, 405, 415.
type refusal struct {
	status int
	err    error
}

func (r *refusal) Error() string { return r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

func refuse(status int, format string, args ...any) error {
	return &refusal{status, fmt.Errorf(format, args...)}
}

// statusOf is the HTTP status of an error.
func statusOf(err error) int {
	var r *refusal
	if errors.As(err, &r) {
		return r.status
	}
	return http.StatusInternalServerError
}
