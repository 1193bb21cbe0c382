package reports

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"

	"github.com/headroom-project/headroom/loadgen/observation"
)

// The sample is a small shop: a pool of 8 slots that each request holds for
// 19.9 ms (402 req/s), and a core of CPU of which each takes 1.5 ms (640 req/s).
// Its figures follow from a simple queue, so that the charts have the shapes of
// real ones.
const (
	poolRPS = 402.0
	cpuRPS  = 640.0
)

func yes() *bool { v := true; return &v }
func no() *bool  { v := false; return &v }

func sampleQuantiles(load float64, rnd *rand.Rand) observation.Quantiles {
	rho := math.Min(load/poolRPS, 0.999)
	wait := 0.17 * math.Pow(rho, 7) / (1 - rho)
	if load > poolRPS {
		wait = 260 * (load - poolRPS) / poolRPS * 10
	}
	jitter := 1 + 0.03*rnd.NormFloat64()
	q := observation.Quantiles{
		Mean: 20.6 + wait, P50: 20.3 + wait*0.7, P90: 22.4 + wait*2.1, P95: 23 + wait*2.7,
		P99: 24.2 + wait*4.1*jitter, P999: 29.1 + wait*6*jitter, Max: 41 + wait*8*jitter,
	}
	return q
}

func sampleStep(index int, kind string, load, seconds, discard float64, rnd *rand.Rand) Step {
	served := math.Min(load, poolRPS) * (1 + 0.004*rnd.NormFloat64())
	served = math.Min(served, load*1.004)
	hits := uint64(load * (seconds - discard))
	failed := uint64(0)
	if load > poolRPS*1.1 {
		failed = hits / 40
	}
	q := sampleQuantiles(load, rnd)
	s := Step{
		Index: index, Kind: kind, OfferedRPS: load, ThroughputRPS: served, Seconds: seconds - discard, DiscardedS: discard,
		Sent: hits, OK: hits - failed, Failed: failed,
		Response: q, Service: q, SendLag: observation.Quantiles{Mean: 0.11, P50: 0.08, P90: 0.21, P95: 0.3, P99: 0.62, P999: 1.4, Max: 2.9},
		ErrorRatio: float64(failed) / float64(hits), InFlight: served * q.Mean / 1000, Valid: true,
		Resources: map[string]observation.Use{
			"cpu":        {Used: 0.02 + served/cpuRPS*0.98, Limit: 1, Unit: "cores", Samples: 24},
			"memory":     {Used: 61e6 + served*42e3, Limit: 512 << 20, Unit: "bytes", Samples: 24},
			"pool.shop":  {Used: math.Min(8, 8*served/poolRPS), Limit: 8, Unit: "slots", Samples: 24},
			"goroutines": {Used: 24 + served*q.Mean/1000, Unit: "count", Samples: 24},
		},
		Requests: map[string]observation.Figures{},
		Captures: []CaptureRef{{Type: "cpu", File: fmt.Sprintf("profiles/step-%02d.cpu.pb.gz", index), Samples: int64(served * 0.9)}},
	}
	if failed > 0 {
		s.Errors = map[string]uint64{"timeout": failed - failed/3, "status": failed / 3}
	}
	if kind != "warmup" {
		s.Met = no()
		if q.P99 < 50 && s.ErrorRatio < 0.001 {
			s.Met = yes()
		}
	}
	for _, part := range []struct {
		name          string
		weight, scale float64
	}{{"browse", 0.7, 0.96}, {"search", 0.2, 1.04}, {"checkout", 0.1, 1.22}} {
		s.Requests[part.name] = sampleRequest(s, part.weight, part.scale)
	}
	return s
}

func sampleRequest(s Step, weight, scale float64) observation.Figures {
	n := func(v uint64) uint64 { return uint64(float64(v) * weight) }
	q := s.Response
	for _, p := range []*float64{&q.Mean, &q.P50, &q.P90, &q.P95, &q.P99, &q.P999, &q.Max} {
		*p *= scale
	}
	f := observation.Figures{
		Sent: n(s.Sent), OK: n(s.OK), Failed: n(s.Failed), Throughput: s.ThroughputRPS * weight,
		ErrorRatio: s.ErrorRatio, Response: q, Service: q, SendLag: s.SendLag,
	}
	if f.Failed > 0 {
		f.Errors = map[string]uint64{"timeout": f.Failed}
	}
	return f
}

