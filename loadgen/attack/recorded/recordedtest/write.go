// Package recordedtest writes results as vegeta's own command does, for tests.
package recordedtest

import (
	"bytes"
	"fmt"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/headroom-project/headroom/loadgen/attack/recorded"
)

// Hit is recorded.Hit.
type Hit = recorded.Hit

// Write encodes hits as gob, json or csv.
func Write(format string, hits []Hit) []byte {
	var b bytes.Buffer
	encode := map[string]vegeta.Encoder{"gob": vegeta.NewEncoder(&b), "json": vegeta.NewJSONEncoder(&b), "csv": vegeta.NewCSVEncoder(&b)}[format]
	for i, h := range hits {
		err := encode(&vegeta.Result{
			Attack: "test", Seq: uint64(i), Code: h.Code, Timestamp: h.Sent, Latency: h.Latency,
			BytesIn: h.BytesIn, BytesOut: h.BytesOut, Error: h.Error, Method: h.Method, URL: h.URL,
		})
		if err != nil {
			panic(fmt.Sprintf("encode result %d: %v", i, err)) // into memory, it cannot fail
		}
	}
	return b.Bytes()
}
