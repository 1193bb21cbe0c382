package profiler

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/google/pprof/profile"
)

// Comparison is what changed in the cost of a request from one set of profiles to
// another.
type Comparison struct {
	// Type and Unit are those of a Demand.
	Type, Unit string
	// Before and After are the cost of a request in all.
	Before, After Amount
	// Total tells whether that changed.
	Total Change
	// Functions lists those whose Own was sampled on either side, the largest
	// change first.
	Functions []Change
}

// Change is what changed in one function.
type Change struct {
	Name string
	// Before and After are its Own, per request.
	Before, After Amount
	// Chance is the probability of a difference as large by sampling alone.
	Chance float64
	// Changed says that the difference is beyond chance (with a share of 5% of all
	// functions so named wrongly) and enough to matter.
	Changed bool
	// Moved is the part of the difference that turned up, with the other sign, in
	// a function that the same function calls, or that calls or is called by this
	// one: code that was moved, renamed or split. If nothing that matters is left
	// without it, Changed is false.
	Moved float64
	// MovedTo names the function that most of it moved to, or came from.
	MovedTo string
}

// Difference is After - Before.
func (c Change) Difference() float64 { return c.After.Value - c.Before.Value }

// error is the standard error of the difference.
func (c Change) error() float64 { return math.Sqrt(c.Before.Variance + c.After.Variance) }

const (
	// mattersOf is the share of a function's cost, and mattersAll that of the whole,
	// that a change must be of for it to matter: two runs of the same program on the
	// same machine differ by some percent.
	mattersOf  = 0.05
	mattersAll = 0.005
)

// Compare tells what changed in the cost of a request between two loads, of which
// each may have several profiles. Neither is normalised: a request that costs more
// in all costs more. It fails on profiles that are malformed, too large, or of
// another type.
func Compare(typ string, before, after Load) (Comparison, error) {
	var sides [2]*costs
	for i, l := range []Load{before, after} {
		if !(l.Requests > 0) || len(l.Pprofs) == 0 {
			return Comparison{}, fmt.Errorf("step %d: no requests were served while a profile was taken", l.Step)
		}
		c, err := l.costs(typ)
		if err != nil {
			return Comparison{}, fmt.Errorf("step %d: %w", l.Step, err)
		}
		sides[i] = c
	}
	a, b := sides[0], sides[1]
	x := Comparison{Type: typ, Unit: b.unit, Before: a.total.times(1 / before.Requests), After: b.total.times(1 / after.Requests)}
	x.Total = Change{Before: x.Before, After: x.After}
	x.Total.test(one(a.total, a.samples, before.Requests), one(b.total, b.samples, after.Requests))
	x.Total.Changed = x.Total.Chance < falseShare && math.Abs(x.Total.Difference()) > mattersOf*x.Before.Value
	for name := range union(a.functions, b.functions) {
		c := Change{Name: name}
		if f := a.functions[name]; f != nil {
			c.Before = f.own.times(1 / before.Requests)
		}
		if f := b.functions[name]; f != nil {
			c.After = f.own.times(1 / after.Requests)
		}
		if c.Before.Value == 0 && c.After.Value == 0 {
			continue
		}
		c.test(one(a.total, a.samples, before.Requests), one(b.total, b.samples, after.Requests))
		x.Functions = append(x.Functions, c)
	}
	slices.SortFunc(x.Functions, func(a, b Change) int {
		return cmp.Or(cmp.Compare(math.Abs(b.Difference()), math.Abs(a.Difference())), cmp.Compare(a.Name, b.Name))
	})
	x.discover()
	x.move(a, b)
	return x, nil
}

func union(a, b map[string]*cost) map[string]bool {
	all := make(map[string]bool, len(a)+len(b))
	for name := range a {
		all[name] = true
	}
	for name := range b {
		all[name] = true
	}
	return all
}

// one is what a single sample stands for, per request: the error of a function
// that was not seen.
func one(total Amount, samples, requests float64) float64 {
	if samples <= 0 {
		return 0
	}
	return total.Value / samples / requests
}

// test computes the probability of the difference.
func (c *Change) test(oneBefore, oneAfter float64) {
	variance := max(c.Before.Variance, oneBefore*oneBefore) + max(c.After.Variance, oneAfter*oneAfter)
	c.Chance = tails(c.Difference()/math.Sqrt(variance), 0)
}

