package reports

import (
	"cmp"
	"container/heap"
	"sort"

	"github.com/headroom-project/headroom/scenarios"
)

// Bounds of the flame graphs in a page, so that it opens at once on a phone.
const (
	mostFlames = 40
	mostFrames = 4000 // of one flame graph
	mostDepth  = 200
	mostListed = 15 // functions of one flame graph
)

// flameData is a flame graph for the page's script. Names are stored once.
type flameData struct {
	Step    int            `json:"step"`
	Type    string         `json:"type"`
	Label   string         `json:"label"`
	Unit    string         `json:"unit"`
	Hits    number         `json:"hits"` // requests served meanwhile; 0 if unknown
	Samples int64          `json:"samples"`
	Names   []string       `json:"names"`
	Root    frameData      `json:"root"`
	Left    int            `json:"left"` // frames that are too narrow to be here
	Table   []functionData `json:"table"`
}

type frameData struct {
	Name     int         `json:"n"` // index into Names
	Value    int64       `json:"v"`
	Children []frameData `json:"c,omitempty"`
}

// functionData is a row of the table of functions, as shown.
type functionData struct {
	Short      string `json:"short"`
	Name       string `json:"name"`
	Self       string `json:"self"`
	Cum        string `json:"cum"`
	PerRequest string `json:"per"`
	Share      number `json:"share"`
}

// flamesOf orders the flame graphs as a reader wants them: of the highest valid
// step first, CPU first. Its order is that of the selectors on the page.
func flamesOf(r *Run) []*flameData {
	flames := make([]*Flame, 0, len(r.Flames)+len(r.StepFlames))
	for _, list := range [][]Flame{r.Flames, r.StepFlames} {
		for i := range list {
			if f := &list[i]; f.Root != nil && f.Root.Value > 0 {
				flames = append(flames, f)
			}
		}
	}
	rank := stepRanks(r)
	sort.SliceStable(flames, func(i, j int) bool {
		if a, b := rank[flames[i].Step], rank[flames[j].Step]; a != b {
			return a > b
		}
		return typeRank(flames[i].Type) < typeRank(flames[j].Type)
	})
	out := make([]*flameData, 0, len(flames))
	for _, f := range flames[:min(len(flames), mostFlames)] {
		out = append(out, flameOf(r, f))
	}
	return out
}

// stepRanks orders steps: valid before invalid, then by load, then the later.
func stepRanks(r *Run) map[int]int {
	steps := make([]*Step, len(r.Steps))
	for i := range r.Steps {
		steps[i] = &r.Steps[i]
	}
	sort.SliceStable(steps, func(i, j int) bool {
		a, b := steps[i], steps[j]
		if am, bm := a.Kind != scenarios.KindWarmup, b.Kind != scenarios.KindWarmup; am != bm {
			return bm
		}
		if a.Valid != b.Valid {
			return b.Valid
		}
		return a.OfferedRPS < b.OfferedRPS
	})
	rank := map[int]int{}
	for i, s := range steps {
		rank[s.Index] = i + 1
	}
	return rank
}

func typeRank(kind string) int {
	for i, k := range []string{"cpu", "allocs", "mutex", "block"} {
		if kind == k {
			return i
		}
	}
	return 9
}

func flameOf(r *Run, f *Flame) *flameData {
	d := &flameData{Step: f.Step, Type: clean(f.Type), Unit: clean(f.Unit), Samples: f.Samples}
	if hits := cmp.Or(f.Requests, f.RPS*f.Seconds); hits > 0 && finite(hits) {
		d.Hits = number(hits)
	}
	d.Label = "step " + perSecond(float64(f.Step))
	for i := range r.Steps {
		if s := &r.Steps[i]; s.Index == f.Step {
			d.Label += ", " + offeredLong(s)
		}
	}
	keep, left := widest(f.Root)
	d.Left = left
	names := map[string]int{}
	d.Root = frameOf(f.Root, keep, func(name string) int {
		i, ok := names[name]
		if !ok {
			i = len(d.Names)
			names[name] = i
			d.Names = append(d.Names, clean(name))
		}
		return i
	}, 0)
	for _, fn := range f.Functions[:min(len(f.Functions), mostListed)] {
		d.Table = append(d.Table, functionOf(fn, f.Unit))
	}
	return d
}

func functionOf(fn Function, unit string) functionData {
	per := fn.PerRequest
	d := functionData{Short: orElse(shortName(fn.Name), none), Name: clean(fn.Name), Self: percent(fn.SelfShare), Cum: percent(fn.CumShare), PerRequest: none, Share: number(fn.SelfShare)}
	if per > 0 && finite(per) {
		d.PerRequest = scaled(per, unit)
	}
	return d
}

// widest picks the frames to keep: the widest, parents before their children,
// none deeper than mostDepth, none without a value. left counts the others.
func widest(root *Frame) (keep map[*Frame]bool, left int) {
	keep = map[*Frame]bool{}
	queue := &byWidth{{root, 0}}
	for queue.Len() > 0 {
		at := heap.Pop(queue).(placed)
		if len(keep) == mostFrames || at.depth > mostDepth || keep[at.frame] {
			left++
			continue
		}
		keep[at.frame] = true
		for _, c := range at.frame.Children {
			if c != nil && c.Value > 0 {
				heap.Push(queue, placed{c, at.depth + 1})
			}
		}
	}
	return keep, left
}

type placed struct {
	frame *Frame
	depth int
}

// byWidth is a heap with the widest frame on top.
type byWidth []placed

func (h byWidth) Len() int           { return len(h) }
func (h byWidth) Less(i, j int) bool { return h[i].frame.Value > h[j].frame.Value }
func (h byWidth) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *byWidth) Push(x any)        { *h = append(*h, x.(placed)) }
func (h *byWidth) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}

func frameOf(f *Frame, keep map[*Frame]bool, intern func(string) int, depth int) frameData {
	d := frameData{Name: intern(f.Name), Value: f.Value}
	if depth == mostDepth {
		return d
	}
	for _, c := range f.Children {
		if c != nil && keep[c] {
			d.Children = append(d.Children, frameOf(c, keep, intern, depth+1))
		}
	}
	return d
}
