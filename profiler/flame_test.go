package profiler

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/pprof/profile"
)

// draw writes a flame graph as text, one line for each frame.
func draw(f *Frame) string {
	var b strings.Builder
	var line func(f *Frame, depth int)
	line = func(f *Frame, depth int) {
		fmt.Fprintf(&b, "%s%s %d\n", strings.Repeat(" ", depth), f.Name, f.Value)
		for _, c := range f.Children {
			line(c, depth+1)
		}
	}
	line(f, 0)
	return b.String()
}

func TestFlame(t *testing.T) {
	m := newProfile(cpuTypes...)
	m.add([]int64{1, 10}, "main", "serve", "render")
	m.add([]int64{2, 20}, "main", "serve", "render")
	m.add([]int64{1, 30}, "main", "fib", "fib", "fib")
	m.add([]int64{1, 5}, "main", "serve")
	// render inlined into serve is the same path as render called by serve.
	m.p.Sample = append(m.p.Sample, &profile.Sample{
		Value: []int64{3, 2}, Location: []*profile.Location{m.at("render", "serve"), m.at("main")}})
	data := m.bytes(t)
	root, functions, err := Flame(data, "cpu", FlameOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want := "total 67\n main 67\n  serve 37\n   render 32\n  fib 30\n   fib 30\n    fib 30\n"
	if got := draw(root); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	wantFunctions := []Function{{"render", 32, 32}, {"fib", 30, 30}, {"serve", 5, 37}, {"main", 0, 67}}
	if !reflect.DeepEqual(functions, wantFunctions) {
		t.Errorf("functions = %v, want %v", functions, wantFunctions)
	}
	// The other sample type, and the one that is meant when none is named.
	for typ, total := range map[string]int64{"samples": 8, "": 67} {
		if root, _, err := Flame(data, typ, FlameOptions{}); err != nil || root.Value != total {
			t.Errorf("Flame(%q) = %v, %v; want %d", typ, root, err, total)
		}
	}
	if _, _, err := Flame(data, "alloc_space", FlameOptions{}); err == nil || !strings.Contains(err.Error(), "samples, cpu") {
		t.Errorf("error = %v, want one that says what there is", err)
	}
}

func TestFlameBounds(t *testing.T) {
	m := newProfile(cpuTypes...)
	m.add([]int64{1, 10000}, "main", "big")
	m.add([]int64{1, 9}, "main", "small") // below 0.1%
	m.add([]int64{1, -500}, "main", "shrunk")
	deep := []string{"main"}
	for i := range 400 {
		deep = append(deep, fmt.Sprintf("f%d", i))
	}
	m.add([]int64{1, 100}, deep...)
	data := m.bytes(t)
	root, functions, err := Flame(data, "cpu", FlameOptions{MaxDepth: 3})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := draw(root), "total 10109\n main 10109\n  big 10000\n  f0 100\n   f1 100\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if functions[1].Name != "f399" {
		t.Errorf("self belongs to %v, want the leaf however deep", functions[1])
	}
	for _, f := range functions {
		if f.Name == "small" || f.Name == "shrunk" {
			t.Errorf("%v is listed", f)
		}
	}
	root, functions, err = Flame(data, "cpu", FlameOptions{MaxFrames: 2, MaxFunctions: 1})
	if err != nil || draw(root) != "total 10109\n main 10109\n  big 10000\n" || len(functions) != 1 {
		t.Errorf("bounded to two frames and one function: %v\n%s%v", err, draw(root), functions)
	}
}

// Properties that every flame graph has, over random profiles: children add up
// to no more than their parent, the order of samples does not matter, self
// values add up to the total, and no function has more than that.
func TestFlameProperties(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		samples := make([][]string, 1+rng.IntN(40))
		values := make([]int64, len(samples))
		for i := range samples {
			for range 1 + rng.IntN(8) {
				samples[i] = append(samples[i], fmt.Sprintf("f%d", rng.IntN(5)))
			}
			values[i] = int64(rng.IntN(1000)) - 100
		}
		build := func(order []int) []byte {
			m := newProfile(cpuTypes...)
			for _, i := range order {
				m.add([]int64{1, values[i]}, samples[i]...)
			}
			return m.bytes(t)
		}
		root, functions, err := Flame(build(rng.Perm(len(samples))), "cpu", FlameOptions{Prune: 1e-12})
		if err != nil {
			t.Fatal(err)
		}
		again, functionsAgain, err := Flame(build(rng.Perm(len(samples))), "cpu", FlameOptions{Prune: 1e-12})
		if err != nil || draw(root) != draw(again) || !reflect.DeepEqual(functions, functionsAgain) {
			t.Fatalf("the order of samples changes the graph: %v\n%s\n%s", err, draw(root), draw(again))
		}
		var self int64
		for _, f := range functions {
			self += f.Self
			if f.Cum > root.Value || f.Self > f.Cum {
				t.Fatalf("%+v of %d", f, root.Value)
			}
		}
		if self != root.Value {
			t.Fatalf("self values add up to %d of %d", self, root.Value)
		}
		sound(t, root)
	}
}

