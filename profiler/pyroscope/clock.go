package pyroscope

import "time"

// Clock maps wall-clock times to drill time and back.
type Clock struct {
	// Now is the drill's clock: monotonic, 0 at its begin.
	Now func() time.Duration
	// Wall is the wall clock of this machine.
	Wall func() time.Time
}

// drill is the drill time of a wall-clock time, as the clocks stand now.
// Anything before the drill is negative.
func (c Clock) drill(wall time.Time) time.Duration {
	// Without their monotonic readings, times are those that other machines see.
	return c.Now() - c.Wall().Round(0).Sub(wall.Round(0))
}

// wall is the wall-clock time of a drill time, as the clocks stand now.
func (c Clock) wall(at time.Duration) time.Time {
	return c.Wall().Round(0).Add(at - c.Now())
}

// widths of a timestamp in decimal digits, between the years 2001 and 2286, and
// the nanoseconds of its unit. They are what Pyroscope servers accept.
var widths = map[int]int64{10: 1e9, 13: 1e6, 16: 1e3, 19: 1}

// parseTime reads a Unix time in seconds, milliseconds, microseconds or
// nanoseconds, which its width tells apart.
func parseTime(text string) (time.Time, bool) {
	unit, ok := widths[len(text)]
	if !ok {
		return time.Time{}, false
	}
	var n int64
	for _, c := range []byte(text) {
		if c < '0' || c > '9' || n > (1<<63-1-9)/10 {
			return time.Time{}, false
		}
		n = 10*n + int64(c-'0')
	}
	if n > (1<<63-1)/unit {
		return time.Time{}, false
	}
	return time.Unix(0, n*unit), true
}
