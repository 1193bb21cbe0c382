package importer

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	vegeta "github.com/headroom-project/headroom/loadgen/attack/recorded/recordedtest"
)

// began is when the simulated runs began.
var began = time.Date(2026, 3, 2, 10, 0, 0, 250e6, time.UTC)

// simulated is what a generator sees of one server that takes 5 ms for each
// request (M/D/1, so that it saturates at 200/s), under Poisson arrivals at 50,
// 100, 150 and 190/s for 20 s each. One in two hundred fails with status 503.
func simulated() []record {
	rng := rand.New(rand.NewPCG(7, 7))
	var out []record
	free, at := 0.0, 0.0
	for step, rate := range []float64{50, 100, 150, 190} {
		for at < float64(20*(step+1)) {
			done := max(free, at) + 0.005
			free = done
			r := record{start: began.Add(time.Duration(at * 1e9)), lasted: time.Duration((done - at) * 1e9), name: "GET /items", bytesIn: 1000}
			if rng.IntN(10) == 0 {
				r.name = "POST /orders"
			}
			if rng.IntN(200) == 0 {
				r.class = "status"
			}
			out = append(out, r)
			at += rng.ExpFloat64() / rate
		}
	}
	slices.SortStableFunc(out, func(a, b record) int { return a.start.Add(a.lasted).Compare(b.start.Add(b.lasted)) })
	return out
}

// written are the simulated requests as each tool writes them, and how exact its
// times are.
func written() map[string]struct {
	text  []byte
	exact time.Duration
} {
	var csv, unix, lines, jtl, simulation bytes.Buffer
	fmt.Fprintln(&csv, "metric_name,timestamp,metric_value,check,error,error_code,expected_response,group,method,name,proto,scenario,service,status,subproto,tls_version,url,extra_tags,metadata")
	unix.Write(csv.Bytes())
	fmt.Fprintln(&lines, `{"type":"Metric","data":{"name":"http_req_duration","type":"trend","contains":"time","thresholds":[],"submetrics":null},"metric":"http_req_duration"}`)
	fmt.Fprintln(&jtl, "timeStamp,elapsed,label,responseCode,responseMessage,threadName,dataType,success,failureMessage,bytes,sentBytes,grpThreads,allThreads,URL,Latency,IdleTime,Connect")
	fmt.Fprintln(&simulation, "RUN\tshop.Simulation\tsimulation\t1772445600250\t \t3.10.5")
	fmt.Fprintln(&simulation, "USER\tbrowse\tSTART\t1772445600250")
	requests := simulated()
	for i, r := range requests {
		method, url, _ := strings.Cut(r.name, " ")
		status, expected, verdict, message := 200, "true", "OK", " "
		if r.class != "" {
			status, expected, verdict, message = 503, "false", "KO", "status.find.is(200), but actually found 503"
		}
		end := r.start.Add(r.lasted)
		ms := float64(r.lasted) / 1e6
		for _, metric := range []struct {
			name  string
			value float64
		}{{"http_reqs", 1}, {"http_req_duration", ms}, {"http_req_blocked", 0.002}} {
			rest := fmt.Sprintf("%.6f,,,,%s,,%s,%s,HTTP/1.1,default,,%d,,,http://shop%s,,\n", metric.value, expected, method, url, status, url)
			fmt.Fprintf(&csv, "%s,%d,%s", metric.name, end.UnixMilli(), rest)
			fmt.Fprintf(&unix, "%s,%d,%s", metric.name, end.Unix(), rest)
			fmt.Fprintf(&lines, `{"metric":%q,"type":"Point","data":{"time":%q,"value":%g,"tags":{"expected_response":%q,"group":"","method":%q,"name":%q,"proto":"HTTP/1.1","scenario":"default","status":"%d","url":"http://shop%s"}}}`+"\n",
				metric.name, end.Format(time.RFC3339Nano), metric.value, expected, method, url, status, url)
		}
		fmt.Fprintf(&jtl, "%d,%d,%s,%d,,Thread Group 1-%d,text,%t,,1000,120,8,8,http://shop%s,%d,0,0\n", r.start.UnixMilli(), r.lasted.Milliseconds(), r.name, status, i%8+1, r.class == "", url, r.lasted.Milliseconds())
		if i%50 == 0 {
			fmt.Fprintf(&jtl, "%d,%d,checkout,200,\"Number of samples in transaction : 1, number of failing samples : 0\",Thread Group 1-1,,true,,1000,120,8,8,null,0,0,0\n", r.start.UnixMilli(), r.lasted.Milliseconds())
		}
		fmt.Fprintf(&simulation, "REQUEST\t\t%s\t%d\t%d\t%s\t%s\n", r.name, r.start.UnixMilli(), end.UnixMilli(), verdict, message)
	}
	var hits []vegeta.Hit
	for _, r := range requests {
		method, path, _ := strings.Cut(r.name, " ")
		h := vegeta.Hit{Sent: r.start, Latency: r.lasted, Code: 200, Method: method, URL: "http://shop" + path, BytesIn: r.bytesIn}
		if r.class != "" {
			h.Code, h.Error = 503, "503 Service Unavailable"
		}
		hits = append(hits, h)
	}
	type file = struct {
		text  []byte
		exact time.Duration
	}
	return map[string]file{
		"k6 CSV": {csv.Bytes(), time.Millisecond}, "k6 CSV, whole seconds": {unix.Bytes(), time.Second}, "k6 JSON lines": {lines.Bytes(), time.Microsecond},
		"JMeter JTL": {jtl.Bytes(), time.Millisecond}, "Gatling simulation.log": {simulation.Bytes(), time.Millisecond},
		"vegeta gob": {vegeta.Write("gob", hits), time.Nanosecond}, "vegeta JSON": {vegeta.Write("json", hits), time.Nanosecond}, "vegeta CSV": {vegeta.Write("csv", hits), time.Nanosecond},
	}
}

