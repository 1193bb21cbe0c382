package demo

import (
	"runtime/debug"
	"testing"
	"testing/synctest"
	"time"
)

func TestCacheAcceptsItsCapacity(t *testing.T) {
	for _, capacity := range []float64{1, 7.3, 400} {
		synctest.Test(t, func(t *testing.T) {
			c := newCache(capacity)
			defer c.close()
			if used := int64(c.session()) * c.places; used > memoryBudget*101/100 || used < memoryBudget*99/100 {
				t.Errorf("capacity %g: %d sessions of %d bytes are not the budget", capacity, c.places, c.session())
			}
			// Under four times the load that it takes, every place is taken again
			// between one and two offers after it fell free.
			var stored int64
			gap, began := seconds(0.24/capacity), time.Now()
			for time.Since(began) < 3*c.retention {
				if c.store() {
					stored++
				}
				time.Sleep(gap)
			}
			least := c.places * int64(3*c.retention/(c.retention+2*gap))
			if most := 3 * c.places; stored < least || stored > most {
				t.Errorf("capacity %g: stored %d in three retention times, want %d to %d", capacity, stored, least, most)
			}
			time.Sleep(2 * c.retention)
			synctest.Wait()
			if n := c.retained.Load(); n != 0 {
				t.Errorf("%d sessions are retained for ever", n)
			}
		})
	}
}

func TestCacheGivesSettingsBack(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	c := newCache(400)
	if within := debug.SetMemoryLimit(-1); within != memoryReserve+memoryBudget*5/4 {
		t.Errorf("memory limit is %d", within)
	}
	c.close()
	if after := debug.SetMemoryLimit(-1); after != before {
		t.Errorf("memory limit is %d after close, was %d", after, before)
	}
	if percent := debug.SetGCPercent(100); percent == memoryGCPercent {
		t.Error("GC percentage was not given back")
	}
}
