package observation

import (
	"math"
	"strings"
	"testing"
	"time"
)

// Who waited for locks is the mean over the captures of a step by their length. What cannot
// be of a lock, as in a journal that was made up, is left out.
func TestLocksOfAStep(t *testing.T) {
	r := NewReducer()
	r.Begin(StepRecord{Index: 3, From: 100, To: 100, Lasts: 8 * time.Second})
	capture := func(from, to time.Duration, locks ...LockWait) {
		r.Capture(Capture{Step: 3, Type: "mutex", File: "profiles/step-03.mutex.pb.gz", Samples: 9, From: from, To: to, Locks: locks})
	}
	capture(0, time.Second, LockWait{"a", 1, 10}, LockWait{"b", 4, 8})
	capture(2*time.Second, 5*time.Second, LockWait{"a", 2, 20})
	capture(time.Second, time.Second, LockWait{"a", 1e6, 1e6})
	capture(5*time.Second, 6*time.Second)
	r.Capture(Capture{Step: 3, Type: "mutex", Source: CaptureReceived, File: "x", Samples: 9, To: time.Second, Locks: []LockWait{{"a", 99, 99}}})
	hostile := []LockWait{
		{"a", math.Inf(1), 1}, {"a", math.NaN(), 1}, {"a", 1, math.NaN()}, {"a", -1, 1}, {"a", 1, -1}, {"a", 1e300, 1}, {strings.Repeat("x", 5000), 1, 1},
	}
	list, seconds := r.Locks(3)
	if seconds != 4 || len(list) != 2 || list[0] != (LockWait{"a", (1 + 2*3) / 4.0, (10 + 20*3) / 4.0}) || list[1] != (LockWait{"b", 1, 2}) {
		t.Errorf("got %+v over %g s", list, seconds)
	}
	p, err := r.Point(3)
	if err != nil || len(p.Locks) != 2 || p.LockSeconds != 4 {
		t.Errorf("the point has %+v over %g s: %v", p.Locks, p.LockSeconds, err)
	}
	r.Begin(StepRecord{Index: 4, Lasts: 8 * time.Second})
	r.Capture(Capture{Step: 4, Type: "mutex", File: "x", Samples: 9, To: time.Second, Locks: hostile})
	if list, _ := r.Locks(4); len(list) != 0 {
		t.Errorf("these are no locks: %+v", list)
	}
}
