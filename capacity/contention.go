package capacity

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"
)

// Contention is what requests in flight cost one another: the Universal
// Scalability Law of the throughput over the mean number in flight, below
// saturation. It explains, and predicts nothing: what a queue at a bottleneck
// costs is in it, and beyond the requests that were seen in flight it does not hold.
type Contention struct {
	// Law is Linear, Amdahl or USL: what the steps ask for.
	Law string
	// Sigma is the share of a request during which it has the target to itself, and
	// Kappa what each pair in flight costs besides, as a ratio of the time of one
	// alone. Where the law has none, Value is 0, and High is what the steps exclude.
	Sigma, Kappa Value
	// Alone is the throughput of one request at a time, in requests/s.
	Alone Value
	// PeakInFlight is how many in flight give the greatest throughput, PeakRPS; 0
	// where throughput was not seen to fall.
	PeakInFlight, PeakRPS float64
	// From and To are the least and the greatest mean number in flight that was seen.
	From, To float64
	// Meaning says it in words.
	Meaning string
}

// What makes contention identifiable.
const (
	// crowded is how many must have been in flight in the mean at the busiest step.
	crowded = 2.0
	// spanned is by how much it must exceed the least.
	spanned = 3.0
	// fewCrowds is how many numbers in flight there must be that differ by a tenth.
	fewCrowds = 5
	aTenth    = 1.1
	// ill is the relative distance of the throughputs from the law (root of the mean
	// square) above which it does not describe the target.
	ill = 0.06
	// blurred is the width of the interval of sigma above which it says nothing.
	blurred = 0.2
	// nearly is the share of the measured saturation up to which a step shows
	// requests in service, not a backlog that grows.
	nearly = 0.97
)

// contention fits the law to the steps below saturation, or to all where
// throughput falls under overload; nil where they do not identify it. It draws
// from a source of its own, so that it moves no other figure.
func contention(all []series, sat *plateau, spec Spec) *Contention {
	use := slices.DeleteFunc(slices.Clone(all), func(s series) bool {
		p := s.point
		backlog := sat != nil && !sat.falls && s.load > nearly*sat.rate
		return !p.Valid || p.Cut != "" || p.ErrorRatio > 0.05 || backlog
	})
	rows := make([]replicate, len(use))
	for i := range use {
		use[i].observed(&rows[i])
	}
	// A table's numbers in flight are taken as they are: if they contradict its responses, it
	// is not known which of the two is wrong.
	if !resampled(use) && slices.ContainsFunc(use, func(s series) bool { return s.little() != "" }) {
		return nil
	}
	seen := crowds(use, rows)
	positive := seen.positive()
	if len(positive) == 0 {
		return nil
	}
	from, to := math.Inf(1), 0.0
	for _, r := range positive {
		from, to = min(from, r.n), max(to, r.n)
	}
	if positive.different(aTenth) < fewCrowds || to < crowded || to < spanned*from {
		return nil
	}
	best, err := BestScalability(seen)
	if err != nil || math.Sqrt(best.Misfit/float64(best.N)) > ill {
		return nil
	}
	full, err := FitScalability(USL, seen)
	if err != nil || math.IsInf(full.SE[0], 0) {
		return nil
	}
	c := &Contention{Law: best.Name, From: from, To: to}
	c.fill(&best, &full, redrawnCrowds(use, rows, spec), spec.Confidence)
	if c.Sigma.High-c.Sigma.Low > blurred {
		return nil
	}
	c.peak(&best, positive)
	c.Meaning = c.words()
	return c
}

// crowds are the throughputs over the mean numbers in flight, by Little's law,
// each known to a share of itself.
func crowds(use []series, rows []replicate) Readings {
	var r Readings
	for i := range use {
		s, p := &use[i], use[i].point
		n, x := p.InFlight, s.served(nil)
		if ended := rows[i].ok + rows[i].failed; len(s.windows) > 0 && ended > 0 && s.seconds > 0 {
			n, x = rows[i].sum/1000/s.seconds, ended/s.seconds
		} else if n <= 0 {
			n = x * p.Response.Mean / 1000
		}
		if n > 0 && x > 0 {
			r.Concurrency, r.Throughput, r.SD = append(r.Concurrency, n), append(r.Throughput, x), append(r.SD, x)
		}
	}
	return r
}

