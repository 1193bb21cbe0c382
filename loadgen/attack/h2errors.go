package attack

import (
	"errors"
	"strings"
)

// h2Stream is the error of one stream. net/http does not export its own, and
// fills any struct of these fields from it through errors.As.
type h2Stream struct {
	StreamID uint32
	Code     uint32
	Cause    error
}

func (e h2Stream) Error() string { return "stream error" }

// codeRefused is REFUSED_STREAM: the target has not looked at the request
// (RFC 9113, 8.7).
const codeRefused = 7

func isCode(err error, code uint32) bool {
	var s h2Stream
	return errors.As(err, &s) && s.Code == code
}

// wasRefused says that the target ended a stream or a connection, as opposed to
// this side, which does so when the target breaks the protocol.
func wasRefused(err error) bool {
	var s h2Stream
	if errors.As(err, &s) {
		return s.Cause != nil && s.Cause.Error() == "received from peer"
	}
	text := err.Error()
	return strings.Contains(text, "GOAWAY") || strings.HasPrefix(text, "http2: client conn")
}

// wasIgnored says that the target has promised not to have looked at a request:
// it came after the last one that a GOAWAY names, or found the connection closing
// before it was written. The errors have no types, so that their texts are read;
// a test holds them to what net/http says.
func wasIgnored(err error) bool {
	if err == nil {
		return false
	}
	text := err.Error()
	return strings.HasPrefix(text, "http2: Transport received") || text == "http2: client conn not usable"
}
