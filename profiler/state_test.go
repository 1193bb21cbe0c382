package profiler

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/profiler/resources"
)

func TestStepOf(t *testing.T) {
	const s = time.Second
	st := &state{spans: []span{
		{step: 0, from: 10 * s, to: 12 * s},
		{step: 1, from: 12 * s, to: 15 * s},
		{step: 2, from: 20 * s, open: true},
	}}
	for _, c := range []struct {
		name     string
		at, over time.Duration
		want     int
	}{
		{"inside", 11 * s, s, 0},
		{"exactly the step", 15 * s, 3 * s, 1},
		{"a look a moment after the end", 12*s + 50*time.Millisecond, s, 0},
		{"over two steps", 12*s + 500*time.Millisecond, s, -1},
		{"mostly the next step", 12*s + 950*time.Millisecond, s, 1},
		{"half before any step", 10*s + 500*time.Millisecond, s, -1},
		{"between steps", 18 * s, s, -1},
		{"the step under way", 30 * s, 5 * s, 2},
		{"from before the step under way", 21 * s, 2 * s, -1},
		{"a gauge inside", 11 * s, 0, 0},
		{"a gauge where one step ends and the next begins", 12 * s, 0, 1},
		{"a gauge between", 16 * s, 0, -1},
		{"a gauge before all", 1 * s, 0, -1},
		{"a gauge in the step under way", 20 * s, 0, 2},
	} {
		if got := st.stepOf(observation.Sample{At: c.at, Over: c.over}); got != c.want {
			t.Errorf("%s: step %d, want %d", c.name, got, c.want)
		}
	}
}

// Only a few steps are kept, however many a drill has.
func TestSpansAreBounded(t *testing.T) {
	st := newState(Config{}, nil)
	for i := range 1000 {
		st.obey(t.Context(), command{begin: true, step: i, at: time.Duration(i) * time.Second})
	}
	if len(st.spans) != keptSpans || st.spans[keptSpans-1].step != 999 || st.spans[0].open {
		t.Errorf("spans: %+v", st.spans)
	}
}

// The end of the drill is no failure of a reader that was at work.
func TestEndIsNoFailure(t *testing.T) {
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			waits := fakeReader{"metrics", func(ctx context.Context) ([]resources.Reading, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}}
			b := newBench(t, Config{Readers: []resources.Reader{waits}})
			b.run(t, func(context.Context) { time.Sleep(time.Second) })
			if len(b.warnings) != 0 {
				t.Fatalf("warnings: %q", b.warnings)
			}
		})
	}
}
