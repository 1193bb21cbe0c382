package importer

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// queued are requests of a server with exponential service times of a mean (M/M/1), under
// Poisson arrivals at a rate for some seconds.
func queued(rng *rand.Rand, rate, mean, seconds float64) []record {
	var out []record
	free := 0.0
	for at := 0.0; at < seconds; at += rng.ExpFloat64() / rate {
		free = max(free, at) + mean*rng.ExpFloat64()
		out = append(out, record{start: began.Add(time.Duration(at * 1e9)), lasted: time.Duration((free - at) * 1e9), name: "all"})
	}
	return out
}

// secondsOf writes requests as k6 does by default, by the whole second of the end, or as
// JMeter may be told to, by that of the start.
var secondsOf = map[string]func([]record) string{
	"k6": func(rs []record) string {
		var b strings.Builder
		b.WriteString("metric_name,timestamp,metric_value,expected_response,method,name,status\n")
		for _, r := range rs {
			fmt.Fprintf(&b, "http_req_duration,%d,%.6f,true,GET,x,200\n", r.start.Add(r.lasted).Unix(), float64(r.lasted)/1e6)
		}
		return b.String()
	},
	"JMeter": func(rs []record) string {
		var b strings.Builder
		b.WriteString("timeStamp,elapsed,label,success\n")
		for _, r := range rs {
			fmt.Fprintf(&b, "%s,%.3f,x,true\n", r.start.Format("2006/01/02 15:04:05"), float64(r.lasted)/1e6)
		}
		return b.String()
	},
}

// In whole seconds as many requests are in flight in the mean as throughput and response
// say (Little's law), behind a queue and where hardly any is. What may be off is a quarter
// of a long queue, and for the short responses three errors of independent counts.
func TestWholeSecondsHaveRequestsInFlight(t *testing.T) {
	for name, write := range secondsOf {
		for _, c := range []struct{ rate, mean, off float64 }{{900, 0.001, 2.3}, {90, 0.01, 2.3}, {100, 0.0005, 0.04}} {
			text := write(queued(rand.New(rand.NewPCG(11, 1)), c.rate, c.mean, 300))
			r := read(t, text)
			if !slices.ContainsFunc(r.Lacks, func(s string) bool { return strings.Contains(s, "whole seconds") }) {
				t.Errorf("%s: lacks %q", name, r.Lacks)
			}
			sum, n, expected := 0.0, 0.0, 0.0
			for _, p := range r.Points {
				expected += p.InFlight * p.Seconds
				for _, f := range p.Flow {
					if f.To <= p.Seconds {
						sum, n = sum+float64(f.InFlight), n+1
					}
				}
			}
			if got, want := sum/n, expected/n; math.Abs(got-want) > c.off {
				t.Errorf("%s at %g/s of %g ms: %.3g in flight, want %.3g", name, c.rate, 1000*c.mean, got, want)
			}
		}
	}
}

// What ends in a second is what the file has of it, and lasts as long.
func TestSpreadKeepsSecondsAndLengths(t *testing.T) {
	for _, byEnd := range []bool{true, false} {
		l, times := &log{byEnd: byEnd}, func(h hit) int64 { return h.start }
		if byEnd {
			times = func(h hit) int64 { return h.end }
		}
		var seconds []int64
		var lasted []time.Duration
		for _, r := range queued(rand.New(rand.NewPCG(12, 1)), 50, 0.018, 60) {
			at := r.start.Truncate(time.Second)
			if byEnd {
				at = r.start.Add(r.lasted).Truncate(time.Second)
				r.start = at.Add(-r.lasted)
			} else {
				r.start = at
			}
			seconds, lasted = append(seconds, at.Unix()), append(lasted, r.lasted)
			if err := l.add(r); err != nil {
				t.Fatal(err)
			}
		}
		if !l.coarse() {
			t.Fatal("whole seconds are not recognised")
		}
		l.spread()
		for i, h := range l.hits {
			if times(h)/1e6 != seconds[i] || h.end-h.start != lasted[i].Microseconds() {
				t.Fatalf("hit %d is in second %d for %d us, want %d for %s", i, times(h)/1e6, h.end-h.start, seconds[i], lasted[i])
			}
			if i > 0 && seconds[i] == seconds[i-1] && times(h) <= times(l.hits[i-1]) {
				t.Fatalf("hit %d is not after the one before it", i)
			}
		}
	}
}

// A time that happens to be a whole second among others says nothing of them: they stay
// where they are.
func TestAWholeSecondAmongOthers(t *testing.T) {
	const head = "metric_name,timestamp,metric_value,expected_response,method,name,status\n"
	row := func(at string) string { return "http_req_duration," + at + ",100,true,GET,x,200\n" }
	r := read(t, head+row("2026-03-02T10:00:00Z")+row("2026-03-02T10:00:00.5Z")+row("2026-03-02T10:00:01.1Z"))
	if slices.ContainsFunc(r.Lacks, func(s string) bool { return strings.Contains(s, "whole seconds") }) {
		t.Errorf("lacks %q", r.Lacks)
	}
	if want := time.Date(2026, 3, 2, 9, 59, 59, 900e6, time.UTC); !r.Started.Equal(want) {
		t.Errorf("started %s, want %s", r.Started, want)
	}
}
