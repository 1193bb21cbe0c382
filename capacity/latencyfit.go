package capacity

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/optimize"
)

// dispersion of counts of hits that queue behind one another, against those of
// independent ones: a log likelihood is divided by it.
const overdispersion = 2.0

// belief is what is known of a server before the responses are looked at: the
// logarithms of its saturation, its number of servers and its variability, each
// with a standard deviation.
type belief struct{ mean, sd [3]float64 }

// believe is a belief in a server. sd is of the log of the saturation.
func believe(saturation, sd, servers, servable float64) belief {
	return belief{
		mean: [3]float64{math.Log(saturation), math.Log(max(servers, 1)), math.Log(0.6)},
		sd:   [3]float64{max(sd, 1e-4), servable, 1},
	}
}

// surprise is minus the log of the density of a server, up to a constant.
func (b *belief) surprise(at [3]float64) float64 {
	sum := 0.0
	for i := range at {
		z := (at[i] - b.mean[i]) / b.sd[i]
		sum += z * z / 2
	}
	return sum
}

func serverAt(at [3]float64) server {
	return server{
		saturation: math.Exp(at[0]), servers: max(math.Exp(min(at[1], 6)), 1),
		scv: min(max(math.Exp(at[2]), 0.01), 30),
	}
}

// fitted is a latency law with where its parameters ended, to start the next from.
type fitted struct {
	latency
	at [3]float64
	// cost is minus the log of likelihood and belief.
	cost float64
	know belief
	// weight is the law's part in a prediction that several make.
	weight float64
	// measured says that it is of the resource that is fitted (predictor.main), and
	// not of a queue that nothing measures.
	measured bool
	// resource is the law of the use that it goes with, if it is one of several that are
	// believed in (see disturbed); nil for the one that the predictor has.
	resource *fit
}

// effort is how hard a fit is worked on.
type effort struct{ rounds, steps, expectations int }

var (
	thorough = effort{rounds: 3, steps: 70, expectations: 4}
	quick    = effort{rounds: 2, steps: 40, expectations: 2}
	again    = effort{rounds: 1, steps: 36, expectations: 3}
)

// fitLatency fits the latency law to the stages by penalised maximum likelihood.
// The time without waiting is not a family of curves but the histogram that
// explains the responses at all loads best, by expectation and maximisation
// (Dempster, Laird and Rubin 1977; as a deconvolution Richardson 1972). The server
// is found by the simplex method (Nelder and Mead 1965). start may be nil.
func fitLatency(list []stage, b bins, know belief, how station, start *fitted, work effort) fitted {
	f := fitted{at: know.mean, know: know, weight: 1}
	f.bins = b
	f.station = how
	top := 0.0
	for _, g := range list {
		top = max(top, g.load)
	}
	if start != nil {
		f.at, f.base = start.at, start.base
	} else {
		f.base = f.restful(list)
	}
	f.at[0] = max(f.at[0], math.Log(1.03*top))
	scratch := newScratch(len(f.base), len(b.middle))
	for range work.rounds {
		f.search(list, know, top, work, scratch)
		f.server = serverAt(f.at)
		for range 2 * work.expectations {
			f.base = f.expect(list, f.base, scratch)
		}
	}
	f.fit = f.likelihood(list, f.base, scratch)
	f.cost = know.surprise(f.at) - f.fit
	return f
}

// search moves the server to where likelihood and belief are greatest.
func (f *fitted) search(list []stage, know belief, top float64, work effort, scratch *scratch) {
	trial := *f
	cost := func(x []float64) float64 {
		at := [3]float64{x[0], x[1], x[2]}
		if trial.server = serverAt(at); !(trial.saturation > 1.01*top) || trial.saturation > 1e12 {
			return 1e12
		}
		base := f.base
		for i := range work.expectations {
			base = trial.expectInto(list, base, scratch, scratch.bases[i%2])
		}
		c := know.surprise(at) - trial.likelihood(list, base, scratch)
		if math.IsNaN(c) {
			return 1e12
		}
		return c
	}
	size := max(min(2*know.sd[0], 0.1), 0.005)
	result, err := optimize.Minimize(optimize.Problem{Func: cost}, f.at[:], &optimize.Settings{
		FuncEvaluations: work.steps, Converger: optimize.NeverTerminate{},
	}, &optimize.NelderMead{SimplexSize: size})
	if result != nil && (err == nil || len(result.X) == 3) && result.F < 1e12 {
		copy(f.at[:], result.X)
	}
}

