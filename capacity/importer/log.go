package importer

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

// Bounds of a log.
const (
	// MaxHits is the greatest number of requests in one log.
	MaxHits = 5_000_000
	// maxLasts is the longest time from its first request to its last.
	maxLasts = 24 * time.Hour
	maxNames = 1000
)

// hit is one request of a log; times are microseconds since the epoch.
type hit struct {
	start, end int64
	bytes      uint32
	name       uint16
	class      uint8 // index into observation.ErrorClasses, plus one; 0 is OK
}

// log gathers requests.
type log struct {
	hits    []hit
	names   map[string]uint16
	list    []string
	dropped uint64
	// byEnd says that the times in the file are those of the ends.
	byEnd bool
	// whole counts times in the file that are whole seconds.
	whole int
}

// record is a request as a parser reads it.
type record struct {
	start   time.Time
	lasted  time.Duration
	name    string
	class   string // of observation.ErrorClasses, empty if it is OK
	bytesIn uint64
}

var (
	errTooMany = fmt.Errorf("more than %d requests; cut the log into parts, and give them all", MaxHits)
	earliest   = time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC)
	latest     = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)
)

// add keeps a request. The error says what is wrong with it.
func (l *log) add(r record) error {
	switch {
	case len(l.hits) >= MaxHits:
		return errTooMany
	case r.start.Before(earliest) || r.start.After(latest):
		return fmt.Errorf("time %s is not between 1990 and 2200", r.start.UTC().Format(time.RFC3339))
	case r.lasted < 0:
		return fmt.Errorf("response time %s is negative", r.lasted)
	case r.lasted > maxLasts:
		return fmt.Errorf("response time %s is above %s", r.lasted, maxLasts)
	}
	n, ok := l.names[r.name]
	if !ok {
		if len(l.list) >= maxNames {
			r.name = "(others)"
			n, ok = l.names[r.name]
		}
		if !ok {
			if l.names == nil {
				l.names = map[string]uint16{}
			}
			n = uint16(len(l.list))
			l.names[r.name], l.list = n, append(l.list, r.name)
		}
	}
	at := r.start
	if l.byEnd {
		at = at.Add(r.lasted)
	}
	if at.Nanosecond() == 0 {
		l.whole++
	}
	start := r.start.UnixMicro()
	l.hits = append(l.hits, hit{
		start: start, end: start + r.lasted.Microseconds(), name: n,
		class: uint8(slices.Index(observation.ErrorClasses, r.class) + 1), bytes: uint32(min(r.bytesIn, math.MaxUint32)),
	})
	return nil
}

// points cuts the log into steps and reduces it as a drill's windows are.
// discard says how much of a step is warm-up.
func (l *log) points(discard func(time.Duration) time.Duration) ([]observation.Point, time.Time, error) {
	if len(l.hits) == 0 {
		return nil, time.Time{}, fmt.Errorf("no request in it")
	}
	if l.coarse() {
		l.spread()
	}
	slices.SortFunc(l.hits, func(a, b hit) int { return cmp.Compare(a.end, b.end) })
	first, last := l.hits[0].start, l.hits[0].start
	for _, h := range l.hits {
		first, last = min(first, h.start), max(last, h.start)
	}
	if l.coarse() {
		first -= first % 1e6 // else what happened in one second would be spread over two
	}
	if lasts := time.Duration(last-first) * time.Microsecond; lasts > maxLasts {
		return nil, time.Time{}, fmt.Errorf("it lasts %s, more than %s", lasts.Round(time.Minute), maxLasts)
	}
	counts := make([]int, (last-first)/1e6+1)
	// flying are the hits that are in flight for the whole of a second, as changes at first.
	flying := make([]int, len(counts)+1)
	for _, h := range l.hits {
		begin := int((h.start - first) / 1e6)
		counts[begin]++
		if end := min(int((h.end-first)/1e6), len(counts)); end > begin+1 {
			flying[begin+1]++
			flying[end]--
		}
	}
	for k := 1; k < len(flying); k++ {
		flying[k] += flying[k-1]
	}
	r := reduction{log: l, first: first, reducer: observation.NewReducer(), steps: make([]int, len(counts))}
	r.begin(segments(counts, flying), counts, discard)
	r.fill()
	points := slices.DeleteFunc(r.reducer.Points(), func(p observation.Point) bool { return p.OK+p.Failed == 0 })
	return points, time.UnixMicro(first).UTC(), nil
}

