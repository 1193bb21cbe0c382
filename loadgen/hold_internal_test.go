package loadgen

import (
	"context"
	"testing"
	"time"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

// scribe is a fleet that keeps its orders.
type scribe struct {
	Fleet
	offers []Offer
}

func (s *scribe) Steer(_ context.Context, o Order) error {
	s.offers = append(s.offers, *o.Offer)
	return nil
}

// A load is held piece by piece, without a gap and for a bounded time, under numbers
// that are set aside for it.
func TestAHoldIsBounded(t *testing.T) {
	for _, lead := range []time.Duration{lead, 250 * time.Millisecond, time.Minute} {
		fleet := &scribe{}
		now := 7 * time.Second
		c := &controller{reducer: observation.NewReducer(), cfg: Config{
			Fleet: fleet, Lead: lead, Search: Searcher(nil), Now: func() time.Duration { return now },
			Plan: &scenarios.Plan{Seed: 1, Arrivals: scenarios.Poisson, Weights: []float64{1}},
		}}
		c.cfg.Search = struct{ Searcher }{}
		step := c.number(scenarios.Step{Index: 3, From: 100, To: 200, Lasts: 8 * time.Second})
		o := &ordered{step: step, rec: observation.StepRecord{Index: 3, Start: time.Second, Lasts: step.Lasts, First: step.First, Numbers: c.numbersOf(step)}}
		for range 20 {
			if err := c.hold(context.Background(), o); err != nil {
				t.Fatal(err)
			}
		}
		at, first := 9*time.Second, c.cfg.Plan.Count(step)
		draws := map[time.Duration]bool{} // first arrivals
		for i, x := range fleet.offers {
			if !x.Hold || x.At != at || x.Began != time.Second || x.Step.Index != 3 || x.Step.From != 200 || x.Step.To != 200 || x.Step.First != first {
				t.Errorf("lead %v: offer %d is %+v; want it at %v, from number %d on", lead, i, x, at, first)
			}
			for h := range c.cfg.Plan.Slice(0, 1).Hits(x.Step) {
				if draws[h.At] {
					t.Errorf("lead %v: piece %d repeats the arrivals of another", lead, i)
				}
				draws[h.At] = true
				break
			}
			at, first = at+x.Step.Lasts, first+c.cfg.Plan.Count(x.Step)
		}
		if held := at - 9*time.Second; held > holdMost || held < holdMost-c.bridge(step, 1).Lasts || (held == 0) != (lead == time.Minute) {
			t.Errorf("lead %v: held for %v", lead, held)
		}
		if o.rec.Numbers != first {
			t.Errorf("lead %v: %d numbers are recorded, %d are used", lead, o.rec.Numbers, first)
		}
		if err := c.release(context.Background(), o); err != nil || o.held != now {
			t.Errorf("released at %v, %v", o.held, err)
		}
		if x := fleet.offers[len(fleet.offers)-1]; !x.Hold || x.At != now || c.cfg.Plan.Count(x.Step) != 0 {
			t.Errorf("the release is %+v", x)
		}
	}
}
