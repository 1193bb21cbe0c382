package profiler

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/google/pprof/profile"
)

// Kinds of waiting.
const (
	WaitLock    = "lock"
	WaitChannel = "channel"
	WaitOther   = "wait" // for a condition, a group, a semaphore
)

// Wait is a place where goroutines of the target wait for one another.
type Wait struct {
	// Function holds the lock, or waits at the channel.
	Function string
	// Kind is one of the constants.
	Kind string
	// At is the wait of a request at each load, in nanoseconds, in the order of
	// the load.
	At []PerRequest
	// Adds is by how much the wait of a request is longer at capacity than at the
	// lowest load, in nanoseconds.
	Adds Amount
	// Saturates is the load at which the wait grows without bound, with its
	// interval; 0 if that does not follow from the measurements.
	Saturates, Low, High float64
}

// leastWait is the wait in nanoseconds below which a place is not listed, and
// leastContentions how many samples it must rest on.
const (
	leastWait        = 1000
	leastContentions = 20
	// scatter is the error of a point of a queue's line, as a share of its begin.
	scatter = 0.05
)

// Waits lists where requests wait for one another, from the mutex and block
// profiles of several loads, the wait that is added at a capacity first (in
// requests/s; 0 stands for the highest load). Waiting that does not grow with the
// load, such as that of a worker for work, is not listed. It fails on a profile
// that is malformed or too large.
func Waits(mutex, block []Load, capacity float64) ([]Wait, error) {
	var all []Wait
	for _, from := range []struct {
		loads []Load
		place placing
	}{{mutex, lockPlace}, {block, channelPlace}} {
		list, err := waitsOf(from.loads, from.place, capacity)
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	slices.SortFunc(all, func(a, b Wait) int {
		return cmp.Or(cmp.Compare(b.Adds.Value, a.Adds.Value), cmp.Compare(a.Function, b.Function))
	})
	return all, nil
}

// placing names the place and the kind of waiting of a stack; an empty name is for
// one that is not of interest.
type placing func(n *names, stack []string) (name, kind string)

func waitsOf(loads []Load, place placing, capacity float64) ([]Wait, error) {
	loads = slices.DeleteFunc(slices.Clone(loads), func(l Load) bool {
		return !(l.Requests > 0) || !(l.Seconds > 0) || len(l.Pprofs) == 0
	})
	slices.SortStableFunc(loads, func(a, b Load) int { return cmp.Compare(a.RPS, b.RPS) })
	places := map[string]*Wait{}
	for i, l := range loads {
		at, err := delays(l, place)
		if err != nil {
			return nil, fmt.Errorf("step %d: %w", l.Step, err)
		}
		for name, d := range at {
			w := places[name]
			if w == nil {
				w = &Wait{Function: name, Kind: d.kind}
				for _, l := range loads {
					w.At = append(w.At, PerRequest{Step: l.Step, RPS: l.RPS})
				}
				places[name] = w
			}
			w.At[i].Amount, w.At[i].Samples = d.Amount.times(1/l.Requests), d.samples
		}
	}
	var list []Wait
	for _, w := range places {
		if w.add(capacity); w.Adds.Value >= leastWait && w.Adds.Value > 2*w.Adds.Error() {
			list = append(list, *w)
		}
	}
	return list, nil
}

// delay is what was waited at a place.
type delay struct {
	Amount
	samples float64
	kind    string
}

// delays sums up the waiting of one load by place, in nanoseconds.
func delays(l Load, place placing) (map[string]delay, error) {
	p, err := decodeAll(l.Pprofs)
	if err != nil {
		return nil, err
	}
	index, unit, err := delayType(p)
	if err != nil {
		return nil, err
	}
	taken := counting(p, index)
	out := map[string]delay{}
	resolve := newNames()
	var stack []string
	for _, s := range p.Sample {
		if s.Value[index] <= 0 {
			continue
		}
		stack = resolve.stack(s, stack)
		name, kind := place(resolve, stack)
		if name == "" {
			continue
		}
		d := out[name]
		n := taken(s)
		d.add(float64(s.Value[index])*float64(unit), n)
		d.samples += n
		d.kind = kind
		if _, known := out[name]; known || len(out) < mostFunctions {
			out[name] = d
		}
	}
	return out, nil
}

// delayType finds the delay of a profile, and its unit in nanoseconds.
func delayType(p *profile.Profile) (index int, unit int64, err error) {
	if index, err = typeIndex(p, "delay"); err != nil {
		return 0, 0, err
	}
	d, ok := delayUnits[p.SampleType[index].Unit]
	if !ok {
		return 0, 0, fmt.Errorf("read profile: delay is in %q, not in a unit of time", clean(p.SampleType[index].Unit))
	}
	return index, int64(d), nil
}

// lockPlace is the function that held a lock, from a stack of a mutex profile.
func lockPlace(_ *names, stack []string) (name, kind string) { return holder(stack), WaitLock }

// channelPlace is the function that waited, from a stack of a block profile, for
// anything but a lock: the mutex profile says more of those. What the library does
// on its own account, in goroutines of its own, is not of interest.
func channelPlace(n *names, stack []string) (name, kind string) {
	if !n.has(stack, ofTarget) {
		return "", ""
	}
	kind = WaitOther
	for _, f := range stack {
		pkg := packageOf(f)
		if !isMachinery(pkg) {
			break
		}
		switch {
		case strings.HasPrefix(f, "runtime.chan") || strings.HasPrefix(f, "runtime.selectgo"):
			kind = WaitChannel
		case strings.Contains(f, "Mutex).") || strings.HasPrefix(f, "runtime.lock"):
			return "", ""
		}
	}
	return n.owner(stack), kind
}

// add computes what the wait adds at a capacity, and where it ends.
func (w *Wait) add(capacity float64) {
	low, high := w.At[0], w.At[len(w.At)-1]
	if capacity > 0 {
		for _, at := range w.At {
			if at.RPS <= capacity*1.02 {
				high = at
			}
		}
	}
	if high.Samples >= leastContentions {
		w.Adds = Amount{high.Value - low.Value, high.Variance + low.Variance}
	}
	w.saturation(high.RPS)
	if reach := min(capacity, 0.98*w.Saturates); reach > high.RPS && high.Value > 0 {
		// Between the highest load below capacity and capacity, as the queue has it:
		// wait = a X / (1 - X/saturation).
		factor := reach / high.RPS * (1 - high.RPS/w.Saturates) / (1 - reach/w.Saturates)
		w.Adds.Value += high.Value * (factor - 1)
		w.Adds.Variance *= factor * factor
	}
}

// saturation fits a queue with one server, of which the wait per second is
// W = X^2 E[S^2] / (2 (1 - X E[S])) at X requests/s (Pollaczek and Khinchine): then
// X/w, with w the wait of a request, is a straight line over X that reaches 0
// where the server is always busy, at 1/E[S]. That must lie above the highest load
// that was served, and not far beyond, or it does not follow from the
// measurements.
func (w *Wait) saturation(top float64) {
	var x, y, variance []float64
	highest := 0.0
	for _, at := range w.At {
		if at.Samples < leastContentions || !(at.Value > 0) {
			continue
		}
		v := at.RPS / at.Value
		highest = max(highest, v)
		x, y, variance = append(x, at.RPS), append(y, v), append(variance, v*v*at.Variance/(at.Value*at.Value))
	}
	for i := range variance {
		// Queues vary by more than their samples do. Nearer to saturation w varies
		// more, but X/w is less: what is left is about the same at every load.
		variance[i] += scatter * scatter * highest * highest
	}
	l, ok := fitLine(x, y, variance)
	if !ok || l.slope >= 0 || l.intercept <= 0 || l.chance() > 0.01 {
		return
	}
	at := -l.intercept / l.slope
	relative := l.interceptVar/(l.intercept*l.intercept) + l.slopeVar/(l.slope*l.slope) - 2*l.covariance/(l.intercept*l.slope)
	half := quantileT(1-effectConfidence, l.degrees) * math.Sqrt(max(relative, 0)) * at
	if at < top*0.95 || at > 3*top || half > at/2 {
		return
	}
	w.Saturates, w.Low, w.High = at, max(at-half, 0), at+half
}
