package observation

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// MaxSeconds bounds the seconds that a Reducer keeps apart for one step; a
// longer step keeps wider ones, so that memory stays flat however long it is.
const MaxSeconds = 128

// Reducer merges windows, in any order and each counted once, into points.
// It is not safe for concurrent use.
type Reducer struct {
	steps map[int]*stepSum
	seen  map[string]*seqSet
	order []int
	out   []span // of drill time, kept out of the figures
}

// span is a time from an instant up to, and without, another.
type span struct{ from, until time.Duration }

func (s span) overlaps(from, until time.Duration) bool { return from < s.until && until > s.from }

// stepSum is all that is known of one step.
type stepSum struct {
	rec      StepRecord
	begun    bool
	end      *StepEnd
	width    int               // seconds in one cell
	cells    map[int]*cell     // by second over width, without the discarded seconds
	warm     map[int]*cell     // the discarded seconds
	requests map[string]*Tally // without the discarded seconds
	counts   counts            // of the whole step
	kept     counts            // without the discarded seconds
	served   map[int]*flow     // what ended, by the second of the step it ended in
	samples  map[string]*sampleSum
	captures []Capture
	out      map[int]bool     // seconds that are excluded
	beyond   *cell            // planned after the end, to bridge the time until the next step
	works    map[string]*work // by worker
	lags     map[string]*lagging
	lacked   map[string]uint64 // of the whole step
	young    young
}

// cell holds the hits planned in one cell of width seconds.
type cell struct {
	counts
	tally    *Tally
	requests map[string]*Tally // nil if there is one name only: tally is its
	name     string            // that name
}

// counts are hit counts.
type counts struct{ planned, sent, followed, ok, failed, dropped, waited uint64 }

func (c *counts) add(w *Window) {
	c.planned += w.Planned
	c.sent += w.Sent
	c.followed += w.Followed
	c.dropped += w.Dropped
	c.waited += w.Waited
	for _, t := range w.Requests {
		c.ok += t.OK
		c.failed += t.Failed
	}
}

// open is how many were planned but have not ended.
func (c *counts) open() uint64 { return c.planned - min(c.planned, c.ok+c.failed+c.dropped) }

// flow is what ended in one second of the time that a step was offered in.
type flow struct {
	from, at   time.Duration // when the first of its windows was opened and the last one closed
	ok, failed uint64
	inFlight   map[string]int // by worker, as last told
}

type sampleSum struct {
	weighted, weight float64
	// apart are the readings of which none begins before the last one ended, at until.
	apart struct {
		// mean is weighted with the time of each reading, of which weight is the sum; squares
		// is that of the weighted squares of what lies off it.
		mean, weight, squares float64
		n                     int
		until                 time.Duration
	}
	n, summed int
	unit      string
	// first and limit are the limits at the begin and by now, and how many
	// readings had them.
	first, limit    float64
	atFirst, atLast int
}

// use is what the readings say together. A mean over w seconds has a variance of 1/w of that
// of one second, so that each weighted square has the latter.
func (s *sampleSum) use() Use {
	u := Use{Used: s.weighted / s.weight, Limit: s.limit, LimitBefore: s.before(), Unit: s.unit, Samples: s.n, Summed: s.summed == s.n}
	if u.Summed && s.apart.n > 1 {
		u.Variance, u.Apart = s.apart.squares/float64(s.apart.n-1), s.apart.n
	}
	return u
}

// bound takes in the limit of a reading.
func (s *sampleSum) bound(limit float64) {
	if limit <= 0 {
		return
	}
	if s.first == 0 {
		s.first = limit
	}
	if limit == s.first {
		s.atFirst++
	}
	if limit != s.limit {
		s.limit, s.atLast = limit, 0
	}
	s.atLast++
}

// before is the limit that was replaced by another; 0 if none was. A single
// reading does not count: a use read above its limit hides that limit for once.
func (s *sampleSum) before() float64 {
	if s.first == s.limit || s.atFirst < 2 || s.atLast < 2 {
		return 0
	}
	return s.first
}

// seqSet remembers which numbers were seen: all up to base, and some above.
type seqSet struct {
	base  uint64
	above map[uint64]bool
}

// add reports whether n is new.
func (s *seqSet) add(n uint64) bool {
	if n <= s.base || s.above[n] {
		return false
	}
	s.above[n] = true
	for s.above[s.base+1] {
		s.base++
		delete(s.above, s.base)
	}
	return true
}

