package attack

import (
	"testing"

	"golang.org/x/sys/unix"
)

func cores(list ...int) (set unix.CPUSet) {
	for _, c := range list {
		set.Set(c)
	}
	return set
}

func TestAThreadLeavesACrowdedCoreForABetterOne(t *testing.T) {
	p := &placement{allowed: cores(0, 1, 2), crowd: map[int]float64{}}
	for i, c := range []struct {
		core  int
		share float64
		want  unix.CPUSet
	}{
		{0, 0.019, cores()},   // it hardly had to wait
		{0, 0.5, cores(1, 2)}, // anywhere but here
		{1, 0.1, cores(2)},    // core 0 was worse
		{2, 0.05, cores()},    // both were worse
		{2, 0.6, cores(0, 1)}, // now this is the worst
	} {
		if got := p.better(c.core, c.share); got != c.want {
			t.Errorf("look %d: %v, want %v", i, got, c.want)
		}
	}
}

// A thread that spins goes to one core: the one where it waited least, lately.
func TestAThreadThatSpinsKeepsToOneCore(t *testing.T) {
	p := &placement{spins: true, allowed: cores(1, 3), crowd: map[int]float64{}}
	if got := p.better(1, 0.4); got != cores(3) {
		t.Errorf("it goes to %v, want core 3", got)
	}
	if got := p.better(3, 0.05); got != cores() {
		t.Errorf("it goes to %v, though core 1 was worse", got)
	}
	for range 150 { // 15 s
		p.better(3, 0.01)
	}
	if got := p.better(3, 0.05); got != cores(1) {
		t.Errorf("it goes to %v, though core 1 may be free again", got)
	}
}
