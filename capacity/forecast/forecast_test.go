package forecast

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

var begin = time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC) // a Monday

// traffic is the load of a service at an instant: more by day, less at weekends,
// growing by a ratio each week, and none of it by chance.
func traffic(t time.Time, peak, growth float64, since time.Time) float64 {
	h := float64(t.Hour()) + float64(t.Minute())/60
	v := 0.35 + 0.65*math.Exp(-(h-14)*(h-14)/18)
	if t.Weekday() == time.Saturday || t.Weekday() == time.Sunday {
		v *= 0.6
	}
	return peak * v * math.Pow(1+growth, t.Sub(since).Hours()/168)
}

// history are hourly readings over weeks, with noise of a ratio.
func history(weeks int, growth, noise float64, seed uint64) []Reading {
	rng := rand.New(rand.NewPCG(seed, 1))
	var out []Reading
	for h := range weeks * 168 {
		at := begin.Add(time.Duration(h) * hour)
		out = append(out, Reading{at, traffic(at, 1000, growth, begin) * math.Exp(noise*rng.NormFloat64())})
	}
	return out
}

func make1(t *testing.T, readings []Reading, c Config) *Forecast {
	t.Helper()
	f, err := Make(readings, c)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// The peak of many noisy hours is that of the service, not the highest that noise on noise
// comes to: it is held against futures of the same service.
func TestPeakIsNotTooHigh(t *testing.T) {
	const weeks, growth, noise = 12, 0.02, 0.03
	load := func(rng *rand.Rand, h int) float64 {
		at := begin.Add(time.Duration(h) * hour)
		return traffic(at, 1000, 0, begin) * (1 + growth*float64(h)/168) * (1 + noise*rng.NormFloat64())
	}
	rng := rand.New(rand.NewPCG(8, 8))
	peaks := make([]float64, 101)
	for i := range peaks {
		for h := weeks * 168; h < (weeks+4)*168; h++ {
			peaks[i] = max(peaks[i], load(rng, h))
		}
	}
	slices.Sort(peaks)
	truth := peaks[50]
	holds, off := 0, 0.0
	const series = 6
	for i := range series {
		rng := rand.New(rand.NewPCG(uint64(i), 8))
		var past []Reading
		for h := range weeks * 168 {
			past = append(past, Reading{begin.Add(time.Duration(h) * hour), load(rng, h)})
		}
		f := make1(t, past, Config{Seed: 1})
		if f.Peak.Low <= truth && truth <= f.Peak.High {
			holds++
		}
		off += (f.Peak.Value/truth - 1) / series
	}
	if holds < series-1 || math.Abs(off) > 0.03 {
		t.Errorf("%d of %d intervals hold the peak of %.0f, which is forecast %+.1f%% off", holds, series, truth, 100*off)
	}
}

// A load that doubled at once is forecast from what it is now.
func TestLoadThatDoubledAtOnce(t *testing.T) {
	past := history(12, 0, 0.03, 4)
	for i := range past[8*168:] {
		past[8*168+i].RPS *= 2
	}
	f := make1(t, past, Config{Seed: 1})
	if f.Peak.Value < 1950 || f.Peak.Value > 2300 || f.Peak.High > 3000 {
		t.Errorf("peak %+v, want about 2100", f.Peak)
	}
	day := begin.AddDate(0, 0, 8*7).Format(time.DateOnly)
	if !slices.ContainsFunc(f.Warnings, func(w string) bool { return strings.Contains(w, "at once") && strings.Contains(w, day) }) {
		t.Errorf("warnings %q do not name %s", f.Warnings, day)
	}
	// The last of two counts; a bad week that is over is none.
	twice := history(14, 0, 0.03, 4)
	for i := range twice {
		switch week := i / 168; {
		case week >= 9:
			twice[i].RPS *= 4
		case week >= 5:
			twice[i].RPS *= 2
		}
	}
	if f := make1(t, twice, Config{Seed: 1}); f.Peak.Value < 3900 || f.Peak.Value > 4600 {
		t.Errorf("doubled twice: %+v, want about 4200", f.Peak)
	}
	holiday := history(12, 0, 0.03, 4)
	for i := 8 * 168; i < 9*168; i++ {
		holiday[i].RPS *= 0.3
	}
	if f := make1(t, holiday, Config{Seed: 1}); strings.Contains(strings.Join(f.Warnings, "\n"), "at once") {
		t.Errorf("a week that is over: %q", f.Warnings)
	}
	fresh := history(12, 0, 0.03, 4)
	for i := 11 * 168; i < 12*168; i++ {
		fresh[i].RPS *= 2
	}
	if f := make1(t, fresh, Config{Seed: 1}); !strings.Contains(strings.Join(f.Warnings, "\n"), "too little has come since") || !(f.Peak.High > f.Peak.Low) {
		t.Errorf("doubled a week ago: %+v, %q", f.Peak, f.Warnings)
	}
	if f := make1(t, history(12, 0.05, 0.03, 4), Config{Seed: 1}); slices.ContainsFunc(f.Warnings, func(w string) bool { return strings.Contains(w, "at once") }) {
		t.Errorf("growth of 5%% a week: %q", f.Warnings)
	}
}

// A holiday, an outage and a spike are left out and named, whatever they are followed by;
// what goes on at the end is not.
func TestOutliersAreLeftOut(t *testing.T) {
	want := make1(t, history(8, 0, 0.02, 3), Config{Seed: 1}).Peak.Value
	for name, c := range map[string]struct {
		from, hours int
		times       float64
		warns       string
	}{
		"a holiday": {8*168 - 10*24, 24, 0.3, "2026-02-20, 0."},
		"an outage": {8*168 - 19*24 + 10, 3, 0, "2026-02-11, 0.001 times"},
		"a spike":   {8*168 - 10*24 + 12, 1, 10, "is not in the forecast"},
	} {
		past := history(8, 0, 0.02, 3)
		for h := c.from; h < c.from+c.hours; h++ {
			past[h].RPS *= c.times
		}
		f := make1(t, past, Config{Seed: 1})
		if math.Abs(f.Peak.Value/want-1) > 0.03 || f.Peak.High > 1.15*want {
			t.Errorf("%s: peak %+v, without it %.0f", name, f.Peak, want)
		}
		if all := strings.Join(f.Warnings, "\n"); !strings.Contains(all, c.warns) {
			t.Errorf("%s: %q do not say %q", name, all, c.warns)
		}
	}
	surge := history(8, 0, 0.02, 3)
	for h := len(surge) - 72; h < len(surge); h++ {
		surge[h].RPS *= 2
	}
	if f := make1(t, surge, Config{Seed: 1}); strings.Contains(strings.Join(f.Warnings, "\n"), "left out") || f.Peak.High < 1.5*want {
		t.Errorf("a surge that goes on: %+v, %q", f.Peak, f.Warnings)
	}
}

// Two loads at one time are said to be there.
func TestTwoLoadsAtOneTime(t *testing.T) {
	past := history(4, 0, 0.02, 3)
	for _, x := range slices.Clone(past) {
		past = append(past, Reading{x.At, x.RPS / 3})
	}
	if f := make1(t, past, Config{Seed: 1}); !strings.Contains(strings.Join(f.Warnings, "\n"), "672 times have another load") {
		t.Errorf("%q", f.Warnings)
	}
}

// A service that grows is forecast by Holt-Winters, which beats repeating the last
// week, and the peak four weeks ahead lies in its interval.
func TestGrowthIsForecast(t *testing.T) {
	f := make1(t, history(12, 0.03, 0.03, 1), Config{Seed: 1})
	if f.Method == SeasonalNaive || f.Origins != 4 || f.TestedWeeks != 3 {
		t.Fatalf("%s: %s (%+v)", f.Method, f.Why, f.Tested)
	}
	truth := 0.0
	for _, x := range f.Ahead {
		truth = max(truth, traffic(x.At, 1000, 0.03, begin))
	}
	t.Logf("%s, %s: peak %.0f (%.0f-%.0f), without noise %.0f", f.Method, f.Why, f.Peak.Value, f.Peak.Low, f.Peak.High, truth)
	if f.Peak.Low > 1.06*truth || f.Peak.High < truth || math.Abs(f.Peak.Value-truth) > 0.12*truth {
		t.Errorf("peak %+v, want about %.0f", f.Peak, truth)
	}
	if len(f.Ahead) != 4*168 || f.PeakAt.Hour() < 12 || f.PeakAt.Hour() > 16 || f.PeakAt.Weekday() == time.Sunday {
		t.Errorf("%d hours ahead, the peak at %s", len(f.Ahead), f.PeakAt)
	}
	on, earliest, latest := f.Exhausted(Figure{1500, 1450, 1550})
	if on == "" || earliest == "" || earliest > on || latest != "" && latest < on {
		t.Errorf("exhausted on %q (%q to %q)", on, earliest, latest)
	}
	if on, _, _ := f.Exhausted(Figure{1e6, 1e6, 1e6}); on != "" {
		t.Errorf("a million is exceeded on %s", on)
	}
}

// The day on which a growing load really exceeds a capacity lies between the earliest
// and the latest day of the forecast; 90% intervals miss it in two of ten at most
// (a binomial test of 0.9 at 7%).
func TestDayOfExhaustion(t *testing.T) {
	missed := 0
	for seed := range uint64(10) {
		all := history(16, 0.03, 0.03, seed)
		f := make1(t, all[:12*168], Config{Seed: seed})
		const capacity = 1500
		truth := ""
		for _, x := range all[12*168:] {
			if truth == "" && x.RPS > capacity {
				truth = x.At.Format(time.DateOnly)
			}
		}
		on, earliest, latest := f.Exhausted(Figure{capacity, capacity, capacity})
		t.Logf("on %q (%q to %q), truly %q", on, earliest, latest, truth)
		if earliest == "" || truth < earliest || latest != "" && truth > latest {
			missed++
		}
	}
	if missed > 2 {
		t.Errorf("%d of 10 days lie outside", missed)
	}
}

// A peak above the capacity has a day, and one below has none: the two never
// contradict each other.
func TestExhaustionAgreesWithThePeak(t *testing.T) {
	f := make1(t, history(8, 0.03, 0.05, 1), Config{Seed: 1})
	for c := 0.8 * f.Peak.Low; c < 1.1*f.Peak.High; c += 5 {
		on, earliest, latest := f.Exhausted(Figure{c, c, c})
		if (on != "") != (f.Peak.Value > c) || (earliest != "") != (f.Peak.High > c) || (latest != "") != (f.Peak.Low > c) {
			t.Fatalf("capacity %g: %q, %q, %q with a peak of %+v", c, on, earliest, latest, f.Peak)
		}
	}
	if day := f.Exceeded(f.PastPeak - 1); day == "" || f.Exceeded(f.PastPeak+1) != "" {
		t.Errorf("above %g last on %q", f.PastPeak, day)
	}
}

// A load whose week changed at once, and repeats to the digit since: nothing beats
// repeating it. Where Holt-Winters loses, it is not used, and it is said.
func TestALosingForecastIsNotUsed(t *testing.T) {
	lost := 0
	for seed := range uint64(8) {
		rng := rand.New(rand.NewPCG(seed, 2))
		var old, now [168]float64
		for i := range 168 {
			old[i], now[i] = 100+900*rng.Float64(), 100+900*rng.Float64()
		}
		var readings []Reading
		for h := range 8 * 168 {
			v := old[h%168]
			if h >= 4*168 {
				v = now[h%168]
			}
			readings = append(readings, Reading{begin.Add(time.Duration(h) * hour), v})
		}
		f := make1(t, readings, Config{Seed: 1, Horizon: week})
		if f.Method == SeasonalNaive {
			lost++
			if !strings.Contains(f.Why, "lost to it") || !strings.Contains(f.Why, "not used") {
				t.Errorf("why: %q", f.Why)
			}
		}
		for _, x := range f.Tested {
			if x.Name == f.Method && x.Ratio > 1 {
				t.Errorf("%s is used although its error is %.2f times the naive one", x.Name, x.Ratio)
			}
		}
	}
	if lost < 7 {
		t.Errorf("Holt-Winters was used in %d of 8", 8-lost)
	}
}

// 90% intervals of hours one week ahead hold 85-98% of what comes, over 20
// histories with noise of 5% (3360 hours; weeks are not independent, hence the
// width).
func TestIntervalsCover(t *testing.T) {
	inside, all := 0, 0
	for seed := range uint64(20) {
		whole := history(9, 0.01, 0.05, seed+100)
		f := make1(t, whole[:8*168], Config{Seed: seed, Horizon: week, Paths: 100})
		for i, x := range f.Ahead {
			all++
			if y := whole[8*168+i].RPS; x.Low <= y && y <= x.High {
				inside++
			}
		}
	}
	share := float64(inside) / float64(all)
	t.Logf("%.1f%% of %d hours inside", 100*share, all)
	if share < 0.85 || share > 0.98 {
		t.Errorf("%.1f%% inside, want 85-98", 100*share)
	}
}

// The season follows the wall clock: over the change to summer time the peak stays
// at two in the afternoon.
func TestSummerTime(t *testing.T) {
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip("no time zones here: ", err)
	}
	since := time.Date(2026, 2, 16, 0, 0, 0, 0, zone)
	var readings []Reading
	for at := since; at.Before(time.Date(2026, 4, 6, 0, 0, 0, 0, zone)); at = at.Add(hour) {
		readings = append(readings, Reading{at.UTC(), traffic(at, 1000, 0, since)})
	}
	f := make1(t, readings, Config{Zone: zone, Seed: 1})
	if f.PeakAt.Hour() != 14 {
		t.Errorf("the peak is forecast for %s", f.PeakAt)
	}
	if f.Gaps != 1 {
		t.Errorf("%d gaps, want the hour that was left out", f.Gaps)
	}
	for _, x := range f.Ahead {
		if want := traffic(x.At, 1000, 0, since); math.Abs(x.Value-want) > 0.02*1000 {
			t.Fatalf("%s: %.0f, want %.0f", x.At, x.Value, want)
		}
	}
	// In autumn an hour comes twice.
	since = time.Date(2026, 10, 5, 0, 0, 0, 0, zone)
	readings = nil
	for at := since; at.Before(time.Date(2026, 11, 9, 0, 0, 0, 0, zone)); at = at.Add(hour) {
		readings = append(readings, Reading{at.UTC(), traffic(at, 1000, 0, since)})
	}
	if f := make1(t, readings, Config{Zone: zone, Seed: 1}); f.Gaps != 0 || f.PeakAt.Hour() != 14 {
		t.Errorf("%d gaps, the peak at %s", f.Gaps, f.PeakAt)
	}
}

