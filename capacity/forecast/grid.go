package forecast

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

const (
	hour    = time.Hour
	day     = 24 * time.Hour
	week    = 7 * day
	longest = 5 * 366 * day
)

// grid is a history on a grid of the wall clock: one value for each hour, or each
// day. NaN is a gap.
type grid struct {
	zone   *time.Location
	step   time.Duration // hour or day
	season int           // cells in a week
	begin  int           // number of the first cell, counted from 1970 by the wall clock
	values []float64
	gaps   int
	notes  []string
}

// ErrShort is returned for a history of less than a week.
var ErrShort = errors.New("the history is shorter than a week")

// ErrOneWeek is returned for a history in which hardly an hour was read a week apart: nothing
// shows how far one week is from the next, and a forecast would have no interval.
var ErrOneWeek = errors.New("hardly more than one week of history: nothing shows how far a week is from the next; two weeks do")

// newGrid puts readings onto a grid. Of several in one cell the highest counts:
// capacity is held against peaks.
func newGrid(readings []Reading, zone *time.Location) (*grid, error) {
	all := slices.Clone(readings)
	sorted := slices.IsSortedFunc(all, func(a, b Reading) int { return a.At.Compare(b.At) })
	slices.SortStableFunc(all, func(a, b Reading) int { return a.At.Compare(b.At) })
	if len(all) < 2 {
		return nil, ErrShort
	}
	span := all[len(all)-1].At.Sub(all[0].At)
	if span > longest {
		return nil, fmt.Errorf("the history spans %d years; five are enough, and more is a mistake in a time", int(span/(366*day)))
	}
	g := &grid{zone: zone}
	if !sorted {
		g.notes = append(g.notes, "the readings were not in order; they were sorted")
	}
	if err := g.resolve(all); err != nil {
		return nil, err
	}
	g.begin = g.cell(all[0].At)
	last := g.begin
	for _, x := range all { // clocks go back, by three hours in places
		g.begin, last = min(g.begin, g.cell(x.At)), max(last, g.cell(x.At))
	}
	g.values = make([]float64, last-g.begin+1)
	for i := range g.values {
		g.values[i] = math.NaN()
	}
	twice := 0
	for i, x := range all {
		if i > 0 && x.At.Equal(all[i-1].At) && math.Abs(x.RPS-all[i-1].RPS) > 0.01*max(x.RPS, all[i-1].RPS) {
			twice++
		}
		v := &g.values[g.cell(x.At)-g.begin]
		if math.IsNaN(*v) || x.RPS > *v {
			*v = x.RPS
		}
	}
	if twice > 0 {
		g.notes = append(g.notes, fmt.Sprintf("%d times have another load besides: the higher counts; hint: add up what instances share", twice))
	}
	if len(g.values) < g.season {
		return nil, ErrShort
	}
	for _, v := range g.values {
		if math.IsNaN(v) {
			g.gaps++
		}
	}
	if share := float64(g.gaps) / float64(len(g.values)); share > 0.4 {
		return nil, fmt.Errorf("%.0f%% of the %ss have no reading: too many gaps to forecast over", 100*share, g.unit())
	}
	return g, nil
}

// resolve chooses hours or days, by the usual distance of readings.
func (g *grid) resolve(all []Reading) error {
	var distances []time.Duration
	for i := 1; i < len(all); i++ {
		if d := all[i].At.Sub(all[i-1].At); d > 0 {
			distances = append(distances, d)
		}
	}
	if len(distances) == 0 {
		return ErrShort
	}
	slices.Sort(distances)
	switch usual := distances[len(distances)/2]; {
	case usual <= hour+5*time.Minute:
		g.step, g.season = hour, 7*24
	case usual <= day+hour:
		g.step, g.season = day, 7
		if usual > hour+5*time.Minute && usual < 20*hour {
			g.notes = append(g.notes, fmt.Sprintf("readings are %s apart: days are forecast, by the highest reading of each", usual.Round(time.Minute)))
		}
	default:
		return fmt.Errorf("readings are %s apart: a weekly season needs one a day at least", usual.Round(hour))
	}
	return nil
}

