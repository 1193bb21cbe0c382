package capacity

import (
	"math"
	"slices"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/loadgen/search"
)

// Score is how far a prediction was from what was observed, for calibration:
// |ln(predicted/observed)| in units of half the width of its own interval (in
// logs). 1 is a prediction whose interval just reached.
type Score struct {
	// Kind is what the prediction rested on.
	Kind  string
	Value float64
	// Reach is what was predicted over the highest load that it rested on.
	Reach float64
}

// stretchedBy is by how much (in logs) an interval is widened for each factor of e
// that a prediction lies above the loads that were offered.
const stretchedBy = 0.06

// roughly is about what a prediction errs by (in logs) where no histogram was kept and one
// had to be made of a few quantiles, and guessed the same where the limit is read from how
// the quantiles grow alone: no redrawing shows either. Both only say how wide an interval
// is before it is calibrated on simulated drills that were reduced to tables.
const roughly, guessed = 0.04, 0.1

// unevenBy is by how much (in logs) an interval is widened for each factor of e by which the
// work of requests varies more than exponential times do: a drill sees few of those that
// take most of it, and redrawing what it saw shows little of that. Of the values tried on the
// systems that calibrate it is that which makes intervals of ordinary work narrowest.
const unevenBy = 0.05

const (
	// manyCores is how many there must be for requests on them to disturb each other by
	// more than the rest of a prediction is off.
	manyCores = 4
	// disturbedBy is by how much wider, before it is calibrated, the lower half of an
	// interval is that rests on so many cores. Crosstalk that does not show below the limit
	// always makes a prediction too high, and that of a kind which most systems do not have
	// is lost in the calibration of all. What it does for those is in docs/scoreboard.md.
	disturbedBy = 1.5
)

// ofOwn is how many of the shipped scores one of the target's own counts for.
const ofOwn = 10

// calibrate widens the interval to what predictions of its kind were off by, here
// and elsewhere: split-conformal prediction with a normalised score (Papadopoulos
// et al. 2002; Lei et al. 2018). Intervals from replicates know the scatter of the
// readings and nothing of laws that are not quite those of the target.
func (p *prediction) calibrate(confidence float64, past []Score) {
	class := p.class()
	k := widening(class, p.reach, confidence, past)
	base := stretchedBy * math.Log(max(p.reach, 1.2))
	switch class {
	case restsOnGrowth:
		base = math.Hypot(base, guessed)
	case restsOnTable:
		base = math.Hypot(base, roughly)
	}
	base = math.Hypot(base, unevenBy*math.Log(max(p.varies, 1)))
	side := func(end float64) float64 {
		if !(end > 0) {
			return base
		}
		return math.Hypot(math.Log(end/p.value), base)
	}
	p.halfLow, p.halfHigh = side(p.low), side(p.high)
	if p.manyCores {
		p.halfLow *= disturbedBy
	}
	p.low = p.value * math.Exp(-k*p.halfLow)
	p.high = p.value * math.Exp(k*p.halfHigh)
}

// class is what the prediction is calibrated as.
func (p *prediction) class() string {
	switch {
	case p.imagined && p.kind == restsOnQueue:
		return restsOnGrowth
	case p.imagined:
		return restsOnTable
	}
	return p.kind
}

// score holds the prediction against what was observed; it must not be calibrated
// further than its halves are.
func (p *prediction) score(observed float64) Score {
	off := math.Log(observed / p.value)
	half := p.halfHigh
	if off < 0 {
		half = p.halfLow
	}
	return Score{Kind: p.class(), Value: math.Abs(off) / half, Reach: p.reach}
}

// Far says that the prediction reached far above the loads that were offered: it is
// calibrated apart from those that did not (Mondrian conformal prediction; Vovk et al.
// 2005), as replicates overstate what a long reach adds.
func (s Score) Far() bool { return s.Reach > math.Sqrt(nearBy*farBy) }

// Reaches up to which predictions are near, and from which they are far: those of loads
// up to 60% and 40% mostly are.
const nearBy, farBy = 1.55, 1.897

// cautious is by how many standard errors the rank of a factor for near lies above that
// which holds as often as asked in the mean of all calibrations: one of fifty scores may well
// hold in 85% where it should in 90% (training-conditional coverage; Vovk 2012). What is near
// is also of two sorts, of which drills up to 60% err by more of their width than those up
// to 40% that end close to the capacity. Of the steps of a quarter that were tried it is the
// least by which the systems that calibrate hold as often as asked from 60%, when each fifth
// of them is held against what the others calibrate.
const cautious = 1.0

// leastFactor is the least that an interval of what is near is multiplied by, as a precaution:
// that some dozens of simulated drills erred by less than their replicates show is no proof
// for others. Drills of the target itself are.
const leastFactor = 1.0

