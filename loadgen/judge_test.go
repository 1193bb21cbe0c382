package loadgen_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/headroom-project/headroom/loadgen"
	"github.com/headroom-project/headroom/loadgen/observation"
)

// TestJudgeNamesSlowWorkers, where they are a few of many; a step of which every worker
// is late, or the only one, is nobody's in particular.
func TestJudgeNamesSlowWorkers(t *testing.T) {
	for _, x := range []struct {
		name          string
		workers, slow int
		want          string
	}{
		{"one of two", 2, 1, "only because of w0 (of 2 workers)"},
		{"two of five", 5, 2, "only because of w0, w1 (of 5 workers)"},
		{"both", 2, 2, ""},
		{"more than are worth naming", 20, 5, ""},
		{"alone", 1, 1, ""},
	} {
		t.Run(x.name, func(t *testing.T) {
			r := observation.NewReducer()
			r.Begin(observation.StepRecord{From: 100, To: 100, Lasts: 3 * time.Second})
			for k := range x.workers {
				for second := range 3 {
					tally := observation.NewTally()
					for i := range 100 {
						lag := 100 * time.Microsecond
						if k < x.slow && i%10 == 0 {
							lag = 80 * time.Millisecond
						}
						tally.Add(10*time.Millisecond+lag, 10*time.Millisecond, lag, "")
					}
					r.Add(&observation.Window{Worker: fmt.Sprintf("w%d", k), Seq: uint64(second + 1), Second: second, At: time.Duration(second+1) * time.Second,
						Over: time.Second, Planned: 100, Sent: 100, Last: true, Requests: map[string]*observation.Tally{"one": tally}})
				}
			}
			p, err := r.Point(0)
			if err != nil {
				t.Fatal(err)
			}
			loadgen.Judge(&p, nil)
			said := strings.Join(p.WhyInvalid, "; ")
			if p.Valid || !strings.Contains(said, "send lag") {
				t.Fatalf("valid %v, said %q, want that it sent late", p.Valid, said)
			}
			if named := strings.Contains(said, "only because of"); named != (x.want != "") || !strings.Contains(said, x.want) {
				t.Errorf("said %q, want %q in it", said, x.want)
			}
		})
	}
}

// A step that was ended early loses what came due at that moment. What is more waited in the
// generator, and its figures lack the slowest.
func TestJudgeOfAStepThatWasEndedEarly(t *testing.T) {
	for _, x := range []struct {
		cut, short string
		dropped    uint64
		valid      bool
	}{{"", "", 1, false}, {"", "cpu", 1, true}, {"", "cpu", 3, true}, {"", "cpu", 30, false}, {"p99", "", 300, true}} {
		p := observation.Point{Cut: x.cut, Short: x.short, Dropped: x.dropped, Offered: 400, Seconds: 3, Valid: true}
		p.Sent, p.OK, p.Throughput = 1200, 1200, 400
		loadgen.Judge(&p, nil)
		if p.Valid != x.valid {
			t.Errorf("cut %q, short %q, %d of 1200 dropped: valid %v (%v)", x.cut, x.short, x.dropped, p.Valid, p.WhyInvalid)
		}
	}
}
