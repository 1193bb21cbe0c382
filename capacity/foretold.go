package capacity

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/loadgen/search"
	"github.com/headroom-project/headroom/scenarios"
)

// clearly is by how much better, in log likelihood, a law by which a request waits for
// nobody must explain its responses before it counts for half.
const clearly = 4.0

// opinion is one law of a request's responses, and its weight beside the other.
type opinion struct {
	*fitted
	weight float64
}

// foretold says where an objective on one request breaks, by the latency law of the
// whole: the request waits for the same server, and takes a time of its own
// without waiting, which the histogram of its responses gives. It may also be one
// that does not go where the others wait: that it takes as long at every load is
// the other law, and both count for as much as they explain its responses.
//
// r is the replicate that f is of, -1 for the steps as they were. A replicate is
// drawn from a source of its own, so that other objectives are predicted the same
// with it as without. ok is false where no law says anything.
func (p *predictor) foretold(f *fitted, o scenarios.Objective, ceiling float64, r int) (load float64, ok bool) {
	return p.agreed(p.opinions(f, o.Request, r), f, o, ceiling)
}

// agreed is the geometric mean of where the laws see an objective break, below the
// saturation of f and the ceiling; ok is false without laws.
func (p *predictor) agreed(laws []opinion, f *fitted, o scenarios.Objective, ceiling float64) (load float64, ok bool) {
	if len(laws) == 0 {
		return 0, false
	}
	sum := 0.0
	for _, l := range laws {
		top := min(min(f.saturation, l.saturation)*(1-1e-6), ceiling)
		x, ok := p.breaksBy(l.fitted, o, top)
		if !ok {
			return 0, false
		}
		// Every step held, up to p.top. A law by which one breaks below, or at every
		// load, says as little as one that breaks there.
		sum += l.weight * math.Log(max(x, min(p.top, top), 1e-9))
	}
	return math.Exp(sum), true
}

// breaksBy is the load below top at which a latency objective is no longer met; ok
// is false for metrics that no latency law speaks of.
func (p *predictor) breaksBy(f *fitted, o scenarios.Objective, top float64) (load float64, ok bool) {
	t := o.Value / 1000
	switch share, quantile := search.Share(o.Metric); {
	case quantile:
		return rises(top, func(x float64) bool { return f.tail(x, t) > share }), true
	case o.Metric == "mean":
		return rises(top, func(x float64) bool { return f.mean(x) > t }), true
	case o.Metric == "max":
		return rises(top, func(x float64) bool { return f.tail(x, t) > 1e-4 }), true
	}
	return 0, false
}

// opinions fits both laws to the responses of one request; none where they are
// too few.
func (p *predictor) opinions(f *fitted, request string, r int) []opinion {
	list, b := p.stagesOf(request, r)
	if tooLittle(list) != "" {
		return nil
	}
	work := quick
	if r >= 0 {
		work = again
	}
	how := station{shared: f.shared, rest: f.rest, each: f.each, parts: f.parts, talk: f.talk, bucket: f.bucket, taken: f.taken, ahead: f.ahead}
	if f.besides != nil {
		next := f.besides.latency
		next.bins = b
		how.besides = &beside{latency: next}
	}
	waits := fitLatency(list, b, belief{mean: f.at, sd: [3]float64{0.01, 0.3, 0.7}}, how, nil, work)
	idle := belief{mean: [3]float64{math.Log(1e6 * p.top), 0, math.Log(0.3)}, sd: [3]float64{1e-3, 1e-3, 1e-3}}
	passes := fitLatency(list, b, idle, station{}, nil, effort{rounds: 1, steps: 4, expectations: 10})
	// The request is taken to wait like others unless its responses say clearly that
	// it does not: well below saturation both explain them about as well.
	w := 1 / (1 + math.Exp(-(waits.fit - passes.fit + clearly)))
	if w > 1-slight {
		return []opinion{{&waits, 1}}
	}
	return []opinion{{&waits, w}, {&passes, 1 - w}}
}

// stagesOf are the stages of one request, as they were or redrawn.
func (p *predictor) stagesOf(request string, r int) ([]stage, bins) {
	all := p.onlyOf(request)
	rows := make([]replicate, len(all))
	source := rand.New(rand.NewPCG(uint64(r+1), 0x7e11))
	for i := range all {
		if r < 0 {
			all[i].observed(&rows[i])
		} else {
			all[i].draw(&rows[i], source)
		}
	}
	return stages(all, rows, p.ca2)
}

// onlyOf are the steps with the responses of one request in the place of all.
func (p *predictor) onlyOf(request string) []series {
	var all []series
	for _, s := range p.all {
		var first int
		if s.table, first = histogram(s.point, request); len(s.table.bins) == 0 {
			continue
		}
		s.first, s.windows = first, nil
		all = append(all, s)
	}
	return all
}

// histogram is the histogram of one request over a step: as it was counted, or for
// a table as its quantiles make it; no bins if there is none.
func histogram(p *observation.Point, request string) (w window, first int) {
	if t := p.Tallies[request]; t != nil && t.Response != nil {
		low, high := span([]observation.Second{{Tally: t}})
		w.fill(t, low, high)
		for _, n := range w.bins {
			w.ok += n
		}
		return w, low
	}
	f, ok := p.Requests[request]
	if !ok {
		return window{}, 0
	}
	return imagined(&observation.Point{Figures: f, Seconds: p.Seconds})
}

// unforetold says of each objective that no law speaks of why, so that a
// prediction is not taken to be about it.
func (p *predictor) unforetold(f *fitted) []Unforetold {
	var list []Unforetold
	for _, o := range p.objectives {
		if why := p.silent(f, o); why != "" {
			list = append(list, Unforetold{o, why})
		}
	}
	return list
}

// silent says why no law speaks of an objective; empty if one does.
func (p *predictor) silent(f *fitted, o scenarios.Objective) string {
	_, quantile := search.Share(o.Metric)
	switch {
	case o.Metric == "errors":
		// Memory that stays taken after the answer, and fills first, is taken to refuse from
		// its ceiling on, which is what is predicted.
		if math.IsInf(p.refuses(f, o.Value, -1), 1) && (len(p.limited) == 0 || p.resource().unit != "bytes") {
			return "errors are foretold only of memory that fills, and none with a limit was seen to"
		}
	case !quantile && o.Metric != "mean" && o.Metric != "max":
		return fmt.Sprintf("no law speaks of %s", o.Metric)
	case o.Request != "" && !slices.ContainsFunc(p.all, func(s series) bool { _, ok := s.point.Requests[o.Request]; return ok }):
		return fmt.Sprintf("no step has a request %q", o.Request)
	case o.Request != "":
		if list, _ := p.stagesOf(o.Request, -1); tooLittle(list) != "" {
			return fmt.Sprintf("too few of the hits are %q, at too few loads; give it more weight, or run longer steps", o.Request)
		}
	}
	return ""
}
