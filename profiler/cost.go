package profiler

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/google/pprof/profile"
)

// Amount is a quantity that was sampled, with the variance of its error.
type Amount struct {
	Value    float64
	Variance float64
}

// Error is the standard error.
func (a Amount) Error() float64 { return math.Sqrt(a.Variance) }

func (a *Amount) add(value, count float64) {
	a.Value += value
	if count > 0 {
		// Of count samples that stand for value each has value/count; their number
		// varies as a Poisson variable, by its root.
		a.Variance += value * value / count
	}
}

func (a Amount) times(factor float64) Amount {
	return Amount{a.Value * factor, a.Variance * factor * factor}
}

// cost is what one function used in one profile.
type cost struct {
	// own is the cost of the stacks that it owns; self of those it is the leaf
	// of; cum of those it is in.
	own, self, cum Amount
	samples        float64            // of own
	callers        map[string]float64 // who the owned stacks were called by, and their cost
}

// costs are those of all functions of a profile.
type costs struct {
	functions map[string]*cost
	total     Amount
	samples   float64
	unit      string
	// profiling is what taking profiles took, which is not part of the total.
	profiling float64
}

// mostFunctions bounds how many functions of one profile are followed: those that
// use most. A service has a few thousand.
const mostFunctions = 3000

// costsOf sums up one kind of value of a profile. Values that are not positive,
// which differences have, are left out, and so is what it took to take profiles:
// no request asks for that.
func costsOf(p *profile.Profile, typ string) (*costs, error) {
	index, err := typeIndex(p, typ)
	if err != nil {
		return nil, err
	}
	c := &costs{functions: map[string]*cost{}, unit: clean(p.SampleType[index].Unit)}
	taken := counting(p, index)
	resolve := newNames()
	seen := map[string]bool{}
	var stack []string
	for _, s := range p.Sample {
		if s.Value[index] <= 0 {
			continue
		}
		value, count := float64(s.Value[index]), taken(s)
		stack = resolve.stack(s, stack)
		if len(stack) == 0 {
			stack = append(stack, "?")
		}
		if resolve.has(stack, ofProfiler) {
			c.profiling += value
			continue
		}
		c.total.add(value, count)
		c.samples += count
		clear(seen)
		for i, name := range stack {
			f := c.function(name)
			if i == 0 {
				f.self.add(value, count)
			}
			if !seen[name] {
				seen[name] = true
				f.cum.add(value, count)
			}
		}
		c.own(resolve.owner(stack), stack, value, count)
	}
	c.cut()
	return c, nil
}

func (c *costs) function(name string) *cost {
	f := c.functions[name]
	if f == nil {
		f = &cost{}
		c.functions[name] = f
	}
	return f
}

// own puts the cost of a stack down to its owner, and notes by whom that was
// called.
func (c *costs) own(owner string, stack []string, value, count float64) {
	f := c.function(owner)
	f.own.add(value, count)
	f.samples += count
	at := slices.Index(stack, owner)
	for _, caller := range stack[at+1:] {
		if caller == owner {
			continue
		}
		if f.callers == nil {
			f.callers = map[string]float64{}
		}
		if _, known := f.callers[caller]; known || len(f.callers) < mostCallers {
			f.callers[caller] += value
		}
		return
	}
}

// mostCallers bounds the callers that are kept of one function.
const mostCallers = 32

// cut leaves the functions that use most.
func (c *costs) cut() {
	if len(c.functions) <= mostFunctions {
		return
	}
	names := make([]string, 0, len(c.functions))
	for name := range c.functions {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		x, y := c.functions[a], c.functions[b]
		return cmp.Or(cmp.Compare(y.own.Value, x.own.Value), cmp.Compare(y.cum.Value, x.cum.Value), cmp.Compare(a, b))
	})
	for _, name := range names[mostFunctions:] {
		delete(c.functions, name)
	}
}

// counting returns how many samples were really taken for a sample of a profile.
// CPU profiles and those of waiting count them. Those of allocations are scaled up
// by 1/(1-exp(-size/period)), which is undone here (runtime/pprof, scaleHeapSample).
func counting(p *profile.Profile, index int) func(*profile.Sample) float64 {
	if objects, space, ok := allocation(p, index); ok {
		period := float64(p.Period)
		return func(s *profile.Sample) float64 {
			n, bytes := float64(s.Value[objects]), float64(s.Value[space])
			if n <= 0 || bytes <= 0 {
				return 1
			}
			return max(n*-math.Expm1(-bytes/n/period), 1)
		}
	}
	count := slices.IndexFunc(p.SampleType, func(t *profile.ValueType) bool { return t.Unit == "count" })
	if count < 0 {
		period := float64(max(p.Period, 1))
		return func(s *profile.Sample) float64 { return max(float64(s.Value[index])/period, 1) }
	}
	return func(s *profile.Sample) float64 { return max(float64(s.Value[count]), 1) }
}

// allocation finds the objects and bytes of the kind of allocation that index is
// of, if the profile is one of allocations.
func allocation(p *profile.Profile, index int) (objects, space int, ok bool) {
	if p.PeriodType == nil || p.PeriodType.Unit != "bytes" || p.Period <= 0 {
		return 0, 0, false
	}
	prefix, _, _ := strings.Cut(p.SampleType[index].Type, "_")
	objects = slices.IndexFunc(p.SampleType, func(t *profile.ValueType) bool { return t.Type == prefix+"_objects" })
	space = slices.IndexFunc(p.SampleType, func(t *profile.ValueType) bool { return t.Type == prefix+"_space" })
	return objects, space, objects >= 0 && space >= 0
}
