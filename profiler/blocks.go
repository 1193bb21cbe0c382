package profiler

import "time"

// Times of captures within their step.
const (
	// reserve is kept free at the end, for the profile to be written and sent:
	// the Go runtime takes up to 0.2 s to stop CPU profiling.
	reserve = 250 * time.Millisecond
	// longestBlock is how long profiles are taken in one go.
	longestBlock = 10 * time.Second
	// longestTrace bounds an execution trace, which may grow by megabytes a second.
	longestTrace = 2
)

// block is a span of a step in which the target is profiled; outside of blocks
// it is left alone.
type block struct {
	wait    time.Duration // from the step's begin
	seconds int           // whole ones, as net/http/pprof has them
}

// settle is how long after its begin a step is left alone: the change of load is
// not the load. It is the rule by which warm-up is left out of the figures.
func settle(lasts time.Duration) time.Duration {
	return min(max(lasts/5, time.Second), 3*time.Second).Round(time.Second)
}

// blocks divides what is left of a step after settling into pairs of a span
// with profiles and one of about the same length without, so that what
// profiling costs can be seen, and taken into account. Which of a pair comes
// first alternates from step to step and from pair to pair: what changes in the
// course of a step is then not taken for a cost of profiling. longest bounds the
// profiled time in all. A step of less than two seconds has none, and one of
// less than three and a half no span without.
func blocks(step int, lasts, longest time.Duration) []block {
	quiet := settle(lasts)
	room := lasts - quiet - reserve
	switch {
	case lasts < quiet+time.Second:
		return nil
	case room < 2*time.Second:
		return []block{{wait: quiet + max(room-time.Second, 0)/2, seconds: 1}}
	}
	pairs := max(int((room+longestBlock)/(2*longestBlock)), 1)
	pairs = min(pairs, max(int(longest/longestBlock), 1))
	half := room / time.Duration(2*pairs)
	span := min(half.Round(time.Second), longestBlock, longest.Truncate(time.Second))
	span = max(min(span, (room-time.Second).Truncate(time.Second)), time.Second)
	list := make([]block, pairs)
	for i := range list {
		list[i] = block{wait: quiet + time.Duration(i)*2*half, seconds: int(span / time.Second)}
		if (step+i)%2 == 1 {
			list[i].wait += 2*half - span
		}
	}
	return list
}