// Gaps, readings at odd times and in any order change little.
func TestGapsAndIrregularTimes(t *testing.T) {
	want := make1(t, history(8, 0.02, 0, 1), Config{Seed: 1})
	rng := rand.New(rand.NewPCG(5, 5))
	var readings []Reading
	for h := range 8 * 168 * 4 {
		at := begin.Add(time.Duration(h)*15*time.Minute + time.Duration(rng.IntN(600))*time.Second)
		outage := h > 2000 && h < 2300 // three days
		if rng.IntN(5) > 0 && !outage {
			readings = append(readings, Reading{at, traffic(at, 1000, 0.02, begin)})
		}
	}
	rng.Shuffle(len(readings), func(i, j int) { readings[i], readings[j] = readings[j], readings[i] })
	got := make1(t, readings, Config{Seed: 1})
	if got.Gaps < 60 || !slices.ContainsFunc(got.Warnings, func(w string) bool { return strings.Contains(w, "not in order") }) {
		t.Errorf("%d gaps, warnings %q", got.Gaps, got.Warnings)
	}
	if math.Abs(got.Peak.Value-want.Peak.Value) > 0.05*want.Peak.Value {
		t.Errorf("peak %.0f, without gaps %.0f", got.Peak.Value, want.Peak.Value)
	}
}

