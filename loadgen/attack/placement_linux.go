package attack

import (
	"bytes"
	"strconv"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// placement keeps the loop's thread off a core that it has to share. The kernel
// likes to run a thread that is woken on the core of the one that woke it: the
// target's, if the target is on this machine. Each then waits for the other, and
// the generator measures itself.
//
// A thread that spins is kept to one core: moved to the target's it would be the
// target that waits, for whole ticks of the scheduler (4 ms), and this thread would
// not know.
type placement struct {
	spins   bool
	stat    int // file descriptor of the thread's schedstat, -1 if there is none
	allowed unix.CPUSet
	next    time.Duration // when to look again
	looked  time.Duration
	delayed time.Duration   // in all, ready to run but without a core
	crowd   map[int]float64 // by core: the share of the time without it, fading
}

const (
	// lookAfter is how often the thread looks at how long it had to wait.
	lookAfter = 100 * time.Millisecond
	// crowded is the share of the time without a core above which it moves.
	crowded = 0.02
	// fades is how much of what was met on a core counts at the next look: half is
	// forgotten in about three seconds. Without it, two cores of which one is busy all
	// the time and the other for a moment would take turns.
	fades = 0.98
)

// newPlacement is for the calling thread, which must be locked; spins says that it
// is hardly ever asleep.
func newPlacement(now time.Duration, spins bool) *placement {
	p := &placement{spins: spins, stat: -1, next: now + lookAfter, looked: now, crowd: map[int]float64{}}
	if unix.SchedGetaffinity(0, &p.allowed) != nil || p.allowed.Count() < 2 {
		return p
	}
	fd, err := unix.Open("/proc/thread-self/schedstat", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return p
	}
	p.stat = fd
	p.delayed, _ = p.delay()
	if core, ok := current(); ok && spins {
		keepTo(core)
	}
	return p
}

// delay reads how long the thread was ready to run but had no core, in all.
func (p *placement) delay() (time.Duration, bool) {
	var buf [96]byte
	n, err := unix.Pread(p.stat, buf[:], 0)
	if err != nil {
		return 0, false
	}
	// run time, run delay, time slices; in nanoseconds.
	fields := bytes.Fields(buf[:n])
	if len(fields) < 2 {
		return 0, false
	}
	ns, err := strconv.ParseInt(string(fields[1]), 10, 64)
	return time.Duration(ns), err == nil
}

// look moves the thread to another core if it had to wait for this one.
func (p *placement) look(now time.Duration) {
	over := now - p.looked
	p.looked, p.next = now, now+lookAfter
	d, ok := p.delay()
	if !ok {
		return
	}
	share := float64(d-p.delayed) / float64(over)
	p.delayed = d
	core, ok := current()
	if !ok {
		return
	}
	if cores := p.better(core, share); cores.Count() > 0 {
		_ = unix.SchedSetaffinity(0, &cores)
	}
}

// better takes in that the thread had to wait for a share of the time on a core, and
// returns those where it waits less; none if it is to stay.
func (p *placement) better(core int, share float64) (cores unix.CPUSet) {
	for c := range p.crowd {
		p.crowd[c] *= fades
	}
	if share < crowded {
		return cores
	}
	p.crowd[core] = share
	least := share
	for c := range len(cores) * 64 {
		met := p.crowd[c]
		if !p.allowed.IsSet(c) || met >= share {
			continue
		}
		if p.spins {
			if met >= least {
				continue
			}
			least = met
			cores.Zero()
		}
		cores.Set(c)
	}
	return cores
}

// current is the core that the thread runs on.
func current() (core int, ok bool) {
	var cpu uint32
	_, _, errno := unix.RawSyscall(unix.SYS_GETCPU, uintptr(unsafe.Pointer(&cpu)), 0, 0)
	return int(cpu), errno == 0
}

// keepTo keeps the thread to a core.
func keepTo(core int) {
	var one unix.CPUSet
	one.Set(core)
	_ = unix.SchedSetaffinity(0, &one)
}

// close gives the thread back all its cores.
func (p *placement) close() {
	if p.stat >= 0 {
		_ = unix.Close(p.stat)
		_ = unix.SchedSetaffinity(0, &p.allowed)
	}
}