// sampleRun is a search that found the capacity of the shop.
func sampleRun() *Run {
	rnd := rand.New(rand.NewPCG(1, 2))
	r := &Run{
		Schema: Schema, ID: "20260314-092653-shop", Name: "shop", Started: "2026-03-14T09:26:53Z", DurationS: 62.4,
		Target: "http://127.0.0.1:8080", Verdict: Pass, Ended: "done",
		Reasons: []string{"p99 < 50ms and errors < 0.1% hold at the demand of 300 req/s with 24% to spare."},
		Warnings: []string{
			"the CPU profile was taken while the response was measured: its overhead, about 1%, is inside the figures",
		},
		Environment: map[string]any{"headroom": "0.1.0", "go": "go1.26.0", "os": "linux", "arch": "amd64", "cpus": 2, "workers": 1, "engine": "fasthttp"},
		Objectives: []Objective{
			{Text: "p99 < 50ms", Metric: "p99", Threshold: 50, Unit: "ms", Met: yes(), Observed: 31.2},
			{Text: "errors < 0.1%", Metric: "errors", Threshold: 0.001, Unit: "ratio", Met: yes(), Observed: 0},
		},
		Missing: []string{"cost per million requests: set capacity.prices.egress_gb to include what leaves the network"},
		Method: []string{
			"Arrivals were Poisson, planned ahead from seed 42; response time counts from the planned instant of a hit, so a slow target cannot slow the load.",
			"The first 2 s of each step are warm-up and left out (MSER-5).",
			"The interval is the 5th to 95th percentile of 400 block-bootstrap replicates.",
		},
	}
	type offer struct {
		kind    string
		load    float64
		seconds float64
	}
	offers := []offer{{"warmup", 50, 3}, {"search", 50, 5}, {"search", 100, 5}, {"search", 200, 5}, {"search", 400, 6}, {"search", 560, 5},
		{"refine", 300, 8}, {"refine", 350, 8}, {"refine", 380, 8}, {"confirm", 392, 10}}
	for i, o := range offers {
		r.Steps = append(r.Steps, sampleStep(i, o.kind, o.load, o.seconds, math.Min(2, o.seconds-1), rnd))
	}
	r.Steps[5].Cut = "p99 > 1s for 3s"
	sampleTimeline(r, rnd)
	sampleTotals(r)
	sampleFindings(r)
	r.Flames = []Flame{sampleFlame(9, "cpu", 392), sampleFlame(9, "allocs", 392), sampleFlame(4, "cpu", 398), sampleFlame(9, "mutex", 392)}
	r.StepFlames = []Flame{sampleFlame(3, "cpu", 300)}
	r.Demand = sampleDemand()
	r.Profiling = &Profiling{ProfiledS: 21, MeasuredS: 44, CPU: &Change{Value: 0.008, Low: -0.002, High: 0.019, Confidence: 0.9, Pairs: 9}}
	return r
}

func sampleTimeline(r *Run, rnd *rand.Rand) {
	t := 0.0
	for _, s := range r.Steps {
		total := s.Seconds + s.DiscardedS
		for i := 0.0; i < total; i++ {
			grow := 1.0
			if s.OfferedRPS > poolRPS {
				grow = (i + 1) / total * 2
			}
			r.Timeline = append(r.Timeline, Tick{
				T: t + i, Step: s.Index, Offered: s.OfferedRPS, Throughput: s.ThroughputRPS * (1 + 0.03*rnd.NormFloat64()),
				P50: s.Response.P50 * grow * (1 + 0.02*rnd.NormFloat64()), P99: s.Response.P99 * grow * (1 + 0.1*rnd.Float64()),
				Errors: s.ErrorRatio, InFlight: int(s.InFlight), Discarded: i < s.DiscardedS || s.Kind == "warmup",
			})
		}
		t += total
	}
	r.DurationS = t
}