// sound checks that children fit into their parents.
func sound(t *testing.T, f *Frame) {
	t.Helper()
	var sum int64
	for _, c := range f.Children {
		sum = add(sum, c.Value)
		sound(t, c)
	}
	if sum > f.Value {
		t.Fatalf("%s: children have %d of %d", f.Name, sum, f.Value)
	}
}

func TestSummarise(t *testing.T) {
	m := newProfile(cpuTypes...).add([]int64{3, 30}, "a").add([]int64{4, 40}, "a", "b")
	m.p.DurationNanos = int64(5 * time.Second)
	m.p.TimeNanos = 1e18
	s, err := Summarise(m.bytes(t))
	want := Summary{
		Types:   []SampleType{{"samples", "count", 7}, {"cpu", "nanoseconds", 70}},
		Samples: 7, Stacks: 2, Duration: 5 * time.Second, Taken: time.Unix(1e9, 0).UTC(),
	}
	if err != nil || !reflect.DeepEqual(s, want) {
		t.Errorf("got %+v, %v\nwant %+v", s, err, want)
	}

	heap := newProfile([2]string{"alloc_objects", "count"}, [2]string{"alloc_space", "bytes"}).
		add([]int64{1 << 20, 100 << 19}, "a") // a million objects, out of 100 samples
	heap.p.PeriodType = &profile.ValueType{Type: "space", Unit: "bytes"}
	heap.p.Period = 1 << 19
	if s, err := Summarise(heap.bytes(t)); err != nil || s.Samples != 100 {
		t.Errorf("allocations: %d samples, %v; want the 100 that were taken", s.Samples, err)
	}

	huge := newProfile(cpuTypes...).add([]int64{math.MaxInt64, math.MinInt64}, "a").add([]int64{math.MaxInt64, math.MinInt64}, "b")
	s, err = Summarise(huge.bytes(t))
	if err != nil || s.Types[0].Total != math.MaxInt64 || s.Types[1].Total != math.MinInt64 {
		t.Errorf("sums overflow: %+v, %v", s, err)
	}
}

func TestLockWait(t *testing.T) {
	m := newProfile([2]string{"contentions", "count"}, [2]string{"delay", "nanoseconds"})
	m.add([]int64{2, 3000}, "net/http.(*conn).serve", "main.(*store).put", "sync.(*RWMutex).Unlock", "sync.(*Mutex).Unlock")
	m.add([]int64{1, 500}, "main.other", "main.(*store).put", "sync.(*Mutex).Unlock", "internal/sync.(*Mutex).unlockSlow")
	m.add([]int64{9, 9000}, "main.cache[example.com/a/b.Key]", "sync.(*Mutex).Unlock")
	m.add([]int64{5, 40}, "runtime.mcall", "runtime.unlock")
	m.add([]int64{5, -40}, "main.shrunk", "sync.(*Mutex).Unlock")
	got, err := LockWait(m.bytes(t))
	want := []LockSite{
		{"main.cache[example.com/a/b.Key]", 9000, 9},
		{"main.(*store).put", 3500, 3},
		{"runtime.unlock", 40, 5},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v, %v\nwant %v", got, err, want)
	}
	if _, err := LockWait(newProfile(cpuTypes...).bytes(t)); err == nil {
		t.Error("a CPU profile was taken for a mutex profile")
	}
	other := newProfile([2]string{"contentions", "count"}, [2]string{"delay", "bytes"})
	if _, err := LockWait(other.bytes(t)); err == nil {
		t.Error("a delay in bytes was accepted")
	}
}

func TestPackageOf(t *testing.T) {
	for name, want := range map[string]string{
		"net/http.(*conn).serve":              "net/http",
		"sync.(*Mutex).Unlock":                "sync",
		"main.f[go.shape.struct{a/b.c}]":      "main",
		"github.com/x/y.v2.F":                 "github.com/x/y",
		"main.main.func1":                     "main",
		"syncother.F":                         "syncother",
		"sync/atomic.(*Pointer[a/b.T]).Store": "sync/atomic",
		"malloc":                              "malloc",
		"":                                    "",
		"example.com/sync.Do":                 "example.com/sync",
	} {
		if got := packageOf(name); got != want {
			t.Errorf("packageOf(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestNamesAreMadeHarmless(t *testing.T) {
	m := newProfile(cpuTypes...)
	m.add([]int64{1, 1}, "a\x1b[31m\n\u202eb", "", strings.Repeat("é", 1000))
	root, _, err := Flame(m.bytes(t), "cpu", FlameOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for f := root; ; f = f.Children[0] {
		if len(f.Name) > maxName || f.Name == "" || strings.ContainsAny(f.Name, "\x1b\n\u202e") {
			t.Errorf("name %q", f.Name)
		}
		if len(f.Children) == 0 {
			break
		}
	}
}
