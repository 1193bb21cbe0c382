package profiler

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/pprof/profile"
)

// Frame is one node of a flame graph: a function called along one path.
type Frame struct {
	Name string
	// Value includes the children's, in the profile's unit.
	Value    int64
	Children []*Frame // the largest first, then by name
}

// Function is what one function used, over all paths that lead to it.
type Function struct {
	Name string
	// Self is used in the function itself, Cum also in what it calls; a
	// recursive function's samples count once. Both are in the profile's unit.
	Self, Cum int64
}

// FlameOptions bounds a flame graph. A zero field means its default.
type FlameOptions struct {
	// Prune leaves out frames and functions below this share of the total:
	// default 0.001. What is left out stays in its caller's value.
	Prune float64
	// MaxDepth is how many frames a path may have: default 256. What lies deeper
	// is counted for the last one.
	MaxDepth int
	// MaxFrames is how many frames there may be in all: default 5000. The
	// smallest are left out.
	MaxFrames int
	// MaxFunctions is how many functions are listed: default 300.
	MaxFunctions int
}

// maxNodes bounds the tree before it is pruned.
const maxNodes = 1 << 20

// rootName is the name of the root, whose value is the total.
const rootName = "total"

func (o FlameOptions) withDefaults() FlameOptions {
	return FlameOptions{
		Prune:        cmp.Or(o.Prune, 0.001),
		MaxDepth:     cmp.Or(o.MaxDepth, 256),
		MaxFrames:    cmp.Or(o.MaxFrames, 5000),
		MaxFunctions: cmp.Or(o.MaxFunctions, 300),
	}
}

// Flame makes a flame graph of one of a profile's sample types (cpu, samples,
// alloc_space, delay ...), or of the usual one of a type of capture (cpu,
// allocs, mutex, block, goroutine, heap), or with "" of the profile's own
// default; and lists the functions, by Self, then Cum, then name. Frames are
// merged by function name. The result is the same for the same profile.
//
// Negative values, which a difference of two profiles can have, are left out:
// the graph shows what grew. It fails on a profile that is malformed, too
// large, or without such a type.
func Flame(pprof []byte, typ string, opt FlameOptions) (root *Frame, functions []Function, err error) {
	p, err := decode(pprof)
	if err != nil {
		return nil, nil, err
	}
	index, err := typeIndex(p, typ)
	if err != nil {
		return nil, nil, err
	}
	opt = opt.withDefaults()
	// The largest first, so that if the tree grows too large, the least is lost.
	slices.SortStableFunc(p.Sample, func(a, b *profile.Sample) int {
		return cmp.Compare(b.Value[index], a.Value[index])
	})
	tree := newTrie()
	ledger := newLedger()
	resolve := newNames()
	var stack []string
	for _, s := range p.Sample {
		v := s.Value[index]
		if v <= 0 {
			continue
		}
		stack = resolve.stack(s, stack)
		tree.add(stack, v, opt.MaxDepth)
		ledger.add(stack, v)
	}
	threshold := max(int64(opt.Prune*float64(tree.root.value)), 1)
	return tree.frames(threshold, opt.MaxFrames), ledger.list(threshold, opt.MaxFunctions), nil
}

// usual is the sample type that shows what a type of capture is about.
var usual = map[string]string{
	"cpu":       "cpu",
	"allocs":    "alloc_space",
	"mutex":     "delay",
	"block":     "delay",
	"goroutine": "goroutine",
	"heap":      "inuse_space",
}

// typeIndex finds a sample type by its name, or by the type of capture.
func typeIndex(p *profile.Profile, typ string) (int, error) {
	var have []string
	for _, st := range p.SampleType {
		have = append(have, st.Type)
	}
	if typ == "" {
		// The last one is what pprof shows when a profile names no default.
		if i := slices.Index(have, p.DefaultSampleType); i >= 0 {
			return i, nil
		}
		return len(have) - 1, nil
	}
	for _, name := range []string{typ, usual[typ]} {
		if i := slices.Index(have, name); i >= 0 && name != "" {
			return i, nil
		}
	}
	return 0, fmt.Errorf("read profile: it has no values of type %q; hint: it has %s", clean(typ), clean(strings.Join(have, ", ")))
}

// trie is a flame graph as it grows.
type trie struct {
	root  *node
	nodes int
}

type node struct {
	value    int64
	children map[string]*node
}

func newTrie() *trie { return &trie{root: &node{}} }

// add counts a value for a stack, leaf first, of which depth frames are kept.
func (t *trie) add(stack []string, value int64, depth int) {
	at := t.root
	at.value = add(at.value, value)
	for i := len(stack) - 1; i >= max(len(stack)-depth, 0); i-- {
		next := at.children[stack[i]]
		if next == nil {
			if t.nodes >= maxNodes {
				return
			}
			if at.children == nil {
				at.children = map[string]*node{}
			}
			next = &node{}
			at.children[stack[i]] = next
			t.nodes++
		}
		next.value = add(next.value, value)
		at = next
	}
}

// frames turns the tree into frames of at least the threshold, which is raised
// until there are at most limit of them.
func (t *trie) frames(threshold int64, limit int) *Frame {
	var values []int64
	var collect func(n *node)
	collect = func(n *node) {
		for _, child := range n.children {
			if child.value >= threshold {
				values = append(values, child.value)
				collect(child)
			}
		}
	}
	collect(t.root)
	if len(values) > limit {
		// A frame is never larger than its parent, so keeping those above the
		// limit-th largest value keeps whole paths.
		slices.SortFunc(values, func(a, b int64) int { return cmp.Compare(b, a) })
		threshold = add(values[limit], 1)
	}
	return t.root.frame(rootName, threshold)
}

func (n *node) frame(name string, threshold int64) *Frame {
	f := &Frame{Name: name, Value: n.value}
	for _, child := range slices.Sorted(maps.Keys(n.children)) {
		if n.children[child].value >= threshold {
			f.Children = append(f.Children, n.children[child].frame(child, threshold))
		}
	}
	slices.SortStableFunc(f.Children, func(a, b *Frame) int { return cmp.Compare(b.Value, a.Value) })
	return f
}

// ledger sums up functions.
type ledger struct {
	functions map[string]*Function
	seen      map[string]bool // in the stack at hand
}

func newLedger() *ledger {
	return &ledger{functions: map[string]*Function{}, seen: map[string]bool{}}
}

// add counts a value for each function of a stack, leaf first.
func (l *ledger) add(stack []string, value int64) {
	clear(l.seen)
	for i, name := range stack {
		f := l.functions[name]
		if f == nil {
			f = &Function{Name: name}
			l.functions[name] = f
		}
		if i == 0 {
			f.Self = add(f.Self, value)
		}
		if !l.seen[name] {
			l.seen[name] = true
			f.Cum = add(f.Cum, value)
		}
	}
}

func (l *ledger) list(threshold int64, limit int) []Function {
	var list []Function
	for _, f := range l.functions {
		if f.Cum >= threshold {
			list = append(list, *f)
		}
	}
	slices.SortFunc(list, func(a, b Function) int {
		return cmp.Or(cmp.Compare(b.Self, a.Self), cmp.Compare(b.Cum, a.Cum), cmp.Compare(a.Name, b.Name))
	})
	return list[:min(len(list), limit)]
}