func TestDays(t *testing.T) {
	var readings []Reading
	for d := range 60 {
		at := begin.AddDate(0, 0, d)
		v := 1000 * math.Pow(1.002, float64(d))
		if at.Weekday() == time.Sunday {
			v /= 2
		}
		readings = append(readings, Reading{at, v})
	}
	f := make1(t, readings, Config{Seed: 1})
	if f.Unit != "day" || len(f.Ahead) != 28 || f.Method == SeasonalNaive {
		t.Errorf("%s, %d ahead, %s: %s", f.Unit, len(f.Ahead), f.Method, f.Why)
	}
}

func TestShortHistories(t *testing.T) {
	if _, err := Make(history(1, 0, 0, 1)[:100], Config{}); !errors.Is(err, ErrShort) {
		t.Errorf("100 hours: %v", err)
	}
	if _, err := Make(nil, Config{}); !errors.Is(err, ErrShort) {
		t.Errorf("nothing: %v", err)
	}
	f := make1(t, history(2, 0.05, 0.01, 1), Config{Seed: 1})
	if f.Method != SeasonalNaive || f.Origins != 0 || len(f.Warnings) == 0 || !(f.Peak.High > f.Peak.Low) {
		t.Errorf("two weeks: %s, peak %+v, warnings %q", f.Method, f.Peak, f.Warnings)
	}
	sparse := history(8, 0, 0, 1)
	kept := sparse[:0:0]
	for i, x := range sparse {
		if i%168 < 80 {
			kept = append(kept, x)
		}
	}
	if f, err := Make(kept, Config{}); err == nil || !strings.Contains(err.Error(), "gaps") {
		t.Errorf("half of each week is missing: %+v %v", f, err)
	}
	far := []Reading{{begin, 1}, {begin.AddDate(20, 0, 0), 1}}
	if _, err := Make(far, Config{}); err == nil {
		t.Error("twenty years")
	}
	zero := history(6, 0, 0, 1)
	for i := range zero {
		zero[i].RPS = 0
	}
	if f := make1(t, zero, Config{Seed: 1}); f.Peak.Value != 0 {
		t.Errorf("nothing becomes %g", f.Peak.Value)
	}
}

