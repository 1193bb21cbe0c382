package capacity

import (
	"math"
	"math/rand/v2"
	"testing"
)

// ofCores is what steps up to 60% of saturation show of 16 cores on which requests
// take 20 ms and cost one another so much: use, read with an error of 0.3%, which by
// itself is taken for a straight line, and the responses as the law has them.
func ofCores(talk crosstalk, rng *rand.Rand) (p *predictor, list []stage, b bins, saturation float64) {
	const cores, work, rest = 16, 0.02, 0.002
	use := make([]use, 12)
	truth := line{base: 0.1, demand: work, talk: talk, limit: cores}
	if talk.none() {
		truth.limit = 0
	}
	saturation = truth.reaches(cores)
	b = newBins(int(math.Log(1500)/logBin)/coarse, int(math.Log(5e5)/logBin)/coarse)
	law := latency{
		server:  server{saturation: saturation * (1 + 0.1/cores), servers: cores, scv: 1},
		station: station{shared: true, rest: rest, talk: talk}, bins: b, base: make([]float64, len(b.middle)),
	}
	for k := range b.middle {
		law.base[k] = math.Exp(-max(b.edges[k]-rest, 0)/work) - math.Exp(-max(b.edges[k+1]-rest, 0)/work)
	}
	for i := range use {
		load := 0.05 * float64(i+1) * saturation
		use[i].load, use[i].weight = load, 10
		use[i].used = truth.at(load) * (1 + 0.003*rng.NormFloat64())
		g := stage{load: load, seconds: 10, ca2: 1, total: 5000}
		for _, p := range law.spread(load, 1, nil) {
			g.counts = append(g.counts, 5000*p)
		}
		list = append(list, g)
	}
	f, _ := fitUses(use, cores, "cores")
	f.name, f.unit, f.shape = cpu, "cores", straight
	f.line, _ = refine(use, f.first, straight)
	f.resample(use, 60, rng)
	return &predictor{limited: []fit{f}, top: 0.6 * saturation, ca2: 1}, list, b, saturation
}

// What use and responses leave possible has a weight: crosstalk where there is some,
// none where there is none, and the limit is where it is.
func TestCrosstalkIsWeighed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name      string
		talk      crosstalk
		low, high float64 // of the weight of laws with crosstalk
	}{
		{"none", crosstalk{}, 0, 0.4},
		{"some", crosstalk{0.012, 2e-4}, 0.8, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(41, 1))
			p, list, b, saturation := ofCores(c.talk, rng)
			known := p.disturbed(list, b, p.measured(list, b, 0, -1, thorough, nil), rng)
			whole, talking, at := 0.0, 0.0, 0.0
			for i, f := range known {
				if i > 0 && f.weight > known[i-1].weight {
					t.Errorf("law %d is heavier than the one before", i)
				}
				whole, at = whole+f.weight, at+f.weight*math.Log(f.saturation/saturation)
				if !f.talk.none() {
					talking += f.weight
				}
			}
			t.Logf("%d laws, %.2f of them with crosstalk, saturation %+.1f%% off", len(known), talking, 100*at)
			if math.Abs(whole-1) > 1e-9 || talking < c.low || talking > c.high {
				t.Errorf("weights add up to %g, with crosstalk %g, want %g to %g", whole, talking, c.low, c.high)
			}
			if math.Abs(at) > 0.06 {
				t.Errorf("saturation is %+.1f%% off", 100*at)
			}
			// The use goes with the laws, in the replicates too.
			bent := 0
			for _, l := range p.limited[0].draws {
				if l.curved() {
					bent++
				}
			}
			if share := float64(bent) / float64(len(p.limited[0].draws)); math.Abs(share-talking) > 0.25 {
				t.Errorf("%.2f of the replicates have crosstalk, and %.2f of the laws", share, talking)
			}
		})
	}
}

// Near and far predictions have a factor each, and between them it moves from one to
// the other.
func TestFactorBetweenNearAndFar(t *testing.T) {
	t.Parallel()
	near, far := widening(restsOnSharing, 1.1, 0.9, nil), widening(restsOnSharing, 3, 0.9, nil)
	middle := widening(restsOnSharing, math.Sqrt(nearBy*farBy), 0.9, nil)
	if math.Abs(middle/math.Sqrt(near*far)-1) > 1e-9 || !(near > 0) {
		t.Errorf("factors %g, %g and %g", near, middle, far)
	}
	if (Score{Reach: 1.5}).Far() || !(Score{Reach: 2}).Far() {
		t.Error("what is far")
	}
}

// Beyond the saturation of a light law the others still say how long requests take;
// beyond that of the heavier half nobody does.
func TestResponseBeyondSomeSaturations(t *testing.T) {
	t.Parallel()
	b := newBins(int(math.Log(1e3)/logBin)/coarse, int(math.Log(1e6)/logBin)/coarse)
	law := func(saturation, weight float64) *fitted {
		l := fitted{weight: weight, latency: latency{server: server{saturation: saturation, servers: 4, scv: 1}, bins: b, base: make([]float64, len(b.middle))}}
		l.base[10] = 1
		return &l
	}
	heavy := law(500, 0.7)
	alone := &Response{laws: []*fitted{law(500, 1)}}
	both := &Response{laws: []*fitted{heavy, law(300, 0.3)}}
	if got, want := both.Quantile(400, 0.99), alone.Quantile(400, 0.99); math.Abs(got/want-1) > 1e-9 {
		t.Errorf("p99 at 400/s is %g ms, want that of the heavy law, %g", got, want)
	}
	if got := (&Response{laws: []*fitted{law(300, 0.7), law(500, 0.3)}}).Mean(400); !math.IsInf(got, 1) {
		t.Errorf("%g ms beyond the saturation that is believed in", got)
	}
}
