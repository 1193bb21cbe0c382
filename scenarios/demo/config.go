package demo

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// The limits that a target can be built with.
const (
	LimitPool       = "pool"       // slots, each held for a fixed time, FIFO
	LimitLock       = "lock"       // one mutex, held for a fixed time
	LimitCPU        = "cpu"        // a fixed amount of CPU time of one core
	LimitDownstream = "downstream" // a rate limiter that no metric shows
	LimitMemory     = "memory"     // a budget of memory, each request retains a part
	LimitNone       = "none"       // answers at once
	LimitShop       = "shop"       // a pool, and behind it CPU
)

// Limits lists what Config.Limit may be, in the order in which it is shown.
func Limits() []string {
	return []string{LimitPool, LimitLock, LimitCPU, LimitDownstream, LimitMemory, LimitNone, LimitShop}
}

const (
	defaultCapacity = 400 // requests/s
	lowestCapacity  = 1
	highestCapacity = 100_000

	// highestCPUCapacity leaves each request 200 us of CPU, which is several
	// times what net/http itself takes of it.
	highestCPUCapacity = 5_000
	// highestShopCapacity is that over the distance of the shop's two limits.
	highestShopCapacity = 3_000
)

// Config says what a target is to be.
type Config struct {
	// Limit is one of Limits.
	Limit string
	// CapacityRPS is the load, in requests/s, at which the limit is reached; 0
	// is 400. For LimitShop it is that of its pool under the mix of ShopScenario.
	// It must be 0 for LimitNone.
	CapacityRPS float64
}

// withDefaults returns the configuration to build, or says what is wrong with it.
func (c Config) withDefaults() (Config, error) {
	if !slices.Contains(Limits(), c.Limit) {
		return c, fmt.Errorf("demo: unknown limit %q\nhint: choose one of %s", c.Limit, strings.Join(Limits(), ", "))
	}
	if c.Limit == LimitNone {
		if c.CapacityRPS != 0 {
			return c, fmt.Errorf("demo: limit none has no capacity to set\nhint: leave the capacity out, or choose a limit such as pool")
		}
		return c, nil
	}
	if c.CapacityRPS == 0 {
		c.CapacityRPS = defaultCapacity
	}
	highest := float64(highestCapacity)
	switch c.Limit {
	case LimitCPU:
		highest = highestCPUCapacity
	case LimitShop:
		highest = highestShopCapacity
	}
	if math.IsNaN(c.CapacityRPS) || c.CapacityRPS < lowestCapacity || c.CapacityRPS > highest {
		return c, fmt.Errorf("demo: capacity %g requests/s is out of range for limit %s\nhint: choose from %d to %g",
			c.CapacityRPS, c.Limit, lowestCapacity, highest)
	}
	return c, nil
}

// GOMAXPROCS is the value that the process of a target with this limit has to
// run with for its truth to hold; 0 is any. Where CPU is a limit it is one core:
// that is what the capacity is stated for, and on a machine with two cores the
// load generator keeps the other.
func GOMAXPROCS(limit string) int {
	switch limit {
	case LimitCPU, LimitShop:
		return 1
	default:
		return 0
	}
}
