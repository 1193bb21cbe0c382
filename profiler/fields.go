package profiler

import "google.golang.org/protobuf/encoding/protowire"

// EachField calls visit for each field of a protobuf message, with its content if
// that is of the kind "bytes", which strings and messages are, else nil. It builds
// nothing, so that a message can be bounded before it is decoded. It ends with the
// first error, of the message or of visit.
func EachField(message []byte, visit func(field protowire.Number, content []byte) error) error {
	for len(message) > 0 {
		field, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return protowire.ParseError(n)
		}
		message = message[n:]
		var content []byte
		if kind == protowire.BytesType {
			content, n = protowire.ConsumeBytes(message)
		} else {
			n = protowire.ConsumeFieldValue(field, kind, message)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		if err := visit(field, content); err != nil {
			return err
		}
		message = message[n:]
	}
	return nil
}