// NewReducer returns an empty reducer.
func NewReducer() *Reducer {
	return &Reducer{steps: map[int]*stepSum{}, seen: map[string]*seqSet{}}
}

func (r *Reducer) step(i int) *stepSum {
	s := r.steps[i]
	if s == nil {
		s = &stepSum{rec: StepRecord{Index: i}, width: 1, cells: map[int]*cell{}, warm: map[int]*cell{}, requests: map[string]*Tally{}, served: map[int]*flow{}, samples: map[string]*sampleSum{}, out: map[int]bool{}}
		r.steps[i] = s
		k, _ := slices.BinarySearch(r.order, i)
		r.order = slices.Insert(r.order, k, i)
	}
	return s
}

// Begin tells of a step; windows of it may only come after.
func (r *Reducer) Begin(rec StepRecord) {
	s := r.step(rec.Index)
	s.rec, s.begun = rec, true
	r.mark(s)
}

// End tells how a step ended.
func (r *Reducer) End(e StepEnd) { r.step(e.Index).end = &e }

// maxCaptures bounds the captures that are kept of one step; a session takes a
// few dozen.
const maxCaptures = 1000

// Capture tells of a capture.
func (r *Reducer) Capture(c Capture) {
	if s := r.step(c.Step); len(s.captures) < maxCaptures {
		s.captures = append(s.captures, c)
	}
}

// Add merges one window. It reports false for a window that was already counted
// or that belongs to no step.
func (r *Reducer) Add(w *Window) bool {
	seen := r.seen[w.Worker]
	if seen == nil {
		seen = &seqSet{above: map[uint64]bool{}}
		r.seen[w.Worker] = seen
	}
	if !seen.add(w.Seq) {
		return false
	}
	s := r.steps[w.Step]
	if s == nil || !s.begun {
		return false
	}
	s.counts.add(w)
	r.serve(w)
	if time.Duration(w.Second)*time.Second < s.rec.Discard || r.excluded(s, w.Second, 1) {
		s.lack(w)
		c := s.warm[w.Second]
		if c == nil {
			c = &cell{tally: NewTally()}
			s.warm[w.Second] = c
		}
		s.grow(c, w, false)
		return true
	}
	if time.Duration(w.Second)*time.Second >= s.rec.Lasts && s.rec.Lasts > 0 {
		// Beyond the step's end, only the time until the next one was bridged.
		s.held(w)
		return true
	}
	s.lack(w)
	s.grow(s.cell(w.Second), w, true)
	s.kept.add(w)
	s.lag(w)
	return true
}

// held adds hits that were planned beyond the step's end: they count, but are no
// part of its figures.
func (s *stepSum) held(w *Window) {
	if s.beyond == nil {
		s.beyond = &cell{tally: NewTally()}
	}
	s.beyond.add(w)
}

// serve books what ended under the step that was being offered when it ended.
func (r *Reducer) serve(w *Window) {
	var c counts
	c.add(w)
	for i := len(r.order) - 1; i >= 0; i-- {
		s := r.steps[r.order[i]]
		if !s.begun || w.At <= s.rec.Start+slack && !s.opened(w) {
			continue
		}
		k := int((w.At - s.rec.Start - slack) / time.Second)
		f := s.served[k]
		if f == nil {
			f = &flow{from: w.At - w.Over, inFlight: map[string]int{}}
			s.served[k] = f
		}
		f.from, f.at = min(f.from, w.At-w.Over), max(f.at, w.At)
		f.ok, f.failed = f.ok+c.ok, f.failed+c.failed
		f.inFlight[w.Worker] = w.InFlight
		s.work(w)
		return
	}
}

// opened says that a window was opened since the step began, as it is where the last
// hits of the step before are asked for soon.
func (s *stepSum) opened(w *Window) bool { return w.At-w.Over >= s.rec.Start && w.Over > 0 }

// slack is how much later than planned a window may be closed.
const slack = 100 * time.Millisecond

func (s *stepSum) cell(second int) *cell {
	for second/s.width >= MaxSeconds {
		s.widen()
	}
	c := s.cells[second/s.width]
	if c == nil {
		c = &cell{tally: NewTally()}
		s.cells[second/s.width] = c
	}
	return c
}