// What no reading shows has no interval, least of all one without a width: one week says
// nothing of the next, nor do two of which one is hardly there.
func TestOneWeekHasNoInterval(t *testing.T) {
	two := history(2, 0.05, 0.05, 1)
	daily := func(days int) (out []Reading) {
		for i := range days {
			out = append(out, two[i*24+14])
		}
		return out
	}
	for name, c := range map[string]struct {
		readings []Reading
		enough   bool
	}{
		"a week":                   {two[:168], false},
		"a week and an hour":       {two[:169], false},
		"ten days":                 {two[:240], false},
		"eleven days":              {two[:264], true},
		"two weeks but a long gap": {slices.Concat(two[:84], two[84+110:]), false},
		"eight days, a row a day":  {daily(8), false},
		"two weeks, a row a day":   {daily(14), true},
	} {
		f, err := Make(c.readings, Config{Seed: 1})
		if c.enough != (err == nil) || !c.enough && !errors.Is(err, ErrOneWeek) {
			t.Errorf("%s: %v", name, err)
		} else if c.enough && !(f.Peak.High > f.Peak.Low) {
			t.Errorf("%s: an interval of no width: %+v", name, f.Peak)
		}
	}
}

// A gap is filled from the other weeks; that it does not differ from them is no evidence.
func TestGapsAreNoEvidence(t *testing.T) {
	nan := math.NaN()
	m := newNaive([]float64{1, 2, nan, 4, 3, 5, 6, nan}, []float64{1, 2, 6, 4, 3, 5, 6, 4}, 4)
	if !slices.Equal(m.errors, []float64{2, 3}) {
		t.Errorf("errors %v, want those of the two cells that were read twice", m.errors)
	}
}