// widening is the factor that would have made the intervals of a kind, with such a
// reach, hold as often as is asked: between the factors for near and for far.
func widening(kind string, reach, confidence float64, past []Score) float64 {
	factor := func(far bool) float64 {
		scores, n := shipped(kind, far)
		scores = slices.Clone(scores)
		least, above := leastFactor, cautious
		if far { // replicates overstate what a long reach adds
			least, above = 0, 0
		}
		for _, s := range past {
			if s.Kind == kind && s.Value >= 0 && !math.IsInf(s.Value, 0) {
				least = 0
				for range ofOwn {
					scores, n = append(scores, s.Value), n+1
				}
			}
		}
		slices.Sort(scores)
		// The rank of conformal prediction: one more than the scores that there are.
		rank := (float64(n) + 1) * confidence / float64(n)
		rank += above * math.Sqrt(confidence*(1-confidence)/float64(n))
		return max(percentile(scores, min(rank, 1)), least)
	}
	near, far := factor(false), factor(true)
	if !(near > 0 && far > 0) {
		return max(near, far)
	}
	part := min(max(math.Log(reach/nearBy)/math.Log(farBy/nearBy), 0), 1)
	return near * math.Pow(far/near, part)
}

// Why predictions of a drill cannot be scored (Unscored.Reason).
const (
	// NoCapacity: its steps show none.
	NoCapacity = "no capacity"
	// BrokeAtOnce: its lowest load missed an objective, so that nothing lies below.
	BrokeAtOnce = "broke at once"
	// NoLimit: the objectives held at every load that was offered.
	NoLimit = "no limit"
	// NothingBelow: no valid step lies in the part that is read.
	NothingBelow = "nothing below"
	// NotPredicted: the steps in that part do not predict the rest.
	NotPredicted = "not predicted"
)

// Unscored says why Backtest has no scores.
type Unscored struct {
	// Reason is one of the above.
	Reason string
	// Observed is the capacity that was measured, and UpTo the highest load that was read,
	// in requests/s; both 0 unless the drill reached its limit.
	Observed, UpTo float64
	// Steps is how many valid steps there are up to UpTo, and Why what they lack to predict
	// the rest (Capacity.Unidentified); empty if that is not known.
	Steps int
	Why   string
}

// Backtest says how well the capacity of a drill that did reach its limit would
// have been predicted from below: the steps above shares (0..1) of the capacity
// are hidden, and what is predicted without them is scored against what was
// measured, and so it is from the tables of quantiles that these steps would be in another
// tool. The scores calibrate later predictions (Spec.Past). For a drill that reached no
// limit, or that says too little below it, it returns why there are none.
func Backtest(points []observation.Point, spec Spec, shares ...float64) ([]Score, *Unscored) {
	spec = spec.defaults()
	observed, reason := limitOf(Analyse(points, spec).Capacity)
	if reason != "" {
		return nil, &Unscored{Reason: reason}
	}
	var scores []Score
	no := &Unscored{Reason: NothingBelow, Observed: observed}
	for _, share := range shares {
		below := slices.DeleteFunc(search.Usable(points), func(p observation.Point) bool { return p.Offered > share*observed })
		if no.UpTo < share*observed {
			no.UpTo, no.Steps, no.Why = share*observed, len(below), ""
		}
		if len(below) == 0 {
			continue
		}
		list, why := scoresOf(below, spec, observed)
		scores = append(scores, list...)
		if no.Reason = NotPredicted; no.UpTo == share*observed {
			no.Why = why
		}
	}
	if len(scores) > 0 {
		return scores, nil
	}
	return nil, no
}

// limitOf is the capacity of a drill that passed it, or the reason why it is none to hold
// predictions against.
func limitOf(c *Capacity) (rps float64, reason string) {
	switch {
	case c == nil || c.Bound == "" && !(c.Value.Value > 0):
		return 0, NoCapacity
	case c.Bound == Below:
		return 0, BrokeAtOnce
	case c.Bound != "":
		return 0, NoLimit
	}
	return c.Value.Value, ""
}

// scoresOf holds what the steps predict, as they are and as tables, against what was
// observed, once for each kind; why says what they lack if as they are they predict nothing.
func scoresOf(below []observation.Point, spec Spec, observed float64) (scores []Score, why string) {
	seen := map[string]bool{}
	for i, points := range [][]observation.Point{below, reduced(below, false), reduced(below, true)} {
		a := Analyse(points, spec)
		if i == 0 && a.Capacity != nil {
			why = a.Capacity.Unidentified
		}
		if a.prediction != nil && !seen[a.prediction.class()] {
			seen[a.prediction.class()] = true
			scores = append(scores, a.prediction.score(observed))
		}
	}
	return scores, why
}

// reduced are points as a table of another tool has them, which predictions from tables
// are calibrated by: quantiles in the place of histograms and, if bare, no resources.
func reduced(points []observation.Point, bare bool) []observation.Point {
	points = slices.Clone(points)
	for i := range points {
		points[i].Windows, points[i].Flow = nil, nil
		if bare {
			points[i].Resources = nil
		}
	}
	return points
}

// Score says how far the predicted capacity is from one that was observed later;
// ok is false if none was predicted.
func (a *Analysis) Score(observed float64) (s Score, ok bool) {
	if a.prediction == nil || !(observed > 0) {
		return Score{}, false
	}
	return a.prediction.score(observed), true
}
