package profiler

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/pprof/profile"
)

// Of drills in which nothing changed 5% name a change (of 200 seeded ones at most
// 20, 3 sigma above that), and one in which a function took half more is found in
// nearly all.
func TestCompareNamesWhatChanged(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	draw := func(requests, factor float64) Load {
		samples := map[string]int64{}
		for i := range 40 {
			samples[fmt.Sprintf("main.f%d", i)] = poisson(rng, requests*float64(i)*1e5/1e7)
		}
		samples["main.slower"] = poisson(rng, requests*3e6*factor/1e7)
		return cpuLoad(t, 0, 100, requests, samples)
	}
	wrong, found, others := 0, 0, 0
	for range 200 {
		x, err := Compare("cpu", draw(1000, 1), draw(1500, 1))
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range x.Functions {
			if c.Changed {
				wrong++
				break
			}
		}
		if x, err = Compare("cpu", draw(1000, 1), draw(1500, 1.5)); err != nil {
			t.Fatal(err)
		}
		for _, c := range x.Functions {
			switch {
			case c.Changed && c.Name == "main.slower" && math.Abs(c.Difference()-1.5e6) < 4*c.error():
				found++
			case c.Changed:
				others++
			}
		}
	}
	if wrong > 20 || found < 190 || others > 20 {
		t.Errorf("of 200: %d name a change where there is none, %d the one that there is, and %d another", wrong, found, others)
	}
}

func TestCompareSeesWhatMoved(t *testing.T) {
	before := newProfile(cpuTypes...).add([]int64{1000, 1e10}, "main.handle", "main.encode").
		add([]int64{500, 5e9}, "main.handle", "main.find").add([]int64{400, 4e9}, "main.other", "main.gone")
	after := newProfile(cpuTypes...).add([]int64{600, 6e9}, "main.handle", "main.encode").
		add([]int64{400, 4e9}, "main.handle", "main.encode", "main.escape"). // split off
		add([]int64{900, 9e9}, "main.handle", "main.find").add([]int64{400, 4e9}, "main.other", "main.renamed")
	load := func(m *maker) Load {
		return Load{RPS: 100, Requests: 1000, Seconds: 10, Pprofs: [][]byte{m.bytes(t)}}
	}
	x, err := Compare("cpu", load(before), load(after))
	if err != nil {
		t.Fatal(err)
	}
	if !x.Total.Changed || x.Total.Difference() != 4e6 {
		t.Errorf("in all %+v, want 4 ms more", x.Total)
	}
	for _, c := range x.Functions {
		if want := c.Name == "main.find"; c.Changed != want {
			t.Errorf("%+v, want changed: %v", c, want)
		}
		if c.Name == "main.gone" && (c.MovedTo != "main.renamed" || c.Moved != -4e6) {
			t.Errorf("%+v, want all of it moved", c)
		}
	}
}

// Both sides are what a million requests cost, and the difference adds up.
func TestDifferenceIsOfAMillionRequests(t *testing.T) {
	a := cpuLoad(t, 0, 10, 500, map[string]int64{"main.f": 100})
	b := cpuLoad(t, 1, 20, 2000, map[string]int64{"main.f": 500, "main.g": 100})
	data, err := Difference(a, b)
	if err != nil {
		t.Fatal(err)
	}
	p, err := profile.ParseData(data)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int64{}
	for _, s := range p.Sample {
		got[s.Location[0].Line[0].Function.Name] += s.Value[1]
		if base := s.HasLabel("pprof::base", "true"); base != (s.Value[1] < 0) {
			t.Errorf("%v: base %v", s.Value, base)
		}
	}
	if got["main.f"] != 2_500_000_000_000-2_000_000_000_000 || got["main.g"] != 500_000_000_000 {
		t.Errorf("%v, want 0.5 ms more of each a request", got)
	}
	if _, err := Difference(Load{Pprofs: a.Pprofs}, b); err == nil {
		t.Error("a load without requests was scaled")
	}
	if _, err := Compare("cpu", Load{}, b); err == nil {
		t.Error("a load without requests was compared")
	}
}
