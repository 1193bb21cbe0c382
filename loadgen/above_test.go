package loadgen_test

import (
	"context"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/headroom-project/headroom/loadgen"
	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/loadgen/search"
)

// reader is a watcher that reads once a second what the step under way uses of a core.
type reader struct {
	cfg  loadgen.WatchConfig
	used func(step int) float64
	step chan int
}

func (r *reader) Run(ctx context.Context) error {
	each := time.NewTicker(time.Second)
	defer each.Stop()
	step := -1
	for {
		select {
		case <-ctx.Done():
			return nil
		case step = <-r.step:
		case <-each.C:
			if step >= 0 {
				r.cfg.OnSample([]observation.Sample{{At: r.cfg.Now(), Over: time.Second, Resource: "cpu", Used: r.used(step), Limit: 1, Unit: "cores"}})
			}
		}
	}
}

func (r *reader) BeginStep(ctx context.Context, step int, _ time.Duration) {
	select {
	case r.step <- step:
	case <-ctx.Done():
	}
}

func (r *reader) EndStep(int) {}

// A step that uses more of the target than it may ends once that was read. Nothing broke: what
// was offered until then counts, as of a shorter step. The next one follows.
func TestAStepThatUsesTooMuchEnds(t *testing.T) {
	t.Parallel()
	x := newNumbered(func(int, *http.Request) {})
	defer x.srv.Close()
	long := offers(400)
	long.Lasts = 30 * time.Second
	cfg, rec, _ := x.search(t, nil, "", offers(200), long, offers(100))
	cfg.Search = &boundedScript{script: cfg.Search.(*script), bound: search.New(search.Config{MaxUtilisation: 0.6})}
	cfg.Watch = func(w loadgen.WatchConfig) loadgen.Watcher {
		return &reader{cfg: w, step: make(chan int), used: func(step int) float64 { return []float64{0.2, 1, 0.1}[step] }}
	}
	out, err := loadgen.Run(context.Background(), cfg)
	if err != nil || out.How != observation.EndDone || len(out.Points) != 3 {
		t.Fatalf("ended %q (%s) with %d points, %v", out.How, out.Detail, len(out.Points), err)
	}
	x.counted(t, rec)
	for i, p := range out.Points {
		if short := i == 1; p.Cut != "" || !p.Valid || short != (p.Short == "cpu is used at 100%, above the allowed 60%") {
			t.Errorf("step %d: valid %v (%s), cut %q, short %q", i, p.Valid, strings.Join(p.WhyInvalid, ", "), p.Cut, p.Short)
		}
	}
	p, end := out.Points[1], rec.find(observation.EntryStepEnd)[1].StepEnd
	// Three seconds are its warm-up, and two of those that count are needed.
	if end.Lasted < 5*time.Second || end.Lasted > 15*time.Second || p.Short != end.Short {
		t.Errorf("it lasted %v (%q), want a few seconds", end.Lasted, end.Short)
	}
	// The word takes a moment to the worker.
	if off := float64(p.OK) - 400*p.Seconds; math.Abs(off) > 40 || p.Dropped > 40 {
		t.Errorf("%d hits in %g s at 400/s are OK, %d dropped", p.OK, p.Seconds, p.Dropped)
	}
}

// boundedScript offers what a script says, and bounds it as a search does.
type boundedScript struct {
	*script
	bound *search.Search
}

func (b *boundedScript) Above(p observation.Point, whole float64) (string, bool) {
	return b.bound.Above(p, whole)
}