// redrawnCrowds fits the full law to redrawn steps; empty for points that have no
// seconds to redraw.
func redrawnCrowds(use []series, rows []replicate, spec Spec) []Scalability {
	if !resampled(use) {
		return nil
	}
	source := rng(spec.Seed ^ 0x05ca1ab1e)
	var draws []Scalability
	for range spec.Replicates {
		for i := range use {
			use[i].draw(&rows[i], source)
		}
		if s, err := FitScalability(USL, crowds(use, rows)); err == nil {
			draws = append(draws, s)
		}
	}
	return draws
}

// fill takes the values of the law that was chosen, and the intervals of the full
// one: of the redrawn steps, or by the scatter of the steps around the law (Student's
// t), whichever is wider. A coefficient that is held at 0 has a high end all the
// same: what the steps do not exclude.
func (c *Contention) fill(best, full *Scalability, draws []Scalability, confidence float64) {
	values, whole := best.parameters(), full.parameters()
	t := distuv.StudentsT{Sigma: 1, Nu: float64(max(full.N-3, 1))}.Quantile((1 + confidence) / 2)
	for i, v := range []*Value{&c.Alone, &c.Sigma, &c.Kappa} {
		*v = Value{Value: *values[i], Confidence: confidence, Method: "Universal Scalability Law over requests in flight"}
		low, high := *whole[i]-t*full.SE[i], *whole[i]+t*full.SE[i]
		if len(draws) > 0 {
			drawn := make([]float64, len(draws))
			for k := range draws {
				drawn[k] = *draws[k].parameters()[i]
			}
			l, h := interval(drawn, confidence)
			low, high = min(low, l), max(high, h)
		}
		v.Low, v.High = max(min(low, v.Value), 0), max(high, v.Value)
	}
	c.Sigma.High = min(c.Sigma.High, 1)
}

// peak keeps a peak that was passed: throughput was seen to fall beyond it. Any
// other would rest on the form of the law alone, as a queue near its limit bends the
// curve as crosstalk does.
func (c *Contention) peak(best *Scalability, seen yields) {
	if !(best.Beta > 0) || !(c.Kappa.Low > 0) || best.Alpha >= 1 {
		return
	}
	greatest, last := 0.0, 0.0
	for _, r := range seen {
		greatest = max(greatest, r.x)
		if r.n == c.To {
			last = r.x
		}
	}
	fell := last < greatest*(1-max(math.Sqrt(best.Misfit/float64(best.N)), 0.02))
	if n := math.Sqrt((1 - best.Alpha) / best.Beta); fell && n <= c.To {
		c.PeakInFlight, c.PeakRPS = n, best.At(n)
	}
}

// words say what the law means.
func (c *Contention) words() string {
	seen := fmt.Sprintf("up to %.3g in flight", c.To)
	if c.Law == Linear {
		return fmt.Sprintf("linear: %s, a request takes as long beside others as alone; contention of more than %.2g%% is excluded", seen, 100*c.Sigma.High)
	}
	s := "requests do not wait for one another"
	if c.Sigma.Value > 0 {
		s = fmt.Sprintf("as if (cores, locks and pools are waited for alike) for %.2g%% of its time a request had the target to itself, so that more than about %.3g at a time gain nothing", 100*c.Sigma.Value, math.Ceil(1/c.Sigma.Value))
	}
	switch {
	case c.PeakInFlight > 0:
		return fmt.Sprintf("%s, and each pair in flight costs another %.2g%%: throughput is greatest with %.3g in flight (%.4g/s), and falls beyond", s, 100*c.Kappa.Value, c.PeakInFlight, c.PeakRPS)
	case c.Law == USL && c.Kappa.Low > 0:
		return fmt.Sprintf("%s, and each pair in flight costs another %.2g%%; no peak was seen %s", s, 100*c.Kappa.Value, seen)
	}
	return fmt.Sprintf("%s; no peak identified %s", s, seen)
}
