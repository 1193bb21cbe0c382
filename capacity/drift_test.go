package capacity

import (
	"math"
	"testing"
	"time"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

// aStep is a step of a load that begins at an instant of the drill and answers a
// thousand requests after each of so many ms.
func aStep(load, at float64, ms ...int) observation.Point {
	p := observation.Point{Kind: scenarios.KindSearch, Offered: load, Seconds: 10, Valid: true}
	all := observation.NewTally()
	for s := range 10 {
		w := observation.Second{Second: s, Width: 1, At: at + float64(s), Planned: uint64(load), Tally: observation.NewTally()}
		for _, t := range ms {
			for range 100 {
				d := time.Duration(t) * time.Millisecond
				w.Tally.Add(d, d, 0, "")
				all.Add(d, d, 0, "")
			}
		}
		p.Windows = append(p.Windows, w)
	}
	p.Sent, p.OK, p.Throughput, p.Response = all.OK, all.OK, load, observation.QuantilesOf(all.Response)
	return p
}

// meanOf is the mean response of a step in ms, by its bins, and how many there were.
func meanOf(s *series) (ms, n float64) {
	for _, w := range s.windows {
		for k, c := range w.bins {
			n += c
			ms += c * math.Exp((float64(s.first+k)+0.5)*logBin) / 1000
		}
	}
	return ms / n, n
}

// A step 100 s before the end, where a request took a sixth less of the cores, stands
// for one at a lower load with slower responses. Of responses of 10, 20 and 30 ms, with
// 10 ms of work in the mean, 10 are rest, and stay what they were.
func TestEarlierStepAsItWouldBeAtTheEnd(t *testing.T) {
	t.Parallel()
	all := digest([]observation.Point{aStep(100, 0, 10, 20, 30), aStep(300, 100, 10, 20, 30)})
	cores := &fit{name: cpu, unit: "cores", limit: 4, line: line{demand: 0.010}, drift: 1.0 / 600}
	moved := equivalent(all, cores, 1)
	if got, want := moved[0].load, all[0].load*5/6; math.Abs(got/want-1) > 1e-9 {
		t.Errorf("load %g, want %g", got, want)
	}
	before, n := meanOf(&all[0])
	after, m := meanOf(&moved[0])
	if want := before + 10*0.2; math.Abs(after-want) > 0.2 || math.Abs(m-n) > 1e-6 {
		t.Errorf("mean %.2f ms of %g, want %.2f of %g: work of 10 ms that takes 6/5 as long", after, m, want, n)
	}
	if moved[1].load != all[1].load {
		t.Error("the last step moved")
	}
	if last, _ := meanOf(&moved[1]); math.Abs(last-before) > 1e-9 {
		t.Errorf("the responses of the last step moved, to %g", last)
	}
	cores.drift = -1.0 / 600 // a demand that falls: earlier steps were slower
	faster := equivalent(all, cores, 1)
	after, m = meanOf(&faster[0])
	if want := before - 10.0/7; math.Abs(after-want) > 0.2 || math.Abs(m-n) > 1e-6 {
		t.Errorf("mean %.2f ms of %g, want %.2f of %g: work of 10 ms that takes 6/7 as long", after, m, want, n)
	}
	pool := &fit{name: "pool.sql", unit: "slots", limit: 4, line: line{demand: 0.010}, drift: 1.0 / 600}
	if kept, _ := meanOf(&equivalent(all, pool, 1)[0]); kept != before {
		t.Errorf("slots say nothing of the work, and the responses moved to %g", kept)
	}
}