func (g *grid) unit() string {
	if g.step == day {
		return "day"
	}
	return "hour"
}

// cell numbers a time by the wall clock of the zone: an hour that summer time
// leaves out is a gap, and one that comes twice is one cell.
func (g *grid) cell(t time.Time) int {
	t = t.In(g.zone)
	days := int(time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC).Unix() / 86400)
	if g.step == day {
		return days
	}
	return days*24 + t.Hour()
}

// time is when a cell begins.
func (g *grid) time(cell int) time.Time {
	days, hours := cell, 0
	if g.step == hour {
		days, hours = cell/24, cell%24
	}
	return time.Date(1970, 1, 1+days, hours, 0, 0, 0, g.zone)
}

// weeks is how many whole weeks there are.
func (g *grid) weeks() int { return len(g.values) / g.season }

// apart counts the cells that were read a week before too.
func (g *grid) apart() int {
	n := 0
	for i := g.season; i < len(g.values); i++ {
		if !math.IsNaN(g.values[i] - g.values[i-g.season]) {
			n++
		}
	}
	return n
}

// filled returns the values with gaps filled by the mean of the same cell of the
// weeks around, for what needs a number; the fit itself skips gaps.
func (g *grid) filled() []float64 {
	out := slices.Clone(g.values)
	for i, v := range g.values {
		if !math.IsNaN(v) {
			continue
		}
		sum, n := 0.0, 0.0
		for k := i % g.season; k < len(g.values); k += g.season {
			if w := g.values[k]; !math.IsNaN(w) {
				weight := 1 / math.Abs(float64(k-i))
				sum, n = sum+weight*w, n+weight
			}
		}
		if n == 0 {
			out[i] = g.around(i)
			continue
		}
		out[i] = sum / n
	}
	return out
}

// around is the nearest value, for a cell of the week that was never read.
func (g *grid) around(i int) float64 {
	for d := 1; d < len(g.values); d++ {
		for _, k := range []int{i - d, i + d} {
			if k >= 0 && k < len(g.values) && !math.IsNaN(g.values[k]) {
				return g.values[k]
			}
		}
	}
	return 0
}

// daily are the mean loads of whole days, NaN for one without readings; a day is perDay
// cells.
func (g *grid) daily() (means []float64, perDay int) {
	perDay = g.season / 7
	for at := 0; at+perDay <= len(g.values); at += perDay {
		sum, n := 0.0, 0.0
		for _, v := range g.values[at : at+perDay] {
			if !math.IsNaN(v) {
				sum, n = sum+v, n+1
			}
		}
		means = append(means, sum/n)
	}
	return means, perDay
}

const (
	// steep is the ratio of a day to the same day a week before from which a load has changed
	// at once, if a week of them shows it and others change by much less.
	steep = 1.4
	// settledFor is how many days must have come since for a forecast to rest on them.
	settledFor = 14
)

// shifted is the last cell from which the load stayed at so many times what it was a week
// before; by is 0 where it grew gently, went back, or did not change at all.
func (g *grid) shifted() (at int, by float64) {
	means, perDay := g.daily()
	changes := make([]float64, len(means)) // logs, NaN in the first week
	var sizes []float64
	for k := range means {
		changes[k] = math.NaN()
		if k < 7 {
			continue
		}
		changes[k] = math.Log(means[k] / means[k-7])
		if !math.IsNaN(changes[k]) {
			sizes = append(sizes, math.Abs(changes[k]))
		}
	}
	if len(sizes) < 21 {
		return 0, 0
	}
	slices.Sort(sizes)
	least := max(math.Log(steep), 3*sizes[len(sizes)/2])
	for day := len(means) - 7; day >= 7; day-- {
		sum, up, down := 0.0, 0, 0
		for _, c := range changes[day : day+7] {
			sum += c
			switch {
			case c > least:
				up++
			case c < -least:
				down++
			}
		}
		if (up == 7 || down == 7) && !math.IsInf(sum, 0) && stayed(means, day, sum/7) {
			return g.begin + day*perDay, math.Exp(sum / 7)
		}
	}
	return 0, 0
}

