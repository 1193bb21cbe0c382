package bus

import (
	"slices"
	"testing"
	"time"

	"github.com/headroom-project/headroom/scenarios"
)

// What a share that is taken begins with is what an attack would be offering at that
// time: a step ends what is held before it, however many pieces of that are ordered.
func TestAShareBeginsWithWhatIsGoingOn(t *testing.T) {
	at := func(ms int) time.Duration { return time.Duration(ms) * time.Millisecond }
	step := func(index, from int) offer {
		return offer{Step: scenarios.Step{Index: index, Lasts: at(1000)}, At: at(from)}
	}
	hold := func(index, from, lasts int) offer {
		return offer{Step: scenarios.Step{Index: index, Lasts: at(lasts)}, At: at(from), Hold: true}
	}
	held := []offer{step(0, 0), hold(0, 1000, 700), hold(0, 1700, 700), step(1, 1200)}
	for name, c := range map[string]struct {
		offers []offer
		from   int
		want   []int // indices in offers
		late   time.Duration
		step   int
	}{
		"in a step":                     {held[:1], 400, []int{0}, at(400), 0},
		"in a held piece":               {held[:3], 1300, []int{1, 2}, at(300), 0},
		"before the step that follows":  {held, 1100, []int{1, 2, 3}, at(100), 0},
		"the step has ended the pieces": {held, 1300, []int{3}, at(100), 1},
		"after it":                      {held, 2300, nil, 0, 0},
		"let go":                        {append(slices.Clone(held[:3]), hold(0, 1250, 0)), 1300, nil, 0, 0},
		"to be let go":                  {append(slices.Clone(held[:2]), hold(0, 1250, 0)), 1200, []int{1, 2}, at(200), 0},
	} {
		s := &session{offers: c.offers, cut: map[int]bool{}}
		list, late := s.ongoing(at(c.from))
		var want []offer
		for _, i := range c.want {
			want = append(want, c.offers[i])
		}
		same := slices.EqualFunc(list, want, func(a, b offer) bool { return a.At == b.At && a.Hold == b.Hold && a.Step.Index == b.Step.Index })
		if !same || late.From != c.late || late.Step != c.step {
			t.Errorf("%s: %+v, late %+v; want %+v, %v of step %d", name, list, late, want, c.late, c.step)
		}
	}
}