func sampleTotals(r *Run) {
	r.Totals = Totals{Errors: map[string]uint64{}}
	for _, s := range r.Steps {
		r.Totals.Planned += s.Sent
		r.Totals.Sent += s.Sent
		r.Totals.OK += s.OK
		r.Totals.Failed += s.Failed
		for class, n := range s.Errors {
			r.Totals.Errors[class] += n
		}
	}
}

func sampleFindings(r *Run) {
	r.Capacity = &Capacity{
		RPS: Estimate{Value: 392, Low: 381, High: 401, Confidence: 0.9}, Objective: "p99 < 50ms", Confirmed: true, ConfirmedAtRPS: 392,
		Method: "crossing of the objective, interpolated", Predicted: &Prediction{Value: 390, Low: 371, High: 404, Confidence: 0.9},
	}
	r.Saturation = &Saturation{RPS: Estimate{Value: 402, Low: 398, High: 406}, Bottlenecks: []Bottleneck{
		{Resource: "pool.shop", Probability: 0.98, RPS: 402, AfterFixRPS: 640, PerRequest: 0.0199, Unit: "slots", Limit: 8, Evidence: "7.8 of 8 slots are taken at 392 req/s, and requests wait for one"},
		{Resource: "cpu", Probability: 0.02, RPS: 640, PerRequest: 0.0015, Unit: "cores", Limit: 1, Evidence: "CPU grows by 1.53 ms for each request"},
	}}
	r.Contention = &Contention{
		Law: "amdahl", Sigma: Estimate{Value: 0.031, Low: 0.012, High: 0.052, Confidence: 0.9}, Kappa: Estimate{High: 0.0021, Confidence: 0.9}, FromInFlight: 1.03, ToInFlight: 7.7,
		Meaning: "for 3.1% of its time a request has the target to itself, so that more than about 33 at a time gain nothing; no peak identified up to 7.7 in flight",
	}
	r.Headroom = &Headroom{DemandRPS: 300, Now: &Estimate{Value: 0.235, Low: 0.213, High: 0.252, Confidence: 0.9}, AtForecastPeak: &Estimate{Value: 0.11}, ExhaustedOn: "2026-09-01"}
	r.Cost = &Cost{Currency: "USD", AtRPS: 300}
	r.Cost.PerMillion.Marginal = Estimate{Value: 0.0167}
	r.Cost.PerMillion.Loaded = Estimate{Value: 0.0393}
	r.Cost.PerMillion.Idle = Estimate{Value: 0.0226}
}

// sampleDemand is what a request to the shop takes.
func sampleDemand() *Demand {
	const shop = "github.com/headroom-project/headroom/scenarios/demo."
	steps := func(low, high float64) []StepDemand {
		return []StepDemand{{Step: 1, RPS: 50, PerRequest: low, Error: low / 10}, {Step: 9, RPS: 392, PerRequest: high, Error: high / 30}}
	}
	return &Demand{
		Summary: "cpu: 1.52 ms a request, 58% demo.priceOrder, 21% json.Marshal; channel: demo.(*pool).acquire, adds 18 ms at capacity, saturates at 401 req/s; demo.priceOrder grows with the load: 0.6 ms a request at 50 req/s, 1.1 ms at 392",
		Profiles: []ProfileDemand{{
			Kind: "cpu", Unit: "nanoseconds", PerRequest: 1.52e6, Error: 31e3, Samples: 2410, Exact: 1.55e6, Steps: steps(1.2e6, 1.7e6),
			Functions: []FunctionDemand{
				{Name: shop + "priceOrder", PerRequest: 880e3, Error: 24e3, Share: 0.58, Self: 860e3, Cum: 900e3, Samples: 1400, Slope: 1450, SlopeError: 210, Growing: true, Steps: steps(600e3, 1.1e6)},
				{Name: "encoding/json.Marshal", PerRequest: 320e3, Error: 14e3, Share: 0.21, Self: 20e3, Cum: 320e3, Samples: 510, Steps: steps(318e3, 321e3)},
			},
		}},
		Waits: []WaitDemand{{Function: shop + "(*pool).acquire", Kind: "channel", AddsMS: 18, Saturates: &Estimate{Value: 401, Low: 380, High: 422, Confidence: 0.9}, Steps: steps(1e4, 18e6)}},
	}
}

