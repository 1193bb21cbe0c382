package profiler

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/pprof/profile"
)

func TestOwner(t *testing.T) {
	for want, leafFirst := range map[string][]string{
		// What the target calls in the library goes by that name ...
		"encoding/json.Marshal":         {"runtime.mallocgc", "strconv.AppendInt", "encoding/json.(*encodeState).marshal", "encoding/json.Marshal", "example.com/shop.handle", "net/http.HandlerFunc.ServeHTTP", "net/http.(*conn).serve"},
		"compress/gzip.(*Writer).Write": {"compress/flate.(*compressor).deflate", "compress/gzip.(*Writer).Write", "main.handle", "net/http.(*conn).serve"},
		// ... and what the target does itself, by its own.
		"main.(*index).find": {"main.(*index).find", "main.handle", "net/http.(*conn).serve"},
		"main.grow":          {"runtime.memmove", "runtime.growslice", "main.grow", "main.handle"},
		"example.com/x/y.F":  {"memeqbody", "example.com/x/y.F", "main.handle"},
		// The library on its own account, and the runtime.
		"net/http.(*conn).serve": {"syscall.write", "net.(*conn).Write", "net/http.(*conn).serve"},
		"runtime.gcBgMarkWorker": {"runtime.scanobject", "runtime.gcDrain", "runtime.gcBgMarkWorker"},
		"?":                      nil,
	} {
		if got := newNames().owner(leafFirst); got != want {
			t.Errorf("%v is put down to %s, want %s", leafFirst, got, want)
		}
	}
}

// cpuLoad makes a load with so many samples of 10 ms for each function.
func cpuLoad(t *testing.T, step int, rps, requests float64, samples map[string]int64) Load {
	t.Helper()
	m := newProfile(cpuTypes...)
	for name, n := range samples {
		if n > 0 {
			m.add([]int64{n, n * 1e7}, "main.handle", name)
		}
	}
	return Load{Step: step, RPS: rps, Requests: requests, Seconds: requests / rps, Pprofs: [][]byte{m.bytes(t)}}
}

// poisson draws a number of samples.
func poisson(rng *rand.Rand, mean float64) int64 {
	n, sum := int64(0), 0.0
	for {
		sum += rng.ExpFloat64()
		if sum > mean {
			return n
		}
		n++
	}
}

// The table recovers what requests take, with an error that is told truly, and
// names the function that grows, and none that does not. Seeded: of 200 drills
// with 900 samples of the constant function each, 3 sigma is 10%; 2 sigma must hold
// in 95%, and of false names at most 5% are allowed.
func TestDemandRecoversTheTruth(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	const constant, grows, other = 2e6, 5e3, 1e5 // ns; ns for each request/s; ns
	rates := []float64{50, 100, 150, 200, 250}
	off, covered, named, wrong := 0, 0, 0, 0
	for range 200 {
		var loads []Load
		truth, requests := 0.0, 0.0
		for i, rps := range rates {
			n := rps * 6
			truth += n * grows * rps
			requests += n
			loads = append(loads, cpuLoad(t, i, rps, n, map[string]int64{
				"main.constant": poisson(rng, n*constant/1e7), "main.grows": poisson(rng, n*grows*rps/1e7),
				"main.a": poisson(rng, n*other/1e7), "main.b": poisson(rng, n*other/1e7),
			}))
		}
		d, err := Demands("cpu", loads)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range d.Functions {
			want := map[string]float64{"main.constant": constant, "main.grows": truth / requests, "main.a": other, "main.b": other}[f.Name]
			if f.Name == "main.constant" && math.Abs(f.Own.Value-want) > 0.1*want {
				off++
			}
			if f.Name == "main.constant" && math.Abs(f.Own.Value-want) < 2*f.Own.Error() {
				covered++
			}
			if f.Growing && f.Name == "main.grows" {
				named++
				if math.Abs(f.Slope-grows) > 4*f.SlopeError {
					t.Errorf("slope %g ± %g, want %g", f.Slope, f.SlopeError, grows)
				}
			} else if f.Growing {
				wrong++
			}
		}
	}
	if off > 1 || covered < 180 || named < 190 || wrong > 10 {
		t.Errorf("of 200: %d off by 10%%, %d within 2 sigma, %d name what grows; %d name another", off, covered, named, wrong)
	}
}

