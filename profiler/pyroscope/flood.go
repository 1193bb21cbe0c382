package pyroscope

import "time"

// bucket admits requests at a rate, with bursts. The caller guards it.
type bucket struct {
	rate, burst float64
	level       float64
	at          time.Duration
	begun       bool
}

// take reports whether one more is admitted at a time; if not, how long until it
// would be.
func (b *bucket) take(now time.Duration) (wait time.Duration, ok bool) {
	if !b.begun {
		b.begun, b.level, b.at = true, b.burst, now
	}
	b.level = min(b.burst, b.level+b.rate*max(now-b.at, 0).Seconds())
	b.at = max(b.at, now)
	if b.level >= 1 {
		b.level--
		return 0, true
	}
	return time.Duration((1 - b.level) / b.rate * float64(time.Second)), false
}