// widen doubles the width of the cells.
func (s *stepSum) widen() {
	s.settle()
	s.width *= 2
	wide := map[int]*cell{}
	for i, c := range s.cells {
		if w := wide[i/2]; w != nil {
			w.sum(&c.counts)
			w.merge(c)
		} else {
			wide[i/2] = c
		}
	}
	s.cells = wide
}

func (c *cell) add(w *Window) {
	c.counts.add(w)
	for name, t := range w.Requests {
		c.split(name).Merge(t)
		if c.requests != nil {
			c.tally.Merge(t)
		}
	}
}

// split returns the tally of one name.
func (c *cell) split(name string) *Tally {
	if c.requests == nil {
		if c.name == "" || c.name == name {
			c.name = name
			return c.tally
		}
		first := NewTally()
		first.Merge(c.tally)
		c.requests = map[string]*Tally{c.name: first}
	}
	t := c.requests[name]
	if t == nil {
		t = NewTally()
		c.requests[name] = t
	}
	return t
}

// byName calls do with each name's tally.
func (c *cell) byName(do func(name string, t *Tally)) {
	if c.requests == nil {
		if c.name != "" {
			do(c.name, c.tally)
		}
		return
	}
	for name, t := range c.requests {
		do(name, t)
	}
}

// merge adds the tallies of o, not its counts.
func (c *cell) merge(o *cell) {
	o.byName(func(name string, t *Tally) {
		c.split(name).Merge(t)
		if c.requests != nil {
			c.tally.Merge(t)
		}
	})
}

// Sample adds a reading to the step it was taken in, unless it was taken in the
// part that is discarded as warm-up.
func (r *Reducer) Sample(x Sample) {
	s := r.steps[x.Step]
	if s == nil || !s.begun || x.At-x.Over < s.rec.Start+min(s.rec.Discard, s.rec.Lasts)-slack {
		return
	}
	if s.end != nil && x.At > s.rec.Start+s.end.Lasted+slack {
		return
	}
	sum := s.samples[x.Resource]
	if sum == nil {
		sum = &sampleSum{unit: x.Unit}
		s.samples[x.Resource] = sum
	}
	w := x.Over.Seconds()
	if w > 0 {
		sum.summed++
	} else {
		w = 1
	}
	sum.weighted += x.Used * w
	sum.weight += w
	sum.n++
	sum.bound(x.Limit)
	if a := &sum.apart; x.Over > 0 && (a.n == 0 || x.At-x.Over >= a.until-overlap) {
		a.n++
		a.until = x.At
		a.weight += w
		off := x.Used - a.mean
		a.mean += off * w / a.weight
		a.squares += w * off * (x.Used - a.mean)
	}
}

// overlap is for how long two readings may be of the same time and count as apart.
const overlap = 50 * time.Millisecond

// Unfinished is how many hits of a step were planned but have not ended, as far as
// was told. Those that were planned beyond its end are left out.
func (r *Reducer) Unfinished(step int) uint64 {
	s := r.steps[step]
	if s == nil {
		return 0
	}
	open := s.counts.open()
	if s.beyond != nil {
		open -= min(open, s.beyond.open())
	}
	return open
}

// Points returns a point for each step that has begun, in order. Validity is
// judged by the caller: Valid is true in all of them.
func (r *Reducer) Points() []Point {
	var out []Point
	for _, i := range r.order {
		if r.steps[i].begun {
			out = append(out, r.steps[i].point())
		}
	}
	return out
}

// Point returns the point of one step.
func (r *Reducer) Point(step int) (Point, error) {
	s := r.steps[step]
	if s == nil || !s.begun {
		return Point{}, fmt.Errorf("no step %d", step)
	}
	return s.point(), nil
}

// Record returns what step i was to offer, and how it ended (nil if it did not).
func (r *Reducer) Record(i int) (StepRecord, *StepEnd, []Capture) {
	s := r.step(i)
	return s.rec, s.end, s.captures
}

// Locks returns who waited for locks of the target in step i, the longest wait first, by
// the captures that are the step's own, and for how many seconds that was seen.
func (r *Reducer) Locks(i int) (list []LockWait, seconds float64) { return r.step(i).locks() }

