package planning

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/headroom-project/headroom/capacity"
	"github.com/headroom-project/headroom/capacity/erlang"
)

// Figure is a value with its interval.
type Figure struct {
	Value float64 `json:"value"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
}

// Basis is how a figure was found: the confidence of its interval, 0 without one, and
// what weakens it.
type Basis struct {
	Method     string   `json:"method"`
	Confidence float64  `json:"confidence,omitempty"`
	Warnings   []string `json:"warnings,omitempty"`
}

// Estimate is a figure and its basis.
type Estimate struct {
	Figure
	Basis
}

func (f Figure) times(k float64) Figure { return Figure{f.Value * k, f.Low * k, f.High * k} }
func (f Figure) plus(x float64) Figure  { return Figure{f.Value + x, f.Low + x, f.High + x} }

// doubted is the figure times one that may be off by a share of itself, up or down.
func (f Figure) doubted(share float64) Figure {
	low, high := (f.Value-f.Low)/f.Value, (f.High-f.Value)/f.Value
	if !(f.Value > 0) || !(share > 0) {
		return f
	}
	return Figure{f.Value, f.Value * max(1-math.Hypot(low, share), 0), f.Value * (1 + math.Hypot(high, share))}
}

// over is the figure over one of 1 that may be off by a share of itself, below 1, up or down.
func (f Figure) over(share float64) Figure {
	if !(f.Value > 0) || !(share > 0) {
		return f
	}
	low, high := math.Log(f.Value/f.Low), math.Log(f.High/f.Value)
	return Figure{f.Value, f.Value * math.Exp(-math.Hypot(low, math.Log1p(share))), f.Value * math.Exp(math.Hypot(high, math.Log1p(-share)))}
}

// Names of the resources that an instance type changes.
const (
	cpu    = "cpu"
	memory = "memory"
)

// egress is the part of a cost that goes with the size of the answers.
const egress = "egress"

// Service is what is known of one replica.
type Service struct {
	// Capacity is the highest load that meets the objectives, in requests/s.
	Capacity Figure
	// Basis is that of the capacity.
	Basis Basis
	// AtLeast says that the capacity is bounded below only.
	AtLeast bool
	// Predicted says that no load near the capacity was offered.
	Predicted bool
	// Tail is the share of requests that may take longer than the objective that limits the
	// capacity allows, 0.01 of a p99; 0 if none is of a quantile of the responses.
	Tail float64
	// Alone is how long a request takes in the mean where it hardly waits, in s; 0 if it is not
	// known.
	Alone float64
	// Limits are what can give out, the first to do so first.
	Limits []Limit
	// VCPU and MemoryBytes are what one replica has; 0 if it is not known.
	VCPU, MemoryBytes float64
	// BytesPerRequest is what one answer weighs, 0 if it is not known.
	BytesPerRequest float64
	// Requests is the demand by request name; nil if it was not attributed.
	Requests []RequestDemand
	// Unfit is a limit below what is used at rest, so that nothing is carried; else nil.
	Unfit *Limit
}

// Limit is a resource that can give out: its use grows with the load, up to Limit.
type Limit struct {
	Resource string
	// Probability that it is the first to give out.
	Probability float64
	// RPS is the load at which it does.
	RPS float64
	// Demand is resource-seconds for one request, 0 if it is not known (an
	// unmeasured limit, a lock); Limit is in the resource's unit.
	Demand, Limit float64
	// Law is how its use grows; nil for a straight line, by Demand and up to Limit at RPS.
	Law *capacity.Law
}

func (l Limit) law() capacity.Law {
	if l.Law != nil {
		return *l.Law
	}
	return capacity.Law{Base: l.Limit - l.Demand*l.RPS, Demand: l.Demand}
}

// usedTo is the load at which a share of the limit is used.
func (l Limit) usedTo(share float64) float64 { return l.law().Reaches(share * l.Limit) }

// under is a limit of so much, with a law.
func (l Limit) under(law capacity.Law, limit float64) Limit {
	if law.Cores > 0 {
		law.Cores = limit // with which crosstalk goes
	}
	l.Limit, l.Demand, l.Law, l.RPS = limit, law.Demand, &law, law.Reaches(limit)
	return l
}

// RequestDemand is what one request of a name takes.
type RequestDemand struct {
	Name string
	// Share of the mix that was measured, 0..1.
	Share float64
	// Demand by resource, in resource-seconds for one request.
	Demand map[string]Figure
	// BytesPerRequest is what one answer weighs, ResponseMS how long one is in
	// flight in the mean; 0 if it is not known.
	BytesPerRequest, ResponseMS float64
}

// Longer is how many times as long a request takes on cores of another speed, by the share of its
// time that they work for it: what it takes of them to how long it takes where it hardly waits. 1
// where that is not known, and on cores that are faster, which is on the safe side.
func (s Service) Longer(speed float64) float64 {
	core := slices.IndexFunc(s.Limits, func(l Limit) bool { return l.Resource == cpu && l.Demand > 0 })
	if core < 0 || !(s.Alone > 0) || !(speed > 0 && speed < 1) {
		return 1
	}
	return 1 + min(s.Limits[core].Demand/s.Alone, 1)*(1/speed-1)
}

// likely is the probability from which on a limit that does not change with a
// what-if keeps the low end of the capacity where it is.
const likely = 0.05

// On returns the service on another instance type, and what that assumes. What
// is no core and no memory (locks, pools, whatever was not measured) stays.
func (s Service) On(i Instance) (Service, []string) {
	notes := []string{"predicted for another instance type, by how its cores and memory move the limits; confirm it by a drill"}
	out := s
	out.Basis.Method = moved(s.Basis.Method, "by the cores and the memory of another instance type")
	out.Limits = slices.Clone(s.Limits)
	cores := s.VCPU
	if i.VCPU > 0 {
		out.VCPU = i.VCPU
	}
	if i.MemoryGB > 0 {
		out.MemoryBytes = i.MemoryGB * 1e9
	}
	moves := false
	for k, l := range s.Limits {
		switch {
		case l.Resource == cpu && l.Demand > 0:
			// Cores that are faster take less of themselves for the same work.
			limit := l.Limit
			if cores > 0 && i.VCPU > 0 {
				limit *= i.VCPU / cores
			}
			moves = true
			out.Limits[k] = l.under(l.law().Slowed(1/i.Speed, 1/i.Speed), limit)
		case l.Resource == memory && l.Demand > 0 && i.MemoryGB > 0:
			moves = true
			out.Limits[k] = l.under(l.law(), i.MemoryGB*1e9)
		}
	}
	if !moves {
		out.Basis = s.Basis
		notes = append(notes, "no limit of cores or memory is known: the capacity is taken as it was measured")
		return out, notes
	}
	for k, l := range out.Limits {
		if l.RPS == 0 && s.Limits[k].RPS > 0 {
			out.Capacity, out.Unfit = Figure{}, &out.Limits[k]
			return out, append(notes, fmt.Sprintf("what is used of %s without a request does not fit: it carries nothing", l.Resource))
		}
	}
	fewer := i.VCPU > 0 && i.VCPU < cores
	core := slices.IndexFunc(s.Limits, func(l Limit) bool { return l.Resource == cpu && l.Demand > 0 && l.Limit > 0 })
	switch {
	case fewer && core >= 0 && s.Limits[core].RPS <= s.first():
		notes = append(notes, "fewer cores queue more at the same utilisation: they are taken to be used up to where as many requests wait, and those that wait longest do so for as long (Erlang 1917)")
		was, now := s.Limits[core], out.Limits[core]
		if x := now.usedTo(s.staffing(was, i.VCPU)); x > 0 {
			out.rescale(s, x/s.Capacity.Value*s.first()/out.first())
		} else {
			out.rescale(s, 0)
		}
	case fewer && core >= 0:
		// What gives out first is something else, and how far the cores can be used was not
		// seen.
		usable := out.Limits[core].usedTo(utilisation(i.VCPU, manyWait))
		out.rescale(s, 1)
		if c := out.Capacity; c.Value > usable {
			notes = append(notes, fmt.Sprintf("with fewer cores they may well give out first: they are taken to carry %.4g/s, where every other request waits for one (Erlang 1917)", usable))
			out.Capacity = Figure{min(c.Value, usable), min(c.Low, usable), min(c.High, max(usable, out.first()))}
		}
	default:
		out.rescale(s, 1)
	}
	if i.VCPU > 0 && s.MemoryBytes > 0 && i.MemoryGB == 0 {
		notes = append(notes, "the instance type's memory is not known: it is taken as it was measured")
	}
	return out, notes
}

// moved is the method of a capacity that was found by one, and moved.
func moved(method, by string) string { return method + "; moved " + by }

// manyWait is the share of requests that wait for a core from which cores that were not
// seen to give out are taken to do so.
const manyWait = 0.5

// staffing is to which share a replica may use fewer cores so that no more requests wait
// than at its capacity, and those that wait longest do not wait longer: of c cores that are used
// to rho, a share C of the requests waits (Erlang 1917), and C exp(-c (1 - rho) t) of them for more
// than t times what one takes (exponential service).
func (s Service) staffing(l Limit, cores float64) float64 {
	rho := l.share(s.Capacity.Value)
	if !(rho > 0 && rho < 1) || s.VCPU <= 0 {
		return rho
	}
	wait := erlang.Waits(s.VCPU, rho)
	longest := 0.0
	if s.Tail > 0 && wait > s.Tail {
		longest, wait = math.Log(wait/s.Tail)/(s.VCPU*(1-rho)), s.Tail
	}
	return min(highestShare(func(share float64) bool {
		return erlang.Waits(cores, share)*math.Exp(-cores*(1-share)*longest) <= wait
	}), rho)
}

// utilisation is that of so many cores at which a share of the requests waits.
func utilisation(cores, wait float64) float64 {
	return highestShare(func(share float64) bool { return erlang.Waits(cores, share) <= wait })
}

// highestShare is the highest utilisation that will do, where no higher one does.
func highestShare(does func(share float64) bool) float64 {
	low, high := 0.0, 1.0
	for range 50 {
		if middle := (low + high) / 2; does(middle) {
			low = middle
		} else {
			high = middle
		}
	}
	return low
}

// rescale moves the capacity by as much as the first limit moved. The objectives
// are taken to break at the same share of it as before. Where a limit that did
// not move may well be the one that counts, the low end does not rise.
func (s *Service) rescale(was Service, factor float64) {
	ratio := s.first() / was.first() * factor
	if math.IsNaN(ratio) || math.IsInf(ratio, 0) {
		return
	}
	low := ratio
	for k, l := range was.Limits {
		if l.RPS == s.Limits[k].RPS && l.Probability >= likely {
			low = min(low, 1)
		}
	}
	s.Capacity = Figure{was.Capacity.Value * ratio, was.Capacity.Low * low, was.Capacity.High * ratio}
	slices.SortStableFunc(s.Limits, func(a, b Limit) int {
		switch {
		case a.RPS < b.RPS:
			return -1
		case a.RPS > b.RPS:
			return 1
		}
		return 0
	})
}

// first is the lowest limit in requests/s.
func (s Service) first() float64 {
	low := math.Inf(1)
	for _, l := range s.Limits {
		if l.RPS > 0 {
			low = min(low, l.RPS)
		}
	}
	return low
}

// ErrNotAttributed is returned for a mix of requests whose demand is not known.
var ErrNotAttributed = errors.New("the demand of each request is not known: the mix did not vary enough in this drill")

// WithMix returns the service under another mix, in which the named requests have
// the given shares and the others keep their proportions. It fails where the
// demand of the requests was not attributed.
func (s Service) WithMix(shares map[string]float64) (Service, []string, error) {
	if len(s.Requests) == 0 {
		return s, nil, ErrNotAttributed
	}
	now, err := s.mixed(shares)
	if err != nil {
		return s, nil, err
	}
	out := s
	out.Limits = slices.Clone(s.Limits)
	out.Requests = slices.Clone(s.Requests)
	for i := range out.Requests {
		out.Requests[i].Share = now[i]
	}
	moves, doubt := false, 0.0
	for k, l := range s.Limits {
		old, changed := s.demand(l.Resource), out.demand(l.Resource)
		if l.Demand > 0 && old > 0 && changed > 0 {
			moves = true
			doubt = max(doubt, s.doubt(l.Resource, out)/changed)
			out.Limits[k] = l.under(l.law().Slowed(changed/old, 1), l.Limit)
		}
	}
	if !moves {
		return s, nil, fmt.Errorf("no limit whose demand is known by request")
	}
	out.rescale(s, 1)
	out.Capacity = out.Capacity.over(min(doubt, mostDoubt))
	out.Basis.Method = moved(s.Basis.Method, "by what each request of another mix takes")
	notes := []string{"predicted for another mix, from the demand of each request; confirm it by a drill with these weights"}
	if k := ratio(out.size(), s.size()); k > 0 {
		out.BytesPerRequest *= k
	} else if s.BytesPerRequest > 0 {
		notes = append(notes, "the size of the answers of each request is not known: egress is that of the mix that was measured")
	}
	return out, notes, nil
}

// Marginal is what a million more requests cost under another mix, from the parts
// (cpu, memory, egress) that they cost under that of s: cores go with the demand,
// memory with the time in flight, egress with the size of the answers (see
// WithMix). A part that is not known by request stays. nil without parts.
func (s Service) Marginal(parts map[string]Figure, other Service) *Figure {
	var sum Figure
	for _, name := range slices.Sorted(maps.Keys(parts)) { // in one order: sums of floats differ by it
		part, k := parts[name], 0.0
		switch name {
		case cpu:
			if k = ratio(other.demand(cpu), s.demand(cpu)); k > 0 {
				part = part.doubted(s.doubt(cpu, other) / other.demand(cpu))
			}
		case memory:
			k = ratio(other.flight(), s.flight())
		case egress:
			k = ratio(other.size(), s.size())
		}
		if k > 0 {
			part = part.times(k)
		}
		sum.Value, sum.Low, sum.High = sum.Value+part.Value, sum.Low+part.Low, sum.High+part.High
	}
	if !(sum.Value > 0) {
		return nil
	}
	return &sum
}

// Alike is the load of a replica of s that asks as much of its cores as other's does at a
// load; the same where that is not known.
func (s Service) Alike(load float64, other Service) float64 {
	if k := ratio(other.demand(cpu), s.demand(cpu)); k > 0 {
		return k * load
	}
	return load
}

// ratio is 0 where it is not known.
func ratio(a, b float64) float64 {
	if !(a > 0 && b > 0) {
		return 0
	}
	return a / b
}

// size is that of an answer of the mix, and flight how long a request of it is in
// flight; 0 where they are not known by request.
func (s Service) size() float64 {
	return s.over(func(r RequestDemand) float64 { return r.BytesPerRequest })
}
func (s Service) flight() float64 {
	return s.over(func(r RequestDemand) float64 { return r.ResponseMS })
}

func (s Service) over(value func(RequestDemand) float64) float64 {
	sum := 0.0
	for _, r := range s.Requests {
		sum += r.Share * value(r)
	}
	return sum
}

// mixed returns the share of each request.
func (s Service) mixed(shares map[string]float64) ([]float64, error) {
	sum, rest := 0.0, 0.0
	for name, share := range shares {
		if !slices.ContainsFunc(s.Requests, func(r RequestDemand) bool { return r.Name == name }) {
			return nil, fmt.Errorf("no request is named %q", name)
		}
		sum += share
	}
	for _, r := range s.Requests {
		if _, ok := shares[r.Name]; !ok {
			rest += r.Share
		}
	}
	if sum > 1+1e-9 || sum < 1-1e-9 && rest <= 0 {
		return nil, fmt.Errorf("the shares add up to %g%%", 100*sum)
	}
	out := make([]float64, len(s.Requests))
	for i, r := range s.Requests {
		share, ok := shares[r.Name]
		if !ok && rest > 0 {
			share = r.Share / rest * (1 - sum)
		}
		out[i] = share
	}
	return out, nil
}

// mostDoubt bounds by how much of itself a demand is said to be off.
const mostDoubt = 0.9

// doubt is half of the interval of what a request of other's mix takes of a resource, from those of
// each request: what their mix took together is known much better, so that they count as far as
// the other mix differs from it.
func (s Service) doubt(resource string, other Service) float64 {
	scale, squares := ratio(other.demand(resource), s.demand(resource)), 0.0
	for i, r := range s.Requests {
		d := r.Demand[resource]
		part := (other.Requests[i].Share - scale*r.Share) * (d.High - d.Low) / 2
		squares += part * part
	}
	return math.Sqrt(squares)
}

// demand is that of a request of the mix on a resource; 0 if it is not known.
func (s Service) demand(resource string) float64 {
	return s.over(func(r RequestDemand) float64 { return r.Demand[resource].Value })
}
