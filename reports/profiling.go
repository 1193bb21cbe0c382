package reports

import (
	"fmt"
	"math"
	"time"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/profiler"
	"github.com/headroom-project/headroom/scenarios"
)

// Profiling says what taking profiles cost the target: blocks of the steps in
// which they were taken against the blocks beside them in which they were not.
type Profiling struct {
	// ProfiledS of MeasuredS seconds that figures are from were profiled.
	ProfiledS float64 `json:"profiled_s"`
	MeasuredS float64 `json:"measured_s"`
	// CPU, P50 and P99 are relative changes of CPU per request and of the response
	// time; nil if fewer than three pairs of blocks say anything.
	CPU *Change `json:"cpu_per_request,omitempty"`
	P50 *Change `json:"p50,omitempty"`
	P99 *Change `json:"p99,omitempty"`
}

// Change is a relative change with its interval: 0.01 is one percent more.
type Change struct {
	Value      float64 `json:"value"`
	Low        float64 `json:"low"`
	High       float64 `json:"high"`
	Confidence float64 `json:"confidence"`
	Pairs      int     `json:"pairs"`
}

// half is what was seen with, or without, profiles being taken.
type half struct {
	cpu, cpuRequests float64 // core-seconds, and the requests of that time
	tally            *observation.Tally
}

// blockPair is a block with profiles and what lies next to it without.
type blockPair struct {
	load            float64 // requests/s
	block           span
	profiled, plain half
}

// halvesOf is the sum of all pairs, and the pairs.
type halvesOf struct {
	pairs    []*blockPair
	profiled half
}

// astride is how much of an interval of samples may lie on the other side of a
// block's end: looks come a moment after it.
const astride = 50 * time.Millisecond

// halves sorts what was measured by whether profiles were being taken.
func (c *computation) halves() *halvesOf {
	if c.split != nil {
		return c.split
	}
	c.split = &halvesOf{}
	byStep := map[*observation.Point][]*blockPair{}
	for i := range c.points {
		p := &c.points[i]
		if p.Kind == scenarios.KindWarmup || !p.Valid || p.Cut != "" {
			continue
		}
		for _, b := range c.blocks(p) {
			x := &blockPair{load: p.Throughput, block: b, profiled: half{tally: observation.NewTally()}, plain: half{tally: observation.NewTally()}}
			byStep[p] = append(byStep[p], x)
			c.split.pairs = append(c.split.pairs, x)
		}
		for _, s := range p.Windows {
			if s.Width == 1 {
				c.split.second(s, byStep[p])
			}
		}
	}
	c.evidence.Samples(func(x observation.Sample) {
		if x.Resource != "cpu" || x.Over <= 0 {
			return
		}
		for p, pairs := range byStep {
			c.sample(p, x, pairs)
		}
	})
	for _, x := range c.split.pairs {
		c.split.profiled.cpu += x.profiled.cpu
		c.split.profiled.cpuRequests += x.profiled.cpuRequests
	}
	return c.split
}

// blocks are the spans of a step in which profiles were taken.
func (c *computation) blocks(p *observation.Point) []span {
	_, _, captures := c.reducer.Record(p.Step)
	var spans []span
	for _, x := range captures {
		if until := max(x.To, x.Until); x.Profiled(x.From, until) {
			spans = append(spans, span{x.From, until})
		}
	}
	return union(spans, 4*astride)
}

// nearest is the pair whose block lies nearest to a time.
func nearest(pairs []*blockPair, s span) *blockPair {
	var best *blockPair
	least := time.Duration(0)
	for _, x := range pairs {
		if apart := max(x.block.from-s.to, s.from-x.block.to); best == nil || apart < least {
			best, least = x, apart
		}
	}
	return best
}

// second books the response times of a second.
func (h *halvesOf) second(s observation.Second, pairs []*blockPair) {
	from := time.Duration(s.At * float64(time.Second))
	x := nearest(pairs, span{from, from + time.Second})
	switch {
	case x == nil || s.Tally == nil:
	case s.Profiled:
		x.profiled.tally.Merge(s.Tally)
	default:
		x.plain.tally.Merge(s.Tally)
	}
}

// sample books an interval of CPU, if it lies in the measured part of a step and
// on one side of the blocks' ends.
func (c *computation) sample(p *observation.Point, x observation.Sample, pairs []*blockPair) {
	rec, end, _ := c.reducer.Record(p.Step)
	lasted := rec.Lasts
	if end != nil {
		lasted = end.Lasted
	}
	s := span{x.At - x.Over, x.At}
	if s.from < rec.Start+rec.Discard-2*astride || s.to > rec.Start+lasted+2*astride {
		return
	}
	near := nearest(pairs, s)
	if near == nil {
		return
	}
	to := &near.plain
	switch b := near.block; {
	case s.from >= b.from-astride && s.to <= b.to+astride:
		to = &near.profiled
	case s.from < b.to-astride && b.from+astride < s.to:
		return
	}
	to.cpu += x.Used * x.Over.Seconds()
	to.cpuRequests += c.served(p, s)
}

