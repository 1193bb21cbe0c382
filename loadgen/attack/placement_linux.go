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
type placement struct {
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

// newPlacement is for the calling thread, which must be locked.
func newPlacement(now time.Duration) *placement {
	p := &placement{stat: -1, next: now + lookAfter, looked: now, crowd: map[int]float64{}}
	if unix.SchedGetaffinity(0, &p.allowed) != nil || p.allowed.Count() < 2 {
		return p
	}
	fd, err := unix.Open("/proc/thread-self/schedstat", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return p
	}
	p.stat = fd
	p.delayed, _ = p.delay()
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
	for core := range p.crowd {
		p.crowd[core] *= fades
	}
	if share < crowded {
		return
	}
	var cpu uint32
	if _, _, errno := unix.RawSyscall(unix.SYS_GETCPU, uintptr(unsafe.Pointer(&cpu)), 0, 0); errno != 0 {
		return
	}
	p.crowd[int(cpu)] = share
	others := p.allowed
	for core, met := range p.crowd {
		if met >= share {
			others.Clear(core)
		}
	}
	if others.Count() > 0 {
		_ = unix.SchedSetaffinity(0, &others)
	}
}

// close gives the thread back all its cores.
func (p *placement) close() {
	if p.stat >= 0 {
		_ = unix.Close(p.stat)
		_ = unix.SchedSetaffinity(0, &p.allowed)
	}
}
