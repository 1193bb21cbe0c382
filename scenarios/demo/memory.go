package demo

import (
	"math"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"
)

const (
	// memoryBudget is what all requests together may retain.
	memoryBudget = 128 << 20
	// memoryRetention is about how long a request retains its part. The longer,
	// the less chance there is in how many requests retain at one time.
	memoryRetention = 2 * time.Second
	// memoryGCPercent keeps the heap within a quarter of what is live, so that
	// resident memory grows with the load and collections come often.
	memoryGCPercent = 25
	// memoryReserve is for all but the retained blocks.
	memoryReserve = 32 << 20
)

// cache retains a block of memory for each request for a while. It is full
// with the budget: capacity = budget / (block * retention), by Little's law.
type cache struct {
	block     int // bytes
	places    int64
	retention time.Duration
	retained  atomic.Int64 // blocks

	restore func()
}

// newCache sets the garbage collector's percentage and memory limit of the
// process until close is called.
func newCache(capacityRPS float64) *cache {
	places := math.Max(1, math.Round(capacityRPS*memoryRetention.Seconds()))
	percent := debug.SetGCPercent(memoryGCPercent)
	limit := debug.SetMemoryLimit(memoryReserve + memoryBudget*(100+memoryGCPercent)/100)
	return &cache{
		block:     int(memoryBudget / places),
		places:    int64(places),
		retention: seconds(places / capacityRPS),
		restore: func() {
			debug.SetGCPercent(percent)
			debug.SetMemoryLimit(limit)
		},
	}
}

// store retains one more block, or says that the budget does not allow it.
func (c *cache) store() bool {
	if c.retained.Add(1) > c.places {
		c.retained.Add(-1)
		return false
	}
	block := allocateSession(c.block)
	time.AfterFunc(c.retention, func() {
		runtime.KeepAlive(block)
		c.retained.Add(-1)
	})
	return true
}

func (c *cache) close() { c.restore() }

// allocateSession returns n bytes that are really there: memory counts as
// resident once each of its pages was written to.
//
//go:noinline
func allocateSession(n int) []byte {
	const page = 4096
	block := make([]byte, n)
	for i := 0; i < n; i += page {
		block[i] = 1
	}
	return block
}