// The same requests, in whatever tool's words, give the same points: four steps
// at the loads that were offered, with quantiles as exact as the tool's times.
func TestLogsGiveTheSamePoints(t *testing.T) {
	var all log
	for _, r := range simulated() {
		if err := all.add(r); err != nil {
			t.Fatal(err)
		}
	}
	discard := func(lasts time.Duration) time.Duration { return min(lasts/5, 3*time.Second).Round(time.Second) }
	want, _, err := all.points(discard)
	if err != nil {
		t.Fatal(err)
	}
	if len(want) != 4 {
		t.Fatalf("%d steps, want 4", len(want))
	}
	for name, file := range written() {
		t.Run(name, func(t *testing.T) {
			got, err := Read(name, bytes.NewReader(file.text), Config{Discard: discard})
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(name, got.Format[:6]) && !strings.HasPrefix(name, got.Tool) {
				t.Errorf("taken for %s", got.Format)
			}
			if len(got.Points) != len(want) || len(got.Lacks) == 0 {
				t.Fatalf("%d points, want %d; lacks %q", len(got.Points), len(want), got.Lacks)
			}
			for i, p := range got.Points {
				if math.Abs(p.Offered-want[i].Offered) > 0.05*want[i].Offered {
					t.Errorf("step %d at %.1f/s, want %.1f", i, p.Offered, want[i].Offered)
				}
				// In whole seconds the times are as exact, and the cut of the steps is a
				// second off.
				off := 1.1*float64(file.exact)/1e6 + 0.002*want[i].Response.P99
				if file.exact == time.Second {
					off = 0.1 * want[i].Response.P99
				}
				if d := p.Response.P99 - want[i].Response.P99; math.Abs(d) > off {
					t.Errorf("step %d: p99 %.3f ms, want %.3f", i, p.Response.P99, want[i].Response.P99)
				}
				if math.Abs(p.ErrorRatio-want[i].ErrorRatio) > 0.002 || len(p.Requests) != 2 || len(p.Windows) < 10 || len(p.Flow) < 15 {
					t.Errorf("step %d: errors %g, want %g; %d names, %d windows, %d seconds of flow", i, p.ErrorRatio, want[i].ErrorRatio, len(p.Requests), len(p.Windows), len(p.Flow))
				}
			}
		})
	}
}

