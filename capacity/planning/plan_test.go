package planning

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/headroom-project/headroom/scenarios"
)

var march = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

// shop carries 400/s (360 for sure) on two cores, of which a request takes 4 ms
// and rest 0.2 cores: they give out at 450/s.
func shop() Service {
	return Service{
		Capacity: Figure{400, 360, 420}, VCPU: 2, MemoryBytes: 4e9, BytesPerRequest: 10000,
		Limits: []Limit{{Resource: cpu, Probability: 0.98, RPS: 450, Demand: 0.004, Limit: 2}, {Resource: "pool.db", Probability: 0.02, RPS: 900, Demand: 0.01, Limit: 9}},
		Requests: []RequestDemand{
			{Name: "browse", Share: 0.9, Demand: map[string]Figure{cpu: {Value: 0.003}}},
			{Name: "buy", Share: 0.1, Demand: map[string]Figure{cpu: {Value: 0.013}}},
		},
	}
}

func TestReplicas(t *testing.T) {
	for _, c := range []struct {
		name               string
		cfg                Config
		carrying, replicas int
	}{
		{"ceil", Config{Peak: 3000}, 9, 9},
		{"exactly", Config{Peak: 3600}, 10, 10},
		{"one", Config{Peak: 1}, 1, 1},
		{"two spare", Config{Peak: 3000, Spare: 2}, 9, 11},
		// Of 14 in three zones the fullest has 5: 9 are left. Of 13 it has 5 too.
		{"a zone of three", Config{Peak: 3000, Zones: 3, Survive: 1}, 9, 14},
		// Spare ones are spread over the zones too: of 17 a zone takes 6, and 2 fail besides.
		{"a zone of three, and two spare", Config{Peak: 3000, Zones: 3, Survive: 1, Spare: 2}, 9, 17},
		{"two zones of three", Config{Peak: 3000, Zones: 3, Survive: 2}, 9, 27},
		{"one replica, a zone of two", Config{Peak: 10, Zones: 2, Survive: 1}, 1, 2},
	} {
		p, err := Make(shop(), c.cfg)
		if err != nil || p.Carrying != c.carrying || p.Replicas != c.replicas {
			t.Errorf("%s: %+v %v, want %d and %d", c.name, p, err, c.carrying, c.replicas)
		}
	}
	for name, c := range map[string]Config{"no peak": {}, "NaN": {Peak: math.NaN()}, "endless": {Peak: 1e11}, "all zones": {Peak: 1, Zones: 2, Survive: 2}} {
		if p, err := Make(shop(), c); err == nil {
			t.Errorf("%s: %+v", name, p)
		}
	}
	if _, err := Make(Service{}, Config{Peak: 1}); err == nil {
		t.Error("planned without a capacity")
	}
}

// Whichever replicas fail, as many as were said: what is left carries the peak,
// and one replica less would not.
func TestReplicasAreEnoughAndNotTooMany(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := Config{Peak: rapid.Float64Range(1, 1e5).Draw(t, "peak"), Spare: rapid.IntRange(0, 5).Draw(t, "spare"), Zones: rapid.IntRange(0, 6).Draw(t, "zones")}
		if c.Zones > 1 {
			c.Survive = rapid.IntRange(0, c.Zones-1).Draw(t, "survive")
		}
		each := rapid.Float64Range(1, 1000).Draw(t, "each")
		carrying, all, ok := c.replicas(c.Peak, each)
		if !ok {
			t.Skip("a draw that no plan can be made of")
		}
		if float64(carrying)*each < c.Peak*(1-1e-9) || float64(carrying-1)*each >= c.Peak {
			t.Fatalf("%d of %g carry %g", carrying, each, c.Peak)
		}
		zones := make([]int, max(c.Zones, 1))
		for i := range all {
			zones[i%len(zones)]++
		}
		remain := -c.Spare
		for _, n := range zones[c.Survive:] { // the first are the fullest
			remain += n
		}
		if remain != c.left(all) {
			t.Fatalf("of %d replicas %d remain, counted %d", all, c.left(all), remain)
		}
		if c.left(all) < carrying || all > carrying && c.left(all-1) >= carrying {
			t.Fatalf("%d replicas leave %d, %d leave %d, want %d", all, c.left(all), all-1, c.left(all-1), carrying)
		}
	})
}

