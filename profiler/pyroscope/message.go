package pyroscope

import (
	"math"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/headroom-project/headroom/profiler"
)

// message is a protobuf message as it is written, field by field.
type message []byte

func (m message) bytes(field protowire.Number, v []byte) message {
	return protowire.AppendBytes(protowire.AppendTag(m, field, protowire.BytesType), v)
}

func (m message) text(field protowire.Number, v string) message {
	return protowire.AppendString(protowire.AppendTag(m, field, protowire.BytesType), v)
}

func (m message) number(field protowire.Number, v uint64) message {
	return protowire.AppendVarint(protowire.AppendTag(m, field, protowire.VarintType), v)
}

func (m message) double(field protowire.Number, v float64) message {
	return protowire.AppendFixed64(protowire.AppendTag(m, field, protowire.Fixed64Type), math.Float64bits(v))
}

// field returns the last value of a field of the kind "bytes", as protobuf has it
// for a field that is not repeated; nil if there is none.
func field(data []byte, wanted protowire.Number) (value []byte, err error) {
	err = profiler.EachField(data, func(n protowire.Number, content []byte) error {
		if n == wanted && content != nil {
			value = content
		}
		return nil
	})
	return value, err
}

// millis is a time as the querier takes it.
func millis(t time.Time) uint64 { return uint64(max(t.UnixMilli(), 0)) }
