package capacity

import (
	"math"
	"slices"
)

// equivalent returns the steps as they would have been at the end of the drill, where
// the demand on the nearest resource drifts. A step at load x with demand r*D is one at
// load r*x with demand D whose clock runs faster by r: it uses the resource as much, and
// what is work or waiting for it takes 1/r as long there. What else a request takes
// stays what it was.
func equivalent(all []series, nearest *fit, ca2 float64) []series {
	if nearest == nil || nearest.drift == 0 {
		return all
	}
	end := 0.0
	for i := range all {
		end = max(end, all[i].at())
	}
	rest, works := restAtFirst(all, nearest, ca2)
	moved := slices.Clone(all)
	for i := range moved {
		ratio := max(1+nearest.drift*(moved[i].at()-end), 0.1)
		moved[i].load *= ratio
		if works {
			moved[i].slower(rest, 1/ratio)
		}
	}
	return moved
}

// restAtFirst is what a request at low loads takes besides its work, in s; ok is
// false where the resource is no cores, or the responses do not show the work.
func restAtFirst(all []series, cores *fit, ca2 float64) (rest float64, ok bool) {
	if cores.unit != "cores" {
		return 0, false
	}
	rows := make([]replicate, len(all))
	for i := range all {
		all[i].observed(&rows[i])
	}
	list, b := stages(all, rows, ca2)
	if len(list) == 0 {
		return 0, false
	}
	var how station
	_, ok = how.worked(quietest(list), b, cores.demandAt(list[0].load))
	return how.rest, ok
}

// slower gives the responses of the step as they are where all that they are above rest,
// in s, takes longer by a ratio.
func (s *series) slower(rest, ratio float64) {
	if len(s.windows) == 0 {
		return
	}
	const most = 150 // bins: a ratio of 20
	below := 0       // how many bins lower the first one ends up
	to := make([]float64, len(s.windows[0].bins))
	for k := range to {
		t := math.Exp((float64(s.first+k) + 0.5) * logBin)
		longer := t + max(t-1e6*rest, 0)*(ratio-1)
		to[k] = min(max(math.Log(longer/t)/logBin, -most), most)
		below = max(below, -int(math.Floor(to[k]))-k)
	}
	below = min(below, s.first)
	windows := slices.Clone(s.windows)
	for i := range windows {
		windows[i].bins = spreadOver(s.windows[i].bins, to, below)
	}
	s.windows, s.first = windows, s.first-below
}

// spreadOver moves what is in each bin up by so many bins, which need not be whole, with
// as many more bins below the first.
func spreadOver(bins, to []float64, below int) []float64 {
	top := len(bins) + below
	for k := range to {
		top = max(top, k+below+int(math.Floor(to[k]))+2)
	}
	into := make([]float64, top)
	for k, n := range bins {
		whole := math.Floor(to[k])
		at := max(k+below+int(whole), 0)
		part := to[k] - whole
		into[at] += n * (1 - part)
		into[at+1] += n * part
	}
	return into
}