// discover says which functions changed.
func (x *Comparison) discover() {
	chances := make([]float64, len(x.Functions))
	for i, c := range x.Functions {
		chances[i] = c.Chance
	}
	for i, found := range discoveries(chances, falseShare) {
		c := &x.Functions[i]
		c.Changed = found && x.matters(c, c.Difference())
	}
}

func (x *Comparison) matters(c *Change, difference float64) bool {
	return math.Abs(difference) > mattersOf*max(c.Before.Value, c.After.Value) &&
		math.Abs(difference) > mattersAll*max(x.Before.Value, x.After.Value)
}

// move pairs functions that lost cost with relatives that gained it, the largest
// first, and takes back what only moved.
func (x *Comparison) move(before, after *costs) {
	var changed []int
	for i := range x.Functions {
		if x.Functions[i].Changed {
			changed = append(changed, i)
		}
		if len(changed) == mostMoved {
			break
		}
	}
	left := map[int]float64{}
	for _, i := range changed {
		left[i] = x.Functions[i].Difference()
	}
	for _, i := range changed {
		largest := 0.0
		for _, j := range changed {
			if left[i]*left[j] >= 0 || !related(x.Functions[i].Name, x.Functions[j].Name, before, after) {
				continue
			}
			part := math.Copysign(min(math.Abs(left[i]), math.Abs(left[j])), left[i])
			left[i], left[j] = left[i]-part, left[j]+part
			a, b := &x.Functions[i], &x.Functions[j]
			a.Moved, b.Moved = a.Moved+part, b.Moved-part
			if math.Abs(part) > largest {
				largest, a.MovedTo = math.Abs(part), b.Name
			}
			if b.MovedTo == "" {
				b.MovedTo = a.Name
			}
		}
	}
	for i, rest := range left {
		c := &x.Functions[i]
		if c.Moved != 0 && (math.Abs(rest) < 2*c.error() || !x.matters(c, rest)) {
			c.Changed = false
		}
	}
}

// mostMoved bounds the functions among which cost is looked for that moved.
const mostMoved = 300

// related says whether one function calls the other, or both are called by a third.
func related(f, g string, sides ...*costs) bool {
	callers := func(name string) map[string]bool {
		all := map[string]bool{name: true}
		for _, c := range sides {
			if fn := c.functions[name]; fn != nil {
				for caller := range fn.callers {
					all[caller] = true
				}
			}
		}
		return all
	}
	of := callers(g)
	for caller := range callers(f) {
		if of[caller] {
			return true
		}
	}
	return false
}

// Million is how many requests the values of a profile are for that Scaled made.
const Million = 1e6

// Scaled makes one profile of those of a load whose values are what a million
// requests cost, so that two of them can be subtracted in any tool. It fails on
// profiles that are malformed, too large or of different types, or without
// requests.
func Scaled(l Load) ([]byte, error) {
	p, err := scaledBy(l, 1)
	if err != nil {
		return nil, err
	}
	return encode(p)
}

// Difference makes one profile of what a million requests cost after, less what
// they cost before. The samples of before are negative and labelled
// pprof::base=true, as pprof's -diff_base has them.
func Difference(before, after Load) ([]byte, error) {
	a, err := scaledBy(before, -1)
	if err != nil {
		return nil, err
	}
	b, err := scaledBy(after, 1)
	if err != nil {
		return nil, err
	}
	for _, s := range a.Sample {
		if s.Label == nil {
			s.Label = map[string][]string{}
		}
		s.Label["pprof::base"] = []string{"true"}
	}
	p, err := merge([]*profile.Profile{a, b})
	if err != nil {
		return nil, err
	}
	return encode(p)
}

func scaledBy(l Load, sign float64) (*profile.Profile, error) {
	if !(l.Requests > 0) {
		return nil, fmt.Errorf("step %d: no requests were served while a profile was taken", l.Step)
	}
	p, err := decodeAll(l.Pprofs)
	if err != nil {
		return nil, fmt.Errorf("step %d: %w", l.Step, err)
	}
	p.Scale(sign * Million / l.Requests)
	p.DurationNanos = 0 // of a million requests there is none
	return p, nil
}
