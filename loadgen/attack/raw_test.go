package attack_test

import (
	"bytes"
	"context"
	"io"
	"math"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/headroom-project/headroom/loadgen/attack"
	"github.com/headroom-project/headroom/scenarios"
)

// testRawResults: vegeta's own decoders read the result of every hit, and its own
// report and plot come to what the windows say.
func testRawResults(t *testing.T) {
	for _, format := range attack.RawFormats {
		t.Run(format, func(t *testing.T) {
			var fail bool
			srv, received := counting(t, func(w http.ResponseWriter, _ *http.Request) {
				if fail = !fail; fail {
					w.WriteHeader(http.StatusServiceUnavailable)
				}
				_, _ = io.WriteString(w, "four")
			})
			defer srv.Close()
			var out bytes.Buffer
			started := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
			var raw *attack.Raw
			b := newBench(t, srv.URL+"/path", func(s *scenarios.Scenario, cfg *attack.Config) {
				cfg.Connections = 1 // the handler is not safe for more
				requests, err := scenarios.CompileRequests(s, scenarios.Inputs{})
				if err != nil {
					t.Fatal(err)
				}
				if raw, err = attack.NewRaw(attack.RawConfig{To: &out, Format: format, Requests: requests, Started: started}); err != nil {
					t.Fatal(err)
				}
				cfg.Raw = raw
			})
			r := b.run(context.Background(), constant(200, time.Second), constant(100, 500*time.Millisecond))
			if err := raw.Close(); err != nil {
				t.Fatal(err)
			}
			m, seen := decodeRaw(t, &out)
			if want := received.Load(); m.Requests != want || want != 250 {
				t.Fatalf("%d results, the target received %d, want 250", m.Requests, want)
			}
			p, err := r.Point(0)
			if err != nil {
				t.Fatal(err)
			}
			if m.StatusCodes["200"] != 125 || m.StatusCodes["503"] != 125 || m.BytesIn.Total != 1000 || p.OK != 100 {
				t.Errorf("codes %v, %d bytes, %d ok in the first step", m.StatusCodes, m.BytesIn.Total, p.OK)
			}
			// The first hit of 200/s that are evenly spaced is due 2.5 ms after the step's begin.
			if first := seen[0].Timestamp.Sub(started) - b.at; math.Abs(float64(first-2500*time.Microsecond)) > 1000 || seen[0].URL != srv.URL+"/path" || seen[0].Method != "GET" {
				t.Errorf("the first result is %+v, %v after the begin", seen[0], first)
			}
		})
	}
}

// decodeRaw reads results with vegeta's decoder, and hands them to its report. It
// fails where vegeta's plot would: it wants numbers without gaps, and times in
// their order, to the millisecond.
func decodeRaw(t *testing.T, in io.Reader) (m vegeta.Metrics, seen []vegeta.Result) {
	t.Helper()
	decode := vegeta.DecoderFor(in)
	if decode == nil {
		t.Fatal("vegeta does not know the encoding")
	}
	for {
		var res vegeta.Result
		if err := decode(&res); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		m.Add(&res)
		seen = append(seen, res)
	}
	m.Close()
	slices.SortFunc(seen, func(a, b vegeta.Result) int { return int(a.Seq) - int(b.Seq) })
	for i, res := range seen {
		if res.Seq != uint64(i) || i > 0 && res.Timestamp.Before(seen[i-1].Timestamp.Truncate(time.Millisecond)) {
			t.Fatalf("result %d has number %d and time %v", i, res.Seq, res.Timestamp)
		}
	}
	return m, seen
}

// The command line reads them too, where it can be had.
func TestVegetaReadsRawResults(t *testing.T) {
	name, err := exec.LookPath("vegeta")
	if err != nil {
		t.Skip("vegeta's command line is not there: go install github.com/tsenart/vegeta/v12")
	}
	srv, _ := counting(t, ok)
	defer srv.Close()
	file := filepath.Join(t.TempDir(), "results.bin")
	var out bytes.Buffer
	var raw *attack.Raw
	b := newBench(t, srv.URL, func(s *scenarios.Scenario, cfg *attack.Config) {
		cfg.Engine = ""
		requests, err := scenarios.CompileRequests(s, scenarios.Inputs{})
		if err != nil {
			t.Fatal(err)
		}
		raw, err = attack.NewRaw(attack.RawConfig{To: &out, Format: "gob", Requests: requests})
		if err != nil {
			t.Fatal(err)
		}
		cfg.Raw = raw
	})
	b.run(context.Background(), constant(100, time.Second))
	if err := raw.Close(); err != nil {
		t.Fatal(err)
	}
	writeFile(t, file, out.Bytes())
	for _, args := range [][]string{{"report", file}, {"plot", file}} {
		text, err := exec.Command(name, args...).CombinedOutput()
		if err != nil || args[0] == "report" && !strings.Contains(string(text), "100,") {
			t.Errorf("vegeta %v: %v\n%.2000s", args, err, text)
		}
	}
}