func TestSameSeedSameForecast(t *testing.T) {
	a, b := make1(t, history(5, 0.01, 0.05, 3), Config{Seed: 4}), make1(t, history(5, 0.01, 0.05, 3), Config{Seed: 4})
	if a.Peak != b.Peak || a.Method != b.Method {
		t.Errorf("%+v and %+v", a.Peak, b.Peak)
	}
}

// A horizon below a day is one, where days are forecast; and in some places clocks went back
// by more than the hour that a reading stands for.
func TestOddHorizonsAndClocks(t *testing.T) {
	var days []Reading
	for i := range 60 {
		at := begin.AddDate(0, 0, i)
		days = append(days, Reading{at, traffic(at, 1000, 0, begin)})
	}
	if f := make1(t, days, Config{Horizon: 12 * hour}); len(f.Ahead) != 1 || !(f.Peak.Value > 0) {
		t.Errorf("%d days ahead, peak %+v", len(f.Ahead), f.Peak)
	}
	zone, err := time.LoadLocation("Antarctica/Casey")
	if err != nil {
		t.Fatal(err)
	}
	var hours []Reading
	for i := range 6 * 168 {
		hours = append(hours, Reading{time.Date(2018, 3, 10, 16, 0, 0, 0, time.UTC).Add(time.Duration(i) * hour), 300})
	}
	if f := make1(t, hours, Config{Zone: zone}); math.Abs(f.Peak.Value-300) > 3 {
		t.Errorf("a peak of %+v", f.Peak)
	}
}