// scratch is memory that evaluations of one fit share, and the kernels of the law that
// was evaluated last.
type scratch struct {
	cells, ratios, parts, credits []float64
	bases                         [2][]float64
	memory                        between
	kernels                       []kernel
	of                            struct {
		server
		station
		list *stage
		n    int
	}
}

// newScratch is that of a law with n bins in its base and m cells.
func newScratch(n, m int) *scratch {
	return &scratch{
		cells: make([]float64, m), ratios: make([]float64, m), parts: make([]float64, n),
		bases: [2][]float64{make([]float64, n), make([]float64, n)},
	}
}

// prepare makes the kernels those of the law at the loads of the list.
func (s *scratch) prepare(l *latency, list []stage) {
	if len(list) == 0 || s.of.n == len(list) && s.of.list == &list[0] && s.of.server == l.server && s.of.station == l.station {
		return
	}
	s.of.list, s.of.n, s.of.server, s.of.station = &list[0], len(list), l.server, l.station
	for len(s.kernels) < len(list) {
		s.kernels = append(s.kernels, kernel{})
	}
	for i := range list {
		l.prepare(list[i].load, list[i].ca2, &s.kernels[i])
	}
}

// likelihood is the log likelihood of what was seen at all loads.
func (l *latency) likelihood(list []stage, base []float64, s *scratch) float64 {
	s.prepare(l, list)
	sum := 0.0
	for i := range list {
		s.cells = s.kernels[i].spread(base, l.shared, len(l.bins.middle), &s.memory, s.cells)
		sum += list[i].likelihood(s.cells)
	}
	return sum / overdispersion
}

func (l *latency) expect(list []stage, base []float64, s *scratch) []float64 {
	return l.expectInto(list, base, s, make([]float64, len(base)))
}

// expectInto returns the base that explains the responses better.
func (l *latency) expectInto(list []stage, base []float64, s *scratch, into []float64) []float64 {
	s.prepare(l, list)
	clear(s.parts)
	total := 0.0
	for i := range list {
		g := &list[i]
		s.cells = s.kernels[i].spread(base, l.shared, len(l.bins.middle), &s.memory, s.cells)
		g.ratios(s.cells, s.ratios)
		s.credits = s.kernels[i].credit(s.ratios, l.shared, len(base), &s.memory, s.credits)
		for j, c := range s.credits {
			s.parts[j] += c
		}
		total += g.total
	}
	sum := 0.0
	for j := range into {
		into[j] = base[j] * s.parts[j] / total
		sum += into[j]
	}
	for j := range into {
		into[j] /= sum
	}
	return into
}

// restful is a first guess at the base: the responses at the lowest loads, less what is
// outside of the work, and a trace of all others so that nothing is excluded.
func (l *latency) restful(list []stage) []float64 {
	b := l.inner()
	base := make([]float64, len(b.middle))
	seen := 0.0
	for i := range list {
		weight := 1.0
		if seen > 500 {
			weight = 0.02
		}
		for k, c := range list[i].counts {
			if l.outside != nil {
				k = b.at(l.bins.middle[k] - l.outside.mean)
			}
			base[k] += weight * c
		}
		seen += list[i].total
	}
	sum := 0.0
	for k := range base {
		base[k] += 1e-3
		sum += base[k]
	}
	for k := range base {
		base[k] /= sum
	}
	return base
}

// at is the bin that a time in s is in, or the nearest.
func (b bins) at(t float64) int {
	i, _ := slices.BinarySearch(b.edges, t)
	return min(max(i-1, 0), len(b.middle)-1)
}
