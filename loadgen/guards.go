package loadgen

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

// guardWatch evaluates guards on windows that slide by a second.
type guardWatch struct {
	guards  []scenarios.Guard
	seconds []*guardSecond // the latest last; as many as the longest guard needs
	keep    int
}

// guardSecond is what ended, and what was read, in one second of the drill.
type guardSecond struct {
	second    int
	requests  map[string]*observation.Tally
	resources map[string]*ratio
}

// ratio is a mean of used/limit.
type ratio struct {
	sum float64
	n   int
}

func newGuardWatch(guards []scenarios.Guard) *guardWatch {
	g := &guardWatch{guards: guards, keep: 2}
	for _, x := range guards {
		g.keep = max(g.keep, span(x)+1)
	}
	return g
}

// span is the number of seconds that a guard looks at.
func span(g scenarios.Guard) int { return max(1, int((g.For+time.Second-1)/time.Second)) }

// at returns the second that d lies in. Samples may tell of a second later than
// windows do, so that seconds are kept in order whatever order they come in.
func (g *guardWatch) at(d time.Duration) *guardSecond {
	second := int(d / time.Second)
	i, found := slices.BinarySearchFunc(g.seconds, second, func(s *guardSecond, n int) int { return s.second - n })
	if found {
		return g.seconds[i]
	}
	s := &guardSecond{second: second, requests: map[string]*observation.Tally{}, resources: map[string]*ratio{}}
	g.seconds = slices.Insert(g.seconds, i, s)
	if len(g.seconds) > g.keep+1 {
		g.seconds = slices.Delete(g.seconds, 0, 1)
	}
	return s
}

func (g *guardWatch) window(w *observation.Window) {
	// Closed at 5.001 s, it holds what ended in second 4.
	s := g.at(max(0, w.At-w.Over/2))
	for name, t := range w.Requests {
		sum := s.requests[name]
		if sum == nil {
			sum = observation.NewTally()
			s.requests[name] = sum
		}
		sum.MergeResponse(t)
	}
}

func (g *guardWatch) sample(x observation.Sample) {
	if x.Limit <= 0 {
		return
	}
	s := g.at(max(0, x.At-x.Over/2))
	r := s.resources[x.Resource]
	if r == nil {
		r = &ratio{}
		s.resources[x.Resource] = r
	}
	r.sum += x.Used / x.Limit
	r.n++
}

// tripped returns the first guard whose condition held in each of the last
// seconds that it asks for, up to and without second now, and says why. Seconds
// in which nothing ended say nothing, but half of them must say something.
func (g *guardWatch) tripped(now int) (string, bool) {
	for _, guard := range g.guards {
		observed, n, broken := 0.0, 0, false
		for _, s := range g.seconds {
			if s.second < now-span(guard) || s.second >= now {
				continue
			}
			v, ok := s.value(guard.Objective)
			if !ok {
				continue
			}
			observed, n = v, n+1
			broken = broken || !guard.Holds(v)
		}
		if !broken && 2*n >= span(guard) && n > 0 && now >= span(guard) {
			seen := guard.Objective
			seen.Op, seen.Value = "=", round(observed)
			return fmt.Sprintf("%s: %s", guard, seen), true
		}
	}
	return "", false
}

// value is the metric of o in this second; false if nothing was observed.
func (s *guardSecond) value(o scenarios.Objective) (float64, bool) {
	if resource, ok := strings.CutPrefix(o.Metric, "target."); ok {
		r := s.resources[resource]
		if r == nil || r.n == 0 {
			return 0, false
		}
		return r.sum / float64(r.n), true
	}
	all := observation.NewTally()
	for name, t := range s.requests {
		if o.Request == "" || o.Request == name {
			all.MergeResponse(t)
		}
	}
	if all.Ended() == 0 {
		return 0, o.Metric == "throughput"
	}
	return observation.Metric(all, time.Second, o.Metric)
}

// round keeps four significant digits, for messages.
func round(v float64) float64 {
	r, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 4, 64), 64)
	if err != nil {
		return v
	}
	return r
}
