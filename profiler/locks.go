package profiler

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/headroom-project/headroom/loadgen/observation"
)

// LockSite is a place in the target's code, and how long others waited for it.
type LockSite struct {
	// Function released a lock for which others were waiting.
	Function string
	// Delay is the time that all of them waited for it together.
	Delay time.Duration
	// Contentions is how often it was released while somebody waited.
	Contentions int64
}

// LockWait lists, from a mutex profile, the functions that held a contended
// lock, the longest wait first. The profile's stacks are those of the Unlock;
// the function is the innermost outside the runtime and sync packages, since
// that is whose lock it is. Contention of the runtime's own locks goes by the
// name of the innermost function. Differences that are negative are left out.
// It fails on a profile that is malformed or has no delay.
func LockWait(mutexPprof []byte) ([]LockSite, error) {
	p, err := decode(mutexPprof)
	if err != nil {
		return nil, err
	}
	delays, err := typeIndex(p, "delay")
	if err != nil {
		return nil, err
	}
	unit, ok := delayUnits[p.SampleType[delays].Unit]
	if !ok {
		return nil, fmt.Errorf("read profile: delay is in %q, not in a unit of time", clean(p.SampleType[delays].Unit))
	}
	counts, err := typeIndex(p, "contentions")
	if err != nil {
		return nil, err
	}
	sites := map[string]*LockSite{}
	resolve := newNames()
	var stack []string
	for _, s := range p.Sample {
		if s.Value[delays] <= 0 {
			continue
		}
		stack = resolve.stack(s, stack)
		name := holder(stack)
		if sites[name] == nil {
			sites[name] = &LockSite{Function: name}
		}
		site := sites[name]
		site.Delay = time.Duration(add(int64(site.Delay), scaled(s.Value[delays], int64(unit))))
		site.Contentions = add(site.Contentions, max(s.Value[counts], 0))
	}
	return sorted(sites), nil
}

// locks is what a capture of a mutex profile says of each second, nil for any other and
// for what cannot be read: a report says why.
func locks(c observation.Capture, data []byte) []observation.LockWait {
	over := (c.To - c.From).Seconds()
	if c.Of > 0 {
		over *= float64(c.Instances) / float64(c.Of)
	}
	if c.Type != "mutex" || !(over > 0) {
		return nil
	}
	sites, err := LockWait(data)
	if err != nil {
		return nil
	}
	var list []observation.LockWait
	for _, s := range sites[:min(len(sites), observation.MaxLocks)] {
		list = append(list, observation.LockWait{
			Function: s.Function, Seconds: s.Delay.Seconds() / over, Contentions: float64(s.Contentions) / over,
		})
	}
	return list
}

// delayUnits are the units of time that profiles use.
var delayUnits = map[string]time.Duration{
	"nanoseconds":  time.Nanosecond,
	"microseconds": time.Microsecond,
	"milliseconds": time.Millisecond,
	"seconds":      time.Second,
}

// scaled is v*by, for positive numbers, without overflow.
func scaled(v, by int64) int64 {
	const most = 1<<63 - 1
	if v > most/by {
		return most
	}
	return v * by
}

// holder is the first function of a stack, leaf first, that is not part of the
// machinery of locking.
func holder(stack []string) string {
	for _, name := range stack {
		if !isMachinery(packageOf(name)) {
			return name
		}
	}
	if len(stack) > 0 {
		return stack[0]
	}
	return "?"
}

func isMachinery(pkg string) bool {
	for _, machinery := range []string{"runtime", "sync", "internal/sync", "internal/runtime"} {
		if pkg == machinery || strings.HasPrefix(pkg, machinery+"/") {
			return true
		}
	}
	return false
}

func sorted(sites map[string]*LockSite) []LockSite {
	list := make([]LockSite, 0, len(sites))
	for _, s := range sites {
		list = append(list, *s)
	}
	slices.SortFunc(list, func(a, b LockSite) int {
		return cmp.Or(cmp.Compare(b.Delay, a.Delay), cmp.Compare(a.Function, b.Function))
	})
	return list
}
