package reports

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
	"sort"
	"strconv"
)

// mostSeconds bounds the chart over time. A longer drill is shown by the worst
// second of each stretch, since quantiles must not be averaged.
const mostSeconds = 2400

// number is a figure of a chart: four significant digits, which is more than a
// pixel, and null if it is not finite.
type number float64

func (n number) MarshalJSON() ([]byte, error) {
	v := float64(n)
	if !finite(v) {
		return []byte("null"), nil
	}
	return strconv.AppendFloat(nil, v, 'g', 5, 64), nil
}

// chartData is what the page's script draws; see web/src for its use.
type chartData struct {
	Load     *loadData    `json:"load,omitempty"`
	Limits   []limitData  `json:"limits,omitempty"`
	Capacity *markData    `json:"capacity,omitempty"`
	Time     *timeData    `json:"time,omitempty"`
	Flames   []*flameData `json:"flames,omitempty"`
}

// loadData holds one entry for each step but the warm-up, by load.
type loadData struct {
	Unit       string      `json:"unit"` // req/s or users
	X          []number    `json:"x"`
	Step       []int       `json:"step"`
	Valid      []bool      `json:"valid"`
	P50        []number    `json:"p50"`
	P90        []number    `json:"p90"`
	P99        []number    `json:"p99"`
	Throughput []number    `json:"throughput"`
	Resources  []shareData `json:"resources"`
}

// known is a quantile of a step in ms, none where a table does not have it.
func known(ms float64, s *Step) number {
	if absent(ms, s) {
		return number(math.NaN())
	}
	return number(ms)
}

// shareData is the use of a resource as a ratio of its limit, null where it was
// not read.
type shareData struct {
	Name  string   `json:"name"`
	Share []number `json:"share"`
}

// limitData is an objective of the response time.
type limitData struct {
	Text string `json:"text"`
	MS   number `json:"ms"`
}

// markData is where the capacity lies.
type markData struct {
	Value number `json:"value"`
	Low   number `json:"low"`
	High  number `json:"high"`
	Bound string `json:"bound"`
	// X and P99 are the response that is predicted, in requests/s and ms.
	X   []number `json:"x,omitempty"`
	P99 []number `json:"p99,omitempty"`
}

type timeData struct {
	T     []number   `json:"t"`
	P50   []number   `json:"p50"`
	P99   []number   `json:"p99"`
	Bands []bandData `json:"bands"`
	// Every is how many seconds one entry stands for.
	Every int `json:"every"`
}

// bandData is a stretch of the time axis: a step, with its warm-up first.
type bandData struct {
	Label     string `json:"label"`
	From      number `json:"from"`
	Warm      number `json:"warm"` // the warm-up ends here
	To        number `json:"to"`
	Valid     bool   `json:"valid"`
	Discarded bool   `json:"discarded"` // all of it
}

func chartsOf(r *Run) chartData {
	d := chartData{Load: loadOf(r), Time: timeOf(r), Flames: flamesOf(r)}
	for _, o := range r.Objectives {
		if o.Unit == "ms" && o.Threshold > 0 && finite(o.Threshold) {
			d.Limits = append(d.Limits, limitData{Text: spaced(o.Text), MS: number(o.Threshold)})
		}
	}
	if c := r.Capacity; c != nil && !figureless(r) {
		d.Capacity = &markData{Value: number(c.RPS.Value), Low: number(c.RPS.Low), High: number(c.RPS.High), Bound: clean(c.Bound)}
		for _, p := range c.Curve {
			d.Capacity.X, d.Capacity.P99 = append(d.Capacity.X, number(p.RPS)), append(d.Capacity.P99, number(p.P99))
		}
		switch c.Bound {
		case "below":
			d.Capacity.Value = number(bound(c.RPS.High, c.RPS.Value))
		case "above":
			d.Capacity.Value = number(bound(c.RPS.Low, c.RPS.Value))
		}
	}
	return d
}

