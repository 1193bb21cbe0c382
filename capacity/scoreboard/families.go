package scoreboard

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/headroom-project/headroom/scenarios"
)

// lockName is what a report calls the lock of a system that has one.
const lockName = "lock: " + lockFunction

// families are the kinds of systems, in the order of the table.
var families = []struct {
	name string
	make func(*rand.Rand) *System
}{
	{"cpu, in order", cpuInOrder},
	{"cpu, shared", cpuShared},
	{"one lock", oneLock},
	{"pool", onePool},
	{"downstream", downstream},
	{"memory", memory},
	{"crosstalk", crosstalk},
	{"two limits", twoLimits},
	{"two-point service", bimodal},
	{"drifting demand", drifting},
}

// longRun is how many hits make an endless run.
const longRun = 300_000

// drilled is about how long a drill takes, in s: demand that drifts is as it is then.
const drilled = 100.0

// Draw returns n systems, the families in turn. Equal seeds give equal systems.
func Draw(n int, seed uint64) []*System {
	systems := make([]*System, n)
	for i := range systems {
		f := families[i%len(families)]
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		systems[i] = f.make(rng)
		systems[i].Family = f.name
	}
	return systems
}

// DrawHeavy returns n systems whose cores serve a few requests that take most of the work,
// in order and shared in turn. They are no family of the table: from below little shows of
// such requests.
func DrawHeavy(n int, seed uint64) []*System {
	systems := make([]*System, n)
	for i := range systems {
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		systems[i] = onCPU(rng, i%2 == 1, func(rng *rand.Rand, mean float64) func(*rand.Rand) float64 {
			return lognormal(mean, between(rng, 4, 12))
		})
		systems[i].Family = []string{"heavy, in order", "heavy, shared"}[i%2]
	}
	return systems
}

// DrawLocks returns n systems whose lock a request takes several times, or only some of
// them. They are no family of the table: most locks are taken once.
func DrawLocks(n int, seed uint64) []*System {
	systems := make([]*System, n)
	for i := range systems {
		systems[i] = lockOften(rand.New(rand.NewPCG(seed, uint64(i))))
		systems[i].Family = "lock, not once"
	}
	return systems
}

// distinct is by how much an objective lies above the response at 40% of
// saturation: one that is nearly broken without any load crosses nowhere.
const distinct = 1.3

// Prove finds where an endless run breaks the objectives, which takes a while.
func (s *System) Prove(seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 5))
	share := 0.72 + 0.25*rng.Float64()
	if s.Capacity == 0 {
		s.Capacity = share * s.Saturation
	}
	ms, _ := s.endless(s.Capacity, 0.99, longRun, drilled, seed)
	quiet, _ := s.endless(0.4*s.Saturation, 0.99, longRun/4, drilled, seed)
	for ; ms < distinct*quiet && share < 0.99 && s.Family != "memory"; share += 0.4 * (1 - share) {
		s.Capacity = share * s.Saturation
		ms, _ = s.endless(s.Capacity, 0.99, longRun, drilled, seed)
	}
	if s.Family == "memory" { // errors come first
		ms *= 1.5
	}
	s.Objectives = []scenarios.Objective{
		{Metric: "p99", Op: "<", Value: ms}, {Metric: "errors", Op: "<", Value: 0.01},
	}
	for _, share := range []float64{0.7, 0.8, 0.9} {
		p99, _ := s.endless(share*s.Capacity, 0.99, longRun/2, drilled, seed+1)
		s.Unseen, s.P99 = append(s.Unseen, share*s.Capacity), append(s.P99, p99)
	}
}

func between(rng *rand.Rand, low, high float64) float64 { return low + (high-low)*rng.Float64() }

func ratio(rng *rand.Rand, low, high float64) float64 {
	return low * math.Exp(rng.Float64()*math.Log(high/low))
}

func cores(rng *rand.Rand) int { return 1 << rng.IntN(5) }

// load is where systems saturate, in hits/s.
func load(rng *rand.Rand) float64 { return ratio(rng, 150, 1500) }

// cpuMeter reads the cores that a part uses.
func cpuMeter(part int, limit, base float64) instrument {
	return instrument{resource: "cpu", unit: "cores", part: part, limit: limit, base: base, each: 1, noise: 0.015, wander: 0.004}
}