// reduction feeds a log to a reducer, second by second of its ends.
type reduction struct {
	log     *log
	first   int64 // microseconds
	reducer *observation.Reducer
	parts   []segment
	steps   []int // by second: the step
	seq     uint64
}

func (r *reduction) begin(parts []segment, counts []int, discard func(time.Duration) time.Duration) {
	r.parts = parts
	for i, s := range parts {
		// What ends in a pause is of the step before it.
		for k := s.from; k < len(r.steps); k++ {
			r.steps[k] = i
		}
		first, end := whole(counts, s)
		lasts := time.Duration(end-s.from) * time.Second
		// The load is that of the seconds whose responses are kept: a ramp, which is
		// cut into steps too, offers less before.
		if warm := s.from + int(discard(lasts)/time.Second); warm < end {
			first = max(first, warm)
		}
		sum := 0
		for k := first; k < end; k++ {
			sum += counts[k]
		}
		rate := float64(sum) / float64(end-first)
		r.reducer.Begin(observation.StepRecord{
			Index: i, Kind: scenarios.KindLoad, From: rate, To: rate,
			Start: time.Duration(s.from) * time.Second, Lasts: lasts, Discard: discard(lasts),
		})
		r.reducer.End(observation.StepEnd{Index: i, Lasted: lasts})
	}
}

// whole are the seconds of a segment that its load was offered in from begin to end:
// a run begins and ends within a second, may pause between two loads, and changes from
// one to the next within a second. Edges of which the counts are far from the median
// are left out, unless little would remain.
func whole(counts []int, s segment) (from, to int) {
	from, to = s.from, s.to
	sorted := slices.Sorted(slices.Values(counts[from:to]))
	median := float64(sorted[len(sorted)/2])
	// Four standard deviations of a Poisson count, and at least a tenth.
	partial := func(n int) bool { return math.Abs(float64(n)-median) > max(4*math.Sqrt(median), median/10) || n == 0 }
	for to-from > shortest && partial(counts[from]) {
		from++
	}
	for to-from > shortest && partial(counts[to-1]) {
		to--
	}
	return from, to
}

// fill makes a window for each second of ends and each second of starts in it.
func (r *reduction) fill() {
	starts := make([]int64, len(r.log.hits))
	for i, h := range r.log.hits {
		starts[i] = h.start
	}
	slices.Sort(starts)
	begun, ended := 0, 0
	for second := int64(0); ended < len(r.log.hits); second++ {
		edge := r.first + (second+1)*1e6
		from := ended
		for ended < len(r.log.hits) && r.log.hits[ended].end < edge {
			ended++
		}
		for begun < len(starts) && starts[begun] < edge {
			begun++
		}
		r.windows(second, r.log.hits[from:ended], begun-ended)
		if from == ended && begun == ended && begun < len(starts) {
			second = (starts[begun]-r.first)/1e6 - 1 // a pause
		}
		// Past the last start only the drain is left, which ends with the last hit.
		if second > int64(len(r.steps)) && from == ended && ended < len(r.log.hits) {
			second = max(second, (r.log.hits[ended].end-r.first)/1e6-1)
		}
	}
}

// windows adds what ended in one second.
func (r *reduction) windows(second int64, ended []hit, inFlight int) {
	bySecond := map[int]*observation.Window{}
	window := func(k int) *observation.Window {
		w := bySecond[k]
		if w == nil {
			step := r.steps[k]
			w = &observation.Window{
				Step: step, Second: k - r.parts[step].from, At: time.Duration(second+1) * time.Second, Over: time.Second,
				InFlight: inFlight, Requests: map[string]*observation.Tally{},
			}
			bySecond[k] = w
		}
		return w
	}
	window(min(int(second), len(r.steps)-1))
	for _, h := range ended {
		w := window(int((h.start - r.first) / 1e6))
		name := r.log.list[h.name]
		t := w.Requests[name]
		if t == nil {
			t = observation.NewTally()
			w.Requests[name] = t
		}
		class := ""
		if h.class > 0 {
			class = observation.ErrorClasses[h.class-1]
		}
		d := time.Duration(h.end-h.start) * time.Microsecond
		t.Add(d, d, 0, class)
		t.BytesIn += uint64(h.bytes)
		w.Planned++
		w.Sent++
	}
	for _, k := range sorted(bySecond) {
		w := bySecond[k]
		r.seq++
		w.Worker, w.Seq = "log", r.seq
		r.reducer.Add(w)
	}
}

func sorted(m map[int]*observation.Window) []int {
	keys := make([]int, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
