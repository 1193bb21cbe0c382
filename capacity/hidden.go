package capacity

import "math"

// unmeasured are the laws of a queue that nothing measures, the heaviest first:
// servers of some number, or a limiter with some burst.
func (p *predictor) unmeasured(list []stage, b bins, work effort) []*fitted {
	how := station{ahead: p.ahead, besides: p.besides(list, b, -1, -1)}
	servers := fitLatency(list, b, belief{
		mean: [3]float64{math.Log(2 * p.top), 0, math.Log(0.3)}, sd: [3]float64{0.8, 0.8, 1.2},
	}, how, nil, work)
	how.bucket = true
	limiter := fitLatency(list, b, belief{
		mean: [3]float64{math.Log(2 * p.top), math.Log(1.5), 0}, sd: [3]float64{0.8, 0.7, 0.1},
	}, how, nil, work)
	return stacked(list, b, work, &servers, &limiter)
}

// waits says whether the responses grow beyond doubt.
func (p *predictor) waits(list []stage, f *fitted) bool { return p.growth(list, f) > 4 }

// growth is by how much (log likelihood) a law explains the responses better than
// the same without waiting.
func (p *predictor) growth(list []stage, f *fitted) float64 {
	sum := 0.0
	for _, gain := range p.gains(list, f) {
		sum += gain
	}
	return sum
}

// mostly is the load at which responses speak most for a law against no waiting, and what
// all others say.
func (p *predictor) mostly(list []stage, f *fitted) (load, rest float64) {
	gains := p.gains(list, f)
	most := 0
	for i, gain := range gains {
		rest += gain
		if gain > gains[most] {
			most = i
		}
	}
	return list[most].load, rest - gains[most]
}

// gains are what growth is made of, by stages.
func (p *predictor) gains(list []stage, f *fitted) []float64 {
	flat := *f
	flat.saturation = 1e9 * p.top
	scratch := newScratch(len(f.base), len(f.bins.middle))
	for range 20 {
		flat.base = flat.expect(list, flat.base, scratch)
	}
	gains := make([]float64, len(list))
	for i := range list {
		gains[i] = f.likelihood(list[i:i+1], f.base, scratch) - flat.likelihood(list[i:i+1], flat.base, scratch)
	}
	return gains
}
