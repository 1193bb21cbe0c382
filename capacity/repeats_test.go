package capacity

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/headroom-project/headroom/loadgen/observation"
)

// restlessSteps are four steps at each of three loads of 8 s each, with exponential
// responses whose mean differs from step to step by a factor with this deviation of its log.
func restlessSteps(apart float64, rng *rand.Rand) []series {
	var points []observation.Point
	for _, load := range []float64{60, 120, 180} {
		for range 4 {
			mean := (0.005 + load*2e-5) * math.Exp(apart*rng.NormFloat64())
			points = append(points, exponential(load, 8, mean, rng))
		}
	}
	return digest(points)
}

func exponential(load float64, seconds int, mean float64, rng *rand.Rand) observation.Point {
	p := observation.Point{Offered: load, Seconds: float64(seconds), Valid: true}
	p.Throughput = load
	for s := range seconds {
		tally := observation.NewTally()
		n := int(load + math.Sqrt(load)*rng.NormFloat64())
		for range n {
			d := time.Duration(mean * rng.ExpFloat64() * float64(time.Second))
			tally.Add(d, d, 0, "")
		}
		p.OK += tally.OK
		p.Windows = append(p.Windows, observation.Second{Second: s, Planned: tally.OK, Tally: tally})
	}
	p.Sent = p.OK
	return p
}

// Chance alone passes for a restless target in one of a hundred drills, and what a target
// differs by from step to step is found.
func TestRestlessTargets(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 1))
	const n = 300
	alarms := 0
	for range n {
		if restless(restlessSteps(0, rng)) > 0 {
			alarms++
		}
	}
	if alarms > 9 { // Poisson with a mean of 3: 1 in 1000
		t.Errorf("%d of %d targets that stay the same are called restless", alarms, n)
	}
	sum := 0.0
	for range 40 {
		sum += restless(restlessSteps(0.15, rng)) / 40
	}
	if sum < 0.11 || sum > 0.19 {
		t.Errorf("steps that differ by 0.15 are said to differ by %.3f", sum)
	}
}

// Redrawn steps of a restless target differ by as much as its steps do.
func TestRestlessStepsAreRedrawn(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 1))
	s := restlessSteps(0, rng)[0]
	deviation := func() float64 {
		var r replicate
		var sum, squares float64
		const n = 400
		for range n {
			s.draw(&r, rng)
			m := math.Log(r.sum / (r.ok + r.failed))
			sum, squares = sum+m, squares+m*m
		}
		return math.Sqrt(squares/n - sum*sum/n/n)
	}
	before := deviation()
	s.apart = 0.2
	if after := deviation(); math.Abs(math.Sqrt(after*after-before*before)-0.2) > 0.03 {
		t.Errorf("redrawn steps differ by %.3f, before by %.3f", after, before)
	}
	var r replicate
	s.observed(&r)
	total := 0.0
	for _, c := range r.bins {
		total += c
	}
	r.stretch(1.37)
	for _, c := range r.bins {
		total -= c
	}
	if math.Abs(total) > 1e-6 {
		t.Errorf("%g hits were lost by stretching", total)
	}
}