// sampleFlame has the call tree of a Go service, with the cost of pricing an
// order on top.
func sampleFlame(step int, kind string, rps float64) Flame {
	unit := map[string]string{"cpu": "nanoseconds", "allocs": "bytes", "mutex": "nanoseconds"}[kind]
	scale := map[string]int64{"cpu": 1e6, "allocs": 4096, "mutex": 1e4}[kind]
	leaf := func(name string, v int64, children ...*Frame) *Frame {
		sum := v
		for _, c := range children {
			sum += c.Value
		}
		return &Frame{Name: name, Value: sum, Children: children}
	}
	const shop = "github.com/headroom-project/headroom/scenarios/demo."
	root := leaf("root", 0,
		leaf("net/http.(*conn).serve", 90*scale,
			leaf("net/http.serverHandler.ServeHTTP", 20*scale,
				leaf("net/http.(*ServeMux).ServeHTTP", 15*scale,
					leaf(shop+"(*Shop).browse", 120*scale, leaf(shop+"priceOrder", 900*scale), leaf("encoding/json.Marshal", 210*scale, leaf("reflect.Value.Field", 80*scale))),
					leaf(shop+"(*Shop).search", 60*scale, leaf(shop+"rankResults", 420*scale, leaf("sort.Slice", 160*scale))),
					leaf(shop+"(*Shop).checkout", 40*scale, leaf(shop+"priceOrder", 260*scale), leaf("crypto/sha256.Sum256", 130*scale)))),
			leaf("net/http.(*conn).readRequest", 140*scale, leaf("net/textproto.(*Reader).ReadMIMEHeader", 120*scale)),
			leaf("bufio.(*Writer).Flush", 30*scale, leaf("internal/poll.(*FD).Write", 20*scale, leaf("syscall.write", 300*scale)))),
		leaf("runtime.gcBgMarkWorker", 30*scale, leaf("runtime.gcDrain", 150*scale, leaf("runtime.scanobject", 180*scale))),
		leaf("runtime.mcall", 20*scale, leaf("runtime.schedule", 60*scale, leaf("runtime.findRunnable", 110*scale, leaf("runtime.futex", 90*scale)))))
	f := Flame{Step: step, Type: kind, Unit: unit, RPS: rps, Seconds: 5, Samples: 4310, File: fmt.Sprintf("profiles/step-%02d.%s.pb.gz", step, kind), Root: root}
	f.Functions = sampleFunctions(root, rps*f.Seconds)
	return f
}

func sampleFunctions(root *Frame, requests float64) []Function {
	self, cum := map[string]int64{}, map[string]int64{}
	var names []string
	var walk func(*Frame)
	walk = func(f *Frame) {
		own := f.Value
		for _, c := range f.Children {
			own -= c.Value
			walk(c)
		}
		if _, ok := cum[f.Name]; !ok {
			names = append(names, f.Name)
		}
		self[f.Name] += own
		cum[f.Name] += f.Value
	}
	walk(root)
	var out []Function
	for _, name := range names {
		out = append(out, Function{
			Name: name, Self: self[name], Cum: cum[name], SelfShare: float64(self[name]) / float64(root.Value),
			CumShare: float64(cum[name]) / float64(root.Value), PerRequest: float64(self[name]) / requests,
		})
	}
	for i := range out {
		for j := i + 1; j < len(out); j++ {
			if out[j].Self > out[i].Self {
				out[i], out[j] = out[j], out[i]
			}
		}
	}
	return out[:min(len(out), 15)]
}

