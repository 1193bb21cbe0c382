package profiler

import "strings"

// standard are the first elements of the import paths of Go's standard library.
var standard = func() map[string]bool {
	set := map[string]bool{}
	for _, name := range strings.Fields(`archive bufio bytes cmp compress container context crypto database debug embed
		encoding errors expvar flag fmt go hash html image index internal io iter log maps math mime net os path plugin
		reflect regexp runtime slices sort strconv strings structs sync syscall testing text time unicode unique unsafe
		vendor weak`) {
		set[name] = true
	}
	return set
}()

func isStandard(pkg string) bool {
	first, _, _ := strings.Cut(pkg, "/")
	return standard[first]
}

// owner is the place in a stack, leaf first, that its cost is put down to: the
// function that a person would change to lower it. It is the innermost function
// that is not of Go's runtime or standard library; or, if that calls into the
// library, the function it calls there: what json.Marshal does goes by that
// name, not by those of the fifty functions below it, nor by its caller's. A
// stack of the runtime alone, such as the garbage collector's, goes by its root.
// Each stack has one owner, so that the costs of owners add up to the whole.
func (n *names) owner(stack []string) string {
	at := -1
	for i, name := range stack {
		kind := n.kind(name)
		if kind == ofRuntime {
			continue
		}
		if kind == ofTarget {
			if at < 0 {
				at = i
			}
			break
		}
		at = i
	}
	switch {
	case at >= 0:
		return stack[at]
	case len(stack) > 0:
		return stack[len(stack)-1]
	}
	return "?"
}

// Kinds of functions.
const (
	ofTarget = iota + 1
	ofLibrary
	ofRuntime
	ofProfiler // takes profiles
)

// isAssembly knows the functions that Go's runtime has in assembly and that have
// no package in their names: memeqbody, indexbytebody, gcWriteBarrier2.
func isAssembly(name string) bool {
	return !strings.ContainsAny(name, "./") && (strings.HasSuffix(name, "body") || strings.HasPrefix(name, "gcWriteBarrier"))
}

// has says whether a stack has a function of a kind.
func (n *names) has(stack []string, kind int) bool {
	for _, name := range stack {
		if n.kind(name) == kind {
			return true
		}
	}
	return false
}

// profilers are the packages that take profiles and send them.
var profilers = map[string]bool{
	"net/http/pprof": true, "runtime/pprof": true, "runtime/trace": true, "internal/profile": true,
	"github.com/grafana/pyroscope-go": true, "github.com/grafana/pyroscope-go/godeltaprof": true,
}

// kind tells whose a function is, from its name.
func (n *names) kind(name string) int {
	k := n.kinds[name]
	if k == 0 {
		k = ofTarget
		switch pkg := packageOf(name); {
		case profilers[pkg]:
			k = ofProfiler
		case isMachinery(pkg), isAssembly(name):
			k = ofRuntime
		case isStandard(pkg):
			k = ofLibrary
		}
		n.kinds[name] = k
	}
	return k
}
