package capacity

import (
	"math"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/loadgen/search"
)

// Bins of response time, in microseconds: each is binRatio times the one before,
// so a quantile is known to 2% before it is interpolated inside its bin.
const (
	binRatio = 1.02
	maxBin   = 1100 // 1.02^1100 us is 48 min, more than a histogram holds
)

// Bounds of a load in requests/s and of the length of a step in seconds: points
// from a table may hold anything, and beyond these sums lose their digits.
const (
	lowestLoad  = 1e-6
	highestLoad = 1e9
	longestStep = 1e7
)

var logBin = math.Log(binRatio)

// series is a step as the laws read it: its windows re-binned once, so that a
// replicate costs additions only.
type series struct {
	point *observation.Point
	// load is the offered load as it came out, in requests/s: of a log, Poisson arrivals
	// of 400/s over 8 s vary by 7/s, of a drill by half of that outside the warm-up, and what
	// was really offered is known.
	load    float64
	seconds float64
	windows []window
	first   int // bin of windows[i].bins[0]
	// apart is by how much (in logs) responses differ from step to step beyond chance.
	apart float64
	// table stands for the windows of a point that has none.
	table window
}

// window is one second of a step.
type window struct {
	begin, width float64 // s, from the begin of the step
	planned      float64
	ok, failed   float64
	sum          float64 // of response times, ms
	slowest      float64 // ms
	bins         []float64
	// cuts are the quantiles that are known, ascending: between them the bins are imagined.
	// nil where each response was counted, and not nil where none is known.
	cuts []cut
}

// cut says which share of the hits lies below a place, in bins and parts of them.
type cut struct{ at, share float64 }

func (w *window) ended() float64 { return w.ok + w.failed }

// digest re-bins the points that say something about the target.
func digest(points []observation.Point) []series {
	use := search.Usable(points)
	all := make([]series, 0, len(use))
	for i := range use {
		if s := rebin(&use[i]); s.load >= lowestLoad && s.load <= highestLoad {
			all = append(all, s)
		}
	}
	pastThePeak(all)
	return all
}

// pastThePeak takes rows of a table of users, each of whom waits for an answer, for what they are
// where more in flight get less served: an overload. What they offer is what is served then, and
// would be a lower load with longer responses; they count as a load that has as many times as much
// in flight as the greatest that was served. Such a table has ever more in flight from row to row,
// and what is served rises to a peak and falls twice at least: one of loads that were offered has
// not, where a row had a bad moment.
func pastThePeak(all []series) {
	peak, falls := 0, 0
	for i := range all {
		s := &all[i]
		if len(s.point.Windows) > 0 || !(s.point.InFlight > 0) || i > 0 && s.point.InFlight <= all[i-1].point.InFlight {
			return
		}
		switch x := s.point.Throughput; {
		case falls == 0 && x >= all[peak].point.Throughput:
			peak = i
		case x <= lessServed*all[i-1].point.Throughput:
			falls++
		default:
			return
		}
	}
	if falls < 2 {
		return
	}
	for i := range all[peak+1:] {
		if s := &all[peak+1+i]; s.load < all[peak].load {
			s.load = all[peak].load * s.point.InFlight / all[peak].point.InFlight
		}
	}
}

// lessServed is the share of what a row served below which the next one serves less.
const lessServed = 0.98

func rebin(p *observation.Point) series {
	s := series{point: p, load: p.Offered, seconds: p.Seconds}
	low, high := span(p.Windows)
	s.first = low
	planned, before := 0.0, 0.0 // before: width of all windows but the last
	for _, second := range p.Windows {
		if second.Tally == nil {
			continue
		}
		w := window{
			begin: float64(second.Second), width: float64(max(second.Width, 1)),
			planned: float64(second.Planned), ok: float64(second.Tally.OK), failed: float64(second.Tally.Failed),
		}
		w.planned = max(w.planned, w.ended())
		planned += w.planned
		if n := len(s.windows); n > 0 {
			before += s.windows[n-1].width
		}
		w.fill(second.Tally, low, high)
		s.windows = append(s.windows, w)
	}
	if cut := settled(s.windows); cut > 0 {
		for _, w := range s.windows[:cut] {
			planned, before, s.seconds = planned-w.planned, before-w.width, s.seconds-w.width
		}
		s.windows = s.windows[cut:]
	}
	n := len(s.windows)
	if n == 0 {
		s.table, s.first = imagined(p)
	}
	known := s.seconds > 0 && s.seconds <= longestStep
	if n == 0 {
		if !known {
			s.seconds = 1
		}
		return s
	}
	if !known {
		s.seconds = before + s.windows[n-1].width
	}
	if rest := s.seconds - before; rest > 0 && rest < s.windows[n-1].width {
		s.windows[n-1].width = rest // cut in the middle of a second
	}
	// Trust the count unless it is so far from the plan that windows are missing: of a log,
	// counts vary as those of Poisson arrivals do.
	if real := planned / s.seconds; math.Abs(real-s.load) < 5*math.Sqrt(s.load/s.seconds) {
		s.load = real
	}
	return s
}

// span returns the lowest and highest bin that the windows fill.
func span(windows []observation.Second) (low, high int) {
	low, high = maxBin, 0
	for _, w := range windows {
		if w.Tally == nil || w.Tally.Response == nil {
			continue
		}
		for value := range w.Tally.Response.ForEachBucket {
			b := binOf(float64(value))
			low, high = min(low, b), max(high, b)
		}
	}
	return min(low, high), high
}

func (w *window) fill(t *observation.Tally, low, high int) {
	w.bins = make([]float64, high-low+1)
	if t.Response == nil {
		return
	}
	for value, count := range t.Response.ForEachBucket {
		n := float64(count)
		w.bins[binOf(float64(value))-low] += n
		w.sum += n * float64(value) / 1000
		w.slowest = max(w.slowest, float64(value)/1000)
	}
}

func binOf(micros float64) int {
	if micros <= 1 {
		return 0
	}
	return min(int(math.Log(micros)/logBin), maxBin)
}

// binAt is where a time in us lies, in bins and parts of them.
func binAt(micros float64) float64 {
	return min(max(math.Log(max(micros, 1))/logBin, 0), maxBin+1)
}

// quantile returns the response time in ms below which share q of the binned
// hits lie, interpolated inside the bin; NaN without hits.
func quantile(bins []float64, first int, q float64) float64 {
	total := 0.0
	for _, n := range bins {
		total += n
	}
	if total <= 0 {
		return math.NaN()
	}
	above := (1 - q) * total
	sum := 0.0
	for i := len(bins) - 1; i >= 0; i-- {
		if sum+bins[i] >= above && bins[i] > 0 {
			inside := 1 - (above-sum)/bins[i]
			return math.Exp((float64(first+i)+inside)*logBin) / 1000
		}
		sum += bins[i]
	}
	return math.Exp(float64(first)*logBin) / 1000
}
