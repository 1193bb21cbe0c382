package reports

import (
	"fmt"

	"github.com/headroom-project/headroom/capacity"
)

// throttledShare is the share of the CPU limit that may have been asked for in
// vain before it is worth a word.
const throttledShare = 0.05

// doubts adds what the steps say against taking their figures at face value,
// although they are valid.
func (c *computation) doubts() {
	c.throttling()
	if !c.searched() { // else the model says so
		for _, w := range capacity.Bounds(c.points) {
			c.warn(w)
		}
	}
}

// throttling names the lowest load at which the kernel held the target back. That
// is the target's limit in production as well, so that the step stays valid; but
// its tail is the quota's (a thread waits for the next period), not the code's.
func (c *computation) throttling() {
	lowest := -1
	for i := range c.points {
		p := &c.points[i]
		held, cpu := p.Resources["cpu.throttled"], p.Resources["cpu"]
		if cpu.Limit > 0 && held.Used > throttledShare*cpu.Limit && (lowest < 0 || p.Offered < c.points[lowest].Offered) {
			lowest = i
		}
	}
	if lowest < 0 {
		return
	}
	p := &c.points[lowest]
	c.warn(fmt.Sprintf("the target was throttled by its CPU quota from %s on: %.2g cores more were asked for than it got while it used %.2g of %.4g; raise the quota, or lower GOMAXPROCS or the number of its threads to it",
		c.offered(p), p.Resources["cpu.throttled"].Used, p.Resources["cpu"].Used, p.Resources["cpu"].Limit))
}