func TestCostAndTime(t *testing.T) {
	growth, err := scenarios.ParseGrowth("5%/month")
	if err != nil {
		t.Fatal(err)
	}
	list := &Prices{Prices: scenarios.Prices{Currency: "EUR", VCPUHour: 0.04, GBHour: 0.005, EgressGB: 0.09}}
	p, err := Make(shop(), Config{Peak: 3000, Growth: &growth, Zones: 3, Survive: 1, Prices: list, Now: march})
	if err != nil {
		t.Fatal(err)
	}
	// 14 replicas of 2*0.04 + 4*0.005 = 0.10 an hour; at the high end of the
	// capacity, 8 carry the peak, and 12 do through the loss.
	if c := p.Cost; math.Abs(c.ReplicaHour-0.10) > 1e-9 || math.Abs(c.PerMonth.Value-14*0.10*730.5) > 1e-6 || math.Abs(c.PerMonth.Low-12*0.10*730.5) > 1e-6 {
		t.Errorf("cost %+v", c)
	}
	// 1.40 an hour over 3000*3600 requests, and 10 kB an answer.
	if want := 1.40/10.8 + 0.9; math.Abs(p.Cost.PerMillion.Value-want) > 1e-9 {
		t.Errorf("per million %g, want %g", p.Cost.PerMillion.Value, want)
	}
	// Nine replicas carry 3240/s: 1.08 at 5% a month is 1.577 months of 730.5 h.
	if p.ExhaustedOn != "2026-04-19" {
		t.Errorf("used up on %s", p.ExhaustedOn)
	}
	if len(p.Months) != 13 || math.Abs(p.Months[12].PeakRPS-3000*math.Pow(1.05, 365*24/730.5)) > 1 || p.Months[12].Replicas <= p.Months[0].Replicas {
		t.Errorf("months %+v", p.Months)
	}
	shrinking, _ := scenarios.ParseGrowth("-5%/month")
	if p, err := Make(shop(), Config{Peak: 3000, Growth: &shrinking, Now: march}); err != nil || p.ExhaustedOn != "" || p.Months != nil {
		t.Errorf("a shrinking demand is used up on %q, %v", p.ExhaustedOn, err)
	}
}

// Each month is there once, from whichever day.
func TestEachMonthOnce(t *testing.T) {
	growth, err := scenarios.ParseGrowth("5%/month")
	if err != nil {
		t.Fatal(err)
	}
	for _, now := range []time.Time{time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC), time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC), time.Date(2028, 2, 29, 0, 0, 0, 0, time.UTC)} {
		p, err := Make(shop(), Config{Peak: 3000, Growth: &growth, Now: now})
		if err != nil {
			t.Fatal(err)
		}
		for k, m := range p.Months {
			want := time.Date(now.Year(), now.Month()+time.Month(k), 1, 0, 0, 0, 0, time.UTC).Format("2006-01")
			if m.Month != want || k > 0 && !(m.PeakRPS > p.Months[k-1].PeakRPS) {
				t.Errorf("from %s: month %d is %+v, want %s", now.Format(time.DateOnly), k, m, want)
			}
		}
	}
}