// variants are the runs that every view is tested with, by name.
func variants() map[string]*Run {
	return map[string]*Run{
		"pool": sampleRun(), "minimal": minimalRun(), "closed": closedRun(), "invalid": invalidRun(), "below": belowRun(),
		"above": aboveRun(), "fixed": fixedRun(), "guard": guardRun(), "predicted": predictedRun(), "interrupted": interruptedRun(), "cutoff": cutOffRun(),
		"ambiguous": ambiguousRun(), "huge": hugeRun(), "hostile": hostileRun(), "empty": {},
	}
}

// minimalRun has a target without profiles and figures, and no capacity.
func minimalRun() *Run {
	r := fixedRun()
	for i := range r.Steps {
		r.Steps[i].Resources, r.Steps[i].Captures = nil, nil
	}
	r.Flames, r.StepFlames, r.Warnings, r.Demand, r.Profiling = nil, nil, nil, nil, nil
	r.Missing = []string{"CPU, memory and their limits: give resources.process or resources.metrics", "flame graph: serve net/http/pprof and give profiles.pprof"}
	return r
}

func only(r *Run, keep ...int) {
	var steps []Step
	var ticks []Tick
	for _, i := range keep {
		steps = append(steps, r.Steps[i])
		for _, t := range r.Timeline {
			if t.Step == i {
				t.T = float64(len(ticks))
				ticks = append(ticks, t)
			}
		}
	}
	r.Steps, r.Timeline, r.DurationS = steps, ticks, float64(len(ticks))
	sampleTotals(r)
}

func fixedRun() *Run {
	r := sampleRun()
	only(r, 0, 6)
	r.Steps[1].Kind = "load"
	r.Capacity, r.Saturation, r.Headroom, r.Cost, r.Contention = nil, nil, nil, nil, nil
	r.Objectives[0].Observed = r.Steps[1].Response.P99
	r.Reasons = []string{"Every objective held at 300 req/s."}
	return r
}

func closedRun() *Run {
	r := fixedRun()
	r.Steps = r.Steps[1:]
	r.Steps[0].Users, r.Steps[0].OfferedRPS = 64, 0
	r.Verdict = Fail
	r.Objectives[0].Met, r.Objectives[0].Observed = no(), 212.4
	r.Steps[0].Met = no()
	r.Reasons = []string{"p99 < 50ms was missed with 64 users: 212.4 ms."}
	return r
}

func invalidRun() *Run {
	r := fixedRun()
	r.Verdict = Invalid
	r.Reasons = []string{"the generator, not the target, was slow: send lag p99 was 38 ms at 300 req/s", "hint: free a CPU for the generator, or use more workers"}
	r.Steps[1].Valid, r.Steps[1].WhyInvalid = false, []string{"send lag p99 of 38 ms is over a fifth of the response p99"}
	r.Steps[1].SendLag.P99 = 38
	return r
}

func belowRun() *Run {
	r := sampleRun()
	only(r, 0, 5)
	r.Steps[1].Index, r.Steps[1].OfferedRPS = 1, 50
	r.Verdict = Fail
	r.Objectives[0].Met, r.Objectives[0].Observed = no(), r.Steps[1].Response.P99
	r.Capacity = &Capacity{RPS: Estimate{Value: 50, High: 50}, Objective: "p99 < 50ms", Bound: "below", Method: "bound"}
	r.Saturation, r.Headroom, r.Cost, r.Contention, r.Flames, r.StepFlames, r.Demand, r.Profiling = nil, nil, nil, nil, nil, nil, nil, nil
	r.Reasons = []string{"p99 < 50ms did not hold at 50 req/s, the lowest load."}
	return r
}

func aboveRun() *Run {
	r := sampleRun()
	only(r, 0, 1, 2, 3)
	r.Capacity = &Capacity{RPS: Estimate{Value: 200, Low: 200}, Objective: "p99 < 50ms", Bound: "above", Method: "bound"}
	r.Headroom, r.Cost = nil, nil
	r.Warnings = append(r.Warnings, "the bottleneck was not exercised: no resource came beyond 50% of its limit")
	return r
}

func guardRun() *Run {
	r := aboveRun()
	r.Ended, r.EndedDetail = "guard", "errors > 20% for 5s"
	return r
}

