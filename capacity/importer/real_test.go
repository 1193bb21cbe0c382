package importer

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/headroom-project/headroom/loadgen/observation"
)

// realFile reads a file that a real tool wrote; testdata/README.md says how.
func realFile(t *testing.T, name string) []observation.Point {
	t.Helper()
	return realResults(t, name, func(time.Duration) time.Duration { return time.Second }).Points
}

func realResults(t *testing.T, name string, discard func(time.Duration) time.Duration) *Results {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := Read(name, f, Config{Discard: discard})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(name, r.Tool) {
		t.Errorf("%s is taken for a file of %s", name, r.Tool)
	}
	return r
}

// What vegeta wrote of 30, 60 and 90 requests/s for 6 s each reads as that, in each of
// its encodings, although each attack begins and ends within a second.
func TestRealVegeta(t *testing.T) {
	var apart []observation.Point
	for _, name := range []string{"vegeta-30.gob.gz", "vegeta-60.gob.gz", "vegeta-90.gob.gz"} {
		apart = append(apart, realFile(t, name)...)
	}
	for name, points := range map[string][]observation.Point{"gob": apart, "JSON": realFile(t, "vegeta.json.gz"), "CSV": realFile(t, "vegeta.csv.gz")} {
		if len(points) != 3 {
			t.Fatalf("%s: %d steps, want 3", name, len(points))
		}
		for i, p := range points {
			if want := float64(30 * (i + 1)); math.Abs(p.Offered-want) > 0.02*want {
				t.Errorf("%s: step %d at %.1f/s, want %g", name, i, p.Offered, want)
			}
			if p.Requests["GET /items"].OK < p.Requests["GET /buy"].OK || p.Response.P50 < 5 || p.Response.P50 > 60 {
				t.Errorf("%s: %+v", name, p.Figures)
			}
		}
		if last := points[2]; last.Errors["status"] == 0 || last.Errors["status"] != last.Failed {
			t.Errorf("%s: failed %d, by class %v", name, last.Failed, last.Errors)
		}
	}
}

// told is what a tool said of its own run, at its end.
type told struct {
	// by is the tool and its version, hits what it counted of requests.
	by           string
	hits, failed float64
	// loads are those that it was told to offer, in requests/s.
	loads []float64
	// p50 and p99 are of the whole run, in ms.
	p50, p99 float64
}

// Figures as the tools printed them. The target counted the same hits (of JMeter's
// XML 33 more).
var (
	k6Told     = told{"k6 0.52.0", 1960, 42, []float64{40, 80, 160}, 12.352898, 16.344053610000003}
	jmeterTold = told{"JMeter 2.13: 2760 samples with 740 failed, 790 of transactions with 370 failed", 1970, 370, []float64{40, 80, 160}, 0, 0}
	realLogs   = map[string]told{
		"k6.csv.gz":          k6Told,
		"k6.json.gz":         k6Told,
		"jmeter.jtl.gz":      jmeterTold,
		"jmeter-bare.jtl.gz": jmeterTold, // of another run, with the same counts
		"jmeter.xml.gz":      {"JMeter 2.13: 789 visits with 369 failed, which hold 1947 requests; visits that had not ended are not written", 1947, 369, []float64{40, 80, 160}, 0, 0},
		"vegeta-120.gob.gz":  {"vegeta 12.13.0", 720, 240, []float64{120}, 11.322058, 43.505446},
	}
	realSummaries = map[string]told{
		"k6-export.json":         k6Told,
		"k6-handle.json":         k6Told,
		"k6-machine.json":        {"k6 1.8.1", 1959, 30, []float64{93.236605}, 12.259785, 0},
		"locust_stats.csv":       {"Locust 2.12.1", 2966, 0, []float64{77.91}, 16, 55},
		"vegeta-120-report.json": {"vegeta 12.13.0", 720, 240, []float64{120.16}, 11.322058, 43.505446},
	}
)

// Logs of real tools have the requests that the tool says it sent, in steps at the
// loads that it was told to offer. A closed load is not exact: JMeter's timer begins
// with a burst of its ten threads.
func TestRealLogs(t *testing.T) {
	for name, want := range realLogs {
		t.Run(name, func(t *testing.T) {
			r := realResults(t, name, nil)
			if method := fmt.Sprintf("%.0f requests were read", want.hits); !strings.HasPrefix(r.Method[0], method) {
				t.Errorf("%q, want %q", r.Method[0], method)
			}
			if len(r.Points) != len(want.loads) {
				t.Fatalf("%d steps, want %d", len(r.Points), len(want.loads))
			}
			failed, p50, p99 := 0.0, []float64{}, []float64{}
			for i, p := range r.Points {
				if math.Abs(p.Offered-want.loads[i]) > 0.11*want.loads[i] {
					t.Errorf("step %d at %.1f/s, want %g", i, p.Offered, want.loads[i])
				}
				failed += float64(p.Failed)
				p50, p99 = append(p50, p.Response.P50), append(p99, p.Response.P99)
			}
			// Seconds at the edges of steps are left out, and with them some failures.
			if failed > want.failed || failed < 0.9*want.failed {
				t.Errorf("%g failed, want %g", failed, want.failed)
			}
			if want.p50 > 0 && (slices.Min(p50) > 1.02*want.p50 || slices.Max(p50) < 0.98*want.p50 || slices.Min(p99) > 1.02*want.p99 || slices.Max(p99) < 0.98*want.p99) {
				t.Errorf("p50 %.4g, p99 %.4g; of the whole run %.4g and %.4g", p50, p99, want.p50, want.p99)
			}
		})
	}
}

// A summary of a real tool is the point that it says.
func TestRealSummaries(t *testing.T) {
	for name, want := range realSummaries {
		p := realResults(t, name, nil).Points[0]
		offered := want.loads[0]
		if len(want.loads) > 1 {
			offered = 93.27974657085313 // http_reqs of the whole run
		}
		if math.Abs(p.Offered-offered) > 0.01 || float64(p.Sent) != want.hits || float64(p.Failed) != want.failed || math.Abs(p.Seconds*p.Offered-want.hits) > 0.005*want.hits {
			t.Errorf("%s: %.4g/s, %d sent, %d failed, %g s", name, p.Offered, p.Sent, p.Failed, p.Seconds)
		}
		if math.Abs(p.Response.P50-want.p50) > 1e-6 || math.Abs(p.Response.P99-want.p99) > 1e-6 {
			t.Errorf("%s: %+v", name, p.Response)
		}
	}
}

// Locust 2.12.1 with 10, 20 and 30 users, each of whom asks four times a second; it
// ended before the last ten seconds of rows were written. Windows that lie across a
// change of the users are of no load.
func TestRealLocustHistory(t *testing.T) {
	points := realResults(t, "locust_stats_history.csv", nil).Points
	if len(points) != 2 {
		t.Fatalf("%d points, want 2", len(points))
	}
	for i, p := range points {
		if want := 40 * float64(i+1); math.Abs(p.Offered-want) > 0.01*want || p.Response.P50 != 16 || p.Seconds != 10 {
			t.Errorf("%.4g/s, %g s, %+v", p.Offered, p.Seconds, p.Response)
		}
	}
}

// Attacks that were put into one file byte after byte are no gob; the error says so.
func TestAttacksInOneFile(t *testing.T) {
	var all []byte
	for range 2 {
		all = append(all, written()["vegeta gob"].text...)
	}
	if _, err := Read("all.gob", bytes.NewReader(all), Config{}); err == nil || !strings.Contains(err.Error(), "give each as a file") {
		t.Errorf("%v", err)
	}
}