// leastHits is how many hits each side of a pair must have for their p99 to be
// compared; half as many will do for the p50.
const leastHits = 100

// profiling says what taking profiles cost, and warns if that is much.
func (c *computation) profiling() {
	p := &Profiling{}
	for _, s := range c.run.Steps {
		if s.Kind != scenarios.KindWarmup {
			p.ProfiledS += s.ProfiledS
			p.MeasuredS += s.Seconds
		}
	}
	if p.ProfiledS == 0 {
		return
	}
	c.run.Profiling = p
	limit := c.limit()
	var cpu, p50, p99 []profiler.Pair
	for _, x := range c.halves().pairs {
		a, b := x.profiled, x.plain
		if a.cpuRequests > 0 && b.cpuRequests > 0 {
			cpu = append(cpu, profiler.Pair{Profiled: a.cpu / a.cpuRequests, Plain: b.cpu / b.cpuRequests, Weight: min(a.cpuRequests, b.cpuRequests)})
		}
		hits := float64(min(a.tally.Ended(), b.tally.Ended()))
		if hits < leastHits/2 || x.load > calm*limit {
			continue
		}
		qa, qb := observation.QuantilesOf(a.tally.Response), observation.QuantilesOf(b.tally.Response)
		p50 = append(p50, profiler.Pair{Profiled: qa.P50, Plain: qb.P50, Weight: hits})
		if hits < leastHits {
			continue
		}
		p99 = append(p99, profiler.Pair{Profiled: qa.P99, Plain: qb.P99, Weight: hits})
	}
	p.CPU, p.P50, p.P99 = change(cpu), change(p50), change(p99)
	if p.CPU != nil && p.CPU.Low > noticeable {
		c.warn(fmt.Sprintf("taking profiles cost the target %s more CPU for each request; hint: leave types out with profiles.types, or turn them off with profiles.pprof: none", p.CPU))
	}
	if p.P99 != nil && p.P99.Low > 2*noticeable {
		c.warn(fmt.Sprintf("the p99 was %s higher while profiles were being taken, and is in the figures; hint: leave types out with profiles.types", p.P99))
	}
}

// calm is the share of the limit up to which response times of two blocks are
// compared: nearer to it, queues come and go by chance.
const calm = 0.9

// limit is the highest load that the target serves, as far as is known.
func (c *computation) limit() float64 {
	limit := math.Inf(1)
	if x := c.run.Saturation; x != nil && x.RPS.Value > 0 {
		limit = x.RPS.Value
	}
	if x := c.run.Capacity; x != nil && x.Bound == "" && x.RPS.Value > 0 {
		limit = min(limit, x.RPS.Value)
	}
	return limit
}

// noticeable is the cost of profiling above which a report warns, if that is
// certain.
const noticeable = 0.05

func change(pairs []profiler.Pair) *Change {
	e, ok := profiler.Overhead(pairs)
	if !ok {
		return nil
	}
	x := Change(e)
	return &x
}

// String is +0.4% (-0.3% to +1.1%).
func (x *Change) String() string {
	return fmt.Sprintf("%s (%s to %s)", signed(x.Value), signed(x.Low), signed(x.High))
}

func signed(v float64) string {
	s := percent(v)
	if v < 0 && v > -0.00005 {
		return "-" + s
	}
	if v > 0 {
		return "+" + s
	}
	return s
}

// profiledSeconds is in how many of a step's measured seconds profiles were taken.
func profiledSeconds(p *observation.Point) float64 {
	sum := 0.0
	for _, s := range p.Windows {
		if s.Profiled {
			sum += float64(s.Width)
		}
	}
	return min(sum, p.Seconds)
}

// profilingSentence says for the method what was profiled, and what that cost.
func profilingSentence(p *Profiling) string {
	s := fmt.Sprintf("Profiles were taken in %s of the %s s that figures are from, in blocks that alternate with others without; latencies are of both. ",
		trimmed(p.ProfiledS, 0), trimmed(p.MeasuredS, 0))
	var parts []string
	for _, x := range []struct {
		name   string
		change *Change
	}{{"CPU per request", p.CPU}, {"p50", p.P50}, {"p99", p.P99}} {
		if x.change != nil {
			parts = append(parts, x.name+" "+x.change.String())
		}
	}
	if len(parts) == 0 {
		return s + "There were too few blocks to tell what that cost."
	}
	return s + fmt.Sprintf("With against without: %s (90%% intervals).", joined(parts))
}
