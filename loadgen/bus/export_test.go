package bus

import (
	"context"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/headroom-project/headroom/loadgen/observation"
)

// EncodeForBench is a message as a worker publishes it.
func EncodeForBench(epoch, _ uint64, windows ...*observation.Window) []byte {
	return encodeBatch(batch{Epoch: epoch, Windows: windows})
}

// DecodeForBench reads one.
func DecodeForBench(data []byte) ([]*observation.Window, error) {
	b, err := decodeBatch(data)
	return b.Windows, err
}

// ReadForBench reads messages as a Fleet does.
func ReadForBench(ctx context.Context, js jetstream.JetStream, run string, want int, do func(worker string, data []byte)) {
	r, err := openWindows(ctx, js, run, 0)
	if err != nil {
		return
	}
	defer r.stop()
	for range want {
		msg, ok := r.next()
		if !ok {
			return
		}
		do(lastToken(msg.Subject()), msg.Data())
	}
}