func TestAutoscaler(t *testing.T) {
	p, err := Make(shop(), Config{Peak: 3000, Zones: 3, Survive: 1, Ramp: 0.05 / 60, Lag: 2 * time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	// 10% may come meanwhile. From three replicas on a zone takes half of four, and 19 run at
	// the peak; from five on it takes at most three of seven: 360 * 0.9 * 4/7 = 185.14, and
	// U(185.1) = (0.2 + 0.004*185.1) / 2. Fewer run then, but for the least load.
	want := 0.4702
	if a := p.Autoscaler; math.Abs(a.Utilisation-want) > 1e-9 || a.RPS != 185.1 || a.Min != 5 || a.Max != 17 || !strings.Contains(a.HPA, "averageUtilization: 47}") || !strings.Contains(a.KEDA, `threshold: "185.1"`) || len(a.Warnings) > 0 {
		t.Errorf("%+v, want %g", a, want)
	}
	s := shop()
	s.Limits = []Limit{{Resource: "unmeasured", Probability: 1, RPS: 410}}
	p, err = Make(s, Config{Peak: 3000})
	if err != nil || p.Autoscaler.HPA != "" || len(p.Autoscaler.Warnings) == 0 {
		t.Errorf("%+v %v", p.Autoscaler, err)
	}
	if p, err := Make(shop(), Config{Peak: 3000, Ramp: 0.05, Lag: 2 * time.Minute}); err != nil || len(p.Autoscaler.Warnings) == 0 || p.Autoscaler.Min != p.Replicas || p.Autoscaler.KEDA != "" {
		t.Errorf("a load that doubles while a replica starts: %+v %v", p.Autoscaler, err)
	}
}

// Two replicas of which either may be lost are no fewer at no load.
func TestNothingToScale(t *testing.T) {
	p, err := Make(shop(), Config{Peak: 300, Zones: 3, Survive: 1})
	if err != nil {
		t.Fatal(err)
	}
	if a := p.Autoscaler; a.Min != 2 || a.Max != 2 || a.HPA+a.KEDA != "" || !strings.Contains(strings.Join(a.Warnings, "\n"), "nothing to scale") {
		t.Errorf("%+v", a)
	}
}

// At whatever load up to the peak, what either manifest runs carries it through the loss,
// also while a new replica starts; at the peak it runs the replicas of the plan at least.
func TestAutoscalerSurvivesTheLoss(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := Config{Peak: rapid.Float64Range(1, 1e4).Draw(t, "peak"), Spare: rapid.IntRange(0, 4).Draw(t, "spare"), Zones: rapid.IntRange(0, 6).Draw(t, "zones")}
		if c.Zones > 1 {
			c.Survive = rapid.IntRange(0, c.Zones-1).Draw(t, "survive")
		}
		c.Ramp, c.Lag = rapid.Float64Range(0, 0.8).Draw(t, "ramp")/60, time.Minute
		s := shop()
		p, err := Make(s, c)
		if err != nil {
			t.Skip("no plan")
		}
		a := p.Autoscaler
		survives := func(load float64, n int) {
			if most := float64(c.left(n)) * s.Capacity.Low * (1 - c.Ramp*c.Lag.Seconds()); most < load*(1-1e-9) {
				t.Fatalf("%d of %d to %d replicas run at %g/s, and %g/s fit after the loss: %+v", n, a.Min, a.Max, load, most, a)
			}
		}
		// Each count meets its highest load just before the next is started.
		for n := a.Min; n <= a.Max; n++ {
			survives(min(float64(n)*a.RPS, c.Peak), n)
			if cores := math.Floor(100*a.Utilisation) / 100; a.HPA != "" {
				survives(min(float64(n)*(cores*2-0.2)/0.004, c.Peak), n)
			}
		}
		if run := int(math.Ceil(c.Peak/a.RPS - 1e-9)); run > a.Max || max(run, a.Min) < p.Replicas && a.Max > a.Min {
			t.Fatalf("%d of at most %d replicas run at the peak, planned are %d: %+v", run, a.Max, p.Replicas, a)
		}
	})
}

