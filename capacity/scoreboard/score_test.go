package scoreboard

import (
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/headroom-project/headroom/capacity"
)

func env(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return otherwise
}

type row struct {
	family                   string
	err, p99, low, high, cap float64
	right                    bool
	cover                    bool
	line                     string
}

func TestScores(t *testing.T) {
	n, seed, share := env("N", 10), uint64(env("SEED", 1)), float64(env("SHARE", 60))/100
	systems := Draw(n, seed)
	rows := make([]row, n)
	var wg sync.WaitGroup
	next := make(chan int)
	var truth, drill, model time.Duration
	var mu sync.Mutex
	only := os.Getenv("ONLY")
	for range runtime.GOMAXPROCS(0) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range next {
				s := systems[i]
				if only != "" && s.Family != only {
					continue
				}
				a := time.Now()
				s.Prove(seed*1000 + uint64(i))
				b := time.Now()
				d := s.Drill(share, seed*1000+uint64(i))
				c := time.Now()
				x := capacity.Analyse(d.Points, capacity.Spec{Objectives: s.Objectives, Seed: 1, LockWaits: d.Waits})
				e := time.Now()
				mu.Lock()
				truth += b.Sub(a)
				drill += c.Sub(b)
				model += e.Sub(c)
				mu.Unlock()
				r := row{family: s.Family, cap: s.Capacity}
				if k := x.Capacity; k != nil {
					r.err = math.Log(k.Value.Value / s.Capacity)
					r.low, r.high = k.Low/s.Capacity, k.High/s.Capacity
					r.cover = k.Low <= s.Capacity && k.High >= s.Capacity
					r.line = fmt.Sprintf("%.4g of %.4g sat %.4g n=%d", k.Value.Value, s.Capacity, s.Saturation, len(d.Points))
				}
				if x.Saturation != nil {
					f := x.Saturation.Bottlenecks[0]
					r.right = f.Resource == s.Bottleneck || f.Probability < 0.9
					r.line += fmt.Sprintf(" | %s %.2f ceil %+.1f%%", f.Resource, f.Probability, 100*(f.RPS/s.Saturation-1))
					if x.Response != nil {
						r.line += " " + x.Response.Debug()
					}
				}
				if x.Response != nil {
					for k, load := range s.Unseen {
						e := math.Abs(x.Response.Quantile(load, 0.99)/s.P99[k] - 1)
						r.p99 += min(e, 10) / 3
					}
				} else {
					r.p99 = math.NaN()
					r.line += fmt.Sprint(x.Warnings)
				}
				if os.Getenv("V") != "" {
					for _, p := range d.Points {
						r.line += fmt.Sprintf("\n      %s %.4g/s %.0fs p99 %.4g mean %.4g cpu %v", p.Kind, p.Offered, p.Seconds, p.Response.P99, p.Response.Mean, p.Resources)
					}
				}
				rows[i] = r
			}
		}()
	}
	for i := range systems {
		next <- i
	}
	close(next)
	wg.Wait()
	t.Logf("truth %v drill %v model %v", truth, drill, model)
	for i, r := range rows {
		if r.family != "" {
			t.Logf("%3d %-18s err %+6.1f%% p99 %5.1f%% cover %v right %v [%.2f %.2f] %s %v", i, r.family, 100*r.err, 100*r.p99, r.cover, r.right, r.low, r.high, r.line, systems[i].Objectives[0])
		}
	}
	report := func(name string, keep func(row) bool) {
		var errs, ps []float64
		cover, right, width := 0, 0, 0.0
		for _, r := range rows {
			if r.family != "" && keep(r) {
				errs = append(errs, math.Abs(math.Expm1(r.err)))
				if !math.IsNaN(r.p99) {
					ps = append(ps, r.p99)
				}
				if r.cover {
					cover++
				}
				if r.right {
					right++
				}
				width += r.high - r.low
			}
		}
		if len(errs) == 0 {
			return
		}
		slices.Sort(errs)
		m := 0.0
		for _, p := range ps {
			m += p / float64(len(ps))
		}
		n := len(errs)
		t.Logf("%-20s n %3d median %5.1f%% p90 %5.1f%% p99err %5.1f%% (%d) right %3.0f%% cover %3.0f%% width %.2f", name, n, 100*errs[n/2], 100*errs[min(n*9/10, n-1)], 100*m, len(ps), 100*float64(right)/float64(n), 100*float64(cover)/float64(n), width/float64(n))
	}
	for _, f := range families {
		report(f.name, func(r row) bool { return r.family == f.name })
	}
	report("all", func(row) bool { return true })
}
