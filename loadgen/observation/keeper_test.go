package observation_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/headroom-project/headroom/loadgen/observation"
)

// TestFlushMakesReadableWhatWasHandedOver by several at once, more than can wait in the
// queue, each once and each of one's own in order.
func TestFlushMakesReadableWhatWasHandedOver(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	dir := filepath.Join(t.TempDir(), "run")
	rec, err := observation.Record(dir, []byte("version: 1\n"))
	if err != nil {
		t.Fatal(err)
	}
	const workers, each = 4, 200
	var all sync.WaitGroup
	for k := range workers {
		all.Go(func() {
			for n := range each {
				w := windowsOf([]hit{{worker: fmt.Sprint(k), second: n, us: int64(n + 1)}}, 1)[0]
				w.Seq = uint64(n + 1)
				if err := rec.Window(w); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if err := rec.Flush(); err != nil {
		t.Fatal(err)
	}
	last := map[string]uint64{}
	open(t, dir).Windows(func(w *observation.Window) {
		if w.Seq != last[w.Worker]+1 {
			t.Errorf("window %d of %s comes after %d", w.Seq, w.Worker, last[w.Worker])
		}
		last[w.Worker] = w.Seq
	})
	for k := range workers {
		if got := last[fmt.Sprint(k)]; got != each {
			t.Errorf("%d windows of worker %d are readable, want %d", got, k, each)
		}
	}
	for range 2 {
		if err := rec.Close(); err != nil {
			t.Error(err)
		}
	}
	// After the end nothing is written, and nobody waits.
	_ = rec.Window(windowsOf([]hit{{worker: "late", us: 5}}, 1)[0])
	if err := rec.Flush(); err != nil {
		t.Error(err)
	}
}

// TestALineIsWhatMarshalWrites, although it is written in another way.
func TestALineIsWhatMarshalWrites(t *testing.T) {
	for _, w := range append(windowsOf([]hit{{worker: "w", second: 3, us: 77}, {worker: "w<&>", second: 4, us: 9}}, 1), &observation.Window{Worker: "idle", Idle: true, Last: true}) {
		var line bytes.Buffer
		if err := w.WriteLine(&line); err != nil {
			t.Fatal(err)
		}
		want, err := json.Marshal(w)
		if err != nil {
			t.Fatal(err)
		}
		if got := line.String(); got != string(want)+"\n" {
			t.Errorf("line %s, want %s", got, want)
		}
	}
}