func (s *stepSum) locks() (list []LockWait, over float64) {
	for _, c := range s.captures {
		seconds := (c.To - c.From).Seconds()
		if c.Type != "mutex" || !c.Usable() || c.Source != "" && c.Source != CaptureFetched || len(c.Locks) == 0 || !(seconds > 0) {
			continue
		}
		over += seconds
		for _, w := range c.Locks[:min(len(c.Locks), MaxLocks)] {
			if !w.sane() {
				continue
			}
			k := slices.IndexFunc(list, func(o LockWait) bool { return o.Function == w.Function })
			if k < 0 {
				k, list = len(list), append(list, LockWait{Function: w.Function})
			}
			list[k].Seconds += w.Seconds * seconds
			list[k].Contentions += w.Contentions * seconds
		}
	}
	for k := range list {
		list[k].Seconds, list[k].Contentions = list[k].Seconds/over, list[k].Contentions/over
	}
	slices.SortFunc(list, func(a, b LockWait) int {
		return cmp.Or(cmp.Compare(b.Seconds, a.Seconds), cmp.Compare(a.Function, b.Function))
	})
	return list, over
}

// sane says that figures of a journal, which may be anybody's, can be those of a lock.
func (w *LockWait) sane() bool {
	const most = 1e9 // of anything in a second
	return w.Seconds >= 0 && w.Seconds <= most && w.Contentions >= 0 && w.Contentions <= most && len(w.Function) <= 4096
}

// Totals returns the hits of the whole drill, and the failed ones by class.
func (r *Reducer) Totals() (planned, sent, ok, failed, dropped uint64, errors map[string]uint64) {
	errors = map[string]uint64{}
	for _, s := range r.steps {
		s.settle()
		planned += s.counts.planned
		sent += s.counts.sent
		ok += s.counts.ok
		failed += s.counts.failed
		dropped += s.counts.dropped
		for _, cells := range []map[int]*cell{s.warm, s.cells} {
			for _, c := range cells {
				for class, n := range c.tally.Errors {
					errors[class] += n
				}
			}
		}
		if s.beyond != nil {
			for class, n := range s.beyond.tally.Errors {
				errors[class] += n
			}
		}
	}
	return
}

// Followed is the number of requests that were sent because of redirects, besides
// those that Totals counts as sent.
func (r *Reducer) Followed() uint64 {
	var n uint64
	for _, s := range r.steps {
		n += s.counts.followed
	}
	return n
}

// lasted is how long the step offered load, as far as is known.
func (s *stepSum) lasted() time.Duration {
	if s.end != nil {
		return s.end.Lasted
	}
	last := -1
	for i := range s.cells {
		last = max(last, (i+1)*s.width)
	}
	for i := range s.warm {
		last = max(last, i+1)
	}
	return min(time.Duration(last)*time.Second, s.rec.Lasts)
}

func (s *stepSum) point() Point {
	s.settle()
	lasted := s.lasted()
	discard := min(s.rec.Discard, lasted)
	kept := lasted - discard
	for second := range s.out {
		if at := time.Duration(second) * time.Second; at >= discard && at < lasted {
			kept -= min(time.Second, lasted-at)
		}
	}
	p := Point{
		Step: s.rec.Index, Kind: s.rec.Kind, Valid: true,
		Offered: (s.rec.From + s.rec.To) / 2, Seconds: kept.Seconds(), Discarded: (lasted - kept).Seconds(),
		Users: s.rec.Users, Think: max(s.rec.Think, 0).Seconds(),
		Requests: map[string]Figures{}, Tallies: maps.Clone(s.requests), Resources: map[string]Use{},
	}
	if s.end != nil {
		p.Cut, p.Short = s.end.Cut, s.end.Short
		p.WhyInvalid = slices.Clone(s.end.Invalid)
		p.Valid = len(p.WhyInvalid) == 0
	}
	all := NewTally()
	for name, t := range s.requests {
		p.Requests[name] = figures(t, kept)
		all.Merge(t)
	}
	p.Figures = figures(all, kept)
	p.Sent, p.Dropped, p.Waited = s.kept.sent, s.kept.dropped, s.kept.waited
	p.Lacked = s.lacked
	p.Busiest, p.Busy, p.Given = s.busiest()
	p.Workers, p.Latest = s.latest()
	if served, over := s.rate(discard, lasted); over > 0 {
		p.Throughput = served / over.Seconds()
	}
	if p.Offered == 0 && kept > 0 {
		p.Offered = float64(all.Ended()) / kept.Seconds()
	}
	if kept > 0 {
		p.InFlight = all.Response.Mean() / 1e6 * float64(all.Ended()) / kept.Seconds()
	}
	for name, x := range s.samples {
		p.Resources[name] = x.use()
	}
	p.Windows = s.seconds(s.cells, s.width)
	p.Flow = s.flow()
	p.Locks, p.LockSeconds = s.locks()
	return p
}

