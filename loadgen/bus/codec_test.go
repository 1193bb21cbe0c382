package bus

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/headroom-project/headroom/loadgen/observation"
)

// raw is the outcome of one hit.
type raw struct {
	response, service, lag time.Duration
	class                  string
}

// hits draws outcomes over six orders of magnitude.
func hits(r *rand.Rand, n int) []raw {
	out := make([]raw, n)
	for i := range out {
		us := func() time.Duration {
			return time.Duration(float64(time.Microsecond) * 10 * (1 + r.ExpFloat64()*float64(int(1)<<r.IntN(18))))
		}
		out[i] = raw{response: us(), service: us(), lag: us()}
		if r.IntN(20) == 0 {
			out[i].class = observation.ErrorClasses[r.IntN(len(observation.ErrorClasses))]
		}
	}
	return out
}

func fill(t *observation.Tally, list []raw) *observation.Tally {
	for _, h := range list {
		t.Add(h.response, h.service, h.lag, h.class)
	}
	return t
}

// window is what a worker reports of hits.
func window(seq uint64, list []raw) *observation.Window {
	return &observation.Window{
		Seq: seq, Step: 0, Second: int(seq - 1), At: time.Duration(seq) * time.Second, Over: time.Second, Planned: uint64(len(list)), Sent: uint64(len(list)),
		Last: true, Requests: map[string]*observation.Tally{"browse": fill(observation.NewTally(), list)},
	}
}

// TestMergedQuantilesAreThoseOfTheUnion: the hits of four workers, reported by
// each in windows that travel encoded, give the same histogram as all hits together.
func TestMergedQuantilesAreThoseOfTheUnion(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	merged, union := observation.NewReducer(), observation.NewTally()
	merged.Begin(observation.StepRecord{Index: 0, Lasts: 10 * time.Second})
	for worker := range 4 {
		for second := range 10 {
			list := hits(r, 500)
			fill(union, list)
			b, err := decodeBatch(encodeBatch(batch{Windows: []*observation.Window{window(uint64(second+1), list)}}))
			if err != nil {
				t.Fatal(err)
			}
			for _, w := range b.Windows {
				w.Worker = fmt.Sprint(worker)
				merged.Add(w)
				merged.Add(w) // a second time counts nothing
			}
		}
	}
	p, err := merged.Point(0)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		name      string
		got, want observation.Quantiles
	}{
		{"response", p.Response, observation.QuantilesOf(union.Response)},
		{"service", p.Service, observation.QuantilesOf(union.Service)},
		{"send lag", p.SendLag, observation.QuantilesOf(union.SendLag)},
	} {
		if x.got != x.want {
			t.Errorf("%s: merged %+v, union %+v", x.name, x.got, x.want)
		}
	}
	if p.OK != union.OK || p.Failed != union.Failed {
		t.Errorf("merged %d ok and %d failed, union %d and %d", p.OK, p.Failed, union.OK, union.Failed)
	}
}

// TestABatchComesBackAsItWas compares through the form of the evidence.
func TestABatchComesBackAsItWas(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	in := batch{Epoch: 7, Final: true}
	for i := range 5 {
		w := window(uint64(i+1), hits(r, 100*i))
		w.Dropped, w.Waited, w.InFlight, w.Idle = 3, 4, 5, i == 4
		w.Followed, w.Busy, w.CPU = 6, time.Millisecond, time.Microsecond
		w.Lacked = map[string]uint64{observation.LackFiles: 1, observation.LackPorts: 2}
		w.Requests["buy"] = fill(observation.NewTally(), hits(r, 10))
		w.Requests["buy"].BytesIn = 12345
		in.Windows = append(in.Windows, w)
	}
	out, err := decodeBatch(encodeBatch(in))
	if err != nil {
		t.Fatal(err)
	}
	want, got := asJSON(t, in), asJSON(t, out)
	if !bytes.Equal(want, got) {
		t.Errorf("sent\n%s\ngot\n%s", want, got)
	}
}

func asJSON(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// FuzzDecodeBatch: whatever a worker publishes, reading it ends, takes no more
// memory than its length allows, and what was read can be written again.
func FuzzDecodeBatch(f *testing.F) {
	f.Add(encodeBatch(batch{Epoch: 1, Final: true}))
	f.Add(encodeBatch(batch{Windows: []*observation.Window{window(1, hits(rand.New(rand.NewPCG(5, 6)), 50))}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := decodeBatch(data)
		if err != nil {
			return
		}
		again, err := decodeBatch(encodeBatch(b))
		if err != nil {
			t.Fatalf("what was read cannot be read again: %v", err)
		}
		if len(again.Windows) != len(b.Windows) || again.Final != b.Final {
			t.Errorf("%d windows became %d", len(b.Windows), len(again.Windows))
		}
	})
}

// FuzzMessages: what workers and controllers say to each other is read or refused.
func FuzzMessages(f *testing.F) {
	f.Add([]byte(`{"id":"U","name":"w","version":"1","protocol":1,"labels":{"zone":"a"}}`))
	f.Add([]byte(`{"run":"r","epoch":1,"seen":3,"late":5}`))
	f.Add([]byte(`{"orders":[{"n":1,"offer":{"step":{"index":0},"at":5}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, v := range []any{&Info{}, &renewal{}, &lease{}, &orders{}, &assignment{}, &ready{}} {
			if decode(data, v) == nil {
				if i, ok := v.(*Info); ok {
					_ = i.check()
				}
			}
		}
	})
}