// stayed says that the week before a day was like the one before it, and that each week
// since was nearer to the new level than to the old, by so much in logs.
func stayed(means []float64, day int, by float64) bool {
	moved := func(from, to int) float64 {
		sum := 0.0
		for k := range 7 {
			sum += math.Log(means[to+k]/means[from+k]) / by / 7
		}
		return sum
	}
	if day >= 14 && !(math.Abs(moved(day-14, day-7)) < 0.5) {
		return false
	}
	for from := day; from+7 <= len(means); from += 7 {
		if !(moved(day-7, from) > 0.5) {
			return false
		}
	}
	return true
}

// since is the grid from a cell on.
func (g *grid) since(cell int) *grid {
	later := *g
	later.values, later.begin, later.gaps = g.values[cell-g.begin:], cell, 0
	for _, v := range later.values {
		if math.IsNaN(v) {
			later.gaps++
		}
	}
	return &later
}

// A reading far from those of the same hour in the weeks around is an outlier: by a ratio
// of odd at least, and by six standard deviations of such ratios. Those
// of a few days that are over are left out; what lasts, or goes on at the end, is the load.
const (
	odd        = 1.6
	oddWeeks   = 4 // on each side
	joinedBy   = 36 * hour
	oddLasts   = 4 * day
	oddAllowed = 0.05
)

// outlying is a stretch of a few days in which readings were outliers.
type outlying struct {
	from, to int // cells of values
	// ratio is that of its furthest reading to what is usual.
	ratio float64
	cells []int
}

// outliers are the stretches to leave out.
func (g *grid) outliers() []outlying {
	ratios := g.unusual()
	var sizes []float64
	for _, r := range ratios {
		if r != 0 {
			sizes = append(sizes, math.Abs(r))
		}
	}
	if len(sizes) < 3*g.season {
		return nil
	}
	slices.Sort(sizes)
	limit := max(6*1.4826*sizes[len(sizes)/2], math.Log(odd))
	var all []outlying
	count := 0
	for i, r := range ratios {
		if math.Abs(r) <= limit {
			continue
		}
		count++
		if n := len(all) - 1; n >= 0 && time.Duration(i-all[n].to)*g.step < joinedBy {
			all[n].to = i
			all[n].cells = append(all[n].cells, i)
			if math.Abs(r) > math.Abs(math.Log(all[n].ratio)) {
				all[n].ratio = math.Exp(r)
			}
			continue
		}
		all = append(all, outlying{from: i, to: i, ratio: math.Exp(r), cells: []int{i}})
	}
	if float64(count) > oddAllowed*float64(len(ratios)) {
		return nil
	}
	return slices.DeleteFunc(all, func(o outlying) bool {
		return time.Duration(o.to-o.from+1)*g.step > oddLasts || time.Duration(len(g.values)-1-o.to)*g.step < day
	})
}

// unusual are the logs of the ratio of each value to the median of the same hour in the
// weeks around; 0 where that is not known, or hardly any load.
func (g *grid) unusual() []float64 {
	sum, n := 0.0, 0.0
	for _, v := range g.values {
		if !math.IsNaN(v) {
			sum, n = sum+v, n+1
		}
	}
	ratios := make([]float64, len(g.values))
	for i, v := range g.values {
		var others []float64
		for k := -oddWeeks; k <= oddWeeks; k++ {
			if j := i + k*g.season; k != 0 && j >= 0 && j < len(g.values) && !math.IsNaN(g.values[j]) {
				others = append(others, g.values[j])
			}
		}
		if slices.Sort(others); math.IsNaN(v) || len(others) < 3 {
			continue
		}
		if usual := others[len(others)/2]; usual > 0.05*sum/n {
			ratios[i] = math.Log(max(v, 1e-3*usual) / usual)
		}
	}
	return ratios
}

// without is the grid with gaps in the place of outliers.
func (g *grid) without(all []outlying) *grid {
	rest := *g
	rest.values = slices.Clone(g.values)
	for _, o := range all {
		for _, i := range o.cells {
			rest.values[i] = math.NaN()
		}
	}
	return &rest
}