// outside is the way to the target and back, and what it does besides.
func outside(rng *rand.Rand, mean float64) part {
	rest := lognormal(mean, between(rng, 0, 0.5))
	return part{station: delay{}, work: func(rng *rand.Rand) float64 { return rest(rng) + Network(rng) }}
}

// service draws a distribution of work.
func service(rng *rand.Rand, mean float64) func(*rand.Rand) float64 {
	if rng.IntN(3) == 0 {
		return exponential(mean)
	}
	return lognormal(mean, between(rng, 0, 2))
}

// busy is CPU that is not the limit: at saturation a share of its cores.
func busy(rng *rand.Rand, saturation float64) (part, instrument) {
	c := cores(rng)
	share := between(rng, 0.1, 0.6)
	mean := share * float64(c) / saturation
	return part{station: plain(c), work: service(rng, mean)}, cpuMeter(0, float64(c), 0.02*float64(c))
}

// onCPU is a system whose cores give out first. What the base uses of them is
// missing for requests.
func onCPU(rng *rand.Rand, shared bool, work func(*rand.Rand, float64) func(*rand.Rand) float64) *System {
	c, x := cores(rng), load(rng)
	base := between(rng, 0.005, 0.03) * float64(c)
	demand := (float64(c) - base) / x
	slowed := float64(c) / (float64(c) - base)
	s := &System{Saturation: x, Bottleneck: "cpu"}
	var at station = queue(c)
	if shared {
		at = plain(c)
	}
	meter := cpuMeter(0, float64(c), base)
	meter.each = 1 / slowed
	s.parts = []part{{station: at, work: work(rng, demand*slowed), drifts: true}, outside(rng, ratio(rng, 0.001, 0.02))}
	s.meters = []instrument{meter}
	return s
}

func cpuInOrder(rng *rand.Rand) *System { return onCPU(rng, false, service) }
func cpuShared(rng *rand.Rand) *System  { return onCPU(rng, true, service) }

func bimodal(rng *rand.Rand) *System {
	return onCPU(rng, rng.IntN(2) == 0, func(rng *rand.Rand, mean float64) func(*rand.Rand) float64 {
		return twoPoint(mean, between(rng, 0.02, 0.15), between(rng, 5, 15))
	})
}

// drifting demand grows while it is drilled: the cache of something else fills.
func drifting(rng *rand.Rand) *System {
	s := onCPU(rng, rng.IntN(2) == 0, service)
	growth := between(rng, 0.05, 0.20)
	s.drift = growth / drilled
	s.Saturation /= 1 + growth
	return s
}

func oneLock(rng *rand.Rand) *System {
	x := load(rng)
	cpu, meter := busy(rng, x)
	s := &System{Saturation: x, Bottleneck: lockName, meters: []instrument{meter}}
	hold := lognormal(1/x, between(rng, 0, 1.5))
	s.parts = []part{cpu, {station: queue(1), work: hold}, outside(rng, ratio(rng, 0.001, 0.02))}
	return s
}

// lockOften is a lock that a request takes several times, or that some requests take.
func lockOften(rng *rand.Rand) *System {
	x := load(rng)
	cpu, meter := busy(rng, x)
	s := &System{Saturation: x, Bottleneck: lockName, meters: []instrument{meter}}
	held := lock{times: []float64{0.3, 0.5, 2, 3, 5}[rng.IntN(5)], gap: ratio(rng, 0.0005, 0.005)}
	s.parts = []part{cpu, {station: held, work: lognormal(1/x, between(rng, 0, 1.5))}, outside(rng, ratio(rng, 0.001, 0.02))}
	return s
}

// slots is a pool, read as a counter of slot-seconds or at an instant.
func slots(rng *rand.Rand, at, n int) instrument {
	return instrument{resource: "pool.sql", unit: "slots", part: at, limit: float64(n), each: 1, gauge: rng.IntN(2) == 0}
}

