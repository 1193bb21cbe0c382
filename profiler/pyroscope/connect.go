package pyroscope

import (
	"encoding/json"
	"mime"
	"net/http"
)

// Codes of Connect's protocol, see https://connectrpc.com/docs/protocol. Clients
// go by the code in the body; the HTTP status says more.
var connectCodes = map[int]string{
	http.StatusBadRequest:            "invalid_argument",
	http.StatusUnauthorized:          "unauthenticated",
	http.StatusMethodNotAllowed:      "unimplemented",
	http.StatusRequestEntityTooLarge: "invalid_argument", // a retry would not help
	http.StatusUnsupportedMediaType:  "unimplemented",
	http.StatusUnprocessableEntity:   "failed_precondition",
	http.StatusTooManyRequests:       "resource_exhausted",
}

// connectFault is the body of an error in Connect's protocol.
type connectFault struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// connectError answers a unary call with an error.
func connectError(w http.ResponseWriter, err error) {
	status := statusOf(err)
	code, ok := connectCodes[status]
	if !ok {
		code = "internal"
	}
	w.Header().Set("Content-Type", contentJSON)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(connectFault{code, err.Error()})
}

// connectEmpty answers with an empty message, in the encoding of the request.
func connectEmpty(w http.ResponseWriter, req *http.Request) {
	if kind, _, err := mime.ParseMediaType(req.Header.Get("Content-Type")); err == nil && kind == contentJSON {
		w.Header().Set("Content-Type", contentJSON)
		_, _ = w.Write([]byte("{}"))
		return
	}
	w.Header().Set("Content-Type", contentProto)
}