// rate returns the hits that ended OK between discard and end of the step, and
// the time they are counted over. Hits of an overloaded step that end after it
// are not throughput.
func (s *stepSum) rate(discard, lasted time.Duration) (ok float64, over time.Duration) {
	from, to := s.rec.Start+discard, s.rec.Start+lasted
	last := from
	skipped := time.Duration(0)
	for k, f := range s.served {
		begin := s.rec.Start + time.Duration(k)*time.Second
		if begin < from || f.at > to+slack {
			continue
		}
		last = max(last, f.at)
		if s.out[k] {
			skipped += time.Second
			continue
		}
		ok += float64(f.ok)
	}
	return ok, last - from - skipped
}

// flow returns what ended, second by second.
func (s *stepSum) flow() []Flow {
	keys := slices.Sorted(maps.Keys(s.served))
	out := make([]Flow, 0, len(keys))
	for _, k := range keys {
		if s.out[k] {
			continue
		}
		f := s.served[k]
		x := Flow{From: (f.from - s.rec.Start).Seconds(), To: (f.at - s.rec.Start).Seconds(), OK: f.ok, Failed: f.failed}
		for _, n := range f.inFlight {
			x.InFlight += n
		}
		out = append(out, x)
	}
	return out
}

// Served returns what ended OK in each second of drill time from the begin of
// the step until the next one began, drain included.
func (r *Reducer) Served(step int) map[int]uint64 {
	out := map[int]uint64{}
	for k, f := range r.step(step).served {
		out[k] = f.ok
	}
	return out
}

// seconds returns cells in order, as seconds of a width.
func (s *stepSum) seconds(cells map[int]*cell, width int) []Second {
	out := make([]Second, 0, len(cells))
	for _, i := range slices.Sorted(maps.Keys(cells)) {
		c := cells[i]
		out = append(out, Second{
			Second: i * width, Width: width, At: s.rec.Start.Seconds() + float64(i*width),
			Planned: c.planned, Dropped: c.dropped, Tally: c.tally, Profiled: s.profiled(i*width, width),
		})
	}
	return out
}

// profiled reports whether a capture was under way in some seconds of the step.
func (s *stepSum) profiled(second, width int) bool {
	from := s.rec.Start + time.Duration(second)*time.Second
	to := from + time.Duration(width)*time.Second
	return slices.ContainsFunc(s.captures, func(c Capture) bool { return c.Profiled(from, to) })
}

// AllSeconds returns every second of a step, warm-up included, in order.
func (r *Reducer) AllSeconds(step int) []Second {
	s := r.step(step)
	s.settle()
	return append(s.seconds(s.warm, 1), s.seconds(s.cells, s.width)...)
}

// figures sums up a tally over a time.
func figures(t *Tally, over time.Duration) Figures {
	f := Figures{
		Sent: t.Ended(), OK: t.OK, Failed: t.Failed,
		Response: QuantilesOf(t.Response), Service: QuantilesOf(t.Service), SendLag: QuantilesOf(t.SendLag),
	}
	if over > 0 {
		f.Throughput = float64(t.OK) / over.Seconds()
	}
	if n := t.Ended(); n > 0 {
		f.ErrorRatio = float64(t.Failed) / float64(n)
	}
	if len(t.Errors) > 0 {
		f.Errors = map[string]uint64{}
		for class, n := range t.Errors {
			f.Errors[class] = n
		}
	}
	return f
}

// QuantilesOf reads the quantiles of a histogram in microseconds; all 0 if it is empty.
func QuantilesOf(h *hdrhistogram.PackedHistogram) Quantiles {
	if h == nil || h.TotalCount() == 0 {
		return Quantiles{}
	}
	v := h.ValueAtPercentilesSlice([]float64{50, 90, 95, 99, 99.9})
	ms := func(us int64) float64 { return float64(us) / 1000 }
	return Quantiles{Mean: h.Mean() / 1000, P50: ms(v[0]), P90: ms(v[1]), P95: ms(v[2]), P99: ms(v[3]), P999: ms(v[4]), Max: ms(h.Max())}
}
