package scoreboard

import (
	"fmt"
	"io"
	"math"
	"slices"
	"sync"

	"github.com/headroom-project/headroom/capacity"
)

// Result is how the model did on one system.
type Result struct {
	Family string
	// Found says that a capacity was predicted; else the steps did not show one,
	// and the model said so.
	Found bool
	// Off are |predicted/true - 1| of the capacity: the model's, plain USL's and
	// the straight line's; P99 the mean of that of the response at unseen loads.
	Off, P99 [3]float64
	// Right says that the first bottleneck is the true one, and Ambiguous that
	// none was called.
	Right, Ambiguous bool
	// Covered says that the interval holds the truth, Width is its relative width.
	Covered bool
	Width   float64
	Score   capacity.Score
	// Text is for those who want to know why.
	Text string
}

// none is what a method is off by that sees no crossing at all.
const none = 9.99

// Try drills a system below a share of its saturation and scores what is predicted.
func (s *System) Try(share float64, seed uint64) Result {
	return s.score(s.Drill(share, seed), seed)
}

// score says how well the model predicts from a drill.
func (s *System) score(d Drill, seed uint64) Result {
	a := capacity.Analyse(d.Points, capacity.Spec{Objectives: s.Objectives, Seed: seed})
	r := Result{Family: s.Family, Off: [3]float64{none, none, none}, P99: [3]float64{none, none, none}}
	if c := a.Capacity; c != nil && c.Bound == capacity.Predicted {
		v := c.Value
		r.Found, r.Off[0] = true, off(v.Value, s.Capacity)
		r.Covered, r.Width = v.Low <= s.Capacity && s.Capacity <= v.High, (v.High-v.Low)/v.Value
		r.Score, _ = a.Score(s.Capacity)
		r.P99[0] = s.unseen(func(load float64) float64 { return a.Response.Quantile(load, 0.99) })
		r.Text = fmt.Sprintf("%.4g (%.4g-%.4g), ", v.Value, v.Low, v.High)
	}
	r.baselines(s, d)
	r.blame(s, a.Saturation)
	r.Text += fmt.Sprintf("%d steps up to %.4g/s; %v", len(d.Points), highest(d), s)
	return r
}

// Reduced is the drill as a table of another tool would hold it: quantiles in the place
// of histograms and, if bare, no resources.
func (d Drill) Reduced(bare bool) Drill {
	points := slices.Clone(d.Points)
	for i := range points {
		points[i].Windows, points[i].Flow = nil, nil
		if bare {
			points[i].Resources = nil
		}
	}
	return Drill{Points: points, Clock: d.Clock, Final: d.Final}
}

func highest(d Drill) (top float64) {
	for _, p := range d.Points {
		top = max(top, p.Offered)
	}
	return top
}

func off(predicted, truth float64) float64 {
	if e := math.Abs(predicted/truth - 1); e < none {
		return e
	}
	return none
}

func (s *System) unseen(at func(load float64) float64) float64 {
	sum := 0.0
	for i, load := range s.Unseen {
		sum += off(at(load), s.P99[i])
	}
	return sum / float64(len(s.Unseen))
}

func (r *Result) baselines(s *System, d Drill) {
	l := newLine(d.Points)
	all := []curve{l}
	if u, ok := newPlainUSL(d.Points); ok {
		all = []curve{u, l}
	}
	for i, c := range all {
		at := 3 - len(all) + i
		r.Off[at] = off(c.reaches(s.Objectives[0].Value), s.Capacity)
		r.P99[at] = s.unseen(c.at)
	}
}

// sure is the probability below which a bottleneck is called ambiguous.
const sure = 0.9

func (r *Result) blame(s *System, x *capacity.Saturation) {
	if x == nil || len(x.Bottlenecks) == 0 {
		r.Ambiguous = true
		return
	}
	first := x.Bottlenecks[0]
	r.Ambiguous = first.Probability < sure
	r.Right = first.Resource == s.Bottleneck
	r.Text += fmt.Sprintf("first %s (%.2f) at %.4g; ", first.Resource, first.Probability, first.RPS)
}

// Trial is what was predicted from one drill: from all that it left behind, from a table
// of its quantiles and resources, and from its quantiles alone.
type Trial struct{ Whole, Table, Bare Result }