// loadOf is nil if fewer than two loads were offered: there is no curve then.
func loadOf(r *Run) *loadData {
	var steps []*Step
	users := false
	for i := range r.Steps {
		if s := &r.Steps[i]; measured(s) {
			steps = append(steps, s)
			users = users || s.Users > 0
		}
	}
	x := func(s *Step) float64 {
		if users {
			return float64(s.Users)
		}
		return s.OfferedRPS
	}
	steps = slices.DeleteFunc(steps, func(s *Step) bool { return !finite(x(s)) })
	sort.SliceStable(steps, func(i, j int) bool { return x(steps[i]) < x(steps[j]) })
	if len(steps) == 0 || x(steps[0]) == x(steps[len(steps)-1]) {
		return nil
	}
	d := &loadData{Unit: "req/s"}
	if users {
		d.Unit = "users"
	}
	limited, _ := resourceNames(r)
	for _, name := range limited {
		d.Resources = append(d.Resources, shareData{Name: clean(name)})
	}
	for _, s := range steps {
		d.X = append(d.X, number(x(s)))
		d.Step = append(d.Step, s.Index)
		d.Valid = append(d.Valid, s.Valid)
		d.P50 = append(d.P50, known(s.Response.P50, s))
		d.P90 = append(d.P90, known(s.Response.P90, s))
		d.P99 = append(d.P99, number(s.Response.P99))
		d.Throughput = append(d.Throughput, number(s.ThroughputRPS))
		for i, name := range limited {
			v, ok := share(s.Resources[name])
			if !ok {
				v = math.NaN()
			}
			d.Resources[i].Share = append(d.Resources[i].Share, number(v))
		}
	}
	return d
}

func timeOf(r *Run) *timeData {
	ticks := slices.DeleteFunc(slices.Clone(r.Timeline), func(t Tick) bool { return !finite(t.T) })
	if len(ticks) < 2 {
		return nil
	}
	sort.SliceStable(ticks, func(i, j int) bool { return ticks[i].T < ticks[j].T })
	d := &timeData{Every: (len(ticks) + mostSeconds - 1) / mostSeconds, Bands: bandsOf(r, ticks)}
	for _, t := range worstOf(ticks, d.Every) {
		d.T = append(d.T, number(t.T))
		p50, p99 := t.P50, t.P99
		if p99 <= 0 { // nothing ended in this second
			p50, p99 = math.NaN(), math.NaN()
		}
		d.P50 = append(d.P50, number(p50))
		d.P99 = append(d.P99, number(p99))
	}
	return d
}

// worstOf keeps of every so many seconds the one with the highest p99.
func worstOf(ticks []Tick, every int) []Tick {
	if every <= 1 {
		return ticks
	}
	var out []Tick
	for chunk := range slices.Chunk(ticks, every) {
		out = append(out, slices.MaxFunc(chunk, func(a, b Tick) int {
			switch {
			case a.P99 < b.P99:
				return -1
			case a.P99 > b.P99:
				return 1
			}
			return 0
		}))
	}
	return out
}

func bandsOf(r *Run, ticks []Tick) []bandData {
	steps := map[int]*Step{}
	for i := range r.Steps {
		steps[r.Steps[i].Index] = &r.Steps[i]
	}
	var bands []bandData
	last := -1
	for _, t := range ticks {
		s := steps[t.Step]
		if s == nil {
			last = -1
			continue
		}
		if last != t.Step {
			bands = append(bands, bandData{Label: bandLabel(s), From: number(t.T), Warm: number(t.T), Valid: s.Valid, Discarded: true})
			last = t.Step
		}
		b := &bands[len(bands)-1]
		b.To = number(t.T + 1)
		switch {
		case !t.Discarded:
			b.Discarded = false
		case b.Discarded:
			b.Warm = b.To
		}
	}
	return bands
}

func bandLabel(s *Step) string {
	if s.Users > 0 {
		return plural(s.Users, "user")
	}
	return perSecond(s.OfferedRPS) + "/s"
}

// scriptJSON encodes v for a <script type="application/json">: encoding/json
// escapes <, >, & and the two line separators of JavaScript, so that nothing in
// v can end the element or begin another.
func scriptJSON(v any) (string, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(true)
	if err := e.Encode(v); err != nil {
		return "", err
	}
	return b.String(), nil
}
