package capacity

import "math"

// calibrate widens the interval to what predictions of its kind were off by.
func (p *prediction) calibrate() {
	k := 2.5
	p.low = p.value * math.Exp(k*math.Log(p.low/p.value))
	p.high = p.value * math.Exp(k*math.Log(p.high/p.value))
}
