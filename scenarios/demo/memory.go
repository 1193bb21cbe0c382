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
	// memoryReserve places the limit of the runtime at what it uses, in the mean, when the
	// budget is used up, so that the limit that can be seen and the one that refuses are met
	// at one load. It is fitted: with Go 1.26 the runtime uses 15 MiB at rest and 0.37 MiB for
	// each request/s of 400 (go.memory of drills at fixed loads).
	memoryReserve = 2 << 20
)

// record is a small piece of a session. Memory in small pieces that point to one
// another is what a collector has to work for: its CPU grows with what is live.
type record struct {
	next    *record
	content [recordSize - 8]byte
}

const recordSize = 256 // bytes, a size class of the allocator

// cache retains a session in memory for each request for a while. It is full
// with the budget: capacity = budget / (session * retention), by Little's law.
type cache struct {
	records   int // of one session
	places    int64
	retention time.Duration
	retained  atomic.Int64 // sessions

	restore func()
}

// newCache sets the garbage collector's percentage and memory limit of the
// process until close is called.
func newCache(capacityRPS float64) *cache {
	places := math.Max(1, math.Round(capacityRPS*memoryRetention.Seconds()))
	percent := debug.SetGCPercent(memoryGCPercent)
	limit := debug.SetMemoryLimit(memoryReserve + memoryBudget*(100+memoryGCPercent)/100)
	return &cache{
		records:   int(max(1, math.Round(memoryBudget/recordSize/places))),
		places:    int64(places),
		retention: seconds(places / capacityRPS),
		restore: func() {
			debug.SetGCPercent(percent)
			debug.SetMemoryLimit(limit)
		},
	}
}

// session is what one request retains, in bytes.
func (c *cache) session() int { return c.records * recordSize }

// store retains one more session, or says that the budget does not allow it.
func (c *cache) store() bool {
	if c.retained.Add(1) > c.places {
		c.retained.Add(-1)
		return false
	}
	first := allocateSession(c.records)
	time.AfterFunc(c.retention, func() {
		runtime.KeepAlive(first)
		c.retained.Add(-1)
	})
	return true
}

func (c *cache) close() { c.restore() }

// allocateSession returns the first of n records. All of them are written to,
// without which memory would not be resident.
//
//go:noinline
func allocateSession(n int) *record {
	var first *record
	for range n {
		first = &record{next: first, content: [recordSize - 8]byte{1}}
	}
	return first
}