// A ramp is cut into steps as well, each at the load of the seconds that it keeps: what
// a target that keeps up has served is what was offered.
func TestRamp(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	l := &log{}
	for at := 0.0; at < 100; at += rng.ExpFloat64() / (10 + 2*at) {
		if err := l.add(record{start: began.Add(time.Duration(at * 1e9)), lasted: 10 * time.Millisecond, name: "all"}); err != nil {
			t.Fatal(err)
		}
	}
	points, _, err := l.points(func(lasts time.Duration) time.Duration { return min(lasts/5, 3*time.Second).Round(time.Second) })
	if err != nil || len(points) < 4 {
		t.Fatalf("%d steps, %v", len(points), err)
	}
	for i, p := range points {
		if math.Abs(p.Offered-p.Throughput) > 0.5 {
			t.Errorf("step %d: offered %.1f/s, served %.1f/s", i, p.Offered, p.Throughput)
		}
	}
}

// Steps are found within a second of where the rate changes, for 100 seeds of
// counts. Noise is cut in at most three of a hundred.
func TestSegmentsAreFoundWhereTheRateChanges(t *testing.T) {
	wrong := 0
	for seed := range uint64(100) {
		rng := rand.New(rand.NewPCG(seed, 1))
		var counts []int
		for _, rate := range []float64{40, 80, 80, 160} {
			for range 15 {
				counts = append(counts, int(rate+rng.NormFloat64()*math.Sqrt(rate)))
			}
		}
		got := segments(counts, nil)
		if len(got) != 3 || abs(got[0].to-15) > 1 || abs(got[1].to-45) > 1 {
			wrong++
			t.Logf("seed %d: %v", seed, got)
		}
	}
	if wrong > 3 {
		t.Errorf("%d of 100 were cut elsewhere", wrong)
	}
	if got := segments(nil, nil); len(got) != 0 {
		t.Errorf("segments of nothing: %v", got)
	}
	if got := segments([]int{5, 5, 5}, nil); len(got) != 1 || got[0] != (segment{0, 3}) {
		t.Errorf("segments of three seconds: %v", got)
	}
}

// A pause is part of no step, however long, and what begins or ends within a second next to
// it is no step of its own. A slow load has seconds without a request, too.
func TestPausesAreNoSteps(t *testing.T) {
	wrong := 0
	for seed := range uint64(60) {
		pause := []int{5, 60, 3600}[seed%3]
		rng := rand.New(rand.NewPCG(seed, 2))
		var counts []int
		var want []segment
		for i, rate := range []float64{40, 80, 120} {
			if i > 0 {
				counts = append(counts, make([]int, pause)...)
			}
			from := len(counts)
			counts = append(counts, int(rate/8)) // it begins within a second
			for range 29 {
				counts = append(counts, int(rate+rng.NormFloat64()*math.Sqrt(rate)))
			}
			counts = append(counts, int(rate/3))
			want = append(want, segment{from, len(counts)})
		}
		if got := segments(counts, nil); !slices.Equal(got, want) {
			wrong++
			t.Logf("pauses of %d s: %v, want %v", pause, got, want)
		}
	}
	if wrong > 5 { // noise is cut now and then: three loads each
		t.Errorf("%d of 60 were cut elsewhere", wrong)
	}
	if got := segments([]int{1, 0, 0, 0, 2, 0, 0, 0, 0, 1, 1, 0, 0, 0, 1}, nil); len(got) != 1 {
		t.Errorf("a request now and then: %v", got)
	}
	// A target that hangs for five seconds, and users who wait for it; and a burst a minute.
	hangs, flying := slices.Repeat([]int{100}, 40), make([]int, 40)
	for k := 20; k < 25; k++ {
		hangs[k], flying[k] = 0, 10
	}
	if got := bursts(hangs, flying); len(got) != 1 {
		t.Errorf("a target that hangs is a pause: %v", got)
	}
	if got := bursts(slices.Repeat(append([]int{100}, make([]int, 59)...), 4), nil); len(got) != 1 {
		t.Errorf("a second of load in each minute: %v", got)
	}
}

func abs(n int) int { return max(n, -n) }
