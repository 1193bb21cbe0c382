package attack

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The connections that a stall took are closed behind it, the least used first and few
// at a time; the one that is used stays.
func TestIdleConnectionsAreClosed(t *testing.T) {
	o := &origin{}
	l := &loop{origins: map[string]*origin{"target": o}}
	for i := range 3 * pruneMost {
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(pair[1])
		c := &conn{fd: int32(pair[0]), origin: o, since: time.Duration(i) * time.Microsecond}
		for len(l.conns) <= pair[0] {
			l.conns = append(l.conns, nil)
		}
		l.conns[pair[0]] = c
		o.idle = append(o.idle, c)
	}
	used := o.idle[len(o.idle)-1]
	used.since = time.Second
	l.prune(maxIdle - time.Millisecond)
	if len(o.idle) != 3*pruneMost {
		t.Fatalf("%d are left before their time", len(o.idle))
	}
	now := maxIdle + time.Millisecond
	for left := 2 * pruneMost; left > 0; left -= pruneMost {
		l.prune(now)
		if len(o.idle) != left {
			t.Fatalf("%d are left, want %d", len(o.idle), left)
		}
	}
	l.prune(now)
	if len(o.idle) != 1 || o.idle[0] != used {
		t.Fatalf("%d are left, want the one that is used", len(o.idle))
	}
	open := 0
	for _, c := range l.conns {
		if c != nil {
			open++
		}
	}
	if open != 1 || l.prunes != now+pruneAfter {
		t.Errorf("%d are open, the next look is at %v", open, l.prunes)
	}
	l.shut(used)
}