func interruptedRun() *Run {
	r := aboveRun()
	r.Ended, r.Verdict, r.Reasons = "interrupted", Invalid, []string{"interrupted before the search was over"}
	r.Capacity = nil
	return r
}

func cutOffRun() *Run {
	r := interruptedRun()
	r.Ended, r.Reasons = "cut-off", []string{"the journal has no end: the generator was killed or the disk was full"}
	return r
}

// predictedRun has a capacity above all that was offered, and the curve up to it.
func predictedRun() *Run {
	r := sampleRun()
	only(r, 0, 1, 2, 3)
	r.Capacity = &Capacity{RPS: Estimate{Value: 390, Low: 371, High: 410, Confidence: 0.9}, Objective: "p99 < 50ms", Bound: "predicted", Method: "laws"}
	for x := 20.0; x < 390; x += 20 {
		r.Capacity.Curve = append(r.Capacity.Curve, CurvePoint{RPS: x, P50: 5, P99: 2000 / (400 - x)})
	}
	return r
}

func ambiguousRun() *Run {
	r := sampleRun()
	r.Verdict = Fail
	r.Saturation.Bottlenecks[0].Probability, r.Saturation.Bottlenecks[1].Probability = 0.61, 0.39
	r.Headroom.DemandRPS, r.Headroom.Now = 500, &Estimate{Value: -0.276}
	r.Steps[8].Valid, r.Steps[8].WhyInvalid = false, []string{"the target was throttled for 12% of the step"}
	return r
}

// hugeRun has 60 steps of 50 requests, an hour of seconds and deep profiles.
func hugeRun() *Run {
	rnd := rand.New(rand.NewPCG(3, 4))
	r := sampleRun()
	r.Steps, r.Timeline = nil, nil
	for i := range 60 {
		s := sampleStep(i, "load", float64(10*(i+1)), 60, 2, rnd)
		for j := range 50 {
			s.Requests[fmt.Sprintf("GET /api/v1/items/category-%02d/listing", j)] = sampleRequest(s, 0.02, 0.8+float64(j)/100)
		}
		r.Steps = append(r.Steps, s)
	}
	sampleTimeline(r, rnd)
	sampleTotals(r)
	deep := &Frame{Name: "leaf", Value: 10}
	for i := range 600 {
		deep = &Frame{Name: fmt.Sprintf("recursive.call%d", i), Value: deep.Value + 1, Children: []*Frame{deep}}
	}
	r.Flames[0].Root.Children = append(r.Flames[0].Root.Children, deep)
	for i := range 20000 {
		r.Flames[1].Root.Children = append(r.Flames[1].Root.Children, &Frame{Name: fmt.Sprintf("wide.f%d", i), Value: int64(i)})
	}
	return r
}

// attack is in every string of hostileRun: it would end a script or a comment,
// run a script, form a link, a mention, a table cell, a code span or a terminal
// sequence, turn the direction of writing, or end a line of JavaScript.
const attack = "</script><script>alert(1)</script><!--<script>\"'`|*_[x](http://evil.example/)@everyone\x1b[2J\r\n# h\u2028\u2029\u202e{{.}}${1}<img src=x onerror=alert(1)>\x00\xff"

// hostileRun is the sample with an attack in every string that it holds.
func hostileRun() *Run {
	r := sampleRun()
	r.Ended = "guard"
	poison(reflect.ValueOf(r).Elem())
	return r
}

func poison(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(v.String() + attack)
	case reflect.Pointer:
		if !v.IsNil() {
			poison(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			poison(v.Field(i))
		}
	case reflect.Slice:
		for i := range v.Len() {
			poison(v.Index(i))
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			poisoned := reflect.New(v.Type().Elem()).Elem()
			poisoned.Set(v.MapIndex(k))
			poison(poisoned)
			v.SetMapIndex(k, reflect.Value{})
			v.SetMapIndex(reflect.ValueOf(k.String()+attack).Convert(k.Type()), poisoned)
		}
	case reflect.Interface:
		v.Set(reflect.ValueOf(any(fmt.Sprint(v.Interface()) + attack)))
	}
}