func TestDemandOfInstancesAndBlocks(t *testing.T) {
	l := cpuLoad(t, 0, 100, 1000, map[string]int64{"main.f": 100})
	l.Pprofs = append(l.Pprofs, cpuLoad(t, 0, 100, 1000, map[string]int64{"main.f": 60, "main.g": 40}).Pprofs...)
	d, err := Demands("cpu", []Load{l, {Step: 1, RPS: 10}})
	if err != nil || len(d.Totals) != 1 || len(d.Functions) < 2 {
		t.Fatalf("%+v, %v", d, err)
	}
	f := d.Functions[0]
	if f.Name != "main.f" || f.Own.Value != 160e7/1000 || f.Samples != 160 || math.Abs(f.Own.Error()-f.Own.Value/math.Sqrt(160)) > f.Own.Error()*0.2 {
		t.Errorf("%+v, want 1.6 ms from 160 samples", f)
	}
	if d.Totals[0].Value != 200e7/1000 {
		t.Errorf("in all %+v", d.Totals[0])
	}
}

// What it takes to take profiles is no request's.
func TestProfilingIsNoDemand(t *testing.T) {
	m := newProfile(cpuTypes...).add([]int64{10, 1e8}, "net/http.(*conn).serve", "main.handle").
		add([]int64{5, 5e7}, "net/http.(*conn).serve", "net/http/pprof.Profile", "runtime/pprof.StopCPUProfile", "compress/gzip.(*Writer).Write")
	d, err := Demands("cpu", []Load{{RPS: 10, Requests: 10, Seconds: 1, Pprofs: [][]byte{m.bytes(t)}}})
	if err != nil || d.Totals[0].Value != 1e7 || d.Profiling != 5e6 {
		t.Errorf("%+v, %v", d, err)
	}
}

// Allocation profiles are scaled up from few samples, which are counted back.
func TestSamplesOfAllocations(t *testing.T) {
	const period = 512 << 10
	rng := rand.New(rand.NewPCG(3, 4))
	var off, sigma float64
	for range 300 {
		taken := poisson(rng, 40)
		size := 1024.0
		chance := -math.Expm1(-size / period)
		objects := float64(taken) / chance
		m := newProfile([2]string{"alloc_objects", "count"}, [2]string{"alloc_space", "bytes"})
		m.p.PeriodType, m.p.Period = &profile.ValueType{Type: "space", Unit: "bytes"}, period
		m.add([]int64{int64(objects), int64(objects * size)}, "main.f")
		d, err := Demands("alloc_space", []Load{{RPS: 1, Requests: 1000, Seconds: 1, Pprofs: [][]byte{m.bytes(t)}}})
		if err != nil {
			t.Fatal(err)
		}
		f := d.Functions[0]
		if math.Abs(f.Samples-float64(taken)) > 0.01*float64(taken)+0.5 {
			t.Fatalf("%g samples, want %d", f.Samples, taken)
		}
		off += (f.Own.Value - 40/chance*size/1000) * (f.Own.Value - 40/chance*size/1000)
		sigma += f.Own.Variance
	}
	if r := off / sigma; r < 0.75 || r > 1.3 {
		t.Errorf("errors are %.2f times what is said", math.Sqrt(r))
	}
}

func TestDemandFailsOnAnotherType(t *testing.T) {
	if _, err := Demands("delay", []Load{cpuLoad(t, 3, 1, 1, map[string]int64{"f": 1})}); err == nil {
		t.Error("a CPU profile has no delay")
	}
	if d, err := Demands("cpu", nil); err != nil || len(d.Functions) != 0 {
		t.Errorf("%+v, %v", d, err)
	}
}

// A million functions cost bounded memory: those that use most are followed.
func TestManyFunctions(t *testing.T) {
	m := newProfile(cpuTypes...)
	for i := range 20_000 {
		m.add([]int64{1, 1e7}, "main.handle", fmt.Sprintf("main.f%d", i))
	}
	m.add([]int64{500, 5e9}, "main.handle", "main.hot")
	d, err := Demands("cpu", []Load{{RPS: 10, Requests: 10, Seconds: 1, Pprofs: [][]byte{m.bytes(t)}}})
	if err != nil || len(d.Functions) != mostFunctions || d.Functions[0].Name != "main.hot" || d.Totals[0].Value != 20_500e7/10 {
		t.Errorf("%d functions, the first %v, %v", len(d.Functions), d.Functions[0], err)
	}
}