// Run proves and tries systems at each share, on so many goroutines. Trials are by share,
// in the order of the systems; tables are tried of every one of so many systems, of none
// for 0.
func Run(systems []*System, seed uint64, shares []float64, tables, workers int) [][]Trial {
	trials := make([][]Trial, len(shares))
	for k := range trials {
		trials[k] = make([]Trial, len(systems))
	}
	each(len(systems), workers, func(i int) {
		own := ownSeed(seed, i)
		systems[i].Prove(own)
		for k, share := range shares {
			d := systems[i].Drill(share, own+uint64(k))
			t := &trials[k][i]
			t.Whole = systems[i].score(d, own+uint64(k))
			if tables > 0 && i/len(families)%tables == 0 {
				t.Table = systems[i].score(d.Reduced(false), own+uint64(k))
				t.Bare = systems[i].score(d.Reduced(true), own+uint64(k))
			}
		}
	})
	return trials
}

// each calls do with 0 to n-1, on so many goroutines, and returns when all are done.
func each(n, workers int, do func(i int)) {
	next := make(chan int)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := range next {
				do(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
}

// whole are the results of all that drills left behind.
func whole(trials []Trial) []Result {
	return results(trials, func(t Trial) Result { return t.Whole })
}

// results picks one of each trial, those that were not made left out.
func results(trials []Trial, pick func(Trial) Result) (list []Result) {
	for _, t := range trials {
		if r := pick(t); r.Family != "" {
			list = append(list, r)
		}
	}
	return list
}

// ownSeed is that of the i-th system of a seed.
func ownSeed(seed uint64, i int) uint64 { return seed*1_000_003 + uint64(i) }

// Summary sums up results of one family, or of all.
type Summary struct {
	N, Found                int
	Median, Tenth           [3]float64 // of Off
	P99                     [3]float64 // mean
	Right, Ambiguous, Holds float64    // shares
	Width                   float64    // median
}

// Summarise sums up the results that keep keeps. Errors, coverage and width are of
// the systems for which a capacity was predicted, the same for all three methods.
func Summarise(results []Result, keep func(Result) bool) Summary {
	var s Summary
	var errors [3][]float64
	var widths []float64
	for _, r := range results {
		if !keep(r) {
			continue
		}
		s.N++
		switch {
		case r.Ambiguous:
			s.Ambiguous++
		case r.Right:
			s.Right++
		}
		if !r.Found {
			continue
		}
		s.Found++
		for k := range errors {
			errors[k] = append(errors[k], r.Off[k])
			s.P99[k] += r.P99[k]
		}
		if r.Covered {
			s.Holds++
		}
		widths = append(widths, r.Width)
	}
	s.Right, s.Ambiguous = s.Right/float64(s.N), s.Ambiguous/float64(s.N)
	s.Holds /= float64(s.Found)
	for k := range errors {
		s.Median[k], s.Tenth[k] = quantile(errors[k], 0.5), quantile(errors[k], 0.9)
		s.P99[k] /= float64(s.Found)
	}
	s.Width = quantile(widths, 0.5)
	return s
}

func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	slices.Sort(values)
	return values[min(int(q*float64(len(values))), len(values)-1)]
}

// Table writes the summary of each family and of all.
func Table(w io.Writer, results []Result) {
	head(w)
	for _, f := range families {
		Summarise(results, func(r Result) bool { return r.Family == f.name }).row(w, f.name)
	}
	Summarise(results, func(Result) bool { return true }).row(w, "**all**")
}

// Tables writes the summary of what was predicted from tables of quantiles.
func Tables(w io.Writer, trials []Trial) {
	head(w)
	all := func(Result) bool { return true }
	Summarise(results(trials, func(t Trial) Result { return t.Table }), all).row(w, "quantiles and resources")
	Summarise(results(trials, func(t Trial) Result { return t.Bare }), all).row(w, "quantiles alone")
}

func head(w io.Writer) {
	fmt.Fprintln(w, "| systems | n | predicted | capacity: median | 90th | USL | line | p99: mean | USL | line | bottleneck right | ambiguous | wrong | interval holds the truth | its width |")
	fmt.Fprintln(w, "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
}

func (s Summary) row(w io.Writer, name string) {
	percent := func(v float64) string {
		switch {
		case math.IsNaN(v):
			return "-"
		case v >= none:
			return "none"
		case v >= 0.1:
			return fmt.Sprintf("%.0f%%", 100*v)
		}
		return fmt.Sprintf("%.1f%%", 100*v)
	}
	share := func(v float64) string {
		if math.IsNaN(v) {
			return "-"
		}
		return fmt.Sprintf("%.0f%%", 100*v)
	}
	fmt.Fprintf(w, "| %s | %d | %d | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", name, s.N, s.Found,
		percent(s.Median[0]), percent(s.Tenth[0]), percent(s.Median[1]), percent(s.Median[2]),
		percent(s.P99[0]), percent(s.P99[1]), percent(s.P99[2]),
		share(s.Right), share(s.Ambiguous), share(max(1-s.Right-s.Ambiguous, 0)), share(s.Holds), share(s.Width))
}
