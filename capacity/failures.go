package capacity

import (
	"fmt"
	"math"
	"slices"
)

// failures is the share of hits that fail, over the load of a replica: it does not fall
// as the load rises, and between two steps it is that of the lower one. That is the
// maximum likelihood of a monotone share (Ayer et al. 1955), which leaves open what lies
// between two steps; what fails past saturation says nothing of the loads below.
type failures []pool

// failuresOf pools what the steps show, each by how many hits ended in it.
func failuresOf(all []series) failures {
	readings := make([]reading, 0, len(all))
	for i := range all {
		p := all[i].point
		hits := float64(p.OK + p.Failed)
		if hits == 0 {
			hits = all[i].load * all[i].seconds
		}
		if share := p.ErrorRatio; share >= 0 && share <= 1 {
			readings = append(readings, reading{load: all[i].load, margin: share, weight: hits})
		}
	}
	return isotonic(readings)
}

// answered is what of a load with its interval is answered OK: the share, and that in
// requests/s, which may be least at a load inside where more begin to fail.
func (f failures) answered(x Value) (share, rate Value) {
	at := f.at(x.Value)
	share = Value{Value: 1 - at.Value, Low: 1 - at.High, High: 1 - at.Low}
	rate = Value{Value: x.Value * share.Value, Low: math.Inf(1)}
	over := func(load float64, at loss) {
		share.Low, share.High = min(share.Low, 1-at.High), max(share.High, 1-at.Low)
		rate.Low, rate.High = min(rate.Low, load*(1-at.High)), max(rate.High, load*(1-at.Low))
	}
	over(x.Low, f.at(x.Low))
	over(x.Value, at)
	over(x.High, f.at(x.High))
	for i := 1; i < len(f); i++ {
		if load := f[i].low; load > x.Low && load < x.High {
			over(load, f[i-1].share()) // just below it
			over(load, f[i].share())
		}
	}
	return share, rate
}

// asked is the least load of which so many requests/s are answered OK: what a limit of what is
// served allows to be offered.
func (f failures) asked(ok float64) float64 {
	if len(f) == 0 || !(ok > 0) || math.IsInf(ok, 0) {
		return ok
	}
	for i, p := range f {
		load := max(ok/(1-p.share().Value), p.low)
		if i == 0 {
			load = ok / (1 - p.share().Value)
		}
		if i == len(f)-1 || load < f[i+1].low {
			return load
		}
	}
	return ok
}

// below is what fails where the target is not saturated: what fails past that says nothing of
// how much of a load is answered.
func below(all []series, sat *plateau) failures {
	if sat == nil {
		return failuresOf(all)
	}
	return failuresOf(slices.DeleteFunc(slices.Clone(all), func(s series) bool { return s.load > sat.cap() }))
}

// nothingOK says that all that was asked in any step failed.
func nothingOK(all []series) bool {
	return !slices.ContainsFunc(all, func(s series) bool {
		return s.point.ErrorRatio < 1 && (s.point.OK > 0 || s.point.Failed == 0)
	})
}

// loss is a share of hits that fail, with its interval.
type loss Value

// at is the share at a load.
func (f failures) at(load float64) loss {
	if len(f) == 0 {
		return loss{}
	}
	at := f[0]
	for _, p := range f[1:] {
		if p.low <= load*(1+1e-9) {
			at = p
		}
	}
	return at.share()
}

// share is that of a pool. Its 90% interval is normal, which is too narrow where one or
// two of thousands fail and does not matter there.
func (p pool) share() loss {
	share := min(p.margin, mostFailing)
	off := 1.645 * math.Sqrt(share*(1-share)/max(p.weight, 1))
	return loss{Value: share, Low: max(share-off, 0), High: min(share+off, mostFailing)}
}

// mostFailing is the greatest share that a cost is divided by the rest of: where all fail,
// a good request has no price.
const mostFailing = 0.999

// said is what a method says of it; nothing of less than one in a thousand.
func (f loss) said() string {
	if f.Value < 0.001 {
		return ""
	}
	return fmt.Sprintf("; %s of it fails, and those that are answered bear it", percent(f.Value))
}