// At the peak the autoscaler may run as many replicas as its own target asks for.
func TestAutoscalerReachesItsTarget(t *testing.T) {
	p, err := Make(shop(), Config{Peak: 3000, Ramp: 0.001, Lag: 100 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if a := p.Autoscaler; a.Max <= p.Replicas || float64(a.Max)*a.RPS < 3000 || float64(a.Max-1)*a.RPS >= 3000 {
		t.Errorf("at most %d replicas at %.4g/s each for 3000/s; planned are %d", a.Max, a.RPS, p.Replicas)
	}
}

// Replicas that run today and do not carry the peak are named, without growth too.
func TestTooFewToday(t *testing.T) {
	for replicas, few := range map[int]bool{2: true, 100: false} {
		p, err := Make(shop(), Config{Peak: 3000, Replicas: replicas})
		if err != nil {
			t.Fatal(err)
		}
		if all := strings.Join(p.Warnings, "\n"); strings.Contains(all, "that run today") != few {
			t.Errorf("%d replicas: %s", replicas, all)
		}
	}
}

func TestOtherInstances(t *testing.T) {
	s := shop()
	double, _ := s.On(Instance{VCPU: 4, Speed: 1})
	// (4 - 0.2) / 0.004 = 950, but the pool gives out at 900: twice.
	if r := double.Capacity.Value / s.Capacity.Value; math.Abs(r-2) > 1e-9 || double.Limits[0].Resource != "pool.db" {
		t.Errorf("twice the cores carry %g times: %+v", r, double)
	}
	if r := double.Capacity.Low / s.Capacity.Low; math.Abs(r-2) > 1e-9 {
		t.Errorf("low end %g times", r)
	}
	fast, _ := s.On(Instance{Speed: 1.5})
	if r := fast.Capacity.Value / s.Capacity.Value; math.Abs(r-(2-0.2/1.5)/(0.004/1.5)/450) > 1e-9 {
		t.Errorf("cores 1.5 times as fast carry %g times", r)
	}
	half, notes := s.On(Instance{VCPU: 1, Speed: 1})
	// Half the cores carry less than half: they queue more.
	if r := half.Capacity.Value / s.Capacity.Value; r > 0.5*0.8/0.9 || r < 0.3 || len(notes) < 2 {
		t.Errorf("half the cores carry %g times, %q", r, notes)
	}
	// Where memory gives out first, half the cores have room for as much, and a sixth does
	// not; nothing is made of how little of the cores was used.
	full := shop()
	full.Limits = []Limit{{Resource: memory, Probability: 1, RPS: 420, Demand: 1e6, Limit: 5e8}, {Resource: cpu, RPS: 1900, Demand: 0.001, Limit: 2}}
	if x, _ := full.On(Instance{VCPU: 1, Speed: 1}); x.Capacity != full.Capacity {
		t.Errorf("memory gives out first, and half the cores carry %+v", x.Capacity)
	}
	full.Limits[1] = Limit{Resource: cpu, RPS: 600, Demand: 0.003, Limit: 2}
	if x, notes := full.On(Instance{VCPU: 1, Speed: 1}); math.Abs(x.Capacity.Value-100) > 0.1 || !strings.Contains(strings.Join(notes, "\n"), " 100/s") {
		t.Errorf("a core that idles at 0.2 and is used by half at 100/s carries %+v, %q", x.Capacity, notes)
	}
	s.Limits = append(s.Limits, Limit{Resource: "unmeasured", Probability: 0.3, RPS: 450})
	if x, _ := s.On(Instance{VCPU: 4, Speed: 1}); x.Capacity.Low > s.Capacity.Low {
		t.Errorf("something unmeasured may be the limit, and the low end rises to %g", x.Capacity.Low)
	}
	if x, notes := (Service{Capacity: Figure{1, 1, 1}}).On(Instance{VCPU: 4, Speed: 1}); x.Capacity.Value != 1 || len(notes) < 2 {
		t.Errorf("%+v %q", x, notes)
	}
}

// Memory that does not hold what is used at rest carries nothing.
func TestInstanceWithTooLittleMemory(t *testing.T) {
	s := shop()
	s.Limits = append(s.Limits, Limit{Resource: memory, RPS: 3500, Demand: 1e6, Limit: 4e9}) // 0.5 GB at rest
	for gb, least := range map[float64]float64{0.3: 0, 0.7: 100, 4: 300} {
		x, notes := s.On(Instance{VCPU: 2, Speed: 1, MemoryGB: gb})
		if carries := x.Capacity.Value; carries < least || least == 0 && (carries != 0 || !strings.Contains(strings.Join(notes, "\n"), "memory")) {
			t.Errorf("with %g GB it carries %+v, %q", gb, x.Capacity, notes)
		}
	}
}

// Of M/M/1 as many wait as it is used; of M/M/2 at a half a third (Erlang 1917).
func TestUtilisationByWaits(t *testing.T) {
	for _, c := range []struct{ cores, rho, want float64 }{{1, 0.7, 0.7}, {2, 0.5, 1.0 / 3}, {5, 0.8, 0.5541}} {
		if got := utilisation(c.cores, c.want); math.Abs(got-c.rho) > 1e-4 {
			t.Errorf("%g cores: %g wait at %g, want %g", c.cores, c.want, got, c.rho)
		}
	}
}

func TestOtherMix(t *testing.T) {
	s := shop()
	x, _, err := s.WithMix(map[string]float64{"buy": 0.5})
	if err != nil {
		t.Fatal(err)
	}
	// A request takes 8 ms instead of 4 (by the attribution): half the load.
	if r := x.Capacity.Value / s.Capacity.Value; math.Abs(r-0.5) > 1e-9 {
		t.Errorf("%g times the load, want 0.5", r)
	}
	if _, _, err := s.WithMix(map[string]float64{"sell": 0.5}); err == nil {
		t.Error("an unknown request")
	}
	if _, _, err := s.WithMix(map[string]float64{"buy": 0.9, "browse": 0.9}); err == nil {
		t.Error("180%")
	}
	s.Requests = nil
	if _, _, err := s.WithMix(map[string]float64{"buy": 0.5}); !errors.Is(err, ErrNotAttributed) {
		t.Error("a mix without attribution")
	}
}

// Another mix has other answers, cores and times in flight, and is priced by them.
func TestCostOfAnotherMix(t *testing.T) {
	s := shop()
	list := &Prices{Prices: scenarios.Prices{Currency: "EUR", VCPUHour: 0.04, EgressGB: 0.09}}
	parts := map[string]Figure{cpu: {1, 0.9, 1.1}, memory: {0.1, 0.1, 0.1}, egress: {0.9, 0.9, 0.9}}
	unknown, notes, err := s.WithMix(map[string]float64{"buy": 0.5})
	if err != nil || unknown.BytesPerRequest != 10000 || !strings.Contains(strings.Join(notes, "\n"), "size of the answers") {
		t.Errorf("sizes that are not known by request: %g, %q, %v", unknown.BytesPerRequest, notes, err)
	}
	if m := s.Marginal(parts, unknown); m == nil || math.Abs(m.Value-(2*1+0.1+0.9)) > 1e-9 || math.Abs(m.High-(2*1.1+0.1+0.9)) > 1e-9 {
		t.Errorf("marginal %+v: cores alone are known by request", m)
	}
	// 9 kB to browse, 19 kB to buy: 10 kB in the mean, 14 kB if half of them buy.
	s.Requests[0].BytesPerRequest, s.Requests[1].BytesPerRequest = 9000, 19000
	s.Requests[0].ResponseMS, s.Requests[1].ResponseMS = 8, 28 // 10 ms, then 18
	x, notes, err := s.WithMix(map[string]float64{"buy": 0.5})
	if err != nil || math.Abs(x.BytesPerRequest-14000) > 1e-6 || len(notes) != 1 {
		t.Errorf("an answer of %g bytes, want 14000; %q %v", x.BytesPerRequest, notes, err)
	}
	p, err := Make(x, Config{Peak: 3000, Prices: list})
	if err != nil || math.Abs(p.Cost.EgressPerMillion-14*0.09) > 1e-9 {
		t.Errorf("%+v %v, want an egress of %g", p.Cost, err, 14*0.09)
	}
	if m := s.Marginal(parts, x); m == nil || math.Abs(m.Value-(2*1+1.8*0.1+1.4*0.9)) > 1e-9 {
		t.Errorf("marginal %+v", m)
	}
	if m := s.Marginal(parts, s); math.Abs(m.Value-2) > 1e-9 {
		t.Errorf("marginal of the mix that was measured: %+v", m)
	}
	if m := s.Marginal(nil, x); m != nil {
		t.Errorf("a marginal cost out of nothing: %+v", m)
	}
}

func TestPrices(t *testing.T) {
	p, err := ParsePrices("p.yaml", []byte("currency: EUR\nvcpu_hour: 0.04\ninstances:\n  m5.large: {vcpu: 2, memory_gb: 8, hour: 0.096}\n"))
	if err != nil || p.Currency != "EUR" || p.VCPUHour != 0.04 || p.Instances["m5.large"].Speed != 1 {
		t.Fatalf("%+v %v", p, err)
	}
	if name, i, err := ParseInstance("m5.large", p); err != nil || name != "m5.large" || i.Hour != 0.096 {
		t.Errorf("%+v %v", i, err)
	}
	if _, i, err := ParseInstance("vcpu=4, hour=0.2,speed=1.2", nil); err != nil || i.VCPU != 4 || i.Speed != 1.2 {
		t.Errorf("%+v %v", i, err)
	}
	for _, text := range []string{"", "{}", "vcpu_hour: -1", "vcpu_hour: .nan", "vcpu: 1", "currency: euro\nvcpu_hour: 1", "instances: {a: {}}", "instances: {a: {speed: 1000}}", "- 1", "vcpu_hour: [1]"} {
		if p, err := ParsePrices("p.yaml", []byte(text)); err == nil {
			t.Errorf("%q is a price list: %+v", text, p)
		}
	}
	for _, text := range []string{"m5.large", "cores=4", "vcpu=x", "vcpu=NaN", "vcpu=-1", "="} {
		if _, i, err := ParseInstance(text, nil); err == nil {
			t.Errorf("%q is an instance type: %+v", text, i)
		}
	}
}

func FuzzPrices(f *testing.F) {
	f.Add("currency: EUR\nvcpu_hour: 0.04\ninstances: {a: {vcpu: 2, hour: 0.1}}")
	f.Add("{vcpu_hour: .inf, gb_hour: 1e400}")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParsePrices("p.yaml", []byte(text))
		if err == nil && !(p.VCPUHour >= 0 && p.VCPUHour <= 1e6) {
			t.Fatalf("%+v", p)
		}
	})
}