func onePool(rng *rand.Rand) *System {
	x, n := load(rng), int(ratio(rng, 2, 40))
	cpu, meter := busy(rng, x)
	s := &System{Saturation: x, Bottleneck: "pool.sql", meters: []instrument{meter, slots(rng, 1, n)}}
	s.parts = []part{cpu, {station: queue(n), work: service(rng, float64(n)/x)}, outside(rng, ratio(rng, 0.001, 0.02))}
	return s
}

// downstream has a limiter that nothing measures.
func downstream(rng *rand.Rand) *System {
	x := load(rng)
	cpu, meter := busy(rng, x)
	s := &System{Saturation: x, Bottleneck: "unmeasured", meters: []instrument{meter}}
	s.parts = []part{cpu, {station: bucket{x, float64(1 + rng.IntN(4))}}, outside(rng, 0.005)}
	return s
}

// memory has room for so many requests in flight, and refuses the others. Its
// collector takes CPU as the heap fills.
func memory(rng *rand.Rand) *System {
	x := load(rng)
	stays := ratio(rng, 0.1, 1)
	n := int(x * stays)
	cpu, meter := busy(rng, x)
	meter.collect = 0.2
	limit := ratio(rng, 2.5e8, 4e9)
	base := between(rng, 0.05, 0.3) * limit
	s := &System{Saturation: x, Bottleneck: "memory", Capacity: erlangLoss(n, 0.01) / stays}
	s.parts = []part{cpu, {station: places(n), work: lognormal(stays, between(rng, 0, 0.5))}, outside(rng, 0.001)}
	s.meters = []instrument{meter, {
		resource: "memory", unit: "bytes", part: 1, limit: limit, base: base, each: (limit - base) / float64(n), noise: 0.02,
	}}
	return s
}

// erlangLoss is the load in erlangs of which n places refuse a ratio (Erlang's
// first formula, by its recursion, and bisection).
func erlangLoss(n int, refused float64) float64 {
	low, high := 0.0, 2*float64(n)+10
	for range 60 {
		a, b := (low+high)/2, 1.0
		for k := 1; k <= n; k++ {
			b = a * b / (float64(k) + a*b)
		}
		if b < refused {
			low = a
		} else {
			high = a
		}
	}
	return low
}

// crosstalk is the Universal Scalability Law at work: n requests at once get
// n/(1 + a(n-1) + bn(n-1)) done in the time that one needs alone, and keep n
// cores busy meanwhile.
func crosstalk(rng *rand.Rand) *System {
	a, b := ratio(rng, 0.005, 0.05), ratio(rng, 5e-5, 1e-3)
	c := 4 << rng.IntN(4)
	c = min(c, max(int(between(rng, 0.6, 1.1)*math.Sqrt((1-a)/b)), 4))
	at := sharing{cores: c, speed: make([]float64, c+1)}
	for n := 1; n <= c; n++ {
		f := float64(n)
		at.speed[n] = f / (1 + a*(f-1) + b*f*(f-1))
	}
	x := load(rng)
	s := &System{Saturation: x, Bottleneck: "cpu", meters: []instrument{cpuMeter(0, float64(c), 0.01)}}
	s.parts = []part{{station: at, work: service(rng, at.speed[c]/x)}, outside(rng, ratio(rng, 0.001, 0.02))}
	return s
}

// twoLimits has a pool and CPU whose limits are 2 to 15% apart.
func twoLimits(rng *rand.Rand) *System {
	x, n, c := load(rng), int(ratio(rng, 2, 40)), cores(rng)
	apart := 1 + between(rng, 0.02, 0.15)
	pool, cpu := x, x*apart
	s := &System{Saturation: x, Bottleneck: "pool.sql"}
	if rng.IntN(2) == 0 {
		pool, cpu, s.Bottleneck = cpu, pool, "cpu"
	}
	s.meters = []instrument{cpuMeter(0, float64(c), 0.005*float64(c)), slots(rng, 1, n)}
	s.parts = []part{
		{station: plain(c), work: service(rng, float64(c)/cpu)},
		{station: queue(n), work: service(rng, float64(n)/pool)}, outside(rng, ratio(rng, 0.001, 0.02)),
	}
	return s
}

func (s *System) String() string {
	return fmt.Sprintf("%s: saturation %.4g/s by %s, capacity %.4g/s at %v", s.Family, s.Saturation, s.Bottleneck, s.Capacity, s.Objectives)
}
