package loadgen

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/headroom-project/headroom/loadgen/observation"
)

// audit returns what makes a step's figures contradict each other, or speak of a
// target that was not the same throughout; each with what to do about it.
func audit(p *observation.Point) []string {
	return append(scaled(p), littlesLaw(p)...)
}

// scaled tells that the target was given more or less while it was measured.
func scaled(p *observation.Point) []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(p.Resources)) {
		u := p.Resources[name]
		if u.LimitBefore > 0 && name != GeneratorCPU {
			out = append(out, fmt.Sprintf("the target's limit of %s went from %.4g to %.4g %s meanwhile; hold its size while it is drilled (switch the autoscaler off), or drill it longer", name, u.LimitBefore, u.Limit, u.Unit))
		}
	}
	return out
}

// Bounds of Little's law.
const (
	// auditedSeconds is how many counts of the hits in flight it takes.
	auditedSeconds = 4
	// auditedShare is the share by which the two sides may differ beyond chance:
	// counts are made at the ends of seconds, of which the load may have a rhythm.
	auditedShare = 0.3
	// auditedSpread is how many standard errors chance is given. Hits in flight
	// are correlated from one second to the next in a queue, so that it is wide.
	auditedSpread = 6
)

// littlesLaw holds the mean number of hits in flight N, counted at the end of each
// second, against X R, throughput times mean response time (J. D. C. Little, 1961).
// They are taken on different ways through the worker and the evidence, so that a
// window that was lost or counted twice shows. The law is about a steady state: a
// step whose backlog grew or drained is passed over.
func littlesLaw(p *observation.Point) []string {
	var counted []float64
	for _, f := range p.Flow {
		if f.From >= p.Discarded-0.1 && f.To <= p.Discarded+p.Seconds+0.1 {
			counted = append(counted, float64(f.InFlight))
		}
	}
	n := len(counted)
	if n < auditedSeconds || p.Cut != "" {
		return nil
	}
	begin, end := mean(counted[:n/2]), mean(counted[n/2:])
	counts := mean(counted)
	chance := auditedSpread * math.Sqrt(max(counts, p.InFlight, 1)/float64(n))
	if math.Abs(end-begin) > auditedShare*counts+chance || math.Abs(counts-p.InFlight) <= auditedShare*max(counts, p.InFlight)+chance {
		return nil
	}
	return []string{fmt.Sprintf("Little's law does not hold: %.4g hits were in flight in the mean, but throughput times mean response time is %.4g; a part of the record is missing or doubled", counts, p.InFlight)}
}

func mean(xs []float64) float64 {
	sum := 0.0
	for _, x := range xs {
		sum += x
	}
	return sum / float64(len(xs))
}
