package loadgen

import (
	"testing"
	"time"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

// notes is a Recorder that keeps the journal.
type notes struct{ list []observation.Entry }

func (n *notes) Note(e observation.Entry) error                         { n.list = append(n.list, e); return nil }
func (*notes) Window(*observation.Window) error                         { return nil }
func (*notes) Samples([]observation.Sample) error                       { return nil }
func (*notes) Capture(time.Duration, observation.Capture, []byte) error { return nil }
func (*notes) Flush() error                                             { return nil }

// A controller that is lost at any point of a plan leaves no step of it out, and
// offers none again that has ended: also where the next one was ordered already, and
// where it is lost again.
func TestNoStepIsLostWithItsController(t *testing.T) {
	plan := &scenarios.Plan{Weights: []float64{1}}
	for i := range 4 {
		plan.Steps = append(plan.Steps, scenarios.Step{Index: i, Kind: scenarios.KindLoad, From: float64(10 * (i + 1)), To: float64(10 * (i + 1)), Lasts: time.Second})
	}
	begins := func(i int) observation.Entry {
		return observation.Entry{Kind: observation.EntryStep, Step: &observation.StepRecord{Index: i, Start: time.Duration(i) * time.Second, Lasts: time.Second, First: uint64(100 * i), Numbers: 100}}
	}
	ends := func(i int, cut string) observation.Entry {
		return observation.Entry{Kind: observation.EntryStepEnd, StepEnd: &observation.StepEnd{Index: i, Lasted: time.Second, Cut: cut}}
	}
	for name, x := range map[string]struct {
		journal []observation.Entry
		closed  []int     // that are closed as invalid
		then    []float64 // what is offered from then on
	}{
		"before the first":      {nil, nil, []float64{10, 20, 30, 40}},
		"in a step":             {[]observation.Entry{begins(0)}, []int{0}, []float64{10, 20, 30, 40}},
		"between two":           {[]observation.Entry{begins(0), ends(0, "")}, nil, []float64{20, 30, 40}},
		"the next was ordered":  {[]observation.Entry{begins(0), begins(1)}, []int{0, 1}, []float64{10, 20, 30, 40}},
		"the first has ended":   {[]observation.Entry{begins(0), begins(1), ends(0, "")}, []int{1}, []float64{20, 30, 40}},
		"for the second time":   {[]observation.Entry{begins(0), ends(0, ""), begins(1), ends(1, controllerLost), begins(2)}, []int{2}, []float64{20, 30, 40}},
		"after it was repeated": {[]observation.Entry{begins(0), ends(0, controllerLost), begins(1), ends(1, ""), begins(2)}, []int{2}, []float64{20, 30, 40}},
		"in the last two":       {[]observation.Entry{begins(0), begins(1), ends(0, ""), begins(2), ends(1, ""), begins(3)}, []int{2, 3}, []float64{30, 40}},
	} {
		r, rec := observation.NewReducer(), &notes{}
		for _, e := range x.journal {
			if e.Step != nil {
				r.Begin(*e.Step)
			} else {
				r.End(*e.StepEnd)
			}
		}
		c := &controller{cfg: Config{Plan: plan, Scenario: &scenarios.Scenario{}, Record: rec, Now: func() time.Duration { return 10 * time.Second },
			Resume: &Resume{Journal: x.journal, Reducer: r, Told: 1500 * time.Millisecond}}}
		if err := c.resume(); err != nil {
			t.Fatal(err)
		}
		var closed []int
		for _, e := range rec.list {
			if e.StepEnd != nil {
				closed = append(closed, e.StepEnd.Index)
			}
		}
		if len(closed) != len(x.closed) {
			t.Errorf("%s: closed %v, want %v", name, closed, x.closed)
		}
		first := c.numbers.next
		for i, want := range x.then {
			step, _, ok := c.next(c.first + i)
			if !ok || step.From != want || step.Index != c.first+i || step.First < first {
				t.Errorf("%s: step %d offers %v from number %d on, %v; want %v, from %d or later", name, c.first+i, step.From, step.First, ok, want, first)
			}
			first = step.First + plan.Count(step)
		}
		if step, _, ok := c.next(c.first + len(x.then)); ok {
			t.Errorf("%s: %v is offered once too often", name, step.From)
		}
	}
}
